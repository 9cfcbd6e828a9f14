#ifndef RDB_PACKED_H
#define RDB_PACKED_H

#include "rdb/packed_bytes.h"

/*
 * The elements of a packed encoding: a whole small collection in one string. Every length in it is
 * checked against the string before it is used. The formats: ziplist.c, listpack.c, intset.c and
 * zipmap.c of Redis. A packed string is read once, from its front.
 */

/* Checks the header. RDB_PACKED_BAD: fault says why. Otherwise RDB_PACKED_ELEMENT, also if there
 * are none. Borrows bytes. */
enum rdb_packed_result rdb_packed_init(
    struct rdb_packed *packed, enum rdb_packed_kind kind, struct slice bytes);

/* The next element, which is valid as long as both structs and the bytes are. RDB_PACKED_BAD: fault
 * says why, and packed->at where. RDB_PACKED_END: the count and the end were right. */
enum rdb_packed_result rdb_packed_next(struct rdb_packed *packed, struct rdb_element *element)
    __attribute__((warn_unused_result));

#endif
