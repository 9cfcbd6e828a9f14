#ifndef SERVER_REQUEST_KEYS_H
#define SERVER_REQUEST_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/keyspace.h"
#include "server/key_event.h"
#include "server/request.h"

/*
 * Keys of a request: how handlers read and change keys. Every handler uses this module, so that
 * none forgets a part of a change: the expiry, the type, clients that watch, cache or wait for the
 * key, notifications, the append-only file.
 *
 * Rules for a handler that changes a key: change it through the functions here and those of the
 * value's module, then call key_changed (or key_remove, which does both) once for each change that
 * Redis notifies of, in Redis's order. The command then counts as a write, and is logged as it
 * came, unless request_propagate logs something else.
 */

/*
 * The longest string that the request may create, in bytes: proto-max-bulk-len, or, for a command
 * replayed from disk, its largest value.
 */
size_t request_max_string(const struct request *rq);

/*
 * True if a key with this expiry has expired. Never during a replay from disk, where a later
 * command may change the expiry: expired keys are removed after it.
 */
bool key_is_over(struct request *rq, int64_t at_ms);

/*
 * Look up a key; an expired one is removed here, as key_expire does, unless writes are paused.
 * NULL: no such key. key_read counts hits and misses and notes the access, key_look counts only,
 * key_write notes the access, key_peek does neither.
 */
struct kv_key *key_look(struct request *rq, struct slice name);
struct kv_key *key_read(struct request *rq, struct slice name);
struct kv_key *key_write(struct request *rq, struct slice name);
struct kv_key *key_peek(struct request *rq, struct kv_db *db, struct slice name);

/* Returns false after replying with WRONGTYPE if key is not NULL and of another type. */
bool key_is_of(struct request *rq, const struct kv_key *key, enum kv_type type)
    __attribute__((warn_unused_result));

/*
 * Look up a key and check its type. Returns false after replying with an error if it is of another
 * type. *value is NULL if there is no such key.
 */
bool key_read_value(struct request *rq, struct slice name, enum kv_type type, void **value)
    __attribute__((warn_unused_result));
bool key_write_value(struct request *rq, struct slice name, enum kv_type type, struct kv_key **key,
    void **value) __attribute__((warn_unused_result));

/*
 * Adds a key with a collection (takes value), notifies of "new", and wakes clients that wait for
 * such a key. A change of an existing list or sorted set wakes no client, because clients wait only
 * while there is no key of their type.
 */
struct kv_key *key_add(struct request *rq, struct slice name, enum kv_type type, void *value);

/* RENAME, COPY or MOVE has put this key into db: touches watchers, wakes clients blocked on it and
 * notifies of "new". */
void key_announce_new(struct request *rq, struct kv_db *db, struct kv_key *key);

/* Sets the string value and keeps the expiry. old as in kv_put_string. */
struct kv_key *key_put_string(
    struct request *rq, struct kv_key *old, struct slice name, struct slice value);

/*
 * For STORE commands: replaces the value of `name`, if any, by this collection without an expiry.
 * Takes value.
 */
void key_put_value(struct request *rq, struct slice name, enum kv_type type, void *value);

/* The key was changed; event is Redis's name ("lpush"), or NULL: no event. */
void key_changed(struct request *rq, struct slice name, enum key_class class, const char *event);
void key_changed_in(struct request *rq, struct kv_db *db, struct slice name, enum key_class class,
    const char *event);

/*
 * Removes the key and does what key_changed does ("del", KEY_GENERIC). name may be the key's own.
 */
void key_remove(struct request *rq, struct kv_key *key, const char *event);

/* Swaps the keys of databases a and b. */
void keys_swap(struct request *rq, uint32_t a, uint32_t b);

#endif
