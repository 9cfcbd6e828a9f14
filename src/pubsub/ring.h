#ifndef PUBSUB_RING_H
#define PUBSUB_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Ring: the kept messages of one channel, oldest first, with their payloads.
 *
 * The messages of a ring of up to 32 KiB are in one chunk, which is used in a circle and replaced
 * by a larger or smaller one as needed. A larger ring has chunks of 256 bytes to 8 KiB, which are
 * larger in a larger ring. A larger message has a chunk of its own, and so has the message of a
 * ring that keeps one. A message takes 16 bytes besides its payload. The pool counts the memory of
 * all rings and lists their chunks by age, so that the oldest chunk of all is found at once.
 * Messages leave a ring at its old end only. A position in a ring is a seq: whoever reads on later
 * searches for it anew, O(log chunks).
 *
 * A ring reads no clock and knows no limits, no hub and no names: history.h does.
 */
struct ring_chunk;
TAILQ_HEAD(ring_chunks, ring_chunk);

struct ring_pool {
	struct ring_chunks by_age; /* the oldest first: by the seq with which they were begun, or
				      with which a circle began a new round */
	size_t bytes;              /* of rings and chunks, as asked of the allocator */
	size_t messages;
	size_t rings;
};

/* Fields are for reading, except where history.h owns them. It is kept small: there may be a
 * million rings of one message. */
struct ring {
	struct ring_pool *pool;
	TAILQ_ENTRY(ring) recent; /* history.h: in the order of newest_seq */
	void *owner;              /* the user's, not NULL; NULL: the ring is being freed */
	union {
		struct ring_chunk *one; /* chunk_room is 1 */
		struct ring_chunk **many;
	} chunks;             /* a circular array */
	uint32_t chunk_first; /* index of the oldest */
	uint32_t chunk_count;
	uint32_t chunk_room; /* a power of two */
	uint32_t count;      /* of messages */
	uint64_t payload_bytes;
	uint64_t trimmed_seq; /* no message with a higher seq is missing here; 0: none ever */
	uint64_t newest_seq;  /* of the newest message that the ring ever had */
	uint64_t touched_us;  /* when the newest message was appended */
	uint32_t ttl_s;       /* history.h */
	uint32_t index;       /* history.h: its number */
	uint32_t place;       /* history.h: in the queue of expiry */
	uint32_t appended;    /* messages that it ever had or skipped, modulo 2^32 */
};

struct ring_message {
	uint64_t seq;
	uint64_t appended_us;
	struct slice payload; /* valid until the ring changes */
};

#define RING_MESSAGE_OVERHEAD 16            /* bytes of a message besides its payload */
#define RING_PAYLOAD_MAX ((size_t)64 << 20) /* bytes */

void ring_pool_init(struct ring_pool *pool);

/* Borrows pool. Returns owned (ring_free). */
struct ring *ring_new(struct ring_pool *pool, void *owner);

/* Frees at most *budget chunks and takes them off it; true when the ring itself is freed, too. */
bool ring_free(struct ring *ring, size_t *budget) __attribute__((warn_unused_result));

/*
 * Appends a message and drops as many of the oldest as needed to keep within `most` messages (at
 * least 1) and most_bytes of payload (at least payload.len). seq is higher than any before, now_us
 * not less than before. Copies payload, which has at most RING_PAYLOAD_MAX bytes.
 */
void ring_append(struct ring *ring, uint64_t seq, uint64_t now_us, struct slice payload,
    uint64_t most, uint64_t most_bytes);

/*
 * Appends a message that another ring had, without a change of the ring's other fields: seq is
 * above trimmed_seq and at most newest_seq, appended_us not less than that of the message before.
 * is_single: the ring has no other. Call ring_pool_sort() when all rings have their messages.
 */
void ring_restore(
    struct ring *ring, uint64_t seq, uint64_t appended_us, struct slice payload, bool is_single);
void ring_pool_sort(struct ring_pool *pool); /* restores the order of by_age */

/* Nothing before seq can be had here: for a message that is not kept. The ring must be empty. */
void ring_skip(struct ring *ring, uint64_t seq, uint64_t now_us);

void ring_drop_oldest(struct ring *ring); /* the ring is not empty */

/* Frees the oldest chunk with its messages, or the older half of it if it has all messages of the
 * ring and is not small. The ring has a chunk. */
void ring_drop_oldest_chunk(struct ring *ring);

/* Drops messages until at most `most` are left, of at most most_bytes. A chunk whose messages all
 * go is one step. */
void ring_trim(struct ring *ring, uint64_t most, uint64_t most_bytes);

/* Drops messages that were appended at cutoff_us or earlier; a message or a whole chunk takes one
 * of the budget. False: the budget is used up and there may be more. */
bool ring_expire(struct ring *ring, uint64_t cutoff_us, size_t *budget)
    __attribute__((warn_unused_result));

/*
 * For dropping more than is freed at once: the number of chunks, the oldest ones, whose messages
 * would all go in ring_trim() or ring_expire(), and a new ring without owner (ring_free), to which
 * the oldest `chunks` chunks are moved, without their messages. Takes some nanoseconds a chunk.
 */
uint32_t ring_chunks_to_trim(const struct ring *ring, uint64_t most, uint64_t most_bytes);
uint32_t ring_chunks_to_expire(const struct ring *ring, uint64_t cutoff_us);
struct ring *ring_cut(struct ring *ring, uint32_t chunks); /* at least 2 */

/* The ring of the oldest chunk in the pool, to which ring_drop_oldest_chunk() applies; NULL: no
 * ring has a message. */
struct ring *ring_pool_oldest(const struct ring_pool *pool);

size_t ring_bytes(const struct ring *ring); /* of memory; walks the chunks */

/* False if the ring is empty. */
bool ring_oldest(const struct ring *ring, struct ring_message *out)
    __attribute__((warn_unused_result));

/* True if a reader that has everything up to seq has missed a message of this ring. */
static inline bool
ring_overtook(const struct ring *ring, uint64_t seq)
{
	return seq < ring->trimmed_seq;
}

/*
 * Reading, oldest first: all messages whose seq is higher than after_seq. An iterator is valid
 * until the ring changes; begin another one at the seq of the last message that was read.
 */
struct ring_iterator {
	const struct ring *ring;
	const struct ring_chunk *chunk; /* NULL at the end */
	uint32_t chunk_number;          /* of the ring's chunks */
	uint32_t offset;                /* of the next message */
};

void ring_after(const struct ring *ring, uint64_t after_seq, struct ring_iterator *it);
bool ring_next(struct ring_iterator *it, struct ring_message *out)
    __attribute__((warn_unused_result));

/* Reading, newest first: all messages whose seq is at most upto_seq. Valid until the ring
 * changes. */
#define RING_CHUNK_MESSAGES 2048 /* more than any chunk has */
struct ring_reverse_iterator {
	const struct ring *ring;
	uint32_t chunk_number;
	uint32_t left; /* offsets of this chunk that were not returned */
	uint16_t offsets[RING_CHUNK_MESSAGES];
};

void ring_before(const struct ring *ring, uint64_t upto_seq, struct ring_reverse_iterator *it);
bool ring_previous(struct ring_reverse_iterator *it, struct ring_message *out)
    __attribute__((warn_unused_result));

/* The seq after which the last n messages (or all, if there are fewer) come: for ring_after(). */
uint64_t ring_seq_before_last(const struct ring *ring, uint64_t n);

/* The number of messages whose seq is higher than after_seq. Walks the chunks behind it. */
uint64_t ring_count_after(const struct ring *ring, uint64_t after_seq);

/*
 * Merge: the messages of several rings in the order of seq, O(log rings) a message. The entries are
 * the caller's memory. Valid until one of the rings changes.
 */
struct ring_merge_entry {
	struct ring_iterator it;
	struct ring_message next;
	size_t tag;
};

struct ring_merge {
	struct ring_merge_entry *entries; /* a heap */
	size_t count;
};

/* entries (borrowed) has room for each ring that is added. */
void ring_merge_init(struct ring_merge *merge, struct ring_merge_entry *entries);
/* tag is the caller's. Each ring may have an after_seq of its own. */
void ring_merge_add(
    struct ring_merge *merge, const struct ring *ring, uint64_t after_seq, size_t tag);
/* *tag is that of the message's ring. False at the end. */
bool ring_merge_next(struct ring_merge *merge, struct ring_message *out, size_t *tag)
    __attribute__((warn_unused_result));

#endif
