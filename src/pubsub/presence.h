#ifndef PUBSUB_PRESENCE_H
#define PUBSUB_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Presence: the members of channels. A member has a name and an info, and is present while a
 * connection has joined it, while it has a lease (presence_touch), and for leave_delay_us after its
 * last connection has left. So a user with several connections is one member, and a member that
 * returns in time has not left.
 *
 * It knows neither clients nor messages. A connection is a struct presence_owner; what happened is
 * given out one event at a time (presence_next_event), at most PRESENCE_EVENTS_A_SECOND. The events
 * of a member alternate between join and leave, whatever happens between two of them: an event that
 * is not given out yet is cancelled by its opposite. No list of events is kept, so their memory is
 * that of the members.
 *
 * All times are in us of one monotonic clock, and never go back.
 */
struct presence;
struct presence_channel;
struct presence_join;

#define PRESENCE_CHANNEL_MAX 65535    /* bytes of a channel's name */
#define PRESENCE_MEMBER_MAX 255       /* bytes of a member's name, at least 1 */
#define PRESENCE_INFO_MAX 4096        /* bytes of an info */
#define PRESENCE_LEASE_MAX_S 31536000 /* of a lease: a year */
#define PRESENCE_EVENTS_A_SECOND 10000

enum presence_mode {
	PRESENCE_NO,
	PRESENCE_COUNT, /* only the number of members is shown; infos are not kept */
	PRESENCE_MEMBERS,
};

/* Bits: which events a channel has. */
enum presence_announces {
	PRESENCE_ANNOUNCES_OCCUPIED = 1, /* its first member comes, its last one has left */
	PRESENCE_ANNOUNCES_JOINS = 2,    /* each member; only under PRESENCE_MEMBERS */
};

struct presence_options {
	enum presence_mode mode;
	uint8_t announces; /* enum presence_announces */
	uint64_t leave_delay_us;
	uint64_t vacate_delay_us; /* from the last member's leave to the event VACATED */
};

struct presence_limits {
	uint32_t members;    /* of a channel */
	uint32_t joins;      /* of an owner */
	size_t memory_bytes; /* of everything, see presence_figures */
};

struct presence_config {
	const struct presence_limits *limits; /* borrowed, may change */
	/* Writes the options of a channel. It must not call presence_*. */
	void (*options)(void *arg, struct slice channel, struct presence_options *out);
	/* NULL, or called when the last connection of a member has left. It must not call
	 * presence_*. */
	void (*parted)(void *arg, struct slice channel, struct slice member);
	void *arg;
};

struct presence *presence_new(const struct presence_config *config); /* copies; returns owned */
void presence_free(struct presence *p);                              /* all owners are detached */

/* Embedded by value in the record of a connection. */
struct presence_owner {
	TAILQ_HEAD(, presence_join) joins;
	uint32_t count;
};
void presence_owner_init(struct presence_owner *owner);

enum presence_result {
	PRESENCE_NEW,     /* the member was not present before */
	PRESENCE_PRESENT, /* it was; its connection, lease or info may have changed */
	PRESENCE_OFF,     /* PRESENCE_NO. As with the following, nothing has changed */
	PRESENCE_TOO_MANY_MEMBERS,
	PRESENCE_TOO_MANY_JOINS,
	PRESENCE_NO_MEMORY,
};

/*
 * The owner joins the member; again has no effect but that of info. info.ptr NULL: a new member has
 * an empty one, that of a present member stays. Copies. All lengths are within the bounds above.
 */
enum presence_result presence_join(struct presence *p, struct presence_owner *owner,
    struct slice channel, struct slice member, struct slice info, uint64_t now_us)
    __attribute__((warn_unused_result));

/* False: the owner has not joined this member. */
bool presence_leave(struct presence *p, struct presence_owner *owner, struct slice channel,
    struct slice member, uint64_t now_us);

/* Leaves everything, at most `budget` members. True: nothing is left. */
bool presence_detach(struct presence *p, struct presence_owner *owner, uint64_t now_us,
    size_t budget) __attribute__((warn_unused_result));

/* The member gets a lease until now_us + lease_us, in place of the one that it may have. 0: it has
 * no lease any more, and leaves at once unless it is present otherwise (PRESENCE_PRESENT). */
enum presence_result presence_touch(struct presence *p, struct slice channel, struct slice member,
    uint64_t lease_us, struct slice info, uint64_t now_us) __attribute__((warn_unused_result));

/* The channel of the join made first, or of the one that was rotated least; for checking all joins
 * in steps. False: the owner has none. Borrows until a join changes. */
bool presence_first_join(const struct presence_owner *owner, struct slice *channel);
void presence_rotate_joins(struct presence_owner *owner);

/* O(1). Includes members whose delay runs. */
size_t presence_count(const struct presence *p, struct slice channel);
enum presence_mode presence_mode_of(const struct presence *p, struct slice channel);

/* connections is 0 for a member with nothing but a lease or a delay. */
struct presence_member {
	struct slice name, info;
	uint32_t connections;
};

/*
 * One step of a listing, as SCAN of Redis: visits a few members from cursor on and returns the next
 * cursor, 0 at the end. Every member that is present from the first step to the last is visited at
 * least once. visit borrows the member and must not call presence_*.
 */
uint64_t presence_scan(const struct presence *p, struct slice channel, uint64_t cursor,
    void (*visit)(void *arg, const struct presence_member *member), void *arg);

/*
 * The channel whose name comes after `after` in the order of slice_compare, or the first of all if
 * after.ptr is NULL; channels may be added and removed between two calls. *count may be 0: then its
 * last member has left. False: none. Borrows name until a join, leave or turn.
 */
bool presence_next_channel(
    const struct presence *p, struct slice after, struct slice *name, size_t *count);

/* The options of channels may have changed. Each channel is looked at in presence_turn, at the
 * latest; the members of those that have PRESENCE_NO now leave. */
void presence_reconfigured(struct presence *p);

/* Does what is due, at most about `budget` steps of about a us. True if more is due now. */
bool presence_turn(struct presence *p, uint64_t now_us, size_t budget)
    __attribute__((warn_unused_result));

/* The time at which presence_turn or presence_next_event has something to do, at the earliest;
 * UINT64_MAX: never, if nothing changes. */
uint64_t presence_due_us(const struct presence *p, uint64_t now_us);

enum presence_event_kind {
	PRESENCE_NO_EVENT, /* one was dropped because the options do not ask for it any more */
	PRESENCE_JOINED,
	PRESENCE_LEFT,
	PRESENCE_OCCUPIED,
	PRESENCE_VACATED,
};

struct presence_event {
	enum presence_event_kind kind;
	struct slice channel;
	struct slice member, info; /* of JOINED and LEFT */
	bool is_connected;         /* of JOINED: has a connection */
	/* Of JOINED: the options announce it, and not only presence_tell_all() asks for it. Of
	 * LEFT: they do, and a JOINED before was so. */
	bool is_public;
};

/* The next event; false: there is none, or the rate is used up. Its slices are valid until the next
 * call. */
bool presence_next_event(struct presence *p, uint64_t now_us, struct presence_event *event)
    __attribute__((warn_unused_result));

/*
 * From now on every change is an event, whatever the options announce, because somebody else keeps
 * the members, too: JOINED again when info or is_connected of a member changes, OCCUPIED again when
 * a channel has members again before it was VACATED. A channel's OCCUPIED then comes behind the
 * JOINED of a member.
 */
void presence_tell_all(struct presence *p);

/* After presence_tell_all(): all members and channels have their events JOINED and OCCUPIED again.
 * Called again before its end it begins anew. */
void presence_retell(struct presence *p);

/* What stands for all events that wait now; and whether each of these was given out, or taken back.
 */
uint64_t presence_events_mark(const struct presence *p);
bool presence_events_given(const struct presence *p, uint64_t mark);

/* presence_retell() has not come to all members yet. */
bool presence_is_retelling(const struct presence *p);

/* presence_due_us() without the events. */
uint64_t presence_turn_due_us(const struct presence *p, uint64_t now_us);

/* False: the member is not present. Borrows until the next call of a function that is not const. */
bool presence_look(const struct presence *p, struct slice channel, struct slice member,
    struct presence_member *out);

/* Has members, or had some until less than its vacate delay ago. */
bool presence_is_occupied(const struct presence *p, struct slice channel);

/* The event of this member, or of the channel if member.len is 0, as if its turn had come, and not
 * only if it waits: for somebody who may not have got the last one. PRESENCE_NO_EVENT: it is not
 * here, and that was given out; or it is an occupied channel whose members come first. */
void presence_event_of(
    struct presence *p, struct slice channel, struct slice member, struct presence_event *event);

struct presence_figures {
	size_t channels; /* with members */
	size_t members;
	size_t joins;
	size_t waiting; /* events that are not given out yet */
	size_t bytes;   /* approximate memory of everything */
};
struct presence_figures presence_figures(const struct presence *p);

#endif
