#include "config.h"

#include "pubsub/freed_rings.h"

#include "base/alloc.h"
#include "pubsub/ring.h"

#define AT_ONCE 16 /* chunks */

void
freed_rings_add(struct freed_rings *freed, struct ring *ring)
{
	size_t budget = AT_ONCE;

	if (ring_free(ring, &budget))
		return;
	if (freed->count == freed->room) {
		freed->room = freed->room > 0 ? freed->room * 2 : 8;
		freed->rings = xrealloc(freed->rings, freed_rings_bytes(freed));
	}
	freed->rings[freed->count++] = ring;
}

bool
freed_rings_work(struct freed_rings *freed, size_t *budget)
{
	while (freed->count > 0) {
		if (!ring_free(freed->rings[freed->count - 1], budget))
			return false;
		freed->count--;
	}
	xfree(freed->rings);
	*freed = (struct freed_rings){.count = 0};
	return true;
}
