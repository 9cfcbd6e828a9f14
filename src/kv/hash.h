#ifndef KV_HASH_H
#define KV_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/random.h"
#include "kv/limits.h"

/*
 * Hash: values by field. A small hash is one packed block, fields and values in turn, in the order
 * of insertion; a larger one is a table of items, whose payload is the value. A table never becomes
 * packed again.
 *
 * It does not interpret values as numbers: HINCRBY is implemented by its caller. Slices that it
 * returns are borrowed until the hash changes; slices that it is given must not point into it.
 */
struct kv_hash;

struct kv_hash *kv_hash_new(void); /* returns owned (kv_hash_free) */
void kv_hash_free(struct kv_hash *hash);

/* See struct kv_type_ops. */
bool kv_hash_free_some(void *hash, size_t *budget);
size_t kv_hash_count(const void *hash);
void *kv_hash_copy(const void *hash);

bool kv_hash_is_packed(const struct kv_hash *hash);

/* Bytes of all its blocks; for a table, an estimate. */
size_t kv_hash_bytes(const struct kv_hash *hash);

/* False if there is no such field. */
bool kv_hash_get(const struct kv_hash *hash, struct slice field, struct slice *value);

/* Copies both. True if the field is new. */
bool kv_hash_set(
    struct kv_hash *hash, struct slice field, struct slice value, const struct kv_limits *limits);

/* False if there was no such field. */
bool kv_hash_remove(struct kv_hash *hash, struct slice field);

/* False ends the walk. */
typedef bool kv_hash_visit(struct slice field, struct slice value, void *arg);

void kv_hash_each(const struct kv_hash *hash, kv_hash_visit *visit, void *arg);

/* One step, as kv_table_scan. A packed hash is visited as a whole, and the next cursor is 0. */
uint64_t kv_hash_scan(const struct kv_hash *hash, uint64_t cursor, kv_hash_visit *visit, void *arg);

/* A random field. The hash is not empty. */
void kv_hash_random(
    const struct kv_hash *hash, struct random *random, struct slice *field, struct slice *value);

/* `count` distinct fields, at most as many as the hash has. */
void kv_hash_sample(const struct kv_hash *hash, size_t count, struct random *random,
    kv_hash_visit *visit, void *arg);

/* `count` fields, each drawn from all fields, so that one may be drawn several times. The hash is
 * not empty. */
void kv_hash_draw(const struct kv_hash *hash, size_t count, struct random *random,
    kv_hash_visit *visit, void *arg);

#endif
