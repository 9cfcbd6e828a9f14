#ifndef PERSIST_PERSIST_H
#define PERSIST_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/log_file.h"

/*
 * Persistence: keeps the keyspace on disk, from the start of the daemon to its end.
 *
 * It loads the file on disk, passes each turn's changes to the writer of the append-only file,
 * tells the server which changes are durable, and starts a child process for each snapshot or
 * rewrite, one at a time. state_machine.h defines the states; this module carries out their
 * actions. The files are in the working folder, which is locked against a second daemon as long as
 * this one keeps data there. No file is opened, and no thread started, before there is something to
 * keep.
 *
 * All functions are for the main loop's thread only.
 */
struct disk;
struct persist;
struct persist_keyspace;

struct persist_save_rule {
	int64_t seconds, changes;
};

#define PERSIST_SAVE_RULES_MAX 16

/* The settings. Names are plain file names in the working folder. */
struct persist_config {
	bool appendonly; /* for persist_start() only: see persist_switch_on() */
	const char *log_name, *snapshot_name; /* borrowed; constant */
	const char *redis_folder; /* ... Redis's append-only files lie in it; NULL: in none */
	enum aof_sync policy;
	bool no_sync_on_rewrite;
	uint32_t rewrite_percentage;
	uint64_t rewrite_min_bytes;
	bool load_truncated;
	struct persist_save_rule rules[PERSIST_SAVE_RULES_MAX];
	size_t rule_count;
	bool stop_on_save_error;
	bool ignore_redis_files; /* persist_start() ignores them */
	bool keeps_folder;       /* others keep files there, too: it is always locked */
	uint64_t unsynced_max_bytes;
	uint32_t end_timeout_s;
};

/* The callbacks into the server and the loop that persistence needs. */
struct persist_host {
	const struct persist_keyspace *keyspace;
	/* See server/journal.h. */
	void (*journal_set)(void *arg, bool is_on, bool holds);
	bool (*journal_take)(void *arg, struct buffer *batch, uint64_t *number);
	void (*journal_kept)(void *arg, uint64_t number);
	void (*journal_failed)(void *arg, const char *error);
	void (*journal_crowded)(void *arg, bool crowded);
	void (*journal_forget_database)(void *arg);
	void (*refuse_writes)(void *arg, const char *error);
	uint64_t (*changes)(void *arg);
	void (*saved)(void *arg, uint64_t changes);
	/* A dump or a switch of the log has ended: the commands that wait for it are retried. */
	void (*ended)(void *arg);
	/* The log was renamed to its final name: appendonly is "yes" from now on. */
	void (*accepted)(void *arg);
	/* Calls ready(ready_arg) when fd is readable. NULL: it failed. */
	void *(*watch)(void *arg, int fd, void (*ready)(void *ready_arg), void *ready_arg);
	void (*unwatch)(void *arg, void *watch); /* NULL is allowed */
	bool has_thread; /* the writer has a thread; false: persist_run_writer() does its work
			    (tests) */
	void *arg;
};

/* Borrows disk and the names in config, copies the rest. Returns owned. */
struct persist *persist_new(
    const struct persist_config *config, const struct persist_host *host, const struct disk *disk);

/* What a start would say of the names of the files, without looking at the folder. False: error
 * says why. */
bool persist_check_names(const struct persist *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* Locks the folder, loads the file there and opens the append-only file, as the settings say.
 * False: error says why. */
bool persist_start(struct persist *p, struct buffer *error) __attribute__((warn_unused_result));

/*
 * The same, at the very first start, with keys from elsewhere: fill puts them into the keyspace,
 * and they are in a file, the log or else a snapshot, before this returns. The file appears as a
 * whole or not at all. False: the folder has data already, or something failed; error says why.
 */
bool persist_import(struct persist *p, bool (*fill)(void *arg, struct buffer *error), void *arg,
    struct buffer *error) __attribute__((warn_unused_result));

/*
 * Call it before the first message, when persist_start() or persist_inherit() and
 * history_file_take() were done: whatever is left of the history file is removed, unless another
 * daemon has locked the folder, so that the file is its own. False: error says why; this process
 * must not serve.
 */
bool persist_discard_history(struct persist *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* Call it when settings other than appendonly have changed. */
void persist_configure(struct persist *p, const struct persist_config *config);

/* While held no dump of the keyspace begins: it is in the middle of a change. */
void persist_hold_dumps(struct persist *p, bool is_held);

/* Call it once a turn: runs timers. Returns the time in us after which to call it again. */
uint64_t persist_turn(struct persist *p, uint64_t now_us);

/* Call it at the end of a turn: passes the turn's changes to the writer, and begins the dumps that
 * are due. */
void persist_turn_ends(struct persist *p);

enum persist_switch {
	PERSIST_SWITCHED, /* the log is on */
	PERSIST_PENDING,  /* call again after host->ended() was called */
	PERSIST_REFUSED,  /* error says why; the log is off */
};

/*
 * Switches the log on, for a command that can wait. *attempt is 0 at first; the caller keeps it for
 * the next calls.
 */
enum persist_switch persist_switch_on(struct persist *p, uint64_t *attempt, struct buffer *error)
    __attribute__((warn_unused_result));

/* The same for a configuration file that was read again: a failure is logged and retried until it
 * succeeds or persist_switch_off() is called. */
void persist_switch_on_retrying(struct persist *p);

void persist_switch_off(struct persist *p);

/* True if the log is on, or being switched on. */
bool persist_is_on(const struct persist *p);

enum persist_answer {
	PERSIST_STARTED,
	PERSIST_SCHEDULED, /* begins after the dump under way */
	PERSIST_SAVING,    /* refused: a snapshot is under way */
	PERSIST_REWRITING, /* refused: a rewrite is under way */
	PERSIST_UNABLE,    /* refused and logged: another process holds the folder */
};

enum persist_answer persist_rewrite(struct persist *p);
/* may_wait: may be scheduled after a rewrite. */
enum persist_answer persist_save(struct persist *p, bool may_wait);

/* A snapshot of the current state or a later one: after the snapshot under way, if there is one. */
void persist_save_after_current(struct persist *p);

/* Writes a snapshot in this process, at once. False: it failed, and was logged. */
bool persist_save_now(struct persist *p) __attribute__((warn_unused_result));

/* Ends persistence: writes the changes in memory, for end_timeout_s at most. False: not all was
 * written, which is logged. NULL is allowed. */
bool persist_free(struct persist *p);

enum dump_outcome { DUMP_NONE_YET, DUMP_DONE, DUMP_FAILED, DUMP_WAS_CANCELLED };

struct persist_figures {
	bool log_is_on, is_rewriting, rewrite_is_scheduled, is_saving;
	struct log_fault fault;
	enum dump_outcome rewrite, save;           /* the last */
	bool rewrite_is_failing, save_is_failing;  /* the last one that was not cancelled failed */
	uint64_t saves, good_saves, good_rewrites; /* number ended; number successful */
	int64_t save_time;                         /* Unix time of the last good snapshot */
	int64_t save_s, rewrite_s;                 /* duration of the last; -1: none */
	int64_t current_save_s, current_rewrite_s; /* duration so far; -1: none */
	uint64_t fork_us, size, base_size, unwritten_bytes, unsynced_bytes, syncs, slowest_sync_us;
};

struct persist_figures persist_figures(const struct persist *p);

/* Without a thread (tests): does the writer thread's work. */
void persist_run_writer(struct persist *p);

#endif
