#ifndef CMD_TESTING_PRESENCE_H
#define CMD_TESTING_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/upstream_presence.h"

/* For tests of server, cmd and edge: an upstream of test_server that keeps the members of several
 * nodes, and does what the test says. */
struct test_presence {
	size_t room;                 /* changes that can be told */
	enum upstream_sending sends; /* what becomes of the next queries */
	uint64_t ticket;             /* of the last query */
	size_t queries, changes, begins, registered;
	size_t told_before; /* changes before the last query */
	uint64_t lease_ms;  /* of the end; 0: it has not ended */
};

extern struct test_presence test_presence;

/* To be called after test_setup(); it lasts until test_teardown(). Room for 1000 changes. */
void test_presence_begin(void);

/* What was told since the last call, a line each: "join room ann=info*", and behind it the message
 * that the upstream would publish: " > __presence__:room {...}". Runs turns. */
const char *test_presence_told(void);

/* The text of a change, in the same form without a newline. */
const char *test_presence_text(const struct upstream_presence_change *change);

/* The last query: "members room 0 100", "count a b", "channels after x". */
const char *test_presence_asked(void);

/* Answers the query of this ticket with items "name info number", separated by commas. */
void test_presence_answer(uint64_t ticket, uint64_t cursor, const char *items);
void test_presence_refuse(uint64_t ticket);

#endif
