#ifndef PERSIST_AOF_FILE_H
#define PERSIST_AOF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "persist/aof.h"

/*
 * A file in the format of aof.h, mapped into memory as a whole: what the daemon and `fanfare aof
 * check` read. The caller makes sure that no other process writes to it meanwhile.
 */
struct aof_file {
	int fd;
	struct slice bytes;
};

/* for_writing: so that it can be truncated. False with errno. */
bool aof_file_open(struct aof_file *file, const char *path, bool for_writing)
    __attribute__((warn_unused_result));
void aof_file_close(struct aof_file *file);

/*
 * Truncates the file to `keep` bytes, which must be fewer than it has, and saves the bytes behind
 * them in "PATH.cut-KEEP", or in "PATH.cut-KEEP.1" and so on if that exists. Both files are synced,
 * the saved bytes first. Appends a description of what was done to text. On false, text is the
 * cause, and the file is unchanged or already truncated. The mapped bytes behind `keep` must not be
 * read any more.
 */
bool aof_file_truncate(struct aof_file *file, const char *path, size_t keep, struct buffer *text)
    __attribute__((warn_unused_result));

#endif
