#ifndef PUBSUB_OUTBOX_H
#define PUBSUB_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "pubsub/frame_log.h"

/*
 * Outbox: the output queue of one subscriber, as ranges of frame logs.
 *
 * Replies are never dropped. Messages are limited in bytes and in number; the policy decides about
 * a message that exceeds the limits. Invariants: the counters of bytes and messages agree with the
 * queued ranges, and messages leave in the order in which they were queued. It does not know
 * sockets (its owner peeks and consumes) or channels.
 */
/* The names of these are choices in channel_options.def, too. */
enum outbox_policy {
	OUTBOX_DISCONNECT,  /* the subscriber must be closed */
	OUTBOX_DROP_OLDEST, /* the oldest messages are dropped */
	OUTBOX_DROP_NEWEST, /* this message is dropped */
	OUTBOX_BLOCK,       /* publishers wait: they check outbox_would_block() first */
	OUTBOX_CATCH_UP,    /* the caller sends this message and later ones when there is room */
};
#define OUTBOX_POLICIES (OUTBOX_CATCH_UP + 1)

struct outbox_limits {
	size_t bytes;      /* of messages queued; 0: no limit */
	uint32_t messages; /* 0: no limit */
	enum outbox_policy policy;
	bool notify; /* queue a notice with the number of dropped messages, in their place */
	uint8_t channel_policies; /* bit p: a channel's policy p takes precedence over `policy` */
};

enum outbox_result {
	OUTBOX_QUEUED,
	OUTBOX_DROPPED,  /* this message was dropped and counted (if older ones were dropped for it:
			    OUTBOX_QUEUED) */
	OUTBOX_OVERFLOW, /* the policy says to close the client; the message was dropped and counted
			  */
	OUTBOX_BEHIND,   /* OUTBOX_CATCH_UP: there is no room; nothing was done */
	OUTBOX_CLOSED,   /* the outbox is sealed or closed; nothing was done */
};

struct outbox;
struct outbox_item;

/* Shared by the outboxes of one loop: the log of replies, callbacks, totals. */
struct outbox_pool {
	struct frame_log *replies; /* borrowed */
	void (*ready)(struct outbox
		*outbox); /* it has output to flush, for the first time since outbox_flushed() */
	void (*room)(struct outbox *outbox); /* there is room: see outbox_await_room() */
	void (*low)(struct outbox *outbox);  /* little is queued: see outbox_await_low() */
	void (*dropped)(
	    void *arg, uint32_t tag, uint64_t count); /* messages with this tag were dropped */
	/* A message of a queue group was not begun when the outbox was discarded; range, which is
	 * borrowed, holds it alone. False: nobody gets it, and it is dropped and counted. */
	bool (*unsent)(
	    struct outbox *outbox, uint64_t queue, uint8_t form, const struct frame_range *range);
	/* Writes the notice that `missed` messages of this form are missing, or
	 * WIRE_MISSED_UNKNOWN, at most OUTBOX_NOTICE_MAX bytes; returns its length. */
	size_t (*notice)(struct outbox *outbox, uint8_t form, uint64_t missed, char *out);
	void *arg;
	struct outbox_item *spare; /* items for reuse */
	size_t spare_count;
	size_t spare_least; /* the least spare_count since the last outbox_pool_shrink() */
	size_t bytes;       /* queued in all outboxes, messages and replies */
	size_t messages;
	uint64_t dropped_total;
	uint64_t dropped_by[OUTBOX_POLICIES]; /* by the outbox's own policy */
	size_t item_bytes;                    /* memory of the items in use */
};

#define OUTBOX_NOTICE_MAX 64

TAILQ_HEAD(outbox_items, outbox_item);

struct outbox {
	struct outbox_pool *pool;
	void *io; /* for the callbacks' use */
	struct outbox_items items;
	/* The first item that is not in flight with messages under the outbox's own policy, and
	 * with messages under OUTBOX_DROP_OLDEST of their channel. */
	struct outbox_item *oldest[2];
	struct outbox_item *mark;    /* if marked: replies go behind it; NULL: to the front */
	struct outbox_item *barrier; /* see outbox_bar(); NULL: none */
	size_t bytes;                /* queued, messages and replies */
	size_t message_bytes;
	uint32_t messages;
	uint32_t in_flight_messages; /* in the items in flight; the limits do not count them */
	uint32_t awaited_len;        /* see outbox_await_room(); 0: no publisher waits */
	uint16_t in_flight;          /* items of the write in flight, from the front */
	uint8_t form;                /* of new messages, and of the notices of missing ones */
	bool marked : 1;             /* between outbox_mark() and outbox_unmark() */
	bool mixed : 1;              /* see outbox_has_channel_policies() */
	bool scheduled : 1;          /* ready() was called and outbox_flushed() not yet */
	bool sealed : 1;             /* accepts nothing more */
	bool closed : 1;             /* sealed, and outbox_peek() returns nothing more */
	bool awaits_low : 1;         /* see outbox_await_low() */
	bool has_cursor : 1;         /* used by the hub: some of its subscriptions are replayed */
	size_t in_flight_bytes;      /* bytes of the messages in flight */
	struct outbox_limits limits;
	uint64_t dropped; /* number of messages dropped since the start */
};

/* Borrows pool and io. */
void outbox_init(
    struct outbox *outbox, struct outbox_pool *pool, const struct outbox_limits *limits, void *io);
void outbox_release(struct outbox *outbox);
void outbox_pool_release(struct outbox_pool *pool); /* the spare items */

/* Call it about once a second: frees the spare items that were not used since the last call. A few
 * thousand items, scattered among used memory, would keep as many pages allocated. */
void outbox_pool_shrink(struct outbox_pool *pool);

/* From now on nothing more is queued; queued output is still flushed. */
void outbox_seal(struct outbox *outbox);

/* From now on nothing is queued, and outbox_peek() returns nothing. outbox_discard() frees the
 * queue. */
void outbox_close(struct outbox *outbox);

/*
 * Frees at most *budget ranges of a closed outbox (a stuck client may have a million), and
 * subtracts their number from *budget; each message of a queue group counts as one. True when
 * nothing is left. While a write is in flight nothing is freed.
 */
bool outbox_discard(struct outbox *outbox, size_t *budget) __attribute__((warn_unused_result));

/*
 * Seals the outbox and drops its messages, at most *budget of them, which it subtracts, and counts
 * them; a message of a queue group is offered to others first. What stays is a valid stream:
 * replies, notices, and the rest of a message that was begun. True when no other message is left.
 * While a write is in flight nothing is dropped. Not to be called in the middle of a publish.
 */
bool outbox_cut(struct outbox *outbox, size_t *budget) __attribute__((warn_unused_result));

/* As outbox_push_reply(), for the last reply of a sealed outbox; does nothing if it is closed. */
void outbox_push_last(struct outbox *outbox, struct slice reply);

/* A message, written to any frame log. */
enum outbox_result outbox_push_message(struct outbox *outbox, const struct frame *frame)
    __attribute__((warn_unused_result));

/* Queues messages that were written before and are held by a range of which no part was consumed;
 * the outbox gets a hold of its own. The limits are not checked: see outbox_is_low(). */
void outbox_push_range(struct outbox *outbox, const struct frame_range *range);

/*
 * As outbox_push_message(), for a message whose channel has a policy of its own. Under
 * OUTBOX_DROP_OLDEST it drops messages under that policy only, their channel's or the outbox's own;
 * if these do not suffice, it is dropped itself. Under another policy than the outbox's own and
 * OUTBOX_DROP_OLDEST it is never dropped once it is queued.
 */
enum outbox_result outbox_push_under(struct outbox *outbox, const struct frame *frame,
    enum outbox_policy policy) __attribute__((warn_unused_result));

/*
 * As outbox_push_under(), for a message of the queue group `queue`, which is not 0. It is never
 * dropped to make room for a later one, and given to pool->unsent() if the outbox is discarded
 * before the message was begun.
 */
enum outbox_result outbox_push_queued(struct outbox *outbox, const struct frame *frame,
    enum outbox_policy policy, uint64_t queue) __attribute__((warn_unused_result));

/* Queues a message that pool->unsent() of another outbox was given; the outbox gets a hold of its
 * own. The limits are not checked; the outbox is not sealed. */
void outbox_adopt(struct outbox *outbox, const struct frame_range *range, uint64_t queue);

/* True if a message of len bytes is within the limits. */
bool outbox_has_room(const struct outbox *outbox, size_t len) __attribute__((warn_unused_result));

/* Whether messages under another policy than the outbox's own were queued since the last time that
 * no message was. */
bool outbox_has_channel_policies(const struct outbox *outbox);

/* Drops a message with this tag that cannot be queued, and counts it. */
void outbox_refuse(struct outbox *outbox, uint32_t tag);

/* The same for `count` messages of one channel, at least 1. */
void outbox_miss(struct outbox *outbox, uint32_t tag, uint64_t count);

/* An unknown number of messages is missing behind what is queued: with `notify` a notice says so.
 * They do not count as dropped. Does nothing if the outbox is sealed. */
void outbox_note_gap(struct outbox *outbox);

/* The same for `count` messages, at least 1, or WIRE_MISSED_UNKNOWN. */
void outbox_note_missed(struct outbox *outbox, uint64_t count);

/* True if messages take at most half of the limits; a limit of 0 counts as 1 MiB, or as 65536
 * messages. */
bool outbox_is_low(const struct outbox *outbox) __attribute__((warn_unused_result));

/* Requests one call of low(), as soon as outbox_is_low() is true because messages were consumed. */
void outbox_await_low(struct outbox *outbox);

/* True if there is no room for a message of len bytes under OUTBOX_BLOCK, and a message may be
 * under it: by `policy` or `channel_policies`. An empty outbox has room for any message. */
bool outbox_would_block(const struct outbox *outbox, size_t len)
    __attribute__((warn_unused_result));

/* Requests one call of room(), as soon as there is room for len bytes, at most 2^31-1. Replaces an
 * earlier request; len 0 cancels it. */
void outbox_await_room(struct outbox *outbox, size_t len);

/* Queues a reply; copies. Its place is in front of the barrier if there is one, else at the mark if
 * one is set, else at the end. */
void outbox_push_reply(struct outbox *outbox, struct slice reply);

/* For a command that sends messages to its own client: replies queued between the two calls are
 * placed in front of the messages that were queued since outbox_mark(), as in Redis 7.2. */
void outbox_mark(struct outbox *outbox);
void outbox_unmark(struct outbox *outbox);

/* Sets a barrier at the mark, or at the end: outbox_peek() returns nothing behind it before
 * outbox_unbar(). There is at most one barrier. */
void outbox_bar(struct outbox *outbox);
void outbox_unbar(struct outbox *outbox);

/* Returns the first queued bytes as at most count pieces, and the number of pieces. They are valid
 * until the outbox changes. */
size_t outbox_peek(struct outbox *outbox, struct iovec *pieces, size_t count);
void outbox_consume(struct outbox *outbox, size_t len); /* len <= bytes */
void outbox_flushed(struct outbox *outbox);             /* ready() may be called again */

/*
 * A write in flight: another thread writes the first count pieces that outbox_peek() returned; the
 * last of them may have been shortened. Until outbox_end_write() their bytes are not moved or
 * freed, even if the outbox is closed, and they do not count towards the limits. outbox_end_write()
 * consumes the len bytes that were written; the others are queued as before.
 */
void outbox_begin_write(struct outbox *outbox, const struct iovec *pieces, size_t count);
void outbox_end_write(struct outbox *outbox, size_t len);

bool outbox_is_empty(const struct outbox *outbox); /* outbox_peek() returns nothing */
size_t outbox_reply_bytes(const struct outbox *outbox);

/* The new limits apply to messages queued from now on. */
void outbox_set_limits(struct outbox *outbox, const struct outbox_limits *limits);

const char *outbox_policy_name(enum outbox_policy policy);
bool outbox_policy_parse(struct slice name, enum outbox_policy *policy)
    __attribute__((warn_unused_result)); /* ignores case */

#endif
