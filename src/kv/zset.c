#include "config.h"

#include "kv/zset.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kv/memory.h"
#include "kv/table.h"
#include "kv/zset_packed.h"

/* The encoding of a larger set: items with the score as payload, and their order. */
struct zset_large {
	struct kv_table members;
	struct rank_tree order;
};

struct kv_zset {
	struct zset_packed packed; /* empty if large is not NULL */
	struct zset_large *large;
};

struct kv_zset *
kv_zset_new(void)
{
	return kv_calloc(1, sizeof(struct kv_zset));
}

void
kv_zset_free(struct kv_zset *z)
{
	size_t budget;

	do
		budget = SIZE_MAX;
	while (!kv_zset_free_some(z, &budget));
}

bool
kv_zset_free_some(void *value, size_t *budget)
{
	struct kv_zset *z = value;

	if (z->large != NULL) {
		/* The tree is freed first: freeing it reads no item. */
		if (!rank_tree_drain(&z->large->order, budget) ||
		    !kv_table_drain(&z->large->members, NULL, NULL, budget))
			return false;
		kv_release(z->large);
	}
	zset_packed_release(&z->packed);
	kv_release(z);
	*budget -= *budget > 0;
	return true;
}

size_t
kv_zset_count(const void *value)
{
	const struct kv_zset *z = value;

	return z->large != NULL ? z->large->order.count : z->packed.count;
}

bool
kv_zset_is_packed(const struct kv_zset *z)
{
	return z->large == NULL;
}

size_t
kv_zset_bytes(const struct kv_zset *z)
{
	if (z->large == NULL)
		return kv_block_bytes(z) + kv_block_bytes(z->packed.bytes);
	return kv_block_bytes(z) + kv_block_bytes(z->large) +
	       kv_table_held_bytes(&z->large->members) + rank_tree_bytes(&z->large->order);
}

static double
item_score(struct kv_item *item)
{
	double score;

	memcpy(&score, kv_item_payload(item), sizeof(score));
	return score;
}

static void
add_large(struct zset_large *large, struct slice member, double score)
{
	struct kv_item *item = kv_item_new(member, sizeof(score));

	memcpy(kv_item_payload(item), &score, sizeof(score));
	kv_table_add(&large->members, item);
	rank_tree_add(&large->order, score, item);
}

static void
make_large(struct kv_zset *z)
{
	struct zset_large *large = kv_malloc(sizeof(*large));
	const unsigned char *at = z->packed.bytes;
	size_t i;

	kv_table_init(&large->members);
	rank_tree_init(&large->order);
	for (i = 0; i < z->packed.count; i++, at = zset_packed_next(at))
		add_large(large, zset_packed_member(at), zset_packed_score(at));
	zset_packed_release(&z->packed);
	z->large = large;
}

void *
kv_zset_copy(const void *value)
{
	const struct kv_zset *z = value;
	struct kv_zset *copy = kv_zset_new();
	const struct rank_entry *entry;
	struct rank_cursor c;

	if (z->large == NULL) {
		copy->packed = z->packed;
		copy->packed.bytes = NULL;
		if (z->packed.len > 0) {
			copy->packed.bytes = kv_malloc(z->packed.len);
			memcpy(copy->packed.bytes, z->packed.bytes, z->packed.len);
		}
		return copy;
	}
	make_large(copy);
	rank_tree_seek(&z->large->order, 0, &c);
	while ((entry = rank_cursor_next(&c)) != NULL)
		add_large(copy->large, kv_item_key(entry->item), entry->score);
	return copy;
}

bool
kv_zset_score(const struct kv_zset *z, struct slice member, double *score)
{
	if (z->large == NULL) {
		const unsigned char *at = zset_packed_find(&z->packed, member);

		if (at != NULL)
			*score = zset_packed_score(at);
		return at != NULL;
	} else {
		struct kv_item *item = kv_table_find(&z->large->members, member);

		if (item != NULL)
			*score = item_score(item);
		return item != NULL;
	}
}

bool
kv_zset_rank(const struct kv_zset *z, struct slice member, size_t *rank, double *score)
{
	struct rank_bound bound = {.by = RANK_BY_BOTH, .key = member};

	if (!kv_zset_score(z, member, score))
		return false;
	bound.score = *score;
	*rank = kv_zset_count_before(z, &bound);
	return true;
}

static bool
fits_packed(const struct kv_zset *z, struct slice member, const struct kv_limits *limits)
{
	return z->packed.count < limits->zset_entries &&
	       z->packed.count < ZSET_PACKED_ENTRIES_MAX &&
	       member.len <= limits->zset_value_bytes && member.len <= ZSET_PACKED_VALUE_MAX;
}

static bool
put_packed(struct kv_zset *z, struct slice member, double score, const struct kv_limits *limits)
{
	const unsigned char *at = zset_packed_find(&z->packed, member);

	if (at != NULL)
		zset_packed_remove(&z->packed, at, zset_packed_next(at), 1);
	else if (!fits_packed(z, member, limits)) {
		make_large(z);
		add_large(z->large, member, score);
		return true;
	}
	zset_packed_add(&z->packed, member, score);
	return at == NULL;
}

bool
kv_zset_put(struct kv_zset *z, struct slice member, double score, const struct kv_limits *limits)
{
	struct kv_item *item;
	double old;

	assert(!isnan(score));
	if (z->large == NULL)
		return put_packed(z, member, score, limits);
	item = kv_table_find(&z->large->members, member);
	if (item == NULL) {
		add_large(z->large, member, score);
		return true;
	}
	old = item_score(item);
	rank_tree_rescore(&z->large->order, old, item, score);
	memcpy(kv_item_payload(item), &score, sizeof(score));
	return false;
}

static void
remove_item(struct zset_large *large, struct kv_item *item)
{
	rank_tree_remove(&large->order, item_score(item), item);
	kv_release(item);
}

bool
kv_zset_remove(struct kv_zset *z, struct slice member)
{
	if (z->large == NULL) {
		const unsigned char *at = zset_packed_find(&z->packed, member);

		if (at != NULL)
			zset_packed_remove(&z->packed, at, zset_packed_next(at), 1);
		return at != NULL;
	} else {
		struct kv_item *item = kv_table_take(&z->large->members, member);

		if (item != NULL)
			remove_item(z->large, item);
		return item != NULL;
	}
}

void
kv_zset_remove_ranks(struct kv_zset *z, size_t from, size_t to)
{
	assert(to <= kv_zset_count(z));
	if (from >= to)
		return;
	if (z->large == NULL) {
		zset_packed_remove(&z->packed, zset_packed_at(&z->packed, from),
		    zset_packed_at(&z->packed, to), to - from);
		return;
	}
	for (; to > from; to--) {
		struct rank_cursor c;
		struct kv_item *item;

		rank_tree_seek(&z->large->order, to, &c);
		item = rank_cursor_prev(&c)->item;
		kv_table_take(&z->large->members, kv_item_key(item));
		remove_item(z->large, item);
	}
}

size_t
kv_zset_count_before(const struct kv_zset *z, const struct rank_bound *bound)
{
	return z->large != NULL ? rank_tree_count_before(&z->large->order, bound)
				: zset_packed_count_before(&z->packed, bound);
}

void
kv_zset_seek(const struct kv_zset *z, size_t rank, struct kv_zset_cursor *c)
{
	*c = (struct kv_zset_cursor){.at = NULL};
	if (z->large != NULL) {
		rank_tree_seek(&z->large->order, rank, &c->tree);
	} else {
		c->from = z->packed.bytes;
		c->to = z->packed.bytes + z->packed.len;
		c->at = zset_packed_at(&z->packed, rank);
	}
}

static bool
show_item(const struct rank_entry *found, struct kv_zset_entry *entry)
{
	if (found != NULL)
		*entry = (struct kv_zset_entry){kv_item_key(found->item), found->score};
	return found != NULL;
}

static void
show_packed(const unsigned char *at, struct kv_zset_entry *entry)
{
	*entry = (struct kv_zset_entry){zset_packed_member(at), zset_packed_score(at)};
}

bool
kv_zset_next(struct kv_zset_cursor *c, struct kv_zset_entry *entry)
{
	if (c->at == NULL)
		return show_item(rank_cursor_next(&c->tree), entry);
	if (c->at == c->to)
		return false;
	show_packed(c->at, entry);
	c->at = zset_packed_next(c->at);
	return true;
}

bool
kv_zset_prev(struct kv_zset_cursor *c, struct kv_zset_entry *entry)
{
	if (c->at == NULL)
		return show_item(rank_cursor_prev(&c->tree), entry);
	if (c->at == c->from)
		return false;
	c->at = zset_packed_prev(c->at);
	show_packed(c->at, entry);
	return true;
}

struct scan {
	kv_zset_visit *visit;
	void *arg;
};

static bool
scan_item(struct kv_item *item, void *arg)
{
	const struct scan *scan = arg;
	struct kv_zset_entry entry = {kv_item_key(item), item_score(item)};

	scan->visit(&entry, scan->arg);
	return true;
}

uint64_t
kv_zset_scan(const struct kv_zset *z, uint64_t cursor, kv_zset_visit *visit, void *arg)
{
	struct scan scan = {visit, arg};
	struct kv_zset_cursor c;
	struct kv_zset_entry entry;

	if (z->large != NULL)
		return kv_table_scan(&z->large->members, cursor, scan_item, &scan);
	kv_zset_seek(z, 0, &c);
	while (kv_zset_next(&c, &entry))
		visit(&entry, arg);
	return 0;
}

bool
kv_zset_is_sound(const struct kv_zset *z)
{
	const unsigned char *at = z->packed.bytes;
	struct rank_bound last = {.by = RANK_BY_BOTH, .after = true};
	size_t i;

	if (z->large != NULL)
		return z->packed.bytes == NULL && rank_tree_is_sound(&z->large->order) &&
		       kv_table_count(&z->large->members) == z->large->order.count;
	for (i = 0; i < z->packed.count; i++, at = zset_packed_next(at)) {
		if (i > 0 &&
		    rank_bound_follows(&last, zset_packed_score(at), zset_packed_member(at)))
			return false;
		last.score = zset_packed_score(at);
		last.key = zset_packed_member(at);
	}
	return at == z->packed.bytes + z->packed.len;
}
