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
 * Outbox: what one client is owed, in order: ranges of frame logs.
 *
 * Replies are never dropped. Pushed messages are bounded, in bytes and in number; what does not fit
 * falls to the policy. Invariant: bytes and messages counted are those of the ranges queued, and
 * messages leave in the order they came. It knows no socket (who flushes peeks and consumes) and no
 * channel.
 */
enum outbox_policy {
	OUTBOX_DISCONNECT,  /* the client is to be closed */
	OUTBOX_DROP_OLDEST, /* the oldest messages go */
	OUTBOX_DROP_NEWEST, /* this message goes */
	OUTBOX_BLOCK,       /* publishers wait: they ask outbox_would_block() before */
};

struct outbox_limits {
	size_t bytes;      /* of messages queued; 0: no limit */
	uint32_t messages; /* 0: no limit */
	enum outbox_policy policy;
	bool notify; /* tell, in its place in the stream, how many messages are missing */
};

enum outbox_result {
	OUTBOX_QUEUED,
	OUTBOX_DROPPED,  /* this message was dropped and counted (older ones pushed out:
			    OUTBOX_QUEUED) */
	OUTBOX_OVERFLOW, /* the policy says to close the client; the message was dropped and counted
			  */
	OUTBOX_CLOSED,   /* the client is going away; nothing was done */
};

struct outbox;
struct outbox_item;

/* What outboxes of one loop share: the log of replies, callbacks, totals. */
struct outbox_pool {
	struct frame_log *replies; /* borrowed */
	void (*ready)(struct outbox
		*outbox); /* it has something to flush, and had not since the last flush */
	void (*room)(struct outbox *outbox); /* what outbox_await_room() was told of has room now */
	void (*dropped)(void *arg, uint32_t tag); /* one message with this tag was dropped */
	/* Writes the notice that `missed` messages of this form are missing, at most
	 * OUTBOX_NOTICE_MAX bytes; its length. */
	size_t (*notice)(struct outbox *outbox, uint8_t form, uint64_t missed, char *out);
	void *arg;
	struct outbox_item *spare; /* items for reuse */
	size_t spare_count;
	size_t spare_least; /* since the last shrinking */
	size_t bytes;       /* queued in all outboxes, messages and replies */
	size_t messages;
	uint64_t dropped_total;
	size_t item_bytes; /* memory of the items in use */
};

#define OUTBOX_NOTICE_MAX 64

TAILQ_HEAD(outbox_items, outbox_item);

struct outbox {
	struct outbox_pool *pool;
	void *io; /* of whoever flushes it */
	struct outbox_items items;
	struct outbox_item *oldest;  /* the first item with messages that may still be dropped */
	struct outbox_item *mark;    /* replies of the running command go behind this item ... */
	struct outbox_item *barrier; /* see outbox_bar; NULL: there is none */
	size_t bytes;                /* queued, messages and replies */
	size_t message_bytes;
	uint32_t messages;
	uint32_t lifted;          /* items, from the front */
	uint32_t lifted_messages; /* in them, not bounded by the limits */
	size_t lifted_bytes;      /* of these messages */
	struct outbox_limits limits;
	uint64_t dropped;   /* messages, since the start */
	size_t awaited_len; /* publishers wait for room for so much; 0: none does */
	uint8_t form;       /* of the messages that come, which their notices have, too */
	bool marked;        /* ... if this is set (NULL: at the front) */
	bool scheduled;     /* ready() was called and outbox_flushed() not yet */
	bool sealed;        /* takes nothing more */
	bool closed;        /* ... and shows nothing more */
};

/* Borrows pool and io. */
void outbox_init(
    struct outbox *outbox, struct outbox_pool *pool, const struct outbox_limits *limits, void *io);
void outbox_release(struct outbox *outbox);
void outbox_pool_release(struct outbox_pool *pool); /* the spare items */

/* Now and then: frees the spare items that were not used since the last call. A few thousand of
 * them, left over when many were in use, would keep as many pages. */
void outbox_pool_shrink(struct outbox_pool *pool);

/* Nothing is queued any more from now on; what is queued is still to be flushed. */
void outbox_seal(struct outbox *outbox);

/* Nothing is queued nor shown any more from now on. What is queued goes with outbox_discard. */
void outbox_close(struct outbox *outbox);

/*
 * Lets what a closed outbox holds go, at most *budget ranges of it (a stuck client may have a
 * million), and takes them off *budget; true when nothing is left. What is lifted stays, and all
 * else with it, until it has landed.
 */
bool outbox_discard(struct outbox *outbox, size_t *budget) __attribute__((warn_unused_result));

/* A message, written to any frame log. */
enum outbox_result outbox_push_message(struct outbox *outbox, const struct frame *frame)
    __attribute__((warn_unused_result));

/* Drops a message with this tag that cannot be queued, and counts it. */
void outbox_refuse(struct outbox *outbox, uint32_t tag);

/* True if, under OUTBOX_BLOCK, a message of len bytes has no room now. An empty outbox has room for
 * any. */
bool outbox_would_block(const struct outbox *outbox, size_t len)
    __attribute__((warn_unused_result));

/* Where that is so: room() is called once as soon as it has room for len bytes, in place of what it
 * was asked before. 0: no more. */
void outbox_await_room(struct outbox *outbox, size_t len);

/* A reply: copies. It goes behind everything queued, or to the mark if one is set, or, first of
 * all, before a barrier. */
void outbox_push_reply(struct outbox *outbox, struct slice reply);

/*
 * Between mark and unmark the messages that a command pushes to its own client stand behind the
 * command's reply (as in Redis 7.2), though they were queued before it.
 */
void outbox_mark(struct outbox *outbox);
void outbox_unmark(struct outbox *outbox);

/*
 * A barrier at the mark, or behind everything queued: what stands behind it is not shown before
 * outbox_unbar. There is at most one.
 */
void outbox_bar(struct outbox *outbox);
void outbox_unbar(struct outbox *outbox);

/* The first bytes owed, as at most count pieces; how many pieces. They stand until the outbox
 * changes. */
size_t outbox_peek(struct outbox *outbox, struct iovec *pieces, size_t count);
void outbox_consume(struct outbox *outbox, size_t len); /* len <= bytes */
void outbox_flushed(struct outbox *outbox);             /* ready() may be called again */

/*
 * Another thread writes the first count pieces that outbox_peek() gave, the last of which may have
 * been cut: until outbox_land() they stand, whatever else happens to the outbox, though it be
 * closed. For the bounds and policies they are gone. outbox_land() consumes the len bytes that were
 * written; the others are owed as before.
 */
void outbox_lift(struct outbox *outbox, const struct iovec *pieces, size_t count);
void outbox_land(struct outbox *outbox, size_t len);

bool outbox_is_empty(const struct outbox *outbox); /* outbox_peek() shows nothing */
size_t outbox_reply_bytes(const struct outbox *outbox);

/* New limits hold for what comes from now on. */
void outbox_set_limits(struct outbox *outbox, const struct outbox_limits *limits);

const char *outbox_policy_name(enum outbox_policy policy);
bool outbox_policy_parse(struct slice name, enum outbox_policy *policy)
    __attribute__((warn_unused_result)); /* no case */

#endif
