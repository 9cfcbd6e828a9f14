#ifndef PUBSUB_RING_CHUNK_H
#define PUBSUB_RING_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "pubsub/ring.h"

/* The memory of a ring, for the files ring*.c only. */

struct ring_chunk {
	TAILQ_ENTRY(ring_chunk) by_age; /* in the pool */
	struct ring *ring;
	uint64_t base_seq;    /* of the first message that was put here; seqs are relative to it */
	uint32_t room;        /* bytes of data */
	uint32_t head;        /* offset of the oldest message */
	uint32_t end;         /* offset behind the newest message */
	uint32_t last;        /* offset of the newest message */
	uint32_t wrap;        /* not 0: behind the message that ends here comes the one at 0 */
	uint32_t before_last; /* of the one before, if there is one */
	uint32_t count;       /* of messages */
	char data[];
};

/*
 * The messages are from head to end or, if the chunk is used as a circle and its newest messages
 * are in front of its oldest ones, from head to wrap and from 0 to end.
 */

/* What precedes a payload in a chunk, at any address. */
struct ring_entry {
	uint32_t seq_offset;
	uint32_t len;
	uint64_t appended_us;
};

_Static_assert(sizeof(struct ring_entry) == RING_MESSAGE_OVERHEAD, "no padding");

static inline struct ring_entry
ring_entry_at(const struct ring_chunk *chunk, uint32_t offset)
{
	struct ring_entry entry;

	memcpy(&entry, chunk->data + offset, sizeof(entry));
	return entry;
}

/* The offset behind a message, of the next one unless it is the last. */
static inline uint32_t
ring_chunk_next(const struct ring_chunk *chunk, uint32_t offset, uint32_t len)
{
	offset += RING_MESSAGE_OVERHEAD + len;
	return offset == chunk->wrap ? 0 : offset;
}

static inline uint64_t
ring_chunk_seq_at(const struct ring_chunk *chunk, uint32_t offset)
{
	return chunk->base_seq + ring_entry_at(chunk, offset).seq_offset;
}

static inline uint64_t
ring_chunk_last_seq(const struct ring_chunk *chunk)
{
	return ring_chunk_seq_at(chunk, chunk->last);
}

/* Bytes of messages. */
static inline size_t
ring_chunk_used(const struct ring_chunk *chunk)
{
	return chunk->wrap != 0 ? chunk->wrap - chunk->head + chunk->end : chunk->end - chunk->head;
}

static inline uint64_t
ring_chunk_payload(const struct ring_chunk *chunk)
{
	return ring_chunk_used(chunk) - (uint64_t)chunk->count * RING_MESSAGE_OVERHEAD;
}

/* Makes the array of chunks as large as that: a power of two, and at least chunk_count. */
void ring_set_chunk_room(struct ring *ring, uint32_t room);

/* Number i of the ring's chunks, the oldest first. */
static inline struct ring_chunk **
ring_chunk_slot(struct ring *ring, uint32_t i)
{
	return ring->chunk_room == 1
		   ? &ring->chunks.one
		   : &ring->chunks.many[(ring->chunk_first + i) & (ring->chunk_room - 1)];
}

static inline struct ring_chunk *
ring_chunk_at(const struct ring *ring, uint32_t i)
{
	return ring->chunk_room == 1
		   ? ring->chunks.one
		   : ring->chunks.many[(ring->chunk_first + i) & (ring->chunk_room - 1)];
}

#endif
