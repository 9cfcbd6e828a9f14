#ifndef PUBSUB_CURSOR_H
#define PUBSUB_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/ring.h"

/*
 * Cursor: how far a subscriber has got with the kept messages of the channels that it resumes.
 *
 * A subscription with an entry in its subscriber's cursor is replayed: it is a member of its topic
 * and counts as a receiver, but its messages come from the ring, merged with those of the
 * subscriber's other entries in the order of seq. When none is left, all entries end at once and
 * the subscriptions are live. A cursor knows rings and its own life cycle, not outboxes or wire
 * forms: hub_replay.c does.
 */
struct cursor;
struct subscriber;
struct subscription;

enum cursor_state {
	CURSOR_NONE,    /* not allocated */
	CURSOR_HELD,    /* subscriptions are still being added and confirmed */
	CURSOR_DUE,     /* in the hub's list: its next portion can be queued */
	CURSOR_WAITING, /* for the outbox to be low */
};
#define CURSOR_STATES (CURSOR_WAITING + 1)

enum cursor_event {
	CURSOR_EVENT_ADDED,   /* a subscription was added */
	CURSOR_EVENT_BEHIND,  /* a live subscription was added, because the outbox has no room */
	CURSOR_EVENT_STARTED, /* the subscriptions are confirmed */
	CURSOR_EVENT_FULL,    /* the outbox is not low */
	CURSOR_EVENT_LOW,     /* the outbox is low again */
	CURSOR_EVENT_ENDED,   /* no entry is left, or the subscriber leaves */
};
#define CURSOR_EVENTS (CURSOR_EVENT_ENDED + 1)

/* The next state by the table; the same state if the event has no effect in it. */
enum cursor_state cursor_state_after(enum cursor_state state, enum cursor_event event);

/* Entries that live subscriptions may be added up to: each portion looks at all of them. */
#define CURSOR_ENTRIES_MAX 16384

struct cursor_entry {
	struct subscription *subscription; /* its `entry` is the index of this entry + 1 */
	uint64_t after_seq;                /* messages with a higher seq are still to be queued */
	uint32_t number; /* of the messages that the ring ever had, how many come up to after_seq,
			    modulo 2^32 */
};

struct cursor {
	struct subscriber *subscriber;
	TAILQ_ENTRY(cursor) link; /* while it is CURSOR_DUE */
	struct cursor_entry *entries;
	uint64_t queued_seq; /* everything up to it was queued */
	uint32_t count;
	uint32_t room;
	uint8_t state; /* enum cursor_state */
};

TAILQ_HEAD(cursors, cursor);

struct cursor *cursor_new(struct subscriber *subscriber); /* borrows; returns owned (cursor_free) */
void cursor_free(struct cursor *cursor);                  /* without entries */

/* Adds an entry. ring NULL: the channel has no ring yet, and no message that could be resumed. */
void cursor_add(struct cursor *cursor, struct subscription *subscription, const struct ring *ring,
    uint64_t after_seq);

/* Adds an entry whose only message to be queued is the last one that the ring got, or skipped. */
void cursor_add_behind(struct cursor *cursor, struct subscription *subscription,
    const struct ring *ring, uint64_t after_seq);

/* Removes the subscription's entry: the subscription is live. */
void cursor_remove(struct cursor *cursor, struct subscription *subscription);

/* The messages that have left the ring and that the entry has not queued. */
uint32_t cursor_overtaken(const struct cursor_entry *entry, const struct ring *ring);

/* Moves the entry to the first message that the ring has. */
void cursor_skip(struct cursor_entry *entry, const struct ring *ring);

/* A part of the merged messages, in the order of seq. The payloads are valid until a ring
 * changes. */
struct cursor_portion {
	struct ring_message *messages;
	uint32_t *entries; /* of each message: the index of its entry */
	uint32_t count;
	bool is_last; /* there are no more messages */
};

#define CURSOR_PORTION_MESSAGES 512

/*
 * Plans the next portion: at most `messages` (1 to CURSOR_PORTION_MESSAGES) of together at most
 * `bytes` of payload, but at least one if there is one. rings[i] belongs to entries[i]; NULL: it
 * has none. portion->messages and entries have room for `messages`. cursor_advance() goes behind
 * it.
 */
void cursor_plan(const struct cursor *cursor, const struct ring *const *rings, uint32_t messages,
    size_t bytes, struct cursor_portion *portion);
void cursor_advance(struct cursor *cursor, const struct cursor_portion *portion);

#endif
