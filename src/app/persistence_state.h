#ifndef APP_PERSISTENCE_STATE_H
#define APP_PERSISTENCE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/persistence.h"
#include "persist/aof_copy.h"
#include "persist/aof_file.h"
#include "persist/aof_writer.h"
#include "persist/dump_file.h"
#include "persist/keyspace.h"
#include "server/disk.h"
#include "server/journal.h"

/* What the files persistence*.c share: the body of struct persistence. For them only. */
enum dump_kind { DUMP_NONE, DUMP_REWRITE, DUMP_SNAPSHOT };

struct persistence {
	const struct settings *settings;
	struct server *server;
	struct persist_keyspace keyspace;
	struct net *net;
	struct aof_writer *writer; /* NULL: nothing was ever to be written */
	struct net_watch *watch;
	struct aof_report report; /* the last */
	int lock_fd;              /* -1: nothing is kept in the folder */
	bool is_on;               /* changes go to the writer */
	bool is_switching;        /* ... but their file is not there before the rewrite is done */
	uint32_t appendfsync;     /* that holds */
	uint64_t base_bytes;      /* of the file, after the last rewrite or at the start */
	struct dump_child child;
	struct net_watch *child_watch;
	enum dump_kind running;                 /* in the child, or until its file has its place */
	enum dump_kind wanted;                  /* to begin at the end of the turn */
	bool rewrite_scheduled, save_scheduled; /* when nothing else goes on */
	bool is_stale;     /* what the child writes is not to be used any more */
	uint64_t begun_us; /* running */
	uint64_t changes_at_fork;
	uint64_t tried_us; /* when the last rewrite or snapshot ended that failed */
	bool rewrite_failed, save_failed;
	int64_t save_time, save_s, rewrite_s;
	uint64_t saves, good_saves, rewrites, fork_us;
	uint64_t next_look_us;
	enum disk_last_save last_save;
};

bool persistence_lock(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));
bool persistence_open_writer(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));
void persistence_flush(struct persistence *p); /* what was changed goes to the writer */
void persistence_switch_journal(struct persistence *p, bool on);
void persistence_say_misconf(struct persistence *p); /* what writers are told, as things are now */

/* persistence_dump.c: rewrites and snapshots. */
enum disk_answer persistence_rewrite(struct persistence *p);
enum disk_answer persistence_save(struct persistence *p, bool may_wait);
bool persistence_save_now(struct persistence *p);
/* At the end: if the append-only file is not there yet, it is written, for the rewrite will not. */
void persistence_end_switch(struct persistence *p);
void persistence_begin_wanted(struct persistence *p); /* at the end of a turn, all handed over */
void persistence_look(struct persistence *p, uint64_t now_us); /* is something due? */
void persistence_switch(struct persistence *p);                /* appendonly may have changed */
void persistence_reported(struct persistence *p, const struct aof_report *before);
void persistence_figures(const struct persistence *p, struct server_disk_figures *figures);

#endif
