#ifndef RDB_READER_H
#define RDB_READER_H

#include <stdbool.h>

#include "rdb/event.h"

/*
 * Reader of RDB files, versions 1 to 12: the snapshots of Redis, and the beginning of its
 * append-only files. It takes bytes from an input and returns one event a call. Every length is
 * checked before it is used; a damaged file is a fault of the input, with offset and reason.
 * Whatever it does not know is refused, because its length is not known either.
 */
struct rdb_input;
struct rdb_reader;

/* Borrows in. Returns owned (rdb_reader_free). */
struct rdb_reader *rdb_reader_new(struct rdb_input *in);
void rdb_reader_free(struct rdb_reader *reader);

/* False: the input has a fault. After RDB_EVENT_END it must not be called; the input is then behind
 * the checksum. */
bool rdb_reader_next(struct rdb_reader *reader, struct rdb_event *event)
    __attribute__((warn_unused_result));

#endif
