#ifndef PUBSUB_TREE_CHILDREN_H
#define PUBSUB_TREE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/tree_memory.h"

/*
 * Children of a tree node by byte. Inside of the channel tree: for its own files only. A child is a
 * node, or the topic of a channel; nothing here looks into them.
 */
struct tree_node;
struct topic;

/* Bit 0 says that it is a topic. */
struct tree_edge {
	uintptr_t bits;
};

/*
 * Edges in no order and without gaps. Behind them lie as many keys and then, where there is room
 * for more than TREE_SCAN_MAX, an index of 256 bytes from key to place, in which a place is right
 * if the key that stands there is.
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

/* NULL where there is none. children may be NULL: so are no children written. */
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

/* There is one. */
struct tree_edge *tree_child_there(struct tree_children *children, unsigned char key)
    __attribute__((returns_nonnull));

/* There is none of that key yet. *children may move. */
void tree_child_add(struct tree_memory *memory, struct tree_children **children, unsigned char key,
    struct tree_edge edge);

/* There is one of that key. *children may move, and is freed and NULL when it was the last. */
void tree_child_remove(
    struct tree_memory *memory, struct tree_children **children, unsigned char key);

/* The child of the smallest key that is at least *key (0 to 256), which becomes that; or NULL. */
struct tree_edge *tree_child_next(struct tree_children *children, int *key);

#endif
