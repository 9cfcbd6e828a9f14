#include "config.h"

#include "base/hash_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <threads.h>

#include "base/alloc.h"
#include "base/siphash.h"

/*
 * Two tables of chains. While a map is resized, `from` empties into `to`: each change moves at most
 * STEP buckets. A table is resized when it is full (to twice the size) or seven eighths empty (to a
 * quarter), so that the move of n buckets, which takes n/STEP changes, is over before the next one
 * can be wanted. `from` has no buckets when nothing is being moved.
 */
enum { STEP = 8, MIN_BUCKETS = 8 };

struct entry {
	struct entry *next;
	uint64_t hash;
	void *value;
	size_t key_len;
	char key[];
};

struct table {
	struct entry **buckets;
	size_t count; /* of buckets: a power of two, or 0 */
};

struct hash_map {
	struct table to;
	struct table from;
	size_t moved; /* buckets of `from` below this are empty */
	size_t entries;
	unsigned int visits; /* hash_map_each under way: then nothing is moved */
};

static uint64_t hash_key[2];
static once_flag hash_key_once = ONCE_FLAG_INIT;

static void
make_hash_key(void)
{
	ssize_t got;

	do
		got = getrandom(hash_key, sizeof(hash_key), 0);
	while (got < 0 && errno == EINTR);
	/* Without a secret key peers could choose names that all fall into one bucket. */
	if (got != (ssize_t)sizeof(hash_key))
		abort();
}

struct hash_map *
hash_map_new(void)
{
	call_once(&hash_key_once, make_hash_key);
	return xcalloc(1, sizeof(struct hash_map));
}

static void
table_release(struct table *table)
{
	xfree(table->buckets);
	*table = (struct table){0};
}

static void
free_entries(struct table *table)
{
	struct entry *entry, *next;
	size_t i;

	for (i = 0; i < table->count; i++) {
		for (entry = table->buckets[i]; entry != NULL; entry = next) {
			next = entry->next;
			xfree(entry);
		}
	}
	table_release(table);
}

void
hash_map_free(struct hash_map *map)
{
	if (map == NULL)
		return;
	assert(map->visits == 0);
	free_entries(&map->from);
	free_entries(&map->to);
	xfree(map);
}

/* The link that points at the key's entry, or NULL. */
static struct entry **
find_in(const struct table *table, struct slice key, uint64_t hash)
{
	struct entry **link;

	if (table->count == 0)
		return NULL;
	for (link = &table->buckets[hash & (table->count - 1)]; *link != NULL;
	     link = &(*link)->next) {
		struct entry *entry = *link;

		if (entry->hash == hash &&
		    slice_eq(key, (struct slice){entry->key, entry->key_len}))
			return link;
	}
	return NULL;
}

static struct entry **
find(const struct hash_map *map, struct slice key, uint64_t hash)
{
	struct entry **link = find_in(&map->to, key, hash);

	return link != NULL ? link : find_in(&map->from, key, hash);
}

static void
put(struct table *table, struct entry *entry)
{
	struct entry **bucket = &table->buckets[entry->hash & (table->count - 1)];

	entry->next = *bucket;
	*bucket = entry;
}

static void
move_some(struct hash_map *map)
{
	struct entry *entry, *next;
	size_t i;

	for (i = 0; i < STEP && map->moved < map->from.count; i++, map->moved++) {
		for (entry = map->from.buckets[map->moved]; entry != NULL; entry = next) {
			next = entry->next;
			put(&map->to, entry);
		}
		map->from.buckets[map->moved] = NULL;
	}
	if (map->moved == map->from.count)
		table_release(&map->from);
}

static void
begin_resize(struct hash_map *map, size_t buckets)
{
	map->from = map->to;
	map->moved = 0;
	map->to.buckets = xcalloc(buckets, sizeof(struct entry *));
	map->to.count = buckets;
}

/* Called by every change. */
static void
keep_size(struct hash_map *map)
{
	if (map->visits > 0)
		return;
	if (map->from.count > 0)
		move_some(map);
	else if (map->entries >= map->to.count)
		begin_resize(map, map->to.count > 0 ? map->to.count * 2 : MIN_BUCKETS);
	else if (map->to.count > MIN_BUCKETS && map->entries < map->to.count / 8)
		begin_resize(
		    map, map->to.count / 4 > MIN_BUCKETS ? map->to.count / 4 : MIN_BUCKETS);
}

/* An empty map holds nothing, whatever it once held. */
static void
release_unused(struct hash_map *map)
{
	if (map->visits > 0)
		return;
	table_release(&map->from);
	table_release(&map->to);
}

void *
hash_map_get(const struct hash_map *map, struct slice key)
{
	struct entry **link;

	if (map->entries == 0)
		return NULL;
	link = find(map, key, siphash(hash_key, key.ptr, key.len));
	return link != NULL ? (*link)->value : NULL;
}

void *
hash_map_set(struct hash_map *map, struct slice key, void *value)
{
	uint64_t hash = siphash(hash_key, key.ptr, key.len);
	struct entry **link, *entry;
	void *old;

	assert(value != NULL && map->visits == 0);
	link = find(map, key, hash);
	if (link != NULL) {
		old = (*link)->value;
		(*link)->value = value;
		return old;
	}
	keep_size(map);
	entry = xmalloc(sizeof(*entry) + key.len);
	entry->hash = hash;
	entry->value = value;
	entry->key_len = key.len;
	if (key.len > 0)
		memcpy(entry->key, key.ptr, key.len);
	put(&map->to, entry);
	map->entries++;
	return NULL;
}

void *
hash_map_remove(struct hash_map *map, struct slice key)
{
	struct entry **link, *entry;
	void *old;

	if (map->entries == 0)
		return NULL;
	link = find(map, key, siphash(hash_key, key.ptr, key.len));
	if (link == NULL)
		return NULL;
	entry = *link;
	*link = entry->next;
	old = entry->value;
	xfree(entry);
	map->entries--;
	if (map->entries > 0)
		keep_size(map);
	else
		release_unused(map);
	return old;
}

size_t
hash_map_count(const struct hash_map *map)
{
	return map->entries;
}

static void
visit_table(struct table *table, void (*visit)(struct slice key, void *value, void *arg), void *arg)
{
	struct entry *entry, *next;
	size_t i;

	for (i = 0; i < table->count; i++) {
		for (entry = table->buckets[i]; entry != NULL; entry = next) {
			next = entry->next;
			visit((struct slice){entry->key, entry->key_len}, entry->value, arg);
		}
	}
}

void
hash_map_each(
    struct hash_map *map, void (*visit)(struct slice key, void *value, void *arg), void *arg)
{
	map->visits++;
	visit_table(&map->from, visit, arg);
	visit_table(&map->to, visit, arg);
	map->visits--;
	if (map->entries == 0)
		release_unused(map);
}
