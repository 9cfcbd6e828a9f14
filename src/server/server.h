#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/io.h"
#include "server/server_config.h"
#include "server/settings.h"

/*
 * Server: clients, commands, statistics.
 *
 * Requests come in as slices, replies go to the client's outbox. It knows no socket: what it wants
 * of a connection it asks for through struct server_io, what it wants of the configuration through
 * struct server_settings; both are filled in by app, or by a test.
 */
struct outbox;
struct server;
struct client;
struct command_table;

/* Borrows all four; config's values may change at any time, then server_reconfigured. now_us is
 * monotonic throughout. */
struct server *server_new(const struct server_config *config, const struct command_table *commands,
    const struct server_io *io, const struct server_settings *settings);
void server_free(struct server *server); /* no client is left */
void server_reconfigured(struct server *server);

/*
 * A client came. Past maxclients, or against protected mode, it gets Redis's error and io.finish;
 * it is a client all the same until server_closed.
 */
struct client *server_open(struct server *server, void *conn, const struct server_peer *peer);
struct outbox *server_outbox(struct client *client); /* where it is owed what */
void server_broken(
    struct client *client, const char *error); /* protocol error: the reply is queued */
void server_closed(struct client *client, const char *reason);

/* Once a turn: timers and work in slices for at most budget_us. Returns in how many us it wants the
 * next call; 0: at once. */
uint64_t server_turn(struct server *server, uint64_t now_us, uint64_t budget_us);
void server_flushed(struct server *server); /* once a turn, after the flush */

#endif
