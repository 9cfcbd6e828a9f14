#ifndef PERSIST_DATA_FOLDER_H
#define PERSIST_DATA_FOLDER_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * The working folder holds the data of one daemon: a lock file in it is locked as long as the
 * process lives.
 */
#define DATA_FOLDER_LOCK "fanfared.lock"
#define REWRITE_TEMP "fanfared-rewrite.tmp"
#define SNAPSHOT_TEMP "fanfared-snapshot.tmp"
#define FOREGROUND_TEMP "fanfared-last.tmp"
#define STARTING_LOG_TEMP "fanfared-since.tmp"
#define HISTORY_TEMP "fanfared-history.tmp"

/* *fd holds the lock. Removes incomplete files of an earlier daemon. False: error says why, and
 * errno is EAGAIN if another daemon holds it. may_wait: waits up to a second for that to end. */
bool data_folder_lock(int *fd, bool may_wait, struct buffer *error)
    __attribute__((warn_unused_result));

/* Writes this process's id to the lock file, for people. */
void data_folder_name_owner(int fd);

#endif
