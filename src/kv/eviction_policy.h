#ifndef KV_EVICTION_POLICY_H
#define KV_EVICTION_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "kv/keyspace.h"

/*
 * Eviction policy: records how a key was used, in the key's 24 access bits (kv_access), and chooses
 * the key to evict when memory is short. It removes no key: server/evict.h does.
 *
 * The access bits are Redis's. LRU: the time of the last use in seconds. LFU: a count of uses that
 * grows logarithmically, 8 bits, and the minute of the last decay, 16 bits.
 *
 * It reads no clock: now_s is the time in seconds of any clock that only goes forward. The access
 * bits wrap around, as Redis's do: after 194 days a key seems to have been used just now.
 */
enum kv_policy {
	KV_VOLATILE_LRU,
	KV_VOLATILE_LFU,
	KV_VOLATILE_RANDOM,
	KV_VOLATILE_TTL,
	KV_ALLKEYS_LRU,
	KV_ALLKEYS_LFU,
	KV_ALLKEYS_RANDOM,
	KV_NOEVICTION,
};

struct kv_eviction_rules {
	uint32_t policy;     /* enum kv_policy; volatile: only keys with an expiry time */
	uint32_t samples;    /* keys sampled per eviction, at least 1 */
	uint32_t log_factor; /* lfu-log-factor: a larger one makes the count grow more slowly */
	uint32_t decay_min;  /* idle minutes that lower the count by one; 0: never */
};

bool kv_policy_counts_uses(uint32_t policy);    /* LFU */
bool kv_policy_counts_seconds(uint32_t policy); /* LRU */

/* The access bits of a new key, and of a key that is used again. */
uint32_t kv_use_first(const struct kv_eviction_rules *rules, uint64_t now_s);
uint32_t kv_use_again(
    const struct kv_eviction_rules *rules, uint32_t access, uint64_t now_s, struct random *random);

/* The idle time under LRU, and the count of uses under LFU (0 to 255). */
uint32_t kv_use_idle_s(uint32_t access, uint64_t now_s);
uint32_t kv_use_count(const struct kv_eviction_rules *rules, uint32_t access, uint64_t now_s);

/* The pool of candidates. It keeps the best candidates of earlier samples, so that a choice is
 * better than one from the last sample alone. */
struct kv_eviction_pool;

struct kv_eviction_pool *kv_eviction_pool_new(
    struct kv *kv); /* borrows; returns owned (kv_eviction_pool_free) */
void kv_eviction_pool_free(struct kv_eviction_pool *pool);

/* The key to evict, which is in *db. NULL: the policy allows none. volatile-ttl is exact: it picks
 * the key that expires first. */
struct kv_key *kv_eviction_pool_pick(struct kv_eviction_pool *pool,
    const struct kv_eviction_rules *rules, uint64_t now_s, struct random *random,
    struct kv_db **db);

#endif
