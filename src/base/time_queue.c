#include "config.h"

#include "base/time_queue.h"

#include <assert.h>

/*
 * The first segment grows by doubling from FIRST_ROOM entries to SEGMENT. The first UNUSED entries
 * are left out, so that the children of an entry begin at a multiple of CHILDREN: they are in one
 * segment, and mostly in one cache line.
 */
enum { FIRST_ROOM = 16, SEGMENT = 1024, CHILDREN = 4, UNUSED = CHILDREN - 1 };

void
time_queue_init(struct time_queue *q, const struct time_queue_ops *ops)
{
	*q = (struct time_queue){.ops = ops};
}

static size_t
segment_count(const struct time_queue *q)
{
	return (q->room + SEGMENT - 1) / SEGMENT;
}

void
time_queue_release(struct time_queue *q)
{
	for (size_t i = 0; i < segment_count(q); i++)
		q->ops->free(q->segments[i]);
	q->ops->free(q->segments);
	time_queue_init(q, q->ops);
}

struct time_queue_entry *
time_queue_at(const struct time_queue *q, uint32_t place)
{
	size_t at = (size_t)place + UNUSED;

	return &q->segments[at / SEGMENT][at % SEGMENT];
}

struct time_queue_entry *
time_queue_first(const struct time_queue *q)
{
	return q->count > 0 ? time_queue_at(q, 0) : NULL;
}

static void
set(struct time_queue *q, uint32_t place, struct time_queue_entry entry)
{
	*time_queue_at(q, place) = entry;
	q->ops->moved(entry.thing, place);
}

/* Puts entry at place, or nearer to the top, where it belongs. */
static void
rise(struct time_queue *q, uint32_t place, struct time_queue_entry entry)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / CHILDREN;
		struct time_queue_entry *above = time_queue_at(q, parent);

		if (above->at <= entry.at)
			break;
		set(q, place, *above);
		place = parent;
	}
	set(q, place, entry);
}

/* Puts entry at place, or further down, where it belongs. */
static void
sink(struct time_queue *q, uint32_t place, struct time_queue_entry entry)
{
	for (;;) {
		uint64_t first = (uint64_t)place * CHILDREN + 1;
		const struct time_queue_entry *children;
		size_t i, count, least = 0;

		if (first >= q->count)
			break;
		children = time_queue_at(q, (uint32_t)first);
		count = q->count - first < CHILDREN ? (size_t)(q->count - first) : CHILDREN;
		for (i = 1; i < count; i++)
			if (children[i].at < children[least].at)
				least = i;
		if (children[least].at >= entry.at)
			break;
		set(q, place, children[least]);
		place = (uint32_t)(first + least);
	}
	set(q, place, entry);
}

static void
grow(struct time_queue *q)
{
	size_t count = segment_count(q);

	/* The list of segments grows by doubling. */
	if (q->room % SEGMENT == 0 && (count & (count - 1)) == 0) {
		size_t room = count > 0 ? count * 2 : 1;

		q->segments = q->ops->realloc(q->segments, room * sizeof(*q->segments));
	}
	if (q->room >= SEGMENT) {
		q->segments[count] = q->ops->realloc(NULL, SEGMENT * sizeof(**q->segments));
		q->room += SEGMENT;
		return;
	}
	q->room = count > 0 ? q->room * 2 : FIRST_ROOM;
	q->segments[0] =
	    q->ops->realloc(count > 0 ? q->segments[0] : NULL, q->room * sizeof(**q->segments));
}

void
time_queue_add(struct time_queue *q, void *thing, int64_t at)
{
	assert(q->count < UINT32_MAX);
	if (q->count + UNUSED >= q->room)
		grow(q);
	q->count++;
	rise(q, (uint32_t)(q->count - 1), (struct time_queue_entry){at, thing});
}

void
time_queue_change(struct time_queue *q, uint32_t place, int64_t at)
{
	struct time_queue_entry *entry = time_queue_at(q, place);
	struct time_queue_entry changed = {at, entry->thing};

	if (at < entry->at)
		rise(q, place, changed);
	else
		sink(q, place, changed);
}

void
time_queue_remove(struct time_queue *q, uint32_t place)
{
	struct time_queue_entry last = *time_queue_at(q, (uint32_t)(q->count - 1));
	int64_t was = time_queue_at(q, place)->at;

	q->count--;
	if (place < q->count) {
		if (last.at < was)
			rise(q, place, last);
		else
			sink(q, place, last);
	}
	/* One unused segment is kept, so that a queue whose size varies around a segment's end does
	 * not allocate each time. */
	if (q->count == 0) {
		time_queue_release(q);
	} else if (q->room > (size_t)2 * SEGMENT &&
		   q->count + UNUSED + SEGMENT < q->room - SEGMENT) {
		q->room -= SEGMENT;
		q->ops->free(q->segments[segment_count(q)]);
	}
}
