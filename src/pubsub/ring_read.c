#include "config.h"

#include <assert.h>

#include "pubsub/ring.h"
#include "pubsub/ring_chunk.h"

/* Reading rings. */

/* The number of the last chunk whose first message had that seq or a lower one; 0 if there is none.
 * The ring has a chunk. */
static uint32_t
find_chunk(const struct ring *ring, uint64_t seq)
{
	uint32_t low = 0, high = ring->chunk_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (ring_chunk_at(ring, middle)->base_seq <= seq)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static struct ring_message
message_at(const struct ring_chunk *chunk, uint32_t offset)
{
	struct ring_entry entry = ring_entry_at(chunk, offset);

	return (struct ring_message){
	    .seq = chunk->base_seq + entry.seq_offset,
	    .appended_us = entry.appended_us,
	    .payload = {chunk->data + offset + sizeof(entry), entry.len},
	};
}

bool
ring_oldest(const struct ring *ring, struct ring_message *out)
{
	const struct ring_chunk *chunk;

	if (ring->count == 0)
		return false;
	chunk = ring_chunk_at(ring, 0);
	*out = message_at(chunk, chunk->head);
	return true;
}

/* Moves to chunk number i, or to the end. */
static void
enter(struct ring_iterator *it, uint32_t i)
{
	it->chunk_number = i;
	it->chunk = i < it->ring->chunk_count ? ring_chunk_at(it->ring, i) : NULL;
	it->offset = it->chunk != NULL ? it->chunk->head : 0;
}

void
ring_after(const struct ring *ring, uint64_t after_seq, struct ring_iterator *it)
{
	struct ring_entry entry;

	it->ring = ring;
	if (ring->count == 0 || after_seq >= ring->newest_seq) {
		enter(it, ring->chunk_count);
		return;
	}
	enter(it, find_chunk(ring, after_seq));
	assert(it->chunk != NULL); /* a ring with messages has a chunk */
	if (ring_chunk_last_seq(it->chunk) <= after_seq) {
		enter(it, it->chunk_number + 1);
		return;
	}
	if (it->chunk->count > 1 &&
	    ring_chunk_seq_at(it->chunk, it->chunk->before_last) <= after_seq)
		it->offset = it->chunk->last; /* what a reader wants that follows the channel */
	while (entry = ring_entry_at(it->chunk, it->offset),
	    it->chunk->base_seq + entry.seq_offset <= after_seq)
		it->offset = ring_chunk_next(it->chunk, it->offset, entry.len);
}

bool
ring_next(struct ring_iterator *it, struct ring_message *out)
{
	if (it->chunk == NULL)
		return false;
	*out = message_at(it->chunk, it->offset);
	if (it->offset == it->chunk->last)
		enter(it, it->chunk_number + 1);
	else
		it->offset = ring_chunk_next(it->chunk, it->offset, (uint32_t)out->payload.len);
	return true;
}

/* Collects the offsets of the chunk's messages up to that seq. */
static void
collect(struct ring_reverse_iterator *it, uint32_t i, uint64_t upto_seq)
{
	const struct ring_chunk *chunk = ring_chunk_at(it->ring, i);
	uint32_t offset = chunk->head;

	it->chunk_number = i;
	it->left = 0;
	for (uint32_t n = 0; n < chunk->count; n++) {
		struct ring_entry entry = ring_entry_at(chunk, offset);

		if (chunk->base_seq + entry.seq_offset > upto_seq)
			break;
		assert(it->left < RING_CHUNK_MESSAGES && offset <= UINT16_MAX);
		it->offsets[it->left++] = (uint16_t)offset;
		offset = ring_chunk_next(chunk, offset, entry.len);
	}
}

void
ring_before(const struct ring *ring, uint64_t upto_seq, struct ring_reverse_iterator *it)
{
	it->ring = ring;
	it->chunk_number = it->left = 0;
	if (ring->count > 0)
		collect(it, find_chunk(ring, upto_seq), upto_seq);
}

bool
ring_previous(struct ring_reverse_iterator *it, struct ring_message *out)
{
	if (it->left == 0 && it->chunk_number > 0)
		collect(it, it->chunk_number - 1, UINT64_MAX);
	if (it->left == 0)
		return false;
	*out = message_at(ring_chunk_at(it->ring, it->chunk_number), it->offsets[--it->left]);
	return true;
}

uint64_t
ring_seq_before_last(const struct ring *ring, uint64_t n)
{
	uint32_t i = ring->chunk_count;
	const struct ring_chunk *chunk;
	uint32_t offset;

	if (n == 0)
		return ring->newest_seq;
	if (n >= ring->count)
		return ring->trimmed_seq;
	while (n > 0 && ring_chunk_at(ring, i - 1)->count <= n)
		n -= ring_chunk_at(ring, --i)->count;
	if (n == 0)
		return ring_chunk_last_seq(ring_chunk_at(ring, i - 1));
	chunk = ring_chunk_at(ring, i - 1);
	offset = chunk->head;
	for (uint64_t skip = chunk->count - n - 1; skip > 0; skip--)
		offset = ring_chunk_next(chunk, offset, ring_entry_at(chunk, offset).len);
	return ring_chunk_seq_at(chunk, offset);
}

uint64_t
ring_count_after(const struct ring *ring, uint64_t after_seq)
{
	struct ring_iterator it;
	uint64_t count = 1;

	ring_after(ring, after_seq, &it);
	if (it.chunk == NULL)
		return 0;
	for (uint32_t at = it.offset; at != it.chunk->last; count++)
		at = ring_chunk_next(it.chunk, at, ring_entry_at(it.chunk, at).len);
	for (uint32_t i = it.chunk_number + 1; i < ring->chunk_count; i++)
		count += ring_chunk_at(ring, i)->count;
	return count;
}

void
ring_merge_init(struct ring_merge *merge, struct ring_merge_entry *entries)
{
	*merge = (struct ring_merge){.entries = entries};
}

/* Puts entry at index i of the heap, or further down, where it belongs. */
static void
sink(struct ring_merge *merge, size_t i, struct ring_merge_entry entry)
{
	struct ring_merge_entry *heap = merge->entries;

	for (size_t child; (child = 2 * i + 1) < merge->count; i = child) {
		if (child + 1 < merge->count && heap[child + 1].next.seq < heap[child].next.seq)
			child++;
		if (heap[child].next.seq >= entry.next.seq)
			break;
		heap[i] = heap[child];
	}
	heap[i] = entry;
}

void
ring_merge_add(struct ring_merge *merge, const struct ring *ring, uint64_t after_seq, size_t tag)
{
	struct ring_merge_entry *heap = merge->entries, entry = {.tag = tag};
	size_t i = merge->count;

	ring_after(ring, after_seq, &entry.it);
	if (!ring_next(&entry.it, &entry.next))
		return;
	merge->count++;
	for (; i > 0 && heap[(i - 1) / 2].next.seq > entry.next.seq; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = entry;
}

bool
ring_merge_next(struct ring_merge *merge, struct ring_message *out, size_t *tag)
{
	struct ring_merge_entry first;

	if (merge->count == 0)
		return false;
	first = merge->entries[0];
	*out = first.next;
	*tag = first.tag;
	if (!ring_next(&first.it, &first.next))
		first = merge->entries[--merge->count];
	if (merge->count > 0)
		sink(merge, 0, first);
	return true;
}
