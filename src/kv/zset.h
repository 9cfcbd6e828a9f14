#ifndef KV_ZSET_H
#define KV_ZSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/limits.h"
#include "kv/rank_tree.h"

/*
 * Sorted set: members with scores, in the order of (score, member). Ranks count from 0. A small one
 * is packed in one block in that order; a larger one is a table of members and a rank tree, in
 * which each place is found in O(log n).
 *
 * No score is NaN; -0 equals 0, and is kept as it came unless packed, as in Redis.
 */
struct kv_zset;

struct kv_zset_entry {
	struct slice member; /* borrowed, until the set changes */
	double score;
};

/* A place between two entries. Stands until the set changes. */
struct kv_zset_cursor {
	struct rank_cursor tree; /* where the set is not packed */
	const unsigned char *from,
	    *to;                 /* what is before it and behind it of the packed block, ... */
	const unsigned char *at; /* ... NULL: not packed */
};

/* Returns owned (kv_zset_free, or kv_zset_free_some until it says true). */
struct kv_zset *kv_zset_new(void) __attribute__((returns_nonnull, warn_unused_result));
void kv_zset_free(struct kv_zset *z);

/* As struct kv_type_ops says. */
bool kv_zset_free_some(void *value, size_t *budget);
size_t kv_zset_count(const void *value);
void *kv_zset_copy(const void *value);

bool kv_zset_is_packed(const struct kv_zset *z);

/* Of all its blocks; of a large one an estimate from some members. */
size_t kv_zset_bytes(const struct kv_zset *z);

/* False if there is no such member. */
bool kv_zset_score(const struct kv_zset *z, struct slice member, double *score);
bool kv_zset_rank(const struct kv_zset *z, struct slice member, size_t *rank, double *score);

/* Gives the member this score; true if it was not there before. Copies. */
bool kv_zset_put(
    struct kv_zset *z, struct slice member, double score, const struct kv_limits *limits);

/* False if there is none. */
bool kv_zset_remove(struct kv_zset *z, struct slice member);

/* Removes the entries of ranks from to to-1; to is at most the count. */
void kv_zset_remove_ranks(struct kv_zset *z, size_t from, size_t to);

/* How many entries come before the bound. */
size_t kv_zset_count_before(const struct kv_zset *z, const struct rank_bound *bound);

/* To the place with `rank` entries before it, at most the count. next steps forwards over an entry
 * and prev backwards: false at the end. */
void kv_zset_seek(const struct kv_zset *z, size_t rank, struct kv_zset_cursor *c);
bool kv_zset_next(struct kv_zset_cursor *c, struct kv_zset_entry *entry);
bool kv_zset_prev(struct kv_zset_cursor *c, struct kv_zset_entry *entry);

/* One step of ZSCAN, see kv_table_scan; a packed set is visited as a whole. */
typedef void kv_zset_visit(const struct kv_zset_entry *entry, void *arg);
uint64_t kv_zset_scan(const struct kv_zset *z, uint64_t cursor, kv_zset_visit *visit, void *arg);

/* For tests: everything that must hold of it does. */
bool kv_zset_is_sound(const struct kv_zset *z);

#endif
