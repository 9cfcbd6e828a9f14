#include "config.h"

#include "json/reader.h"

#include <assert.h>
#include <string.h>

#include "json/utf8.h"

struct scan {
	const char *at;
	const char *end;
	uint64_t objects; /* a bit for each open bracket, the outermost one first: is it a brace */
	unsigned depth;
};

static void
skip_blanks(struct scan *s)
{
	while (
	    s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

static bool
take(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

static bool
is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* Skips bytes of a string that stand for themselves, eight at once: ASCII but controls, quote and
 * backslash. A subtraction borrows from the next byte only if its own byte has stopped it. */
static void
skip_plain(struct scan *s)
{
	while (s->end - s->at >= (ptrdiff_t)sizeof(uint64_t)) {
		uint64_t word, stops;

		memcpy(&word, s->at, sizeof(word));
		stops = word | (word - EACH_BYTE(' ')) | ((word ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
			((word ^ EACH_BYTE('\\')) - EACH_BYTE(1));
		if ((stops & EACH_BYTE(0x80)) != 0)
			break;
		s->at += sizeof(word);
	}
	while (s->at < s->end && is_plain((unsigned char)*s->at))
		s->at++;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At the byte after the backslash. */
static bool
scan_escape(struct scan *s)
{
	if (s->at == s->end)
		return false;
	if (*s->at != 'u')
		return memchr("\"\\/bfnrt", *s->at++, 8) != NULL;
	if (s->end - s->at < 5)
		return false;
	for (int i = 1; i < 5; i++)
		if (hex_digit(s->at[i]) < 0)
			return false;
	s->at += 5;
	return true;
}

static bool
scan_string(struct scan *s)
{
	if (!take(s, '"'))
		return false;
	for (;;) {
		size_t len;

		skip_plain(s);
		if (s->at == s->end)
			return false;
		if (take(s, '"'))
			return true;
		if (take(s, '\\')) {
			if (!scan_escape(s))
				return false;
			continue;
		}
		if ((unsigned char)*s->at < ' ')
			return false;
		len = json_utf8_len((struct slice){s->at, (size_t)(s->end - s->at)});
		if (len == 0)
			return false;
		s->at += len;
	}
}

static bool
scan_digits(struct scan *s)
{
	const char *from = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static bool
scan_number(struct scan *s)
{
	(void)take(s, '-');
	if (!take(s, '0') && !scan_digits(s))
		return false;
	if (take(s, '.') && !scan_digits(s))
		return false;
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			(void)take(s, '-');
		return scan_digits(s);
	}
	return true;
}

static bool
scan_word(struct scan *s, struct slice word)
{
	if ((size_t)(s->end - s->at) < word.len || memcmp(s->at, word.ptr, word.len) != 0)
		return false;
	s->at += word.len;
	return true;
}

static bool
scan_scalar(struct scan *s)
{
	if (s->at == s->end)
		return false;
	switch (*s->at) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, SLICE("true"));
	case 'f':
		return scan_word(s, SLICE("false"));
	case 'n':
		return scan_word(s, SLICE("null"));
	default:
		return scan_number(s);
	}
}

static bool
is_in_object(const struct scan *s)
{
	return (s->objects >> (s->depth - 1) & 1) != 0;
}

/* Takes an opening bracket; false: there is none. Too deep a nesting leaves it to scan_scalar(),
 * which refuses it. */
static bool
open_bracket(struct scan *s)
{
	uint64_t bit = s->depth < JSON_DEPTH_MAX ? (uint64_t)1 << s->depth : 0;

	if (bit == 0)
		return false;
	if (take(s, '{'))
		s->objects |= bit;
	else if (take(s, '['))
		s->objects &= ~bit;
	else
		return false;
	s->depth++;
	return true;
}

static bool
close_bracket(struct scan *s)
{
	skip_blanks(s);
	if (!take(s, is_in_object(s) ? '}' : ']'))
		return false;
	s->depth--;
	return true;
}

/* In an object, the name of the next member and its colon. */
static bool
scan_name(struct scan *s)
{
	if (!is_in_object(s))
		return true;
	skip_blanks(s);
	if (!scan_string(s))
		return false;
	skip_blanks(s);
	return take(s, ':');
}

static bool
scan_value(struct scan *s)
{
	do {
		skip_blanks(s);
		if (open_bracket(s)) {
			if (!close_bracket(s)) {
				if (!scan_name(s))
					return false;
				continue;
			}
		} else if (!scan_scalar(s)) {
			return false;
		}
		while (s->depth > 0 && close_bracket(s))
			;
		if (s->depth > 0 && (!take(s, ',') || !scan_name(s)))
			return false;
	} while (s->depth > 0);
	return true;
}

static enum json_type
type_of(char first)
{
	switch (first) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

static struct json_value
value_between(const char *from, const char *to)
{
	return (struct json_value){type_of(*from), {from, (size_t)(to - from)}};
}

bool
json_parse(struct slice text, struct json_value *out)
{
	struct scan s = {.at = text.ptr};
	const char *from, *to;

	if (text.len == 0)
		return false;
	s.end = text.ptr + text.len;
	skip_blanks(&s);
	from = s.at;
	if (!scan_value(&s))
		return false;
	to = s.at;
	skip_blanks(&s);
	if (s.at != s.end)
		return false;
	*out = value_between(from, to);
	return true;
}

/* From here on, all text is known to be valid. */

static struct scan
scan_rest(const struct json_iterator *it)
{
	return (struct scan){.at = it->rest.ptr, .end = it->rest.ptr + it->rest.len};
}

static void
set_rest(struct json_iterator *it, const struct scan *s)
{
	it->rest = (struct slice){s->at, (size_t)(s->end - s->at)};
}

/* What is between the brackets. */
static struct json_iterator
iterate(struct json_value container)
{
	struct slice text = container.text;

	return (struct json_iterator){{text.ptr + 1, text.len - 2}};
}

struct json_iterator
json_elements(struct json_value array)
{
	assert(array.type == JSON_ARRAY);
	return iterate(array);
}

struct json_iterator
json_members(struct json_value object)
{
	assert(object.type == JSON_OBJECT);
	return iterate(object);
}

/* The value at s and the comma behind it. */
static struct json_value
next_value(struct scan *s)
{
	const char *from;
	struct json_value value;
	bool is_valid;

	skip_blanks(s);
	from = s->at;
	is_valid = scan_value(s);
	assert(is_valid);
	value = value_between(from, s->at);
	skip_blanks(s);
	(void)take(s, ',');
	return value;
}

bool
json_next_element(struct json_iterator *it, struct json_value *value)
{
	struct scan s = scan_rest(it);

	skip_blanks(&s);
	if (s.at == s.end)
		return false;
	*value = next_value(&s);
	set_rest(it, &s);
	return true;
}

bool
json_next_member(struct json_iterator *it, struct json_value *name, struct json_value *value)
{
	struct scan s = scan_rest(it);

	skip_blanks(&s);
	if (s.at == s.end)
		return false;
	*name = next_value(&s);
	skip_blanks(&s);
	(void)take(&s, ':');
	*value = next_value(&s);
	set_rest(it, &s);
	return true;
}

enum json_found
json_find(struct json_value object, const char *name, struct json_value *out)
{
	struct json_iterator it = json_members(object);
	struct json_value member, value, found = {JSON_NULL, {NULL, 0}};

	while (json_next_member(&it, &member, &value)) {
		if (!json_string_is(member, name))
			continue;
		if (found.text.ptr != NULL)
			return JSON_DUPLICATE;
		found = value;
	}
	if (found.text.ptr == NULL)
		return JSON_ABSENT;
	*out = found;
	return JSON_FOUND;
}

bool
json_get_u64(struct json_value value, uint64_t *out)
{
	return value.type == JSON_NUMBER && slice_to_u64(value.text, out);
}

bool
json_get_i64(struct json_value value, int64_t *out)
{
	return value.type == JSON_NUMBER && slice_to_i64(value.text, out);
}

bool
json_get_bool(struct json_value value, bool *out)
{
	if (value.type != JSON_TRUE && value.type != JSON_FALSE)
		return false;
	*out = value.type == JSON_TRUE;
	return true;
}
