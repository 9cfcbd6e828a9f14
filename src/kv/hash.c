#include "config.h"

#include "kv/hash.h"

#include <assert.h>
#include <string.h>

#include "kv/item.h"
#include "kv/memory.h"
#include "kv/packed.h"
#include "kv/sample.h"
#include "kv/table.h"

/* One of the two is NULL. In the packed encoding, fields have even indexes, and each value follows
 * its field. */
struct kv_hash {
	struct kv_packed *packed;
	struct kv_table *table;
};

struct kv_hash *
kv_hash_new(void)
{
	struct kv_hash *hash = kv_malloc(sizeof(*hash));

	hash->packed = kv_packed_new();
	hash->table = NULL;
	return hash;
}

bool
kv_hash_free_some(void *value, size_t *budget)
{
	struct kv_hash *hash = value;

	if (hash->table != NULL && !kv_table_drain(hash->table, NULL, NULL, budget))
		return false;
	kv_release(hash->table);
	kv_release(hash->packed);
	kv_release(hash);
	return true;
}

void
kv_hash_free(struct kv_hash *hash)
{
	size_t budget = SIZE_MAX;
	bool done = kv_hash_free_some(hash, &budget);

	assert(done);
}

size_t
kv_hash_count(const void *value)
{
	const struct kv_hash *hash = value;

	return hash->packed != NULL ? hash->packed->count / 2 : kv_table_count(hash->table);
}

size_t
kv_hash_bytes(const struct kv_hash *hash)
{
	return kv_block_bytes(hash) +
	       (hash->table != NULL ? kv_block_bytes(hash->table) + kv_table_held_bytes(hash->table)
				    : kv_block_bytes(hash->packed));
}

bool
kv_hash_is_packed(const struct kv_hash *hash)
{
	return hash->packed != NULL;
}

static struct slice
item_value(struct kv_item *item)
{
	uint64_t len;
	const unsigned char *text = kv_varint_get(kv_item_payload(item), &len);

	return (struct slice){(const char *)text, (size_t)len};
}

static void
write_value(struct kv_item *item, struct slice value)
{
	unsigned char *text = kv_varint_put(kv_item_payload(item), value.len);

	if (value.len > 0)
		memcpy(text, value.ptr, value.len);
}

static struct kv_item *
new_item(struct slice field, struct slice value)
{
	struct kv_item *item = kv_item_new(field, kv_varint_len(value.len) + value.len);

	write_value(item, value);
	return item;
}

static bool
copy_item(struct kv_item *item, void *arg)
{
	kv_table_add(arg, new_item(kv_item_key(item), item_value(item)));
	return true;
}

static struct kv_table *
new_table(void)
{
	struct kv_table *table = kv_malloc(sizeof(*table));

	kv_table_init(table);
	return table;
}

void *
kv_hash_copy(const void *value)
{
	const struct kv_hash *hash = value;
	struct kv_hash *copy = kv_malloc(sizeof(*copy));

	*copy = (struct kv_hash){0};
	if (hash->packed != NULL) {
		copy->packed = kv_packed_copy(hash->packed);
	} else {
		copy->table = new_table();
		kv_table_each(hash->table, copy_item, copy->table);
	}
	return copy;
}

bool
kv_hash_get(const struct kv_hash *hash, struct slice field, struct slice *value)
{
	struct kv_item *item;
	size_t at;

	if (hash->packed != NULL) {
		at = kv_packed_find(hash->packed, field, 2);
		if (at == KV_PACKED_NONE)
			return false;
		kv_packed_get(hash->packed, kv_packed_get(hash->packed, at, value), value);
		return true;
	}
	item = kv_table_find(hash->table, field);
	if (item == NULL)
		return false;
	*value = item_value(item);
	return true;
}

static void
unpack(struct kv_hash *hash)
{
	struct slice field, value;
	size_t at = 0;

	hash->table = new_table();
	while (at < hash->packed->len) {
		at = kv_packed_get(hash->packed, at, &field);
		at = kv_packed_get(hash->packed, at, &value);
		kv_table_add(hash->table, new_item(field, value));
	}
	kv_release(hash->packed);
	hash->packed = NULL;
}

static bool
set_packed(struct kv_hash *hash, struct slice field, struct slice value)
{
	struct kv_packed *p = hash->packed;
	size_t at = kv_packed_find(p, field, 2);
	struct slice entry;

	if (at == KV_PACKED_NONE)
		hash->packed = kv_packed_append(kv_packed_append(p, field), value);
	else
		hash->packed = kv_packed_replace(p, kv_packed_get(p, at, &entry), value);
	return at == KV_PACKED_NONE;
}

/* The block is kept if the value fits, unless more than half of it would be unused. */
static struct kv_item *
fit_value(struct kv_item *item, size_t value_len)
{
	size_t payload_len = kv_varint_len(value_len) + value_len;
	size_t room = kv_item_room(item);

	if (payload_len <= room && room <= 2 * payload_len + 64)
		return item;
	return kv_item_resize(item, payload_len);
}

static bool
set_in_table(struct kv_table *table, struct slice field, struct slice value)
{
	struct bucket_node **link = kv_table_link(table, field);
	struct kv_item *item;

	if (link == NULL) {
		kv_table_add(table, new_item(field, value));
		return true;
	}
	item = kv_item_of(*link);
	if (item_value(item).len != value.len) {
		item = fit_value(item, value.len);
		*link = &item->node;
	}
	write_value(item, value);
	return false;
}

bool
kv_hash_set(
    struct kv_hash *hash, struct slice field, struct slice value, const struct kv_limits *limits)
{
	bool is_new;

	if (hash->packed != NULL &&
	    (field.len > limits->hash_value_bytes || value.len > limits->hash_value_bytes ||
		!kv_packed_has_room(hash->packed, field.len + value.len)))
		unpack(hash);
	if (hash->packed == NULL)
		return set_in_table(hash->table, field, value);
	is_new = set_packed(hash, field, value);
	if (is_new && hash->packed->count / 2 > limits->hash_entries)
		unpack(hash);
	return is_new;
}

bool
kv_hash_remove(struct kv_hash *hash, struct slice field)
{
	struct kv_item *item;
	size_t at;

	if (hash->packed != NULL) {
		at = kv_packed_find(hash->packed, field, 2);
		if (at != KV_PACKED_NONE)
			hash->packed = kv_packed_remove(hash->packed, at, 2);
		return at != KV_PACKED_NONE;
	}
	item = kv_table_take(hash->table, field);
	kv_release(item);
	return item != NULL;
}

struct visiting {
	kv_hash_visit *visit;
	void *arg;
};

static bool
visit_item(struct kv_item *item, void *arg)
{
	const struct visiting *v = arg;

	return v->visit(kv_item_key(item), item_value(item), v->arg);
}

static void
each_packed(const struct kv_packed *p, kv_hash_visit *visit, void *arg)
{
	struct slice field, value;
	size_t at = 0;

	while (at < p->len) {
		at = kv_packed_get(p, at, &field);
		at = kv_packed_get(p, at, &value);
		if (!visit(field, value, arg))
			break;
	}
}

void
kv_hash_each(const struct kv_hash *hash, kv_hash_visit *visit, void *arg)
{
	struct visiting visiting = {visit, arg};

	if (hash->packed != NULL)
		each_packed(hash->packed, visit, arg);
	else
		kv_table_each(hash->table, visit_item, &visiting);
}

uint64_t
kv_hash_scan(const struct kv_hash *hash, uint64_t cursor, kv_hash_visit *visit, void *arg)
{
	struct visiting visiting = {visit, arg};

	if (hash->table != NULL)
		return kv_table_scan(hash->table, cursor, visit_item, &visiting);
	each_packed(hash->packed, visit, arg);
	return 0;
}

void
kv_hash_random(
    const struct kv_hash *hash, struct random *random, struct slice *field, struct slice *value)
{
	const struct kv_packed *p = hash->packed;
	struct kv_item *item;
	size_t at;

	if (p != NULL) {
		at = kv_packed_place(p, 2 * random_below(random, p->count / 2));
		kv_packed_get(p, kv_packed_get(p, at, field), value);
		return;
	}
	item = kv_table_draw(hash->table, random);
	*field = kv_item_key(item);
	*value = item_value(item);
}

struct selecting {
	struct kv_selection selection;
	kv_hash_visit *visit;
	void *arg;
};

static bool
select_field(struct slice field, struct slice value, void *arg)
{
	struct selecting *s = arg;

	return !kv_selection_takes(&s->selection) || s->visit(field, value, s->arg);
}

void
kv_hash_sample(const struct kv_hash *hash, size_t count, struct random *random,
    kv_hash_visit *visit, void *arg)
{
	struct selecting selecting = {{count, kv_hash_count(hash), random}, visit, arg};
	struct visiting visiting = {visit, arg};

	if (hash->packed != NULL)
		each_packed(hash->packed, select_field, &selecting);
	else
		kv_table_sample(hash->table, count, random, visit_item, &visiting);
}

/* A packed block is searched from its start. So the places of all fields are collected before many
 * are drawn. */
static void
draw_packed(
    const struct kv_packed *p, size_t count, struct random *random, kv_hash_visit *visit, void *arg)
{
	uint32_t *places = kv_malloc(p->count / 2 * sizeof(*places));
	struct slice field, value;
	size_t at = 0, i;
	bool more = true;

	for (i = 0; i < p->count / 2; i++) {
		places[i] = (uint32_t)at;
		at = kv_packed_get(p, kv_packed_get(p, at, &field), &value);
	}
	for (; count > 0 && more; count--) {
		at = places[random_below(random, p->count / 2)];
		kv_packed_get(p, kv_packed_get(p, at, &field), &value);
		more = visit(field, value, arg);
	}
	kv_release(places);
}

void
kv_hash_draw(const struct kv_hash *hash, size_t count, struct random *random, kv_hash_visit *visit,
    void *arg)
{
	struct slice field, value;
	bool more = true;

	if (hash->packed != NULL) {
		draw_packed(hash->packed, count, random, visit, arg);
		return;
	}
	for (; count > 0 && more; count--) {
		kv_hash_random(hash, random, &field, &value);
		more = visit(field, value, arg);
	}
}
