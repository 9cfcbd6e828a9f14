#include "config.h"

#include "link/shard_marks.h"

#include <check.h>

#include "base/testing.h"

static struct shard_marks marks;
static uint64_t counts[3]; /* of the sources, which are their addresses */

static void
setup(void)
{
	marks = (struct shard_marks){0};
	for (int i = 0; i < 3; i++)
		counts[i] = 0;
}

static void
teardown(void)
{
	shard_marks_release(&marks);
}

static uint64_t
count_of(void *arg, const void *source)
{
	ck_assert_ptr_null(arg);
	return *(const uint64_t *)source;
}

static uint64_t
reached(void)
{
	shard_marks_update(&marks, count_of, NULL);
	return marks.reached;
}

START_TEST(a_mark_is_reached_behind_all_before_it)
{
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[0], 5), 1);
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[1], 1), 2);
	counts[1] = 1;
	ck_assert_uint_eq(reached(), 0);
	counts[0] = 4;
	ck_assert_uint_eq(reached(), 0);
	counts[0] = 5;
	ck_assert_uint_eq(reached(), 2);
}
END_TEST

START_TEST(the_same_mark_twice_is_one)
{
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[0], 5), 1);
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[0], 5), 1);
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[0], 6), 2);
	counts[0] = 6;
	ck_assert_uint_eq(reached(), 2);
	ck_assert_uint_eq(shard_marks_add(&marks, &counts[0], 6), 3);
}
END_TEST

START_TEST(marks_of_a_source_that_is_gone_are_reached)
{
	shard_marks_add(&marks, &counts[0], 1);
	shard_marks_add(&marks, &counts[1], 1);
	shard_marks_forget(&marks, &counts[0]);
	ck_assert_uint_eq(reached(), 1);
	shard_marks_forget(&marks, &counts[1]);
	ck_assert_uint_eq(reached(), 2);
}
END_TEST

START_TEST(marks_are_reached_in_any_order_of_answers)
{
	uint64_t seed = 1, wanted[3] = {0, 0, 0}, last = 0;

	for (int step = testing_steps(20000); step > 0; step--) {
		size_t i = testing_random(&seed) % 3;

		if (testing_random(&seed) % 2 == 0) {
			last = shard_marks_add(&marks, &counts[i], ++wanted[i]);
		} else if (counts[i] < wanted[i]) {
			counts[i]++;
			ck_assert_uint_le(reached(), last);
		}
		if (counts[0] == wanted[0] && counts[1] == wanted[1] && counts[2] == wanted[2])
			ck_assert_uint_eq(reached(), last);
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/shard_marks", setup, teardown,
	    (const TTest *[]){a_mark_is_reached_behind_all_before_it, the_same_mark_twice_is_one,
		marks_of_a_source_that_is_gone_are_reached,
		marks_are_reached_in_any_order_of_answers, NULL});
}
