#ifndef KV_SET_H
#define KV_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/random.h"
#include "kv/limits.h"

/*
 * Set of members. A small set of integers is a sorted array of them, another small set is a packed
 * block in the order of insertion, a larger one is a table of items. A set never returns to a
 * smaller encoding.
 *
 * Slices that it returns are valid until the set changes, those of an integer during the visit
 * only. Slices that it is given must not point into it.
 */
struct kv_set;

enum kv_set_encoding { KV_SET_INTEGERS, KV_SET_PACKED, KV_SET_TABLE };

struct kv_set *kv_set_new(void); /* returns owned (kv_set_free) */
void kv_set_free(struct kv_set *set);

/* See struct kv_type_ops. */
bool kv_set_free_some(void *set, size_t *budget);
size_t kv_set_count(const void *set);
void *kv_set_copy(const void *set);

enum kv_set_encoding kv_set_encoding(const struct kv_set *set);

/* Bytes of all its blocks; for a table, an estimate. */
size_t kv_set_bytes(const struct kv_set *set);

bool kv_set_has(const struct kv_set *set, struct slice member);

/* Copies. True if the member is new. */
bool kv_set_add(struct kv_set *set, struct slice member, const struct kv_limits *limits);

/* False if there was no such member. */
bool kv_set_remove(struct kv_set *set, struct slice member);

/* False ends the walk. */
typedef bool kv_set_visit(struct slice member, void *arg);

/* False if a visit ended the walk. */
bool kv_set_each(const struct kv_set *set, kv_set_visit *visit, void *arg);

/* One step, as kv_table_scan. Unless it is a table, the set is visited as a whole, and the next
 * cursor is 0. */
uint64_t kv_set_scan(const struct kv_set *set, uint64_t cursor, kv_set_visit *visit, void *arg);

/* Visits a random member and removes it. The set is not empty. */
void kv_set_pop(struct kv_set *set, struct random *random, kv_set_visit *visit, void *arg);

/* `count` distinct members, at most as many as the set has. */
void kv_set_sample(
    const struct kv_set *set, size_t count, struct random *random, kv_set_visit *visit, void *arg);

/* `count` members, each drawn from all members, so that one may be drawn several times. The set is
 * not empty. */
void kv_set_draw(
    const struct kv_set *set, size_t count, struct random *random, kv_set_visit *visit, void *arg);

#endif
