#include "config.h"

#include "kv/keyspace.h"

#include <assert.h>

#include "base/time_queue.h"
#include "kv/key.h"
#include "kv/lazy_free.h"
#include "kv/memory.h"
#include "kv/table.h"

struct kv_db {
	struct kv *kv;
	uint32_t index;
	uint64_t replacements; /* see kv_db_replacements */
	struct kv_table keys;
	struct time_queue expiry; /* of keys; ms of Unix time */
};

struct kv {
	struct kv_lazy_list lazy;
	uint32_t count; /* of databases */
	struct kv_db databases[];
};

static void
note_place(void *thing, uint32_t place)
{
	struct kv_key *key = thing;

	memcpy(kv_item_payload(&key->item), &place, sizeof(place));
}

static const struct time_queue_ops expiry_ops = {
    .moved = note_place, .realloc = kv_realloc, .free = kv_release};

static uint32_t
place_of(const struct kv_key *key)
{
	uint32_t place;

	memcpy(&place, key_value_at(key) - KEY_PLACE_LEN, sizeof(place));
	return place;
}

struct kv *
kv_new(uint32_t databases)
{
	struct kv *kv = kv_calloc(1, sizeof(*kv) + databases * sizeof(kv->databases[0]));
	uint32_t i;

	kv->count = databases;
	for (i = 0; i < databases; i++) {
		kv->databases[i].kv = kv;
		kv->databases[i].index = i;
		kv_table_init(&kv->databases[i].keys);
		time_queue_init(&kv->databases[i].expiry, &expiry_ops);
	}
	return kv;
}

void
kv_free(struct kv *kv)
{
	uint32_t i;

	for (i = 0; i < kv->count; i++)
		kv_flush(&kv->databases[i]);
	if (kv_lazy_free_some(kv, SIZE_MAX))
		assert(!"all is freed");
	kv_release(kv);
}

struct kv_db *
kv_database(struct kv *kv, uint32_t index)
{
	assert(index < kv->count);
	return &kv->databases[index];
}

uint32_t
kv_databases(const struct kv *kv)
{
	return kv->count;
}

uint32_t
kv_db_index(const struct kv_db *db)
{
	return db->index;
}

size_t
kv_db_count(const struct kv_db *db)
{
	return kv_table_count(&db->keys);
}

size_t
kv_db_expiring(const struct kv_db *db)
{
	return db->expiry.count;
}

struct kv_key *
kv_find(const struct kv_db *db, struct slice name)
{
	return (struct kv_key *)kv_table_find(&db->keys, name);
}

struct slice
kv_name(const struct kv_key *key)
{
	return kv_item_key(&key->item);
}

enum kv_type
kv_type_of(const struct kv_key *key)
{
	return (enum kv_type)((key->item.meta & KEY_TYPE_MASK) >> KEY_TYPE_SHIFT);
}

void *
kv_value(const struct kv_key *key)
{
	assert(kv_type_of(key) != KV_STRING);
	return key_pointer(key);
}

/* Takes value. The caller has freed the old one. */
static void
set_value(struct kv_key *key, void *value)
{
	assert((key->item.meta & KEY_EMBEDDED) == 0);
	memcpy(key_value_at(key), &value, sizeof(value));
}

uint32_t
kv_access(const struct kv_key *key)
{
	return key->item.meta & KEY_ACCESS_MASK;
}

void
kv_set_access(struct kv_key *key, uint32_t access)
{
	key->item.meta = (key->item.meta & ~KEY_ACCESS_MASK) | (access & KEY_ACCESS_MASK);
}

static void
set_type(struct kv_key *key, enum kv_type type)
{
	key->item.meta = (key->item.meta & ~(KEY_TYPE_MASK | KEY_EMBEDDED | KEY_GROWN)) |
			 (uint32_t)type << KEY_TYPE_SHIFT;
}

/* The bytes that the value takes in the item. */
static size_t
value_len(const struct kv_key *key)
{
	const unsigned char *at = key_value_at(key);
	uint64_t len;

	if ((key->item.meta & KEY_EMBEDDED) == 0)
		return sizeof(void *);
	return (size_t)(kv_varint_get(at, &len) - at) + (size_t)len;
}

/* Makes room for a value of len bytes behind the place in the time queue; the key may move. */
static struct kv_key *
resize_key(struct kv_db *db, struct kv_key *key, size_t len)
{
	size_t place_len = (key->item.meta & KEY_EXPIRES) != 0 ? KEY_PLACE_LEN : 0;
	size_t room = kv_item_room(&key->item);
	struct bucket_node **link;

	len += place_len;
	/* Shrinking by a few bytes gains nothing. */
	if (len <= room && len * 2 + 64 > room)
		return key;
	link = kv_table_link(&db->keys, kv_name(key));
	key = (struct kv_key *)kv_item_resize(&key->item, len);
	*link = &key->item.node;
	if (place_len > 0)
		time_queue_at(&db->expiry, place_of(key))->thing = key;
	return key;
}

/* Frees the value unless it is stored in the item, and makes room for another of len bytes there.
 */
static struct kv_key *
drop_value(struct kv_db *db, struct kv_key *key, size_t len)
{
	if ((key->item.meta & KEY_EMBEDDED) == 0)
		kv_lazy_list_add_value(&db->kv->lazy, kv_type_of(key), key_pointer(key));
	return resize_key(db, key, len);
}

static struct kv_key *
new_key(struct kv_db *db, struct slice name, size_t len)
{
	struct kv_item *item = kv_item_new(name, len);

	kv_table_add(&db->keys, item);
	return (struct kv_key *)item;
}

struct slice
kv_string(const struct kv_key *key)
{
	const struct kv_text *text;
	const unsigned char *at;
	uint64_t len;

	assert(kv_type_of(key) == KV_STRING);
	if ((key->item.meta & KEY_EMBEDDED) != 0) {
		at = kv_varint_get(key_value_at(key), &len);
		return (struct slice){(const char *)at, (size_t)len};
	}
	text = key_pointer(key);
	return (struct slice){text->bytes, text->len};
}

bool
kv_string_was_grown(const struct kv_key *key)
{
	return (key->item.meta & KEY_GROWN) != 0;
}

static void
embed(struct kv_key *key, struct slice value)
{
	unsigned char *at = kv_varint_put(key_value_at(key), value.len);

	if (value.len > 0)
		memcpy(at, value.ptr, value.len);
	key->item.meta |= KEY_EMBEDDED;
}

static struct kv_text *
new_text(struct slice value, size_t cap)
{
	struct kv_text *text =
	    cap > value.len ? kv_calloc(1, sizeof(*text) + cap) : kv_malloc(sizeof(*text) + cap);

	text->len = value.len;
	text->cap = cap;
	if (value.len > 0)
		memcpy(text->bytes, value.ptr, value.len);
	return text;
}

struct kv_key *
kv_put_string(struct kv_db *db, struct kv_key *old, struct slice name, struct slice value)
{
	bool embeds = value.len <= KEY_EMBED_MAX;
	size_t len = embeds ? kv_varint_len(value.len) + value.len : sizeof(void *);
	struct kv_text *text = embeds ? NULL : new_text(value, value.len);
	struct kv_key *key = old != NULL ? drop_value(db, old, len) : new_key(db, name, len);

	set_type(key, KV_STRING);
	if (embeds)
		embed(key, value);
	else
		set_value(key, text);
	return key;
}

/* Doubles the length, but adds 1 MiB at most. */
static size_t
room_for(size_t len)
{
	static const size_t most = 1 << 20;

	return len < most ? len * 2 : len + most;
}

/* Moves the string from the item to a block of its own, or grows that block. */
static char *
grow_text(struct kv_db *db, struct kv_key **key, size_t len)
{
	struct kv_text *text;

	if ((*key)->item.meta & KEY_EMBEDDED) {
		text = new_text(kv_string(*key), room_for(len));
		*key = resize_key(db, *key, sizeof(text));
		(*key)->item.meta &= ~KEY_EMBEDDED;
	} else {
		text = key_pointer(*key);
		if (len > text->cap) {
			size_t cap = room_for(len);

			text = kv_realloc(text, sizeof(*text) + cap);
			text->cap = cap;
		}
		memset(text->bytes + text->len, 0, len - text->len);
	}
	text->len = len;
	set_value(*key, text);
	return text->bytes;
}

char *
kv_string_room(struct kv_db *db, struct kv_key **key, size_t len)
{
	size_t was = kv_string(*key).len;
	unsigned char *at;

	assert(len >= was);
	if (len == 0 || ((*key)->item.meta & KEY_EMBEDDED) == 0 || len > KEY_EMBED_MAX) {
		char *bytes = grow_text(db, key, len);

		(*key)->item.meta |= KEY_GROWN;
		return bytes;
	}
	*key = resize_key(db, *key, kv_varint_len(len) + len);
	at = key_value_at(*key);
	/* The varint of its length may be one byte longer now. */
	memmove(at + kv_varint_len(len), at + kv_varint_len(was), was);
	at = kv_varint_put(at, len);
	memset(at + was, 0, len - was);
	(*key)->item.meta |= KEY_GROWN;
	return (char *)at;
}

struct kv_key *
kv_add(struct kv_db *db, struct slice name, enum kv_type type, void *value)
{
	struct kv_key *key = new_key(db, name, sizeof(value));

	assert(type != KV_STRING);
	set_type(key, type);
	set_value(key, value);
	return key;
}

struct kv_key *
kv_put_value(
    struct kv_db *db, struct kv_key *old, struct slice name, enum kv_type type, void *value)
{
	struct kv_key *key;

	if (old == NULL)
		return kv_add(db, name, type, value);
	key = drop_value(db, old, sizeof(value));
	set_type(key, type);
	set_value(key, value);
	return key;
}

/* Takes the key out of the table and the time queue; it keeps its value. */
static void
take_out(struct kv_db *db, struct kv_key *key)
{
	if ((key->item.meta & KEY_EXPIRES) != 0)
		time_queue_remove(&db->expiry, place_of(key));
	if (kv_table_take(&db->keys, kv_name(key)) != &key->item)
		assert(!"a key is in its database");
}

void
kv_free_value(struct kv *kv, enum kv_type type, void *value)
{
	if (value != NULL)
		kv_lazy_list_add_value(&kv->lazy, type, value);
}

void
kv_remove(struct kv_db *db, struct kv_key *key)
{
	take_out(db, key);
	if ((key->item.meta & KEY_EMBEDDED) == 0)
		kv_lazy_list_add_value(&db->kv->lazy, kv_type_of(key), key_pointer(key));
	kv_release(key);
}

/* Makes a key `name` of `to` with the meta and the value, as it is stored in the item, of another
 * one. */
static struct kv_key *
same_value(const struct kv_key *key, struct kv_db *to, struct slice name)
{
	size_t len = value_len(key);
	struct kv_key *made;

	assert(kv_find(to, name) == NULL);
	made = new_key(to, name, len);
	made->item.meta = key->item.meta & ~KEY_EXPIRES;
	memcpy(key_value_at(made), key_value_at(key), len);
	return made;
}

struct kv_key *
kv_move(struct kv_db *from, struct kv_key *key, struct kv_db *to, struct slice name)
{
	int64_t at_ms = kv_expiry(from, key);
	struct kv_key *made;

	take_out(from, key);
	made = kv_set_expiry(to, same_value(key, to, name), at_ms);
	kv_release(key);
	return made;
}

struct kv_key *
kv_copy(const struct kv_db *from, const struct kv_key *key, struct kv_db *to, struct slice name)
{
	enum kv_type type = kv_type_of(key);
	struct kv_key *made = same_value(key, to, name);

	if (type != KV_STRING)
		set_value(made, kv_types[type].copy(key_pointer(key)));
	else if ((key->item.meta & KEY_EMBEDDED) == 0)
		set_value(made, new_text(kv_string(key), kv_string(key).len));
	return kv_set_expiry(to, made, kv_expiry(from, key));
}

int64_t
kv_expiry(const struct kv_db *db, const struct kv_key *key)
{
	if ((key->item.meta & KEY_EXPIRES) == 0)
		return KV_NEVER;
	return time_queue_at(&db->expiry, place_of(key))->at;
}

/* Moves the value to make room for the key's place in the time queue. */
static struct kv_key *
begin_expiring(struct kv_db *db, struct kv_key *key, int64_t at_ms)
{
	size_t len = value_len(key);
	unsigned char *at;

	key = resize_key(db, key, len + KEY_PLACE_LEN);
	at = key_value_at(key);
	memmove(at + KEY_PLACE_LEN, at, len);
	key->item.meta |= KEY_EXPIRES;
	time_queue_add(&db->expiry, key, at_ms);
	return key;
}

struct kv_key *
kv_set_expiry(struct kv_db *db, struct kv_key *key, int64_t at_ms)
{
	unsigned char *at;

	if ((key->item.meta & KEY_EXPIRES) == 0)
		return at_ms == KV_NEVER ? key : begin_expiring(db, key, at_ms);
	if (at_ms != KV_NEVER) {
		time_queue_change(&db->expiry, place_of(key), at_ms);
		return key;
	}
	time_queue_remove(&db->expiry, place_of(key));
	at = key_value_at(key);
	memmove(at - KEY_PLACE_LEN, at, value_len(key));
	key->item.meta &= ~KEY_EXPIRES;
	return key;
}

struct kv_key *
kv_first_due(struct kv *kv, int64_t now_ms, struct kv_db **db)
{
	struct time_queue_entry *first = NULL;
	uint32_t i;

	for (i = 0; i < kv->count; i++) {
		struct time_queue *expiry = &kv->databases[i].expiry;

		if (expiry->count == 0 || time_queue_at(expiry, 0)->at > now_ms ||
		    (first != NULL && time_queue_at(expiry, 0)->at >= first->at))
			continue;
		first = time_queue_at(expiry, 0);
		*db = &kv->databases[i];
	}
	return first != NULL ? first->thing : NULL;
}

int64_t
kv_next_expiry(const struct kv *kv)
{
	int64_t next_ms = KV_NEVER;
	uint32_t i;

	for (i = 0; i < kv->count; i++) {
		const struct time_queue *expiry = &kv->databases[i].expiry;

		if (expiry->count > 0 &&
		    (next_ms == KV_NEVER || time_queue_at(expiry, 0)->at < next_ms))
			next_ms = time_queue_at(expiry, 0)->at;
	}
	return next_ms;
}

void
kv_flush(struct kv_db *db)
{
	if (kv_table_count(&db->keys) == 0)
		return;
	kv_lazy_list_add_keys(&db->kv->lazy, &db->keys);
	time_queue_release(&db->expiry);
	db->replacements++;
}

void
kv_swap(struct kv *kv, uint32_t a, uint32_t b)
{
	struct kv_db *x = kv_database(kv, a), *y = kv_database(kv, b);
	struct kv_db was = *x;

	x->keys = y->keys;
	x->expiry = y->expiry;
	y->keys = was.keys;
	y->expiry = was.expiry;
	x->replacements++;
	y->replacements++;
}

uint64_t
kv_db_replacements(const struct kv_db *db)
{
	return db->replacements;
}

bool
kv_lazy_free_some(struct kv *kv, size_t budget)
{
	return kv_lazy_list_free_some(&kv->lazy, budget);
}

size_t
kv_lazy_free_pending(const struct kv *kv)
{
	return kv->lazy.pending;
}

struct kv_key *
kv_random(const struct kv_db *db, uint64_t random)
{
	return (struct kv_key *)kv_table_random(&db->keys, random);
}

struct kv_key *
kv_random_expiring(const struct kv_db *db, uint64_t random)
{
	if (db->expiry.count == 0)
		return NULL;
	return time_queue_at(&db->expiry, (uint32_t)(random % db->expiry.count))->thing;
}

/* A key is its item, so that a visitor of keys can visit items. */
struct visiting {
	kv_visit_key *visit;
	void *arg;
};

static bool
visit_item(struct kv_item *item, void *arg)
{
	struct visiting *v = arg;

	return v->visit((struct kv_key *)item, v->arg);
}

void
kv_each(const struct kv_db *db, kv_visit_key *visit, void *arg)
{
	struct visiting v = {visit, arg};

	kv_table_each(&db->keys, visit_item, &v);
}

uint64_t
kv_scan(const struct kv_db *db, uint64_t cursor, kv_visit_key *visit, void *arg)
{
	struct visiting v = {visit, arg};

	return kv_table_scan(&db->keys, cursor, visit_item, &v);
}
