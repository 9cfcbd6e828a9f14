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
	/* Figures of the clients in WAIT_MEMORY whose message is within the limit: */
	size_t wanted;      /* memory that the largest of their messages needs */
	uint64_t oldest_us; /* the start of the longest wait */
	bool is_stale;      /* both are to be computed again */

	bool is_short;    /* there is no room for a waiting message */
	bool has_retried; /* all waiting requests were tried again, before a client is closed */
	uint64_t over_since_us; /* the limit is exceeded since then; 0: it is not */
	uint64_t had_room_us;   /* the last time at which there was room */
	size_t closed_count;    /* clients closed since is_short */
	size_t pending; /* closed clients whose queue is not freed yet: no more are closed */

	/* A pass over the clients looks for long queues: */
	bool in_pass;
	struct client *at; /* the next client; NULL: the pass has ended */
	size_t threshold;  /* clients with so many queued bytes are closed in this pass */
	size_t most;       /* queued bytes of any other client, as seen in this pass */

	struct rate_limit log_limit;
};

void memory_guard_init(struct server *server);

/* Called once a turn. Returns the time until the next call, in us. */
uint64_t memory_guard_turn(struct server *server, uint64_t now_us);

/* The limit may have changed. */
void memory_guard_reconfigured(struct memory_guard *guard);

void memory_guard_forget(struct client *c);   /* it is removed from the list of clients */
void memory_guard_released(struct client *c); /* it is freed */

#endif
