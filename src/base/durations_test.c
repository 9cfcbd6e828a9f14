#include "config.h"

#include "base/durations.h"

#include <check.h>

#include "base/testing.h"

START_TEST(bounds_ascend)
{
	for (size_t i = 1; i < DURATION_BOUNDS; i++)
		ck_assert_uint_gt(duration_bounds_us[i], duration_bounds_us[i - 1]);
}
END_TEST

START_TEST(a_duration_is_counted_below_the_first_bound_that_it_does_not_exceed)
{
	struct durations d = {0};

	for (size_t i = 0; i < DURATION_BOUNDS; i++) {
		durations_add(&d, duration_bounds_us[i]);
		ck_assert_uint_eq(d.counts[i], i == 0 ? 1 : 2);
		durations_add(&d, duration_bounds_us[i] + 1);
		ck_assert_uint_eq(d.counts[i + 1], 1);
	}
}
END_TEST

START_TEST(the_sum_and_the_last_count_have_durations_of_any_length)
{
	struct durations d = {0};

	durations_add(&d, 0);
	durations_add(&d, UINT64_C(3600000000));
	ck_assert_uint_eq(d.counts[0], 1);
	ck_assert_uint_eq(d.counts[DURATION_BOUNDS], 1);
	ck_assert_uint_eq(d.sum_us, UINT64_C(3600000000));
}
END_TEST

int
main(void)
{
	return testing_main("base/durations", NULL, NULL,
	    (const TTest *[]){bounds_ascend,
		a_duration_is_counted_below_the_first_bound_that_it_does_not_exceed,
		the_sum_and_the_last_count_have_durations_of_any_length, NULL});
}
