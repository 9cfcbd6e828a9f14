#ifndef PUBSUB_OUTBOX_ITEM_H
#define PUBSUB_OUTBOX_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/outbox.h"

/* The items of an outbox's queue, for the files outbox*.c only. */
enum item_kind {
	ITEM_MESSAGES,  /* messages under the outbox's own policy; the first may be partly sent,
			   see outbox_item_unstart */
	ITEM_DROPPABLE, /* messages under OUTBOX_DROP_OLDEST of their channel; the same */
	ITEM_GUARDED,   /* messages under another policy of their channel: they are not dropped */
	ITEM_STARTED,   /* one message that is partly sent: the rest must be sent */
	ITEM_REPLIES,
	ITEM_GAP,     /* messages are missing here; turned into a notice when it is at the front */
	ITEM_BARRIER, /* see outbox_bar() */
};

struct outbox_item {
	TAILQ_ENTRY(outbox_item) link;
	struct frame_range range;
	uint64_t missed; /* ITEM_GAP: how many, or WIRE_MISSED_UNKNOWN; ITEM_GUARDED: their queue
			    group, or 0 */
	enum item_kind kind;
	uint8_t form;   /* of its messages, or of those that are missing */
	bool in_flight; /* being written: its range is pinned and not extended */
};

/* Adds an item behind `after` (NULL: at the front). */
struct outbox_item *outbox_item_add(
    struct outbox *outbox, struct outbox_item *after, enum item_kind kind);

/* Removes an item with its range, which may be empty. */
void outbox_item_remove(struct outbox *outbox, struct outbox_item *item);

/* Bytes, or messages of len bytes in all, leave the queue; messages with this tag were dropped. */
void outbox_uncount_bytes(struct outbox *outbox, size_t len);
void outbox_uncount_messages(struct outbox *outbox, size_t len, uint32_t messages);
void outbox_count_drops(struct outbox *outbox, uint32_t tag, uint64_t count);

/*
 * Makes the partly sent message with which an item of messages begins an item of its own,
 * ITEM_STARTED; the item of the others is behind it. This happens at most once for each message.
 */
void outbox_item_unstart(struct outbox *outbox, struct outbox_item *item);

/* The first item of that kind from this one on (NULL: none); NULL: none. */
struct outbox_item *outbox_item_of_kind(struct outbox_item *item, enum item_kind kind);

#endif
