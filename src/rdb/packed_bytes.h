#ifndef RDB_PACKED_BYTES_H
#define RDB_PACKED_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * A packed string and an element of it, for the files that know one kind each: listpack.c,
 * ziplist.c, and packed.c, which has the others and joins all.
 */
enum rdb_packed_kind { RDB_ZIPLIST, RDB_LISTPACK, RDB_INTSET, RDB_ZIPMAP };

struct rdb_packed {
	enum rdb_packed_kind kind;
	struct slice bytes; /* borrowed */
	size_t at;          /* of the next element */
	uint64_t count;     /* elements read */
	uint64_t announced; /* elements in all; RDB_COUNT_UNKNOWN: too many for its field */
	uint32_t detail;    /* ziplist: length of the entry before; intset: bytes of a number */
	const char *fault;  /* a literal; NULL: none */
};

#define RDB_COUNT_UNKNOWN UINT64_MAX

struct rdb_element {
	struct slice text; /* of the packed string, or of `digits` */
	bool is_number;
	int64_t number;
	char digits[BYTES_I64_MAX];
};

enum rdb_packed_result { RDB_PACKED_ELEMENT, RDB_PACKED_END, RDB_PACKED_BAD };

/* Records the fault. Returns RDB_PACKED_BAD. */
enum rdb_packed_result rdb_packed_fail(struct rdb_packed *packed, const char *fault);

/* The header of a listpack or ziplist begins with the length of all, in 32 bits, and ends with the
 * number of elements, in 16 bits. */
struct rdb_packed_header {
	size_t len;
	const char *missing, *other_length; /* literals: the faults */
};

/* Reads the header; the bytes behind it hold at least one, the end mark. */
enum rdb_packed_result rdb_packed_begin(
    struct rdb_packed *packed, const struct rdb_packed_header *header);

/* Makes the element a number. Returns RDB_PACKED_ELEMENT. */
enum rdb_packed_result rdb_packed_number(struct rdb_element *element, int64_t number);

/* A number of `count` bytes, the lowest first. The caller has checked that they are there. */
uint64_t rdb_packed_bits(const struct rdb_packed *packed, size_t at, size_t count);
int64_t rdb_packed_signed(const struct rdb_packed *packed, size_t at, size_t count);

#endif
