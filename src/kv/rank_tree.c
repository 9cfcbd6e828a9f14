#include "config.h"

#include "kv/rank_tree.h"

#include <assert.h>

#include "kv/memory.h"
#include "kv/rank_node.h"

/* Look-ups, and functions that do not change the order. rank_tree_edit.c adds and removes entries.
 */

void
rank_tree_init(struct rank_tree *t)
{
	*t = (struct rank_tree){.root = NULL};
}

size_t
rank_leaf_count_before(const struct rank_leaf *leaf, const struct rank_bound *bound)
{
	size_t low = 0, high = leaf->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (rank_entry_is_before(&leaf->entries[middle], bound))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
rank_inner_count_before(const struct rank_inner *inner, const struct rank_bound *bound)
{
	size_t low = 0, high = inner->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (rank_entry_is_before(&inner->slots[middle].first, bound))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
rank_tree_count_before(const struct rank_tree *t, const struct rank_bound *bound)
{
	const void *node = t->root;
	size_t before = 0, i, slots;
	unsigned level;

	if (node == NULL)
		return 0;
	for (level = t->height; level > 0; level--) {
		const struct rank_inner *inner = node;

		slots = rank_inner_count_before(inner, bound);
		if (slots == 0)
			return before;
		for (i = 0; i + 1 < slots; i++)
			before += inner->slots[i].weight;
		node = inner->slots[slots - 1].child;
	}
	return before + rank_leaf_count_before(node, bound);
}

void
rank_tree_seek(const struct rank_tree *t, size_t rank, struct rank_cursor *c)
{
	const void *node = t->root;
	unsigned level;

	assert(rank <= t->count);
	*c = (struct rank_cursor){.leaf = NULL};
	if (node == NULL)
		return;
	c->nodes = 1;
	for (level = t->height; level > 0; level--) {
		const struct rank_inner *inner = node;
		size_t i = 0;

		while (i + 1 < inner->count && rank > inner->slots[i].weight)
			rank -= inner->slots[i++].weight;
		node = inner->slots[i].child;
		c->nodes++;
	}
	c->leaf = node;
	c->at = rank;
}

const struct rank_entry *
rank_cursor_next(struct rank_cursor *c)
{
	if (c->leaf == NULL)
		return NULL;
	if (c->at == c->leaf->count) {
		if (c->leaf->next == NULL)
			return NULL;
		c->leaf = c->leaf->next;
		c->at = 0;
		c->nodes++;
	}
	return &c->leaf->entries[c->at++];
}

const struct rank_entry *
rank_cursor_prev(struct rank_cursor *c)
{
	if (c->leaf == NULL)
		return NULL;
	if (c->at == 0) {
		if (c->leaf->prev == NULL)
			return NULL;
		c->leaf = c->leaf->prev;
		c->at = c->leaf->count;
		c->nodes++;
	}
	return &c->leaf->entries[--c->at];
}

size_t
rank_tree_bytes(const struct rank_tree *t)
{
	enum { LEAVES = 16 };
	size_t filled = 0, leaves, inner = 0, children = RANK_INNER_MAX, i;
	struct rank_cursor c;

	if (t->root == NULL)
		return 0;
	for (i = 0; i < LEAVES; i++) {
		rank_tree_seek(t, t->count / LEAVES * i, &c);
		filled += c.leaf->count;
	}
	leaves = (t->count * LEAVES + filled - 1) / filled;
	/* Inner nodes are about three quarters full. */
	children -= children / 4;
	for (i = leaves; i > 1; i = (i + children - 1) / children)
		inner += i / children + 1;
	return leaves * sizeof(struct rank_leaf) + inner * sizeof(struct rank_inner);
}

/* Frees the last leaf, and the inner nodes that had no other leaf below them. */
static void
drop_last_leaf(struct rank_tree *t, size_t *budget)
{
	struct rank_inner *path[64];
	void *node = t->root;
	unsigned depth;

	for (depth = 0; depth < t->height; depth++) {
		path[depth] = node;
		node = path[depth]->slots[path[depth]->count - 1].child;
	}
	for (;;) {
		kv_release(node);
		*budget -= *budget > 0;
		if (depth == 0) {
			t->root = NULL;
			return;
		}
		node = path[--depth];
		if (--path[depth]->count > 0)
			return;
	}
}

bool
rank_tree_drain(struct rank_tree *t, size_t *budget)
{
	assert(t->height < 64);
	while (t->root != NULL && *budget > 0)
		drop_last_leaf(t, budget);
	return t->root == NULL;
}

/* What a walk over the whole tree in order has seen so far. */
struct inspection {
	const struct rank_entry *last;
	const struct rank_leaf *leaf;
	size_t count;
};

static bool
leaf_is_sound(const struct rank_leaf *leaf, struct inspection *seen)
{
	size_t i;

	if (leaf->count == 0 || leaf->count > RANK_LEAF_MAX || leaf->prev != seen->leaf ||
	    (seen->leaf != NULL && seen->leaf->next != leaf))
		return false;
	seen->leaf = leaf;
	for (i = 0; i < leaf->count; i++) {
		const struct rank_entry *entry = &leaf->entries[i];
		struct rank_bound bound = {.by = RANK_BY_BOTH, .score = entry->score};

		bound.key = kv_item_key(entry->item);
		if (seen->last != NULL && !rank_entry_is_before(seen->last, &bound))
			return false;
		seen->last = entry;
	}
	seen->count += leaf->count;
	return true;
}

/* Recurses down to the leaves, as deep as the tree is high. */
static bool
node_is_sound(const void *node, unsigned level, struct inspection *seen)
{
	const struct rank_inner *inner = node;
	size_t i;

	if (level == 0)
		return leaf_is_sound(node, seen);
	if (inner->count == 0 || inner->count > RANK_INNER_MAX)
		return false;
	for (i = 0; i < inner->count; i++) {
		const struct rank_slot *slot = &inner->slots[i];
		const void *first = slot->child;
		size_t before = seen->count;
		unsigned l;

		for (l = level - 1; l > 0; l--)
			first = ((const struct rank_inner *)first)->slots[0].child;
		if (slot->first.item != ((const struct rank_leaf *)first)->entries[0].item ||
		    slot->first.score != ((const struct rank_leaf *)first)->entries[0].score ||
		    !node_is_sound(slot->child, level - 1, seen) ||
		    seen->count - before != slot->weight)
			return false;
	}
	return true;
}

bool
rank_tree_is_sound(const struct rank_tree *t)
{
	struct inspection seen = {.last = NULL};

	if (t->root == NULL)
		return t->count == 0 && t->height == 0;
	return node_is_sound(t->root, t->height, &seen) && seen.leaf->next == NULL &&
	       seen.count == t->count;
}
