#include "config.h"

#include "kv/zset.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "kv/memory.h"

/* Sorted sets at their limits, and their cost in nodes and bytes. Their order is tested in
 * zset_model_test.c. */
static const struct kv_limits limits = {.zset_entries = 128, .zset_value_bytes = 64};
static struct kv_zset *z;

static void
setup(void)
{
	z = kv_zset_new();
}

static void
teardown(void)
{
	kv_zset_free(z);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static void
put(double score, const char *member)
{
	kv_zset_put(z, slice_of(member), score, &limits);
}

static void
put_number(double score, unsigned number)
{
	char member[32];

	snprintf(member, sizeof(member), "member:%012u", number);
	put(score, member);
}

static double
score_of(const char *member)
{
	double score;

	return kv_zset_score(z, slice_of(member), &score) ? score : NAN;
}

START_TEST(packed_up_to_the_limit_of_entries_and_not_past_it)
{
	unsigned i;

	for (i = 0; i < 128; i++)
		put_number(i, i);
	ck_assert(kv_zset_is_packed(z));
	put_number(-1, 5);
	ck_assert(kv_zset_is_packed(z));
	put_number(128, 128);
	ck_assert(!kv_zset_is_packed(z));
	ck_assert(kv_zset_is_sound(z));
	kv_zset_remove_ranks(z, 1, 129);
	ck_assert(!kv_zset_is_packed(z));
	ck_assert_uint_eq(kv_zset_count(z), 1);
	ck_assert(score_of("member:000000000005") == -1);
}
END_TEST

START_TEST(packed_up_to_the_limit_of_bytes_and_not_past_it)
{
	char member[66] = "";

	memset(member, 'x', 64);
	put(1, member);
	ck_assert(kv_zset_is_packed(z));
	member[64] = 'x';
	put(1, member);
	ck_assert(!kv_zset_is_packed(z));
	ck_assert_uint_eq(kv_zset_count(z), 2);
	ck_assert(kv_zset_is_sound(z));
}
END_TEST

START_TEST(limits_past_what_can_be_packed_are_no_harm)
{
	const struct kv_limits wide = {.zset_entries = UINT32_MAX, .zset_value_bytes = UINT32_MAX};
	char member[256];
	unsigned i;

	memset(member, 'x', sizeof(member));
	kv_zset_put(z, (struct slice){member, 255}, 1, &wide);
	ck_assert(kv_zset_is_packed(z));
	for (i = 1; i < 1024; i++) {
		snprintf(member, sizeof(member), "%u", i);
		kv_zset_put(z, slice_of(member), i, &wide);
	}
	ck_assert(kv_zset_is_packed(z));
	kv_zset_put(z, SLICE("more"), 1, &wide);
	ck_assert(!kv_zset_is_packed(z));
}
END_TEST

START_TEST(limits_of_nothing_pack_nothing)
{
	const struct kv_limits none = {.zset_entries = 0};

	kv_zset_put(z, SLICE("a"), 1, &none);
	ck_assert(!kv_zset_is_packed(z));
	ck_assert(score_of("a") == 1);
}
END_TEST

START_TEST(minus_zero_is_kept_only_where_it_is_not_packed)
{
	const struct kv_limits none = {.zset_entries = 0};

	put(-0.0, "a");
	ck_assert(!signbit(score_of("a")));
	kv_zset_put(z, SLICE("b"), -0.0, &none);
	ck_assert(signbit(score_of("b")));
}
END_TEST

START_TEST(an_empty_set_can_be_asked_anything)
{
	struct rank_bound bound = {.by = RANK_BY_SCORE};
	struct kv_zset_cursor c;
	struct kv_zset_entry entry;
	struct kv_zset *copy = kv_zset_copy(z);

	ck_assert_uint_eq(kv_zset_count(copy), 0);
	kv_zset_free(copy);
	ck_assert_uint_eq(kv_zset_count_before(z, &bound), 0);
	kv_zset_seek(z, 0, &c);
	ck_assert(!kv_zset_next(&c, &entry) && !kv_zset_prev(&c, &entry));
	ck_assert(!kv_zset_remove(z, SLICE("a")));
	kv_zset_remove_ranks(z, 0, 0);
}
END_TEST

START_TEST(freeing_does_no_more_at_once_than_it_may)
{
	struct kv_zset *large = kv_zset_new();
	size_t slices = 0, budget, before, freed;
	char member[32];
	unsigned i;

	for (i = 0; i < 10000; i++) {
		snprintf(member, sizeof(member), "%u", i);
		kv_zset_put(large, slice_of(member), i, &limits);
	}
	do {
		budget = 100;
		before = kv_used_bytes();
		slices++;
		if (kv_zset_free_some(large, &budget))
			break;
		freed = before - kv_used_bytes();
		/* A node is about 1 KiB, and so are a few segments of the table. */
		ck_assert_uint_le(freed, 300 * 1024);
	} while (slices < 1000);
	ck_assert_uint_ge(slices, 100);
	ck_assert_uint_lt(slices, 1000);
}
END_TEST

static size_t
nodes_to(size_t rank)
{
	struct kv_zset_cursor c;
	struct kv_zset_entry entry;

	kv_zset_seek(z, rank, &c);
	ck_assert(kv_zset_next(&c, &entry));
	return c.tree.nodes;
}

START_TEST(an_offset_of_a_million_costs_as_many_steps_as_none)
{
	unsigned i, number = 0, count = (unsigned)testing_steps(1000000);
	size_t rank;

	for (i = 0; i < count; i++) {
		number = (number + count / 10 * 7 + 1) % count; /* each once, in no order */
		put_number(number, number);
	}
	ck_assert(kv_zset_is_sound(z));
	for (rank = 0; rank < count; rank += 9973)
		ck_assert_uint_le(nodes_to(rank), nodes_to(0) + 1);
	ck_assert_uint_le(nodes_to(0), 6);
	ck_assert_uint_le(nodes_to(count - 1), nodes_to(0) + 1);
}
END_TEST

/* Bytes per member, without its block (the item) and its bucket (about 12 bytes). */
static double
bytes_each(int step, unsigned count)
{
	unsigned i, number = step > 0 ? 0 : count;
	size_t before = kv_used_bytes();

	for (i = 0; i < count; i++) {
		number += (unsigned)step;
		put_number(number, number);
	}
	return (double)(kv_used_bytes() - before) / count;
}

START_TEST(sets_filled_in_order_from_either_end_have_full_leaves)
{
	/* The item: 8 + 4 + 1 + 19 + 8 bytes; a bucket per item: 8 to 16; an entry of a leaf: 16.
	 */
	ck_assert_double_le(bytes_each(1, 100000), 40 + 8 + 16 + 17.5);
	kv_zset_free(z);
	z = kv_zset_new();
	ck_assert_double_le(bytes_each(-1, 100000), 40 + 8 + 16 + 17.5);
	ck_assert(kv_zset_is_sound(z));
}
END_TEST

START_TEST(its_bytes_are_about_what_was_allocated_for_it)
{
	unsigned i, number = 0;

	ck_assert_uint_eq(kv_zset_bytes(z), kv_used_bytes());
	put_number(1, 1);
	ck_assert_uint_eq(kv_zset_bytes(z), kv_used_bytes());
	for (i = 0; i < 50000; i++) {
		number = (number + 70001) % 100000;
		put_number(number, number);
		if (i % 4999 == 0 && i > 0)
			ck_assert_double_eq_tol(
			    (double)kv_zset_bytes(z) / (double)kv_used_bytes(), 1, 0.15);
	}
}
END_TEST

int
main(void)
{
	return testing_main("kv/zset", setup, teardown,
	    (const TTest *[]){packed_up_to_the_limit_of_entries_and_not_past_it,
		packed_up_to_the_limit_of_bytes_and_not_past_it,
		limits_past_what_can_be_packed_are_no_harm, limits_of_nothing_pack_nothing,
		minus_zero_is_kept_only_where_it_is_not_packed, an_empty_set_can_be_asked_anything,
		freeing_does_no_more_at_once_than_it_may,
		an_offset_of_a_million_costs_as_many_steps_as_none,
		sets_filled_in_order_from_either_end_have_full_leaves,
		its_bytes_are_about_what_was_allocated_for_it, NULL});
}
