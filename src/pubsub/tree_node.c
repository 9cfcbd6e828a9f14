#include "config.h"

#include "pubsub/tree_node.h"

#include <assert.h>
#include <string.h>

#include "pubsub/tree_spellings.h"

/* Copies prefix, which may be part of the node's own prefix. */
static void
set_prefix(struct channel_tree *tree, struct tree_node *node, struct slice prefix)
{
	char *old = node->prefix_len > TREE_NEAR_BYTES ? node->prefix.far : NULL;
	char *to = node->prefix.near;

	assert(prefix.len <= UINT16_MAX);
	if (prefix.len > TREE_NEAR_BYTES)
		to = tree_alloc(&tree->memory, prefix.len);
	if (prefix.len > 0)
		memmove(to, prefix.ptr, prefix.len);
	if (prefix.len > TREE_NEAR_BYTES)
		node->prefix.far = to;
	tree_release(&tree->memory, old, node->prefix_len);
	node->prefix_len = (uint16_t)prefix.len;
}

static struct tree_node *
node_new(struct channel_tree *tree, enum tree_kind kind, struct tree_node *parent)
{
	struct tree_node *node = tree_alloc(&tree->memory, sizeof(*node));

	tree->nodes++;
	node->kind = (uint8_t)kind;
	node->parent = parent;
	return node;
}

/* Frees a node that has no children and no topics and is unlinked. */
static void
node_free(struct channel_tree *tree, struct tree_node *node)
{
	if (node->prefix_len > TREE_NEAR_BYTES)
		tree_release(&tree->memory, node->prefix.far, node->prefix_len);
	tree_release(&tree->memory, node, sizeof(*node));
	tree->nodes--;
}

static void
drop_wild_if_empty(struct channel_tree *tree, struct tree_node *node)
{
	struct tree_wild *wild = node->wild;

	if (wild->any != NULL || wild->star != NULL || wild->classes != NULL)
		return;
	tree_release(&tree->memory, wild, sizeof(*wild));
	node->wild = NULL;
}

/* Unlinks node from its parent. */
static void
detach(struct channel_tree *tree, struct tree_node *node)
{
	struct tree_node *parent = node->parent;

	switch ((enum tree_kind)node->kind) {
	case TREE_ROOT:
		return;
	case TREE_LITERAL:
		tree_child_remove(&tree->memory, &parent->children, node->byte);
		return;
	case TREE_ANY:
		parent->wild->any = NULL;
		break;
	case TREE_STAR:
		parent->wild->star = NULL;
		break;
	case TREE_CLASS:
		tree_class_remove(&tree->memory, &parent->wild->classes, node->slot);
		break;
	}
	drop_wild_if_empty(tree, parent);
}

/* heir takes the place of node, a literal one, below node's parent. */
static void
succeed(struct tree_node *node, struct tree_node *heir)
{
	heir->parent = node->parent;
	heir->byte = node->byte;
	*tree_child_there(heir->parent->children, heir->byte) = tree_edge_to_node(heir);
}

struct tree_node *
tree_find_wild_child(const struct tree_node *node, enum tree_kind kind, const uint64_t set[4])
{
	if (node->wild == NULL)
		return NULL;
	if (kind == TREE_CLASS)
		return tree_class_find(node->wild->classes, set);
	return kind == TREE_ANY ? node->wild->any : node->wild->star;
}

struct tree_node *
tree_wild_child(
    struct channel_tree *tree, struct tree_node *node, enum tree_kind kind, const uint64_t set[4])
{
	struct tree_node *child = tree_find_wild_child(node, kind, set);

	if (child != NULL)
		return child;
	child = node_new(tree, kind, node);
	if (node->wild == NULL)
		node->wild = tree_alloc(&tree->memory, sizeof(*node->wild));
	if (kind == TREE_ANY)
		node->wild->any = child;
	else if (kind == TREE_STAR)
		node->wild->star = child;
	else
		tree_class_add(&tree->memory, &node->wild->classes, set, child);
	return child;
}

struct tree_node *
tree_add_literal(struct channel_tree *tree, struct tree_node *node, struct slice run)
{
	struct tree_node *child = node_new(tree, TREE_LITERAL, node);

	child->byte = (unsigned char)run.ptr[0];
	set_prefix(tree, child, (struct slice){run.ptr + 1, run.len - 1});
	tree_child_add(&tree->memory, &node->children, child->byte, tree_edge_to_node(child));
	return child;
}

/* Splits the node's prefix in front of byte `at`; returns the new node, which gets the
 * first part. */
static struct tree_node *
split(struct channel_tree *tree, struct tree_node *node, size_t at)
{
	struct tree_node *upper = node_new(tree, TREE_LITERAL, NULL);
	struct slice prefix = tree_prefix(node);

	set_prefix(tree, upper, (struct slice){prefix.ptr, at});
	succeed(node, upper);
	upper->channels = node->channels;
	node->byte = (unsigned char)prefix.ptr[at];
	node->parent = upper;
	set_prefix(tree, node, (struct slice){prefix.ptr + at + 1, prefix.len - at - 1});
	tree_child_add(&tree->memory, &upper->children, node->byte, tree_edge_to_node(node));
	return upper;
}

static size_t
common_len(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len, i = 0;

	while (i < len && a.ptr[i] == b.ptr[i])
		i++;
	return i;
}

/*
 * Gives a topic that was a child itself, behind byte `at` of its name, a node whose prefix is what
 * its name has in common with run. (Above such a topic all edges are bytes, so run starts at the
 * root.)
 */
static struct tree_node *
give_node(struct channel_tree *tree, struct topic *topic, size_t at, struct slice run)
{
	struct tree_node *parent = topic->node, *node = node_new(tree, TREE_LITERAL, parent);
	struct slice tail = {topic->name + at + 1, topic->name_len - at - 1};
	size_t len = common_len(tail, (struct slice){run.ptr + at + 1, run.len - at - 1});

	node->byte = (unsigned char)topic->name[at];
	node->channels = 1;
	set_prefix(tree, node, (struct slice){tail.ptr, len});
	*tree_child_there(parent->children, node->byte) = tree_edge_to_node(node);
	topic->node = node;
	if (len == tail.len)
		node->channel = topic;
	else
		tree_child_add(&tree->memory, &node->children, (unsigned char)tail.ptr[len],
		    tree_edge_to_topic(topic));
	return node;
}

struct tree_node *
tree_descend(struct channel_tree *tree, struct tree_node *node, struct slice run, size_t *at)
{
	while (*at < run.len) {
		struct tree_edge *edge = tree_child(node->children, (unsigned char)run.ptr[*at]);

		if (edge == NULL)
			break;
		if (tree_edge_is_topic(*edge))
			node = give_node(tree, tree_edge_topic(*edge), *at, run);
		else
			node = tree_edge_node(*edge);
		++*at;
		size_t len =
		    common_len(tree_prefix(node), (struct slice){run.ptr + *at, run.len - *at});

		if (len < node->prefix_len)
			node = split(tree, node, len);
		*at += len;
	}
	return node;
}

/* The literal node has a single channel left, at the node or behind one byte: the channel's topic
 * takes its place. */
static void
give_way_to_topic(struct channel_tree *tree, struct tree_node *node, struct topic *topic)
{
	assert(node->parent != NULL);
	*tree_child_there(node->parent->children, node->byte) = tree_edge_to_topic(topic);
	topic->node = node->parent;
	node_free(tree, node);
}

/* The literal node has no topic and a single child, a literal node, which takes its place. */
static void
give_way_to_child(struct channel_tree *tree, struct tree_node *node, struct tree_node *child)
{
	struct slice prefix = tree_prefix(node), tail = tree_prefix(child);
	size_t len = prefix.len + 1 + tail.len;
	char *joined = tree_alloc(&tree->memory, len);

	memcpy(joined, prefix.ptr, prefix.len);
	joined[prefix.len] = (char)child->byte;
	memcpy(joined + prefix.len + 1, tail.ptr, tail.len);
	set_prefix(tree, child, (struct slice){joined, len});
	tree_release(&tree->memory, joined, len);
	succeed(node, child);
	node_free(tree, node);
}

/* Removes a literal node that is no longer needed. */
static void
merge(struct channel_tree *tree, struct tree_node *node)
{
	size_t ways = tree_ways(node);

	if (ways == 0 && node->patterns == 0) {
		give_way_to_topic(tree, node, node->channel);
	} else if (ways == 1 && node->children != NULL && !tree_has_topic(node)) {
		struct tree_edge edge = node->children->edges[0];

		tree_child_remove(
		    &tree->memory, &node->children, tree_child_keys(node->children)[0]);
		if (tree_edge_is_topic(edge))
			give_way_to_topic(tree, node, tree_edge_topic(edge));
		else
			give_way_to_child(tree, node, tree_edge_node(edge));
	}
}

void
tree_tidy(struct channel_tree *tree, struct tree_node *node)
{
	while (node->parent != NULL && !tree_has_topic(node) && tree_ways(node) == 0) {
		struct tree_node *parent = node->parent;

		detach(tree, node);
		node_free(tree, node);
		node = parent;
	}
	if (node->kind == TREE_LITERAL)
		merge(tree, node);
}

/* Frees the topics of a node and those that are its children; returns a child node that is left, or
 * NULL. */
static struct tree_node *
clear_node(struct channel_tree *tree, struct tree_node *node)
{
	while (node->patterns != 0) {
		size_t count;
		struct topic *topic = tree_patterns(node, &count)[0];

		tree_spelling_remove(tree, topic);
		tree_topic_free(tree, topic);
	}
	if (node->channel != NULL)
		tree_topic_free(tree, node->channel);
	node->channel = NULL;
	while (node->children != NULL) {
		unsigned int last = node->children->count - 1U;
		struct tree_edge edge = node->children->edges[last];

		if (!tree_edge_is_topic(edge))
			return tree_edge_node(edge);
		tree_topic_free(tree, tree_edge_topic(edge));
		tree_child_remove(
		    &tree->memory, &node->children, tree_child_keys(node->children)[last]);
	}
	if (node->wild == NULL)
		return NULL;
	if (node->wild->any != NULL)
		return node->wild->any;
	if (node->wild->star != NULL)
		return node->wild->star;
	return tree_class_at(node->wild->classes, node->wild->classes->count - 1)->node;
}

void
tree_clear(struct channel_tree *tree)
{
	struct tree_node *node = &tree->root;

	while (node != NULL) {
		struct tree_node *child = clear_node(tree, node), *parent = node->parent;

		if (child == NULL && parent != NULL) {
			detach(tree, node);
			node_free(tree, node);
		}
		node = child != NULL ? child : parent;
	}
}
