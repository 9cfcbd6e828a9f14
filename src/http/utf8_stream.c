#include "config.h"

#include "http/utf8_stream.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Skips ASCII, which most text is, eight bytes at a time. */
static const unsigned char *
skip_ascii(const unsigned char *at, const unsigned char *end)
{
	uint64_t word;

	while (end - at >= (ptrdiff_t)sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		if ((word & HIGH_BITS) != 0)
			break;
		at += sizeof(word);
	}
	while (at < end && *at < 0x80)
		at++;
	return at;
}

/* Table 3-7 of Unicode: the first byte decides the length, and the range of the second byte. */
static bool
begin_sequence(struct utf8_stream *u, unsigned char first)
{
	if (first < 0xC2 || first > 0xF4)
		return false;
	u->left = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
	u->low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	u->high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	return true;
}

bool
utf8_stream_take(struct utf8_stream *u, struct slice bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.ptr;
	const unsigned char *end = at + bytes.len;

	while (at < end) {
		if (u->left == 0) {
			at = skip_ascii(at, end);
			if (at == end)
				break;
			if (!begin_sequence(u, *at++))
				return false;
			continue;
		}
		if (*at < u->low || *at > u->high)
			return false;
		u->left--;
		u->low = 0x80;
		u->high = 0xBF;
		at++;
	}
	return true;
}

bool
utf8_stream_is_whole(const struct utf8_stream *u)
{
	return u->left == 0;
}
