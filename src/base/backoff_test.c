#include "config.h"

#include "base/backoff.h"

#include "base/testing.h"

START_TEST(delay_is_between_half_a_span_and_a_span)
{
	ck_assert_uint_eq(backoff_delay_us(0, 0), BACKOFF_FIRST_US / 2);
	ck_assert_uint_eq(backoff_delay_us(0, BACKOFF_FIRST_US / 2), BACKOFF_FIRST_US);
	ck_assert_uint_eq(backoff_delay_us(0, BACKOFF_FIRST_US / 2 + 1), BACKOFF_FIRST_US / 2);
}
END_TEST

START_TEST(span_doubles_with_each_attempt)
{
	ck_assert_uint_eq(backoff_delay_us(1, 0), BACKOFF_FIRST_US);
	ck_assert_uint_eq(backoff_delay_us(2, 0), 2 * BACKOFF_FIRST_US);
	ck_assert_uint_eq(backoff_delay_us(5, 0), 16 * BACKOFF_FIRST_US);
}
END_TEST

START_TEST(span_never_passes_the_cap)
{
	for (unsigned attempt = 6; attempt < 100; attempt++)
		ck_assert_uint_eq(backoff_delay_us(attempt, 0), BACKOFF_CAP_US / 2);
	ck_assert_uint_eq(backoff_delay_us(UINT32_MAX, BACKOFF_CAP_US / 2), BACKOFF_CAP_US);
}
END_TEST

START_TEST(span_stays_short_for_a_while_after_a_loss)
{
	ck_assert_uint_eq(backoff_hurried_us(0, 0, 0), BACKOFF_FIRST_US / 2);
	ck_assert_uint_eq(backoff_hurried_us(2, 0, 0), 2 * BACKOFF_FIRST_US);
	for (unsigned attempt = 3; attempt < 100; attempt++)
		ck_assert_uint_eq(
		    backoff_hurried_us(attempt, BACKOFF_HURRY_US - 1, 0), BACKOFF_HURRY_CAP_US / 2);
	ck_assert_uint_eq(backoff_hurried_us(4, BACKOFF_HURRY_US, 0), 8 * BACKOFF_FIRST_US);
	ck_assert_uint_eq(backoff_hurried_us(50, BACKOFF_HURRY_US, 0), BACKOFF_CAP_US / 2);
}
END_TEST

START_TEST(delays_of_many_clients_spread_over_the_span)
{
	uint64_t state = 1;
	unsigned quarters[4] = {0};

	for (int i = 0; i < 4000; i++) {
		uint64_t delay = backoff_delay_us(3, testing_random(&state));
		uint64_t span = 8 * BACKOFF_FIRST_US;

		ck_assert_uint_ge(delay, span / 2);
		ck_assert_uint_le(delay, span);
		if (delay < span)
			quarters[(delay - span / 2) * 8 / span]++;
	}
	for (int i = 0; i < 4; i++)
		ck_assert_uint_gt(quarters[i], 800);
}
END_TEST

int
main(void)
{
	return testing_main("base/backoff", NULL, NULL,
	    (const TTest *[]){delay_is_between_half_a_span_and_a_span,
		span_doubles_with_each_attempt, span_never_passes_the_cap,
		span_stays_short_for_a_while_after_a_loss,
		delays_of_many_clients_spread_over_the_span, NULL});
}
