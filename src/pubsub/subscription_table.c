#include "config.h"

#include "pubsub/subscription_table.h"

#include <assert.h>
#include <stdint.h>

#include "base/alloc.h"
#include "pubsub/hub.h"

#define CHUNK_BITS 10
#define CHUNK_BUCKETS ((size_t)1 << CHUNK_BITS)

/* Buckets come in chunks, so that growing copies only the short list of chunks. */
struct subscription_table {
	struct subscription ***chunks;
	size_t chunk_count;
	size_t chunk_cap;
	size_t level; /* buckets at the start of this round, a power of two */
	size_t split; /* buckets that are split already in this round */
	size_t count;
};

static size_t
hash_of(const struct subscriber *s, const struct topic *topic)
{
	uint64_t h = (uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)topic;

	h ^= h >> 32; /* the finalizer of MurmurHash3, public domain */
	h *= 0xff51afd7ed558ccdu;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53u;
	return (size_t)(h ^ h >> 33);
}

static struct subscription **
bucket_at(const struct subscription_table *table, size_t i)
{
	return &table->chunks[i >> CHUNK_BITS][i & (CHUNK_BUCKETS - 1)];
}

static struct subscription **
bucket_of(
    const struct subscription_table *table, const struct subscriber *s, const struct topic *topic)
{
	size_t h = hash_of(s, topic), i = h & (table->level - 1);

	if (i < table->split)
		i = h & (table->level * 2 - 1);
	return bucket_at(table, i);
}

static void
add_chunk(struct subscription_table *table)
{
	if (table->chunk_count == table->chunk_cap) {
		table->chunk_cap = table->chunk_cap > 0 ? table->chunk_cap * 2 : 4;
		table->chunks = xrealloc(table->chunks, table->chunk_cap * sizeof(*table->chunks));
	}
	table->chunks[table->chunk_count++] = xcalloc(CHUNK_BUCKETS, sizeof(**table->chunks));
}

struct subscription_table *
subscription_table_new(void)
{
	struct subscription_table *table = xcalloc(1, sizeof(*table));

	table->level = CHUNK_BUCKETS;
	add_chunk(table);
	return table;
}

void
subscription_table_free(struct subscription_table *table)
{
	while (table->chunk_count > 0)
		xfree(table->chunks[--table->chunk_count]);
	xfree(table->chunks);
	xfree(table);
}

struct subscription *
subscription_table_find(
    const struct subscription_table *table, const struct subscriber *s, const struct topic *topic)
{
	struct subscription *at = *bucket_of(table, s, topic);

	while (at != NULL && (at->subscriber != s || at->topic != topic))
		at = at->next;
	return at;
}

static void
split_one(struct subscription_table *table)
{
	size_t to = table->level + table->split;
	struct subscription *at, **from, **into;

	if (to >> CHUNK_BITS == table->chunk_count)
		add_chunk(table);
	from = bucket_at(table, table->split);
	into = bucket_at(table, to);
	/* cppcheck-suppress uninitvar ; buckets are zeroed as they are made */
	while ((at = *from) != NULL) {
		if (hash_of(at->subscriber, at->topic) & table->level) {
			*from = at->next;
			at->next = *into;
			*into = at;
		} else {
			from = &at->next;
		}
	}
	if (++table->split == table->level) {
		table->level *= 2;
		table->split = 0;
	}
}

static void
merge_one(struct subscription_table *table)
{
	struct subscription **end, **last;

	if (table->split == 0) {
		table->level /= 2;
		table->split = table->level;
	}
	table->split--;
	end = bucket_at(table, table->split);
	while (*end != NULL)
		end = &(*end)->next;
	last = bucket_at(table, table->level + table->split);
	*end = *last;
	*last = NULL;
	if ((table->level + table->split) >> CHUNK_BITS < table->chunk_count - 1)
		xfree(table->chunks[--table->chunk_count]);
}

void
subscription_table_add(struct subscription_table *table, struct subscription *subscription)
{
	struct subscription **bucket;

	if (table->count == table->level + table->split)
		split_one(table);
	bucket = bucket_of(table, subscription->subscriber, subscription->topic);
	subscription->next = *bucket;
	*bucket = subscription;
	table->count++;
}

void
subscription_table_remove(struct subscription_table *table, struct subscription *subscription)
{
	struct subscription **at = bucket_of(table, subscription->subscriber, subscription->topic);

	while (*at != subscription) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = subscription->next;
	table->count--;
	/* Buckets are merged only below half full, so that a count that varies little does not
	 * split and merge in turn; two at a time, so that an emptied table becomes small. */
	for (int i = 0; i < 2 && table->count < (table->level + table->split) / 2 &&
			table->level + table->split > CHUNK_BUCKETS;
	     i++)
		merge_one(table);
}

size_t
subscription_table_count(const struct subscription_table *table)
{
	return table->count;
}

size_t
subscription_table_bytes(const struct subscription_table *table)
{
	return table->chunk_cap * sizeof(*table->chunks) +
	       table->chunk_count * CHUNK_BUCKETS * sizeof(**table->chunks);
}
