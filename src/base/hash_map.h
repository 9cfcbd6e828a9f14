#ifndef BASE_HASH_MAP_H
#define BASE_HASH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Hash map from bytes to a pointer, keyed (SipHash-1-3 with a random key of the process), because
 * peers choose the names. It grows and shrinks by incremental rehash (base/buckets.h): an insert
 * takes the same time whatever the size of the map.
 *
 * It keeps each key's hash, 8 bytes. The keyspace uses kv/table.h instead, which saves these bytes
 * and supports SCAN and random choice.
 */
struct hash_map;

struct hash_map *hash_map_new(void);      /* returns owned (hash_map_free) */
void hash_map_free(struct hash_map *map); /* not the values */

/* The value, or NULL if the key is not in the map. */
void *hash_map_get(const struct hash_map *map, struct slice key);

/* Copies key; borrows value, which is not NULL. Returns the previous value, or NULL. */
void *hash_map_set(struct hash_map *map, struct slice key, void *value);

/* Returns the removed value, or NULL. */
void *hash_map_remove(struct hash_map *map, struct slice key);

size_t hash_map_count(const struct hash_map *map);

/* Visits every entry once, in no order. visit may remove the entry that it is given, but no other.
 */
void hash_map_each(
    struct hash_map *map, void (*visit)(struct slice key, void *value, void *arg), void *arg);

/*
 * Empties a map in slices: visits and removes entries, at most *budget, which it lowers. True if
 * the map is empty. After the first call the map is used for nothing else except for
 * hash_map_count() until it is empty.
 */
bool hash_map_drain(struct hash_map *map, void (*visit)(struct slice key, void *value, void *arg),
    void *arg, size_t *budget) __attribute__((warn_unused_result));

#endif
