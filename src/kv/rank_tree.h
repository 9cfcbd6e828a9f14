#ifndef KV_RANK_TREE_H
#define KV_RANK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/item.h"

/*
 * Rank tree: items in the order of (score, key), with ranks. A B+-tree whose inner nodes store the
 * number of entries below each child. So the entry at a rank, and the number of entries before a
 * bound, are found in one step for each level. It borrows the items and knows nothing of the table
 * that they are in.
 *
 * If it is filled in order, from either end, its leaves are full.
 *
 * Keys are compared as bytes; -0 and 0 are the same score. No score is NaN.
 */
struct rank_entry {
	double score;
	struct kv_item *item;
};

struct rank_tree {
	void *root;      /* NULL: empty */
	unsigned height; /* levels of inner nodes */
	size_t count;
};

struct rank_leaf;

/* A place between two entries. Valid until the tree changes. */
struct rank_cursor {
	const struct rank_leaf *leaf;
	size_t at;    /* number of the leaf's entries before it */
	size_t nodes; /* nodes passed since rank_tree_seek, for tests of the cost */
};

enum rank_order { RANK_BY_SCORE, RANK_BY_KEY, RANK_BY_BOTH };

/* A place in the order. RANK_BY_KEY takes all scores to be equal. */
struct rank_bound {
	enum rank_order by;
	bool after; /* true: the bound is behind equal entries; false: before them */
	double score;
	struct slice key; /* borrowed */
};

void rank_tree_init(struct rank_tree *t);

/* Borrows item, whose key and score are not in the tree. */
void rank_tree_add(struct rank_tree *t, double score, struct kv_item *item);

/* item is in the tree, with this score. */
void rank_tree_remove(struct rank_tree *t, double score, struct kv_item *item);
void rank_tree_rescore(struct rank_tree *t, double score, struct kv_item *item, double new_score);

/* The number of entries before the bound. */
size_t rank_tree_count_before(const struct rank_tree *t, const struct rank_bound *bound);

/* Sets the cursor to the place with `rank` entries before it; rank is at most count. */
void rank_tree_seek(const struct rank_tree *t, size_t rank, struct rank_cursor *c);

/* The entry that the cursor steps over; NULL at the end. Borrows. */
const struct rank_entry *rank_cursor_next(struct rank_cursor *c);
const struct rank_entry *rank_cursor_prev(struct rank_cursor *c);

/* Bytes of all nodes, estimated from some leaves. */
size_t rank_tree_bytes(const struct rank_tree *t);

/* Frees nodes, each for one unit of *budget, until it is used up (false) or no node is left (true).
 * After the first call the tree must not be used otherwise. */
bool rank_tree_drain(struct rank_tree *t, size_t *budget);

/* For tests: true if all invariants of the tree hold. */
bool rank_tree_is_sound(const struct rank_tree *t);

/* -1, 0 or 1: an entry with this score and key is before, at or behind those of the bound. */
static inline int
rank_bound_compare(const struct rank_bound *bound, double score, struct slice key)
{
	int order = bound->by == RANK_BY_KEY ? 0 : (score > bound->score) - (score < bound->score);

	if (order == 0 && bound->by != RANK_BY_SCORE)
		order = slice_compare(key, bound->key);
	return order;
}

/* True if an entry with this score and key comes before the bound. */
static inline bool
rank_bound_follows(const struct rank_bound *bound, double score, struct slice key)
{
	return rank_bound_compare(bound, score, key) < (bound->after ? 1 : 0);
}

#endif
