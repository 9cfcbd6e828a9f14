#ifndef PUBSUB_TREE_CHILDREN_H
#define PUBSUB_TREE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/tree_memory.h"

/* Children of a tree node by byte. For the channel tree's own files only. A child is a node, or the
 * topic of a channel; this module does not look into them. */
struct tree_node;
struct topic;

/* A pointer; if bit 0 is set, to a topic. */
struct tree_edge {
	uintptr_t bits;
};

/*
 * Edges in no order and without gaps, followed by an array of their keys. If there is room for more
 * than TREE_SCAN_MAX, an index of 256 bytes follows, from key to place in these arrays. An entry of
 * the index is valid only if the key at its place is the key looked up.
 */
struct tree_children {
	uint16_t count;
	uint16_t room;
	struct tree_edge edges[];
};

#define TREE_SCAN_MAX 16

static inline bool
tree_edge_is_topic(struct tree_edge edge)
{
	return edge.bits & 1;
}

static inline struct topic *
tree_edge_topic(struct tree_edge edge)
{
	return (struct topic *)(edge.bits - 1);
}

static inline struct tree_node *
tree_edge_node(struct tree_edge edge)
{
	return (struct tree_node *)edge.bits;
}

static inline struct tree_edge
tree_edge_to_topic(struct topic *topic)
{
	return (struct tree_edge){(uintptr_t)topic + 1};
}

static inline struct tree_edge
tree_edge_to_node(struct tree_node *node)
{
	return (struct tree_edge){(uintptr_t)node};
}

static inline unsigned char *
tree_child_keys(struct tree_children *children)
{
	return (unsigned char *)(children->edges + children->room);
}

/* The child with this key, or NULL. children may be NULL: no children. */
static inline struct tree_edge *
tree_child(struct tree_children *children, unsigned char key)
{
	if (children == NULL)
		return NULL;
	unsigned char *keys = tree_child_keys(children);

	if (children->room > TREE_SCAN_MAX) {
		unsigned int place = keys[children->room + key];

		return place < children->count && keys[place] == key ? &children->edges[place]
								     : NULL;
	}
	for (unsigned int i = 0; i < children->count; i++)
		if (keys[i] == key)
			return &children->edges[i];
	return NULL;
}

/* The child with this key, which must exist. */
struct tree_edge *tree_child_there(struct tree_children *children, unsigned char key)
    __attribute__((returns_nonnull));

/* There must be no child with this key yet. *children may move. */
void tree_child_add(struct tree_memory *memory, struct tree_children **children, unsigned char key,
    struct tree_edge edge);

/* There must be a child with this key. *children may move; after the last child it is freed and set
 * to NULL. */
void tree_child_remove(
    struct tree_memory *memory, struct tree_children **children, unsigned char key);

/* The child with the smallest key that is at least *key (0 to 256), and sets *key to that key; NULL
 * if there is none. */
struct tree_edge *tree_child_next(struct tree_children *children, int *key);

#endif
