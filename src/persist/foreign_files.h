#ifndef PERSIST_FOREIGN_FILES_H
#define PERSIST_FOREIGN_FILES_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Finds files of Redis in the working folder that fanfared does not read: a snapshot (dump.rdb), a
 * folder of append-only files, or an append-only file that is not to be loaded.
 */

/*
 * True if there is such a file and none that fanfared loads or has written: no snapshot named
 * dbfilename and no append-only file named appendfilename, unless the latter is Redis's and not to
 * be loaded (aof_is_loaded is false). If a file that is to be loaded turns out to be Redis's, the
 * loader refuses it. The folder is appenddirname, or NULL. Appends the name of the file found.
 */
bool foreign_files_find(const char *appendfilename, const char *dbfilename,
    const char *appenddirname, bool aof_is_loaded, struct buffer *name);

/* True if the file begins like one of Redis. */
bool foreign_files_is_of_redis(const char *path);

#endif
