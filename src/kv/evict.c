#include "config.h"

#include "kv/evict.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"

#define SECONDS_MASK 0xffffffu
#define MINUTES_MASK 0xffffu
#define COUNT_BITS 8
#define COUNT_MAX 255u

/* What a new key begins with, so that it is not the first to go. */
#define COUNT_FIRST 5

#define CANDIDATES 16

/* Longer names are not worth the memory that is short just now: such a key is taken at once or
 * forgotten. */
#define NAME_MAX_LEN 255

struct candidate {
	uint64_t score; /* the higher, the sooner it goes */
	struct kv_db *db;
	struct kv_key *key; /* while it is being chosen among; then its name counts */
	uint16_t name_len;
	char name[NAME_MAX_LEN];
};

struct kv_evictor {
	struct kv *kv;
	uint32_t next_db; /* whose turn it is under a random policy */
	uint32_t policy;  /* by which the scores are */
	size_t count;
	struct candidate candidates[CANDIDATES]; /* the highest score last */
};

bool
kv_policy_counts_uses(uint32_t policy)
{
	return policy == KV_VOLATILE_LFU || policy == KV_ALLKEYS_LFU;
}

bool
kv_policy_counts_seconds(uint32_t policy)
{
	return policy == KV_VOLATILE_LRU || policy == KV_ALLKEYS_LRU;
}

static bool
takes_all(uint32_t policy)
{
	return policy == KV_ALLKEYS_LRU || policy == KV_ALLKEYS_LFU || policy == KV_ALLKEYS_RANDOM;
}

static uint32_t
minute(uint64_t now_s)
{
	return (uint32_t)(now_s / 60) & MINUTES_MASK;
}

uint32_t
kv_use_first(const struct kv_evict_rules *rules, uint64_t now_s)
{
	if (kv_policy_counts_uses(rules->policy))
		return minute(now_s) << COUNT_BITS | COUNT_FIRST;
	return (uint32_t)now_s & SECONDS_MASK;
}

uint32_t
kv_use_idle_s(uint32_t access, uint64_t now_s)
{
	return ((uint32_t)now_s - access) & SECONDS_MASK;
}

uint32_t
kv_use_count(const struct kv_evict_rules *rules, uint32_t access, uint64_t now_s)
{
	uint32_t count = access & COUNT_MAX, lost;

	if (rules->decay_min == 0)
		return count;
	lost = ((minute(now_s) - (access >> COUNT_BITS)) & MINUTES_MASK) / rules->decay_min;
	return lost < count ? count - lost : 0;
}

/* One more, with a likelihood of 1 / (n * log_factor + 1), where n is how far it is above the
 * first. */
static uint32_t
count_use(const struct kv_evict_rules *rules, uint32_t count, struct random *random)
{
	double above = count > COUNT_FIRST ? count - COUNT_FIRST : 0;
	double drawn = (double)(random_next(random) >> 11) * 0x1p-53;

	if (count < COUNT_MAX && drawn * (above * rules->log_factor + 1) < 1)
		count++;
	return count;
}

uint32_t
kv_use_again(
    const struct kv_evict_rules *rules, uint32_t access, uint64_t now_s, struct random *random)
{
	uint32_t count;

	if (!kv_policy_counts_uses(rules->policy))
		return (uint32_t)now_s & SECONDS_MASK;
	count = count_use(rules, kv_use_count(rules, access, now_s), random);
	return minute(now_s) << COUNT_BITS | count;
}

struct kv_evictor *
kv_evictor_new(struct kv *kv)
{
	struct kv_evictor *e = kv_calloc(1, sizeof(*e));

	e->kv = kv;
	return e;
}

void
kv_evictor_free(struct kv_evictor *e)
{
	kv_release(e);
}

/* A place for such a score among the candidates: the lowest goes where all are taken. NULL: it is
 * too low. */
static struct candidate *
make_place(struct kv_evictor *e, uint64_t score)
{
	struct candidate *all = e->candidates;
	size_t at = 0;

	while (at < e->count && all[at].score < score)
		at++;
	if (e->count < CANDIDATES) {
		memmove(&all[at + 1], &all[at], (e->count - at) * sizeof(*all));
		e->count++;
		return &all[at];
	}
	if (at == 0)
		return NULL;
	memmove(&all[0], &all[1], (at - 1) * sizeof(*all));
	return &all[at - 1];
}

static void
consider(struct kv_evictor *e, struct kv_db *db, struct kv_key *key, uint64_t score)
{
	struct candidate *c = make_place(e, score);
	struct slice name = kv_name(key);

	if (c == NULL)
		return;
	c->score = score;
	c->db = db;
	c->key = key;
	c->name_len = 0;
	if (name.len > NAME_MAX_LEN)
		return;
	c->name_len = (uint16_t)name.len;
	if (name.len > 0)
		memcpy(c->name, name.ptr, name.len);
}

static struct kv_key *
any_key(const struct kv_db *db, uint32_t policy, struct random *random)
{
	return takes_all(policy) ? kv_random(db, random_next(random))
				 : kv_random_expiring(db, random_next(random));
}

/* Samples of each database. False: there are no keys to choose from. */
static bool
sample(
    struct kv_evictor *e, const struct kv_evict_rules *rules, uint64_t now_s, struct random *random)
{
	bool any = false;
	uint32_t i, n;

	for (i = 0; i < kv_databases(e->kv); i++) {
		struct kv_db *db = kv_database(e->kv, i);
		size_t there = takes_all(rules->policy) ? kv_db_count(db) : kv_db_expiring(db);

		for (n = 0; n < rules->samples && n < there; n++) {
			struct kv_key *key = any_key(db, rules->policy, random);
			uint32_t access = kv_access(key);

			any = true;
			consider(e, db, key,
			    kv_policy_counts_uses(rules->policy)
				? COUNT_MAX - kv_use_count(rules, access, now_s)
				: kv_use_idle_s(access, now_s));
		}
	}
	return any;
}

/* The keys of the candidates stand no longer than until the first one is removed. */
static void
forget_keys(struct kv_evictor *e)
{
	size_t i, kept = 0;

	for (i = 0; i < e->count; i++) {
		if (kv_name(e->candidates[i].key).len != e->candidates[i].name_len)
			continue;
		e->candidates[i].key = NULL;
		if (kept != i)
			e->candidates[kept] = e->candidates[i];
		kept++;
	}
	e->count = kept;
}

/* Finds again what was remembered; what is gone, or does not end any more, is forgotten. */
static void
find_keys(struct kv_evictor *e, uint32_t policy)
{
	size_t i, kept = 0;

	for (i = 0; i < e->count; i++) {
		struct candidate *c = &e->candidates[i];

		c->key = kv_find(c->db, (struct slice){c->name, c->name_len});
		if (c->key == NULL || (!takes_all(policy) && kv_expiry(c->db, c->key) == KV_NEVER))
			continue;
		if (kept != i)
			e->candidates[kept] = *c;
		kept++;
	}
	e->count = kept;
}

static struct kv_key *
pick_by_use(struct kv_evictor *e, const struct kv_evict_rules *rules, uint64_t now_s,
    struct random *random, struct kv_db **db)
{
	struct candidate *best;
	struct kv_key *key;

	if (e->policy != rules->policy)
		e->count = 0;
	e->policy = rules->policy;
	find_keys(e, rules->policy);
	if (!sample(e, rules, now_s, random))
		return NULL;
	best = &e->candidates[--e->count];
	key = best->key;
	*db = best->db;
	forget_keys(e);
	return key;
}

static struct kv_key *
pick_any(struct kv_evictor *e, uint32_t policy, struct random *random, struct kv_db **db)
{
	uint32_t count = kv_databases(e->kv), i;

	for (i = 0; i < count; i++) {
		struct kv_key *key;

		*db = kv_database(e->kv, e->next_db++ % count);
		key = any_key(*db, policy, random);
		if (key != NULL)
			return key;
	}
	return NULL;
}

struct kv_key *
kv_evictor_pick(struct kv_evictor *e, const struct kv_evict_rules *rules, uint64_t now_s,
    struct random *random, struct kv_db **db)
{
	switch (rules->policy) {
	case KV_NOEVICTION:
		return NULL;
	case KV_VOLATILE_TTL:
		return kv_first_due(e->kv, INT64_MAX, db);
	case KV_ALLKEYS_RANDOM:
	case KV_VOLATILE_RANDOM:
		return pick_any(e, rules->policy, random, db);
	default:
		return pick_by_use(e, rules, now_s, random, db);
	}
}
