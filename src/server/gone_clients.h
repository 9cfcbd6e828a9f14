#ifndef SERVER_GONE_CLIENTS_H
#define SERVER_GONE_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Gone clients: closed clients, each of which is freed when all that it has left is removed: its
 * subscriptions, members, armed channels and tracked keys. There may be a million of them, so they
 * are removed in slices.
 */
struct client;
struct server;

/* Takes a client that was closed; it may be freed at once. */
void gone_clients_add(struct client *c);

/* Called once a turn: at least one step, and more until deadline_us. True if more can be done at
 * once. */
bool gone_clients_turn(struct server *server, uint64_t deadline_us);

void gone_clients_free(struct server *server); /* all of them */

#endif
