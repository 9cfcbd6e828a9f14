#include "config.h"

#include "token/base64url.h"

#include <stdint.h>

/* The six bits of a character, or -1. Without a table, so that secrets of a JWKS are read in a time
 * that caches do not change. */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

bool
base64url_decode(struct slice text, unsigned char *out, size_t *len)
{
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t written = 0;

	if (text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int value = value_of(text.ptr[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (uint32_t)value) & 0xFFFF;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			out[written++] = (unsigned char)(bits >> bit_count & 0xFF);
		}
	}
	if ((bits & ((1u << bit_count) - 1)) != 0)
		return false;
	*len = written;
	return true;
}
