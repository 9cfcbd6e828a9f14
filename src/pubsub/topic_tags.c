#include "config.h"

#include "pubsub/topic_tags.h"

#include "base/alloc.h"
#include "pubsub/channel_tree.h"

#define SLOT_BITS 24
#define SLOT_MASK ((UINT32_C(1) << SLOT_BITS) - 1)

struct slot {
	uint64_t drops;
	uint32_t next_free; /* 0: none; slot 0 is never given */
	uint8_t generation;
};

/* Free slots are reused first in, first out, so that a generation takes long to come round. */
struct topic_tags {
	struct slot *slots;
	uint32_t count; /* slots that were ever given, slot 0 included */
	uint32_t cap;
	uint32_t free_first;
	uint32_t free_last;
};

struct topic_tags *
topic_tags_new(void)
{
	struct topic_tags *tags = xcalloc(1, sizeof(*tags));

	tags->count = 1;
	return tags;
}

void
topic_tags_free(struct topic_tags *tags)
{
	xfree(tags->slots);
	xfree(tags);
}

/* The slot of a tag that still stands, or NULL. */
static struct slot *
slot_of(const struct topic_tags *tags, uint32_t tag)
{
	struct slot *slot;

	if (tag == 0)
		return NULL;
	slot = &tags->slots[tag & SLOT_MASK];
	return slot->generation == tag >> SLOT_BITS ? slot : NULL;
}

static uint32_t
take_slot(struct topic_tags *tags)
{
	uint32_t i = tags->free_first;

	if (i != 0) {
		tags->free_first = tags->slots[i].next_free;
		if (tags->free_first == 0)
			tags->free_last = 0;
		return i;
	}
	if (tags->count > SLOT_MASK)
		return 0;
	if (tags->count >= tags->cap) {
		tags->cap = tags->cap > 0 ? tags->cap * 2 : 64;
		tags->slots = xrealloc(tags->slots, tags->cap * sizeof(*tags->slots));
	}
	i = tags->count++;
	tags->slots[i].generation = 0;
	return i;
}

uint32_t
topic_tags_of(struct topic_tags *tags, struct topic *topic)
{
	uint32_t i;

	if (topic->tag != 0)
		return topic->tag;
	i = take_slot(tags);
	if (i == 0)
		return 0;
	tags->slots[i].drops = 0;
	tags->slots[i].next_free = 0;
	topic->tag = i | (uint32_t)tags->slots[i].generation << SLOT_BITS;
	return topic->tag;
}

void
topic_tags_release(struct topic_tags *tags, struct topic *topic)
{
	uint32_t i = topic->tag & SLOT_MASK;

	if (i == 0)
		return;
	topic->tag = 0;
	tags->slots[i].generation++;
	tags->slots[i].next_free = 0;
	if (tags->free_last != 0)
		tags->slots[tags->free_last].next_free = i;
	else
		tags->free_first = i;
	tags->free_last = i;
}

void
topic_tags_dropped(struct topic_tags *tags, uint32_t tag)
{
	struct slot *slot = slot_of(tags, tag);

	if (slot != NULL)
		slot->drops++;
}

uint64_t
topic_tags_drops(const struct topic_tags *tags, const struct topic *topic)
{
	const struct slot *slot = slot_of(tags, topic->tag);

	return slot != NULL ? slot->drops : 0;
}
