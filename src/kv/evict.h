#ifndef KV_EVICT_H
#define KV_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "kv/keyspace.h"

/*
 * Eviction: how a key was used, in the 24 bits beside it (kv_access), and which key should go first
 * when memory is short. As Redis does both: the last use in seconds (LRU); or a count of uses that
 * grows ever more slowly, in 8 bits, with the minute in which it was last looked at, in 16 (LFU).
 *
 * It removes nothing and reads no clock: now_s is in seconds, of any clock that only goes forward.
 * All of it wraps around, as Redis's does: after 194 days a key seems to have been used just now.
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

struct kv_evict_rules {
	uint32_t policy;     /* enum kv_policy; volatile: only keys that end some time */
	uint32_t samples;    /* keys looked at for each that goes, at least 1 */
	uint32_t log_factor; /* the larger, the more uses it takes to count one more */
	uint32_t decay_min;  /* minutes without use after which one less counts; 0: never */
};

bool kv_policy_counts_uses(uint32_t policy);    /* LFU */
bool kv_policy_counts_seconds(uint32_t policy); /* LRU */

/* kv_access of a new key, and of one that is used again. */
uint32_t kv_use_first(const struct kv_evict_rules *rules, uint64_t now_s);
uint32_t kv_use_again(
    const struct kv_evict_rules *rules, uint32_t access, uint64_t now_s, struct random *random);

/* What access means under LRU, and under LFU (0 to 255). */
uint32_t kv_use_idle_s(uint32_t access, uint64_t now_s);
uint32_t kv_use_count(const struct kv_evict_rules *rules, uint32_t access, uint64_t now_s);

/* Chooses. What it saw and did not take it remembers, so that its choices get better than those of
 * the last samples alone. */
struct kv_evictor;

struct kv_evictor *kv_evictor_new(struct kv *kv); /* borrows; returns owned (kv_evictor_free) */
void kv_evictor_free(struct kv_evictor *e);

/* The key that should go, in *db; NULL: by this policy there is none. volatile-ttl is exact. */
struct kv_key *kv_evictor_pick(struct kv_evictor *e, const struct kv_evict_rules *rules,
    uint64_t now_s, struct random *random, struct kv_db **db);

#endif
