#ifndef PUBSUB_OUTBOX_ITEM_H
#define PUBSUB_OUTBOX_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/outbox.h"

/* The items of an outbox's queue, for the files outbox*.c only. */
enum item_kind {
	ITEM_MESSAGES, /* messages that may be dropped; the first may be partly sent, see
			  item_unstart */
	ITEM_GUARDED,  /* messages that others must not push out: see outbox_push_under() */
	ITEM_STARTED,  /* one message that is partly sent: the rest must be sent */
	ITEM_REPLIES,
	ITEM_GAP,     /* messages are missing here; turned into a notice when it is at the front */
	ITEM_BARRIER, /* see outbox_bar() */
};

struct outbox_item {
	TAILQ_ENTRY(outbox_item) link;
	struct frame_range range;
	uint64_t missed; /* ITEM_GAP */
	enum item_kind kind;
	uint8_t form;   /* of its messages, or of those that are missing */
	bool in_flight; /* being written: its range is pinned, not extended, and before `oldest` */
};

/* Adds an item behind `after` (NULL: at the front). */
struct outbox_item *outbox_item_add(
    struct outbox *outbox, struct outbox_item *after, enum item_kind kind);

/* Removes an item with its range, which may be empty. */
void outbox_item_remove(struct outbox *outbox, struct outbox_item *item);

/* The first item from this one on (NULL: none) whose messages may be dropped; NULL: none. */
struct outbox_item *outbox_item_droppable(struct outbox_item *item);

#endif
