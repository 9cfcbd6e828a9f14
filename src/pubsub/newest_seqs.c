#include "config.h"

#include "pubsub/newest_seqs.h"

#include <assert.h>
#include <stddef.h>

#include "base/alloc.h"

static void
swap(uint64_t *a, uint64_t *b)
{
	uint64_t seq = *a;

	*a = *b;
	*b = seq;
}

static void
sift_up(uint64_t *heap, uint32_t i)
{
	for (; i > 0 && heap[i] < heap[(i - 1) / 2]; i = (i - 1) / 2)
		swap(&heap[i], &heap[(i - 1) / 2]);
}

static void
sift_down(uint64_t *heap, uint32_t count)
{
	uint32_t i = 0, child;

	while ((child = i * 2 + 1) < count) {
		if (child + 1 < count && heap[child + 1] < heap[child])
			child++;
		if (heap[i] <= heap[child])
			return;
		swap(&heap[i], &heap[child]);
		i = child;
	}
}

bool
newest_seqs_add(struct newest_seqs *newest, uint64_t seq)
{
	assert(newest->most > 0);
	if (newest->count == newest->most) {
		if (seq <= newest->heap[0])
			return false;
		newest->heap[0] = seq;
		sift_down(newest->heap, newest->count);
		return true;
	}
	if (newest->count == newest->room) {
		newest->room = newest->room > 0 ? newest->room * 2 : 16;
		newest->heap = xrealloc(newest->heap, newest->room * sizeof(*newest->heap));
	}
	newest->heap[newest->count] = seq;
	sift_up(newest->heap, newest->count++);
	return true;
}

uint64_t
newest_seqs_floor(const struct newest_seqs *newest)
{
	return newest->count == newest->most ? newest->heap[0] - 1 : 0;
}

void
newest_seqs_release(struct newest_seqs *newest)
{
	xfree(newest->heap);
	*newest = (struct newest_seqs){.most = newest->most};
}
