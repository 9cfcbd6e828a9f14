#include "config.h"

#include "base/latency_histogram.h"

#include <check.h>

#include "base/testing.h"

static struct latency_histogram h;

static void
setup(void)
{
	h = (struct latency_histogram){0};
}

static void
assert_near(double value, double expected)
{
	ck_assert_double_eq_tol(value, expected, 1e-9);
}

/* The figures that INFO latencystats of redis-server 7.0.15 showed for such calls. */
START_TEST(a_single_call_is_shown_as_redis_shows_it)
{
	static const struct {
		uint64_t us;
		double shown;
	} cases[] = {{1, 1.003}, {2, 2.007}, {4, 4.015}, {13, 13.055}, {27, 27.007}, {43, 43.007},
	    {20183, 20185.087}, {0, 0.001}, {1000000, 1.002438655e6}, {5000000, 1.002438655e6}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		h = (struct latency_histogram){0};
		latency_histogram_record(&h, cases[i].us);
		assert_near(latency_histogram_percentile(&h, 50), cases[i].shown);
		assert_near(latency_histogram_percentile(&h, 100), cases[i].shown);
	}
}
END_TEST

START_TEST(percentiles_count_calls)
{
	for (uint64_t us = 1; us <= 100; us++)
		latency_histogram_record(&h, us);
	assert_near(latency_histogram_percentile(&h, 0), 1);
	assert_near(latency_histogram_percentile(&h, 0.1), 1.003);
	assert_near(latency_histogram_percentile(&h, 50), 50.175);
	assert_near(latency_histogram_percentile(&h, 99), 99.327);
	assert_near(latency_histogram_percentile(&h, 99.9), 100.351);
	assert_near(latency_histogram_percentile(&h, 100), 100.351);
}
END_TEST

START_TEST(an_empty_histogram_has_no_steps)
{
	struct latency_step steps[LATENCY_STEPS_MAX];

	assert_near(latency_histogram_percentile(&h, 50), 0);
	ck_assert_uint_eq(latency_histogram_steps(&h, steps), 0);
}
END_TEST

START_TEST(steps_are_powers_of_two_and_cumulative)
{
	static const uint64_t durations[] = {0, 1, 2, 3, 33, 33, 34, 600000, 2000000};
	static const struct latency_step expected[] = {
	    {1, 2}, {2, 3}, {4, 4}, {33, 6}, {66, 7}, {1073741, 9}};
	struct latency_step steps[LATENCY_STEPS_MAX];
	size_t count;

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		latency_histogram_record(&h, durations[i]);
	count = latency_histogram_steps(&h, steps);
	ck_assert_uint_eq(count, 6);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(steps[i].us, expected[i].us);
		ck_assert_uint_eq(steps[i].count, expected[i].count);
	}
}
END_TEST

int
main(void)
{
	return testing_main("base/latency_histogram", setup, NULL,
	    (const TTest *[]){a_single_call_is_shown_as_redis_shows_it, percentiles_count_calls,
		an_empty_histogram_has_no_steps, steps_are_powers_of_two_and_cumulative, NULL});
}
