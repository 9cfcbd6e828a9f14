#ifndef SERVER_SWEEP_H
#define SERVER_SWEEP_H

#include <stdint.h>

#include "server/statistics.h"

/* Sweep: looks at each client about once a second, for limits that depend on time. */
struct client;
struct server;

struct sweep {
	uint64_t next_us;
	struct client *at;         /* where it is; NULL: at rest */
	struct client_peaks peaks; /* of the sweep under way */
};

/* Once a turn. Returns in how many us it wants to be called again. */
uint64_t sweep_turn(struct server *server, uint64_t now_us);

/* A new sweep begins at once: limits may have changed. */
void sweep_restart(struct sweep *sweep);

void sweep_forget(struct client *c); /* it leaves the list of clients */

#endif
