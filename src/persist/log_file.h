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
 * of its own, and time comes from a function, so that a test can walk every state.
 *
 * Invariants:
 * - `synced` is the only position that counts. A batch is kept if its number is not above
 *   synced.number; every batch behind it is in memory, whatever the policy.
 * - The file is never cut below the end of the last batch that was written whole. After a sync that
 *   failed all batches behind `synced` are written again, in place: their offsets do not change.
 * - A rewritten file takes the place of this one only when it holds every batch that this one
 *   holds. Nothing counts as kept by it before its name is synced.
 *
 * States: STOPPED (no file; every batch so far is settled), WRITING, FAILING (the last write, cut
 * or sync failed; tried again at retry_us). A copy is NONE, RUNNING (reads the old file, writes the
 * new one) or RENAMED (the new file has the name and is written to; the folder is not synced yet).
 * In STOPPED there is no copy.
 */
struct disk;

enum aof_sync { AOF_SYNC_ALWAYS, AOF_SYNC_EVERYSEC, AOF_SYNC_NO };

enum log_state { LOG_STOPPED, LOG_WRITING, LOG_FAILING };
enum copy_state { COPY_NONE, COPY_RUNNING, COPY_RENAMED };

struct log_position {
	uint64_t offset; /* in the file */
	uint64_t number; /* of the last batch before it */
};

/* A rewritten file on its way to the place of the old one. */
struct log_copy {
	enum copy_state state;
	int fd;                   /* of the new file, while RUNNING */
	char *temp_path, *path;   /* owned: its name, and the name that it gets */
	struct log_position from; /* offset: what of the old file is copied; number: batches up to
				     this one are part of the new file's beginning */
	uint64_t seen;            /* of the old file, as of the last step */
	uint64_t unsynced;        /* bytes of the new file */
	uint64_t to;              /* the end of the new file */
	struct buffer batch;      /* scratch */
};

/* What is wrong, as long as it is. */
struct log_fault {
	int error;          /* errno; 0: nothing */
	bool is_sync;       /* a sync failed, not a write */
	bool needs_rewrite; /* the file was cut or removed by somebody else: no retry helps */
};

struct log_file {
	const struct disk *disk;
	uint64_t (*clock_us)(void);
	enum log_state state;
	enum aof_sync policy;
	bool spares_disk;            /* everysec does not sync: no-appendfsync-on-rewrite */
	bool is_ending;              /* sync whatever the policy, retry soon */
	uint64_t unsynced_max_bytes; /* from half of it on batches are synced whatever the policy */
	int fd;
	char *path;          /* owned; NULL: it has no name, and is gone when it is closed */
	uint64_t generation; /* of the file: a copy for another one is refused */
	struct batches batches;
	struct batch *next_write; /* the first QUEUED one; NULL: none */
	struct log_position synced;
	uint64_t base_number;      /* batches up to this one are in the file's beginning */
	uint64_t file_end;         /* of the last batch that was written whole */
	bool has_partial;          /* behind file_end a part of a batch may stand */
	uint64_t end;              /* of the last batch in memory, when it will be written */
	uint64_t last_number;      /* of the last batch that came */
	uint64_t must_sync_number; /* batches up to this one are synced whatever the policy: they
				 came under another one, and replies wait for them */
	uint64_t unwritten_bytes, unsynced_bytes;
	struct log_position mark;
	struct log_copy copy;
	struct log_fault fault;
	uint64_t retry_us;
	uint64_t synced_us;       /* when the last sync ended */
	uint64_t gather_bytes;    /* with so much to be written the next sync begins at once */
	uint64_t gather_until_us; /* ... and then in any case */
	/* Figures. */
	uint64_t syncs, slowest_sync_us;
	uint64_t placed; /* copies that have ended */
	int place_error; /* of the last: 0, errno, ECANCELED */
	int stop_error;  /* of the last log_file_stop(): 0, or why not all was written */
};

/* Borrows disk. No file is open. */
void log_file_init(struct log_file *log, const struct disk *disk, uint64_t (*clock_us)(void));
void log_file_release(struct log_file *log); /* closes; writes nothing */

/* Batches go to this file from now on, whose end is offset. Takes fd, copies path (NULL: no name).
 * A file that was open is stopped first. */
void log_file_open(
    struct log_file *log, int fd, uint64_t offset, uint64_t generation, const char *path);

/* From now on; what came under always is synced all the same. */
void log_file_set_policy(struct log_file *log, enum aof_sync policy);

/* Takes what is in commands. Numbers grow. */
void log_file_append(struct log_file *log, uint64_t number, struct buffer *commands);

/* Remembers the end of all batches so far: a file made of the state of now goes on from there. */
void log_file_mark(struct log_file *log);

/*
 * The file temp_path, which is synced and holds the state as of the mark, is to take the place of
 * path. Takes fd, copies the paths. Refused with ECANCELED if no file of this generation is open;
 * then, and whenever it fails, temp_path is removed.
 */
void log_file_adopt(
    struct log_file *log, int fd, const char *temp_path, const char *path, uint64_t generation);

/* Tries once to write and sync what is in memory, then closes the file: all batches are settled. */
void log_file_stop(struct log_file *log);

/* Now and then: looks whether the file is what was written, also when nothing is to be written. */
void log_file_check(struct log_file *log);

/* The end of the daemon: gives up a copy, and syncs from now on whatever the policy says. */
void log_file_end(struct log_file *log);

/* Does what is due: writes, syncs, copies a piece. */
void log_file_work(struct log_file *log);

/* When log_file_work() has something to do, if nothing comes before; UINT64_MAX: never. */
uint64_t log_file_due_us(const struct log_file *log);

/* True if all batches are settled and no copy is under way. */
bool log_file_is_settled(const struct log_file *log);

#endif
