#include "config.h"

#include "kv/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"

static const struct kv_limits limits = {.hash_entries = 4, .hash_value_bytes = 8};

static struct kv_hash *hash;
static struct random randomness;

static void
setup(void)
{
	hash = kv_hash_new();
	random_seed(&randomness, 1);
}

static void
teardown(void)
{
	kv_hash_free(hash);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static bool
set(const char *field, const char *value)
{
	return kv_hash_set(hash, slice_of(field), slice_of(value), &limits);
}

static void
assert_has(const struct kv_hash *h, const char *field, const char *value)
{
	struct slice got;

	ck_assert(kv_hash_get(h, slice_of(field), &got));
	ck_assert(slice_is(got, value));
}

START_TEST(a_field_has_the_value_it_was_given_last)
{
	ck_assert(set("a", "1"));
	ck_assert(set("", ""));
	ck_assert(!set("a", "longer"));
	assert_has(hash, "a", "longer");
	assert_has(hash, "", "");
	ck_assert(!set("a", ""));
	assert_has(hash, "a", "");
	ck_assert_uint_eq(kv_hash_count(hash), 2);
}
END_TEST

START_TEST(a_value_that_is_equal_to_a_field_is_no_field)
{
	struct slice value;

	set("a", "b");
	ck_assert(!kv_hash_get(hash, SLICE("b"), &value));
	ck_assert(!kv_hash_remove(hash, SLICE("b")));
	ck_assert(set("b", "a"));
}
END_TEST

START_TEST(it_is_packed_up_to_the_limit_of_entries)
{
	set("a", "1");
	set("b", "2");
	set("c", "3");
	set("d", "4");
	set("d", "5");
	ck_assert(kv_hash_is_packed(hash));
	set("e", "5");
	ck_assert(!kv_hash_is_packed(hash));
	assert_has(hash, "a", "1");
	assert_has(hash, "e", "5");
	kv_hash_remove(hash, SLICE("e"));
	ck_assert(!kv_hash_is_packed(hash));
}
END_TEST

START_TEST(it_is_packed_up_to_the_limit_of_lengths)
{
	set("12345678", "12345678");
	ck_assert(kv_hash_is_packed(hash));
	set("a", "123456789");
	ck_assert(!kv_hash_is_packed(hash));
	assert_has(hash, "12345678", "12345678");
	assert_has(hash, "a", "123456789");
}
END_TEST

START_TEST(a_long_field_is_not_packed)
{
	set("123456789", "1");
	ck_assert(!kv_hash_is_packed(hash));
	assert_has(hash, "123456789", "1");
}
END_TEST

START_TEST(a_value_in_a_table_grows_and_gives_its_room_back)
{
	static char text[100000];
	size_t small_bytes;

	memset(text, 'x', sizeof(text));
	set("123456789", "1");
	small_bytes = kv_used_bytes();
	kv_hash_set(hash, SLICE("123456789"), (struct slice){text, sizeof(text)}, &limits);
	ck_assert_uint_gt(kv_used_bytes(), small_bytes + sizeof(text) - 100);
	set("123456789", "2");
	ck_assert_uint_lt(kv_used_bytes(), small_bytes + 200);
	assert_has(hash, "123456789", "2");
}
END_TEST

START_TEST(it_is_no_longer_than_a_block_may_be_whatever_the_limits)
{
	static const struct kv_limits wide = {.hash_entries = 1000000, .hash_value_bytes = 1000000};
	static char text[524288 - 8];
	char field[16];
	int i;

	for (i = 0; i < 40; i++) {
		snprintf(field, sizeof(field), "%04d", i);
		kv_hash_set(hash, slice_of(field), (struct slice){text, sizeof(text)}, &wide);
		ck_assert_int_eq(kv_hash_is_packed(hash), i < 31);
	}
	ck_assert_uint_eq(kv_hash_count(hash), 40);
}
END_TEST

static void
fill(size_t count)
{
	char field[24];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(field, sizeof(field), "%zu", i);
		set(field, field);
	}
}

struct tally {
	unsigned seen[1000];
	size_t total, stop_at;
};

static bool
count_field(struct slice field, struct slice value, void *arg)
{
	struct tally *tally = arg;
	uint64_t number;

	ck_assert(slice_eq(field, value));
	ck_assert(slice_to_u64(field, &number) && number < 1000);
	tally->seen[number]++;
	return ++tally->total != tally->stop_at;
}

static void
check_sample(size_t of, size_t count)
{
	struct tally tally = {.stop_at = 0};
	size_t i;

	fill(of);
	kv_hash_sample(hash, count, &randomness, count_field, &tally);
	ck_assert_uint_eq(tally.total, count);
	for (i = 0; i < 1000; i++)
		ck_assert_uint_le(tally.seen[i], 1);
}

START_TEST(a_sample_has_no_field_twice)
{
	check_sample(4, 0);
	check_sample(4, 1);
	check_sample(4, 4);
	ck_assert(kv_hash_is_packed(hash));
	check_sample(1000, 0);
	check_sample(1000, 1);
	check_sample(1000, 333);
	check_sample(1000, 334);
	check_sample(1000, 1000);
}
END_TEST

START_TEST(each_field_is_drawn_now_and_then)
{
	struct tally tally = {.stop_at = 0};
	size_t i;

	fill(4);
	kv_hash_draw(hash, 1000, &randomness, count_field, &tally);
	for (i = 0; i < 4; i++)
		ck_assert_uint_gt(tally.seen[i], 150);
	fill(100);
	memset(&tally, 0, sizeof(tally));
	kv_hash_draw(hash, 10000, &randomness, count_field, &tally);
	ck_assert_uint_eq(tally.total, 10000);
	for (i = 0; i < 100; i++)
		ck_assert_uint_gt(tally.seen[i], 0);
}
END_TEST

START_TEST(a_visit_can_end_a_walk_a_sample_and_a_draw)
{
	struct tally tally;
	size_t of;

	for (of = 4; of <= 1000; of += 996) {
		fill(of);
		tally = (struct tally){.stop_at = 2};
		kv_hash_each(hash, count_field, &tally);
		ck_assert_uint_eq(tally.total, 2);
		tally = (struct tally){.stop_at = 2};
		kv_hash_sample(hash, 3, &randomness, count_field, &tally);
		ck_assert_uint_eq(tally.total, 2);
		tally = (struct tally){.stop_at = 2};
		kv_hash_draw(hash, 1000000, &randomness, count_field, &tally);
		ck_assert_uint_eq(tally.total, 2);
	}
}
END_TEST

START_TEST(it_is_freed_in_slices)
{
	struct kv_hash *copy;
	size_t budget, steps = 0;

	fill(1000);
	copy = kv_hash_copy(hash);
	do {
		budget = 100;
		steps++;
	} while (!kv_hash_free_some(copy, &budget));
	ck_assert_uint_ge(steps, 10);
	ck_assert_uint_le(steps, 12);
}
END_TEST

/* The model: 64 fields, each with a value or missing. */
#define MODEL_FIELDS 64

struct model {
	char *values[MODEL_FIELDS];
	size_t lens[MODEL_FIELDS];
	size_t count;
};

static struct slice
model_field(size_t i, char room[40])
{
	/* Some are empty, binary or longer than the limit. */
	int len = i == 0 ? 0 : snprintf(room, 40, i % 7 == 0 ? "%c%03zu-longer" : "%c%zu", 0, i);

	return (struct slice){room, (size_t)len};
}

static void
model_put(struct model *m, size_t i, struct slice value)
{
	m->count += m->values[i] == NULL;
	free(m->values[i]);
	m->values[i] = malloc(value.len + 1);
	memcpy(m->values[i], value.ptr, value.len);
	m->lens[i] = value.len;
}

static void
model_clear(struct model *m)
{
	size_t i;

	for (i = 0; i < MODEL_FIELDS; i++)
		free(m->values[i]);
	memset(m, 0, sizeof(*m));
}

static bool
is_in_model(struct slice field, struct slice value, void *arg)
{
	const struct model *m = arg;
	char room[40];
	size_t i;

	for (i = 0; i < MODEL_FIELDS; i++)
		if (slice_eq(model_field(i, room), field)) {
			ck_assert_ptr_nonnull(m->values[i]);
			ck_assert(slice_eq(value, (struct slice){m->values[i], m->lens[i]}));
			return true;
		}
	ck_abort_msg("a field that nobody set");
	return false;
}

static bool
count_visit(struct slice field, struct slice value, void *arg)
{
	(void)field;
	(void)value;
	++*(size_t *)arg;
	return true;
}

static void
compare_all(struct model *m)
{
	size_t each = 0, sampled = 0;
	uint64_t cursor = 0;

	ck_assert_uint_eq(kv_hash_count(hash), m->count);
	kv_hash_each(hash, is_in_model, m);
	kv_hash_each(hash, count_visit, &each);
	ck_assert_uint_eq(each, m->count);
	kv_hash_sample(hash, m->count / 2, &randomness, is_in_model, m);
	kv_hash_sample(hash, m->count / 2, &randomness, count_visit, &sampled);
	ck_assert_uint_eq(sampled, m->count / 2);
	do {
		cursor = kv_hash_scan(hash, cursor, is_in_model, m);
	} while (cursor != 0);
	if (m->count > 0)
		kv_hash_draw(hash, 3, &randomness, is_in_model, m);
}

static void
start_again(struct model *m, bool by_copy)
{
	struct kv_hash *next = by_copy ? kv_hash_copy(hash) : kv_hash_new();

	kv_hash_free(hash);
	hash = next;
	if (!by_copy)
		model_clear(m);
}

START_TEST(it_does_what_a_plain_array_does_in_260000_random_steps)
{
	static char text[300];
	struct model model = {.count = 0};
	const struct kv_limits wide = {.hash_entries = 40, .hash_value_bytes = 200};
	uint64_t seed = 20;
	char room[40];
	int step;

	memset(text, 'v', sizeof(text));
	for (step = 0; step < testing_steps(260000); step++) {
		uint64_t dice = testing_random(&seed) % 1000;
		size_t i = testing_random(&seed) % MODEL_FIELDS;
		struct slice field = model_field(i, room), value;
		size_t len = testing_random(&seed) % (dice < 20 ? sizeof(text) : 9);
		bool had = model.values[i] != NULL;

		if (dice < 500) {
			text[0] = (char)step;
			value = (struct slice){text, len};
			ck_assert_int_eq(
			    kv_hash_set(hash, field, value, dice % 2 ? &limits : &wide), !had);
			model_put(&model, i, value);
		} else if (dice < 750) {
			ck_assert_int_eq(kv_hash_remove(hash, field), had);
			free(model.values[i]);
			model.values[i] = NULL;
			model.count -= had;
		} else if (dice < 990) {
			ck_assert_int_eq(kv_hash_get(hash, field, &value), had);
			if (had)
				is_in_model(field, value, &model);
		} else if (dice < 998) {
			compare_all(&model);
		} else {
			start_again(&model, dice == 998);
		}
	}
	compare_all(&model);
	model_clear(&model);
}
END_TEST

int
main(void)
{
	return testing_main("kv/hash", setup, teardown,
	    (const TTest *[]){a_field_has_the_value_it_was_given_last,
		a_value_that_is_equal_to_a_field_is_no_field,
		it_is_packed_up_to_the_limit_of_entries, it_is_packed_up_to_the_limit_of_lengths,
		a_long_field_is_not_packed, a_value_in_a_table_grows_and_gives_its_room_back,
		it_is_no_longer_than_a_block_may_be_whatever_the_limits,
		a_sample_has_no_field_twice, each_field_is_drawn_now_and_then,
		a_visit_can_end_a_walk_a_sample_and_a_draw, it_is_freed_in_slices,
		it_does_what_a_plain_array_does_in_260000_random_steps, NULL});
}
