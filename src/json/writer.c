#include "config.h"

#include "json/writer.h"

#include <assert.h>
#include <stdint.h>

#include "json/utf8.h"

static void
put_escape(struct buffer *out, unsigned char c)
{
	switch (c) {
	case '"':
		buffer_append_str(out, "\\\"");
		break;
	case '\\':
		buffer_append_str(out, "\\\\");
		break;
	case '\n':
		buffer_append_str(out, "\\n");
		break;
	case '\r':
		buffer_append_str(out, "\\r");
		break;
	case '\t':
		buffer_append_str(out, "\\t");
		break;
	default:
		buffer_appendf(out, "\\u%04x", c);
	}
}

void
json_put_string(struct buffer *out, struct slice utf8)
{
	size_t from = 0;

	assert(json_is_utf8(utf8));
	buffer_append(out, "\"", 1);
	for (size_t i = 0; i < utf8.len; i++) {
		unsigned char c = (unsigned char)utf8.ptr[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buffer_append(out, utf8.ptr + from, i - from);
		put_escape(out, c);
		from = i + 1;
	}
	if (utf8.len > from)
		buffer_append(out, utf8.ptr + from, utf8.len - from);
	buffer_append(out, "\"", 1);
}

void
json_put_base64(struct buffer *out, struct slice s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s.ptr;
	char *to;

	buffer_append(out, "\"", 1);
	to = buffer_reserve(out, (s.len / 3 + 1) * 4);
	for (size_t i = 0; i < s.len; i += 3) {
		size_t left = s.len - i;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			bits |= p[i + 2];
		to[0] = digits[bits >> 18];
		to[1] = digits[bits >> 12 & 63];
		to[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
		to[3] = left > 2 ? digits[bits & 63] : '=';
		to += 4;
		out->len += 4;
	}
	buffer_append(out, "\"", 1);
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
