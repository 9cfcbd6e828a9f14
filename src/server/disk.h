#ifndef SERVER_DISK_H
#define SERVER_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* What commands ask of whoever keeps the keyspace on disk; filled in by app. */
struct server;

enum disk_answer {
	DISK_STARTED,
	DISK_SCHEDULED, /* to begin when what goes on is over */
	DISK_SAVING,    /* refused: a snapshot is being written */
	DISK_REWRITING, /* refused: the append-only file is being rewritten */
	DISK_UNABLE,    /* refused: this process may not write files there; it is logged */
};

enum disk_last_save { DISK_SAVE_BY_RULES, DISK_SAVE_ALWAYS, DISK_SAVE_NEVER };

struct server_disk_figures {
	bool aof_on, rewriting, rewrite_scheduled, rewrite_failed, write_failed, sync_failed,
	    saving, save_failed, save_done; /* save_...: the last snapshot, neither: cancelled */
	uint64_t saves;                     /* ended, well or not */
	int64_t save_time;                  /* Unix time of the last good one */
	int64_t save_s, rewrite_s;          /* how long the last one took; -1: there was none */
	int64_t current_save_s,
	    current_rewrite_s; /* the one that goes on takes; -1: there is none */
	uint64_t good_saves, rewrites, fork_us, size, base_size, waiting_bytes, unsynced_bytes,
	    syncs, slowest_sync_us;
};

struct server_disk {
	enum disk_answer (*rewrite)(void *arg);
	enum disk_answer (*save)(void *arg, bool may_wait); /* may_wait: be scheduled */
	void (*save_behind)(void *arg); /* behind the one under way, if there is one */
	/* In this process, at once: SHUTDOWN SAVE. False: it failed, and was logged. */
	bool (*save_now)(void *arg);
	bool (*has_save_rules)(void *arg);
	/* Whether changes are to be in a snapshot when the daemon ends: before, it was as the save
	 * rules say. is_forced: it ends even if that snapshot fails. */
	void (*set_last_save)(void *arg, enum disk_last_save when, bool is_forced);
	void (*figures)(void *arg, struct server_disk_figures *figures);
	void *arg;
};

void server_set_disk(struct server *server, const struct server_disk *disk); /* copies */

/* A snapshot has ended, or switching the append-only file on: commands that wait for it (SAVE,
 * CONFIG SET) go on. */
void server_disk_ended(struct server *server);

#endif
