#include "config.h"

#include "json/writer.h"

#include <assert.h>
#include <stdint.h>

/* Length of the well-formed UTF-8 sequence at s.ptr, or 0. Table 3-7 of Unicode. */
static size_t
sequence_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (s.len < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

bool
json_is_utf8(struct slice s)
{
	while (s.len > 0) {
		size_t len = sequence_len(s);

		if (len == 0)
			return false;
		s.ptr += len;
		s.len -= len;
	}
	return true;
}

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
