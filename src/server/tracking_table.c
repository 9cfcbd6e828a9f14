#include "config.h"

#include "server/tracking_table.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/siphash.h"

/* A name counts as one key for each so many bytes. */
#define WEIGHT_BYTES 256

static uint64_t
hash_of_key(const struct bucket_node *node)
{
	return ((const struct tracked_key *)(const void *)node)->hash;
}

static uint64_t
hash_of_pair(const struct tracked_key *key, const struct tracking_owner *owner)
{
	uint64_t h = (uint64_t)(uintptr_t)owner * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)key;

	h ^= h >> 32; /* the finalizer of MurmurHash3, public domain */
	h *= 0xff51afd7ed558ccdu;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

static uint64_t
hash_of_item(const struct bucket_node *node)
{
	const struct tracking_item *item = (const struct tracking_item *)(const void *)node;

	return hash_of_pair(item->key, item->owner);
}

static const struct buckets_ops key_ops = {.hash = hash_of_key, .calloc = xcalloc, .free = xfree};
static const struct buckets_ops item_ops = {.hash = hash_of_item, .calloc = xcalloc, .free = xfree};

void
tracking_table_init(struct tracking_table *table)
{
	*table = (struct tracking_table){0};
	TAILQ_INIT(&table->all);
}

static size_t
weight_of(const struct tracked_key *key)
{
	return 1 + key->len / WEIGHT_BYTES;
}

static bool
is_present(const struct tracking_table *table, const struct tracked_key *key)
{
	return key->generation == table->generation;
}

/* The link to the key in its chain, of any generation, or NULL. */
static struct bucket_node **
find_link(const struct tracking_table *table, uint64_t hash, struct slice name)
{
	struct bucket_node **link =
	    table->keys.count > 0 ? buckets_chain(&table->keys, hash) : NULL;

	for (; link != NULL && *link != NULL; link = &(*link)->next) {
		const struct tracked_key *key = (const struct tracked_key *)(void *)*link;

		if (key->hash == hash && slice_eq((struct slice){key->name, key->len}, name))
			return link;
	}
	return NULL;
}

static uint64_t
hash_of_name(struct slice name)
{
	return siphash(siphash_process_key(), name.ptr, name.len);
}

struct tracked_key *
tracking_table_find(struct tracking_table *table, struct slice name)
{
	struct bucket_node **link;
	struct tracked_key *key;

	if (table->count == 0)
		return NULL;
	link = find_link(table, hash_of_name(name), name);
	key = link != NULL ? (struct tracked_key *)(void *)*link : NULL;
	return key != NULL && is_present(table, key) ? key : NULL;
}

static void
remove_item(struct tracking_table *table, struct tracking_item *item)
{
	struct bucket_node **link = buckets_chain(&table->items, hash_of_item(&item->node));

	while (link != NULL && *link != &item->node)
		link = &(*link)->next;
	assert(link != NULL);
	(void)buckets_unlink(&table->items, link);
	buckets_keep_size(&table->items, &item_ops);
	LIST_REMOVE(item, of_key);
	LIST_REMOVE(item, of_owner);
	if (is_present(table, item->key))
		table->item_count--;
	xfree(item);
}

/* Removes a key without items. */
static void
remove_key(struct tracking_table *table, struct tracked_key *key)
{
	struct bucket_node **link =
	    find_link(table, key->hash, (struct slice){key->name, key->len});

	assert(link != NULL);
	(void)buckets_unlink(&table->keys, link);
	buckets_keep_size(&table->keys, &key_ops);
	TAILQ_REMOVE(&table->all, key, all);
	if (is_present(table, key)) {
		table->count--;
		table->weight -= weight_of(key);
	}
	xfree(key);
}

void
tracking_table_remove(struct tracking_table *table, struct tracked_key *key)
{
	struct tracking_item *item;

	while ((item = LIST_FIRST(&key->items)) != NULL)
		remove_item(table, item);
	remove_key(table, key);
}

static struct tracked_key *
add_key(struct tracking_table *table, uint64_t hash, struct slice name)
{
	struct tracked_key *key = xmalloc(sizeof(*key) + name.len);

	*key = (struct tracked_key){.hash = hash, .generation = table->generation, .len = name.len};
	LIST_INIT(&key->items);
	if (name.len > 0)
		memcpy(key->name, name.ptr, name.len);
	buckets_add(&table->keys, &key->node, hash, &key_ops);
	TAILQ_INSERT_TAIL(&table->all, key, all);
	table->count++;
	table->weight += weight_of(key);
	return key;
}

static struct tracked_key *
get_or_add_key(struct tracking_table *table, struct slice name)
{
	uint64_t hash = hash_of_name(name);
	struct bucket_node **link = find_link(table, hash, name);
	struct tracked_key *key = link != NULL ? (struct tracked_key *)(void *)*link : NULL;

	if (key != NULL && is_present(table, key))
		return key;
	if (key != NULL)
		tracking_table_remove(table, key);
	return add_key(table, hash, name);
}

static bool
has_item(const struct tracking_table *table, const struct tracked_key *key,
    const struct tracking_owner *owner)
{
	struct bucket_node **link =
	    table->items.count > 0 ? buckets_chain(&table->items, hash_of_pair(key, owner)) : NULL;
	const struct bucket_node *node = link != NULL ? *link : NULL;

	for (; node != NULL; node = node->next) {
		const struct tracking_item *item = (const struct tracking_item *)(const void *)node;

		if (item->key == key && item->owner == owner)
			return true;
	}
	return false;
}

void
tracking_table_add(struct tracking_table *table, struct tracking_owner *owner, struct slice name)
{
	struct tracked_key *key = get_or_add_key(table, name);
	struct tracking_item *item;

	if (has_item(table, key, owner))
		return;
	item = xmalloc(sizeof(*item));
	*item = (struct tracking_item){.key = key, .owner = owner};
	LIST_INSERT_HEAD(&key->items, item, of_key);
	LIST_INSERT_HEAD(&owner->items, item, of_owner);
	buckets_add(&table->items, &item->node, hash_of_pair(key, owner), &item_ops);
	table->item_count++;
}

struct tracked_key *
tracking_table_random(struct tracking_table *table, struct random *random)
{
	struct bucket_node *node = NULL, *chosen = NULL;
	size_t buckets = buckets_count(&table->keys), at, n = 0;

	if (table->count == 0)
		return NULL;
	if (!is_present(table, TAILQ_FIRST(&table->all)))
		return TAILQ_LAST(&table->all, tracked_keys);
	for (at = random_below(random, buckets); chosen == NULL; at = (at + 1) % buckets) {
		for (node = buckets_nth_chain(&table->keys, at); node != NULL; node = node->next)
			if (random_below(random, ++n) == 0)
				chosen = node;
	}
	return (struct tracked_key *)(void *)chosen;
}

void
tracking_table_clear(struct tracking_table *table)
{
	table->generation++;
	table->count = table->weight = table->item_count = 0;
}

bool
tracking_table_tidy(struct tracking_table *table, size_t *budget)
{
	struct tracked_key *key;
	struct tracking_item *item;

	while ((key = TAILQ_FIRST(&table->all)) != NULL && !is_present(table, key)) {
		while ((item = LIST_FIRST(&key->items)) != NULL && *budget > 0) {
			remove_item(table, item);
			--*budget;
		}
		if (*budget == 0)
			return false;
		remove_key(table, key);
		--*budget;
	}
	return true;
}

bool
tracking_table_forget(struct tracking_table *table, struct tracking_owner *owner, size_t *budget)
{
	struct tracking_item *item;

	for (; (item = LIST_FIRST(&owner->items)) != NULL && *budget > 0; --*budget) {
		struct tracked_key *key = item->key;

		remove_item(table, item);
		if (LIST_EMPTY(&key->items))
			remove_key(table, key);
	}
	return LIST_EMPTY(&owner->items);
}

void
tracking_table_release(struct tracking_table *table)
{
	size_t budget = SIZE_MAX;

	tracking_table_clear(table);
	if (!tracking_table_tidy(table, &budget))
		assert(!"there are fewer keys than the budget");
	buckets_release(&table->keys, &key_ops);
	buckets_release(&table->items, &item_ops);
}
