#include "config.h"

#include "pubsub/tree_memory.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

/* The size of a block of malloc: with a word of overhead, a multiple of 16, at least 32. */
static size_t
block_bytes(size_t len)
{
	return len <= 24 ? 32 : (len + 8 + 15) / 16 * 16;
}

void *
tree_alloc(struct tree_memory *memory, size_t len)
{
	memory->bytes += block_bytes(len);
	return xcalloc(1, len);
}

void
tree_release(struct tree_memory *memory, void *ptr, size_t len)
{
	if (ptr == NULL)
		return;
	memory->bytes -= block_bytes(len);
	xfree(ptr);
}

void *
tree_resize(struct tree_memory *memory, void *ptr, size_t old_len, size_t len)
{
	memory->bytes += block_bytes(len);
	if (ptr != NULL)
		memory->bytes -= block_bytes(old_len);
	return xrealloc(ptr, len);
}

enum {
	MAP_BYTES = 192,  /* a hash map with a few buckets */
	ENTRY_BYTES = 40, /* an entry without its key, and its share of the buckets */
};

struct hash_map *
tree_map_new(struct tree_memory *memory)
{
	memory->bytes += MAP_BYTES;
	return hash_map_new();
}

void
tree_map_free(struct tree_memory *memory, struct hash_map *map)
{
	assert(hash_map_count(map) == 0);
	memory->bytes -= MAP_BYTES;
	hash_map_free(map);
}

void
tree_map_add(struct tree_memory *memory, struct hash_map *map, struct slice key, void *value)
{
	void *old = hash_map_set(map, key, value);

	assert(old == NULL);
	memory->bytes += block_bytes(ENTRY_BYTES + key.len);
}

void
tree_map_remove(struct tree_memory *memory, struct hash_map *map, struct slice key)
{
	void *old = hash_map_remove(map, key);

	assert(old != NULL);
	memory->bytes -= block_bytes(ENTRY_BYTES + key.len);
}
