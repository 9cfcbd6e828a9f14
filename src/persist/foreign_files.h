#ifndef PERSIST_FOREIGN_FILES_H
#define PERSIST_FOREIGN_FILES_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Files of Redis in the working folder that fanfared does not look at: a snapshot (dump.rdb), a
 * folder of append-only files (appendonlydir), an append-only file that is not to be loaded.
 */

/*
 * True if there is one, and nothing that fanfared loads or once wrote: no snapshot named dbfilename
 * and no append-only file named appendfilename, unless that is Redis's and not to be loaded
 * (aof_is_loaded). What is loaded and turns out to be of Redis is for the loader to refuse. The
 * name of what was found is appended.
 */
bool foreign_files_find(
    const char *appendfilename, const char *dbfilename, bool aof_is_loaded, struct buffer *name);

#endif
