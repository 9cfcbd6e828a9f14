#ifndef SERVER_TRACKING_PUSH_H
#define SERVER_TRACKING_PUSH_H

#include "base/bytes.h"

/*
 * Tracking pushes: what is sent to a client whose cached keys have changed. A push never comes
 * between the parts of a reply, nor before the reply of the command that is being executed: then it
 * is kept with the client (session->late) until the request is done, as in Redis 7.2. Pushes are
 * replies to net and held.h, so that they keep their order with the replies that they make invalid.
 * A client that does not read them is closed at the limit of its outbox in bytes.
 */
struct client;
struct client_tracking;
struct tracking;

/* Tells the client, or the one it redirects to, of changed keys: an array in RESP. Empty: of all
 * keys. */
void tracking_tell(struct client_tracking *own, struct slice keys);

/* Sends the pushes that were kept, unless c still executes a request. */
void tracking_send_late(struct client *c);

/* Closes the clients that have exceeded their limits. */
void tracking_close_slow(struct tracking *tracking);

#endif
