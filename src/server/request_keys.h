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
 * Keys of a request: how handlers read and change keys. Every handler goes through this module, so
 * that none forgets what belongs to a change: the time limit, the type, clients that watch the key
 * or wait for it, notifications, the append-only file.
 *
 * The rule for a handler that changes a key: change it through the functions here and those of the
 * value's module, then call key_changed (or key_removed, which does both) once for each change
 * that Redis notifies of, in Redis's order. That is all: the command then counts as a write, and
 * goes to the append-only file as it came, unless it says otherwise (request_propagate).
 */

/* Bytes of the longest string that the request may make: proto-max-bulk-len, or, for a command from
 * disk, all that it may ever have been. */
size_t request_max_string(const struct request *rq);

/* A key that ends then has ended. Not while commands are read from disk, where it may yet be given
 * another time: it is removed when they have been. */
bool key_is_over(struct request *rq, int64_t at_ms);

/*
 * Looks a key up; one that is due is removed here, with all that belongs to it, unless writes are
 * paused. NULL: there is none. key_read counts hits and misses and notes the access, key_look
 * counts only, key_write notes the access, key_peek does neither.
 */
struct kv_key *key_look(struct request *rq, struct slice name);
struct kv_key *key_read(struct request *rq, struct slice name);
struct kv_key *key_write(struct request *rq, struct slice name);
struct kv_key *key_peek(struct request *rq, struct kv_db *db, struct slice name);

/* Answers with WRONGTYPE where key is not NULL and of another type; else true. */
bool key_is_of(struct request *rq, const struct kv_key *key, enum kv_type type)
    __attribute__((warn_unused_result));

/*
 * Both in one: the value of a collection. False: it is of another type, and answered. *value is
 * NULL where there is no such key.
 */
bool key_read_value(struct request *rq, struct slice name, enum kv_type type, void **value)
    __attribute__((warn_unused_result));
bool key_write_value(struct request *rq, struct slice name, enum kv_type type, struct kv_key **key,
    void **value) __attribute__((warn_unused_result));

/* A new key with a collection in it (takes value); notifies of "new", and wakes who waits for such
 * a key. Lists and sorted sets that already exist need no waking: nobody waits while there is
 * something. */
struct kv_key *key_add(struct request *rq, struct slice name, enum kv_type type, void *value);

/* RENAME, COPY or MOVE has put this key into db: touches watchers, wakes clients blocked on it and
 * notifies of "new". */
void key_announce_new(struct request *rq, struct kv_db *db, struct kv_key *key);

/* The string value. Leaves the time alone. old as in kv_put_string. */
struct kv_key *key_put_string(
    struct request *rq, struct kv_key *old, struct slice name, struct slice value);

/* Gives `name` this collection, in place of whatever it had, without a time: STOREs. Takes value.
 */
void key_put_value(struct request *rq, struct slice name, enum kv_type type, void *value);

/* The key was changed: event is Redis's name for it ("lpush"), NULL: there is no event. */
void key_changed(struct request *rq, struct slice name, enum key_class class, const char *event);
void key_changed_in(struct request *rq, struct kv_db *db, struct slice name, enum key_class class,
    const char *event);

/* Removes the key and says so as key_changed does ("del", KEY_GENERIC). name may be the key's own.
 */
void key_remove(struct request *rq, struct kv_key *key, const char *event);

/* The keys of databases a and b change places. */
void keys_swap(struct request *rq, uint32_t a, uint32_t b);

#endif
