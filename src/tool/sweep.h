#ifndef TOOL_SWEEP_H
#define TOOL_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Removes from a server the keys that have expired while their files were imported
 * (import/overdue.h), in rounds: it asks when each of some keys expires, then removes those that do
 * at the time that stands for the past. It is told all replies.
 */
struct connection;
struct overdue;
struct resp_value;

#define SWEEP_KEYS 256

enum sweep_state { SWEEP_IDLE, SWEEP_ASKS, SWEEP_REMOVES };

struct sweep_key {
	uint64_t database;
	size_t from, len; /* in names */
	bool is_over;
};

struct sweep {
	struct overdue *overdue;       /* borrowed */
	struct connection *connection; /* borrowed */
	enum sweep_state state;
	struct buffer names;
	struct sweep_key keys[SWEEP_KEYS];
	size_t count;    /* of keys */
	size_t awaited;  /* replies: two for each command, because SELECT comes before it */
	size_t answered; /* of these */
	uint64_t removed, failed;
};

/* Sends the next commands. False: nothing is left to do. */
bool sweep_go_on(struct sweep *sweep) __attribute__((warn_unused_result));

/* A reply has arrived; true if it was the last one awaited, so that sweep_go_on() is next. */
bool sweep_reply(struct sweep *sweep, const struct resp_value *value)
    __attribute__((warn_unused_result));

void sweep_release(struct sweep *sweep);

#endif
