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
 * For values of the keyspace: its memory counts towards maxmemory, and an item takes one block.
 * Elsewhere, a hash_map (base/hash_map.h) maps bytes to a pointer, and keeps the hash of each key.
 */
struct random;

struct kv_table {
	struct buckets buckets;
};

/* It holds no memory until something is added, nor when nothing is left in it. */
void kv_table_init(struct kv_table *t);

static inline size_t
kv_table_count(const struct kv_table *t)
{
	return t->buckets.count;
}

/* The item, or NULL. Borrows. */
struct kv_item *kv_table_find(const struct kv_table *t, struct slice key);

/* The link that points to the item's node, to be changed if the item moves in memory; NULL if there
 * is no item. Valid until the table changes. */
struct bucket_node **kv_table_link(const struct kv_table *t, struct slice key);

/* Takes item, whose key is not in the table. */
void kv_table_add(struct kv_table *t, struct kv_item *item);

/* Removes; returns owned, or NULL if there is none. */
struct kv_item *kv_table_take(struct kv_table *t, struct slice key);

/* Some item, at the least cost: who shares a bucket is less likely. random is uniform. NULL if
 * there is none. */
struct kv_item *kv_table_random(const struct kv_table *t, uint64_t random);

/* Some item, each as likely as any other. NULL if there is none. */
struct kv_item *kv_table_draw(const struct kv_table *t, struct random *random);

/* visit may change what is in items, but not the table. False ends it. */
typedef bool kv_visit(struct kv_item *item, void *arg);

/* Every item once, in no order. */
void kv_table_each(const struct kv_table *t, kv_visit *visit, void *arg);

/*
 * One step of SCAN, as Redis's dictScan (cursor counted with its bits reversed): visits a few items
 * from cursor on and returns the next cursor, 0 at the end. Between a 0 and the next one every item
 * that was there all the time is visited at least once, whatever is added, removed or resized in
 * between.
 */
uint64_t kv_table_scan(const struct kv_table *t, uint64_t cursor, kv_visit *visit, void *arg);

/*
 * Takes items out, hands each to release, which frees it and may return more than 1 for the work it
 * was, until *budget units are used up or the table is empty and holds no memory: then true. With
 * no release they are freed as they are (kv_release).
 * Nothing else may be done with the table once this began.
 */
bool kv_table_drain(struct kv_table *t, size_t (*release)(struct kv_item *item, void *arg),
    void *arg, size_t *budget);

/* Bytes of the buckets and the items, by an estimate from some of them. */
size_t kv_table_held_bytes(const struct kv_table *t);

#endif
