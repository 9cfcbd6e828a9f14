#include "config.h"

#include "base/prefix_tree.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

struct node {
	void *value;            /* NULL: no name ends here */
	struct node **children; /* owned, in the order of their first bytes */
	uint16_t count;
	uint16_t cap;
	uint32_t len;
	char bytes[]; /* len of them lead here from the parent */
};

struct prefix_tree {
	struct node *root; /* its len is 0 */
	size_t count;
};

static struct node *
node_new(struct slice bytes, void *value)
{
	struct node *node = xcalloc(1, sizeof(*node) + bytes.len);

	node->value = value;
	node->len = (uint32_t)bytes.len;
	if (bytes.len > 0)
		memcpy(node->bytes, bytes.ptr, bytes.len);
	return node;
}

static void
node_free(struct node *node)
{
	xfree(node->children);
	xfree(node);
}

static struct slice
bytes_of(const struct node *node)
{
	return (struct slice){node->bytes, node->len};
}

static struct slice
behind(struct slice s, size_t n)
{
	return (struct slice){s.ptr + n, s.len - n};
}

static bool
starts_with(struct slice whole, struct slice start)
{
	return whole.len >= start.len && memcmp(whole.ptr, start.ptr, start.len) == 0;
}

static size_t
common_len(struct slice a, struct slice b)
{
	size_t max = a.len < b.len ? a.len : b.len, n = 0;

	while (n < max && a.ptr[n] == b.ptr[n])
		n++;
	return n;
}

/* The index of the first child whose first byte is not less than this one. */
static uint16_t
child_at(const struct node *node, char byte)
{
	uint16_t low = 0, high = node->count;

	while (low < high) {
		uint16_t mid = (uint16_t)((low + high) / 2);

		if ((unsigned char)node->children[mid]->bytes[0] < (unsigned char)byte)
			low = (uint16_t)(mid + 1);
		else
			high = mid;
	}
	return low;
}

/* The link to the child that shares the first byte of rest, or NULL. */
static struct node **
child_of(const struct node *node, struct slice rest)
{
	uint16_t i;

	if (rest.len == 0)
		return NULL;
	i = child_at(node, rest.ptr[0]);
	return i < node->count && node->children[i]->bytes[0] == rest.ptr[0] ? &node->children[i]
									     : NULL;
}

/* The child whose bytes rest begins with, or NULL. */
static struct node *
step(const struct node *node, struct slice rest)
{
	struct node **child = child_of(node, rest);

	return child != NULL && starts_with(rest, bytes_of(*child)) ? *child : NULL;
}

struct prefix_tree *
prefix_tree_new(void)
{
	struct prefix_tree *tree = xcalloc(1, sizeof(*tree));

	tree->root = node_new(SLICE(""), NULL);
	return tree;
}

void
prefix_tree_free(struct prefix_tree *tree)
{
	if (tree == NULL)
		return;
	assert(tree->count == 0 && tree->root->count == 0);
	node_free(tree->root);
	xfree(tree);
}

size_t
prefix_tree_count(const struct prefix_tree *tree)
{
	return tree->count;
}

void *
prefix_tree_get(const struct prefix_tree *tree, struct slice name)
{
	const struct node *node = tree->root;

	while (name.len > 0) {
		node = step(node, name);
		if (node == NULL)
			return NULL;
		name = behind(name, node->len);
	}
	return node->value;
}

static void
insert_child(struct node *parent, struct node *child)
{
	uint16_t i = child_at(parent, child->bytes[0]);

	if (parent->count == parent->cap) {
		parent->cap = parent->cap > 0 ? (uint16_t)(parent->cap * 2) : 2;
		parent->children =
		    xrealloc(parent->children, parent->cap * sizeof(*parent->children));
	}
	memmove(&parent->children[i + 1], &parent->children[i],
	    (size_t)(parent->count - i) * sizeof(*parent->children));
	parent->children[i] = child;
	parent->count++;
}

static void
take_children(struct node *from, struct node *to)
{
	to->children = from->children;
	to->count = from->count;
	to->cap = from->cap;
	from->children = NULL;
	from->count = from->cap = 0;
}

/* Puts a node between *link and its parent, at the first len bytes. */
static void
split(struct node **link, size_t len)
{
	struct node *old = *link, *upper, *lower;

	upper = node_new((struct slice){old->bytes, len}, NULL);
	lower = node_new(behind(bytes_of(old), len), old->value);
	take_children(old, lower);
	node_free(old);
	insert_child(upper, lower);
	*link = upper;
}

void
prefix_tree_add(struct prefix_tree *tree, struct slice name, void *value)
{
	struct node *node = tree->root, **link;

	assert(value != NULL && name.len <= UINT32_MAX);
	while (name.len > 0) {
		size_t common;

		link = child_of(node, name);
		if (link == NULL) {
			insert_child(node, node_new(name, value));
			tree->count++;
			return;
		}
		common = common_len(name, bytes_of(*link));
		if (common < (*link)->len)
			split(link, common);
		node = *link;
		name = behind(name, common);
	}
	assert(node->value == NULL);
	node->value = value;
	tree->count++;
}

/* Joins a node without a value with its only child. */
static void
join(struct node **link)
{
	struct node *upper = *link, *lower = upper->children[0], *joined;

	joined = xcalloc(1, sizeof(*joined) + upper->len + lower->len);
	joined->value = lower->value;
	joined->len = upper->len + lower->len;
	memcpy(joined->bytes, upper->bytes, upper->len);
	memcpy(joined->bytes + upper->len, lower->bytes, lower->len);
	take_children(lower, joined);
	node_free(lower);
	node_free(upper);
	*link = joined;
}

static void
remove_child(struct node *parent, struct node **link)
{
	size_t i = (size_t)(link - parent->children);

	node_free(*link);
	parent->count--;
	memmove(link, link + 1, (parent->count - i) * sizeof(*link));
	if (parent->count == 0) {
		xfree(parent->children);
		parent->children = NULL;
		parent->cap = 0;
	}
}

void *
prefix_tree_remove(struct prefix_tree *tree, struct slice name)
{
	struct node **parent = NULL, **link = &tree->root;
	void *value;

	while (name.len > 0) {
		parent = link;
		link = child_of(*parent, name);
		assert(link != NULL && starts_with(name, bytes_of(*link)));
		name = behind(name, (*link)->len);
	}
	value = (*link)->value;
	assert(value != NULL);
	(*link)->value = NULL;
	tree->count--;
	if (parent == NULL)
		return value;
	if ((*link)->count == 1) {
		join(link);
	} else if ((*link)->count == 0) {
		remove_child(*parent, link);
		if (*parent != tree->root && (*parent)->value == NULL && (*parent)->count == 1)
			join(parent);
	}
	return value;
}

void
prefix_tree_each_prefix(const struct prefix_tree *tree, struct slice whole,
    void (*visit)(void *value, void *arg), void *arg)
{
	const struct node *node = tree->root;

	while (node != NULL) {
		whole = behind(whole, node->len);
		if (node->value != NULL)
			visit(node->value, arg);
		node = step(node, whole);
	}
}

void *
prefix_tree_shortest(const struct prefix_tree *tree, struct slice whole)
{
	const struct node *node = tree->root;

	while (node != NULL && node->value == NULL) {
		whole = behind(whole, node->len);
		node = step(node, whole);
	}
	return node != NULL ? node->value : NULL;
}

/* The first name of a subtree; NULL only if the tree is empty. */
static void *
first_of(const struct node *node)
{
	while (node != NULL && node->value == NULL)
		node = node->count > 0 ? node->children[0] : NULL;
	return node != NULL ? node->value : NULL;
}

void *
prefix_tree_first(const struct prefix_tree *tree, struct slice start)
{
	const struct node *node = tree->root;

	while (start.len > 0) {
		struct node **child = child_of(node, start);
		size_t common = child != NULL ? common_len(start, bytes_of(*child)) : 0;

		if (child == NULL || (common < start.len && common < (*child)->len))
			return NULL;
		node = *child;
		start = behind(start, common);
	}
	return first_of(node);
}

void *
prefix_tree_next(const struct prefix_tree *tree, struct slice name)
{
	const struct node *node = tree->root, *later = NULL;

	while (name.len > 0) {
		uint16_t i = child_at(node, name.ptr[0]);
		const struct node *child = i < node->count ? node->children[i] : NULL;
		size_t common = child != NULL ? common_len(name, bytes_of(child)) : 0;

		if (child == NULL)
			return first_of(later);
		if (common < child->len) {
			/* It ends within these bytes, or differs there. */
			if (common == name.len || slice_compare(name, bytes_of(child)) < 0)
				return first_of(child);
			return first_of(i + 1 < node->count ? node->children[i + 1] : later);
		}
		if (i + 1 < node->count)
			later = node->children[i + 1];
		node = child;
		name = behind(name, common);
	}
	return first_of(node->count > 0 ? node->children[0] : later);
}
