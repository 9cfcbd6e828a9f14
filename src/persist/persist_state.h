#ifndef PERSIST_PERSIST_STATE_H
#define PERSIST_PERSIST_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/aof_writer.h"
#include "persist/dump_file.h"
#include "persist/persist.h"
#include "persist/state_machine.h"
#include "persist/transfer.h"

/* The body of struct persist, for the files persist*.c only. */

/* How the last dump of a kind ended. */
struct dump_record {
	enum dump_outcome outcome;
	bool is_failing;   /* the last one that was not cancelled failed */
	uint64_t retry_us; /* the next one does not begin automatically before this time */
	int64_t seconds;   /* duration; -1: none */
	uint64_t ended, good;
};

/* The dump under way. */
struct dump_job {
	uint64_t begun_us;
	uint64_t generation; /* generation of the log that a rewrite is for, or of a rename */
	uint64_t changes;    /* number of changes that the snapshot contains */
	int error;           /* why it failed */
};

/* Why writes are refused. */
enum refusal { REFUSAL_NONE, REFUSAL_HANDED_OVER, REFUSAL_LOG, REFUSAL_SNAPSHOT };

/* A transfer goes through its phases in this order; it may end in any of them. */
enum transfer_phase {
	TRANSFER_NONE,
	TRANSFER_RESERVED, /* no dump begins any more */
	TRANSFER_COLLECTS, /* the child was started: changes are collected */
	TRANSFER_SYNCS,    /* the append-only file is synced under every policy, too */
	TRANSFER_SEALED,   /* a further change is a fault */
};

struct persist_transfer {
	enum transfer_phase phase;
	struct dump_child child; /* may outlive the transfer until it has ended */
	void *watch;
	struct transfer_copy copy; /* done: NULL if its result is not wanted */
	struct buffer queue;       /* changes, from sent on */
	size_t sent;
	uint64_t offset;   /* of the next change in the stream */
	const char *fault; /* a literal */
};

struct persist {
	struct persist_config config;
	struct persist_host host;
	const struct disk *disk;
	struct state_machine machine;
	uint32_t scheduled;        /* dumps, as 1 << enum dump_kind */
	bool are_dumps_held;       /* see persist_hold_dumps */
	struct aof_writer *writer; /* NULL until there is something to write */
	void *watch;
	struct aof_report report; /* the last */
	uint64_t last_number;     /* of the batch passed to the writer last */
	int lock_fd;              /* -1: no data is kept in the folder */
	uint64_t generation;      /* of the log file opened last */
	uint64_t rename_generation;
	uint64_t base_bytes; /* size of the file after the last rewrite or at the start */
	struct dump_child child;
	void *child_watch;
	struct dump_job job;
	struct persist_transfer transfer;
	struct dump_record records[2]; /* by enum dump_kind */
	uint64_t fork_us;
	int64_t save_time;
	uint64_t starts;       /* attempts to switch the log on */
	char start_error[256]; /* of the last failed attempt */
	bool keeps_starting;   /* a failure is retried at start_retry_us */
	uint64_t start_retry_us;
	enum refusal refusal; /* as last reported to the server */
	int refusal_error;
	bool handed_over;
	uint64_t next_due_check_us, next_file_check_us;
};

bool persist_lock(struct persist *p, struct buffer *error) __attribute__((warn_unused_result));
bool persist_open_writer(struct persist *p, struct buffer *error)
    __attribute__((warn_unused_result));
void persist_configure_writer(struct persist *p);
void persist_flush(struct persist *p); /* passes the changes to the writer */
void persist_set_journal(struct persist *p, bool is_on);
void persist_end_crowd(struct persist *p); /* writers continue if half of the room is free */
/* The fault of the log, if it is on. */
struct log_fault persist_fault(const struct persist *p);

void persist_derive_refusal(struct persist *p); /* tells the server if it has changed */

/* Steps the state machine and carries out its actions. Returns them. */
uint32_t persist_event(struct persist *p, enum state_machine_event event);

/* persist_dump.c: rewrites and snapshots. */
void persist_start_due_dumps(struct persist *p); /* begins scheduled and due dumps */
/* Removes the file of the dump under way, unless another process may own it. */
void persist_remove_temp(struct persist *p);
void persist_dump_actions(struct persist *p, uint32_t actions, enum dump_phase before);
bool persist_write_log_at_exit(struct persist *p) __attribute__((warn_unused_result));

/* persist_transfer.c */
bool persist_transfer_collects(const struct persist *p);
void persist_transfer_add(struct persist *p, struct slice commands); /* if it collects */

#endif
