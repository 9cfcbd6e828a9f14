#ifndef SERVER_DISK_H
#define SERVER_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Persistence as commands use it; filled in by app. */
struct server;

enum disk_answer {
	DISK_STARTED,
	DISK_SCHEDULED, /* begins when the current one has ended */
	DISK_SAVING,    /* refused: a snapshot is being written */
	DISK_REWRITING, /* refused: the append-only file is being rewritten */
	DISK_UNABLE,    /* refused: this process cannot write files there; logged */
};

enum disk_last_save { DISK_SAVE_BY_RULES, DISK_SAVE_ALWAYS, DISK_SAVE_NEVER };

struct server_disk_figures {
	bool aof_on, rewriting, rewrite_scheduled, rewrite_failed, write_failed, sync_failed,
	    saving, save_failed, save_done; /* last snapshot; neither: cancelled */
	uint64_t saves;                     /* ended, whether they succeeded or failed */
	int64_t save_time;                  /* Unix time of the last successful one */
	int64_t save_s, rewrite_s;          /* duration of the last one; -1: none */
	int64_t current_save_s,
	    current_rewrite_s; /* duration so far of the current one; -1: none */
	uint64_t good_saves, rewrites, fork_us, size, base_size, waiting_bytes, unsynced_bytes,
	    syncs, slowest_sync_us;
};

struct server_disk {
	enum disk_answer (*rewrite)(void *arg);
	enum disk_answer (*save)(void *arg, bool may_wait); /* may_wait: it may be scheduled */
	void (*save_behind)(void *arg);                     /* after the current one, if any */
	/*
	 * Saves in this process, at once: SHUTDOWN SAVE. False: it failed, and the failure was
	 * logged.
	 */
	bool (*save_now)(void *arg);
	bool (*has_save_rules)(void *arg);
	/*
	 * Chooses whether a snapshot is written when the daemon ends; by default the save rules
	 * decide. is_forced: the daemon ends even if that snapshot fails.
	 */
	void (*set_last_save)(void *arg, enum disk_last_save when, bool is_forced);
	void (*figures)(void *arg, struct server_disk_figures *figures);
	void *arg;
};

void server_set_disk(struct server *server, const struct server_disk *disk); /* copies */

/*
 * A snapshot, or switching on the append-only file, has ended: resumes commands that wait for it
 * (SAVE, CONFIG SET).
 */
void server_disk_ended(struct server *server);

#endif
