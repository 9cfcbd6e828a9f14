#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Watch: which keys clients watch (WATCH), and whether one of them was changed since.
 *
 * A watched key has a count of changes; a watch remembers what it was. So a change costs one
 * look-up, however many clients watch the key, and none where nobody watches anything. A database
 * that is emptied or swapped counts as one change of its own: what that means for a key is found by
 * EXEC, so that FLUSHALL and SWAPDB cost nothing, however many keys are watched. A key whose time
 * is up does not exist for a watch, whether it was removed already or not. Where two swaps bring a
 * key and take it away again, EXEC goes on, unlike in Redis: the key is what it was.
 *
 * Invariant: a key is in server->watched as long as somebody watches it.
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

/* Copies name; exists: the key is there, and not due. False: the client watches as many keys as it
 * may. */
bool watch_add(struct server *server, struct client_watch *own, uint32_t db, struct slice name,
    bool exists) __attribute__((warn_unused_result));
void watch_clear(struct server *server, struct client_watch *own);

/* The key was changed, came to be, or went for another reason than its time. */
void watch_touched(struct server *server, const struct kv_db *db, struct slice name);

/*
 * Whether EXEC must fail: a watched key was changed, or is there now and was not, or the reverse.
 * _was_touched looks at no key, and does not know what a time that was up or a swap did to a key
 * that was not there. Both cost a look at every key that the client watches.
 */
bool watch_is_broken(const struct server *server, const struct client_watch *own, int64_t now_ms);
bool watch_was_touched(const struct server *server, const struct client_watch *own);

#endif
