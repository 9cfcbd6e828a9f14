#include "config.h"

#include "pubsub/ring.h"

#include <assert.h>

#include "pubsub/ring_chunk.h"

/* As trim() in ring.c, which keeps the last chunk. */
uint32_t
ring_chunks_to_trim(const struct ring *ring, uint64_t most, uint64_t most_bytes)
{
	uint64_t count = ring->count, bytes = ring->payload_bytes;
	uint32_t chunks = 0;

	while (chunks + 1 < ring->chunk_count && (count > most || bytes > most_bytes)) {
		const struct ring_chunk *chunk = ring_chunk_at(ring, chunks);

		count -= chunk->count;
		bytes -= ring_chunk_payload(chunk);
		if (count < most && bytes <= most_bytes)
			break;
		chunks++;
	}
	return chunks;
}

uint32_t
ring_chunks_to_expire(const struct ring *ring, uint64_t cutoff_us)
{
	uint32_t low = 0, high = ring->count > 0 ? ring->chunk_count : 0;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct ring_chunk *chunk = ring_chunk_at(ring, middle);

		if (ring_entry_at(chunk, chunk->last).appended_us <= cutoff_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ring *
ring_cut(struct ring *ring, uint32_t chunks)
{
	struct ring *cut = ring_new(ring->pool, NULL);
	uint32_t room = 2;

	assert(chunks >= 2 && chunks <= ring->chunk_count && ring->count > 0);
	while (room < chunks)
		room *= 2;
	ring_set_chunk_room(cut, room);
	for (uint32_t i = 0; i < chunks; i++) {
		struct ring_chunk *chunk = ring_chunk_at(ring, i);

		ring->count -= chunk->count;
		ring->pool->messages -= chunk->count;
		ring->payload_bytes -= ring_chunk_payload(chunk);
		chunk->ring = cut;
		*ring_chunk_slot(cut, cut->chunk_count++) = chunk;
	}
	ring->trimmed_seq = ring_chunk_last_seq(ring_chunk_at(cut, chunks - 1));
	ring->chunk_count -= chunks;
	ring->chunk_first = (ring->chunk_first + chunks) & (ring->chunk_room - 1);
	for (room = ring->chunk_room; room > 1 && ring->chunk_count <= room / 4;)
		room /= 2;
	if (room != ring->chunk_room)
		ring_set_chunk_room(ring, room);
	return cut;
}
