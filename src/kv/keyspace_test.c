#include "config.h"

#include "kv/keyspace.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"

#define DATABASES 3
#define NAMES 400

static struct kv *kv;
static struct kv_db *db;

static void
setup(void)
{
	kv = kv_new(DATABASES);
	db = kv_database(kv, 0);
}

static void
teardown(void)
{
	kv_free(kv);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static struct slice
name_of(unsigned n)
{
	static char text[4][32];
	static unsigned at;
	char *out = text[at++ % 4];

	return (struct slice){out, (size_t)snprintf(out, 32, "key:%u", n)};
}

static struct kv_key *
put(const char *name, const char *value)
{
	return kv_put_string(db, kv_find(db, slice_of(name)), slice_of(name), slice_of(value));
}

#define ck_assert_string(key, value) ck_assert(slice_is(kv_string(key), value))

START_TEST(a_string_is_what_was_put_last)
{
	char large[1000];

	put("k", "first");
	ck_assert_string(kv_find(db, SLICE("k")), "first");
	put("k", "");
	ck_assert_uint_eq(kv_string(kv_find(db, SLICE("k"))).len, 0);
	memset(large, 'x', sizeof(large));
	kv_put_string(db, kv_find(db, SLICE("k")), SLICE("k"), (struct slice){large, 1000});
	ck_assert_uint_eq(kv_string(kv_find(db, SLICE("k"))).len, 1000);
	put("k", "short again");
	ck_assert_string(kv_find(db, SLICE("k")), "short again");
	ck_assert_uint_eq(kv_db_count(db), 1);
}
END_TEST

START_TEST(a_string_that_grows_has_zeros_where_nothing_was_written)
{
	static const size_t lens[] = {1, 2, 100, 127, 128, 129, 191, 192, 193, 500, 100000};
	struct kv_key *key = put("k", "");
	size_t i, at, was = 0;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		char *bytes = kv_string_room(db, &key, lens[i]);

		ck_assert_ptr_eq(key, kv_find(db, SLICE("k")));
		ck_assert_uint_eq(kv_string(key).len, lens[i]);
		for (at = 0; at < lens[i]; at++)
			ck_assert_int_eq(bytes[at], at < was ? 'x' : 0);
		memset(bytes, 'x', lens[i]);
		was = lens[i];
		ck_assert(kv_string_was_grown(key));
	}
	ck_assert(!kv_string_was_grown(put("k", "new")));
}
END_TEST

START_TEST(a_time_stays_with_its_key_whatever_happens_to_the_value)
{
	struct kv_key *key = kv_set_expiry(db, put("k", "v"), 5000);
	char large[1000] = {0};

	ck_assert_int_eq(kv_expiry(db, key), 5000);
	key = put("k", "another value that is longer than the one before it was");
	ck_assert_int_eq(kv_expiry(db, key), 5000);
	key = kv_put_string(db, key, SLICE("k"), (struct slice){large, 1000});
	ck_assert_int_eq(kv_expiry(db, key), 5000);
	key = kv_set_expiry(db, key, 7000);
	ck_assert_uint_eq(kv_string(key).len, 1000);
	key = kv_set_expiry(db, key, KV_NEVER);
	ck_assert_uint_eq(kv_string(key).len, 1000);
	ck_assert_int_eq(kv_expiry(db, key), KV_NEVER);
	ck_assert_uint_eq(kv_db_expiring(db), 0);
}
END_TEST

START_TEST(keys_are_due_in_the_order_of_their_times_over_all_databases)
{
	struct kv_db *in;
	struct kv_key *key;
	int64_t last_ms = 0;
	unsigned i;

	for (i = 0; i < 3000; i++) {
		struct kv_db *to = kv_database(kv, i % DATABASES);

		key = kv_put_string(to, NULL, name_of(i), SLICE("v"));
		kv_set_expiry(to, key, 1 + (int64_t)(i * 7919 % 3001));
	}
	ck_assert_int_eq(kv_next_expiry(kv), 1);
	ck_assert_ptr_null(kv_first_due(kv, 0, &in));
	for (i = 0; (key = kv_first_due(kv, 3001, &in)) != NULL; i++) {
		ck_assert_int_ge(kv_expiry(in, key), last_ms);
		last_ms = kv_expiry(in, key);
		ck_assert(kv_is_due(in, key, last_ms));
		ck_assert(!kv_is_due(in, key, last_ms - 1));
		kv_remove(in, key);
	}
	ck_assert_uint_eq(i, 3000);
	ck_assert_int_eq(kv_next_expiry(kv), KV_NEVER);
}
END_TEST

START_TEST(a_moved_key_has_its_value_and_time_under_the_new_name)
{
	struct kv_db *other = kv_database(kv, 1);
	struct kv_key *key = kv_set_expiry(db, put("a", "value"), 9000);

	key = kv_move(db, key, other, SLICE("b"));
	ck_assert_ptr_null(kv_find(db, SLICE("a")));
	ck_assert_ptr_eq(kv_find(other, SLICE("b")), key);
	ck_assert_string(key, "value");
	ck_assert_int_eq(kv_expiry(other, key), 9000);
	ck_assert_uint_eq(kv_db_expiring(db), 0);
}
END_TEST

START_TEST(a_copy_is_changed_without_the_original)
{
	char large[500];
	struct kv_key *key, *copy;

	memset(large, 'a', sizeof(large));
	key = kv_put_string(db, NULL, SLICE("a"), (struct slice){large, sizeof(large)});
	copy = kv_copy(db, kv_set_expiry(db, key, 100), db, SLICE("b"));
	kv_string_room(db, &copy, 600)[0] = 'b';
	ck_assert_int_eq(kv_string(kv_find(db, SLICE("a"))).ptr[0], 'a');
	ck_assert_uint_eq(kv_string(kv_find(db, SLICE("a"))).len, 500);
	ck_assert_int_eq(kv_expiry(db, copy), 100);
	ck_assert_uint_eq(kv_db_expiring(db), 2);
}
END_TEST

START_TEST(a_flushed_database_is_empty_at_once_and_freed_in_steps)
{
	size_t was;
	unsigned i, steps = 0;

	for (i = 0; i < 5000; i++)
		kv_set_expiry(db, kv_put_string(db, NULL, name_of(i), SLICE("value")), 1000);
	was = kv_used_bytes();
	kv_flush(db);
	ck_assert_uint_eq(kv_db_count(db), 0);
	ck_assert_uint_eq(kv_db_expiring(db), 0);
	ck_assert_ptr_null(kv_find(db, name_of(1)));
	ck_assert_uint_gt(kv_used_bytes(), was / 2);
	ck_assert_uint_eq(kv_lazy_free_pending(kv), 5000);
	put("new", "value");
	while (kv_lazy_free_some(kv, 100))
		steps++;
	ck_assert_uint_ge(steps, 49);
	ck_assert_uint_eq(kv_lazy_free_pending(kv), 0);
	ck_assert_string(kv_find(db, SLICE("new")), "value");
}
END_TEST

START_TEST(swapped_databases_have_each_others_keys)
{
	struct kv_db *other = kv_database(kv, 2);

	kv_set_expiry(db, put("a", "1"), 50);
	kv_swap(kv, 0, 2);
	ck_assert_uint_eq(kv_db_count(db), 0);
	ck_assert_int_eq(kv_expiry(other, kv_find(other, SLICE("a"))), 50);
	ck_assert_uint_eq(kv_db_index(other), 2);
}
END_TEST

/* A simple model: the value of each name of a database. */
struct model {
	bool is_there;
	unsigned len; /* of the value, whose bytes are all `byte` */
	char byte;
	int64_t at_ms;
};

static struct model model[DATABASES][NAMES];

static unsigned
below(unsigned n)
{
	return (unsigned)random() % n;
}

static void
check_key(unsigned d, unsigned n)
{
	struct kv_db *in = kv_database(kv, d);
	struct kv_key *key = kv_find(in, name_of(n));
	const struct model *m = &model[d][n];
	struct slice value;

	ck_assert_int_eq(key != NULL, m->is_there);
	if (key == NULL)
		return;
	ck_assert(slice_eq(kv_name(key), name_of(n)));
	value = kv_string(key);
	ck_assert_uint_eq(value.len, m->len);
	ck_assert(m->len == 0 || (value.ptr[0] == m->byte && value.ptr[m->len - 1] == m->byte));
	ck_assert_int_eq(kv_expiry(in, key), m->at_ms);
}

static void
put_some(struct kv_db *in, struct model *m, unsigned n)
{
	char bytes[600];
	unsigned len = below(10) == 0 ? below(600) : below(40);
	char byte = (char)('a' + below(26));
	struct kv_key *old = kv_find(in, name_of(n));

	memset(bytes, byte, sizeof(bytes));
	kv_put_string(in, old, name_of(n), (struct slice){bytes, len});
	if (!m->is_there)
		m->at_ms = KV_NEVER;
	m->is_there = true;
	m->len = len;
	m->byte = byte;
}

static void
move_some(struct kv_db *in, unsigned d, unsigned n, struct kv_key *key)
{
	unsigned e = below(DATABASES), other = below(NAMES);
	struct kv_db *to = kv_database(kv, e);
	bool copies = below(2) == 0;

	if (model[e][other].is_there)
		return;
	if (copies)
		kv_copy(in, key, to, name_of(other));
	else
		kv_move(in, key, to, name_of(other));
	model[e][other] = model[d][n];
	model[d][n].is_there = copies;
}

static void
one_step(void)
{
	unsigned d = below(DATABASES), n = below(NAMES);
	struct kv_db *in = kv_database(kv, d);
	struct model *m = &model[d][n];
	struct kv_key *key = kv_find(in, name_of(n));

	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		put_some(in, m, n);
		break;
	case 3:
		if (key != NULL)
			kv_remove(in, key);
		m->is_there = false;
		break;
	case 4:
	case 5:
		if (key != NULL) {
			m->at_ms = below(3) == 0 ? KV_NEVER : (int64_t)below(1000);
			kv_set_expiry(in, key, m->at_ms);
		}
		break;
	case 6:
		if (key != NULL && m->len > 0) {
			unsigned more = below(100);

			memset(kv_string_room(in, &key, m->len + more), m->byte, m->len + more);
			m->len += more;
		}
		break;
	default:
		if (key != NULL)
			move_some(in, d, n, key);
		break;
	}
}

static void
expire_some(int64_t now_ms)
{
	struct kv_db *in;
	struct kv_key *key;
	unsigned d, n;

	while ((key = kv_first_due(kv, now_ms, &in)) != NULL)
		kv_remove(in, key);
	for (d = 0; d < DATABASES; d++)
		for (n = 0; n < NAMES; n++)
			if (model[d][n].is_there && model[d][n].at_ms != KV_NEVER &&
			    model[d][n].at_ms <= now_ms)
				model[d][n].is_there = false;
}

START_TEST(the_keyspace_does_what_a_plain_model_does)
{
	unsigned step, d, n, count;

	memset(model, 0, sizeof(model));
	srandom(11);
	for (step = 0; step < (unsigned)testing_steps(300000); step++) {
		one_step();
		check_key(below(DATABASES), below(NAMES));
		if (step % 5000 == 0)
			expire_some((int64_t)below(1000));
		if (step % 70000 == 69999) {
			d = below(DATABASES);
			kv_flush(kv_database(kv, d));
			memset(model[d], 0, sizeof(model[d]));
		}
		if (step % 1000 == 0)
			kv_lazy_free_some(kv, 10);
	}
	for (d = 0; d < DATABASES; d++) {
		for (n = count = 0; n < NAMES; n++) {
			check_key(d, n);
			count += model[d][n].is_there;
		}
		ck_assert_uint_eq(kv_db_count(kv_database(kv, d)), count);
	}
}
END_TEST

int
main(void)
{
	return testing_main("kv/keyspace", setup, teardown,
	    (const TTest *[]){a_string_is_what_was_put_last,
		a_string_that_grows_has_zeros_where_nothing_was_written,
		a_time_stays_with_its_key_whatever_happens_to_the_value,
		keys_are_due_in_the_order_of_their_times_over_all_databases,
		a_moved_key_has_its_value_and_time_under_the_new_name,
		a_copy_is_changed_without_the_original,
		a_flushed_database_is_empty_at_once_and_freed_in_steps,
		swapped_databases_have_each_others_keys, the_keyspace_does_what_a_plain_model_does,
		NULL});
}
