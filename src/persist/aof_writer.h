#ifndef PERSIST_AOF_WRITER_H
#define PERSIST_AOF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/log_file.h"

/*
 * Writer of the append-only file: a thread that does all writing and syncing (log_file.h), so that
 * the loop never blocks on a disk.
 *
 * The loop sends it orders, among them one batch per turn. They are carried out in the order given;
 * batches that have arrived meanwhile are written and synced together (group commit). The thread
 * reports what it has done, and makes wake_fd readable.
 */
struct aof_writer;
struct disk;

struct aof_writer_settings {
	enum aof_sync policy;
	bool spares_disk; /* while set, the policy everysec does not sync: no-appendfsync-on-rewrite
			   */
	uint64_t unsynced_max_bytes; /* aof-unsynced-max-bytes */
};

struct aof_report {
	uint64_t kept; /* number of the last batch that is synced, or needs no sync because the log
			  was stopped */
	uint64_t generation;    /* of the file that the report is about; 0: there is none */
	struct log_fault fault; /* the current fault, if any */
	uint64_t size;          /* of the file */
	uint64_t unwritten_bytes,
	    unsynced_bytes; /* bytes of batches not yet written, not yet synced */
	uint64_t syncs;
	uint64_t slowest_sync_us;
	uint64_t placed; /* number of finished aof_writer_adopt and aof_writer_rename orders */
	int place_error; /* of the last one: 0, errno, or ECANCELED */
	uint64_t stops;
	int stop_error; /* of the last stop: 0, or the errno if not all was written */
	bool has_ended; /* the thread is about to exit */
};

/*
 * Borrows disk. Returns owned (aof_writer_free); NULL with errno. Without a thread (tests),
 * aof_writer_turn() carries out the orders.
 */
struct aof_writer *aof_writer_new(
    const struct disk *disk, const struct aof_writer_settings *settings, bool has_thread);

/*
 * Carries out all orders, syncs, and ends the thread; a rewritten file that is being adopted is
 * dropped. Takes limit_us at most, and then leaves the thread running until the process exits.
 * False: something could not be written; *needs_rewrite is true if that is because the file was
 * truncated or removed. NULL is allowed.
 */
bool aof_writer_free(struct aof_writer *w, uint64_t limit_us, bool *needs_rewrite);

void aof_writer_configure(struct aof_writer *w, const struct aof_writer_settings *settings);

/* See log_file.h. Takes fd. generation is not 0. */
void aof_writer_open(
    struct aof_writer *w, int fd, uint64_t offset, uint64_t generation, const char *path);

/* Takes the contents of batch. Each number is higher than the last. */
void aof_writer_append(struct aof_writer *w, uint64_t number, struct buffer *batch);

/* See log_file.h. */
void aof_writer_mark(struct aof_writer *w);
void aof_writer_adopt(
    struct aof_writer *w, int fd, const char *temp_path, const char *path, uint64_t generation);
void aof_writer_stop(struct aof_writer *w);
void aof_writer_check_file(struct aof_writer *w);

/* Renames the file and syncs the folder, also while batches cannot be written. Copies both paths.
 */
void aof_writer_rename(
    struct aof_writer *w, const char *temp_path, const char *path, uint64_t generation);

/* When this returns, no rename of an older generation will be carried out any more. */
void aof_writer_refuse_renames(struct aof_writer *w, uint64_t older_than);

/* Closes fd, of a file without a name. That takes a while for a large file. */
void aof_writer_close(struct aof_writer *w, int fd);

uint64_t aof_writer_unwritten(
    const struct aof_writer *w); /* bytes, including orders that the thread has not taken yet */
uint64_t aof_writer_unsynced(const struct aof_writer *w);
int aof_writer_wake_fd(const struct aof_writer *w);

/* The current report. wake_fd is then not readable until something changes. */
void aof_writer_report(struct aof_writer *w, struct aof_report *report);

/* Without a thread: carries out the orders so far, and the work that is due. */
void aof_writer_turn(struct aof_writer *w);

#endif
