#include "config.h"

#include "kv/set.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"

static const struct kv_limits limits = {
    .set_intset_entries = 6, .set_entries = 4, .set_value_bytes = 8};

static struct kv_set *set;
static struct random randomness;

static void
setup(void)
{
	set = kv_set_new();
	random_seed(&randomness, 1);
}

static void
teardown(void)
{
	kv_set_free(set);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static bool
add(const char *member)
{
	return kv_set_add(set, slice_of(member), &limits);
}

static bool
has(const char *member)
{
	return kv_set_has(set, slice_of(member));
}

static void
fill(size_t count)
{
	char member[24];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(member, sizeof(member), "%zu", i);
		add(member);
	}
}

static bool
append(struct slice member, void *arg)
{
	char *text = arg;

	strncat(text, member.ptr, member.len);
	strcat(text, " ");
	return true;
}

START_TEST(integers_are_kept_in_order_whatever_their_width)
{
	static const char *const members[] = {
	    "5", "-9223372036854775808", "9223372036854775807", "70000", "-1"};
	char text[200] = "";
	size_t i;

	for (i = 0; i < 5; i++)
		ck_assert(add(members[i]));
	ck_assert(!add("70000"));
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_INTEGERS);
	kv_set_each(set, append, text);
	ck_assert_str_eq(text, "-9223372036854775808 -1 5 70000 9223372036854775807 ");
	ck_assert(kv_set_remove(set, SLICE("5")));
	ck_assert(!kv_set_remove(set, SLICE("5")));
	ck_assert(!has("5") && has("-1") && has("70000"));
}
END_TEST

START_TEST(what_only_looks_like_an_integer_is_a_text)
{
	add("1");
	ck_assert(!has("01") && !has("+1") && !has("1 ") && !has(""));
	ck_assert(add("01"));
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_PACKED);
	ck_assert(has("1") && has("01"));
	ck_assert(!add("1"));
	ck_assert(add("9223372036854775808") && has("9223372036854775808"));
}
END_TEST

START_TEST(too_many_integers_become_a_table)
{
	fill(6);
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_INTEGERS);
	fill(7);
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_TABLE);
	ck_assert_uint_eq(kv_set_count(set), 7);
	ck_assert(has("0") && has("6"));
}
END_TEST

START_TEST(integers_with_a_text_are_packed_if_that_is_allowed)
{
	fill(3);
	add("a");
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_PACKED);
	add("b");
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_TABLE);
	ck_assert(has("0") && has("2") && has("a") && has("b"));
}
END_TEST

START_TEST(long_integers_with_a_text_are_a_table)
{
	add("-1234567890");
	add("a");
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_TABLE);
	ck_assert(has("-1234567890") && has("a"));
}
END_TEST

START_TEST(a_long_text_makes_a_table)
{
	add("12345678");
	add("abcdefgh");
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_PACKED);
	add("abcdefghi");
	ck_assert_int_eq(kv_set_encoding(set), KV_SET_TABLE);
	ck_assert_uint_eq(kv_set_count(set), 3);
}
END_TEST

struct tally {
	unsigned seen[1001];
	size_t total, stop_at;
};

static bool
count_member(struct slice member, void *arg)
{
	struct tally *tally = arg;
	uint64_t number = 1000;

	if (!slice_is(member, "x"))
		ck_assert(slice_to_u64(member, &number) && number < 1000);
	tally->seen[number]++;
	return ++tally->total != tally->stop_at;
}

/* Of members 0 .. of-1, and "x" if with_text. */
static void
check_choices(size_t of, bool with_text, size_t count)
{
	struct tally tally = {.stop_at = 0};
	size_t i;

	kv_set_free(set);
	set = kv_set_new();
	fill(of);
	if (with_text)
		add("x");
	kv_set_sample(set, count, &randomness, count_member, &tally);
	ck_assert_uint_eq(tally.total, count);
	for (i = 0; i <= 1000; i++)
		ck_assert_uint_le(tally.seen[i], 1);
	tally = (struct tally){.stop_at = 0};
	kv_set_draw(set, 20 * of, &randomness, count_member, &tally);
	ck_assert_uint_eq(tally.total, 20 * of);
	for (i = 0; i < of; i++)
		ck_assert_uint_lt(tally.seen[i], 200);
	tally = (struct tally){.stop_at = 0};
	for (i = 0; i < count; i++)
		kv_set_pop(set, &randomness, count_member, &tally);
	ck_assert_uint_eq(tally.total, count);
	for (i = 0; i <= 1000; i++)
		ck_assert_uint_le(tally.seen[i], 1);
	ck_assert_uint_eq(kv_set_count(set), of + with_text - count);
}

START_TEST(choices_are_fair_in_each_encoding)
{
	check_choices(6, false, 3);
	check_choices(3, true, 4);
	check_choices(1000, false, 10);
	check_choices(1000, false, 333);
	check_choices(1000, false, 334);
	check_choices(1000, true, 1001);
}
END_TEST

START_TEST(each_member_is_popped_once)
{
	struct tally tally = {.stop_at = 0};
	size_t i;

	fill(1000);
	for (i = 0; i < 1000; i++)
		kv_set_pop(set, &randomness, count_member, &tally);
	for (i = 0; i < 1000; i++)
		ck_assert_uint_eq(tally.seen[i], 1);
	ck_assert_uint_eq(kv_set_count(set), 0);
}
END_TEST

START_TEST(a_visit_can_end_a_walk_a_sample_and_a_draw)
{
	static const size_t sizes[] = {3, 4, 1000};
	struct tally tally;
	size_t i;

	for (i = 0; i < 3; i++) {
		fill(sizes[i]);
		if (sizes[i] == 3)
			add("x");
		tally = (struct tally){.stop_at = 2};
		ck_assert(!kv_set_each(set, count_member, &tally));
		ck_assert_uint_eq(tally.total, 2);
		tally = (struct tally){.stop_at = 2};
		kv_set_sample(set, 3, &randomness, count_member, &tally);
		ck_assert_uint_eq(tally.total, 2);
		tally = (struct tally){.stop_at = 2};
		kv_set_draw(set, 1000000, &randomness, count_member, &tally);
		ck_assert_uint_eq(tally.total, 2);
	}
}
END_TEST

START_TEST(it_is_freed_in_slices)
{
	struct kv_set *copy;
	size_t budget, steps = 0;

	fill(1000);
	copy = kv_set_copy(set);
	do {
		budget = 100;
		steps++;
	} while (!kv_set_free_some(copy, &budget));
	ck_assert_uint_ge(steps, 10);
	ck_assert_uint_le(steps, 12);
}
END_TEST

/* The model: which of 64 members are in the set. */
#define MODEL_MEMBERS 64

struct model {
	bool there[MODEL_MEMBERS];
	size_t count;
	bool integers_only;
};

static struct slice
model_member(size_t i, char room[40])
{
	static const int64_t wide[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 32768, -32769};
	size_t len;

	if (i < 6)
		len = bytes_from_i64(room, wide[i]);
	else if (i < 32)
		len = bytes_from_i64(room, (int64_t)i - 20);
	else if (i == 32)
		len = 0;
	else
		len = (size_t)snprintf(room, 40, i % 7 == 0 ? "%c%03zu-longer" : "%c%zu", 0, i);
	return (struct slice){room, len};
}

static bool
is_in_model(struct slice member, void *arg)
{
	const struct model *m = arg;
	char room[40];
	size_t i;

	for (i = 0; i < MODEL_MEMBERS; i++)
		if (slice_eq(model_member(i, room), member)) {
			ck_assert(m->there[i]);
			return true;
		}
	ck_abort_msg("a member that nobody added");
	return false;
}

static bool
count_visit(struct slice member, void *arg)
{
	(void)member;
	++*(size_t *)arg;
	return true;
}

static bool
drop_from_model(struct slice member, void *arg)
{
	struct model *m = arg;
	char room[40];
	size_t i;

	for (i = 0; i < MODEL_MEMBERS; i++)
		if (m->there[i] && slice_eq(model_member(i, room), member)) {
			m->there[i] = false;
			m->count--;
			return true;
		}
	ck_abort_msg("a member that was not there");
	return false;
}

static void
compare_all(struct model *m)
{
	size_t each = 0, sampled = 0;
	uint64_t cursor = 0;

	ck_assert_uint_eq(kv_set_count(set), m->count);
	ck_assert(kv_set_each(set, is_in_model, m));
	ck_assert(kv_set_each(set, count_visit, &each));
	ck_assert_uint_eq(each, m->count);
	kv_set_sample(set, m->count / 2, &randomness, is_in_model, m);
	kv_set_sample(set, m->count / 2, &randomness, count_visit, &sampled);
	ck_assert_uint_eq(sampled, m->count / 2);
	do {
		cursor = kv_set_scan(set, cursor, is_in_model, m);
	} while (cursor != 0);
	if (m->count > 0)
		kv_set_draw(set, 3, &randomness, is_in_model, m);
}

static void
start_again(struct model *m, bool by_copy)
{
	struct kv_set *next = by_copy ? kv_set_copy(set) : kv_set_new();

	kv_set_free(set);
	set = next;
	if (!by_copy)
		*m = (struct model){.integers_only = !m->integers_only};
}

START_TEST(it_does_what_a_plain_array_does_in_260000_random_steps)
{
	struct model model = {.count = 0};
	const struct kv_limits wide = {
	    .set_intset_entries = 30, .set_entries = 40, .set_value_bytes = 20};
	uint64_t seed = 21;
	char room[40];
	int step;

	for (step = 0; step < testing_steps(260000); step++) {
		uint64_t dice = testing_random(&seed) % 1000;
		size_t i = testing_random(&seed) % (model.integers_only ? 32 : MODEL_MEMBERS);
		struct slice member = model_member(i, room);
		bool had = model.there[i];

		if (dice < 450) {
			ck_assert_int_eq(kv_set_add(set, member, dice % 2 ? &limits : &wide), !had);
			model.there[i] = true;
			model.count += !had;
		} else if (dice < 700) {
			ck_assert_int_eq(kv_set_remove(set, member), had);
			model.there[i] = false;
			model.count -= had;
		} else if (dice < 740) {
			if (model.count > 0)
				kv_set_pop(set, &randomness, drop_from_model, &model);
		} else if (dice < 985) {
			ck_assert_int_eq(kv_set_has(set, member), had);
		} else if (dice < 993) {
			compare_all(&model);
		} else {
			start_again(&model, dice % 2);
		}
	}
	compare_all(&model);
}
END_TEST

int
main(void)
{
	return testing_main("kv/set", setup, teardown,
	    (const TTest *[]){integers_are_kept_in_order_whatever_their_width,
		what_only_looks_like_an_integer_is_a_text, too_many_integers_become_a_table,
		integers_with_a_text_are_packed_if_that_is_allowed,
		long_integers_with_a_text_are_a_table, a_long_text_makes_a_table,
		choices_are_fair_in_each_encoding, each_member_is_popped_once,
		a_visit_can_end_a_walk_a_sample_and_a_draw, it_is_freed_in_slices,
		it_does_what_a_plain_array_does_in_260000_random_steps, NULL});
}
