#include "config.h"

#include "server/deadlines.h"

#include <check.h>
#include <stdbool.h>

#include "base/testing.h"

#define MANY 500

static struct deadlines deadlines;
static struct deadline many[MANY];

static void
teardown(void)
{
	deadlines_release(&deadlines);
}

START_TEST(the_first_is_the_earliest)
{
	ck_assert_ptr_null(deadlines_first(&deadlines));
	deadlines_add(&deadlines, &many[0], 20);
	deadlines_add(&deadlines, &many[1], 10);
	deadlines_add(&deadlines, &many[2], 30);
	ck_assert_ptr_eq(deadlines_first(&deadlines), &many[1]);
	deadlines_remove(&deadlines, &many[1]);
	ck_assert_ptr_eq(deadlines_first(&deadlines), &many[0]);
	deadlines_remove(&deadlines, &many[2]);
	deadlines_remove(&deadlines, &many[0]);
	ck_assert_ptr_null(deadlines_first(&deadlines));
}
END_TEST

static uint64_t
earliest(const bool *in)
{
	uint64_t at_us = UINT64_MAX;

	for (int i = 0; i < MANY; i++)
		if (in[i] && many[i].at_us < at_us)
			at_us = many[i].at_us;
	return at_us;
}

START_TEST(whatever_is_added_and_removed_the_first_is_the_earliest)
{
	bool in[MANY] = {false};
	uint64_t seed = 1;
	size_t count = 0;

	for (int n = 0; n < 50000; n++) {
		size_t i = (size_t)(testing_random(&seed) % MANY);

		if (in[i])
			deadlines_remove(&deadlines, &many[i]);
		else
			deadlines_add(&deadlines, &many[i], testing_random(&seed) % 1000);
		in[i] = !in[i];
		count += in[i] ? 1 : (size_t)-1;
		ck_assert_uint_eq(deadlines.count, count);
		if (count > 0)
			ck_assert_uint_eq(deadlines_first(&deadlines)->at_us, earliest(in));
	}
}
END_TEST

START_TEST(an_empty_heap_is_a_small_one)
{
	for (int i = 0; i < MANY; i++)
		deadlines_add(&deadlines, &many[i], 1);
	for (int i = 0; i < MANY; i++) {
		deadlines_remove(&deadlines, &many[i]);
		ck_assert(deadlines.room <= 16 || deadlines.count >= deadlines.room / 4);
	}
	ck_assert_uint_eq(deadlines.room, 16);
}
END_TEST

int
main(void)
{
	return testing_main("server/deadlines", NULL, teardown,
	    (const TTest *[]){the_first_is_the_earliest,
		whatever_is_added_and_removed_the_first_is_the_earliest,
		an_empty_heap_is_a_small_one, NULL});
}
