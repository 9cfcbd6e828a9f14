#ifndef SERVER_CLIENT_END_H
#define SERVER_CLIENT_END_H

#include <stdbool.h>

#include "server/door.h"

/* The end of a client's connection, as the server decides it. */
struct client;

/* Ends the connection at once; queued output is lost. The client exists until server_closed. */
void client_kill(struct client *c, const char *reason);

/* Ends the connection when queued output has been sent; no more requests are taken. */
void client_finish(struct client *c);

/* The same, because of the lame duck. False if the connection was ending already. */
bool client_part(struct client *c) __attribute__((warn_unused_result));

/* The same, of a client that was not admitted. */
void client_refuse(struct client *c);

/* Queues what the door of the client tells its peer about the end; nothing if it has no door. */
void client_say_farewell(struct client *c, enum door_end why);

#endif
