#ifndef RDB_CRC64_H
#define RDB_CRC64_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of RDB files: CRC-64 with the polynomial of Jones (0xad93d23594c935a9), reflected,
 * initial value 0, no final inversion. Eight bytes are taken in a step, with a table for each.
 */
struct crc64 {
	uint64_t table[8][256];
};

void crc64_init(struct crc64 *crc64);

/* The checksum of the bytes so far (0: none) and of these. */
uint64_t crc64_add(const struct crc64 *crc64, uint64_t crc, const void *ptr, size_t len);

#endif
