#include "config.h"

#include "base/rate_limit.h"

#include <check.h>

#include "base/testing.h"

static struct rate_limit rl;

static void
setup(void)
{
	rate_limit_init(&rl, 10, 3);
}

static int
passed_of(int tries, uint64_t now_us)
{
	int passed = 0;

	while (tries-- > 0)
		passed += rate_limit_take(&rl, now_us);
	return passed;
}

START_TEST(burst_passes_and_the_next_one_does_not)
{
	ck_assert_int_eq(passed_of(3, 1000000), 3);
	ck_assert_int_eq(passed_of(1, 1000000), 0);
}
END_TEST

START_TEST(one_more_passes_each_tenth_of_a_second)
{
	ck_assert_int_eq(passed_of(5, 1000000), 3);
	ck_assert_int_eq(passed_of(5, 1099999), 0);
	ck_assert_int_eq(passed_of(5, 1100000), 1);
}
END_TEST

START_TEST(idleness_never_saves_up_more_than_a_burst)
{
	ck_assert_int_eq(passed_of(3, 1000000), 3);
	ck_assert_int_eq(passed_of(9, 3600000000), 3);
}
END_TEST

int
main(void)
{
	return testing_main("base/rate_limit", setup, NULL,
	    (const TTest *[]){burst_passes_and_the_next_one_does_not,
		one_more_passes_each_tenth_of_a_second, idleness_never_saves_up_more_than_a_burst,
		NULL});
}
