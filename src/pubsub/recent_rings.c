#include "config.h"

#include "pubsub/recent_rings.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

void
recent_rings_init(struct recent_rings *rings)
{
	TAILQ_INIT(rings);
}

void
recent_rings_add(struct recent_rings *rings, struct ring *ring)
{
	TAILQ_INSERT_TAIL(rings, ring, recent);
}

void
recent_rings_remove(struct recent_rings *rings, struct ring *ring)
{
	TAILQ_REMOVE(rings, ring, recent);
}

void
recent_rings_touch(struct recent_rings *rings, struct ring *ring)
{
	if (TAILQ_NEXT(ring, recent) == NULL)
		return;
	TAILQ_REMOVE(rings, ring, recent);
	TAILQ_INSERT_TAIL(rings, ring, recent);
}

void
recent_rings_replace(struct recent_rings *rings, struct ring *ring, struct ring *other)
{
	TAILQ_INSERT_BEFORE(ring, other, recent);
	TAILQ_REMOVE(rings, ring, recent);
}

static int
compare(const void *a, const void *b)
{
	uint64_t first = (*(struct ring *const *)a)->newest_seq;
	uint64_t second = (*(struct ring *const *)b)->newest_seq;

	return first < second ? -1 : first > second;
}

void
recent_rings_sort(struct recent_rings *rings)
{
	struct ring *ring, **all;
	size_t count = 0, i = 0;

	TAILQ_FOREACH (ring, rings, recent)
		count++;
	all = xcalloc(count + 1, sizeof(struct ring *));
	while ((ring = TAILQ_FIRST(rings)) != NULL) {
		assert(ring->pool != NULL);
		TAILQ_REMOVE(rings, ring, recent);
		all[i++] = ring;
	}
	qsort(all, count, sizeof(struct ring *), compare);
	for (i = 0; i < count; i++)
		TAILQ_INSERT_TAIL(rings, all[i], recent);
	xfree(all);
}

void
ring_walk_begin(struct ring_walk *walk, struct recent_rings *rings)
{
	assert(walk->rings == NULL);
	walk->rings = rings;
	walk->mark = (struct ring){.pool = NULL};
	walk->end = NULL;
	TAILQ_INSERT_TAIL(rings, &walk->mark, recent);
}

void
ring_walk_until(struct ring_walk *walk, const struct ring_walk *earlier)
{
	walk->end = &earlier->mark;
}

bool
ring_walk_is_behind(const struct ring_walk *walk)
{
	const struct ring *ring = &walk->mark;

	do
		ring = TAILQ_NEXT(ring, recent);
	while (ring != NULL && ring->pool == NULL);
	return ring != NULL;
}

struct ring *
ring_walk_next(struct ring_walk *walk, size_t *budget)
{
	struct ring *ring = &walk->mark;
	bool is_mark = true;

	while (is_mark && *budget > 0) {
		ring = TAILQ_PREV(ring, recent_rings, recent);
		if (ring == NULL || ring == walk->end)
			return NULL;
		is_mark = ring->pool == NULL;
		(*budget)--;
	}
	TAILQ_REMOVE(walk->rings, &walk->mark, recent);
	TAILQ_INSERT_BEFORE(ring, &walk->mark, recent);
	return is_mark ? NULL : ring;
}

void
ring_walk_end(struct ring_walk *walk)
{
	if (walk->rings == NULL)
		return;
	TAILQ_REMOVE(walk->rings, &walk->mark, recent);
	walk->rings = NULL;
}
