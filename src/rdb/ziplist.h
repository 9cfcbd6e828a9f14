#ifndef RDB_ZIPLIST_H
#define RDB_ZIPLIST_H

#include "rdb/packed_bytes.h"

/* The elements of a ziplist: the two functions of rdb/packed.h for this kind. */
enum rdb_packed_result rdb_ziplist_init(struct rdb_packed *packed);
enum rdb_packed_result rdb_ziplist_next(struct rdb_packed *packed, struct rdb_element *element)
    __attribute__((warn_unused_result));

#endif
