#ifndef SERVER_TRACKING_TABLE_H
#define SERVER_TRACKING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buckets.h"
#include "base/bytes.h"

/*
 * Tracking table: which clients have read which keys. It knows keys by their names only, as Redis
 * does: the number of the database does not count. It does not know clients, only owners of items.
 *
 * An item is a pair of a key and an owner; it is in the key's list, in the owner's list, and in a
 * hash table of its own, so that adding one takes the same time whatever the number of clients and
 * keys. Clearing the table takes no time: keys of an earlier generation count as absent, and
 * are freed in slices.
 */
struct random;
struct tracked_key;

struct tracking_item {
	struct bucket_node node; /* first */
	struct tracked_key *key;
	struct tracking_owner *owner;
	LIST_ENTRY(tracking_item) of_key, of_owner;
};

LIST_HEAD(tracking_items, tracking_item);

/* Embedded in whatever reads keys. Zeroed, it has no items. */
struct tracking_owner {
	struct tracking_items items;
};

struct tracked_key {
	struct bucket_node node; /* first */
	uint64_t hash;
	TAILQ_ENTRY(tracked_key) all;
	struct tracking_items items;
	uint32_t generation;
	size_t len;
	char name[];
};

TAILQ_HEAD(tracked_keys, tracked_key);

struct tracking_table {
	struct buckets keys, items;
	struct tracked_keys all; /* the oldest generation first */
	uint32_t generation;
	size_t count;      /* keys of this generation */
	size_t weight;     /* the same; a key counts once more for each 256 bytes of its name */
	size_t item_count; /* their items */
};

void tracking_table_init(struct tracking_table *table);
void tracking_table_release(struct tracking_table *table); /* with all keys and items */

/* The owner has read this key. Copies name. */
void tracking_table_add(
    struct tracking_table *table, struct tracking_owner *owner, struct slice name);

/* NULL: nobody has read it. */
struct tracked_key *tracking_table_find(struct tracking_table *table, struct slice name);

/* Any of the keys, or, while cleared ones are being freed, the newest; NULL: there are none. */
struct tracked_key *tracking_table_random(struct tracking_table *table, struct random *random);

/* Removes the key and its items. */
void tracking_table_remove(struct tracking_table *table, struct tracked_key *key);

/* Removes all keys. tracking_table_tidy() frees them, at most *budget keys and items, which it
 * lowers; true if none is left to be freed. */
void tracking_table_clear(struct tracking_table *table);
bool tracking_table_tidy(struct tracking_table *table, size_t *budget);

/* Removes the items of an owner, at most *budget, which it lowers. True if none is left. */
bool tracking_table_forget(struct tracking_table *table, struct tracking_owner *owner,
    size_t *budget) __attribute__((warn_unused_result));

#endif
