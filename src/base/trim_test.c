#include "config.h"

#include "base/trim.h"

#include <check.h>

#include "base/testing.h"

#define MIB ((size_t)1 << 20)

static struct trim trim;

static void
setup(void)
{
	trim = (struct trim){0};
	ck_assert(!trim_is_due(&trim, 100 * MIB, 1000000));
}

START_TEST(what_grows_is_never_trimmed)
{
	ck_assert(!trim_is_due(&trim, 200 * MIB, 2000000));
	ck_assert(!trim_is_due(&trim, 200 * MIB, 9000000));
	ck_assert_uint_eq(trim_wait_us(&trim, 200 * MIB, 9000000), UINT64_MAX);
}
END_TEST

START_TEST(a_slice_that_was_freed_is_trimmed_at_once)
{
	ck_assert(!trim_is_due(&trim, 96 * MIB + 1, 2000000));
	ck_assert(trim_is_due(&trim, 96 * MIB, 2000001));
}
END_TEST

START_TEST(less_is_trimmed_after_a_second)
{
	ck_assert(!trim_is_due(&trim, 99 * MIB, 2000000));
	ck_assert_uint_eq(trim_wait_us(&trim, 99 * MIB, 2400000), 600000);
	ck_assert(!trim_is_due(&trim, 99 * MIB, 2999999));
	ck_assert(trim_is_due(&trim, 99 * MIB, 3000000));
}
END_TEST

START_TEST(what_is_used_again_is_not_trimmed)
{
	ck_assert(!trim_is_due(&trim, 99 * MIB, 2000000));
	ck_assert(!trim_is_due(&trim, 100 * MIB, 2500000));
	ck_assert(!trim_is_due(&trim, 99 * MIB, 3000000));
	ck_assert(!trim_is_due(&trim, 99 * MIB, 3999999));
	ck_assert(trim_is_due(&trim, 99 * MIB, 4000000));
}
END_TEST

START_TEST(trims_take_a_twentieth_of_the_time_at_most)
{
	ck_assert(trim_is_due(&trim, 90 * MIB, 2000000));
	trim_is_done(&trim, 90 * MIB, 2000000, 1000);
	ck_assert(!trim_is_due(&trim, 86 * MIB, 2019999));
	ck_assert_uint_eq(trim_wait_us(&trim, 86 * MIB, 2019999), 1);
	ck_assert(trim_is_due(&trim, 86 * MIB, 2020000));
}
END_TEST

START_TEST(much_that_is_freed_does_not_wait_for_more)
{
	ck_assert(trim_is_due(&trim, 90 * MIB, 2000000));
	trim_is_done(&trim, 90 * MIB, 2000000, 6000);
	ck_assert(!trim_is_due(&trim, 74 * MIB + 1, 2000100));
	ck_assert(trim_is_due(&trim, 74 * MIB, 2000200));
}
END_TEST

START_TEST(after_a_trim_only_what_is_freed_later_counts)
{
	ck_assert(trim_is_due(&trim, 50 * MIB, 2000000));
	trim_is_done(&trim, 50 * MIB, 2000000, 100);
	ck_assert(!trim_is_due(&trim, 50 * MIB, 9000000));
	ck_assert_uint_eq(trim_wait_us(&trim, 50 * MIB, 9000000), UINT64_MAX);
}
END_TEST

int
main(void)
{
	return testing_main("base/trim", setup, NULL,
	    (const TTest *[]){what_grows_is_never_trimmed,
		a_slice_that_was_freed_is_trimmed_at_once, less_is_trimmed_after_a_second,
		what_is_used_again_is_not_trimmed, trims_take_a_twentieth_of_the_time_at_most,
		much_that_is_freed_does_not_wait_for_more,
		after_a_trim_only_what_is_freed_later_counts, NULL});
}
