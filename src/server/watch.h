#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Watch: the keys that clients watch (WATCH), and whether one of them was changed since.
 *
 * A watched key counts its changes; a watch remembers the count. So a change costs one look-up,
 * however many clients watch the key, and nothing if no key is watched. Emptying or swapping a
 * database counts as one change of the database: EXEC then checks whether its keys are concerned,
 * so the cost of FLUSHALL and SWAPDB does not grow with the number of watched keys. For a watch an
 * expired key does not exist, whether it was removed already or not. If one swap brings a key and
 * another takes it away again, EXEC succeeds, unlike in Redis, because the key is what it was
 * before.
 *
 * Invariant: a key is in server->watched while a client watches it.
 */
struct hash_map;
struct kv_db;
struct server;

struct watched_key {
	uint64_t changes;
	uint32_t watchers;
	uint32_t id_len;
	char id[]; /* the database's number, 4 bytes, and the name */
};

struct client_watch {
	struct hash_map *keys; /* pointer to a watched key -> struct watch; NULL: none */
	uint32_t count;
};

/*
 * Copies name; exists: the key exists and is not expired. False: the client watches the maximum of
 * keys.
 */
bool watch_add(struct server *server, struct client_watch *own, uint32_t db, struct slice name,
    bool exists) __attribute__((warn_unused_result));
void watch_clear(struct server *server, struct client_watch *own);

/* The key was changed, created, or removed for another reason than its expiry. */
void watch_touched(struct server *server, const struct kv_db *db, struct slice name);

/*
 * True if EXEC must fail: a watched key was changed, created or removed. _was_touched looks up no
 * key, and does not see the effect of an expiry or of a swap on a key that did not exist. Both take
 * time in proportion to the keys that the client watches.
 */
bool watch_is_broken(const struct server *server, const struct client_watch *own, int64_t now_ms);
bool watch_was_touched(const struct server *server, const struct client_watch *own);

#endif
