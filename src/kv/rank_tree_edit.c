#include "config.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"
#include "kv/rank_node.h"
#include "kv/rank_tree.h"

/* Adding and removing, by recursion as deep as the tree is high. Each level at least doubles the
 * number of entries that were added, so the depth is small. */

/* A node with fewer entries than this is joined with a neighbour if both fit into one node. */
#define FEW(max) ((max) / 3)

/* An entry that is being added, and its place in the order. */
struct addition {
	struct rank_entry entry;
	struct rank_bound bound;
	enum { IN_THE_MIDDLE, AT_THE_FRONT, AT_THE_BACK } side; /* of the whole tree */
};

static struct rank_bound
bound_of(double score, const struct kv_item *item)
{
	return (struct rank_bound){.by = RANK_BY_BOTH, .score = score, .key = kv_item_key(item)};
}

/* The child whose range contains the bound. */
static size_t
slot_of(const struct rank_inner *inner, struct rank_bound bound)
{
	size_t before;

	bound.after = true;
	before = rank_inner_count_before(inner, &bound);
	return before > 0 ? before - 1 : 0;
}

static struct rank_slot
slot_for(void *node, unsigned level)
{
	struct rank_slot slot = {.child = node};
	size_t i;

	if (level == 0) {
		struct rank_leaf *leaf = node;

		slot.first = leaf->entries[0];
		slot.weight = leaf->count;
	} else {
		struct rank_inner *inner = node;

		slot.first = inner->slots[0].first;
		for (i = 0; i < inner->count; i++)
			slot.weight += inner->slots[i].weight;
	}
	return slot;
}

static void
leaf_insert(struct rank_leaf *leaf, size_t at, struct rank_entry entry)
{
	memmove(&leaf->entries[at + 1], &leaf->entries[at],
	    (leaf->count - at) * sizeof(leaf->entries[0]));
	leaf->entries[at] = entry;
	leaf->count++;
}

static void
inner_insert(struct rank_inner *inner, size_t at, struct rank_slot slot)
{
	memmove(&inner->slots[at + 1], &inner->slots[at],
	    (inner->count - at) * sizeof(inner->slots[0]));
	inner->slots[at] = slot;
	inner->count++;
}

/* The entries that a full node of max entries keeps when it is split. A tree that is filled from
 * one end keeps full nodes. */
static size_t
kept_of(const struct addition *a, size_t max)
{
	if (a->side == AT_THE_BACK)
		return max;
	return a->side == AT_THE_FRONT ? 1 : max / 2;
}

/* Returns the new leaf behind this one if it had to be split, else NULL. */
static struct rank_leaf *
add_to_leaf(struct rank_leaf *leaf, struct addition *a)
{
	size_t at = rank_leaf_count_before(leaf, &a->bound);
	struct rank_leaf *right;
	size_t kept;

	if (leaf->count < RANK_LEAF_MAX) {
		leaf_insert(leaf, at, a->entry);
		return NULL;
	}
	if (leaf->next == NULL && at == leaf->count)
		a->side = AT_THE_BACK;
	else if (leaf->prev == NULL && at == 0)
		a->side = AT_THE_FRONT;
	kept = kept_of(a, RANK_LEAF_MAX);
	right = kv_malloc(sizeof(*right));
	right->count = leaf->count - kept;
	memcpy(right->entries, &leaf->entries[kept], right->count * sizeof(right->entries[0]));
	leaf->count = kept;
	right->prev = leaf;
	right->next = leaf->next;
	if (right->next != NULL)
		right->next->prev = right;
	leaf->next = right;
	if (at > kept || kept == RANK_LEAF_MAX)
		leaf_insert(right, at - kept, a->entry);
	else
		leaf_insert(leaf, at, a->entry);
	return right;
}

/* The same for the slot of a child that is new. */
static struct rank_inner *
add_to_inner(struct rank_inner *inner, size_t at, struct rank_slot slot, const struct addition *a)
{
	struct rank_inner *right;
	size_t kept;

	if (inner->count < RANK_INNER_MAX) {
		inner_insert(inner, at, slot);
		return NULL;
	}
	/* If the entry was added at an end of the tree, the new slot is at that end of its node,
	 * too. */
	kept = kept_of(a, RANK_INNER_MAX);
	right = kv_malloc(sizeof(*right));
	right->count = inner->count - kept;
	memcpy(right->slots, &inner->slots[kept], right->count * sizeof(right->slots[0]));
	inner->count = kept;
	if (at > kept || kept == RANK_INNER_MAX)
		inner_insert(right, at - kept, slot);
	else
		inner_insert(inner, at, slot);
	return right;
}

/* Returns the new node behind this one, or NULL. */
static void *
add_below(void *node, unsigned level, struct addition *a)
{
	struct rank_inner *inner = node;
	struct rank_slot *slot;
	size_t at;
	void *right;

	if (level == 0)
		return add_to_leaf(node, a);
	at = slot_of(inner, a->bound);
	slot = &inner->slots[at];
	right = add_below(slot->child, level - 1, a);
	if (right != NULL) {
		*slot = slot_for(slot->child, level - 1);
		return add_to_inner(inner, at + 1, slot_for(right, level - 1), a);
	}
	slot->weight++;
	/* Only an entry before all others changes the first entry below the child. */
	if (at == 0 && rank_entry_is_before(&a->entry, &(struct rank_bound){.by = RANK_BY_BOTH,
							   .score = slot->first.score,
							   .key = kv_item_key(slot->first.item)}))
		slot->first = a->entry;
	return NULL;
}

void
rank_tree_add(struct rank_tree *t, double score, struct kv_item *item)
{
	struct addition a = {.entry = {score, item}, .bound = bound_of(score, item)};
	void *right;

	if (t->root == NULL) {
		struct rank_leaf *leaf = kv_malloc(sizeof(*leaf));

		leaf->prev = leaf->next = NULL;
		leaf->count = 0;
		t->root = leaf;
	}
	right = add_below(t->root, t->height, &a);
	if (right != NULL) {
		struct rank_inner *root = kv_malloc(sizeof(*root));

		root->count = 2;
		root->slots[0] = slot_for(t->root, t->height);
		root->slots[1] = slot_for(right, t->height);
		t->root = root;
		t->height++;
	}
	t->count++;
}

static void
unlink_leaf(struct rank_leaf *leaf)
{
	if (leaf->prev != NULL)
		leaf->prev->next = leaf->next;
	if (leaf->next != NULL)
		leaf->next->prev = leaf->prev;
}

static void
remove_slot(struct rank_inner *inner, size_t at)
{
	inner->count--;
	memmove(&inner->slots[at], &inner->slots[at + 1],
	    (inner->count - at) * sizeof(inner->slots[0]));
}

/* Joins the children at and at + 1 if both fit into one. */
static bool
join(struct rank_inner *inner, size_t at, unsigned level)
{
	void *left = inner->slots[at].child, *right = inner->slots[at + 1].child;

	if (level == 0) {
		struct rank_leaf *l = left, *r = right;

		if (l->count + r->count > RANK_LEAF_MAX)
			return false;
		memcpy(&l->entries[l->count], r->entries, r->count * sizeof(r->entries[0]));
		l->count += r->count;
		unlink_leaf(r);
	} else {
		struct rank_inner *l = left, *r = right;

		if (l->count + r->count > RANK_INNER_MAX)
			return false;
		memcpy(&l->slots[l->count], r->slots, r->count * sizeof(r->slots[0]));
		l->count += r->count;
	}
	inner->slots[at].weight += inner->slots[at + 1].weight;
	remove_slot(inner, at + 1);
	kv_release(right);
	return true;
}

/* After an entry was removed below the child: an empty child is freed, one with few entries is
 * joined with a neighbour. */
static void
tidy_child(struct rank_inner *inner, size_t at, unsigned level)
{
	struct rank_slot *slot = &inner->slots[at];
	size_t count, few;

	if (level == 0) {
		struct rank_leaf *leaf = slot->child;

		count = leaf->count;
		few = FEW(RANK_LEAF_MAX);
		if (count == 0)
			unlink_leaf(leaf);
		else
			slot->first = leaf->entries[0];
	} else {
		struct rank_inner *child = slot->child;

		count = child->count;
		few = FEW(RANK_INNER_MAX);
		if (count > 0)
			slot->first = child->slots[0].first;
	}
	if (count == 0) {
		kv_release(slot->child);
		remove_slot(inner, at);
	} else if (count < few && (at + 1 == inner->count || !join(inner, at, level)) && at > 0) {
		join(inner, at - 1, level);
	}
}

static void
remove_below(void *node, unsigned level, const struct rank_bound *bound)
{
	struct rank_inner *inner = node;
	size_t at;

	if (level == 0) {
		struct rank_leaf *leaf = node;

		at = rank_leaf_count_before(leaf, bound);
		assert(at < leaf->count);
		leaf->count--;
		memmove(&leaf->entries[at], &leaf->entries[at + 1],
		    (leaf->count - at) * sizeof(leaf->entries[0]));
		return;
	}
	at = slot_of(inner, *bound);
	remove_below(inner->slots[at].child, level - 1, bound);
	inner->slots[at].weight--;
	tidy_child(inner, at, level - 1);
}

void
rank_tree_remove(struct rank_tree *t, double score, struct kv_item *item)
{
	struct rank_bound bound = bound_of(score, item);

	assert(t->count > 0);
	remove_below(t->root, t->height, &bound);
	t->count--;
	if (t->count == 0) {
		/* The root is an inner node, and has lost all its children. */
		kv_release(t->root);
		rank_tree_init(t);
		return;
	}
	while (t->height > 0 && ((struct rank_inner *)t->root)->count == 1) {
		struct rank_inner *root = t->root;

		t->root = root->slots[0].child;
		t->height--;
		kv_release(root);
	}
}

/* Changes the score in place if the entry's place in the order stays the same and it is not the
 * first entry of its leaf. Else false. */
static bool
rescore_in_place(struct rank_tree *t, double score, struct kv_item *item, double new_score)
{
	struct rank_bound bound = bound_of(score, item), new_bound = bound_of(new_score, item);
	void *node = t->root;
	struct rank_leaf *leaf;
	unsigned level;
	size_t at;

	for (level = t->height; level > 0; level--) {
		struct rank_inner *inner = node;

		node = inner->slots[slot_of(inner, bound)].child;
	}
	leaf = node;
	at = rank_leaf_count_before(leaf, &bound);
	if (at == 0 || at + 1 >= leaf->count ||
	    !rank_entry_is_before(&leaf->entries[at - 1], &new_bound) ||
	    rank_entry_is_before(&leaf->entries[at + 1], &new_bound))
		return false;
	leaf->entries[at].score = new_score;
	return true;
}

void
rank_tree_rescore(struct rank_tree *t, double score, struct kv_item *item, double new_score)
{
	if (rescore_in_place(t, score, item, new_score))
		return;
	rank_tree_remove(t, score, item);
	rank_tree_add(t, new_score, item);
}
