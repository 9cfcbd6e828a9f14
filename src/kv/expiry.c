#include "config.h"

#include "kv/expiry.h"

#include <assert.h>

#include "kv/memory.h"

enum { SEGMENT = 1024, CHILDREN = 4 };

void
kv_expiry_init(struct kv_expiry *e, void (*moved)(void *thing, uint32_t place))
{
	*e = (struct kv_expiry){.moved = moved};
}

void
kv_expiry_release(struct kv_expiry *e)
{
	size_t i;

	for (i = 0; i < e->segment_count; i++)
		kv_release(e->segments[i]);
	kv_release(e->segments);
	kv_expiry_init(e, e->moved);
}

struct kv_expiry_entry *
kv_expiry_at(const struct kv_expiry *e, uint32_t place)
{
	return &e->segments[place / SEGMENT][place % SEGMENT];
}

static void
set(struct kv_expiry *e, uint32_t place, struct kv_expiry_entry entry)
{
	*kv_expiry_at(e, place) = entry;
	e->moved(entry.thing, place);
}

/* Puts entry where it belongs, at place or nearer to the top. */
static void
rise(struct kv_expiry *e, uint32_t place, struct kv_expiry_entry entry)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / CHILDREN;
		struct kv_expiry_entry *above = kv_expiry_at(e, parent);

		if (above->at_ms <= entry.at_ms)
			break;
		set(e, place, *above);
		place = parent;
	}
	set(e, place, entry);
}

/* At place or further down. */
static void
sink(struct kv_expiry *e, uint32_t place, struct kv_expiry_entry entry)
{
	for (;;) {
		uint64_t first = (uint64_t)place * CHILDREN + 1, i, least = first;

		if (first >= e->count)
			break;
		for (i = first + 1; i < first + CHILDREN && i < e->count; i++)
			if (kv_expiry_at(e, (uint32_t)i)->at_ms <
			    kv_expiry_at(e, (uint32_t)least)->at_ms)
				least = i;
		if (kv_expiry_at(e, (uint32_t)least)->at_ms >= entry.at_ms)
			break;
		set(e, place, *kv_expiry_at(e, (uint32_t)least));
		place = (uint32_t)least;
	}
	set(e, place, entry);
}

void
kv_expiry_add(struct kv_expiry *e, void *thing, int64_t at_ms)
{
	assert(e->count < UINT32_MAX);
	if (e->count / SEGMENT == e->segment_count) {
		/* The list of segments grows by doubling. */
		if ((e->segment_count & (e->segment_count - 1)) == 0)
			e->segments = kv_realloc(
			    e->segments, (e->segment_count > 0 ? e->segment_count * 2 : 1) *
					     sizeof(*e->segments));
		e->segments[e->segment_count++] = kv_malloc(SEGMENT * sizeof(**e->segments));
	}
	e->count++;
	rise(e, (uint32_t)(e->count - 1), (struct kv_expiry_entry){at_ms, thing});
}

void
kv_expiry_change(struct kv_expiry *e, uint32_t place, int64_t at_ms)
{
	struct kv_expiry_entry *entry = kv_expiry_at(e, place);
	struct kv_expiry_entry changed = {at_ms, entry->thing};

	if (at_ms < entry->at_ms)
		rise(e, place, changed);
	else
		sink(e, place, changed);
}

void
kv_expiry_remove(struct kv_expiry *e, uint32_t place)
{
	struct kv_expiry_entry last = *kv_expiry_at(e, (uint32_t)(e->count - 1));
	int64_t was_ms = kv_expiry_at(e, place)->at_ms;

	e->count--;
	if (place < e->count) {
		if (last.at_ms < was_ms)
			rise(e, place, last);
		else
			sink(e, place, last);
	}
	/* One segment is kept to spare. */
	if (e->count == 0) {
		kv_expiry_release(e);
	} else if ((e->segment_count - 1) * SEGMENT > e->count + SEGMENT) {
		kv_release(e->segments[--e->segment_count]);
	}
}
