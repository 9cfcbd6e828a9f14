#ifndef PUBSUB_CURSOR_H
#define PUBSUB_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/time_queue.h"
#include "pubsub/ring.h"

/*
 * Cursor: how far a subscriber has got with the kept messages that it resumes.
 *
 * A subscription with a reader in its subscriber's cursor is replayed: it is a member of its topic
 * and counts as a receiver, but kept messages come from the rings, merged with those of the
 * subscriber's other readers in the order of seq. When none is left, all readers end at once and
 * the subscriptions are live.
 *
 * A reader reads the channels that its subscription matches: one or, for a pattern, many. It has an
 * entry for exactly those channels whose ring has, or had, a message behind the reader's base. So a
 * publisher that knows which message of the channel came before its own knows whether there is an
 * entry. As the replay goes on, the base rises, and entries that have nothing left to read end.
 *
 * A cursor knows rings, topics and its own life cycle, not outboxes or wire forms: hub_replay.c
 * does. cursor_portion.h merges.
 */
struct cursor;
struct hash_map;
struct subscriber;
struct subscription;
struct topic;

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

/* Entries that publishers may add up to. */
#define CURSOR_ENTRIES_MAX 16384

/* All entries that read the ring of one channel. When the ring is freed they end in slices: until
 * then it is forgotten. */
struct cursor_topic {
	struct topic *topic;           /* NULL: it is forgotten */
	LIST_ENTRY(cursor_topic) link; /* while it is forgotten */
	uint32_t appended;             /* ... how many messages the ring ever had, modulo 2^32 */
	LIST_HEAD(, cursor_entry) entries;
	uint64_t checked; /* hub_replay.c: the last publish that looked at all of them */
};

/* A channel that a reader reads. */
struct cursor_entry {
	struct cursor_reader *reader;
	struct cursor_topic *of;
	LIST_ENTRY(cursor_entry) of_topic;
	LIST_ENTRY(cursor_entry) of_reader;
	uint64_t after_seq; /* messages with a higher seq are still to be queued */
	uint32_t number;    /* of the messages that the ring ever had, how many come up to
			       after_seq, modulo 2^32 */
	uint32_t place;     /* in the cursor's queue; CURSOR_NO_PLACE: in a portion */
};
#define CURSOR_NO_PLACE UINT32_MAX

/* A subscription that is being replayed. */
struct cursor_reader {
	struct cursor *cursor;
	struct subscription *subscription; /* its `reader` is this one */
	LIST_HEAD(, cursor_entry) entries;
	TAILQ_ENTRY(cursor_reader) link;
	uint64_t base_seq; /* see cursor_base() */
	uint64_t number;   /* in the order in which the cursor's readers began */
	uint64_t name;     /* hub_replay_portion.c: identifies its pattern in a portion */
};

struct cursor {
	struct subscriber *subscriber;
	TAILQ_ENTRY(cursor) link; /* while it is CURSOR_DUE */
	TAILQ_HEAD(, cursor_reader) readers;
	/*
	 * The entries, each at a seq not above that of its next message and above the reader's
	 * base; it is at most the newest_seq of its ring.
	 */
	struct time_queue queue;
	uint64_t done_seq;   /* no entry has a message up to it */
	uint64_t queued_seq; /* everything up to it was queued */
	uint64_t last_number;
	uint32_t reader_count;
	uint8_t state; /* enum cursor_state */
};

TAILQ_HEAD(cursors, cursor);

struct cursor *cursor_new(struct subscriber *subscriber); /* borrows; returns owned (cursor_free) */
void cursor_free(struct cursor *cursor);                  /* without readers */

/* The subscription is replayed from now on. It has all messages up to base_seq. */
struct cursor_reader *cursor_add_reader(
    struct cursor *cursor, struct subscription *subscription, uint64_t base_seq);

/* The subscription, whose reader has no entries any more, is live. */
void cursor_end_reader(struct cursor_reader *reader);

/* The reader has an entry for each channel that it matches and whose ring has a newest_seq above
 * it, and for no other. */
uint64_t cursor_base(const struct cursor_reader *reader);

/*
 * Adds an entry for the channel of that topic, whose ring is not NULL. `topics` has a struct
 * cursor_topic for each topic with entries, under its address; borrows topic. newest_seq of the
 * ring is above the reader's base, and not less than after_seq, or the ring was trimmed up to
 * after_seq. number: see struct cursor_entry.
 */
void cursor_add(struct hash_map *topics, struct cursor_reader *reader, struct topic *topic,
    const struct ring *ring, uint64_t after_seq, uint32_t number);
void cursor_remove(struct hash_map *topics, struct cursor_entry *entry);

/* The ring was freed, after `appended` messages in all. The caller adds it to a list, which it
 * leaves with its last entry. */
void cursor_forget(struct hash_map *topics, struct cursor_topic *of, uint32_t appended);

/* NULL: no entry reads this channel, or its ring is forgotten. */
struct cursor_topic *cursor_topic_of(const struct hash_map *topics, const struct topic *topic);

/* The messages that have left the ring and that the entry has not queued. */
uint32_t cursor_overtaken(const struct cursor_entry *entry, const struct ring *ring);

/* Moves the entry to the first message that the ring has. */
void cursor_skip(struct cursor_entry *entry, const struct ring *ring);

/* Moves the entry behind the newest message of the ring; returns how many it left out. */
uint32_t cursor_skip_all(struct cursor_entry *entry, const struct ring *ring);

#endif
