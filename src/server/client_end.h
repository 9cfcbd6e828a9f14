#ifndef SERVER_CLIENT_END_H
#define SERVER_CLIENT_END_H

#include <stdbool.h>
#include <stdint.h>

#include "server/door.h"

/*
 * The end of a client's connection, as the server decides it.
 *
 * A client that speaks RESP is told nothing: its protocol has no word for it. A client with a door
 * (door.h) is told why. Its outbox is sealed at once, and server_turn() cuts it (outbox_cut) in
 * slices, because it may hold a million messages and the end may be decided in the middle of a
 * publish. Then what the door says is queued, and the connection is finished.
 */
struct client;
struct server;

/* Ends the connection at once; queued output is lost. The client exists until server_closed. */
void client_kill(struct client *c, const char *reason);

/* Ends the connection when queued output has been sent; no more requests are taken. */
void client_finish(struct client *c);

/*
 * Ends the connection of a client that the server does not want any more. Without a door it is
 * killed. With a door it takes no more requests and no more messages, its queued messages are
 * dropped, and the door tells its peer why; it is killed if the door has nothing to tell. If it is
 * ending already, it is killed.
 * DOOR_END_SHUTDOWN drops no messages; without a door the client is finished. May be called in the
 * middle of a publish.
 */
void client_dismiss(struct client *c, enum door_end why, const char *reason);

/* Finishes the client because of the lame duck, after its door has told its peer. False if the
 * connection was ending already. */
bool client_part(struct client *c) __attribute__((warn_unused_result));

/* Finishes a client that was not admitted, after its door has told its peer; why is not used for a
 * client without one. */
void client_refuse(struct client *c, enum door_end why);

/* The daemon ends: tells and finishes all clients with a door. io finishes the others. */
void server_say_farewell(struct server *server);

/* Cuts the queues of dismissed clients. Returns the time until the next call, in us; 0: at once. */
uint64_t client_end_turn(struct server *server, uint64_t deadline_us);

/* The client leaves: its queue need not be cut any more. */
void client_end_forget(struct client *c);

#endif
