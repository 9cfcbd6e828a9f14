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
 * Outbox: the queue of what is still to be sent to one subscriber, as ranges of frame logs.
 *
 * Replies are never dropped. Messages are bounded, in bytes and in number; the policy says what
 * becomes of one that does not fit. Invariant: the counters of bytes and messages are those of the
 * ranges queued, and messages leave in the order in which they came. It knows no socket (its owner
 * peeks and consumes) and no channel.
 */
enum outbox_policy {
	OUTBOX_DISCONNECT,  /* the subscriber is to be closed */
	OUTBOX_DROP_OLDEST, /* the oldest messages are dropped */
	OUTBOX_DROP_NEWEST, /* this message is dropped */
	OUTBOX_BLOCK,       /* publishers wait: they check outbox_would_block() first */
};

struct outbox_limits {
	size_t bytes;      /* of messages queued; 0: no limit */
	uint32_t messages; /* 0: no limit */
	enum outbox_policy policy;
	bool notify; /* where messages were dropped, queue a notice of how many */
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
	void (*room)(struct outbox *outbox); /* there is room as outbox_await_room() asked for */
	void (*dropped)(void *arg, uint32_t tag); /* one message with this tag was dropped */
	/* Writes the notice that `missed` messages of this form are missing, at most
	 * OUTBOX_NOTICE_MAX bytes; its length. */
	size_t (*notice)(struct outbox *outbox, uint8_t form, uint64_t missed, char *out);
	void *arg;
	struct outbox_item *spare; /* items for reuse */
	size_t spare_count;
	size_t spare_least; /* the least spare_count since the last outbox_pool_shrink() */
	size_t bytes;       /* queued in all outboxes, messages and replies */
	size_t messages;
	uint64_t dropped_total;
	size_t item_bytes; /* memory of the items in use */
};

#define OUTBOX_NOTICE_MAX 64

TAILQ_HEAD(outbox_items, outbox_item);

struct outbox {
	struct outbox_pool *pool;
	void *io; /* the owner's, for the callbacks */
	struct outbox_items items;
	struct outbox_item *oldest;  /* the first item with messages that may still be dropped */
	struct outbox_item *mark;    /* if marked: replies go behind it; NULL: to the front */
	struct outbox_item *barrier; /* see outbox_bar(); NULL: none */
	size_t bytes;                /* queued, messages and replies */
	size_t message_bytes;
	uint32_t messages;
	uint32_t in_flight;          /* items of the write in flight, from the front */
	uint32_t in_flight_messages; /* in them; they do not count towards the limits */
	uint32_t awaited_len;        /* see outbox_await_room(); 0: no publisher waits */
	size_t in_flight_bytes;      /* of the messages in flight */
	struct outbox_limits limits;
	uint64_t dropped; /* messages, since the start */
	uint8_t form;     /* of new messages, and of the notices of missing ones */
	bool marked;      /* between outbox_mark() and outbox_unmark() */
	bool scheduled;   /* ready() was called and outbox_flushed() not yet */
	bool sealed;      /* accepts nothing more */
	bool closed;      /* sealed, and outbox_peek() gives nothing more */
};

/* Borrows pool and io. */
void outbox_init(
    struct outbox *outbox, struct outbox_pool *pool, const struct outbox_limits *limits, void *io);
void outbox_release(struct outbox *outbox);
void outbox_pool_release(struct outbox_pool *pool); /* the spare items */

/* Now and then: frees the spare items that were not used since the last call. A few thousand of
 * them, scattered among used memory, would keep as many pages. */
void outbox_pool_shrink(struct outbox_pool *pool);

/* From now on nothing more is queued; what is queued is still to be flushed. */
void outbox_seal(struct outbox *outbox);

/* From now on nothing is queued, and outbox_peek() gives nothing. outbox_discard() frees the queue.
 */
void outbox_close(struct outbox *outbox);

/*
 * Frees what a closed outbox holds, at most *budget ranges (a stuck client may have a million), and
 * takes their number off *budget. True when nothing is left. While a write is in flight nothing is
 * freed.
 */
bool outbox_discard(struct outbox *outbox, size_t *budget) __attribute__((warn_unused_result));

/* A message, written to any frame log. */
enum outbox_result outbox_push_message(struct outbox *outbox, const struct frame *frame)
    __attribute__((warn_unused_result));

/* Drops a message with this tag that cannot be queued, and counts it. */
void outbox_refuse(struct outbox *outbox, uint32_t tag);

/* True if, under OUTBOX_BLOCK, there is no room for a message of len bytes. An empty outbox has
 * room for any message. */
bool outbox_would_block(const struct outbox *outbox, size_t len)
    __attribute__((warn_unused_result));

/* Has room() called once, as soon as there is room for len bytes, at most 2^31-1; replaces an
 * earlier request. 0 cancels it. */
void outbox_await_room(struct outbox *outbox, size_t len);

/* Queues a reply; copies. Its place is in front of the barrier if there is one, else at the mark if
 * one is set, else at the end. */
void outbox_push_reply(struct outbox *outbox, struct slice reply);

/*
 * Between the two calls a command's reply is queued in front of the messages that the command sent
 * to its own client, as in Redis 7.2, though it is queued after them.
 */
void outbox_mark(struct outbox *outbox);
void outbox_unmark(struct outbox *outbox);

/*
 * Sets a barrier at the mark, or at the end: outbox_peek() gives nothing from behind it before
 * outbox_unbar(). There is at most one.
 */
void outbox_bar(struct outbox *outbox);
void outbox_unbar(struct outbox *outbox);

/* Gives the first bytes queued, as at most count pieces; returns how many. They are valid until the
 * outbox changes. */
size_t outbox_peek(struct outbox *outbox, struct iovec *pieces, size_t count);
void outbox_consume(struct outbox *outbox, size_t len); /* len <= bytes */
void outbox_flushed(struct outbox *outbox);             /* ready() may be called again */

/*
 * A write in flight: another thread writes the first count pieces that outbox_peek() gave, of which
 * the last may have been shortened. Until outbox_end_write() their bytes stay where they are, even
 * if the outbox is closed, and they do not count towards the limits. outbox_end_write() consumes
 * the len bytes that were written; the others are queued as before.
 */
void outbox_begin_write(struct outbox *outbox, const struct iovec *pieces, size_t count);
void outbox_end_write(struct outbox *outbox, size_t len);

bool outbox_is_empty(const struct outbox *outbox); /* outbox_peek() gives nothing */
size_t outbox_reply_bytes(const struct outbox *outbox);

/* The new limits apply to what is queued from now on. */
void outbox_set_limits(struct outbox *outbox, const struct outbox_limits *limits);

const char *outbox_policy_name(enum outbox_policy policy);
bool outbox_policy_parse(struct slice name, enum outbox_policy *policy)
    __attribute__((warn_unused_result)); /* no case */

#endif
