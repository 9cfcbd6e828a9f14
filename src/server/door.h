#ifndef SERVER_DOOR_H
#define SERVER_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/request_verdict.h"

/*
 * Door: a protocol other than RESP through which a client uses the server.
 *
 * A client with a door is a client like any other: it has a user, limits and an outbox, CLIENT LIST
 * shows it, and it ends for the same reasons. The layer that owns the door reads the requests and
 * gives each to server_door_request() with a handler of its own. The handler runs as a command's
 * does: it may wait or go on in a later turn, and its reply, in the door's protocol, is queued in
 * the same order. The server does not know what the bytes mean.
 */
struct buffer;
struct client;
struct command;
struct outbox_limits;
struct server;

/* Why the server ends a client that has done nothing wrong in its protocol. */
enum door_end {
	DOOR_END_SLOW,     /* it does not read its messages fast enough */
	DOOR_END_BEHIND,   /* the history dropped messages before it read them */
	DOOR_END_KICKED,   /* an administrator closed it: CLIENT KILL */
	DOOR_END_DENIED,   /* its user was deleted, or may not have its subscriptions any more */
	DOOR_END_OWN,      /* the door itself dismissed it, and knows why */
	DOOR_END_SHUTDOWN, /* the daemon ends, or a successor takes over */
	/* Before its first request: */
	DOOR_END_REFUSED_FULL,      /* maxclients, or limit:connections of its user */
	DOOR_END_REFUSED_PROTECTED, /* protected mode */
};
#define DOOR_ENDS (DOOR_END_REFUSED_PROTECTED + 1)

struct door_ops {
	/*
	 * The client ends: appends what the peer must be told, which may be nothing. Whatever
	 * messages were queued and not begun have been dropped, except for DOOR_END_SHUTDOWN,
	 * before which they are sent.
	 */
	void (*ending)(struct client *c, enum door_end why, struct buffer *farewell);
	/* False: its protocol has no word for such an end now. The connection is then closed at
	 * once, also if its peer reads nothing, except for DOOR_END_SHUTDOWN. NULL: always true. */
	bool (*has_farewell)(const struct client *c);
	/* True if the client may go on receiving the messages of a channel or pattern to which it
	 * is subscribed: asked when the rules of its user have changed. */
	bool (*may_receive)(const struct client *c, struct slice name, bool is_pattern);
	/* The client is freed, and with it the door. It has no user and no outbox any more. */
	void (*freed)(struct client *c);
};

/* Embedded in the state that the door's layer has for the client. */
struct door {
	const struct door_ops *ops;
	/* In place of the server's own limits of outboxes. Borrowed; its values may change. */
	const struct outbox_limits *limits;
};

/*
 * Gives a new client its door, before its first request: server_open_door() does it. Borrows door
 * until ops->freed(). client_door() in client.h returns it.
 */
void client_set_door(struct client *c, struct door *door);

/*
 * Executes a request as a command of that row, which is not in the command table: its flags say
 * when it has to wait (CMD_WRITE, CMD_MAY_REPLICATE, CMD_PUBSUB, CMD_ADMIN), its handler gets args
 * as argv and never returns COMMAND_BLOCKED. Of the other flags only CMD_READONLY,
 * CMD_SKIP_SLOWLOG and CMD_ALLOW_BUSY (not paused by CLIENT PAUSE) are allowed. Rights are not
 * checked, arity is not, and no monitor and no slow log shows the arguments, which may have
 * secrets: the slow log shows the row's name. Borrows args for the call; command is static.
 */
enum request_verdict server_door_request(struct client *c, const struct command *command,
    const struct slice *args, size_t count) __attribute__((warn_unused_result));

#endif
