#ifndef PERSIST_DATA_FOLDER_H
#define PERSIST_DATA_FOLDER_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * The working folder as the place of one daemon's data: it is locked by a file in it, for as long
 * as the process lives.
 */
#define DATA_FOLDER_LOCK "fanfared.lock"
#define REWRITE_TEMP "fanfared-rewrite.tmp"
#define SNAPSHOT_TEMP "fanfared-snapshot.tmp"
#define FOREGROUND_TEMP "fanfared-last.tmp"
#define STARTING_LOG_TEMP "fanfared-since.tmp"

/* *fd holds the lock; files that a daemon before left half-written are removed. False: error says
 * why. may_wait: for a second, where another has it. */
bool data_folder_lock(int *fd, bool may_wait, struct buffer *error)
    __attribute__((warn_unused_result));

#endif
