#ifndef PERSIST_AOF_FILE_H
#define PERSIST_AOF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "persist/aof.h"

/*
 * A file in the form of aof.h, as a whole in memory (mapped): what the daemon and `fanfare aof
 * check` read. Whoever may write to it meanwhile has to be kept away by the caller.
 */
struct aof_file {
	int fd;
	struct slice bytes;
};

/* for_writing: so that it can be cut. False with errno. */
bool aof_file_open(struct aof_file *file, const char *path, bool for_writing)
    __attribute__((warn_unused_result));
void aof_file_close(struct aof_file *file);

/*
 * Cuts the file to `keep` bytes, which must be fewer than it has, and keeps what was behind them in
 * "PATH.cut-KEEP", or "PATH.cut-KEEP.1" and so on if that is there already. Both are synced, first
 * what is kept. Appends to text what was done; false: why not, and the file is as it was, or is
 * cut. The mapped bytes behind `keep` are gone.
 */
bool aof_file_truncate(struct aof_file *file, const char *path, size_t keep, struct buffer *text)
    __attribute__((warn_unused_result));

#endif
