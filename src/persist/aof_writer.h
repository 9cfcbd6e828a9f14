#ifndef PERSIST_AOF_WRITER_H
#define PERSIST_AOF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Writer of the append-only file: a thread that does all writing and syncing, so that the loop
 * never waits for a disk.
 *
 * The loop hands it batches (one a turn), which it writes in order, several at once where several
 * have come meanwhile: that is the group commit. What it has done it reports, and makes wake_fd
 * readable. Invariant: in the file stand whole batches only, but in the middle of a write; one that
 * could not be written whole is cut off again, kept in memory, and tried again a second later, as
 * long as it takes.
 */
struct aof_writer;

enum aof_sync { AOF_SYNC_ALWAYS, AOF_SYNC_EVERYSEC, AOF_SYNC_NO };

struct aof_report {
	uint64_t kept;     /* number of the last batch that is as safe as aof_sync asks */
	int error;         /* errno of what went wrong last, as long as it does; 0: all is well */
	bool sync_failed;  /* ... it was fdatasync */
	uint64_t size;     /* of the file */
	uint64_t waiting;  /* bytes handed over and not yet written */
	uint64_t syncs;    /* done */
	uint64_t late_us;  /* the longest that one took */
	uint64_t adopted;  /* files that took the place of the one before: aof_writer_adopt */
	uint64_t refused;  /* ... that could not */
	int refused_error; /* the last time: errno */
	uint64_t renames;  /* done, or not: rename_error of the last one */
	int rename_error;  /* errno, or 0 */
};

/*
 * Returns owned (aof_writer_free); NULL with errno. sync says what holds from the first batch on.
 */
struct aof_writer *aof_writer_new(enum aof_sync sync);

/* Takes batches from now on to this file, whose end is its offset. Takes fd. What was written to
 * before is closed. */
void aof_writer_open(struct aof_writer *w, int fd, uint64_t offset);

/* Does all that was ordered, syncs, and ends the thread. False: something could not be written.
 * NULL is allowed. */
bool aof_writer_free(struct aof_writer *w);

/* Takes what is in batch. Numbers grow. */
void aof_writer_append(struct aof_writer *w, uint64_t number, struct buffer *batch);

void aof_writer_set_sync(struct aof_writer *w, enum aof_sync sync);

/* While it holds, everysec does not sync: no-appendfsync-on-rewrite. */
void aof_writer_spare_disk(struct aof_writer *w, bool spare);

/* Remembers where the file is after all batches so far: a file made of the state of now goes on
 * from there. */
void aof_writer_mark(struct aof_writer *w);

/*
 * The file temp_path, which holds the state as of the mark, takes the place of path: what the old
 * one got since is copied behind it, it is synced and renamed, and batches go there from then on.
 * All the while they are written to the old one. Copies the paths, takes fd.
 */
void aof_writer_adopt(struct aof_writer *w, int fd, const char *temp_path, const char *path);

/* Writes to no file any more, and forgets what could not be written: appendonly no. */
void aof_writer_stop(struct aof_writer *w);

/* Renames, and syncs the folder. Copies both. */
void aof_writer_rename(struct aof_writer *w, const char *temp_path, const char *path);

uint64_t aof_writer_waiting(const struct aof_writer *w); /* bytes handed over and not yet written */
int aof_writer_wake_fd(const struct aof_writer *w);

/* What there is to know now; wake_fd is not readable until something changes. */
void aof_writer_report(struct aof_writer *w, struct aof_report *report);

#endif
