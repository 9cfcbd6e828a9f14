#ifndef KV_TABLE_H
#define KV_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buckets.h"
#include "base/bytes.h"
#include "kv/item.h"

/*
 * Table: items by key, with SCAN, random choice and an estimate of its memory. Hashing is keyed
 * (SipHash-1-3, one secret per process), because peers choose the keys. It grows and shrinks by
 * incremental rehash (base/buckets.h). The items are the caller's: the table only links them.
 *
 * It is for values of the keyspace: its memory counts towards maxmemory, and an item takes one
 * block. Other modules use a hash_map (base/hash_map.h), which maps bytes to a pointer and keeps
 * the hash of each key.
 */
struct random;

struct kv_table {
	struct buckets buckets;
};

/* An empty table holds no memory. */
void kv_table_init(struct kv_table *t);

static inline size_t
kv_table_count(const struct kv_table *t)
{
	return t->buckets.count;
}

/* The item with this key, or NULL. Borrows. */
struct kv_item *kv_table_find(const struct kv_table *t, struct slice key);

/* The link that points to the item's node, to be changed if the item moves in memory; NULL if there
 * is no item. Valid until the table changes. */
struct bucket_node **kv_table_link(const struct kv_table *t, struct slice key);

/* Takes item, whose key must not be in the table. */
void kv_table_add(struct kv_table *t, struct kv_item *item);

/* Removes the item and returns it owned; NULL if there is none. */
struct kv_item *kv_table_take(struct kv_table *t, struct slice key);

/* A random item, at the lowest cost: an item that shares its bucket is less likely. random is
 * uniform. NULL if the table is empty. */
struct kv_item *kv_table_random(const struct kv_table *t, uint64_t random);

/* A random item, each equally likely. NULL if the table is empty. */
struct kv_item *kv_table_draw(const struct kv_table *t, struct random *random);

/* visit may change the payload of items, but not the table. False ends the walk. */
typedef bool kv_visit(struct kv_item *item, void *arg);

/* Visits every item once, in no order. */
void kv_table_each(const struct kv_table *t, kv_visit *visit, void *arg);

/*
 * One step of SCAN, as Redis's dictScan (cursor counted with its bits reversed): visits a few items
 * from cursor on and returns the next cursor, 0 at the end. Between two returns of 0, every item
 * that is in the table all the time is visited at least once, whatever is added, removed or resized
 * meanwhile.
 */
uint64_t kv_table_scan(const struct kv_table *t, uint64_t cursor, kv_visit *visit, void *arg);

/*
 * Removes items and passes each to release, which frees it and returns the cost, usually 1, until
 * *budget is used up (false) or the table is empty and holds no memory (true). If release is NULL,
 * items are freed by kv_release. After the first call the table must not be used otherwise.
 */
bool kv_table_drain(struct kv_table *t, size_t (*release)(struct kv_item *item, void *arg),
    void *arg, size_t *budget);

/* Bytes of the buckets and the items, estimated from some of the items. */
size_t kv_table_held_bytes(const struct kv_table *t);

#endif
