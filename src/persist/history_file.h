#ifndef PERSIST_HISTORY_FILE_H
#define PERSIST_HISTORY_FILE_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * History file: what a daemon keeps of channels, from its graceful end to its next start. Positions
 * of messages go on with the next number after it, so it is used once at most: when it has been
 * read, it is removed, and the removal is synced, before a message gets a position. Otherwise a
 * second start from the same file, after a crash, would give positions a second time.
 *
 * Format and checksums are those of a snapshot (aof.h). What is in it, and the verdict on its
 * consistency, are the caller's: `history` is a keyspace whose commands are those of
 * server/history_image.h. Whenever history_file_take() does not return HISTORY_FILE_TAKEN, the
 * caller begins a new epoch.
 *
 * A daemon that serves without having used the file removes it before its first message: a later
 * start would continue from before that daemon, and its readers would miss the messages between.
 */
struct disk;
struct persist_keyspace;

#define HISTORY_FILE "fanfared.history"
#define HISTORY_FILE_BROKEN "fanfared.history.broken"

/* Writes the file beside and renames it; the folder is synced. False: error says why, and there is
 * no file, or a complete one. */
bool history_file_write(const struct disk *disk, const struct persist_keyspace *history,
    struct buffer *error) __attribute__((warn_unused_result));

/* True: there is no file any more, and that is synced; *existed says whether there was one. False:
 * error says why. */
bool history_file_remove(const struct disk *disk, bool *existed, struct buffer *error)
    __attribute__((warn_unused_result));

enum history_file_result {
	HISTORY_FILE_TAKEN, /* carried out and removed */
	HISTORY_FILE_NONE,  /* there is no file */
	HISTORY_FILE_BAD, /* damaged, incomplete or inconsistent: renamed to HISTORY_FILE_BROKEN */
	HISTORY_FILE_UNUSED, /* it could not be read, or not be removed */
};

/* Unless it is TAKEN or NONE, error says why. A part may have been carried out in any case. */
enum history_file_result history_file_take(
    const struct disk *disk, const struct persist_keyspace *history, struct buffer *error)
    __attribute__((warn_unused_result));

#endif
