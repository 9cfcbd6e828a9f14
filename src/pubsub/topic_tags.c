#include "config.h"

#include "pubsub/topic_tags.h"

#include <sys/queue.h>

#include "base/alloc.h"
#include "pubsub/channel_tree.h"

#define SLOT_BITS 24
#define SLOT_MASK ((UINT32_C(1) << SLOT_BITS) - 1)

/* Slots are allocated in chunks; a few chunks without a used slot are kept. */
#define CHUNK_BITS 12
#define CHUNK_SLOTS (UINT32_C(1) << CHUNK_BITS)
#define CHUNKS_MAX (UINT32_C(1) << (SLOT_BITS - CHUNK_BITS))
#define IDLE_MAX 2

struct slot {
	uint64_t drops;
	uint32_t next_free; /* 0: none; slot 0 is never assigned */
	uint8_t generation;
};

/*
 * Free slots of a chunk are reused first in, first out, so that it takes long until a generation
 * recurs. A chunk without slots keeps the first generation of the slots that will be allocated
 * next; no recent tag of the chunk has it.
 */
struct chunk {
	TAILQ_ENTRY(chunk) link; /* in the list open or bare */
	struct slot *slots;      /* NULL: the chunk is bare */
	uint32_t base;           /* the number of its first slot */
	uint32_t taken;
	uint32_t free_first; /* 0: none, and it is in no list */
	uint32_t free_last;
	uint8_t generation;
};

TAILQ_HEAD(chunks, chunk);

struct topic_tags {
	struct chunk *chunks[CHUNKS_MAX];
	uint32_t chunk_count;
	uint32_t idle_count; /* number of chunks whose slots are all free */
	struct chunks open;  /* chunks with free slots */
	struct chunks bare;
};

struct topic_tags *
topic_tags_new(void)
{
	struct topic_tags *tags = xcalloc(1, sizeof(*tags));

	TAILQ_INIT(&tags->open);
	TAILQ_INIT(&tags->bare);
	return tags;
}

void
topic_tags_free(struct topic_tags *tags)
{
	for (uint32_t i = 0; i < tags->chunk_count; i++) {
		xfree(tags->chunks[i]->slots);
		xfree(tags->chunks[i]);
	}
	xfree(tags);
}

static struct chunk *
chunk_of(const struct topic_tags *tags, uint32_t i)
{
	return tags->chunks[i >> CHUNK_BITS];
}

static struct slot *
slot_at(const struct chunk *chunk, uint32_t i)
{
	return &chunk->slots[i - chunk->base];
}

/* The slot of a tag that is still valid, or NULL. */
static struct slot *
slot_of(const struct topic_tags *tags, uint32_t tag)
{
	const struct chunk *chunk;
	struct slot *slot;

	if (tag == 0)
		return NULL;
	chunk = chunk_of(tags, tag & SLOT_MASK);
	if (chunk->slots == NULL)
		return NULL;
	slot = slot_at(chunk, tag & SLOT_MASK);
	return slot->generation == tag >> SLOT_BITS ? slot : NULL;
}

static void
add_free(struct topic_tags *tags, struct chunk *chunk, uint32_t i)
{
	slot_at(chunk, i)->next_free = 0;
	if (chunk->free_first != 0) {
		slot_at(chunk, chunk->free_last)->next_free = i;
	} else {
		chunk->free_first = i;
		TAILQ_INSERT_TAIL(&tags->open, chunk, link);
	}
	chunk->free_last = i;
}

/* A bare chunk, or a new one; NULL if all CHUNKS_MAX are in use. */
static struct chunk *
find_bare(struct topic_tags *tags)
{
	struct chunk *chunk = TAILQ_FIRST(&tags->bare);

	if (chunk != NULL) {
		TAILQ_REMOVE(&tags->bare, chunk, link);
	} else if (tags->chunk_count < CHUNKS_MAX) {
		chunk = xcalloc(1, sizeof(*chunk));
		chunk->base = tags->chunk_count * CHUNK_SLOTS;
		tags->chunks[tags->chunk_count++] = chunk;
	}
	return chunk;
}

/* Allocates the slots of a chunk, all of them free. NULL if all CHUNKS_MAX are in use. */
static struct chunk *
open_chunk(struct topic_tags *tags)
{
	struct chunk *chunk = find_bare(tags);

	if (chunk == NULL)
		return NULL;
	chunk->slots = xcalloc(CHUNK_SLOTS, sizeof(*chunk->slots));
	tags->idle_count++;
	for (uint32_t i = chunk->base; i < chunk->base + CHUNK_SLOTS; i++) {
		slot_at(chunk, i)->generation = chunk->generation;
		if (i != 0)
			add_free(tags, chunk, i);
	}
	return chunk;
}

/* Frees the slots of a chunk, none of which is used. */
static void
close_chunk(struct topic_tags *tags, struct chunk *chunk)
{
	uint8_t most = 0;

	for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
		uint8_t given = (uint8_t)(chunk->slots[i].generation - chunk->generation);

		most = given > most ? given : most;
	}
	chunk->generation = (uint8_t)(chunk->generation + most);
	xfree(chunk->slots);
	chunk->slots = NULL;
	chunk->free_first = chunk->free_last = 0;
	TAILQ_REMOVE(&tags->open, chunk, link);
	TAILQ_INSERT_TAIL(&tags->bare, chunk, link);
	tags->idle_count--;
}

static struct slot *
take_slot(struct topic_tags *tags, uint32_t *i)
{
	struct chunk *chunk = TAILQ_FIRST(&tags->open);
	struct slot *slot;

	if (chunk == NULL)
		chunk = open_chunk(tags);
	if (chunk == NULL)
		return NULL;
	*i = chunk->free_first;
	slot = slot_at(chunk, *i);
	chunk->free_first = slot->next_free;
	if (chunk->free_first == 0)
		TAILQ_REMOVE(&tags->open, chunk, link);
	if (chunk->taken++ == 0)
		tags->idle_count--;
	return slot;
}

uint32_t
topic_tags_of(struct topic_tags *tags, struct topic *topic)
{
	struct slot *slot;
	uint32_t i;

	if (topic->tag != 0)
		return topic->tag;
	slot = take_slot(tags, &i);
	if (slot == NULL)
		return 0;
	slot->drops = 0;
	topic->tag = i | (uint32_t)slot->generation << SLOT_BITS;
	return topic->tag;
}

void
topic_tags_release(struct topic_tags *tags, struct topic *topic)
{
	uint32_t i = topic->tag & SLOT_MASK;
	struct chunk *chunk;

	if (i == 0)
		return;
	topic->tag = 0;
	chunk = chunk_of(tags, i);
	slot_at(chunk, i)->generation++;
	add_free(tags, chunk, i);
	if (--chunk->taken > 0)
		return;
	tags->idle_count++;
	if (tags->idle_count > IDLE_MAX)
		close_chunk(tags, chunk);
}

void
topic_tags_dropped(struct topic_tags *tags, uint32_t tag, uint64_t count)
{
	struct slot *slot = slot_of(tags, tag);

	if (slot != NULL)
		slot->drops += count;
}

uint64_t
topic_tags_drops(const struct topic_tags *tags, const struct topic *topic)
{
	const struct slot *slot = slot_of(tags, topic->tag);

	return slot != NULL ? slot->drops : 0;
}
