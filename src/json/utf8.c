#include "config.h"

#include "json/utf8.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* Table 3-7 of Unicode. */
size_t
json_utf8_len(struct slice s)
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

/* Eight bytes of ASCII at once: most text is ASCII. */
static size_t
skip_ascii(struct slice s)
{
	size_t at = 0;

	while (s.len - at >= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, s.ptr + at, sizeof(word));
		if ((word & 0x8080808080808080) != 0)
			break;
		at += sizeof(word);
	}
	while (at < s.len && (unsigned char)s.ptr[at] < 0x80)
		at++;
	return at;
}

bool
json_is_utf8(struct slice s)
{
	while (s.len > 0) {
		size_t len = skip_ascii(s);

		if (len == 0)
			len = json_utf8_len(s);
		if (len == 0)
			return false;
		s.ptr += len;
		s.len -= len;
	}
	return true;
}

size_t
json_utf8_write(char out[JSON_UTF8_MAX], unsigned long code)
{
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};

	assert(code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF));
	for (size_t i = len - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3F));
		code >>= 6;
	}
	out[0] = (char)(first[len] | code);
	return len;
}
