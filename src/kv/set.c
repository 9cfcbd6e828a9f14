#include "config.h"

#include "kv/set.h"

#include <assert.h>

#include "kv/intset.h"
#include "kv/item.h"
#include "kv/memory.h"
#include "kv/packed.h"
#include "kv/sample.h"
#include "kv/table.h"

struct kv_set {
	enum kv_set_encoding encoding;
	union {
		struct kv_intset *integers;
		struct kv_packed *packed;
		struct kv_table *table;
	};
};

struct kv_set *
kv_set_new(void)
{
	struct kv_set *set = kv_malloc(sizeof(*set));

	set->encoding = KV_SET_INTEGERS;
	set->integers = kv_intset_new();
	return set;
}

bool
kv_set_free_some(void *value, size_t *budget)
{
	struct kv_set *set = value;

	if (set->encoding == KV_SET_TABLE && !kv_table_drain(set->table, NULL, NULL, budget))
		return false;
	kv_release(set->integers); /* whichever it is */
	kv_release(set);
	return true;
}

void
kv_set_free(struct kv_set *set)
{
	size_t budget = SIZE_MAX;
	bool done = kv_set_free_some(set, &budget);

	assert(done);
}

size_t
kv_set_count(const void *value)
{
	const struct kv_set *set = value;

	switch (set->encoding) {
	case KV_SET_INTEGERS:
		return set->integers->count;
	case KV_SET_PACKED:
		return set->packed->count;
	default:
		return kv_table_count(set->table);
	}
}

size_t
kv_set_bytes(const struct kv_set *set)
{
	return kv_block_bytes(set) + kv_block_bytes(set->integers) + /* whichever it is */
	       (set->encoding == KV_SET_TABLE ? kv_table_held_bytes(set->table) : 0);
}

enum kv_set_encoding
kv_set_encoding(const struct kv_set *set)
{
	return set->encoding;
}

static bool
copy_item(struct kv_item *item, void *arg)
{
	kv_table_add(arg, kv_item_new(kv_item_key(item), 0));
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
kv_set_copy(const void *value)
{
	const struct kv_set *set = value;
	struct kv_set *copy = kv_malloc(sizeof(*copy));

	copy->encoding = set->encoding;
	switch (set->encoding) {
	case KV_SET_INTEGERS:
		copy->integers = kv_intset_copy(set->integers);
		break;
	case KV_SET_PACKED:
		copy->packed = kv_packed_copy(set->packed);
		break;
	default:
		copy->table = new_table();
		kv_table_each(set->table, copy_item, copy->table);
		break;
	}
	return copy;
}

bool
kv_set_has(const struct kv_set *set, struct slice member)
{
	int64_t v;

	switch (set->encoding) {
	case KV_SET_INTEGERS:
		return slice_to_i64(member, &v) && kv_intset_find(set->integers, v, NULL);
	case KV_SET_PACKED:
		return kv_packed_find(set->packed, member, 1) != KV_PACKED_NONE;
	default:
		return kv_table_find(set->table, member) != NULL;
	}
}

static struct slice
integer_text(const struct kv_intset *integers, size_t index, char room[BYTES_I64_MAX])
{
	return (struct slice){room, bytes_from_i64(room, kv_intset_get(integers, index))};
}

static bool
append_member(struct slice member, void *arg)
{
	struct kv_packed **packed = arg;

	*packed = kv_packed_append(*packed, member);
	return true;
}

static bool
add_member(struct slice member, void *arg)
{
	kv_table_add(arg, kv_item_new(member, 0));
	return true;
}

static void
become_packed(struct kv_set *set)
{
	struct kv_packed *packed = kv_packed_new();

	kv_set_each(set, append_member, &packed);
	kv_release(set->integers);
	set->encoding = KV_SET_PACKED;
	set->packed = packed;
}

static void
become_table(struct kv_set *set)
{
	struct kv_table *table = new_table();

	kv_set_each(set, add_member, table);
	kv_release(set->integers); /* or packed, in the same union */
	set->encoding = KV_SET_TABLE;
	set->table = table;
}

/* Whether these integers and this member, which is not an integer, may be in a packed block. */
static bool
may_be_packed(const struct kv_intset *integers, struct slice member, const struct kv_limits *limits)
{
	char room[BYTES_I64_MAX];
	size_t count = integers->count;

	if (count >= limits->set_entries || member.len > limits->set_value_bytes)
		return false;
	return count == 0 ||
	       (integer_text(integers, 0, room).len <= limits->set_value_bytes &&
		   integer_text(integers, count - 1, room).len <= limits->set_value_bytes);
}

static bool
add_integer(struct kv_set *set, int64_t v, const struct kv_limits *limits)
{
	size_t index;

	if (kv_intset_find(set->integers, v, &index))
		return false;
	set->integers = kv_intset_insert(set->integers, index, v);
	if (set->integers->count > limits->set_intset_entries)
		become_table(set);
	return true;
}

static bool
add_packed(struct kv_set *set, struct slice member, const struct kv_limits *limits)
{
	if (kv_packed_find(set->packed, member, 1) != KV_PACKED_NONE)
		return false;
	if (set->packed->count < limits->set_entries && member.len <= limits->set_value_bytes &&
	    kv_packed_has_room(set->packed, member.len)) {
		set->packed = kv_packed_append(set->packed, member);
		return true;
	}
	become_table(set);
	return add_member(member, set->table);
}

bool
kv_set_add(struct kv_set *set, struct slice member, const struct kv_limits *limits)
{
	int64_t v;

	if (set->encoding == KV_SET_INTEGERS) {
		if (slice_to_i64(member, &v))
			return add_integer(set, v, limits);
		if (may_be_packed(set->integers, member, limits))
			become_packed(set);
		else
			become_table(set);
	}
	if (set->encoding == KV_SET_PACKED)
		return add_packed(set, member, limits);
	return kv_table_find(set->table, member) == NULL && add_member(member, set->table);
}

bool
kv_set_remove(struct kv_set *set, struct slice member)
{
	struct kv_item *item;
	size_t at;
	int64_t v;

	switch (set->encoding) {
	case KV_SET_INTEGERS:
		if (!slice_to_i64(member, &v) || !kv_intset_find(set->integers, v, &at))
			return false;
		set->integers = kv_intset_remove(set->integers, at);
		return true;
	case KV_SET_PACKED:
		at = kv_packed_find(set->packed, member, 1);
		if (at != KV_PACKED_NONE)
			set->packed = kv_packed_remove(set->packed, at, 1);
		return at != KV_PACKED_NONE;
	default:
		item = kv_table_take(set->table, member);
		kv_release(item);
		return item != NULL;
	}
}

struct visiting {
	kv_set_visit *visit;
	void *arg;
	bool ended;
};

static bool
visit_item(struct kv_item *item, void *arg)
{
	struct visiting *v = arg;

	v->ended = !v->visit(kv_item_key(item), v->arg);
	return !v->ended;
}

static bool
each_short(const struct kv_set *set, kv_set_visit *visit, void *arg)
{
	char room[BYTES_I64_MAX];
	struct slice member;
	size_t i, at = 0;

	if (set->encoding == KV_SET_INTEGERS) {
		for (i = 0; i < set->integers->count; i++)
			if (!visit(integer_text(set->integers, i, room), arg))
				return false;
		return true;
	}
	while (at < set->packed->len) {
		at = kv_packed_get(set->packed, at, &member);
		if (!visit(member, arg))
			return false;
	}
	return true;
}

bool
kv_set_each(const struct kv_set *set, kv_set_visit *visit, void *arg)
{
	struct visiting visiting = {visit, arg, false};

	if (set->encoding != KV_SET_TABLE)
		return each_short(set, visit, arg);
	kv_table_each(set->table, visit_item, &visiting);
	return !visiting.ended;
}

uint64_t
kv_set_scan(const struct kv_set *set, uint64_t cursor, kv_set_visit *visit, void *arg)
{
	struct visiting visiting = {visit, arg, false};

	if (set->encoding == KV_SET_TABLE)
		return kv_table_scan(set->table, cursor, visit_item, &visiting);
	each_short(set, visit, arg);
	return 0;
}

void
kv_set_pop(struct kv_set *set, struct random *random, kv_set_visit *visit, void *arg)
{
	char room[BYTES_I64_MAX];
	struct kv_item *item;
	struct slice member;
	size_t at;

	switch (set->encoding) {
	case KV_SET_INTEGERS:
		at = random_below(random, set->integers->count);
		visit(integer_text(set->integers, at, room), arg);
		set->integers = kv_intset_remove(set->integers, at);
		break;
	case KV_SET_PACKED:
		at = kv_packed_place(set->packed, random_below(random, set->packed->count));
		kv_packed_get(set->packed, at, &member);
		visit(member, arg);
		set->packed = kv_packed_remove(set->packed, at, 1);
		break;
	default:
		item = kv_table_draw(set->table, random);
		kv_table_take(set->table, kv_item_key(item));
		visit(kv_item_key(item), arg);
		kv_release(item);
		break;
	}
}

struct selecting {
	struct kv_selection selection;
	kv_set_visit *visit;
	void *arg;
};

static bool
select_member(struct slice member, void *arg)
{
	struct selecting *s = arg;

	return !kv_selection_takes(&s->selection) || s->visit(member, s->arg);
}

void
kv_set_sample(
    const struct kv_set *set, size_t count, struct random *random, kv_set_visit *visit, void *arg)
{
	struct selecting selecting = {{count, kv_set_count(set), random}, visit, arg};
	struct visiting visiting = {visit, arg, false};

	if (set->encoding != KV_SET_TABLE)
		each_short(set, select_member, &selecting);
	else
		kv_table_sample(set->table, count, random, visit_item, &visiting);
}

/* A packed block is searched from its start. So the places of all members are collected before many
 * are drawn. */
static void
draw_packed(
    const struct kv_packed *p, size_t count, struct random *random, kv_set_visit *visit, void *arg)
{
	struct slice *members = kv_malloc(p->count * sizeof(*members));
	size_t at = 0, i;
	bool more = true;

	for (i = 0; i < p->count; i++)
		at = kv_packed_get(p, at, &members[i]);
	for (; count > 0 && more; count--)
		more = visit(members[random_below(random, p->count)], arg);
	kv_release(members);
}

void
kv_set_draw(
    const struct kv_set *set, size_t count, struct random *random, kv_set_visit *visit, void *arg)
{
	char room[BYTES_I64_MAX];
	struct kv_item *item;
	bool more = true;
	size_t i;

	if (set->encoding == KV_SET_PACKED) {
		draw_packed(set->packed, count, random, visit, arg);
		return;
	}
	for (; count > 0 && more; count--) {
		if (set->encoding == KV_SET_INTEGERS) {
			i = random_below(random, set->integers->count);
			more = visit(integer_text(set->integers, i, room), arg);
		} else {
			item = kv_table_draw(set->table, random);
			more = visit(kv_item_key(item), arg);
		}
	}
}
