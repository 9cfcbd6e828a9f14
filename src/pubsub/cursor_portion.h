#ifndef PUBSUB_CURSOR_PORTION_H
#define PUBSUB_CURSOR_PORTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/cursor.h"

/*
 * Cursor portion: the next messages of a cursor, merged in the order of seq. Of one message that
 * several readers get, the channel's own comes first, then those of patterns in the order in which
 * they began.
 *
 * It looks only at entries whose next message may be in the portion, so that it takes O(messages
 * log entries), however many channels the cursor reads:
 *
 *	cursor_portion_begin(p, cursor, messages, bytes, dedup);
 *	do {
 *		while ((entry = cursor_portion_wants(p)) != NULL)
 *			if (...)
 *				cursor_portion_read(p, entry, its ring);
 *	} while (cursor_portion_take(p));
 *	cursor_portion_commit(p, topics) or cursor_portion_cancel(p)
 *
 * Meanwhile no ring that is read may change.
 */
#define CURSOR_PORTION_MESSAGES 512

/* Entries that one portion looks at, unless several have a message of the same seq. */
#define CURSOR_PORTION_ENTRIES 2048

struct cursor_message {
	struct ring_message kept; /* its payload is valid until the ring changes */
	struct cursor_reader *reader;
	struct topic *topic; /* the channel */
};

/* An entry in a portion. */
struct cursor_read {
	struct cursor_entry *entry;
	const struct ring *ring;
	struct ring_iterator it;
	struct ring_message next; /* while it is in the heap */
	int64_t at;               /* where it was in the cursor's queue */
	uint64_t after_seq;
	uint32_t number;
	bool has_next;
};

struct cursor_portion {
	struct cursor_message messages[CURSOR_PORTION_MESSAGES];
	uint32_t count;
	bool is_last; /* after the commit: there are no more messages */
	/* For the implementation: */
	struct cursor *cursor;
	struct cursor_read *reads; /* owned, used again by each portion */
	uint32_t *heap;            /* of the reads with a next message; owned */
	uint32_t read_count, heap_count, room;
	uint32_t most_messages;
	size_t most_bytes, bytes;
	uint64_t queued_seq;
	bool dedup;
	bool is_full;
};

void cursor_portion_init(struct cursor_portion *p);
void cursor_portion_release(struct cursor_portion *p);

/* At most `messages` (1 to CURSOR_PORTION_MESSAGES) of together at most `bytes` of payload, but at
 * least one if there is one. dedup: one copy of each message. */
void cursor_portion_begin(
    struct cursor_portion *p, struct cursor *cursor, uint32_t messages, size_t bytes, bool dedup);

/* The next entry that has to be read before a message can be taken, or NULL. It is given again
 * unless it is read or removed. */
struct cursor_entry *cursor_portion_wants(struct cursor_portion *p);
void cursor_portion_read(
    struct cursor_portion *p, struct cursor_entry *entry, const struct ring *ring);

/* Takes the next message. False: there is none, or the portion is full. */
bool cursor_portion_take(struct cursor_portion *p) __attribute__((warn_unused_result));

/* Moves the cursor behind the messages, and removes entries that have nothing to read any more. */
void cursor_portion_commit(struct cursor_portion *p, struct hash_map *topics);

/* Leaves the cursor where it was. */
void cursor_portion_cancel(struct cursor_portion *p);

#endif
