#ifndef SERVER_PRESENCE_SERVICE_H
#define SERVER_PRESENCE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "pubsub/hub_options.h"
#include "pubsub/presence.h"

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
 */
struct client;
struct server;

struct presence_service {
	struct presence *presence;
	struct hub_options_watch watch;
	struct buffer channel, message;  /* of the event that is being published */
	struct presence_owner elsewhere; /* connections that are in the process before this one */
	bool elsewhere_is_over;
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

/* Called once a turn: what is due, and events, until deadline_us. Returns the time until the next
 * call, in us; 0: call again at once. */
uint64_t presence_service_turn(struct server *server, uint64_t now_us, uint64_t deadline_us);

#endif
