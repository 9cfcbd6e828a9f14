#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Watch: which keys clients watch (WATCH), and whether one of them was changed since.
 *
 * A watched key has a count of changes; who watches remembers what it was. So a change costs one
 * look-up, however many watch the key, and none where nobody watches anything. Invariant: a key is
 * in server->watched as long as somebody watches it.
 */
struct client;
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

/* Copies name. False: the client watches as many keys as it may. */
bool watch_add(struct client *c, uint32_t db, struct slice name)
    __attribute__((warn_unused_result));
void watch_clear(struct client *c);

/* The key was changed, came to be or went. */
void watch_touched(struct server *server, const struct kv_db *db, struct slice name);

/* db is about to lose all of its keys, or to change them for those of `with` (else NULL): touches
 * those that are in one of them. Costs a look at every watched key. */
void watch_flushed(
    struct server *server, const struct kv_db *db, const struct kv_db *with, int64_t now_ms);

/* Whether a watched key was touched; or, what nobody may have seen yet, is due. Costs a look at
 * every key that the client watches. */
bool watch_was_touched(const struct client *c);
bool watch_has_due(const struct client *c, int64_t now_ms);

#endif
