#ifndef IMPORT_MANIFEST_H
#define IMPORT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The manifest of Redis 7's append-only files: a line for each file with its name, number and kind.
 *
 *     file appendonly.aof.1.base.rdb seq 1 type b
 *     file appendonly.aof.1.incr.aof seq 1 type i
 *
 * A name is a plain file name, so that it cannot leave the folder. It takes bytes and opens
 * nothing. Files of history (type h), which Redis is about to remove, are left out.
 */
#define MANIFEST_BYTES_MAX ((size_t)1 << 20)

struct manifest_file {
	char *name; /* owned */
	uint64_t number;
	bool is_base;
};

struct manifest {
	struct manifest_file *files; /* owned; in the order in which they are read */
	size_t count;
};

/* False: error says which line is wrong. Release in both cases. */
bool manifest_parse(struct manifest *manifest, struct slice text, struct buffer *error)
    __attribute__((warn_unused_result));
void manifest_release(struct manifest *manifest);

#endif
