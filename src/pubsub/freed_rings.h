#ifndef PUBSUB_FREED_RINGS_H
#define PUBSUB_FREED_RINGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Freed rings: rings that are no channel's any more, whose memory is given back in slices. Their
 * messages do not count any more.
 */
struct ring;

struct freed_rings {
	struct ring **rings;
	size_t count;
	size_t room;
};

/* Takes the ring: a small one is freed at once. A zeroed struct is empty. */
void freed_rings_add(struct freed_rings *freed, struct ring *ring);

/* Frees at most *budget chunks, which it lowers. True: nothing is left. */
bool freed_rings_work(struct freed_rings *freed, size_t *budget)
    __attribute__((warn_unused_result));

static inline size_t
freed_rings_bytes(const struct freed_rings *freed) /* of the list alone */
{
	return freed->room * sizeof(*freed->rings);
}

#endif
