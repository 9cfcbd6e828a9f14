#include "config.h"

#include "json/writer.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "json/utf8.h"

/* The letter behind the backslash of a byte that has a short escape, 'u' for one with a long one, 0
 * for one that stands for itself. */
static char
escape_of(char c)
{
	switch (c) {
	case '"':
	case '\\':
		return c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return (unsigned char)c < 0x20 ? 'u' : 0;
	}
}

size_t
json_string_len(struct slice utf8)
{
	size_t len = 2 + utf8.len;

	for (size_t i = 0; i < utf8.len; i++) {
		char escape = escape_of(utf8.ptr[i]);

		if (escape != 0)
			len += escape == 'u' ? 5 : 1;
	}
	return len;
}

static char *
write_escape(char *out, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	char escape = escape_of((char)c);

	*out++ = '\\';
	*out++ = escape;
	if (escape != 'u')
		return out;
	*out++ = '0';
	*out++ = '0';
	*out++ = digits[c >> 4];
	*out++ = digits[c & 15];
	return out;
}

char *
json_write_string(char *out, struct slice utf8)
{
	const char *at = utf8.ptr, *end = utf8.ptr + utf8.len;

	*out++ = '"';
	while (at < end) {
		const char *from = at;

		while (at < end && escape_of(*at) == 0)
			at++;
		memcpy(out, from, (size_t)(at - from));
		out += at - from;
		if (at < end)
			out = write_escape(out, (unsigned char)*at++);
	}
	*out++ = '"';
	return out;
}

size_t
json_base64_len(size_t len)
{
	return 2 + (len + 2) / 3 * 4;
}

char *
json_write_base64(char *out, struct slice s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s.ptr;

	*out++ = '"';
	for (size_t i = 0; i < s.len; i += 3) {
		size_t left = s.len - i;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			bits |= p[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[bits & 63] : '=';
	}
	*out++ = '"';
	return out;
}

void
json_put_string(struct buffer *out, struct slice utf8)
{
	size_t len = json_string_len(utf8);

	assert(json_is_utf8(utf8));
	json_write_string(buffer_reserve(out, len), utf8);
	out->len += len;
}

void
json_put_base64(struct buffer *out, struct slice s)
{
	size_t len = json_base64_len(s.len);

	json_write_base64(buffer_reserve(out, len), s);
	out->len += len;
}

void
json_put_member(struct buffer *out, const char *name, struct slice value)
{
	if (json_is_utf8(value)) {
		buffer_appendf(out, "\"%s\":", name);
		json_put_string(out, value);
	} else {
		buffer_appendf(out, "\"%s_base64\":", name);
		json_put_base64(out, value);
	}
}
