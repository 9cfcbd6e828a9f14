#include "config.h"

#include "base/hash_map.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/siphash.h"

/*
 * Two tables of chains. While a map is resized, `from` empties into `to`: each change moves at most
 * STEP buckets. A table is resized when it is full (to twice the size) or seven eighths empty (to a
 * quarter), so that the move of n buckets, which takes n/STEP changes, is over before the next one
 * can be wanted. `from` has no buckets when nothing is being moved. An entry is in `from` exactly
 * as long as its bucket there is not moved, also a new one: in `to` a batch of new entries would
 * need segments from all over it at once.
 *
 * The buckets lie in segments, allocated when first written and freed when moved, since zeroing or
 * freeing a table of millions in one go would hold everybody up just as moving it would.
 */
enum { STEP = 8, MIN_BUCKETS = 8, SEGMENT = 4096 };

struct entry {
	struct entry *next;
	uint64_t hash;
	void *value;
	size_t key_len;
	char key[];
};

struct table {
	struct entry **
	    *segments; /* of SEGMENT buckets, or of all; NULL where nothing was put yet */
	size_t count;  /* of buckets: a power of two, or 0 */
};

struct hash_map {
	struct table to;
	struct table from;
	size_t moved; /* buckets of `from` below this are empty */
	size_t entries;
	unsigned int visits; /* hash_map_each under way: then nothing is moved */
};

static const uint64_t *hash_key; /* of the process */

struct hash_map *
hash_map_new(void)
{
	hash_key = siphash_process_key();
	return xcalloc(1, sizeof(struct hash_map));
}

static size_t
segment_len(const struct table *table)
{
	return table->count < SEGMENT ? table->count : SEGMENT;
}

static size_t
count_segments(const struct table *table)
{
	return (table->count + SEGMENT - 1) / SEGMENT;
}

static struct table
new_table(size_t count)
{
	struct table table = {.count = count};

	table.segments = xcalloc(count_segments(&table), sizeof(*table.segments));
	return table;
}

/* Not the entries. */
static void
release_table(struct table *table)
{
	size_t i;

	for (i = 0; i < count_segments(table); i++)
		xfree(table->segments[i]);
	xfree(table->segments);
	*table = (struct table){0};
}

/* The head of chain i, or NULL where its segment does not exist. */
static struct entry **
bucket_at(const struct table *table, size_t i)
{
	struct entry **segment = table->segments[i / SEGMENT];

	return segment != NULL ? &segment[i % SEGMENT] : NULL;
}

static void
free_entries(struct table *table)
{
	struct entry *entry, *next;
	size_t i;

	for (i = 0; i < table->count; i++) {
		struct entry **bucket = bucket_at(table, i);

		for (entry = bucket != NULL ? *bucket : NULL; entry != NULL; entry = next) {
			next = entry->next;
			xfree(entry);
		}
	}
	release_table(table);
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

/* The table that an entry with this hash belongs to. */
static const struct table *
home_of(const struct hash_map *map, uint64_t hash)
{
	return map->from.count > 0 && (hash & (map->from.count - 1)) >= map->moved ? &map->from
										   : &map->to;
}

/* The link that points at the key's entry, or NULL. */
static struct entry **
find(const struct hash_map *map, struct slice key, uint64_t hash)
{
	const struct table *home = home_of(map, hash);
	struct entry **link = home->count > 0 ? bucket_at(home, hash & (home->count - 1)) : NULL;

	for (; link != NULL && *link != NULL; link = &(*link)->next) {
		struct entry *entry = *link;

		if (entry->hash == hash &&
		    slice_eq(key, (struct slice){entry->key, entry->key_len}))
			return link;
	}
	return NULL;
}

static void
put(const struct table *table, struct entry *entry)
{
	size_t i = entry->hash & (table->count - 1);
	struct entry ***segment = &table->segments[i / SEGMENT];
	struct entry **bucket;

	if (*segment == NULL)
		*segment = xcalloc(segment_len(table), sizeof(**segment));
	bucket = &(*segment)[i % SEGMENT];
	entry->next = *bucket;
	*bucket = entry;
}

static void
move_bucket(struct hash_map *map, size_t i)
{
	struct entry ***segment = &map->from.segments[i / SEGMENT];
	struct entry *entry, *next;

	if (*segment == NULL)
		return;
	for (entry = (*segment)[i % SEGMENT]; entry != NULL; entry = next) {
		next = entry->next;
		put(&map->to, entry);
	}
	(*segment)[i % SEGMENT] = NULL;
	if ((i + 1) % segment_len(&map->from) == 0) {
		xfree(*segment);
		*segment = NULL;
	}
}

static void
move_some(struct hash_map *map)
{
	size_t i;

	for (i = 0; i < STEP && map->moved < map->from.count; i++, map->moved++)
		move_bucket(map, map->moved);
	if (map->moved == map->from.count)
		release_table(&map->from);
}

static void
begin_resize(struct hash_map *map, size_t buckets)
{
	map->from = map->to;
	map->moved = 0;
	map->to = new_table(buckets);
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
	release_table(&map->from);
	release_table(&map->to);
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
	put(home_of(map, hash), entry);
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
		struct entry **bucket = bucket_at(table, i);

		for (entry = bucket != NULL ? *bucket : NULL; entry != NULL; entry = next) {
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
