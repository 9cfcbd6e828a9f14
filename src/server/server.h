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
 * Requests come in as slices, replies go to the client's outbox. The server has no access to
 * sockets or configuration files: it uses struct server_io and struct server_settings, which app,
 * or a test, fills in.
 */
struct channel_lines;
struct outbox;
struct server;
struct client;
struct command_table;
struct door;

/*
 * Borrows its arguments. config's values may change at any time; the caller then calls
 * server_reconfigured. now_us is monotonic throughout.
 */
struct server *server_new(const struct server_config *config, const struct command_table *commands,
    const struct server_io *io, const struct server_settings *settings);
void server_free(struct server *server); /* all clients must have been closed */
void server_reconfigured(struct server *server);

/*
 * The lines of options of channels: the first takes lines and replaces all, the second borrows
 * until they change. CHANNEL SET and CHANNEL UNSET change them too.
 */
void server_set_channel_lines(struct server *server, struct channel_lines *lines);
const struct channel_lines *server_channel_lines(const struct server *server);

/*
 * A client has connected. Beyond maxclients, or against protected mode, it gets Redis's error and
 * io.finish; it is a client all the same until server_closed.
 */
struct client *server_open(struct server *server, void *conn, const struct server_peer *peer);

/*
 * The same for a client with a door (door.h), which it borrows until ops->freed(). is_protected:
 * protected mode applies to it. If the client is refused, ops->ending() is called, before this
 * function returns. Its connection is unauthenticated for io until the door says otherwise
 * (io.set_unauthenticated).
 */
struct client *server_open_door(struct server *server, void *conn, const struct server_peer *peer,
    struct door *door, bool is_protected);

struct outbox *server_outbox(struct client *client); /* its queued output */

/* Protocol error: the reply is queued, but not for a client with a door, which has queued its own.
 */
void server_broken(struct client *client, const char *error);
void server_closed(struct client *client, const char *reason);

/*
 * Called once a turn: runs timers and sliced work for at most budget_us. Returns the time until the
 * next call, in us; 0: call again at once.
 */
uint64_t server_turn(struct server *server, uint64_t now_us, uint64_t budget_us);
void server_flushed(struct server *server); /* once a turn, after the flush */

#endif
