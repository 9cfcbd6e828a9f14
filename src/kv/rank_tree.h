#ifndef KV_RANK_TREE_H
#define KV_RANK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/item.h"

/*
 * Rank tree: items in the order of (score, key), with ranks. A B+-tree whose inner nodes know how
 * many entries are below each child: so what is at a rank, and how many come before a bound, is
 * found in as many steps as the tree is high. It knows no member table: it points at items and
 * frees none.
 *
 * Filled in order, from either end, it has full leaves.
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

/* A place between two entries. Stands until the tree changes. */
struct rank_cursor {
	const struct rank_leaf *leaf;
	size_t at;    /* entries of leaf that are before it */
	size_t nodes; /* how many nodes it has come by since rank_tree_seek, for tests of what it
			 costs */
};

enum rank_order { RANK_BY_SCORE, RANK_BY_KEY, RANK_BY_BOTH };

/* A place in the order. RANK_BY_KEY takes all scores to be equal. */
struct rank_bound {
	enum rank_order by;
	bool after; /* behind what is equal to it, else before that */
	double score;
	struct slice key; /* borrowed */
};

void rank_tree_init(struct rank_tree *t);

/* Borrows item, whose key and score are not in the tree. */
void rank_tree_add(struct rank_tree *t, double score, struct kv_item *item);

/* Of an item that is in the tree. */
void rank_tree_remove(struct rank_tree *t, double score, struct kv_item *item);
void rank_tree_rescore(struct rank_tree *t, double score, struct kv_item *item, double new_score);

/* How many entries come before the bound. */
size_t rank_tree_count_before(const struct rank_tree *t, const struct rank_bound *bound);

/* To the place with `rank` entries before it, at most count. */
void rank_tree_seek(const struct rank_tree *t, size_t rank, struct rank_cursor *c);

/* The entry that the cursor steps over; NULL at the end. Borrows. */
const struct rank_entry *rank_cursor_next(struct rank_cursor *c);
const struct rank_entry *rank_cursor_prev(struct rank_cursor *c);

/* Of all nodes, an estimate from some leaves. */
size_t rank_tree_bytes(const struct rank_tree *t);

/* Gives back memory of nodes until *budget, a node each, is used up or nothing is left: then true.
 * Nothing else may be done with the tree once this began. */
bool rank_tree_drain(struct rank_tree *t, size_t *budget);

/* For tests: everything that must hold of the tree does. */
bool rank_tree_is_sound(const struct rank_tree *t);

/* -1, 0 or 1: an entry is before, at or behind the bound's score and key. */
static inline int
rank_bound_compare(const struct rank_bound *bound, double score, struct slice key)
{
	int order = bound->by == RANK_BY_KEY ? 0 : (score > bound->score) - (score < bound->score);

	if (order == 0 && bound->by != RANK_BY_SCORE)
		order = slice_compare(key, bound->key);
	return order;
}

/* The entry comes before the bound. */
static inline bool
rank_bound_follows(const struct rank_bound *bound, double score, struct slice key)
{
	return rank_bound_compare(bound, score, key) < (bound->after ? 1 : 0);
}

#endif
