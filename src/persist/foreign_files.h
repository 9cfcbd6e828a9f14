#ifndef PERSIST_FOREIGN_FILES_H
#define PERSIST_FOREIGN_FILES_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Files of Redis in the working folder that fanfared cannot load: a snapshot (dump.rdb), a folder
 * of append-only files (appendonlydir), or an append-only file that begins with a snapshot.
 */

/*
 * True if there is one, and none of fanfared's: neither a snapshot named dbfilename nor an
 * append-only file named appendfilename that can be loaded. Its name is appended. aof_is_loaded:
 * the append-only file is what the daemon loads, else only one with fanfared's headers is its own.
 */
bool foreign_files_find(
    const char *appendfilename, const char *dbfilename, bool aof_is_loaded, struct buffer *name);

#endif
