#ifndef PUBSUB_TREE_MEMORY_H
#define PUBSUB_TREE_MEMORY_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/hash_map.h"

/* Memory of one channel tree, counted as it is allocated and freed. For the channel tree's own
 * files only. It does not know the contents. */
struct tree_memory {
	size_t bytes; /* in use, with an estimate of the allocator's overhead */
};

void *tree_alloc(struct tree_memory *memory, size_t len); /* zeroed; returns owned (tree_release) */
void tree_release(struct tree_memory *memory, void *ptr, size_t len); /* NULL is allowed */

/* Takes ptr; returns owned. Added bytes are not zeroed. */
void *tree_resize(struct tree_memory *memory, void *ptr, size_t old_len, size_t len);

/* A hash map, whose memory is estimated. */
struct hash_map *tree_map_new(struct tree_memory *memory);
void tree_map_free(struct tree_memory *memory, struct hash_map *map); /* the map is empty */
void tree_map_add(struct tree_memory *memory, struct hash_map *map, struct slice key, void *value);
void tree_map_remove(struct tree_memory *memory, struct hash_map *map, struct slice key);

#endif
