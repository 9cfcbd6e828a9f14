#ifndef SERVER_PRESENCE_SERVICE_H
#define SERVER_PRESENCE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "pubsub/hub_options.h"
#include "pubsub/presence.h"
#include "server/upstream_sending.h"

/*
 * The presence of the server: the members of channels (pubsub/presence.h) with the options of the
 * hub's channels, the clients that joined, and its events as messages:
 *
 *	__presence__:CHANNEL   {"event":"join","member":"ann","info":""}, or "leave"
 *	__occupancy__:CHANNEL  {"event":"occupied"}, or "vacated"
 *
 * A member or info that is not valid UTF-8 is written in base64, as "member_base64" or
 * "info_base64". Like key events the messages never block (HUB_WITHIN_LIMITS), and one that cannot
 * be published is counted: its name is longer than max-channel-length, or maxmemory-pubsub is
 * reached.
 *
 * If the upstream keeps the members of several nodes, it is told of all changes instead, and
 * publishes the events: see presence_share_is_on().
 */
struct client;
struct server;

/* Telling the upstream all members again: see server_presence_register(). */
enum presence_registration {
	PRESENCE_REGISTERED, /* or it was never asked for */
	PRESENCE_WALKS,      /* not all members have an event yet */
	PRESENCE_TELLS,      /* ... they have, but not all are told */
};

struct presence_service {
	struct presence *presence;
	struct hub_options_watch watch;
	struct buffer channel, message;  /* of the event that is being published or told */
	struct presence_owner elsewhere; /* connections that are in the process before this one */
	bool elsewhere_is_over;
	bool has_ended; /* the upstream was told so: see presence_share_is_on() */
	enum presence_registration registration;
	uint64_t registering; /* PRESENCE_TELLS: events up to this mark are those */
	bool is_awaited;      /* a query waits until the events up to this mark are told */
	uint64_t awaited;
	/* The other side: members whose last connection has left, see parted_members.h. */
	bool records_parted;
	struct buffer parted;
};

void presence_service_init(struct server *server);
void presence_service_release(struct server *server);

/* An upgrade: from now on the members whose last connection leaves are recorded for the successor;
 * false: no more, and what was recorded is forgotten. */
void presence_service_record(struct server *server, bool is_on);

/* The last connection of this member in the process before this one has left. */
void presence_service_part(struct server *server, struct slice channel, struct slice member);

/* The process before this one has ended: its connections leave, in slices. */
void presence_service_end_elsewhere(struct server *server);

/* Removes at most `budget` joins of the client; true if none is left. */
bool presence_release_client(struct client *c, size_t budget) __attribute__((warn_unused_result));

/* Writes the name and the text of the event's message into service->channel and ->message. False,
 * and it is counted: the name is too long. */
bool presence_service_write(struct server *server, const struct presence_event *event)
    __attribute__((warn_unused_result));

/* Called once a turn: what is due, and events, until deadline_us. Returns the time until the next
 * call, in us; 0: call again at once. */
uint64_t presence_service_turn(struct server *server, uint64_t now_us, uint64_t deadline_us);

/*
 * The presence of this node as a part of that of several nodes: what the upstream is told of it
 * (upstream_presence.h). Every change of a member is told, whatever the options of its channel
 * announce: these decide only whether the change has an event that the upstream publishes.
 */

/* The upstream keeps the members of several nodes. */
bool presence_share_is_on(const struct server *server);

/* It can be told of a change now. Only if it is on. */
bool presence_share_has_room(const struct server *server);

/* Only if it has room. */
void presence_share_tell(struct server *server, const struct presence_event *event);

/* Called once a turn, before members and events are looked at. */
void presence_share_turn(struct server *server);

/* Called in each turn, when events may have been told: see presence_share_catch_up(). */
void presence_share_told(struct server *server);

/*
 * Before a query: tells the changes that were made before it, so that the answer contains them.
 * UPSTREAM_SENT: all are told. UPSTREAM_BUSY: some wait; server_upstream_changed() says when to
 * call again. UPSTREAM_DOWN: some wait, and the link is down. *mark is what they are, which is set
 * by the first call, when *has_mark is false.
 */
enum upstream_sending presence_share_catch_up(struct server *server, bool *has_mark, uint64_t *mark)
    __attribute__((warn_unused_result));

/* The daemon ends: its members are soon those of other nodes, or have left. */
void presence_share_end(struct server *server);

#endif
