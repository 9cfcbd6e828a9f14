#ifndef KV_KEYSPACE_H
#define KV_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Keyspace: databases of keys, each with a value of one type, and perhaps a time at which it ends.
 *
 * Invariant: a value that is a collection is never empty, its caller removes the key with the last
 * element. Time is an argument (ms of Unix time); what is due stays until its caller removes it
 * (kv_first_due): so who looks a key up asks kv_is_due. It knows no command, no RESP and no client.
 *
 * A struct kv_key pointer stands until its database changes in any way; functions that may move the
 * key return it anew.
 */
struct kv;
struct kv_db;
struct kv_key;

enum kv_type { KV_STRING, KV_LIST, KV_SET, KV_ZSET, KV_HASH };
#define KV_TYPES 5

/* No time at all; every other number is one, those before 1970 too. */
#define KV_NEVER INT64_MIN

/* What the keyspace has to know of a type but KV_STRING. The rows are in types.c. */
struct kv_type_ops {
	const char *name; /* "list", as TYPE says it */
	/* Frees elements until *budget units (an element each) are used up; true when the value
	 * itself is freed. Nothing else is done with the value once this began. */
	bool (*free_some)(void *value, size_t *budget);
	size_t (*count)(const void *value); /* of elements */
	void *(*copy)(const void *value);   /* returns owned */
	const char *(*encoding)(
	    const void *value);             /* in the words of OBJECT ENCODING: "listpack" */
	size_t (*bytes)(const void *value); /* of all its blocks, perhaps an estimate */
};

extern const struct kv_type_ops kv_types[KV_TYPES];

struct kv *kv_new(uint32_t databases);
void kv_free(struct kv *kv); /* all at once: for the end of the process and for tests */

struct kv_db *kv_database(struct kv *kv, uint32_t index); /* index is below databases */
uint32_t kv_databases(const struct kv *kv);
uint32_t kv_db_index(const struct kv_db *db);
size_t kv_db_count(const struct kv_db *db);    /* keys, those that are due included */
size_t kv_db_expiring(const struct kv_db *db); /* keys that end some time */

/* The key, or NULL. Borrows. */
struct kv_key *kv_find(const struct kv_db *db, struct slice name);

struct slice kv_name(const struct kv_key *key);
enum kv_type kv_type_of(const struct kv_key *key);
void *kv_value(const struct kv_key *key); /* of any type but KV_STRING */

/*
 * Strings. A short one stands in the key's own block. kv_string borrows.
 *
 * kv_put_string gives the key this value, whatever it had, and leaves its time alone. old is what
 * kv_find says of name, to spare a second look-up: NULL makes a new key.
 *
 * kv_string_room makes the string len bytes long (at least as long as it is), new bytes are 0, and
 * returns where they can be written. It grows by doubling.
 */
struct slice kv_string(const struct kv_key *key);
struct kv_key *kv_put_string(
    struct kv_db *db, struct kv_key *old, struct slice name, struct slice value);
char *kv_string_room(struct kv_db *db, struct kv_key **key, size_t len);
/* True after kv_string_room: OBJECT ENCODING says "raw" of it. */
bool kv_string_was_grown(const struct kv_key *key);

/* True for a string that Redis would keep as an integer. */
bool kv_is_integer(const struct kv_key *key, int64_t *v);

/* The name of the value's encoding, as OBJECT ENCODING says it. */
const char *kv_encoding(const struct kv_key *key);

/* Bytes of the key and of its value, perhaps an estimate. */
size_t kv_key_bytes(const struct kv_key *key);

/* A new key (kv_find said NULL) of any type but KV_STRING. Takes value. */
struct kv_key *kv_add(struct kv_db *db, struct slice name, enum kv_type type, void *value);

/* Another value, of any type but KV_STRING; the old one is freed. Takes value. Leaves the time
 * alone. */
struct kv_key *kv_put_value(
    struct kv_db *db, struct kv_key *old, struct slice name, enum kv_type type, void *value);

/* Takes a value that belongs to no key, and frees it as kv_remove does. value may be NULL. */
void kv_free_value(struct kv *kv, enum kv_type type, void *value);

/* Removes the key. A small value is freed at once, a larger one by kv_lazy_free_some. */
void kv_remove(struct kv_db *db, struct kv_key *key);

/* Removes the key, and gives its value with its time to a key `name` of db `to`, in which there is
 * none. */
struct kv_key *kv_move(struct kv_db *from, struct kv_key *key, struct kv_db *to, struct slice name);

/* A copy of the value, with its time, to a new key. */
struct kv_key *kv_copy(
    const struct kv_db *from, const struct kv_key *key, struct kv_db *to, struct slice name);

/* When the key ends: ms of Unix time or KV_NEVER. */
int64_t kv_expiry(const struct kv_db *db, const struct kv_key *key);
struct kv_key *kv_set_expiry(struct kv_db *db, struct kv_key *key, int64_t at_ms);

/* The key that was due first in any database, which is then in *db; NULL if none is due yet. */
struct kv_key *kv_first_due(struct kv *kv, int64_t now_ms, struct kv_db **db);
int64_t kv_next_expiry(const struct kv *kv); /* of any key, or KV_NEVER */

/* Empties the database. kv_lazy_free_some frees the memory. */
void kv_flush(struct kv_db *db);
void kv_swap(struct kv *kv, uint32_t a, uint32_t b);

/* How often the database lost all of its keys at once, or got those of another one. */
uint64_t kv_db_replacements(const struct kv_db *db);

/* Frees about `budget` elements of what was removed. True if more is left to free. */
bool kv_lazy_free_some(struct kv *kv, size_t budget);

/* Number of removed keys and large values that kv_lazy_free_some has not freed yet. */
size_t kv_lazy_free_pending(const struct kv *kv);

struct kv_key *kv_random(const struct kv_db *db, uint64_t random);          /* NULL: empty */
struct kv_key *kv_random_expiring(const struct kv_db *db, uint64_t random); /* with a time */

typedef bool kv_visit_key(struct kv_key *key, void *arg); /* false ends it */
void kv_each(const struct kv_db *db, kv_visit_key *visit, void *arg);
/* One step of SCAN; see kv_table_scan. */
uint64_t kv_scan(const struct kv_db *db, uint64_t cursor, kv_visit_key *visit, void *arg);

/* 24 bits beside each key, for whoever decides what to evict; 0 in a new key. */
uint32_t kv_access(const struct kv_key *key);
void kv_set_access(struct kv_key *key, uint32_t access);

static inline bool
kv_is_due(const struct kv_db *db, const struct kv_key *key, int64_t now_ms)
{
	int64_t at_ms = kv_expiry(db, key);

	return at_ms != KV_NEVER && at_ms <= now_ms;
}

#endif
