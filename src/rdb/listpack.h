#ifndef RDB_LISTPACK_H
#define RDB_LISTPACK_H

#include "rdb/packed_bytes.h"

/* The elements of a listpack: the two functions of rdb/packed.h for this kind. */
enum rdb_packed_result rdb_listpack_init(struct rdb_packed *packed);
enum rdb_packed_result rdb_listpack_next(struct rdb_packed *packed, struct rdb_element *element)
    __attribute__((warn_unused_result));

#endif
