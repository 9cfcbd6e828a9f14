#include "config.h"

#include "kv/eviction_policy.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"

#define SECONDS_MASK 0xffffffu
#define MINUTES_MASK 0xffffu
#define COUNT_BITS 8
#define COUNT_MAX 255u

/* The count of a new key. It is not 0, so that a new key is not the first to be evicted. */
#define COUNT_FIRST 5

#define CANDIDATES 16

/* A key with a longer name is either chosen at once or not kept in the pool: memory is short when
 * keys are evicted. */
#define NAME_MAX_LEN 255

struct candidate {
	uint64_t score; /* the candidate with the highest score is evicted first */
	struct kv_db *db;
	struct kv_key *key; /* valid within one choice; between choices only name is */
	uint16_t name_len;
	char name[NAME_MAX_LEN];
};

struct kv_eviction_pool {
	struct kv *kv;
	uint32_t next_db; /* the next database to take a key from, under a random policy */
	uint32_t policy;  /* the policy that the scores belong to */
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
kv_use_first(const struct kv_eviction_rules *rules, uint64_t now_s)
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
kv_use_count(const struct kv_eviction_rules *rules, uint32_t access, uint64_t now_s)
{
	uint32_t count = access & COUNT_MAX, lost;

	if (rules->decay_min == 0)
		return count;
	lost = ((minute(now_s) - (access >> COUNT_BITS)) & MINUTES_MASK) / rules->decay_min;
	return lost < count ? count - lost : 0;
}

/* Adds one with a probability of 1 / (n * log_factor + 1), where n is the count above COUNT_FIRST.
 */
static uint32_t
count_use(const struct kv_eviction_rules *rules, uint32_t count, struct random *random)
{
	double above = count > COUNT_FIRST ? count - COUNT_FIRST : 0;
	double drawn = (double)(random_next(random) >> 11) * 0x1p-53;

	if (count < COUNT_MAX && drawn * (above * rules->log_factor + 1) < 1)
		count++;
	return count;
}

uint32_t
kv_use_again(
    const struct kv_eviction_rules *rules, uint32_t access, uint64_t now_s, struct random *random)
{
	uint32_t count;

	if (!kv_policy_counts_uses(rules->policy))
		return (uint32_t)now_s & SECONDS_MASK;
	count = count_use(rules, kv_use_count(rules, access, now_s), random);
	return minute(now_s) << COUNT_BITS | count;
}

struct kv_eviction_pool *
kv_eviction_pool_new(struct kv *kv)
{
	struct kv_eviction_pool *pool = kv_calloc(1, sizeof(*pool));

	pool->kv = kv;
	return pool;
}

void
kv_eviction_pool_free(struct kv_eviction_pool *pool)
{
	kv_release(pool);
}

/* A place for this score among the candidates. If all places are taken, the candidate with the
 * lowest score loses its place. NULL: the score is too low. */
static struct candidate *
make_place(struct kv_eviction_pool *pool, uint64_t score)
{
	struct candidate *all = pool->candidates;
	size_t at = 0;

	while (at < pool->count && all[at].score < score)
		at++;
	if (pool->count < CANDIDATES) {
		memmove(&all[at + 1], &all[at], (pool->count - at) * sizeof(*all));
		pool->count++;
		return &all[at];
	}
	if (at == 0)
		return NULL;
	memmove(&all[0], &all[1], (at - 1) * sizeof(*all));
	return &all[at - 1];
}

static void
consider(struct kv_eviction_pool *pool, struct kv_db *db, struct kv_key *key, uint64_t score)
{
	struct candidate *c = make_place(pool, score);
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

/* Adds samples of each database to the pool. False: no database has a key to choose from. */
static bool
sample(struct kv_eviction_pool *pool, const struct kv_eviction_rules *rules, uint64_t now_s,
    struct random *random)
{
	bool any = false;
	uint32_t i, n;

	for (i = 0; i < kv_databases(pool->kv); i++) {
		struct kv_db *db = kv_database(pool->kv, i);
		size_t there = takes_all(rules->policy) ? kv_db_count(db) : kv_db_expiring(db);

		for (n = 0; n < rules->samples && n < there; n++) {
			struct kv_key *key = any_key(db, rules->policy, random);
			uint32_t access = kv_access(key);

			any = true;
			consider(pool, db, key,
			    kv_policy_counts_uses(rules->policy)
				? COUNT_MAX - kv_use_count(rules, access, now_s)
				: kv_use_idle_s(access, now_s));
		}
	}
	return any;
}

/* Clears the key pointers, which are void after the chosen key is removed. A candidate whose name
 * was too long to be kept is dropped. */
static void
forget_keys(struct kv_eviction_pool *pool)
{
	size_t i, kept = 0;

	for (i = 0; i < pool->count; i++) {
		if (kv_name(pool->candidates[i].key).len != pool->candidates[i].name_len)
			continue;
		pool->candidates[i].key = NULL;
		if (kept != i)
			pool->candidates[kept] = pool->candidates[i];
		kept++;
	}
	pool->count = kept;
}

/* Looks the remembered names up again. Drops a candidate whose key no longer exists, or that has
 * lost the expiry time that the policy requires. */
static void
find_keys(struct kv_eviction_pool *pool, uint32_t policy)
{
	size_t i, kept = 0;

	for (i = 0; i < pool->count; i++) {
		struct candidate *c = &pool->candidates[i];

		c->key = kv_find(c->db, (struct slice){c->name, c->name_len});
		if (c->key == NULL || (!takes_all(policy) && kv_expiry(c->db, c->key) == KV_NEVER))
			continue;
		if (kept != i)
			pool->candidates[kept] = *c;
		kept++;
	}
	pool->count = kept;
}

static struct kv_key *
pick_by_use(struct kv_eviction_pool *pool, const struct kv_eviction_rules *rules, uint64_t now_s,
    struct random *random, struct kv_db **db)
{
	struct candidate *best;
	struct kv_key *key;

	if (pool->policy != rules->policy)
		pool->count = 0;
	pool->policy = rules->policy;
	find_keys(pool, rules->policy);
	if (!sample(pool, rules, now_s, random))
		return NULL;
	best = &pool->candidates[--pool->count];
	key = best->key;
	*db = best->db;
	forget_keys(pool);
	return key;
}

static struct kv_key *
pick_any(struct kv_eviction_pool *pool, uint32_t policy, struct random *random, struct kv_db **db)
{
	uint32_t count = kv_databases(pool->kv), i;

	for (i = 0; i < count; i++) {
		struct kv_key *key;

		*db = kv_database(pool->kv, pool->next_db++ % count);
		key = any_key(*db, policy, random);
		if (key != NULL)
			return key;
	}
	return NULL;
}

struct kv_key *
kv_eviction_pool_pick(struct kv_eviction_pool *pool, const struct kv_eviction_rules *rules,
    uint64_t now_s, struct random *random, struct kv_db **db)
{
	switch (rules->policy) {
	case KV_NOEVICTION:
		return NULL;
	case KV_VOLATILE_TTL:
		return kv_first_due(pool->kv, INT64_MAX, db);
	case KV_ALLKEYS_RANDOM:
	case KV_VOLATILE_RANDOM:
		return pick_any(pool, rules->policy, random, db);
	default:
		return pick_by_use(pool, rules, now_s, random, db);
	}
}
