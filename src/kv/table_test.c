#include "config.h"

#include "kv/table.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/testing.h"
#include "kv/memory.h"

static struct kv_table table;

static void
setup(void)
{
	kv_table_init(&table);
}

static size_t
release(struct kv_item *item, void *arg)
{
	(void)arg;
	kv_release(item);
	return 1;
}

static void
teardown(void)
{
	size_t budget = SIZE_MAX;

	ck_assert(kv_table_drain(&table, release, NULL, &budget));
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static struct slice
name(unsigned n)
{
	static char text[32];

	return (struct slice){text, (size_t)snprintf(text, sizeof(text), "key:%u", n)};
}

static void
add(unsigned n)
{
	struct kv_item *item = kv_item_new(name(n), sizeof(n));

	memcpy(kv_item_payload(item), &n, sizeof(n));
	kv_table_add(&table, item);
}

static unsigned
number(struct kv_item *item)
{
	unsigned n;

	memcpy(&n, kv_item_payload(item), sizeof(n));
	return n;
}

START_TEST(what_was_added_is_found_until_it_is_taken)
{
	unsigned i;

	for (i = 0; i < 10000; i++)
		add(i);
	ck_assert_uint_eq(kv_table_count(&table), 10000);
	for (i = 0; i < 10000; i++)
		ck_assert_uint_eq(number(kv_table_find(&table, name(i))), i);
	ck_assert_ptr_null(kv_table_find(&table, name(10000)));
	for (i = 0; i < 10000; i += 2)
		kv_release(kv_table_take(&table, name(i)));
	ck_assert_ptr_null(kv_table_take(&table, name(0)));
	for (i = 0; i < 10000; i++)
		ck_assert_int_eq(kv_table_find(&table, name(i)) != NULL, i % 2 == 1);
}
END_TEST

START_TEST(a_key_is_any_bytes_and_may_be_long)
{
	char bytes[300];
	size_t len, i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (len = 0; len < sizeof(bytes); len++)
		kv_table_add(&table, kv_item_new((struct slice){bytes, len}, 0));
	for (len = 0; len < sizeof(bytes); len++)
		ck_assert_uint_eq(
		    kv_item_key(kv_table_find(&table, (struct slice){bytes, len})).len, len);
}
END_TEST

START_TEST(an_item_that_moved_is_found_where_it_is)
{
	struct bucket_node **link;
	unsigned i;

	for (i = 0; i < 100; i++)
		add(i);
	for (i = 0; i < 100; i++) {
		link = kv_table_link(&table, name(i));
		*link = &kv_item_resize(kv_item_of(*link), 1000)->node;
	}
	for (i = 0; i < 100; i++) {
		ck_assert_uint_eq(number(kv_table_find(&table, name(i))), i);
		ck_assert_uint_ge(kv_item_room(kv_table_find(&table, name(i))), 1000);
	}
}
END_TEST

/* A doubled array of buckets is never allocated or freed at once. */
START_TEST(no_change_costs_much_memory_at_once)
{
	size_t was = kv_used_bytes(), most = 0;
	unsigned i;

	for (i = 0; i < (unsigned)testing_steps(300000); i++) {
		add(i);
		if (kv_used_bytes() > was + most)
			most = kv_used_bytes() - was;
		was = kv_used_bytes();
	}
	ck_assert_uint_lt(most, 150000);
}
END_TEST

/* An MSET during a doubling: its keys go to buckets all over the table. */
START_TEST(a_batch_of_new_items_in_the_middle_of_a_doubling_makes_few_segments)
{
	const unsigned full = 1U << testing_stride(18, 16), batch = 1000;
	size_t item_bytes, before;
	unsigned i;

	for (i = 0; i < full; i++)
		add(i);
	item_bytes = kv_block_bytes(kv_table_find(&table, name(full - 1)));
	ck_assert_uint_eq(table.buckets.from.count, 0);
	add(i++);
	ck_assert_uint_eq(table.buckets.from.count, full);
	before = kv_used_bytes();
	for (; i <= full + batch; i++)
		add(i);
	/* A segment of the old table's 64 and two of the new table's 128. */
	ck_assert_uint_lt(kv_used_bytes() - before, batch * (item_bytes + 16) + 8 * 32768);
	ck_assert_uint_gt(table.buckets.from.count, table.buckets.moved);
	ck_assert_double_lt(
	    fabs(1 - (double)kv_table_held_bytes(&table) / (double)kv_used_bytes()), 0.02);
	for (i = 0; i <= full + batch; i++)
		ck_assert_ptr_nonnull(kv_table_find(&table, name(i)));
}
END_TEST

static unsigned char seen[20000];

static bool
see(struct kv_item *item, void *arg)
{
	unsigned *count = arg;

	seen[number(item)]++;
	++*count;
	return true;
}

START_TEST(each_visits_every_item_once_also_in_the_middle_of_a_resize)
{
	unsigned i, count = 0;

	for (i = 0; i < 1100; i++)
		add(i);
	ck_assert_uint_gt(table.buckets.from.count, 0);
	memset(seen, 0, sizeof(seen));
	kv_table_each(&table, see, &count);
	ck_assert_uint_eq(count, 1100);
	for (i = 0; i < 1100; i++)
		ck_assert_uint_eq(seen[i], 1);
}
END_TEST

START_TEST(a_scan_sees_all_that_was_there_all_the_time_while_the_table_grows_and_shrinks)
{
	unsigned i, count = 0, next = 10000, round;
	uint64_t cursor = 0;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 500; i++)
			if (kv_table_find(&table, name(i)) == NULL)
				add(i);
		memset(seen, 0, sizeof(seen));
		next = 10000;
		do {
			cursor = kv_table_scan(&table, cursor, see, &count);
			/* The table shrinks in odd rounds and grows in even ones. */
			if (round % 2 == 0 && next < 19000)
				for (i = 0; i < 40; i++)
					add(next++);
			else
				for (i = 0; i < 40 && next < 20000; i++, next++)
					kv_release(kv_table_take(&table, name(next)));
		} while (cursor != 0);
		for (i = 0; i < 500; i++)
			ck_assert_msg(seen[i] > 0, "round %u: %u was not seen", round, i);
		if (round % 2 == 1)
			for (i = 10000; i < 20000; i++)
				kv_release(kv_table_take(&table, name(i)));
	}
}
END_TEST

START_TEST(random_picks_reach_every_item)
{
	unsigned i, left = 1000, tries;

	for (i = 0; i < 1000; i++)
		add(i);
	memset(seen, 0, sizeof(seen));
	for (tries = 0; left > 0 && tries < 1000000; tries++) {
		i = number(kv_table_random(&table, (uint64_t)tries * 0x9e3779b97f4a7c15));
		left -= seen[i] == 0;
		seen[i] = 1;
	}
	ck_assert_uint_eq(left, 0);
}
END_TEST

/* Chi-square of ten items: a fair table exceeds 40 once in 100 000 runs. */
START_TEST(a_draw_is_fair_to_items_that_share_a_bucket)
{
	unsigned i, round;
	struct random random;

	random_seed(&random, 1);
	for (round = 0; round < 20; round++) {
		unsigned drawn[10] = {0};
		double off = 0;

		for (i = round * 10; i < round * 10 + 10; i++)
			add(i);
		for (i = 0; i < 1000; i++)
			drawn[number(kv_table_draw(&table, &random)) - round * 10]++;
		for (i = 0; i < 10; i++)
			off += (drawn[i] - 100.0) * (drawn[i] - 100.0) / 100;
		ck_assert_double_lt(off, 40);
		for (i = round * 10; i < round * 10 + 10; i++)
			kv_release(kv_table_take(&table, name(i)));
	}
}
END_TEST

START_TEST(a_random_pick_of_few_that_are_left_of_many_ends)
{
	struct random random;
	unsigned i;

	for (i = 0; i < 20000; i++)
		add(i);
	for (i = 1; i < 20000; i++)
		kv_release(kv_table_take(&table, name(i)));
	ck_assert_uint_eq(number(kv_table_random(&table, 12345)), 0);
	random_seed(&random, 1);
	ck_assert_uint_eq(number(kv_table_draw(&table, &random)), 0);
}
END_TEST

START_TEST(a_table_is_drained_in_steps)
{
	size_t budget, steps = 0;
	unsigned i;
	bool done;

	for (i = 0; i < 10000; i++)
		add(i);
	do {
		budget = 100;
		done = kv_table_drain(&table, release, NULL, &budget);
		steps++;
	} while (!done);
	ck_assert_uint_ge(steps, 100);
	ck_assert_uint_le(steps, 102);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}
END_TEST

/* The model is an array that says which numbers are in the table. */
START_TEST(a_table_does_what_a_set_of_numbers_does)
{
	static bool in[4000];
	unsigned step, count = 0, n, range = 4000;

	memset(in, 0, sizeof(in));
	srandom(7);
	for (step = 0; step < (unsigned)testing_steps(300000); step++) {
		if (step % 20000 == 0)
			range = step % 40000 == 0 ? 4000 : 50;
		n = (unsigned)random() % range;
		if (random() % 2 == 0 && !in[n]) {
			add(n);
			in[n] = true;
			count++;
		} else if (in[n]) {
			kv_release(kv_table_take(&table, name(n)));
			in[n] = false;
			count--;
		}
		n = (unsigned)random() % 4000;
		ck_assert_int_eq(kv_table_find(&table, name(n)) != NULL, in[n]);
		ck_assert_uint_eq(kv_table_count(&table), count);
	}
}
END_TEST

int
main(void)
{
	return testing_main("kv/table", setup, teardown,
	    (const TTest *[]){what_was_added_is_found_until_it_is_taken,
		a_key_is_any_bytes_and_may_be_long, an_item_that_moved_is_found_where_it_is,
		no_change_costs_much_memory_at_once,
		a_batch_of_new_items_in_the_middle_of_a_doubling_makes_few_segments,
		each_visits_every_item_once_also_in_the_middle_of_a_resize,
		a_scan_sees_all_that_was_there_all_the_time_while_the_table_grows_and_shrinks,
		random_picks_reach_every_item, a_draw_is_fair_to_items_that_share_a_bucket,
		a_random_pick_of_few_that_are_left_of_many_ends, a_table_is_drained_in_steps,
		a_table_does_what_a_set_of_numbers_does, NULL});
}
