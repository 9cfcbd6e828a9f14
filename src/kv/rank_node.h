#ifndef KV_RANK_NODE_H
#define KV_RANK_NODE_H

#include "kv/rank_tree.h"

/*
 * Nodes of the rank tree, for its own files only. The maximums are such that a node fills a block
 * of glibc's malloc (a multiple of 16, and 8 bytes) to the last byte.
 */
#define RANK_LEAF_MAX 64
#define RANK_INNER_MAX 32

struct rank_leaf {
	struct rank_leaf *prev, *next;
	uint64_t count;
	struct rank_entry entries[RANK_LEAF_MAX];
};

struct rank_slot {
	struct rank_entry first; /* the first entry below the child */
	size_t weight;           /* entries below it */
	void *child;             /* a leaf on level 0, else an inner node */
};

struct rank_inner {
	uint64_t count; /* at least 1 */
	struct rank_slot slots[RANK_INNER_MAX];
};

static inline bool
rank_entry_is_before(const struct rank_entry *entry, const struct rank_bound *bound)
{
	/* The key is read only if it matters, because it is elsewhere in memory. */
	struct slice key = {NULL, 0};

	if (bound->by == RANK_BY_KEY || (bound->by == RANK_BY_BOTH && entry->score == bound->score))
		key = kv_item_key(entry->item);
	return rank_bound_follows(bound, entry->score, key);
}

/* The number of the leaf's entries, or of the inner node's children by their first entries, that
 * are before the bound. */
size_t rank_leaf_count_before(const struct rank_leaf *leaf, const struct rank_bound *bound);
size_t rank_inner_count_before(const struct rank_inner *inner, const struct rank_bound *bound);

#endif
