#ifndef BASE_BUCKETS_SCAN_H
#define BASE_BUCKETS_SCAN_H

#include <stdint.h>

#include "base/buckets.h"

/*
 * A scan of a hash table (base/buckets.h) in steps, between which the table may change.
 */

/* Visits the nodes of bucket i, for buckets_scan. */
static inline void
bucket_scan(const struct bucket_array *a, uint64_t i,
    void (*visit)(struct bucket_node *node, void *arg), void *arg)
{
	struct bucket_node **bucket = bucket_at(a, (size_t)i), *node, *next;

	for (node = bucket != NULL ? *bucket : NULL; node != NULL; node = next) {
		next = node->next;
		visit(node, arg);
	}
}

static inline uint64_t
bucket_reverse_bits(uint64_t v)
{
	uint64_t mask = ~(uint64_t)0;

	for (unsigned shift = 32; shift > 0; shift >>= 1) {
		mask ^= mask << shift;
		v = ((v >> shift) & mask) | ((v << shift) & ~mask);
	}
	return v;
}

/* The next cursor: adds one, counted from the highest bit of mask down. */
static inline uint64_t
bucket_cursor_after(uint64_t cursor, uint64_t mask)
{
	return bucket_reverse_bits(bucket_reverse_bits(cursor | ~mask) + 1);
}

/*
 * One step of a scan: visits a few nodes from cursor on and returns the next cursor, 0 at the end.
 * Between two returns of 0, every node that is in the table all the time is visited at least once,
 * whatever is added, removed or resized meanwhile. visit must not change the table.
 *
 * The cursor is a bucket's index with its bits reversed, as in Redis's dictScan (Pieter Noordhuis).
 * So the buckets that one is split into, or joined with, by a resize are visited one after another.
 * While two arrays exist, a bucket of the smaller and its buckets of the larger are one step.
 */
static inline uint64_t
buckets_scan(const struct buckets *b, uint64_t cursor,
    void (*visit)(struct bucket_node *node, void *arg), void *arg)
{
	const struct bucket_array *small = &b->to, *large = &b->from;
	uint64_t small_mask, large_mask;

	if (b->count == 0)
		return 0;
	if (large->count == 0) {
		small_mask = small->count - 1;
		bucket_scan(small, cursor & small_mask, visit, arg);
		return bucket_cursor_after(cursor, small_mask);
	}
	if (small->count > large->count) {
		small = &b->from;
		large = &b->to;
	}
	small_mask = small->count - 1;
	large_mask = large->count - 1;
	bucket_scan(small, cursor & small_mask, visit, arg);
	do {
		bucket_scan(large, cursor & large_mask, visit, arg);
		cursor = bucket_cursor_after(cursor, large_mask);
	} while ((cursor & (small_mask ^ large_mask)) != 0);
	return cursor;
}

#endif
