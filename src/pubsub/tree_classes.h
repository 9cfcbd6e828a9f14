#ifndef PUBSUB_TREE_CLASSES_H
#define PUBSUB_TREE_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/tree_memory.h"

/*
 * Children of a tree node by class. For the channel tree's own files only. Adding, finding and
 * removing a child take constant time, and the classes that contain a byte are found without a look
 * at each class.
 */
struct tree_node;

struct tree_class {
	uint64_t set[4]; /* as in struct glob_token */
	struct tree_node *node;
};

#define TREE_BLOCK_ROOM 512

/*
 * Some of the classes of a node. If rows is not NULL, the room / 64 words from rows[c * room / 64]
 * on have one bit for each class, set if it contains byte c: at full size, one cache line is read
 * for 512 classes.
 */
struct tree_block {
	uint32_t room;
	uint64_t *rows; /* NULL while room is small */
	struct tree_class classes[];
};

/* Classes by slot, without gaps. All blocks but the first have room for TREE_BLOCK_ROOM. */
struct tree_classes {
	uint32_t count;
	uint32_t block_count;
	uint32_t block_room;
	struct tree_block **blocks;
	struct hash_map *by_set; /* set -> node; NULL while the first block has no rows */
};

static inline struct tree_class *
tree_class_at(struct tree_classes *classes, uint32_t slot)
{
	return &classes->blocks[slot / TREE_BLOCK_ROOM]->classes[slot % TREE_BLOCK_ROOM];
}

static inline bool
tree_set_has(const uint64_t set[4], unsigned char c)
{
	return set[c / 64] >> (c % 64) & 1;
}

/* The node of this class, or NULL. classes may be NULL: no classes. */
struct tree_node *tree_class_find(struct tree_classes *classes, const uint64_t set[4]);

/* There must be no class with this set yet. Sets node->slot. */
void tree_class_add(struct tree_memory *memory, struct tree_classes **classes,
    const uint64_t set[4], struct tree_node *node);

/* Removes the class in this slot; the last class takes its slot. After the only class, *classes is
 * freed and set to NULL. */
void tree_class_remove(struct tree_memory *memory, struct tree_classes **classes, uint32_t slot);

#endif
