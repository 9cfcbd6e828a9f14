#ifndef SERVER_UPSTREAM_PRESENCE_H
#define SERVER_UPSTREAM_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/presence.h"
#include "server/upstream_sending.h"

/*
 * Presence of several nodes: an upstream with these operations keeps the members of all nodes. A
 * member of a channel is then one member, wherever its connections are.
 *
 * The presence of this node (server/presence_service.h) stays the authority about its own members,
 * and tells the upstream of each change. The upstream decides what the change means for all nodes,
 * and publishes the event in the same step. Commands that show members ask the upstream.
 *
 * All slices are borrowed for the duration of the call only, unless a function says otherwise.
 */
struct server;
struct upstream;

/*
 * JOINED: the member is present at this node; it may have been told before, and then its info and
 * is_connected may differ. LEFT: it is not. OCCUPIED: the channel has members at this node, and was
 * not told so or has been vacated since; it comes after the JOINED of its first member. VACATED: it
 * has had none for its vacate-delay; it comes after their LEFT. Each may be told again.
 */
struct upstream_presence_change {
	enum presence_event_kind kind; /* not PRESENCE_NO_EVENT */
	struct slice channel;          /* at most PRESENCE_CHANNEL_MAX bytes */
	struct slice member, info;     /* of JOINED and LEFT; else empty */
	bool is_connected;             /* JOINED: has a connection at this node */
	/* Published in the same step if the change is one for all nodes. event empty: nothing is.
	 * Whether event_channel keeps history is for the link to find out, as for any message. */
	struct slice event_channel, event;
};

enum upstream_presence_asks {
	UPSTREAM_PRESENCE_MEMBERS,  /* members of a channel, one part of them */
	UPSTREAM_PRESENCE_COUNT,    /* the numbers of members of some channels */
	UPSTREAM_PRESENCE_CHANNELS, /* channels with members, in the order of slice_compare */
};

#define UPSTREAM_PRESENCE_PART 1000 /* the largest count of a query */

struct upstream_presence_query {
	enum upstream_presence_asks asks;
	struct slice channel; /* MEMBERS */
	uint64_t cursor;      /* MEMBERS: of the answer before; 0: the first part */
	struct slice after;   /* CHANNELS: those after this name; ptr NULL: the first */
	size_t count;         /* 1 to UPSTREAM_PRESENCE_PART. MEMBERS: about so many; CHANNELS:
				 at most so many; COUNT: the length of channels */
	size_t bytes;         /* MEMBERS: when the names and infos have so many, no more */
	const struct slice *channels; /* COUNT */
};

struct upstream_presence_item {
	struct slice name; /* of a member or a channel; COUNT: empty */
	struct slice info; /* MEMBERS */
	uint64_t number;   /* MEMBERS: nodes where it has a connection; else: members */
};

struct upstream_presence_answer {
	bool is_refused; /* the upstream has answered with an error, which the link logs */
	uint64_t cursor; /* MEMBERS: of the next part; 0: there is none. CHANNELS: 0: there are no
			    more; else there may be */
	size_t count;    /* COUNT: as in the query */
	const struct upstream_presence_item *items; /* no name twice */
};

/* upstream->presence; NULL: the upstream keeps no members. */
struct upstream_presence_ops {
	/* There is something to tell or to ask: the link makes ready for it, if it is not. As the
	 * result of ask(): UPSTREAM_SENT: it is. */
	enum upstream_sending (*begin)(struct upstream *upstream);

	/* A change can be told now. When it is false, server_presence_told() or
	 * server_presence_register() says when it is true again. */
	bool (*has_room)(const struct upstream *upstream);

	/* Only while has_room(). Copies. The link brings it to the upstream even if the connection
	 * is lost before the answer: then it tells what is true later (server_presence_state). The
	 * same if the upstream refuses it for a reason that may pass, such as no memory. */
	void (*change)(struct upstream *upstream, const struct upstream_presence_change *change);

	/* Copies. UPSTREAM_SENT: server_presence_answered() is called with *ticket, or
	 * server_presence_lost(). Tickets grow, and are answered in their order. UPSTREAM_DOWN: the
	 * link is down. UPSTREAM_BUSY: the link is being made, or too much waits to be sent:
	 * server_upstream_changed() says when to ask again. */
	enum upstream_sending (*ask)(struct upstream *upstream,
	    const struct upstream_presence_query *query, uint64_t *ticket);

	/* All members were told again, as server_presence_register() has asked for. */
	void (*registered)(struct upstream *upstream);

	/* The daemon ends, or its members are those of a successor: what the upstream has of this
	 * node is to end within lease_ms at the latest. No change is told after this. */
	void (*end)(struct upstream *upstream, uint64_t lease_ms);
};

/* Functions for the link */

/* A change was answered; is_published: its event was published. Called once for each change() that
 * the upstream has answered; there may be room now. */
void server_presence_told(struct server *server, bool is_published);

/* The same for a change that the upstream has refused for good, because of what it has for that
 * channel: it is counted, and not told again. */
void server_presence_refused(struct server *server);

/* The upstream does not have what this node has told before: all of its members are told again. To
 * be called when a link is made with a node that the upstream does not know, or whose lease has
 * ended. has_room() may be true already. */
void server_presence_register(struct server *server);

/* What is true at this node now of a member, or of a channel if member.len is 0, for sending again
 * what was not answered; it counts as told from here on. JOINED or OCCUPIED; LEFT or VACATED if
 * that was not told yet; PRESENCE_NO_EVENT: it was, and is sent again as it was if it was the last
 * thing that was told, or a change follows. out borrows from the server, until the next call of a
 * server_presence_ function. */
void server_presence_state(struct server *server, struct slice channel, struct slice member,
    struct upstream_presence_change *out);

/* LEFT (VACATED if member.len is 0) of what was at another node, whose lease has ended. info is
 * that of the member. As before for out. */
void server_presence_expired(struct server *server, struct slice channel, struct slice member,
    struct slice info, struct upstream_presence_change *out);

/* The answer of a query. Copies. Nothing happens if its client has ended. */
void server_presence_answered(
    struct server *server, uint64_t ticket, const struct upstream_presence_answer *answer);

/* The connection was lost: no query that was sent is answered any more. */
void server_presence_lost(struct server *server);

#endif
