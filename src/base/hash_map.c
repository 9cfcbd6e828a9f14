#include "config.h"

#include "base/hash_map.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buckets.h"
#include "base/siphash.h"

struct entry {
	struct bucket_node node; /* first */
	uint64_t hash;
	void *value;
	size_t key_len;
	char key[];
};

struct hash_map {
	struct buckets buckets;
	unsigned int visits; /* calls of hash_map_each in progress; meanwhile no bucket is moved */
};

/* Of the process. Maps may be created in several threads. */
static const uint64_t *_Atomic hash_key;

static inline uint64_t
hash_of_key(struct slice key)
{
	return siphash(atomic_load_explicit(&hash_key, memory_order_relaxed), key.ptr, key.len);
}

static uint64_t
hash_of(const struct bucket_node *node)
{
	return ((const struct entry *)node)->hash;
}

static const struct buckets_ops ops = {.hash = hash_of, .calloc = xcalloc, .free = xfree};

struct hash_map *
hash_map_new(void)
{
	atomic_store_explicit(&hash_key, siphash_process_key(), memory_order_relaxed);
	return xcalloc(1, sizeof(struct hash_map));
}

static size_t
free_entry(struct bucket_node *node, void *arg)
{
	(void)arg;
	xfree((struct entry *)node);
	return 1;
}

void
hash_map_free(struct hash_map *map)
{
	size_t budget = SIZE_MAX;

	if (map == NULL)
		return;
	assert(map->visits == 0);
	if (!buckets_drain(&map->buckets, &ops, free_entry, NULL, &budget))
		assert(!"a map has fewer entries than the budget");
	xfree(map);
}

/* The link that points at the key's entry, or NULL. */
static struct bucket_node **
find(const struct hash_map *map, struct slice key, uint64_t hash)
{
	struct bucket_node **link =
	    map->buckets.count > 0 ? buckets_chain(&map->buckets, hash) : NULL;

	for (; link != NULL && *link != NULL; link = &(*link)->next) {
		const struct entry *entry = (const struct entry *)*link;

		if (entry->hash == hash &&
		    slice_eq(key, (struct slice){entry->key, entry->key_len}))
			return link;
	}
	return NULL;
}

void *
hash_map_get(const struct hash_map *map, struct slice key)
{
	struct bucket_node **link;

	if (map->buckets.count == 0)
		return NULL;
	link = find(map, key, hash_of_key(key));
	return link != NULL ? ((struct entry *)*link)->value : NULL;
}

void *
hash_map_set(struct hash_map *map, struct slice key, void *value)
{
	uint64_t hash = hash_of_key(key);
	struct bucket_node **link;
	struct entry *entry;
	void *old;

	assert(value != NULL && map->visits == 0);
	link = find(map, key, hash);
	if (link != NULL) {
		entry = (struct entry *)*link;
		old = entry->value;
		entry->value = value;
		return old;
	}
	entry = xmalloc(sizeof(*entry) + key.len);
	entry->hash = hash;
	entry->value = value;
	entry->key_len = key.len;
	if (key.len > 0)
		memcpy(entry->key, key.ptr, key.len);
	buckets_add(&map->buckets, &entry->node, hash, &ops);
	return NULL;
}

void *
hash_map_remove(struct hash_map *map, struct slice key)
{
	struct bucket_node **link;
	struct entry *entry;
	void *old;

	if (map->buckets.count == 0)
		return NULL;
	link = find(map, key, hash_of_key(key));
	if (link == NULL)
		return NULL;
	entry = (struct entry *)buckets_unlink(&map->buckets, link);
	old = entry->value;
	xfree(entry);
	if (map->visits == 0 && map->buckets.count > 0)
		buckets_keep_size(&map->buckets, &ops);
	else if (map->visits == 0)
		buckets_release(&map->buckets, &ops);
	return old;
}

size_t
hash_map_count(const struct hash_map *map)
{
	return map->buckets.count;
}

void
hash_map_each(
    struct hash_map *map, void (*visit)(struct slice key, void *value, void *arg), void *arg)
{
	struct bucket_node *node, *next;

	map->visits++;
	for (size_t i = 0; i < buckets_count(&map->buckets); i++)
		for (node = buckets_nth_chain(&map->buckets, i); node != NULL; node = next) {
			const struct entry *entry = (const struct entry *)node;

			next = node->next;
			visit((struct slice){entry->key, entry->key_len}, entry->value, arg);
		}
	if (--map->visits == 0 && map->buckets.count == 0)
		buckets_release(&map->buckets, &ops);
}

struct drain {
	void (*visit)(struct slice key, void *value, void *arg);
	void *arg;
};

static size_t
drain_entry(struct bucket_node *node, void *arg)
{
	struct entry *entry = (struct entry *)node;
	const struct drain *drain = arg;

	drain->visit((struct slice){entry->key, entry->key_len}, entry->value, drain->arg);
	xfree(entry);
	return 1;
}

bool
hash_map_drain(struct hash_map *map, void (*visit)(struct slice key, void *value, void *arg),
    void *arg, size_t *budget)
{
	struct drain drain = {visit, arg};

	assert(map->visits == 0);
	return buckets_drain(&map->buckets, &ops, drain_entry, &drain, budget);
}
