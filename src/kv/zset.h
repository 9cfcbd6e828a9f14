#ifndef KV_ZSET_H
#define KV_ZSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/limits.h"
#include "kv/rank_tree.h"

/*
 * Sorted set: members with scores, in the order of (score, member). Ranks count from 0. A small set
 * is packed in one block in that order; a larger one is a table of members and a rank tree, in
 * which a rank or a bound is found in O(log n).
 *
 * No score is NaN. -0 equals 0; it is kept as -0 unless the set is packed, as in Redis.
 */
struct kv_zset;

struct kv_zset_entry {
	struct slice member; /* borrowed, until the set changes */
	double score;
};

/* A place between two entries. Valid until the set changes. */
struct kv_zset_cursor {
	struct rank_cursor tree;        /* used if the set is not packed */
	const unsigned char *from, *to; /* begin and end of the packed block */
	const unsigned char *at; /* the place in the packed block; NULL if the set is not packed */
};

/* Returns owned (kv_zset_free, or kv_zset_free_some until it returns true). */
struct kv_zset *kv_zset_new(void) __attribute__((returns_nonnull, warn_unused_result));
void kv_zset_free(struct kv_zset *z);

/* See struct kv_type_ops. */
bool kv_zset_free_some(void *value, size_t *budget);
size_t kv_zset_count(const void *value);
void *kv_zset_copy(const void *value);

bool kv_zset_is_packed(const struct kv_zset *z);

/* Bytes of all its blocks; for a set that is not packed, an estimate from some members. */
size_t kv_zset_bytes(const struct kv_zset *z);

/* False if there is no such member. */
bool kv_zset_score(const struct kv_zset *z, struct slice member, double *score);
bool kv_zset_rank(const struct kv_zset *z, struct slice member, size_t *rank, double *score);

/* Gives the member this score. True if the member is new. Copies. */
bool kv_zset_put(
    struct kv_zset *z, struct slice member, double score, const struct kv_limits *limits);

/* False if there is no such member. */
bool kv_zset_remove(struct kv_zset *z, struct slice member);

/* Removes the entries with ranks `from` to `to` - 1; `to` is at most the count. */
void kv_zset_remove_ranks(struct kv_zset *z, size_t from, size_t to);

/* The number of entries before the bound. */
size_t kv_zset_count_before(const struct kv_zset *z, const struct rank_bound *bound);

/* Sets the cursor to the place with `rank` entries before it; rank is at most the count. next steps
 * forwards over an entry, prev backwards: false at the end. */
void kv_zset_seek(const struct kv_zset *z, size_t rank, struct kv_zset_cursor *c);
bool kv_zset_next(struct kv_zset_cursor *c, struct kv_zset_entry *entry);
bool kv_zset_prev(struct kv_zset_cursor *c, struct kv_zset_entry *entry);

/* One step of ZSCAN, see kv_table_scan. A packed set is visited as a whole. */
typedef void kv_zset_visit(const struct kv_zset_entry *entry, void *arg);
uint64_t kv_zset_scan(const struct kv_zset *z, uint64_t cursor, kv_zset_visit *visit, void *arg);

/* For tests: true if all invariants of the set hold. */
bool kv_zset_is_sound(const struct kv_zset *z);

#endif
