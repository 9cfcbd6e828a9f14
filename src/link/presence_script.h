#ifndef LINK_PRESENCE_SCRIPT_H
#define LINK_PRESENCE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/engine_call.h"

/*
 * Presence scripts: the members of all nodes, which nodes keep at their engine (engine.h), and the
 * commands for it.
 *
 * A node has an id, a random text of PRESENCE_NODE_LEN hexadecimal digits. fanfare:nodes is a
 * sorted set of these ids. The score is the time at which the node's lease ends, in ms of the
 * engine's clock; 0: it has ended, and the node's members are being removed. Such an id is never
 * used again.
 *
 * fanfare:presence:CHANNEL is a hash from each member of the channel to "NODE NODE ...\nINFO": the
 * nodes where it is, each with a '*' behind it if the member has a connection there.
 * fanfare:present is a sorted set, whose scores are 0, of the channels with such a hash.
 * fanfare:occupied is a hash from each channel that is occupied to "NODE NODE ...\n": a channel is
 * occupied for all while it is for at least one node.
 *
 * fanfare:members:NODE and fanfare:occupied:NODE are sets: the members of a node, each as
 * "N:CHANNELMEMBER" with the length N of the channel's name, and its occupied channels.
 *
 * All are written by scripts, each of which is executed as one step. The event of a change is
 * published in the same step, so that all nodes have the events in the order of the changes.
 */
#define PRESENCE_NODE_LEN 16

/* One lease returns at most so many members or channels of another node that has ended, and about
 * so many bytes. A query that is limited to fewer bytes than that of names is not cut shorter. */
#define PRESENCE_EXPIRED_MAX 100
#define PRESENCE_EXPIRED_BYTES ((size_t)1 << 20)

enum presence_script {
	PRESENCE_SCRIPT_CHANGE,
	PRESENCE_SCRIPT_LEASE,
	PRESENCE_SCRIPT_MEMBERS, /* of a channel, one part of them */
	PRESENCE_SCRIPT_COUNT,   /* the numbers of members of some channels */
	PRESENCE_SCRIPT_CHANNELS,
};
#define PRESENCE_SCRIPTS (PRESENCE_SCRIPT_CHANNELS + 1)

/* SHA-1 of each script in hexadecimal, as the engine has returned it. */
struct presence_shas {
	char text[PRESENCE_SCRIPTS][ENGINE_SHA_LEN + 1];
};

/* SCRIPT LOAD. */
void presence_put_script(struct buffer *out, enum presence_script script);

/* What a change is; the letters are those of the script. */
enum presence_change_kind {
	PRESENCE_CHANGE_JOINED = 'j',
	PRESENCE_CHANGE_LEFT = 'l',
	PRESENCE_CHANGE_OCCUPIED = 'o',
	PRESENCE_CHANGE_VACATED = 'v',
};

/* The event is published if the change is one for all nodes: the member was at no node before, or
 * is at none any more. event empty: nothing is published. */
struct presence_change {
	enum presence_change_kind kind;
	const char *node;
	bool has_ended; /* it is another node, whose lease has ended. Nothing is done if it has not
			 */
	struct slice channel, member, info;
	bool is_connected;
	struct slice event_channel, event;
	bool is_kept; /* the channel of the event keeps messages, as struct engine_message: */
	uint32_t size;
	uint64_t ttl_ms;
};

/* The reply is a number, or a text: the error with which the server refused the event; the change
 * is made. */
enum presence_changed {
	PRESENCE_CHANGED_NO_NODE =
	    -1, /* the engine does not have the node, or its lease has ended */
	PRESENCE_CHANGED_NOTHING = 0,
	PRESENCE_CHANGED = 1,
	PRESENCE_CHANGED_PUBLISHED = 2,
};

void presence_put_change(
    struct buffer *out, const struct presence_shas *shas, const struct presence_change *change);

/*
 * Renews the lease of the node, or makes it. The reply is an array: a number of enum
 * presence_leased; then, if another node has ended and the caller takes them (sweeps), that node,
 * 1 or 0 (members or occupied channels), and channel, member, info of some of these. The same are
 * returned again until they are changed with has_ended. A node that has none any more is removed.
 *
 * If no lease at all is valid, the engine was away from all nodes: those leases that no node has
 * begun to remove begin anew.
 */
struct presence_lease_call {
	const char *node;
	uint64_t lease_ms;
	bool makes; /* if the engine does not have the node */
	bool sweeps;
	const char *former; /* an id whose lease ends now; "": none */
};
enum presence_leased {
	PRESENCE_LEASED_ENDED = -1,  /* the lease has ended: the node needs another id */
	PRESENCE_LEASED_UNKNOWN = 0, /* the engine does not have the node, and has made none */
	PRESENCE_LEASED = 1,
};
void presence_put_lease(
    struct buffer *out, const struct presence_shas *shas, const struct presence_lease_call *call);

/* The reply: the next cursor, then member, info, and the number of nodes where it has a connection,
 * each. About `count` members, and a few more than `bytes` of their names and infos. */
void presence_put_members(struct buffer *out, const struct presence_shas *shas,
    struct slice channel, uint64_t cursor, size_t count, size_t bytes);

/* The reply: a number each. */
void presence_put_count(struct buffer *out, const struct presence_shas *shas,
    const struct slice *channels, size_t count);

/* The reply: 1 if there may be more, then channel and number, each. after.ptr NULL: from the first
 * channel on. At most `count` of them, and a little more than 1 MB of names. */
void presence_put_channels(
    struct buffer *out, const struct presence_shas *shas, struct slice after, size_t count);

#endif
