#ifndef SERVER_SWEEP_H
#define SERVER_SWEEP_H

#include <stdint.h>

#include "server/statistics.h"

/* Sweep: checks each client about once a second for limits that depend on time. */
struct client;
struct server;

struct sweep {
	uint64_t next_us;
	struct client *at;                    /* next client; NULL: between two sweeps */
	struct client_peaks peaks;            /* of the current sweep */
	struct subscriber_counts subscribers; /* ... */
};

/* Called once a turn. Returns the time until the next call, in us. */
uint64_t sweep_turn(struct server *server, uint64_t now_us);

/* Begins a new sweep at once: limits may have changed. */
void sweep_restart(struct sweep *sweep);

void sweep_forget(struct client *c); /* it is removed from the list of clients */

#endif
