#ifndef KV_SAMPLE_H
#define KV_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/random.h"
#include "kv/table.h"

/*
 * Samples: some of many, none of them twice, each choice as likely as any other.
 *
 * Selection goes through all of them and asks of each whether it is taken (Knuth's algorithm S): it
 * needs no memory, and is for short runs, or where much of them is wanted.
 */
struct kv_selection {
	size_t wanted; /* still, at most left */
	size_t left;   /* not asked about yet */
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

/* `count` items, at most as many as there are, none of them twice; the work grows with count, not
 * with the table. visit may end it. */
void kv_table_sample(
    const struct kv_table *t, size_t count, struct random *random, kv_visit *visit, void *arg);

#endif
