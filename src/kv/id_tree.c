#include "config.h"

#include "kv/id_tree.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"

/* A node is a block of 1536 bytes. */
#define LEAF_MAX 63
#define INNER_MAX 63

/* A node with fewer entries than this is joined with a neighbour if both fit into one node. */
#define FEW 21

/* The room of the first leaf, which doubles as it fills. A leaf with neighbours has LEAF_MAX. */
#define LEAF_MIN 4

struct id_leaf {
	struct id_leaf *prev, *next;
	size_t count;
	struct id_entry entries[];
};

/* first is at most the first id of the child, and above all ids before it. */
struct id_slot {
	struct stream_id first;
	void *child;
};

struct id_inner {
	size_t count; /* at least 1 */
	struct id_slot slots[INNER_MAX];
};

/* A node that was split off to the right; NULL: none. */
struct split {
	struct id_slot right;
};

void
id_tree_init(struct id_tree *t)
{
	*t = (struct id_tree){0};
}

static size_t
leaf_bytes(size_t room)
{
	return sizeof(struct id_leaf) + room * sizeof(struct id_entry);
}

static struct id_leaf *
leaf_new(struct id_tree *t, size_t room)
{
	struct id_leaf *leaf = kv_malloc(leaf_bytes(room));

	leaf->prev = leaf->next = NULL;
	leaf->count = 0;
	t->bytes += kv_block_bytes(leaf);
	return leaf;
}

static void
node_free(struct id_tree *t, void *node)
{
	t->bytes -= kv_block_bytes(node);
	kv_release(node);
}

/* The number of the leaf's entries before the id, or, with after, up to it. */
static size_t
leaf_count_before(const struct id_leaf *leaf, struct stream_id id, bool after)
{
	size_t low = 0, high = leaf->count;
	int least = after ? 1 : 0;

	/* Most ids are added behind all others. */
	if (high > 0 && stream_id_compare(leaf->entries[high - 1].id, id) < least)
		return high;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (stream_id_compare(leaf->entries[middle].id, id) < least)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The child whose range contains the id. */
static size_t
slot_of(const struct id_inner *inner, struct stream_id id)
{
	size_t low = 0, high = inner->count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (stream_id_compare(inner->slots[middle].first, id) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The leaf whose range contains the id. */
static struct id_leaf *
leaf_of(const struct id_tree *t, struct stream_id id)
{
	void *node = t->root;

	for (unsigned level = t->height; level > 0; level--) {
		struct id_inner *inner = node;

		node = inner->slots[slot_of(inner, id)].child;
	}
	return node;
}

static struct id_entry *
entry_of(const struct id_tree *t, struct stream_id id)
{
	struct id_leaf *leaf = leaf_of(t, id);
	size_t at;

	if (leaf == NULL)
		return NULL;
	at = leaf_count_before(leaf, id, false);
	if (at == leaf->count || stream_id_compare(leaf->entries[at].id, id) != 0)
		return NULL;
	return &leaf->entries[at];
}

void *
id_tree_find(const struct id_tree *t, struct stream_id id)
{
	const struct id_entry *entry = entry_of(t, id);

	return entry != NULL ? entry->value : NULL;
}

void
id_tree_replace(struct id_tree *t, struct stream_id id, void *value)
{
	struct id_entry *entry = entry_of(t, id);

	assert(entry != NULL);
	entry->value = value;
}

static void
leaf_insert(struct id_leaf *leaf, size_t at, struct id_entry entry)
{
	memmove(&leaf->entries[at + 1], &leaf->entries[at],
	    (leaf->count - at) * sizeof(leaf->entries[0]));
	leaf->entries[at] = entry;
	leaf->count++;
}

static void
inner_insert(struct id_inner *inner, size_t at, struct id_slot slot)
{
	memmove(&inner->slots[at + 1], &inner->slots[at],
	    (inner->count - at) * sizeof(inner->slots[0]));
	inner->slots[at] = slot;
	inner->count++;
}

/* A new leaf behind this one. */
static struct id_leaf *
leaf_after(struct id_tree *t, struct id_leaf *leaf)
{
	struct id_leaf *right = leaf_new(t, LEAF_MAX);

	right->prev = leaf;
	right->next = leaf->next;
	if (right->next != NULL)
		right->next->prev = right;
	leaf->next = right;
	return right;
}

/* Adds to a full leaf. A leaf that is filled in order stays full. */
static struct split
leaf_split(struct id_tree *t, struct id_leaf *leaf, size_t at, struct id_entry entry)
{
	struct id_leaf *right = leaf_after(t, leaf);
	size_t keep = at == LEAF_MAX ? LEAF_MAX : LEAF_MAX / 2;

	right->count = LEAF_MAX - keep;
	memcpy(right->entries, &leaf->entries[keep], right->count * sizeof(leaf->entries[0]));
	leaf->count = keep;
	if (at > keep || keep == LEAF_MAX)
		leaf_insert(right, at - keep, entry);
	else
		leaf_insert(leaf, at, entry);
	return (struct split){{right->entries[0].id, right}};
}

static struct split
inner_split(struct id_tree *t, struct id_inner *inner, size_t at, struct id_slot slot)
{
	struct id_inner *right = kv_malloc(sizeof(*right));
	size_t keep = at == INNER_MAX ? INNER_MAX : INNER_MAX / 2;

	t->bytes += kv_block_bytes(right);
	right->count = INNER_MAX - keep;
	memcpy(right->slots, &inner->slots[keep], right->count * sizeof(inner->slots[0]));
	inner->count = keep;
	if (at > keep || keep == INNER_MAX)
		inner_insert(right, at - keep, slot);
	else
		inner_insert(inner, at, slot);
	return (struct split){{right->slots[0].first, right}};
}

/* Adds below a node. The tree's only leaf has room already. The recursion is as deep as the tree is
 * high. */
static struct split
add_below(struct id_tree *t, void *node, unsigned level, struct id_entry entry)
{
	struct split none = {{STREAM_ID_MIN, NULL}}, split;
	struct id_inner *inner = node;
	struct id_leaf *leaf = node;
	size_t at;

	if (level == 0) {
		at = leaf_count_before(leaf, entry.id, false);
		if (leaf->count == LEAF_MAX)
			return leaf_split(t, leaf, at, entry);
		leaf_insert(leaf, at, entry);
		return none;
	}
	at = slot_of(inner, entry.id);
	if (stream_id_compare(entry.id, inner->slots[at].first) < 0)
		inner->slots[at].first = entry.id;
	split = add_below(t, inner->slots[at].child, level - 1, entry);
	if (split.right.child == NULL)
		return none;
	if (inner->count == INNER_MAX)
		return inner_split(t, inner, at + 1, split.right);
	inner_insert(inner, at + 1, split.right);
	return none;
}

/* Makes room for one more entry in the only leaf. */
static void
grow_only_leaf(struct id_tree *t)
{
	struct id_leaf *leaf = t->root;
	size_t bytes = kv_block_bytes(leaf), room = 2 * leaf->count;

	if (leaf->count == LEAF_MAX || bytes >= leaf_bytes(leaf->count + 1))
		return;
	leaf = kv_realloc(leaf, leaf_bytes(room < LEAF_MAX ? room : LEAF_MAX));
	t->bytes += kv_block_bytes(leaf) - bytes;
	t->root = leaf;
}

void
id_tree_add(struct id_tree *t, struct stream_id id, void *value)
{
	struct split split;
	struct id_inner *root;

	if (t->root == NULL)
		t->root = leaf_new(t, LEAF_MIN);
	else if (t->height == 0)
		grow_only_leaf(t);
	split = add_below(t, t->root, t->height, (struct id_entry){id, value});
	t->count++;
	if (split.right.child == NULL)
		return;
	root = kv_malloc(sizeof(*root));
	t->bytes += kv_block_bytes(root);
	root->count = 2;
	root->slots[0] = (struct id_slot){STREAM_ID_MIN, t->root};
	root->slots[1] = split.right;
	t->root = root;
	t->height++;
}

static size_t
count_of(const void *node, unsigned level)
{
	return level == 0 ? ((const struct id_leaf *)node)->count
			  : ((const struct id_inner *)node)->count;
}

static void
free_leaf(struct id_tree *t, struct id_leaf *leaf)
{
	if (leaf->prev != NULL)
		leaf->prev->next = leaf->next;
	if (leaf->next != NULL)
		leaf->next->prev = leaf->prev;
	node_free(t, leaf);
}

static void
drop_slot(struct id_inner *inner, size_t at)
{
	inner->count--;
	memmove(&inner->slots[at], &inner->slots[at + 1],
	    (inner->count - at) * sizeof(inner->slots[0]));
}

/* Moves all of the child behind `at` into the child at `at`. level is that of the children. */
static void
join(struct id_tree *t, struct id_inner *inner, size_t at, unsigned level)
{
	void *left = inner->slots[at].child, *right = inner->slots[at + 1].child;

	if (level == 0) {
		struct id_leaf *to = left, *from = right;

		memcpy(
		    &to->entries[to->count], from->entries, from->count * sizeof(to->entries[0]));
		to->count += from->count;
		free_leaf(t, from);
	} else {
		struct id_inner *to = left, *from = right;

		memcpy(&to->slots[to->count], from->slots, from->count * sizeof(to->slots[0]));
		to->count += from->count;
		node_free(t, from);
	}
	drop_slot(inner, at + 1);
}

/* The child at `at` has lost an entry. */
static void
settle(struct id_tree *t, struct id_inner *inner, size_t at, unsigned level)
{
	size_t count = count_of(inner->slots[at].child, level);

	if (count >= FEW)
		return;
	if (count == 0) {
		if (level == 0)
			free_leaf(t, inner->slots[at].child);
		else
			node_free(t, inner->slots[at].child);
		drop_slot(inner, at);
	} else if (at + 1 < inner->count &&
		   count + count_of(inner->slots[at + 1].child, level) <= INNER_MAX) {
		join(t, inner, at, level);
	} else if (at > 0 && count + count_of(inner->slots[at - 1].child, level) <= INNER_MAX) {
		join(t, inner, at - 1, level);
	}
}

static void *
remove_below(struct id_tree *t, void *node, unsigned level, struct stream_id id)
{
	struct id_inner *inner = node;
	struct id_leaf *leaf = node;
	void *value;
	size_t at;

	if (level > 0) {
		at = slot_of(inner, id);
		value = remove_below(t, inner->slots[at].child, level - 1, id);
		if (value != NULL)
			settle(t, inner, at, level - 1);
		return value;
	}
	at = leaf_count_before(leaf, id, false);
	if (at == leaf->count || stream_id_compare(leaf->entries[at].id, id) != 0)
		return NULL;
	value = leaf->entries[at].value;
	leaf->count--;
	memmove(&leaf->entries[at], &leaf->entries[at + 1],
	    (leaf->count - at) * sizeof(leaf->entries[0]));
	return value;
}

void *
id_tree_remove(struct id_tree *t, struct stream_id id)
{
	void *value = t->root != NULL ? remove_below(t, t->root, t->height, id) : NULL;

	if (value == NULL)
		return NULL;
	t->count--;
	while (t->height > 0 && count_of(t->root, t->height) == 1) {
		void *root = t->root;

		t->root = ((struct id_inner *)root)->slots[0].child;
		t->height--;
		node_free(t, root);
	}
	if (t->count == 0) {
		node_free(t, t->root);
		t->root = NULL;
	}
	return value;
}

void
id_tree_seek(const struct id_tree *t, struct stream_id id, bool after, struct id_cursor *c)
{
	c->leaf = leaf_of(t, id);
	c->at = c->leaf != NULL ? leaf_count_before(c->leaf, id, after) : 0;
}

const struct id_entry *
id_cursor_next(struct id_cursor *c)
{
	if (c->leaf == NULL)
		return NULL;
	if (c->at == c->leaf->count) {
		if (c->leaf->next == NULL)
			return NULL;
		c->leaf = c->leaf->next;
		c->at = 0;
	}
	return &c->leaf->entries[c->at++];
}

const struct id_entry *
id_cursor_prev(struct id_cursor *c)
{
	if (c->leaf == NULL)
		return NULL;
	if (c->at == 0) {
		if (c->leaf->prev == NULL)
			return NULL;
		c->leaf = c->leaf->prev;
		c->at = c->leaf->count;
	}
	return &c->leaf->entries[--c->at];
}

struct draining {
	struct id_tree *tree;
	size_t (*release)(void *value, void *arg);
	void *arg;
	size_t *budget;
};

/* False: the budget is used up. */
static bool
drain_leaf(struct draining *d, struct id_leaf *leaf)
{
	for (; leaf->count > 0; leaf->count--) {
		size_t cost = 1;

		if (*d->budget == 0)
			return false;
		if (d->release != NULL)
			cost = d->release(leaf->entries[leaf->count - 1].value, d->arg);
		*d->budget -= cost < *d->budget ? cost : *d->budget;
	}
	return true;
}

static bool
drain_below(struct draining *d, void *node, unsigned level)
{
	struct id_inner *inner = node;

	if (level == 0) {
		if (!drain_leaf(d, node))
			return false;
	} else {
		for (; inner->count > 0; inner->count--)
			if (!drain_below(d, inner->slots[inner->count - 1].child, level - 1))
				return false;
	}
	node_free(d->tree, node);
	return true;
}

bool
id_tree_drain(
    struct id_tree *t, size_t (*release)(void *value, void *arg), void *arg, size_t *budget)
{
	struct draining d = {t, release, arg, budget};

	if (t->root != NULL && !drain_below(&d, t->root, t->height))
		return false;
	id_tree_init(t);
	return true;
}

/* True if all ids below the node are in order, from *low on; *low is then behind them. */
static bool
is_sound_below(const void *node, unsigned level, struct stream_id *low, size_t *count)
{
	const struct id_inner *inner = node;
	const struct id_leaf *leaf = node;

	if (level > 0) {
		for (size_t i = 0; i < inner->count; i++) {
			struct stream_id first = inner->slots[i].first;

			if (i > 0 && stream_id_compare(first, *low) < 0)
				return false;
			if (i > 0)
				*low = first;
			if (!is_sound_below(inner->slots[i].child, level - 1, low, count))
				return false;
		}
		return inner->count > 0 && inner->count <= INNER_MAX;
	}
	for (size_t i = 0; i < leaf->count; i++) {
		if (stream_id_compare(leaf->entries[i].id, *low) < 0)
			return false;
		*low = leaf->entries[i].id;
		(void)stream_id_next(low);
	}
	*count += leaf->count;
	return leaf->count > 0 && leaf->count <= LEAF_MAX;
}

bool
id_tree_is_sound(const struct id_tree *t)
{
	struct stream_id low = STREAM_ID_MIN;
	size_t count = 0;

	if (t->root == NULL)
		return t->count == 0 && t->height == 0 && t->bytes == 0;
	return is_sound_below(t->root, t->height, &low, &count) && count == t->count;
}
