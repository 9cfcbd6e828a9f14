#ifndef SERVER_CLIENT_LIFE_H
#define SERVER_CLIENT_LIFE_H

/* The life of a client: how it comes to be, begins anew (RESET) and is freed. */
struct client;
struct server;
struct server_peer;

/* Makes a client without making it known to the server. Returns owned (client_free). */
struct client *client_new(struct server *server, void *conn, const struct server_peer *peer);

/* Its subscriptions must have been taken back (hub_detach). */
void client_free(struct client *c);

/* Back to the state of a new connection, except for its id; the caller takes back its
 * subscriptions. */
void client_reset(struct client *c);

#endif
