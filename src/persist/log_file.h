#ifndef PERSIST_LOG_FILE_H
#define PERSIST_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/batches.h"

/*
 * The append-only file as its writer sees it: batches, how far the file is written and synced, and
 * the copy that ends a rewrite. The thread of aof_writer.c drives it; it has no thread and no lock
 * of its own, and a function gives it the time, so that a test can reach every state.
 *
 * Invariants:
 *
 * - `synced` alone decides which changes are acknowledged. A batch is durable if its number
 *   is at most synced.number; every later batch is in memory, under every policy.
 * - The file is never truncated below the end of the last whole batch written. After a failed sync
 *   all batches behind `synced` are written again, in place: their offsets do not change.
 * - A rewritten file replaces this one only when it holds every batch that this one holds. No batch
 *   counts as durable through it before its name is synced.
 *
 * States: STOPPED (no file, and no batch in memory), WRITING, FAILING (the last write, truncation
 * or sync failed; it is retried at retry_us). A copy is NONE, RUNNING (reads the old file, writes
 * the new one) or RENAMED (the new file has the name and is written to; the folder is not synced
 * yet). In STOPPED there is no copy.
 */
struct disk;

enum aof_sync { AOF_SYNC_ALWAYS, AOF_SYNC_EVERYSEC, AOF_SYNC_NO };

enum log_state { LOG_STOPPED, LOG_WRITING, LOG_FAILING };
enum copy_state { COPY_NONE, COPY_RUNNING, COPY_RENAMED };

struct log_position {
	uint64_t offset; /* in the file */
	uint64_t number; /* of the last batch before it */
};

/* A rewritten file that is to replace the old one. */
struct log_copy {
	enum copy_state state;
	int fd;                   /* of the new file, in RUNNING */
	char *temp_path, *path;   /* owned: its current and its final name */
	struct log_position from; /* offset: where copying begins in the old file; number: batches
				     up to this one are part of the new file's beginning */
	uint64_t seen;            /* end of the old file at the last step */
	uint64_t unsynced;        /* bytes of the new file */
	uint64_t to;              /* the end of the new file */
	struct buffer batch;      /* scratch */
};

/* The current fault of the file. */
struct log_fault {
	int error;          /* errno; 0: no fault */
	bool is_sync;       /* true: a sync failed; false: a write */
	bool needs_rewrite; /* another process truncated or removed the file: no retry helps */
};

struct log_file {
	const struct disk *disk;
	uint64_t (*clock_us)(void);
	enum log_state state;
	enum aof_sync policy;
	bool spares_disk;            /* everysec does not sync (no-appendfsync-on-rewrite) */
	bool is_ending;              /* sync under every policy, retry soon */
	uint64_t unsynced_max_bytes; /* from half of it on, batches are synced under every policy */
	int fd;
	char *path; /* owned; NULL: the file has no name, and the system removes it when it is
		       closed */
	uint64_t generation; /* of the file: a copy for another generation is refused */
	struct batches batches;
	struct batch *next_write; /* the first QUEUED batch, or NULL */
	struct log_position synced;
	uint64_t base_number;      /* batches up to this one are in the file's beginning */
	uint64_t file_end;         /* end of the last whole batch written */
	bool has_partial;          /* a part of a batch may follow file_end */
	uint64_t end;              /* end of the last batch in memory, once it is written */
	uint64_t last_number;      /* number of the last batch appended */
	uint64_t must_sync_number; /* batches up to this one are synced under every policy: they
				      were appended under `always`, and replies are held for them */
	uint64_t unwritten_bytes, unsynced_bytes;
	struct log_position mark;
	struct log_copy copy;
	struct log_fault fault;
	uint64_t retry_us;
	uint64_t synced_us;       /* when the last sync ended */
	uint64_t gather_bytes;    /* with this many bytes to write, the next sync begins at once */
	uint64_t gather_until_us; /* the time when the next sync begins in any case */
	/* Figures. */
	uint64_t syncs, slowest_sync_us;
	uint64_t placed; /* number of copies that have ended */
	int place_error; /* of the last copy: 0, errno, or ECANCELED */
	int stop_error;  /* of the last log_file_stop(): 0, or the errno if not all was written */
};

/* Borrows disk. No file is open. */
void log_file_init(struct log_file *log, const struct disk *disk, uint64_t (*clock_us)(void));
void log_file_release(struct log_file *log); /* closes; writes nothing */

/* From now on batches go to this file, which ends at offset. Takes fd, copies path (NULL: no name).
 * A file that was open is stopped first. */
void log_file_open(
    struct log_file *log, int fd, uint64_t offset, uint64_t generation, const char *path);

/* Applies from now on. Batches that were appended under `always` are still synced. */
void log_file_set_policy(struct log_file *log, enum aof_sync policy);

/* Takes the contents of commands. Each number is higher than the last. */
void log_file_append(struct log_file *log, uint64_t number, struct buffer *commands);

/* Marks the end of all batches so far: a file with the current state continues from there. */
void log_file_mark(struct log_file *log);

/*
 * Makes the file temp_path, which is synced and holds the state at the mark, replace path. Takes
 * fd, copies the paths. Refused with ECANCELED if no file of this generation is open. Whenever it
 * fails, temp_path is removed.
 */
void log_file_adopt(
    struct log_file *log, int fd, const char *temp_path, const char *path, uint64_t generation);

/* Tries once to write and sync the batches in memory, then closes the file and frees the batches.
 * They count as durable, because no reply may wait for them any longer. */
void log_file_stop(struct log_file *log);

/* Called periodically: checks that no other process has truncated, removed or replaced the file,
 * even if there is nothing to write. */
void log_file_check(struct log_file *log);

/* At the end of the daemon: drops a copy, and from now on syncs under every policy. */
void log_file_end(struct log_file *log);

/* Does the work that is due: writes, syncs, copies a piece. */
void log_file_work(struct log_file *log);

/* The time when log_file_work() next has work, if nothing is called before; UINT64_MAX: never. */
uint64_t log_file_due_us(const struct log_file *log);

/* True if all batches are settled and no copy is under way. */
bool log_file_is_settled(const struct log_file *log);

#endif
