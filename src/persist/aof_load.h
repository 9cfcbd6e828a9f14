#ifndef PERSIST_AOF_LOAD_H
#define PERSIST_AOF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* Loading what is on disk, an append-only file or a snapshot, into an empty keyspace. */
struct persist_keyspace;

enum aof_load_result {
	AOF_LOADED,
	AOF_LOAD_NONE,   /* there is no such file */
	AOF_LOAD_FAILED, /* error says why */
};

/*
 * may_be_cut: an end that is missing is cut off, with a warning, else it is an error. A snapshot
 * says where it ends, and must not be cut. *size is what the file has then. Logs how it goes on,
 * where it takes long.
 */
enum aof_load_result aof_load(const struct persist_keyspace *keyspace, const char *path,
    bool is_snapshot, bool may_be_cut, uint64_t *size, struct buffer *error);

/* What ends a snapshot: an annotation with the time, as Redis knows it. */
#define AOF_END_MARK "#TS:"

#endif
