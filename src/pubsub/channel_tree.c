#include "config.h"

#include "pubsub/channel_tree.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/tree_match.h"
#include "pubsub/tree_node.h"
#include "pubsub/tree_path.h"
#include "pubsub/tree_spellings.h"

struct channel_tree *
channel_tree_new(void)
{
	struct channel_tree *tree = xcalloc(1, sizeof(*tree));

	tree->root.kind = TREE_ROOT;
	tree->memory.bytes = sizeof(*tree);
	return tree;
}

void
channel_tree_free(struct channel_tree *tree)
{
	tree_clear(tree);
	tree_match_release(tree);
	xfree(tree);
}

/* The node at the end of run, from node on, or NULL. If the path ends at a channel without a node
 * of its own, *leaf is that channel, whose name may differ from run; else NULL. */
static inline struct tree_node *
find_run(struct tree_node *node, struct slice run, struct topic **leaf)
{
	size_t at = 0;

	*leaf = NULL;
	while (at < run.len) {
		struct tree_edge *edge = tree_child(node->children, (unsigned char)run.ptr[at]);

		if (edge == NULL)
			return NULL;
		if (tree_edge_is_topic(*edge)) {
			*leaf = tree_edge_topic(*edge);
			return NULL;
		}
		node = tree_edge_node(*edge);
		at++;
		if (!tree_pass_prefix(node, run, &at))
			return NULL;
	}
	return node;
}

static struct topic *
find_channel(struct channel_tree *tree, struct slice name)
{
	struct topic *leaf;
	struct tree_node *node = find_run(&tree->root, name, &leaf);

	if (node != NULL)
		return node->channel;
	return leaf != NULL && slice_eq(topic_name(leaf), name) ? leaf : NULL;
}

static struct topic *
find_pattern(struct channel_tree *tree, struct slice name)
{
	struct tree_node *node = &tree->root;
	struct tree_path path;
	struct tree_step step;
	struct topic *leaf;

	tree_path_init(&path, name);
	while (node != NULL && tree_path_next(&path, &step))
		node = step.kind == TREE_LITERAL ? find_run(node, step.run, &leaf)
						 : tree_find_wild_child(node, step.kind, step.set);
	tree_path_release(&path);
	return node != NULL ? tree_spelling_find(tree, node, name) : NULL;
}

struct topic *
channel_tree_find(struct channel_tree *tree, bool is_pattern, struct slice name)
{
	return is_pattern ? find_pattern(tree, name) : find_channel(tree, name);
}

static struct topic *
add_channel(struct channel_tree *tree, struct slice name)
{
	struct topic *topic = tree_topic_new(tree, false, name);
	size_t at = 0;
	struct tree_node *node = tree_descend(tree, &tree->root, name, &at);

	topic->node = node;
	if (at == name.len)
		node->channel = topic;
	else
		tree_child_add(&tree->memory, &node->children, (unsigned char)name.ptr[at],
		    tree_edge_to_topic(topic));
	for (; node != NULL; node = node->parent)
		node->channels++;
	return topic;
}

static struct topic *
add_pattern(struct channel_tree *tree, struct slice name)
{
	struct tree_node *node = &tree->root;
	struct tree_path path;
	struct tree_step step;

	tree_path_init(&path, name);
	while (tree_path_next(&path, &step)) {
		size_t at = 0;

		if (step.kind != TREE_LITERAL) {
			node = tree_wild_child(tree, node, step.kind, step.set);
			continue;
		}
		node = tree_descend(tree, node, step.run, &at);
		if (at < step.run.len)
			node = tree_add_literal(
			    tree, node, (struct slice){step.run.ptr + at, step.run.len - at});
	}
	tree_path_release(&path);
	struct topic *topic = tree_topic_new(tree, true, name);

	tree_spelling_add(tree, node, topic);
	tree->patterns++;
	return topic;
}

struct topic *
channel_tree_add(struct channel_tree *tree, bool is_pattern, struct slice name)
{
	struct topic *topic = channel_tree_find(tree, is_pattern, name);

	if (topic != NULL)
		return topic;
	return is_pattern ? add_pattern(tree, name) : add_channel(tree, name);
}

static void
remove_channel(struct channel_tree *tree, struct topic *topic)
{
	struct tree_node *node = topic->node;
	size_t depth = 0;

	assert(node != NULL);
	for (struct tree_node *up = node; up != NULL; up = up->parent) {
		up->channels--;
		depth += up->parent == NULL ? 0 : up->prefix_len + 1U;
	}
	if (node->channel == topic)
		node->channel = NULL;
	else
		tree_child_remove(
		    &tree->memory, &node->children, (unsigned char)topic->name[depth]);
}

void
channel_tree_remove(struct channel_tree *tree, struct topic *topic)
{
	struct tree_node *node = topic->node;

	assert(topic->count == 0);
	if (topic->is_pattern) {
		tree_spelling_remove(tree, topic);
		tree->patterns--;
	} else {
		remove_channel(tree, topic);
	}
	tree_topic_free(tree, topic);
	tree_tidy(tree, node);
	tree_match_shrink(tree);
}

/* The first child over a byte of at least `from` that is a channel or has channels below it, or
 * NULL. */
static struct tree_edge *
next_with_channels(struct tree_node *node, int from)
{
	struct tree_edge *edge = tree_child_next(node->children, &from);

	while (edge != NULL && !tree_edge_is_topic(*edge) && tree_edge_node(*edge)->channels == 0) {
		from++;
		edge = tree_child_next(node->children, &from);
	}
	return edge;
}

/* The first channel from node on, or NULL. */
static struct topic *
first_channel(struct tree_node *node)
{
	while (node->channel == NULL) {
		struct tree_edge *edge = next_with_channels(node, 0);

		if (edge == NULL)
			return NULL;
		if (tree_edge_is_topic(*edge))
			return tree_edge_topic(*edge);
		node = tree_edge_node(*edge);
	}
	return node->channel;
}

/* The first channel below node whose edge is at least byte `from`, or else the first channel behind
 * node in the order of names. */
static struct topic *
next_from(struct tree_node *node, int from)
{
	struct tree_edge *edge;

	while ((edge = next_with_channels(node, from)) == NULL) {
		if (node->parent == NULL)
			return NULL;
		from = node->byte + 1;
		node = node->parent;
	}
	return tree_edge_is_topic(*edge) ? tree_edge_topic(*edge)
					 : first_channel(tree_edge_node(*edge));
}

/* Compares the node's prefix with the part of name from `at` on, as memcmp; the longer is greater.
 */
static int
compare_prefix(const struct tree_node *node, struct slice name, size_t at)
{
	struct slice prefix = tree_prefix(node);
	size_t left = name.len - at;

	return slice_compare(
	    prefix, (struct slice){name.ptr + at, left < prefix.len ? left : prefix.len});
}

struct topic *
channel_tree_next(struct channel_tree *tree, struct slice after)
{
	struct tree_node *node = &tree->root;
	size_t at = 0;

	if (after.ptr == NULL)
		return first_channel(node);
	while (at < after.len) {
		unsigned char key = (unsigned char)after.ptr[at];
		struct tree_edge *edge = tree_child(node->children, key);

		if (edge == NULL)
			return next_from(node, key + 1);
		if (tree_edge_is_topic(*edge)) {
			struct topic *topic = tree_edge_topic(*edge);

			return slice_compare(topic_name(topic), after) > 0
				   ? topic
				   : next_from(node, key + 1);
		}
		struct tree_node *child = tree_edge_node(*edge);
		int order = compare_prefix(child, after, at + 1);

		if (order != 0)
			return next_from(node, order > 0 ? key : key + 1);
		node = child;
		at += 1U + child->prefix_len;
	}
	return next_from(node, 0);
}

size_t
channel_tree_channels(const struct channel_tree *tree)
{
	return tree->root.channels;
}

size_t
channel_tree_patterns(const struct channel_tree *tree)
{
	return tree->patterns;
}

size_t
channel_tree_bytes(const struct channel_tree *tree)
{
	return tree->memory.bytes;
}

uint64_t
channel_tree_steps(const struct channel_tree *tree)
{
	return tree->steps;
}
