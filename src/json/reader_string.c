#include "config.h"

#include <assert.h>
#include <string.h>

#include "json/reader.h"
#include "json/utf8.h"

/* The content of strings that json_parse() has found valid. */

/* What is between the quotes. */
static struct slice
inside(struct json_value string)
{
	return (struct slice){string.text.ptr + 1, string.text.len - 2};
}

static unsigned long
hex_number(const char *digits)
{
	unsigned long number = 0;

	for (int i = 0; i < 4; i++) {
		char c = digits[i];

		number = number << 4 | (unsigned long)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return number;
}

/* Reads an escape of \u and four digits, or two of them if they are a pair of surrogates. False: a
 * lone surrogate. */
static bool
take_code(struct slice *s, unsigned long *code)
{
	unsigned long low;
	size_t used = 6;

	*code = hex_number(s->ptr + 2);
	if (*code >= 0xD800 && *code <= 0xDFFF) {
		if (*code > 0xDBFF || s->len < 12 || s->ptr[6] != '\\' || s->ptr[7] != 'u')
			return false;
		low = hex_number(s->ptr + 8);
		if (low < 0xDC00 || low > 0xDFFF)
			return false;
		*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
		used = 12;
	}
	s->ptr += used;
	s->len -= used;
	return true;
}

/* Takes the next piece of a string's content: *piece borrows from it or from `room`. False: a lone
 * surrogate. */
static bool
take_piece(struct slice *s, char room[JSON_UTF8_MAX], struct slice *piece)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *escape = memchr(s->ptr, '\\', s->len);
	const char *special;
	unsigned long code;

	if (escape != s->ptr) {
		*piece =
		    (struct slice){s->ptr, escape != NULL ? (size_t)(escape - s->ptr) : s->len};
		s->ptr += piece->len;
		s->len -= piece->len;
		return true;
	}
	if (escape[1] == 'u') {
		if (!take_code(s, &code))
			return false;
		*piece = (struct slice){room, json_utf8_write(room, code)};
		return true;
	}
	special = strchr(from, escape[1]);
	room[0] = special != NULL ? to[special - from] : escape[1];
	*piece = (struct slice){room, 1};
	s->ptr += 2;
	s->len -= 2;
	return true;
}

bool
json_string_is(struct json_value value, const char *text)
{
	struct slice rest, expected = slice_of(text);

	if (value.type != JSON_STRING)
		return false;
	rest = inside(value);
	while (rest.len > 0) {
		char room[JSON_UTF8_MAX];
		struct slice piece;

		if (!take_piece(&rest, room, &piece) || piece.len > expected.len ||
		    memcmp(piece.ptr, expected.ptr, piece.len) != 0)
			return false;
		expected.ptr += piece.len;
		expected.len -= piece.len;
	}
	return expected.len == 0;
}

bool
json_decode(struct json_value value, struct buffer *out)
{
	size_t was = out->len;
	struct slice rest;

	if (value.type != JSON_STRING)
		return false;
	rest = inside(value);
	while (rest.len > 0) {
		char room[JSON_UTF8_MAX];
		struct slice piece;

		if (!take_piece(&rest, room, &piece)) {
			out->len = was;
			return false;
		}
		buffer_append_slice(out, piece);
	}
	return true;
}

bool
json_get_string(struct json_value value, struct buffer *room, struct slice *out)
{
	size_t was = room->len;

	if (value.type == JSON_STRING && memchr(value.text.ptr, '\\', value.text.len) == NULL) {
		*out = inside(value);
		return true;
	}
	if (!json_decode(value, room))
		return false;
	*out = (struct slice){room->ptr + was, room->len - was};
	return true;
}
