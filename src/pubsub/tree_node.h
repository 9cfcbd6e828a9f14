#ifndef PUBSUB_TREE_NODE_H
#define PUBSUB_TREE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "pubsub/channel_tree.h"
#include "pubsub/tree_children.h"
#include "pubsub/tree_classes.h"
#include "pubsub/tree_memory.h"

/*
 * Nodes of the channel tree. For the channel tree's own files only.
 *
 * The edge to a node is a byte, any byte, a class or a star. A node that is reached over a byte has
 * a prefix: the literal bytes that follow it. Invariants:
 * - a node other than the root has a topic or a child. A node that is reached over a byte, and has
 *   no topic and a single child, over a byte, is merged with that child;
 * - a star node has no child over `?` or star: `*?` is kept as `?*`, `**` as `*`. A class of all
 *   bytes is kept as `?`, a class of a single byte as that byte;
 * - channels are only where all edges from the root are bytes. A channel that shares no further
 *   byte with another needs no node: its topic is the child itself, and its name has the remaining
 *   bytes;
 * - a node never moves, so its children and topics may point to it.
 * A chain of nodes is followed in a loop, never by recursion: peers choose its length.
 */
enum tree_kind { TREE_ROOT, TREE_LITERAL, TREE_ANY, TREE_CLASS, TREE_STAR };

struct tree_wild {
	struct tree_node *any;
	struct tree_node *star;
	struct tree_classes *classes;
};

#define TREE_NEAR_BYTES 8

/* 56 bytes: fills a block of malloc completely. */
struct tree_node {
	struct tree_node *parent;       /* NULL for the root */
	struct tree_children *children; /* NULL if none */
	struct tree_wild *wild;         /* NULL if none */
	struct topic *channel;          /* the channel whose name ends here, or NULL */
	uintptr_t patterns;             /* the patterns that end here: see tree_patterns() */
	union {
		char near[TREE_NEAR_BYTES]; /* TREE_LITERAL: the prefix, while it fits */
		char *far;
		uint64_t stamp; /* TREE_STAR: the walk that entered it last, see tree_match.c */
	} prefix;
	union {
		uint32_t slot;     /* TREE_CLASS: slot among the classes of the parent */
		uint32_t channels; /* TREE_ROOT, TREE_LITERAL: number of channels at the node and
				      below */
	};
	uint16_t prefix_len;
	uint8_t kind; /* enum tree_kind */
	uint8_t byte; /* TREE_LITERAL: the edge */
};

struct tree_state;

struct channel_tree {
	struct tree_node root; /* must be first: a pointer to the root is a pointer to the tree */
	struct tree_memory memory;
	size_t patterns;
	size_t nodes;
	struct hash_map *crowded; /* see tree_spellings.c; NULL while empty */
	uint64_t walk;            /* the number of the last walk */
	uint64_t steps;
	struct topic **matched;
	struct tree_state *stack;
	size_t matched_room;
	size_t stack_room;
};

static inline struct slice
tree_prefix(const struct tree_node *node)
{
	const char *ptr =
	    node->prefix_len <= TREE_NEAR_BYTES ? node->prefix.near : node->prefix.far;

	return (struct slice){ptr, node->prefix_len};
}

/* The number of children. */
static inline size_t
tree_ways(const struct tree_node *node)
{
	size_t ways = node->children != NULL ? node->children->count : 0;

	if (node->wild != NULL) {
		ways += (node->wild->any != NULL) + (node->wild->star != NULL);
		ways += node->wild->classes != NULL ? node->wild->classes->count : 0;
	}
	return ways;
}

static inline bool
tree_has_topic(const struct tree_node *node)
{
	return node->channel != NULL || node->patterns != 0;
}

/* The child over that edge, made if there is none. set is read for TREE_CLASS. */
struct tree_node *tree_wild_child(
    struct channel_tree *tree, struct tree_node *node, enum tree_kind kind, const uint64_t set[4]);
/* NULL if there is none. */
struct tree_node *tree_find_wild_child(
    const struct tree_node *node, enum tree_kind kind, const uint64_t set[4]);

/*
 * Follows run from byte *at on, beginning at node, as far as the tree contains its bytes, and
 * returns the node there, which is made if that place is inside of a prefix. Afterwards *at is
 * run.len, or the returned node has no child over run.ptr[*at].
 */
struct tree_node *tree_descend(
    struct channel_tree *tree, struct tree_node *node, struct slice run, size_t *at);

/* Adds a child over the first byte of run, with the other bytes as its prefix. There must be no
 * child over that byte yet. */
struct tree_node *tree_add_literal(
    struct channel_tree *tree, struct tree_node *node, struct slice run);

/* True if text, from *at on, continues with the node's prefix; *at is then moved behind it. */
static inline bool
tree_pass_prefix(const struct tree_node *node, struct slice text, size_t *at)
{
	const char *prefix = tree_prefix(node).ptr, *here = text.ptr + *at;
	size_t len = node->prefix_len;

	if (text.len - *at < len)
		return false;
	if (len > TREE_NEAR_BYTES && memcmp(prefix, here, len) != 0)
		return false;
	for (size_t i = 0; i < len && len <= TREE_NEAR_BYTES; i++)
		if (prefix[i] != here[i])
			return false;
	*at += len;
	return true;
}

/* Restores the invariants at a node that lost a topic or a child, and above it. */
void tree_tidy(struct channel_tree *tree, struct tree_node *node);

/* Frees all topics and all nodes but the root. */
void tree_clear(struct channel_tree *tree);

/* Topics (topic.c). */
struct topic *tree_topic_new(struct channel_tree *tree, bool is_pattern, struct slice name);
void tree_topic_free(struct channel_tree *tree, struct topic *topic);

#endif
