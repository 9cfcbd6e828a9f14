#ifndef TOOL_SWEEP_H
#define TOOL_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Gives the keys of a server their real expiry times after an import (import/postpone.h), in
 * rounds: SCAN finds some keys of a database, PEXPIRETIME asks when each expires, and PEXPIREAT
 * sets the real time of those that have a replaced one; a key whose real time has passed is thereby
 * removed. All databases are searched, because MOVE, COPY and SWAPDB carry times from one to
 * another. It is told all replies.
 */
struct connection;
struct postpone;
struct resp_value;

enum sweep_state {
	SWEEP_IDLE,
	SWEEP_SCANS,
	SWEEP_ASKS,
	SWEEP_SETS,
	SWEEP_DONE, /* all databases were searched */
};

struct sweep_key {
	size_t from, len; /* in names */
	bool is_replaced;
	int64_t real_ms;
};

/* Initially zero except for what is borrowed. */
struct sweep {
	const struct postpone *postpone; /* borrowed */
	struct connection *connection;   /* borrowed */
	enum sweep_state state;
	bool asks_left; /* the server knows PTTL, but not PEXPIRETIME */
	bool ask_again;
	uint64_t database;
	struct buffer cursor, names;
	bool has_selected;      /* the database */
	bool has_failed;        /* to search a database: error has the reply */
	struct sweep_key *keys; /* owned */
	size_t count, room;     /* of keys */
	size_t awaited;         /* replies */
	size_t answered;        /* of these */
	struct buffer error;
	uint64_t removed, failed; /* keys */
};

/* Sends the next commands. False: nothing is left to do. */
bool sweep_go_on(struct sweep *sweep) __attribute__((warn_unused_result));

/* A reply has arrived; true if it was the last one awaited, so that sweep_go_on() is next. */
bool sweep_reply(struct sweep *sweep, const struct resp_value *value)
    __attribute__((warn_unused_result));

void sweep_release(struct sweep *sweep);

#endif
