#include "config.h"

#include "app/setting_value.h"

#include <string.h>
#include <strings.h>

bool
value_parse_bool(struct slice text, bool *out)
{
	if (slice_is_nocase(text, "yes"))
		*out = true;
	else if (slice_is_nocase(text, "no"))
		*out = false;
	else
		return false;
	return true;
}

static const struct {
	const char *name;
	int64_t bytes;
} units[] = {
    /* Values are written with one of the first three: the largest that divides the value. */
    {"gb", INT64_C(1) << 30},
    {"mb", INT64_C(1) << 20},
    {"kb", INT64_C(1) << 10},
    {"g", INT64_C(1000000000)},
    {"m", INT64_C(1000000)},
    {"k", INT64_C(1000)},
    {"b", 1},
    {"", 1},
};
enum { WRITTEN_UNITS = 3 };

bool
value_parse_bytes(struct slice text, int64_t *out)
{
	size_t i, at = 0;
	int64_t number = 0;
	struct slice unit;

	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, text.ptr[at] - '0', &number))
			number = INT64_MAX;
	if (at == 0)
		return false;
	unit = (struct slice){text.ptr + at, text.len - at};
	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (!slice_is_nocase(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(number, units[i].bytes, out))
			*out = INT64_MAX;
		return true;
	}
	return false;
}

void
value_write_bytes(int64_t bytes, struct buffer *out)
{
	size_t i;

	for (i = 0; i < WRITTEN_UNITS; i++) {
		if (bytes != 0 && bytes % units[i].bytes == 0) {
			buffer_appendf(
			    out, "%lld%s", (long long)(bytes / units[i].bytes), units[i].name);
			return;
		}
	}
	buffer_appendf(out, "%lld", (long long)bytes);
}

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
