#include "config.h"

#include "pubsub/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/ring_chunk.h"

/* Appending, dropping, and the array of chunks. Reading is in ring_read.c, dropping many chunks at
 * once in ring_cut.c. */

#define HEADER offsetof(struct ring_chunk, data)
#define CHUNK_LEAST ((size_t)256) /* of a ring with several */
#define CHUNK_MOST ((size_t)8192)
#define CIRCLE_LEAST ((size_t)128)
#define CIRCLE_MOST ((size_t)32768)
#define HALVED_LEAST ((size_t)512)

void
ring_pool_init(struct ring_pool *pool)
{
	*pool = (struct ring_pool){.bytes = 0};
	TAILQ_INIT(&pool->by_age);
}

struct ring *
ring_new(struct ring_pool *pool, void *owner)
{
	struct ring *ring = xcalloc(1, sizeof(*ring));

	ring->pool = pool;
	ring->owner = owner;
	ring->chunk_room = 1;
	pool->bytes += sizeof(*ring);
	pool->rings++;
	return ring;
}

static size_t
array_bytes(const struct ring *ring)
{
	return ring->chunk_room > 1 ? ring->chunk_room * sizeof(struct ring_chunk *) : 0;
}

void
ring_set_chunk_room(struct ring *ring, uint32_t room)
{
	struct ring_chunk **many = room > 1 ? xmalloc(room * sizeof(*many)) : &ring->chunks.one;
	struct ring_chunk **old = ring->chunk_room > 1 ? ring->chunks.many : NULL;
	struct ring_chunk *one = ring->chunk_room > 1 ? NULL : ring->chunks.one;

	for (uint32_t i = 0; i < ring->chunk_count; i++)
		many[i] = old != NULL ? old[(ring->chunk_first + i) & (ring->chunk_room - 1)] : one;
	ring->pool->bytes -= array_bytes(ring);
	xfree(old);
	if (room > 1)
		ring->chunks.many = many;
	ring->chunk_room = room;
	ring->chunk_first = 0;
	ring->pool->bytes += array_bytes(ring);
}

static struct ring_chunk *
add_chunk(struct ring *ring, uint64_t seq, size_t bytes)
{
	struct ring_chunk *chunk = xmalloc(bytes);

	*chunk =
	    (struct ring_chunk){.ring = ring, .base_seq = seq, .room = (uint32_t)(bytes - HEADER)};
	if (ring->chunk_count == ring->chunk_room)
		ring_set_chunk_room(ring, ring->chunk_room * 2);
	*ring_chunk_slot(ring, ring->chunk_count++) = chunk;
	TAILQ_INSERT_TAIL(&ring->pool->by_age, chunk, by_age);
	ring->pool->bytes += bytes;
	return chunk;
}

/* Frees the oldest chunk, whose messages were taken off the counters. */
static void
remove_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = ring_chunk_at(ring, 0);

	TAILQ_REMOVE(&ring->pool->by_age, chunk, by_age);
	ring->pool->bytes -= HEADER + chunk->room;
	xfree(chunk);
	ring->chunk_count--;
	ring->chunk_first = (ring->chunk_first + 1) & (ring->chunk_room - 1);
	if (ring->chunk_room > 1 && ring->chunk_count <= ring->chunk_room / 4)
		ring_set_chunk_room(ring, ring->chunk_room / 2);
}

bool
ring_free(struct ring *ring, size_t *budget)
{
	ring->owner = NULL;
	ring->pool->messages -= ring->count;
	ring->count = 0;
	while (ring->chunk_count > 0) {
		if (*budget == 0)
			return false;
		(*budget)--;
		remove_chunk(ring);
	}
	if (ring->chunk_room > 1)
		ring_set_chunk_room(ring, 1);
	ring->pool->bytes -= sizeof(*ring);
	ring->pool->rings--;
	xfree(ring);
	return true;
}

/* The next size for which the allocator has blocks: jemalloc has four for each power of two. */
static size_t
next_size(size_t bytes)
{
	size_t power = (size_t)1 << (63 - __builtin_clzll(bytes));

	return bytes + power / 4;
}

/* The least such size from CIRCLE_LEAST on. */
static size_t
size_for(size_t bytes)
{
	size_t size = CIRCLE_LEAST;

	while (size < bytes)
		size = next_size(size);
	return size;
}

static bool
is_size_near(size_t bytes, uint64_t best_squared)
{
	return (uint64_t)bytes * bytes * 4 >= best_squared &&
	       (uint64_t)bytes * bytes <= best_squared * 4;
}

/*
 * The size of one more chunk, whose first message needs `need` bytes. A ring of L bytes in chunks
 * of S bytes wastes L / S headers, and about one chunk at its two ends: the least if S is the root
 * of L * HEADER. Of the sizes around that root, the one that messages like this one fill best is
 * taken; that of the last chunk if it was filled well.
 */
static size_t
chunk_bytes(const struct ring *ring, size_t need)
{
	const struct ring_chunk *last = ring_chunk_at(ring, ring->chunk_count - 1);
	uint64_t live = ring->payload_bytes + (uint64_t)ring->count * RING_MESSAGE_OVERHEAD;
	size_t best = 0, best_count = 1;

	if (HEADER + need >= CHUNK_MOST)
		return HEADER + need;
	if (last->room >= need && last->end >= last->room - last->room / 16 &&
	    is_size_near(HEADER + last->room, live * HEADER))
		return HEADER + last->room;
	for (size_t bytes = CHUNK_LEAST; bytes <= CHUNK_MOST; bytes = next_size(bytes)) {
		size_t count = (bytes - HEADER) / need;

		if (count == 0 || (uint64_t)bytes * bytes * 4 < live * HEADER)
			continue;
		if (best > 0 && (uint64_t)bytes * bytes > live * HEADER * 4)
			break;
		if (best == 0 || bytes * best_count < best * count) {
			best = bytes;
			best_count = count;
		}
	}
	return best > 0 ? best : CHUNK_MOST;
}

static void
make_youngest(struct ring_chunk *chunk)
{
	struct ring_chunks *by_age = &chunk->ring->pool->by_age;

	TAILQ_REMOVE(by_age, chunk, by_age);
	TAILQ_INSERT_TAIL(by_age, chunk, by_age);
}

/* The offset of a message if the oldest one were at 0 and the others behind it. */
static uint32_t
place_in_line(const struct ring_chunk *chunk, uint32_t offset)
{
	return offset >= chunk->head ? offset - chunk->head : chunk->wrap - chunk->head + offset;
}

/* Moves the messages of the ring's only chunk to another one. */
static struct ring_chunk *
replace_chunk(struct ring *ring, size_t bytes)
{
	struct ring_chunk *old = ring_chunk_at(ring, 0), *chunk = xmalloc(bytes);
	uint32_t base = ring_entry_at(old, old->head).seq_offset;
	uint32_t upper = (old->wrap != 0 ? old->wrap : old->end) - old->head;

	*chunk = (struct ring_chunk){.ring = ring,
	    .base_seq = old->base_seq + base,
	    .room = (uint32_t)(bytes - HEADER),
	    .end = (uint32_t)ring_chunk_used(old),
	    .last = place_in_line(old, old->last),
	    .before_last = place_in_line(old, old->before_last),
	    .count = old->count};
	memcpy(chunk->data, old->data + old->head, upper);
	memcpy(chunk->data + upper, old->data, chunk->end - upper);
	for (uint32_t at = 0; base > 0 && at < chunk->end;) {
		struct ring_entry entry = ring_entry_at(chunk, at);

		entry.seq_offset -= base;
		memcpy(chunk->data + at, &entry, sizeof(entry));
		at += (uint32_t)sizeof(entry) + entry.len;
	}
	*ring_chunk_slot(ring, 0) = chunk;
	TAILQ_INSERT_BEFORE(old, chunk, by_age);
	TAILQ_REMOVE(&ring->pool->by_age, old, by_age);
	ring->pool->bytes += bytes;
	ring->pool->bytes -= HEADER + old->room;
	xfree(old);
	return chunk;
}

/*
 * Makes room in the ring's only chunk, which becomes a circle, or is replaced by one of the least
 * size that holds all messages; of one a quarter larger if the room is there, but in two pieces.
 * NULL: a ring of this size has several chunks.
 */
static struct ring_chunk *
circle_for(struct ring *ring, uint64_t seq, size_t need)
{
	struct ring_chunk *chunk = ring_chunk_at(ring, 0);
	size_t wanted = HEADER + ring_chunk_used(chunk) + need, has = HEADER + chunk->room;
	uint64_t oldest = ring_chunk_seq_at(chunk, chunk->head);

	if (wanted > CIRCLE_MOST || seq - oldest > UINT32_MAX)
		return NULL;
	if (seq - chunk->base_seq <= UINT32_MAX && has <= CIRCLE_MOST && has / 4 < wanted &&
	    wanted <= has) {
		if (chunk->wrap == 0 && chunk->head >= need) {
			chunk->wrap = chunk->end;
			chunk->end = 0;
			make_youngest(chunk);
			return chunk;
		}
		wanted += wanted / 4;
		if (wanted > CIRCLE_MOST)
			return NULL;
	}
	return replace_chunk(ring, size_for(wanted));
}

/* For the message of an empty ring, which has one chunk or none. */
static struct ring_chunk *
first_chunk(struct ring *ring, uint64_t seq, size_t need, bool is_single)
{
	size_t bytes = HEADER + need;

	if (ring->chunk_count > 0) {
		struct ring_chunk *chunk = ring_chunk_at(ring, 0);

		/* It is used again unless it is far too large. */
		if (chunk->room >= need && chunk->room / 4 <= need + CHUNK_LEAST) {
			make_youngest(chunk);
			chunk->base_seq = seq;
			chunk->head = chunk->end = chunk->wrap = 0;
			return chunk;
		}
		remove_chunk(ring);
	}
	return add_chunk(ring, seq, is_single || bytes > CIRCLE_MOST ? bytes : size_for(bytes));
}

static __attribute__((noinline)) struct ring_chunk *
other_chunk(struct ring *ring, uint64_t seq, size_t need, bool is_single)
{
	struct ring_chunk *chunk = NULL;

	if (ring->count == 0)
		return first_chunk(ring, seq, need, is_single);
	if (ring->chunk_count == 1)
		chunk = circle_for(ring, seq, need);
	return chunk != NULL ? chunk : add_chunk(ring, seq, chunk_bytes(ring, need));
}

/* The chunk in which a message of `need` bytes is appended, at its end. */
static inline struct ring_chunk *
chunk_for(struct ring *ring, uint64_t seq, size_t need, bool is_single)
{
	if (ring->count > 0) {
		struct ring_chunk *chunk = ring_chunk_at(ring, ring->chunk_count - 1);
		uint32_t limit = chunk->wrap != 0 ? chunk->head : chunk->room;

		if (limit - chunk->end >= need && HEADER + chunk->room <= CIRCLE_MOST &&
		    seq - chunk->base_seq <= UINT32_MAX)
			return chunk;
	}
	return other_chunk(ring, seq, need, is_single);
}

/* Keeps the last chunk of the ring, for the next message. */
static inline void
drop_oldest(struct ring *ring)
{
	struct ring_chunk *chunk = ring_chunk_at(ring, 0);
	struct ring_entry entry = ring_entry_at(chunk, chunk->head);

	assert(ring->count > 0);
	chunk->head += (uint32_t)sizeof(entry) + entry.len;
	if (chunk->head == chunk->wrap)
		chunk->head = chunk->wrap = 0;
	chunk->count--;
	ring->count--;
	ring->pool->messages--;
	ring->payload_bytes -= entry.len;
	ring->trimmed_seq = chunk->base_seq + entry.seq_offset;
	if (chunk->count == 0 && ring->chunk_count > 1)
		remove_chunk(ring);
}

static void
drop_chunk(struct ring *ring)
{
	const struct ring_chunk *chunk = ring_chunk_at(ring, 0);

	if (ring->owner != NULL) { /* else ring_free() has begun, and the counters are 0 */
		ring->count -= chunk->count;
		ring->pool->messages -= chunk->count;
		ring->payload_bytes -= ring_chunk_payload(chunk);
		if (chunk->count > 0)
			ring->trimmed_seq = ring_chunk_last_seq(chunk);
	}
	remove_chunk(ring);
}

/* Frees the older half of the ring's only chunk. False: it is too small for that. */
static bool
drop_half(struct ring *ring)
{
	struct ring_chunk *chunk = ring_chunk_at(ring, 0);
	size_t has = HEADER + chunk->room, half = ring_chunk_used(chunk) / 2;

	if (has < HALVED_LEAST || has > CIRCLE_MOST || chunk->count < 2)
		return false;
	do
		drop_oldest(ring);
	while (chunk->count > 1 && ring_chunk_used(chunk) > half);
	make_youngest(replace_chunk(ring, size_for(HEADER + ring_chunk_used(chunk))));
	return true;
}

void
ring_drop_oldest_chunk(struct ring *ring)
{
	assert(ring->chunk_count > 0);
	if (ring->owner == NULL || ring->chunk_count > 1 || !drop_half(ring))
		drop_chunk(ring);
}

/* Leaves an empty ring its last chunk, for the next message. */
static __attribute__((noinline)) void
trim(struct ring *ring, uint64_t most, uint64_t most_bytes)
{
	while (ring->count > most || ring->payload_bytes > most_bytes) {
		const struct ring_chunk *chunk = ring_chunk_at(ring, 0);

		if (ring->chunk_count > 1 &&
		    (ring->count - chunk->count >= most ||
			ring->payload_bytes - ring_chunk_payload(chunk) > most_bytes))
			drop_chunk(ring);
		else
			drop_oldest(ring);
	}
}

/* is_single: in a chunk of its own. */
static inline __attribute__((always_inline)) void
put(struct ring *ring, uint64_t seq, uint64_t appended_us, struct slice payload, bool is_single)
{
	size_t need = RING_MESSAGE_OVERHEAD + payload.len;
	struct ring_entry entry = {.len = (uint32_t)payload.len, .appended_us = appended_us};
	struct ring_chunk *chunk = chunk_for(ring, seq, need, is_single);

	entry.seq_offset = (uint32_t)(seq - chunk->base_seq);
	memcpy(chunk->data + chunk->end, &entry, sizeof(entry));
	if (payload.len > 0)
		memcpy(chunk->data + chunk->end + sizeof(entry), payload.ptr, payload.len);
	chunk->before_last = chunk->last;
	chunk->last = chunk->end;
	chunk->end += (uint32_t)need;
	chunk->count++;
	ring->count++;
	ring->payload_bytes += payload.len;
	ring->pool->messages++;
}

void
ring_append(struct ring *ring, uint64_t seq, uint64_t now_us, struct slice payload, uint64_t most,
    uint64_t most_bytes)
{
	assert(payload.len <= RING_PAYLOAD_MAX && payload.len <= most_bytes && most > 0);
	assert(seq > ring->newest_seq);
	if (ring->count == most) /* the usual case of a ring that is full */
		drop_oldest(ring);
	if (ring->count >= most || ring->payload_bytes > most_bytes - payload.len)
		trim(ring, most - 1, most_bytes - payload.len);
	put(ring, seq, now_us, payload, most == 1);
	ring->appended++;
	ring->newest_seq = seq;
	ring->touched_us = now_us;
}

void
ring_restore(
    struct ring *ring, uint64_t seq, uint64_t appended_us, struct slice payload, bool is_single)
{
	assert(payload.len <= RING_PAYLOAD_MAX && seq > ring->trimmed_seq);
	assert(seq <= ring->newest_seq);
	put(ring, seq, appended_us, payload, is_single);
}

static int
compare_chunks(const void *a, const void *b)
{
	uint64_t first = (*(struct ring_chunk *const *)a)->base_seq;
	uint64_t second = (*(struct ring_chunk *const *)b)->base_seq;

	return first < second ? -1 : first > second;
}

void
ring_pool_sort(struct ring_pool *pool)
{
	struct ring_chunk *chunk, **all;
	size_t count = 0, i = 0;

	TAILQ_FOREACH (chunk, &pool->by_age, by_age)
		count++;
	all = xcalloc(count + 1, sizeof(struct ring_chunk *));
	while ((chunk = TAILQ_FIRST(&pool->by_age)) != NULL) {
		TAILQ_REMOVE(&pool->by_age, chunk, by_age);
		all[i++] = chunk;
	}
	qsort(all, count, sizeof(struct ring_chunk *), compare_chunks);
	for (i = 0; i < count; i++)
		TAILQ_INSERT_TAIL(&pool->by_age, all[i], by_age);
	xfree(all);
}

void
ring_skip(struct ring *ring, uint64_t seq, uint64_t now_us)
{
	assert(ring->count == 0 && seq > ring->newest_seq);
	ring->newest_seq = ring->trimmed_seq = seq;
	ring->appended++;
	ring->touched_us = now_us;
	if (ring->chunk_count > 0)
		remove_chunk(ring);
}

/* Messages that left at once leave the only chunk far too large. The ring is not empty. */
static void
shrink(struct ring *ring)
{
	const struct ring_chunk *chunk = ring_chunk_at(ring, 0);
	size_t wanted = size_for(HEADER + ring_chunk_used(chunk));

	if (ring->chunk_count == 1 && wanted <= CIRCLE_MOST && wanted <= (HEADER + chunk->room) / 2)
		(void)replace_chunk(ring, wanted);
}

void
ring_drop_oldest(struct ring *ring)
{
	drop_oldest(ring);
	if (ring->count == 0)
		remove_chunk(ring);
}

void
ring_trim(struct ring *ring, uint64_t most, uint64_t most_bytes)
{
	trim(ring, most, most_bytes);
	if (ring->count > 0)
		shrink(ring);
	else if (ring->chunk_count > 0)
		remove_chunk(ring);
}

bool
ring_expire(struct ring *ring, uint64_t cutoff_us, size_t *budget)
{
	while (ring->count > 0) {
		const struct ring_chunk *chunk = ring_chunk_at(ring, 0);

		if (ring_entry_at(chunk, chunk->head).appended_us > cutoff_us) {
			shrink(ring);
			break;
		}
		if (*budget == 0)
			return false;
		(*budget)--;
		if (ring_entry_at(chunk, chunk->last).appended_us <= cutoff_us)
			drop_chunk(ring);
		else
			ring_drop_oldest(ring);
	}
	return true;
}

struct ring *
ring_pool_oldest(const struct ring_pool *pool)
{
	const struct ring_chunk *chunk = TAILQ_FIRST(&pool->by_age);

	return chunk != NULL ? chunk->ring : NULL;
}

size_t
ring_bytes(const struct ring *ring)
{
	size_t bytes = sizeof(*ring) + array_bytes(ring);

	for (uint32_t i = 0; i < ring->chunk_count; i++)
		bytes += HEADER + ring_chunk_at(ring, i)->room;
	return bytes;
}
