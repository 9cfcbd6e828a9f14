#include "config.h"

#include "rdb/crc64.h"

/* The polynomial with its bits in reverse order. */
#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5)

void
crc64_init(struct crc64 *crc64)
{
	for (size_t i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
		crc64->table[0][i] = crc;
	}
	for (size_t i = 0; i < 256; i++) {
		for (size_t step = 1; step < 8; step++) {
			uint64_t before = crc64->table[step - 1][i];

			crc64->table[step][i] = crc64->table[0][before & 0xff] ^ (before >> 8);
		}
	}
}

static uint64_t
add_byte(const struct crc64 *crc64, uint64_t crc, unsigned char byte)
{
	return crc64->table[0][(crc ^ byte) & 0xff] ^ (crc >> 8);
}

uint64_t
crc64_add(const struct crc64 *crc64, uint64_t crc, const void *ptr, size_t len)
{
	const unsigned char *at = ptr;

	for (; len >= 8; at += 8, len -= 8) {
		uint64_t sum = 0;

		for (size_t i = 0; i < 8; i++) {
			unsigned char byte = (unsigned char)((crc >> (8 * i)) & 0xff);

			sum ^= crc64->table[7 - i][at[i] ^ byte];
		}
		crc = sum;
	}
	for (; len > 0; at++, len--)
		crc = add_byte(crc64, crc, *at);
	return crc;
}
