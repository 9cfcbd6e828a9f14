#ifndef IMPORT_FOLDER_H
#define IMPORT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buffer.h"

/*
 * What a folder of Redis has, by the names of its files and of those in its direct subfolders: the
 * folder of append-only files can have any name (appenddirname), and so can a snapshot and an
 * append-only file of one part. It reads no file, and does not decide what is to be read.
 */
struct import_folder_file {
	char *path; /* owned; NULL: none */
	struct timespec changed;
};

struct import_folder {
	char *manifest; /* owned path; NULL: none */
	/* Append-only files, or an unfinished manifest: the folder, and the name of one. Complete
	 * if there is no manifest. Owned; NULL: none. */
	char *part_folder, *part;
	/* The newest of the folder itself, without parts of append-only files and without those of
	 * Redis's default names. */
	struct import_folder_file snapshot, log;
};

/* Redis's default names. */
#define IMPORT_AOF_FOLDER "appendonlydir"
#define IMPORT_AOF "appendonly.aof"
#define IMPORT_SNAPSHOT "dump.rdb"

/* False: error says why; more than one manifest is an error. Release in both cases. */
bool import_folder_look(struct import_folder *found, const char *folder, struct buffer *error)
    __attribute__((warn_unused_result));
void import_folder_release(struct import_folder *found);

/* True if the name, or path, ends like this, and is longer. */
bool import_name_ends(const char *name, const char *end);

bool import_is_later(struct timespec a, struct timespec b);

#endif
