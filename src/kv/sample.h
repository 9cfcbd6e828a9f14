#ifndef KV_SAMPLE_H
#define KV_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/random.h"
#include "kv/table.h"

/*
 * Samples: some of many, all distinct, each choice equally likely.
 *
 * A selection walks over all of them and decides for each whether it is taken (Knuth's algorithm
 * S). It needs no memory. Use it for a small number of items, or if many of them are wanted.
 */
struct kv_selection {
	size_t wanted; /* still to be taken, at most left */
	size_t left;   /* not decided yet */
	struct random *random;
};

static inline bool
kv_selection_takes(struct kv_selection *s)
{
	if (random_below(s->random, s->left--) >= s->wanted)
		return false;
	s->wanted--;
	return true;
}

/* `count` distinct items, at most as many as there are. The work grows with count, not with the
 * size of the table. visit may end it. */
void kv_table_sample(
    const struct kv_table *t, size_t count, struct random *random, kv_visit *visit, void *arg);

#endif
