#include "config.h"

#include "kv/table.h"

#include <assert.h>

#include "base/buckets_scan.h"
#include "base/random.h"
#include "base/siphash.h"
#include "kv/memory.h"

/* The number of items that the memory estimate samples. */
#define SAMPLED_ITEMS 16

/* Random picks of an empty bucket, after which the next buckets in order are tried. */
#define RANDOM_TRIES 64

/* A draw takes a bucket with a probability in proportion to its items, up to DRAW_CHAIN; after
 * DRAW_TRIES tries it takes any. */
#define DRAW_CHAIN 8
#define DRAW_TRIES 200

static const uint64_t *secret;

static uint64_t
hash_of(struct slice key)
{
	return siphash(secret, key.ptr, key.len);
}

static uint64_t
hash_of_node(const struct bucket_node *node)
{
	return hash_of(kv_item_key((const struct kv_item *)node));
}

/* The hash of an item is not kept: it would be an eighth of a small item's memory, and a move needs
 * it only once. */
static const struct buckets_ops ops = {
    .hash = hash_of_node, .calloc = kv_calloc, .free = kv_release};

void
kv_table_init(struct kv_table *t)
{
	secret = siphash_process_key();
	*t = (struct kv_table){0};
}

static struct bucket_node **
find_link(const struct kv_table *t, struct slice key)
{
	struct bucket_node **link;

	if (t->buckets.count == 0)
		return NULL;
	link = buckets_chain(&t->buckets, hash_of(key));
	for (; link != NULL && *link != NULL; link = &(*link)->next)
		if (slice_eq(kv_item_key(kv_item_of(*link)), key))
			return link;
	return NULL;
}

struct kv_item *
kv_table_find(const struct kv_table *t, struct slice key)
{
	struct bucket_node **link = find_link(t, key);

	return link != NULL ? kv_item_of(*link) : NULL;
}

struct bucket_node **
kv_table_link(const struct kv_table *t, struct slice key)
{
	return find_link(t, key);
}

void
kv_table_add(struct kv_table *t, struct kv_item *item)
{
	buckets_add(&t->buckets, &item->node, hash_of(kv_item_key(item)), &ops);
}

struct kv_item *
kv_table_take(struct kv_table *t, struct slice key)
{
	struct bucket_node **link = find_link(t, key);
	struct kv_item *item;

	if (link == NULL)
		return NULL;
	item = kv_item_of(buckets_unlink(&t->buckets, link));
	if (t->buckets.count > 0)
		buckets_keep_size(&t->buckets, &ops);
	else
		buckets_release(&t->buckets, &ops);
	return item;
}

static uint64_t
chain_len(const struct bucket_node *node)
{
	uint64_t len = 0;

	for (; node != NULL; node = node->next)
		len++;
	return len;
}

/* The item with `at` nodes before it in its chain, which is longer than that. */
static struct kv_item *
of_chain(struct bucket_node *node, uint64_t at)
{
	for (; at > 0 && node != NULL; at--)
		node = node->next;
	return kv_item_of(node);
}

struct kv_item *
kv_table_random(const struct kv_table *t, uint64_t random)
{
	size_t buckets = buckets_count(&t->buckets), i, tries;
	struct bucket_node *node;
	uint64_t seed[2] = {random, 0};

	if (t->buckets.count == 0)
		return NULL;
	i = random % buckets;
	for (tries = 1; (node = buckets_nth_chain(&t->buckets, i)) == NULL; tries++) {
		seed[1] = tries;
		i = tries < RANDOM_TRIES ? siphash(seed, "", 0) % buckets : (i + 1) % buckets;
	}
	return of_chain(node, siphash(seed, "chain", 5) % chain_len(node));
}

/* A bucket is taken with a probability in proportion to its items: otherwise an item that shares a
 * bucket would be drawn half as often as one that is alone in its bucket. */
struct kv_item *
kv_table_draw(const struct kv_table *t, struct random *random)
{
	size_t buckets = buckets_count(&t->buckets);
	unsigned tries;

	for (tries = 0; t->buckets.count > 0 && tries < DRAW_TRIES; tries++) {
		struct bucket_node *node =
		    buckets_nth_chain(&t->buckets, random_below(random, buckets));
		uint64_t len = chain_len(node);

		if (random_below(random, DRAW_CHAIN) < len)
			return of_chain(node, random_below(random, len));
	}
	return kv_table_random(t, random_next(random));
}

static bool
each_of_chain(struct bucket_node *node, kv_visit *visit, void *arg)
{
	struct bucket_node *next;

	for (; node != NULL; node = next) {
		next = node->next;
		if (!visit(kv_item_of(node), arg))
			return false;
	}
	return true;
}

void
kv_table_each(const struct kv_table *t, kv_visit *visit, void *arg)
{
	size_t buckets = buckets_count(&t->buckets), i;

	for (i = 0; t->buckets.count > 0 && i < buckets; i++)
		if (!each_of_chain(buckets_nth_chain(&t->buckets, i), visit, arg))
			return;
}

struct scan {
	kv_visit *visit;
	void *arg;
};

static void
scan_node(struct bucket_node *node, void *arg)
{
	const struct scan *scan = arg;

	(void)scan->visit(kv_item_of(node), scan->arg);
}

uint64_t
kv_table_scan(const struct kv_table *t, uint64_t cursor, kv_visit *visit, void *arg)
{
	struct scan scan = {visit, arg};

	return buckets_scan(&t->buckets, cursor, scan_node, &scan);
}

struct release {
	size_t (*release)(struct kv_item *item, void *arg);
	void *arg;
};

static size_t
release_node(struct bucket_node *node, void *arg)
{
	const struct release *r = arg;

	if (r->release != NULL)
		return r->release(kv_item_of(node), r->arg);
	kv_release(kv_item_of(node));
	return 1;
}

bool
kv_table_drain(struct kv_table *t, size_t (*release)(struct kv_item *item, void *arg), void *arg,
    size_t *budget)
{
	struct release r = {release, arg};

	return buckets_drain(&t->buckets, &ops, release_node, &r, budget);
}

/* The number of buckets with memory: `to` gets its segments in order, as `from` is moved there. */
static size_t
allocated_buckets(const struct buckets *b)
{
	size_t moved_to = b->moved;

	if (b->from.count == 0)
		return b->to.count;
	if (b->to.count > b->from.count)
		moved_to *= b->to.count / b->from.count;
	moved_to = (moved_to + BUCKETS_SEGMENT - 1) / BUCKETS_SEGMENT * BUCKETS_SEGMENT;
	return b->from.count - b->moved + (moved_to < b->to.count ? moved_to : b->to.count);
}

size_t
kv_table_held_bytes(const struct kv_table *t)
{
	size_t bytes = 0;
	uint64_t i;

	/* Any numbers that are far apart will do. */
	for (i = 0; i < SAMPLED_ITEMS && t->buckets.count > 0; i++)
		bytes += kv_block_bytes(kv_table_random(t, i * 0x9e3779b97f4a7c15u));
	return allocated_buckets(&t->buckets) * sizeof(struct bucket_node *) +
	       (size_t)((double)bytes / SAMPLED_ITEMS * (double)t->buckets.count);
}
