#include "config.h"

#include "acl/login_delay.h"

#include <check.h>
#include <stdio.h>

#include "base/testing.h"

#define MAX_US 2000000

static struct login_delays *delays;

static void
setup(void)
{
	delays = login_delays_new();
}

static void
teardown(void)
{
	login_delays_free(delays);
}

static void
guess(const char *address, int times, uint64_t now_us)
{
	while (times-- > 0)
		login_failed(delays, slice_of(address), now_us, MAX_US);
}

static uint64_t
delay(const char *address, uint64_t now_us)
{
	return login_delay(delays, slice_of(address), now_us, MAX_US);
}

START_TEST(the_first_wrong_passwords_are_free_and_then_each_doubles_the_delay)
{
	uint64_t expected = LOGIN_FIRST_DELAY_US;

	guess("a", LOGIN_FREE_FAILURES, 1000);
	ck_assert_uint_eq(delay("a", 1000), 0);
	for (; expected < MAX_US; expected *= 2) {
		guess("a", 1, 1000);
		ck_assert_uint_eq(delay("a", 1000), expected);
	}
	guess("a", 100, 1000);
	ck_assert_uint_eq(delay("a", 1000), MAX_US);
	ck_assert_uint_eq(delay("a", 1000 + MAX_US - 1), 1);
	ck_assert_uint_eq(delay("a", 1000 + MAX_US), 0);
}
END_TEST

START_TEST(other_addresses_do_not_wait)
{
	guess("a", 10, 1000);
	ck_assert_uint_eq(delay("b", 1000), 0);
}
END_TEST

START_TEST(an_address_is_forgotten_after_a_minute)
{
	guess("a", 10, 1000);
	ck_assert(login_is_known(delays, SLICE("a")) && !login_is_known(delays, SLICE("b")));
	guess("b", 1, 1000 + LOGIN_FORGET_US);
	ck_assert_uint_eq(login_delays_count(delays), 1);
	ck_assert(!login_is_known(delays, SLICE("a")) && login_is_known(delays, SLICE("b")));
	guess("a", LOGIN_FREE_FAILURES, 1000 + LOGIN_FORGET_US);
	ck_assert_uint_eq(delay("a", 1000 + LOGIN_FORGET_US), 0);
}
END_TEST

START_TEST(without_a_delay_nobody_waits)
{
	for (int i = 0; i < 10; i++)
		login_failed(delays, SLICE("a"), 1000, 0);
	ck_assert_uint_eq(login_delay(delays, SLICE("a"), 1000, 0), 0);
}
END_TEST

START_TEST(of_more_addresses_than_fit_those_that_failed_longest_ago_are_forgotten)
{
	char name[16];

	guess("first", 10, 1);
	guess("second", 10, 2);
	for (int i = 0; i < LOGIN_ADDRESSES_MAX - 1; i++) {
		snprintf(name, sizeof(name), "%d", i);
		guess(name, 1, 3);
	}
	ck_assert_uint_eq(login_delays_count(delays), LOGIN_ADDRESSES_MAX);
	ck_assert_uint_eq(delay("first", 3), 0);
	ck_assert_uint_ne(delay("second", 3), 0);
}
END_TEST

START_TEST(addresses_are_forgotten_though_nobody_fails_any_more)
{
	guess("a", 2, 1000);
	guess("b", 2, 2000);
	login_delays_expire(delays, 999 + LOGIN_FORGET_US);
	ck_assert_uint_eq(login_delays_count(delays), 2);
	login_delays_expire(delays, 1000 + LOGIN_FORGET_US);
	ck_assert_uint_eq(login_delays_count(delays), 1);
	login_delays_expire(delays, 2000 + LOGIN_FORGET_US);
	ck_assert_uint_eq(login_delays_count(delays), 0);
}
END_TEST

int
main(void)
{
	return testing_main("acl/login_delay", setup, teardown,
	    (const TTest *[]){the_first_wrong_passwords_are_free_and_then_each_doubles_the_delay,
		other_addresses_do_not_wait, an_address_is_forgotten_after_a_minute,
		without_a_delay_nobody_waits,
		of_more_addresses_than_fit_those_that_failed_longest_ago_are_forgotten,
		addresses_are_forgotten_though_nobody_fails_any_more, NULL});
}
