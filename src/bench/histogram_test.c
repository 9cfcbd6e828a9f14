#include "config.h"

#include "bench/histogram.h"

#include <stdlib.h>

#include "base/testing.h"

static struct bench_histogram h;

static void
setup(void)
{
	bench_histogram_clear(&h);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(an_empty_histogram_says_zero)
{
	ck_assert_uint_eq(bench_histogram_quantile(&h, 500), 0);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 1000), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
	for (uint64_t v = 1; v <= 100; v++)
		bench_histogram_record(&h, v);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 10), 1);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 500), 50);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 501), 51);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 990), 99);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 1000), 100);
}
END_TEST

START_TEST(one_large_value_among_a_thousand_is_the_last_permille_only)
{
	for (int i = 0; i < 999; i++)
		bench_histogram_record(&h, 7);
	bench_histogram_record(&h, 1000000);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 999), 7);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 1000), 1000000);
}
END_TEST

START_TEST(the_ends_of_the_range_are_kept)
{
	bench_histogram_record(&h, 0);
	bench_histogram_record(&h, UINT64_MAX);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 500), 0);
	ck_assert_uint_eq(bench_histogram_quantile(&h, 1000), UINT64_MAX);
}
END_TEST

/* A single value is its own quantile; below a larger value, the quantile is close to it. */
START_TEST(a_bucket_is_never_wider_than_a_share_of_its_value)
{
	uint64_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		uint64_t v = testing_random(&seed) >> (i % 62) >> 1;
		uint64_t got;

		bench_histogram_clear(&h);
		bench_histogram_record(&h, v);
		ck_assert_uint_eq(bench_histogram_quantile(&h, 500), v);
		bench_histogram_record(&h, UINT64_MAX);
		got = bench_histogram_quantile(&h, 500);
		ck_assert_uint_ge(got, v);
		ck_assert_uint_le(got - v, v / 128);
	}
}
END_TEST

START_TEST(quantiles_agree_with_the_sorted_values)
{
	static const unsigned permilles[] = {1, 250, 500, 900, 990, 999, 1000};
	static uint64_t values[5003];
	const size_t count = sizeof(values) / sizeof(values[0]);
	uint64_t seed = 2;

	for (size_t i = 0; i < count; i++) {
		values[i] = testing_random(&seed) >> (20 + i % 40);
		bench_histogram_record(&h, values[i]);
	}
	qsort(values, count, sizeof(values[0]), compare);
	for (size_t i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
		uint64_t v = values[(count * permilles[i] + 999) / 1000 - 1];
		uint64_t got = bench_histogram_quantile(&h, permilles[i]);

		ck_assert_uint_ge(got, v);
		ck_assert_uint_le(got - v, v / 128);
	}
}
END_TEST

int
main(void)
{
	return testing_main("bench/histogram", setup, NULL,
	    (const TTest *[]){an_empty_histogram_says_zero, small_values_are_exact,
		one_large_value_among_a_thousand_is_the_last_permille_only,
		the_ends_of_the_range_are_kept, a_bucket_is_never_wider_than_a_share_of_its_value,
		quantiles_agree_with_the_sorted_values, NULL});
}
