#include "config.h"

#include "server/deadlines.h"

#include <assert.h>

#include "base/alloc.h"

enum { FIRST_ROOM = 16 };

void
deadlines_release(struct deadlines *d)
{
	xfree(d->heap);
	*d = (struct deadlines){0};
}

static void
put(struct deadlines *d, size_t place, struct deadline *deadline)
{
	d->heap[place] = deadline;
	deadline->place = place;
}

static void
rise(struct deadlines *d, size_t place, struct deadline *deadline)
{
	while (place > 0 && d->heap[(place - 1) / 2]->at_us > deadline->at_us) {
		put(d, place, d->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	put(d, place, deadline);
}

static void
sink(struct deadlines *d, size_t place, struct deadline *deadline)
{
	size_t child;

	while ((child = 2 * place + 1) < d->count) {
		if (child + 1 < d->count && d->heap[child + 1]->at_us < d->heap[child]->at_us)
			child++;
		if (d->heap[child]->at_us >= deadline->at_us)
			break;
		put(d, place, d->heap[child]);
		place = child;
	}
	put(d, place, deadline);
}

void
deadlines_add(struct deadlines *d, struct deadline *deadline, uint64_t at_us)
{
	if (d->count == d->room) {
		d->room = d->room > 0 ? 2 * d->room : FIRST_ROOM;
		d->heap = xrealloc(d->heap, d->room * sizeof(*d->heap));
	}
	deadline->at_us = at_us;
	rise(d, d->count++, deadline);
}

void
deadlines_remove(struct deadlines *d, struct deadline *deadline)
{
	struct deadline *last = d->heap[d->count - 1];
	size_t place = deadline->place;

	assert(place < d->count && d->heap[place] == deadline);
	d->count--;
	if (d->room > FIRST_ROOM && d->count < d->room / 4) {
		d->room /= 2;
		d->heap = xrealloc(d->heap, d->room * sizeof(*d->heap));
	}
	if (last == deadline)
		return;
	if (place > 0 && d->heap[(place - 1) / 2]->at_us > last->at_us)
		rise(d, place, last);
	else
		sink(d, place, last);
}

struct deadline *
deadlines_first(const struct deadlines *d)
{
	return d->count > 0 ? d->heap[0] : NULL;
}
