#ifndef IMPORT_FILES_H
#define IMPORT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buffer.h"

/*
 * The files of Redis at a path, in the order in which they are read: a snapshot, an append-only
 * file of one part, or the files that a manifest names. In a folder, append-only files come before
 * a snapshot, as Redis itself reads them. A folder whose snapshot is newer than its append-only
 * files is refused: Redis may have run without them since. So is one in which Redis may have used
 * files of other names than its own (import/folder.h). All are opened at once, for reading.
 */
struct import_file {
	char *path; /* owned */
	int fd;
	uint64_t size;
	struct timespec changed;
	bool is_snapshot; /* by its name: it must not be anything else */
};

struct import_files {
	struct import_file *files; /* owned */
	size_t count;
	uint64_t size;  /* of all */
	char *not_read; /* NULL, or the name of a file that is there as well; owned */
};

/* False: error says why. Release in both cases. */
bool import_files_find(struct import_files *files, const char *path, struct buffer *error)
    __attribute__((warn_unused_result));
void import_files_release(struct import_files *files);

#endif
