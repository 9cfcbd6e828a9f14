#ifndef PERSIST_AOF_FILE_H
#define PERSIST_AOF_FILE_H

#include <stdbool.h>
#include <stddef.h>

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

/* for_writing: so that it can be mended. False with errno. */
bool aof_file_open(struct aof_file *file, const char *path, bool for_writing)
    __attribute__((warn_unused_result));
void aof_file_close(struct aof_file *file);

/*
 * Makes a file end well that ends early (scan said AOF_CUT with these commands), or takes off what
 * is damaged and all behind it (AOF_DAMAGED): cuts it to scan->keep, then corrects the header of
 * the last batch. Where it is interrupted in between, the file only ends early again. Synced. False
 * with errno. The mapped bytes behind scan->keep are gone.
 */
bool aof_file_mend(struct aof_file *file, const struct aof_scan *scan, struct slice commands)
    __attribute__((warn_unused_result));

#endif
