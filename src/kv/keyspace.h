#ifndef KV_KEYSPACE_H
#define KV_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Keyspace: databases of keys, each with a value of one type and an optional expiry time.
 *
 * Invariant: a collection, but for a stream, is never empty; the caller removes the key with the
 * last element. Time is an argument (ms of Unix time). A key stays after its expiry time until the
 * caller removes it (kv_first_due): so a caller that looks a key up also checks kv_is_due. The
 * keyspace does not know commands, RESP or clients.
 *
 * A struct kv_key pointer is valid until its database changes in any way; a function that may move
 * the key returns its new address.
 */
struct kv;
struct kv_db;
struct kv_key;

enum kv_type { KV_STRING, KV_LIST, KV_SET, KV_ZSET, KV_HASH, KV_STREAM };
#define KV_TYPES 6

/* No expiry time. Every other number is a time, also before 1970. */
#define KV_NEVER INT64_MIN

/* The operations of a type other than KV_STRING. The rows are in types.c. */
struct kv_type_ops {
	const char *name; /* "list", as TYPE replies */
	/* Frees elements until *budget units (one for each element) are used up; true when the
	 * value itself is freed. After the first call the value must not be used otherwise. */
	bool (*free_some)(void *value, size_t *budget);
	size_t (*count)(const void *value);         /* number of elements; of a stream: of units */
	void *(*copy)(const void *value);           /* returns owned */
	const char *(*encoding)(const void *value); /* name for OBJECT ENCODING: "listpack" */
	size_t (*bytes)(const void *value);         /* of all its blocks; may be an estimate */
};

extern const struct kv_type_ops kv_types[KV_TYPES];

struct kv *kv_new(uint32_t databases);
void kv_free(struct kv *kv); /* all at once: at the end of the process, and in tests */

struct kv_db *kv_database(struct kv *kv, uint32_t index); /* index is below databases */
uint32_t kv_databases(const struct kv *kv);
uint32_t kv_db_index(const struct kv_db *db);
size_t kv_db_count(const struct kv_db *db);    /* number of keys, expired ones included */
size_t kv_db_expiring(const struct kv_db *db); /* number of keys with an expiry time */

/* The key, or NULL. Borrows. */
struct kv_key *kv_find(const struct kv_db *db, struct slice name);

struct slice kv_name(const struct kv_key *key);
enum kv_type kv_type_of(const struct kv_key *key);
void *kv_value(const struct kv_key *key); /* not of a KV_STRING */

/*
 * Strings. A short string is stored in the key's own block. kv_string borrows.
 *
 * kv_put_string gives the key this value, in place of any other, and keeps its expiry time. old is
 * the result of kv_find for name, which saves a second look-up; NULL makes a new key.
 *
 * kv_string_room makes the string len bytes long (at least as long as it is) and returns where they
 * can be written. New bytes are 0. It grows by doubling.
 */
struct slice kv_string(const struct kv_key *key);
struct kv_key *kv_put_string(
    struct kv_db *db, struct kv_key *old, struct slice name, struct slice value);
char *kv_string_room(struct kv_db *db, struct kv_key **key, size_t len);
/* True after kv_string_room: OBJECT ENCODING is then "raw". */
bool kv_string_was_grown(const struct kv_key *key);

/* True for a string that Redis would store as an integer. */
bool kv_is_integer(const struct kv_key *key, int64_t *v);

/* The name of the value's encoding, for OBJECT ENCODING. */
const char *kv_encoding(const struct kv_key *key);

/* Bytes of the key and its value; may be an estimate. */
size_t kv_key_bytes(const struct kv_key *key);

/* Adds a key that does not exist (kv_find returned NULL), of any type but KV_STRING. Takes value.
 */
struct kv_key *kv_add(struct kv_db *db, struct slice name, enum kv_type type, void *value);

/* Replaces the value by one of any type but KV_STRING, and frees the old one. old as in
 * kv_put_string. Takes value. Keeps the expiry time. */
struct kv_key *kv_put_value(
    struct kv_db *db, struct kv_key *old, struct slice name, enum kv_type type, void *value);

/* Takes a value that no key has, and frees it as kv_remove does. value may be NULL. */
void kv_free_value(struct kv *kv, enum kv_type type, void *value);

/* Removes the key. A small value is freed at once, a larger one by kv_lazy_free_some. */
void kv_remove(struct kv_db *db, struct kv_key *key);

/* Removes the key, and gives its value and expiry time to a key `name` of db `to`, which must not
 * exist. */
struct kv_key *kv_move(struct kv_db *from, struct kv_key *key, struct kv_db *to, struct slice name);

/* Adds a key `name` with a copy of the value and the expiry time; it must not exist. */
struct kv_key *kv_copy(
    const struct kv_db *from, const struct kv_key *key, struct kv_db *to, struct slice name);

/* The expiry time: ms of Unix time, or KV_NEVER. */
int64_t kv_expiry(const struct kv_db *db, const struct kv_key *key);
struct kv_key *kv_set_expiry(struct kv_db *db, struct kv_key *key, int64_t at_ms);

/* The key with the earliest expiry time of all databases, if it is due; *db is its database. NULL
 * if none is due yet. */
struct kv_key *kv_first_due(struct kv *kv, int64_t now_ms, struct kv_db **db);
int64_t kv_next_expiry(const struct kv *kv); /* the earliest of all keys, or KV_NEVER */

/* Empties the database. kv_lazy_free_some frees the memory. */
void kv_flush(struct kv_db *db);
void kv_swap(struct kv *kv, uint32_t a, uint32_t b);

/* How often the database lost all its keys at once, or was swapped with another. */
uint64_t kv_db_replacements(const struct kv_db *db);

/* Frees about `budget` elements of removed keys and values. True if more is left to free. */
bool kv_lazy_free_some(struct kv *kv, size_t budget);

/* Number of removed keys and large values that kv_lazy_free_some has not freed yet. */
size_t kv_lazy_free_pending(const struct kv *kv);

struct kv_key *kv_random(const struct kv_db *db, uint64_t random); /* NULL if empty */
struct kv_key *kv_random_expiring(
    const struct kv_db *db, uint64_t random); /* a key with an expiry time, or NULL */

typedef bool kv_visit_key(struct kv_key *key, void *arg); /* false ends the walk */
void kv_each(const struct kv_db *db, kv_visit_key *visit, void *arg);
/* One step of SCAN; see kv_table_scan. */
uint64_t kv_scan(const struct kv_db *db, uint64_t cursor, kv_visit_key *visit, void *arg);

/* 24 bits stored with each key, for the eviction policy; 0 in a new key. */
uint32_t kv_access(const struct kv_key *key);
void kv_set_access(struct kv_key *key, uint32_t access);

static inline bool
kv_is_due(const struct kv_db *db, const struct kv_key *key, int64_t now_ms)
{
	int64_t at_ms = kv_expiry(db, key);

	return at_ms != KV_NEVER && at_ms <= now_ms;
}

#endif
