#include "config.h"

#include "kv/table.h"

#include <assert.h>

#include "base/random.h"
#include "base/siphash.h"
#include "kv/memory.h"

/* Items that an estimate of the memory looks at. */
#define SAMPLED_ITEMS 16

/*
 * Two sets of buckets. While a table is resized, `from` empties into `to`: each change moves at
 * most STEP buckets. An item is in `from` exactly as long as its bucket there is not moved, also
 * one that is added meanwhile: put into `to` at once, a batch of new items would need segments from
 * all over it, and make hundreds of them in one command. It is resized when it is full (to twice
 * the size) or seven eighths empty (to a quarter), so that a move is over before the next one can
 * be wanted. The hash of an item is not kept: it would be an eighth of a small item's memory, and
 * is only wanted once in a move.
 */
enum { STEP = 4, MIN_BUCKETS = 4, SEGMENT = 4096 };

/* Random picks that may hit an empty bucket before they go on to the next ones in order. */
#define RANDOM_TRIES 64

/* A draw takes a bucket as often as it has items, up to so many; after so many tries just any. */
#define DRAW_CHAIN 4
#define DRAW_TRIES 200

static const uint64_t *secret;

static uint64_t
hash_of(struct slice key)
{
	return siphash(secret, key.ptr, key.len);
}

static size_t
segment_len(const struct kv_buckets *b)
{
	return b->count < SEGMENT ? b->count : SEGMENT;
}

static size_t
segment_count(const struct kv_buckets *b)
{
	return (b->count + SEGMENT - 1) / SEGMENT;
}

static struct kv_buckets
new_buckets(size_t count)
{
	struct kv_buckets b = {.count = count};

	b.segments = kv_calloc(segment_count(&b), sizeof(*b.segments));
	return b;
}

static void
release_buckets(struct kv_buckets *b)
{
	size_t i;

	for (i = 0; i < segment_count(b); i++)
		kv_release(b->segments[i]);
	kv_release(b->segments);
	*b = (struct kv_buckets){0};
}

/* The head of chain i, or NULL where its segment does not exist. */
static struct kv_item **
bucket_at(const struct kv_buckets *b, size_t i)
{
	struct kv_item **segment = b->segments[i / SEGMENT];

	return segment != NULL ? &segment[i % SEGMENT] : NULL;
}

void
kv_table_init(struct kv_table *t)
{
	secret = siphash_process_key();
	*t = (struct kv_table){0};
}

static void
release_all_buckets(struct kv_table *t)
{
	assert(t->count == 0);
	release_buckets(&t->from);
	release_buckets(&t->to);
	t->moved = 0;
}

/* The buckets that an item with this hash belongs to. */
static const struct kv_buckets *
home_of(const struct kv_table *t, uint64_t hash)
{
	return t->from.count > 0 && (hash & (t->from.count - 1)) >= t->moved ? &t->from : &t->to;
}

static struct kv_item **
find_link(const struct kv_table *t, struct slice key)
{
	const struct kv_buckets *home;
	struct kv_item **link;
	uint64_t hash;

	if (t->count == 0)
		return NULL;
	hash = hash_of(key);
	home = home_of(t, hash);
	link = bucket_at(home, hash & (home->count - 1));
	for (; link != NULL && *link != NULL; link = &(*link)->next)
		if (slice_eq(kv_item_key(*link), key))
			return link;
	return NULL;
}

struct kv_item *
kv_table_find(const struct kv_table *t, struct slice key)
{
	struct kv_item **link = find_link(t, key);

	return link != NULL ? *link : NULL;
}

struct kv_item **
kv_table_link(const struct kv_table *t, struct slice key)
{
	return find_link(t, key);
}

static void
put(const struct kv_buckets *b, struct kv_item *item, uint64_t hash)
{
	size_t i = hash & (b->count - 1);
	struct kv_item ***segment = &b->segments[i / SEGMENT];

	if (*segment == NULL)
		*segment = kv_calloc(segment_len(b), sizeof(**segment));
	item->next = (*segment)[i % SEGMENT];
	(*segment)[i % SEGMENT] = item;
}

static void
move_bucket(struct kv_table *t, size_t i)
{
	struct kv_item ***segment = &t->from.segments[i / SEGMENT];
	struct kv_item *item, *next;

	if (*segment == NULL)
		return;
	for (item = (*segment)[i % SEGMENT]; item != NULL; item = next) {
		next = item->next;
		put(&t->to, item, hash_of(kv_item_key(item)));
	}
	(*segment)[i % SEGMENT] = NULL;
	if ((i + 1) % segment_len(&t->from) == 0) {
		kv_release(*segment);
		*segment = NULL;
	}
}

static void
begin_resize(struct kv_table *t, size_t buckets)
{
	t->from = t->to;
	t->moved = 0;
	t->to = new_buckets(buckets);
}

/* Called by every change. */
static void
keep_size(struct kv_table *t)
{
	size_t i;

	if (t->from.count > 0) {
		for (i = 0; i < STEP && t->moved < t->from.count; i++)
			move_bucket(t, t->moved++);
		if (t->moved == t->from.count) {
			release_buckets(&t->from);
			t->moved = 0;
		}
	} else if (t->count >= t->to.count) {
		begin_resize(t, t->to.count > 0 ? t->to.count * 2 : MIN_BUCKETS);
	} else if (t->to.count > MIN_BUCKETS && t->count < t->to.count / 8) {
		begin_resize(t, t->to.count / 4 > MIN_BUCKETS ? t->to.count / 4 : MIN_BUCKETS);
	}
}

void
kv_table_add(struct kv_table *t, struct kv_item *item)
{
	uint64_t hash = hash_of(kv_item_key(item));

	keep_size(t);
	put(home_of(t, hash), item, hash);
	t->count++;
}

struct kv_item *
kv_table_take(struct kv_table *t, struct slice key)
{
	struct kv_item **link = find_link(t, key), *item;

	if (link == NULL)
		return NULL;
	item = *link;
	*link = item->next;
	if (--t->count > 0)
		keep_size(t);
	else
		release_all_buckets(t);
	return item;
}

/* Bucket i of both sets, counted on from what is moved already. */
static struct kv_item *
chain(const struct kv_table *t, size_t i)
{
	size_t left = t->from.count - t->moved;
	struct kv_item **bucket =
	    i < left ? bucket_at(&t->from, t->moved + i) : bucket_at(&t->to, i - left);

	return bucket != NULL ? *bucket : NULL;
}

static uint64_t
chain_len(const struct kv_item *item)
{
	uint64_t len = 0;

	for (; item != NULL; item = item->next)
		len++;
	return len;
}

/* The item that stands behind `at` others; there are as many. */
static struct kv_item *
of_chain(struct kv_item *item, uint64_t at)
{
	for (; at > 0 && item != NULL; at--)
		item = item->next;
	return item;
}

struct kv_item *
kv_table_random(const struct kv_table *t, uint64_t random)
{
	size_t buckets = t->from.count - t->moved + t->to.count, i, tries;
	struct kv_item *item;
	uint64_t seed[2] = {random, 0};

	if (t->count == 0)
		return NULL;
	i = random % buckets;
	for (tries = 1; (item = chain(t, i)) == NULL; tries++) {
		seed[1] = tries;
		i = tries < RANDOM_TRIES ? siphash(seed, "", 0) % buckets : (i + 1) % buckets;
	}
	return of_chain(item, siphash(seed, "chain", 5) % chain_len(item));
}

/* Without this who shares a bucket would be drawn half as often as who has one alone. */
struct kv_item *
kv_table_draw(const struct kv_table *t, struct random *random)
{
	size_t buckets = t->from.count - t->moved + t->to.count;
	unsigned tries;

	for (tries = 0; t->count > 0 && tries < DRAW_TRIES; tries++) {
		struct kv_item *item = chain(t, random_below(random, buckets));
		uint64_t len = chain_len(item);

		if (random_below(random, DRAW_CHAIN) < len)
			return of_chain(item, random_below(random, len));
	}
	return kv_table_random(t, random_next(random));
}

static bool
each_of_chain(struct kv_item *item, kv_visit *visit, void *arg)
{
	struct kv_item *next;

	for (; item != NULL; item = next) {
		next = item->next;
		if (!visit(item, arg))
			return false;
	}
	return true;
}

void
kv_table_each(const struct kv_table *t, kv_visit *visit, void *arg)
{
	size_t buckets = t->from.count - t->moved + t->to.count, i;

	if (t->count == 0)
		return;
	for (i = 0; i < buckets; i++)
		if (!each_of_chain(chain(t, i), visit, arg))
			return;
}

static void
scan_bucket(const struct kv_buckets *b, uint64_t i, kv_visit *visit, void *arg)
{
	struct kv_item **bucket = bucket_at(b, (size_t)i);

	if (bucket != NULL)
		each_of_chain(*bucket, visit, arg);
}

static uint64_t
reverse_bits(uint64_t v)
{
	unsigned shift;
	uint64_t mask = ~(uint64_t)0;

	for (shift = 32; shift > 0; shift >>= 1) {
		mask ^= mask << shift;
		v = ((v >> shift) & mask) | ((v << shift) & ~mask);
	}
	return v;
}

/* The next cursor: one more, counted from the highest bit of mask down. */
static uint64_t
advance(uint64_t cursor, uint64_t mask)
{
	return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

/*
 * The cursor is a bucket's place with its bits reversed, as in Redis's dictScan (Pieter Noordhuis):
 * the buckets into which one is split, or with which it is joined, when the table is resized are
 * then visited one after another, so that none is passed over. With two sets of buckets, one of the
 * smaller and all that belong to it of the larger are one step.
 */
uint64_t
kv_table_scan(const struct kv_table *t, uint64_t cursor, kv_visit *visit, void *arg)
{
	const struct kv_buckets *small = &t->to, *large = &t->from;
	uint64_t small_mask, large_mask;

	if (t->count == 0)
		return 0;
	if (large->count == 0) {
		small_mask = small->count - 1;
		scan_bucket(small, cursor & small_mask, visit, arg);
		return advance(cursor, small_mask);
	}
	if (small->count > large->count) {
		small = &t->from;
		large = &t->to;
	}
	small_mask = small->count - 1;
	large_mask = large->count - 1;
	scan_bucket(small, cursor & small_mask, visit, arg);
	do {
		scan_bucket(large, cursor & large_mask, visit, arg);
		cursor = advance(cursor, large_mask);
	} while ((cursor & (small_mask ^ large_mask)) != 0);
	return cursor;
}

/* Empties buckets from `from` on; what is left of from is tracked in moved, of to by its own. */
static bool
drain_buckets(struct kv_buckets *b, size_t *at, struct kv_table *t,
    size_t (*release)(struct kv_item *item, void *arg), void *arg, size_t *budget)
{
	struct kv_item **bucket, *item;

	while (*at < b->count) {
		bucket = bucket_at(b, *at);
		while (bucket != NULL && (item = *bucket) != NULL) {
			size_t cost = 1;

			if (*budget == 0)
				return false;
			*bucket = item->next;
			t->count--;
			if (release != NULL)
				cost = release(item, arg);
			else
				kv_release(item);
			*budget -= cost < *budget ? cost : *budget;
		}
		if (++*at % segment_len(b) == 0) {
			kv_release(b->segments[(*at - 1) / SEGMENT]);
			b->segments[(*at - 1) / SEGMENT] = NULL;
		}
	}
	release_buckets(b);
	*at = 0;
	return true;
}

bool
kv_table_drain(struct kv_table *t, size_t (*release)(struct kv_item *item, void *arg), void *arg,
    size_t *budget)
{
	if (t->from.count > 0 && !drain_buckets(&t->from, &t->moved, t, release, arg, budget))
		return false;
	return drain_buckets(&t->to, &t->moved, t, release, arg, budget);
}

/* Buckets that have memory: `to` gets its segments as `from` moves there, in order. */
static size_t
made_buckets(const struct kv_table *t)
{
	size_t moved_to = t->moved;

	if (t->from.count == 0)
		return t->to.count;
	if (t->to.count > t->from.count)
		moved_to *= t->to.count / t->from.count;
	moved_to = (moved_to + SEGMENT - 1) / SEGMENT * SEGMENT;
	return t->from.count - t->moved + (moved_to < t->to.count ? moved_to : t->to.count);
}

size_t
kv_table_held_bytes(const struct kv_table *t)
{
	size_t bytes = 0;
	uint64_t i;

	/* Any numbers do that are far apart. */
	for (i = 0; i < SAMPLED_ITEMS && t->count > 0; i++)
		bytes += kv_block_bytes(kv_table_random(t, i * 0x9e3779b97f4a7c15u));
	return made_buckets(t) * sizeof(struct kv_item *) +
	       (size_t)((double)bytes / SAMPLED_ITEMS * (double)t->count);
}
