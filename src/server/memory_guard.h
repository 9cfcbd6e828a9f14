#ifndef SERVER_MEMORY_GUARD_H
#define SERVER_MEMORY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rate_limit.h"

/*
 * Memory guard: keeps the queued messages of all clients below maxmemory-pubsub. Publishers wait
 * (WAIT_MEMORY) while there is no room; if that does not help, the clients with the most queued
 * bytes are closed.
 */
struct client;
struct server;

struct memory_guard {
	/* Of the clients in WAIT_MEMORY now, as far as they can ever get it: */
	size_t wanted;          /* the most that one of their messages needs */
	uint64_t oldest_us;     /* the longest of them waits since then */
	bool is_stale;          /* ... this is to be worked out anew */
	bool is_short;          /* too little is free: */
	bool is_asked;          /* before anybody is cut, the waiting requests are tried again */
	uint64_t over_since_us; /* the limit is passed since then; 0: it is not */
	uint64_t relaxed_us;    /* there was room at that time */
	bool passing;           /* debtors are being looked for: */
	struct client *at;      /* where; NULL: a pass has ended */
	size_t threshold;       /* who is owed as much is cut in this pass */
	size_t most;            /* that anyone else is owed, as seen in this pass */
	size_t pending;         /* cut clients whose memory is not let go of yet: no more are cut */
	size_t cut_count;       /* while it is short */
	struct rate_limit log_limit;
};

void memory_guard_init(struct server *server);

/* Once a turn. Returns in how many us it wants to be called again. */
uint64_t memory_guard_turn(struct server *server, uint64_t now_us);

/* The limit may have changed. */
void memory_guard_reconfigured(struct memory_guard *guard);

void memory_guard_forget(struct client *c);   /* it leaves the list of clients */
void memory_guard_released(struct client *c); /* it is freed */

#endif
