#ifndef SERVER_CLIENT_LIFE_H
#define SERVER_CLIENT_LIFE_H

/* Creation, reset (RESET) and freeing of a client. */
struct client;
struct server;
struct server_peer;

/* Creates a client that is in no list of the server yet. Returns owned (client_free). */
struct client *client_new(struct server *server, void *conn, const struct server_peer *peer);

/* Its subscriptions must have been removed (hub_detach). */
void client_free(struct client *c);

/*
 * Resets it to the state of a new connection, except for its id; the caller removes its
 * subscriptions.
 */
void client_reset(struct client *c);

#endif
