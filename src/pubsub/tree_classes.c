#include "config.h"

#include "pubsub/tree_classes.h"

#include <assert.h>
#include <string.h>

#include "pubsub/tree_node.h"

enum { BYTES = 256, WORD = 64 };

/* The sizes through which the first block grows. Up to SCAN_MAX classes are tested one by one,
 * without rows. */
static const uint32_t rooms[] = {1, 2, 4, 8, 64, 128, 256, TREE_BLOCK_ROOM};
#define SCAN_MAX 8

static size_t
block_bytes(uint32_t room)
{
	return sizeof(struct tree_block) + room * sizeof(struct tree_class);
}

static size_t
rows_bytes(uint32_t room)
{
	return room > SCAN_MAX ? (size_t)BYTES * (room / WORD) * sizeof(uint64_t) : 0;
}

static size_t
room_rank(uint32_t room)
{
	size_t rank = 0;

	while (rooms[rank] < room)
		rank++;
	return rank;
}

static struct tree_block *
block_new(struct tree_memory *memory, uint32_t room)
{
	struct tree_block *block = tree_alloc(memory, block_bytes(room));

	block->room = room;
	if (room > SCAN_MAX)
		block->rows = tree_alloc(memory, rows_bytes(room));
	return block;
}

static void
block_free(struct tree_memory *memory, struct tree_block *block)
{
	tree_release(memory, block->rows, rows_bytes(block->room));
	tree_release(memory, block, block_bytes(block->room));
}

static void
set_bits(struct tree_block *block, uint32_t place, const uint64_t set[4])
{
	uint64_t bit = (uint64_t)1 << (place % WORD);
	uint64_t *word = block->rows + place / WORD;

	for (int c = 0; c < BYTES; c++, word += block->room / WORD)
		*word = tree_set_has(set, (unsigned char)c) ? *word | bit : *word & ~bit;
}

static void
put(struct tree_block *block, uint32_t place, const struct tree_class *class)
{
	block->classes[place] = *class;
	if (block->rows != NULL)
		set_bits(block, place, class->set);
}

static void
clear(struct tree_block *block, uint32_t place)
{
	static const uint64_t none[4];

	if (block->rows != NULL)
		set_bits(block, place, none);
}

static struct slice
set_key(const uint64_t set[4])
{
	return (struct slice){(const char *)set, 4 * sizeof(*set)};
}

static void
index_all(struct tree_memory *memory, struct tree_classes *classes)
{
	classes->by_set = tree_map_new(memory);
	for (uint32_t i = 0; i < classes->count; i++) {
		struct tree_class *class = tree_class_at(classes, i);

		tree_map_add(memory, classes->by_set, set_key(class->set), class->node);
	}
}

static void
drop_index(struct tree_memory *memory, struct tree_classes *classes)
{
	for (uint32_t i = 0; i < classes->count; i++)
		tree_map_remove(memory, classes->by_set, set_key(tree_class_at(classes, i)->set));
	tree_map_free(memory, classes->by_set);
	classes->by_set = NULL;
}

/* Resizes the first block, which is the only one. */
static void
resize_first(struct tree_memory *memory, struct tree_classes *classes, uint32_t room)
{
	struct tree_block *old = classes->blocks[0], *block = block_new(memory, room);

	for (uint32_t i = 0; i < classes->count; i++)
		put(block, i, &old->classes[i]);
	classes->blocks[0] = block;
	block_free(memory, old);
	if (block->rows != NULL && classes->by_set == NULL)
		index_all(memory, classes);
	else if (block->rows == NULL && classes->by_set != NULL)
		drop_index(memory, classes);
}

static void
add_block(struct tree_memory *memory, struct tree_classes *classes, uint32_t room)
{
	if (classes->block_count == classes->block_room) {
		uint32_t more = classes->block_room == 0 ? 1 : classes->block_room * 2;

		classes->blocks = tree_resize(memory, classes->blocks,
		    classes->block_room * sizeof(struct tree_block *),
		    more * sizeof(struct tree_block *));
		classes->block_room = more;
	}
	classes->blocks[classes->block_count++] = block_new(memory, room);
}

struct tree_node *
tree_class_find(struct tree_classes *classes, const uint64_t set[4])
{
	if (classes == NULL)
		return NULL;
	if (classes->by_set != NULL)
		return hash_map_get(classes->by_set, set_key(set));
	for (uint32_t i = 0; i < classes->count; i++)
		if (memcmp(tree_class_at(classes, i)->set, set, 4 * sizeof(*set)) == 0)
			return tree_class_at(classes, i)->node;
	return NULL;
}

void
tree_class_add(struct tree_memory *memory, struct tree_classes **classes, const uint64_t set[4],
    struct tree_node *node)
{
	struct tree_class class = {.node = node};

	if (*classes == NULL)
		*classes = tree_alloc(memory, sizeof(**classes));
	struct tree_classes *c = *classes;
	uint32_t place = c->count % TREE_BLOCK_ROOM;

	if (c->count == 0 || place == 0)
		add_block(memory, c, c->count == 0 ? rooms[0] : TREE_BLOCK_ROOM);
	else if (place == c->blocks[c->block_count - 1]->room)
		resize_first(memory, c, rooms[room_rank(place) + 1]);
	memcpy(class.set, set, sizeof(class.set));
	put(c->blocks[c->block_count - 1], place, &class);
	node->slot = c->count++;
	if (c->by_set != NULL)
		tree_map_add(memory, c->by_set, set_key(set), node);
}

/* Frees the memory that count classes do not need, except some slack, so that it is not allocated
 * again at once. */
static void
shrink(struct tree_memory *memory, struct tree_classes **classes)
{
	struct tree_classes *c = *classes;

	if (c->count % TREE_BLOCK_ROOM == 0)
		block_free(memory, c->blocks[--c->block_count]);
	if (c->count == 0) {
		if (c->by_set != NULL)
			drop_index(memory, c);
		tree_release(memory, c->blocks, c->block_room * sizeof(struct tree_block *));
		tree_release(memory, c, sizeof(*c));
		*classes = NULL;
		return;
	}
	size_t rank = room_rank(c->blocks[0]->room);

	if (rank > 0 && c->count <= rooms[rank - 1] * 3 / 4)
		resize_first(memory, c, rooms[rank - 1]);
}

void
tree_class_remove(struct tree_memory *memory, struct tree_classes **classes, uint32_t slot)
{
	struct tree_classes *c = *classes;
	uint32_t last = --c->count;
	struct tree_class *class = tree_class_at(c, last);

	if (c->by_set != NULL)
		tree_map_remove(memory, c->by_set, set_key(tree_class_at(c, slot)->set));
	if (slot != last) {
		put(c->blocks[slot / TREE_BLOCK_ROOM], slot % TREE_BLOCK_ROOM, class);
		class->node->slot = slot;
	}
	clear(c->blocks[last / TREE_BLOCK_ROOM], last % TREE_BLOCK_ROOM);
	shrink(memory, classes);
}
