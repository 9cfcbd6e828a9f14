#ifndef PERSIST_AOF_COPY_H
#define PERSIST_AOF_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The end of a rewrite: what the old file got since the new one was begun is copied behind it, a
 * batch after the other: a header fits one place only, so each gets another. In the thread of
 * aof_writer.c.
 */
struct order;

struct aof_copy {
	int fd;                 /* of the new file; -1: nothing is copied */
	char *temp_path, *path; /* its name, and the one that it gets */
	uint64_t from, to;      /* how far it is in the old file and in the new one */
	struct buffer batch;
};

/* Takes the order's file and paths. */
void aof_copy_begin(struct aof_copy *copy, struct order *order, uint64_t from);
void aof_copy_release(struct aof_copy *copy); /* the file is its caller's then */

/* Copies batches of the file old, which ends at `end`, until it is at `until` at least, or at the
 * end; syncs it. False with errno. */
bool aof_copy(struct aof_copy *copy, int old, uint64_t until, uint64_t end)
    __attribute__((warn_unused_result));

/* Makes the entries of the folder of path last: a rename, say. False with errno. */
bool sync_folder_of(const char *path) __attribute__((warn_unused_result));

#endif
