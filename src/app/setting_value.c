#include "config.h"

#include "app/setting_value.h"

#include <string.h>
#include <strings.h>

bool
value_parse_octal(struct slice text, int64_t *out)
{
	int64_t number = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7' || number > INT32_MAX)
			return false;
		number = number * 8 + (text.ptr[i] - '0');
	}
	if (text.len == 0)
		return false;
	*out = number;
	return true;
}

struct slice
value_choice(const char *choices, uint32_t index)
{
	while (index-- > 0) {
		choices = strchr(choices, ' ');
		if (choices == NULL)
			return SLICE("");
		choices++;
	}
	return (struct slice){choices, strcspn(choices, " ")};
}

bool
value_parse_choice(const char *choices, struct slice text, uint32_t *out)
{
	uint32_t i;
	struct slice choice;

	for (i = 0; (choice = value_choice(choices, i)).len > 0; i++) {
		if (choice.len == text.len && strncasecmp(choice.ptr, text.ptr, text.len) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

void
value_write_choices(const char *choices, struct buffer *out)
{
	uint32_t i;
	struct slice choice;

	for (i = 0; (choice = value_choice(choices, i)).len > 0; i++) {
		if (i > 0)
			buffer_append_str(out, ", ");
		buffer_append_slice(out, choice);
	}
}

void
value_write_flags(const char *choices, uint32_t flags, struct buffer *out)
{
	struct slice choice;
	const char *before = "";

	for (uint32_t i = 0; (choice = value_choice(choices, i)).len > 0; i++) {
		if ((flags >> i & 1) == 0)
			continue;
		buffer_append_str(out, before);
		buffer_append_slice(out, choice);
		before = " ";
	}
}

bool
value_are_save_rules(const struct slice *words, size_t count)
{
	int64_t number;

	for (size_t i = 0; i < count; i++)
		if (!slice_to_i64(words[i], &number) || number < (i % 2 == 0) || number > INT32_MAX)
			return false;
	return count % 2 == 0;
}

/* A byte of the scheme, the host or the port of an origin. */
static bool
is_of_origin(unsigned char byte, bool in_host)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
	       byte == '.' ||
	       (in_host ? byte == ':' || byte == '[' || byte == ']' || byte == '_' : byte == '+');
}

bool
value_is_origin(struct slice text)
{
	static const char separator[] = "://";
	size_t scheme = 0, host;

	if (slice_is(text, "*"))
		return true;
	while (scheme < text.len && is_of_origin((unsigned char)text.ptr[scheme], false))
		scheme++;
	host = scheme + sizeof(separator) - 1;
	if (scheme == 0 || host >= text.len ||
	    memcmp(text.ptr + scheme, separator, sizeof(separator) - 1) != 0)
		return false;
	while (host < text.len && is_of_origin((unsigned char)text.ptr[host], true))
		host++;
	return host == text.len && text.ptr[text.len - 1] != ':';
}

/* True if a word with this byte needs no quotes anywhere in a line, not even at its start. */
static bool
is_plain(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\'' && byte != '\\' &&
	       byte != '#';
}

void
value_write_word(struct slice word, struct buffer *out)
{
	size_t i = 0;

	while (i < word.len && is_plain((unsigned char)word.ptr[i]))
		i++;
	if (i == word.len && word.len > 0) {
		buffer_append_slice(out, word);
		return;
	}
	buffer_append_str(out, "\"");
	buffer_append_escaped(out, word);
	buffer_append_str(out, "\"");
}
