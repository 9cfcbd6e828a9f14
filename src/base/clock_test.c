#include "config.h"

#include "base/clock.h"

#include <check.h>
#include <pthread.h>
#include <time.h>

#include "base/testing.h"

START_TEST(monotonic_time_never_goes_back)
{
	uint64_t last_us = clock_mono_us();
	int i;

	for (i = 0; i < 10000; i++) {
		uint64_t now_us = clock_mono_us();

		ck_assert_uint_ge(now_us, last_us);
		last_us = now_us;
	}
}
END_TEST

static void *
recent_in_a_thread(void *arg)
{
	uint64_t *us = arg;

	us[0] = clock_recent_us(); /* the first call in this thread */
	us[1] = clock_recent_us();
	return NULL;
}

START_TEST(recent_time_is_that_of_the_last_reading_in_the_thread)
{
	uint64_t read_us = clock_mono_us(), others_us[2];
	pthread_t thread;

	ck_assert_uint_eq(clock_recent_us(), read_us);
	ck_assert_int_eq(pthread_create(&thread, NULL, recent_in_a_thread, others_us), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_ge(others_us[0], read_us);
	ck_assert_uint_eq(others_us[1], others_us[0]);
	ck_assert_uint_eq(clock_recent_us(), read_us);
	ck_assert_uint_ge(clock_mono_us(), others_us[0]);
}
END_TEST

START_TEST(wall_time_is_that_of_the_system_in_microseconds)
{
	uint64_t before = (uint64_t)time(NULL);
	uint64_t now_us = clock_wall_us();
	uint64_t after = (uint64_t)time(NULL);

	/* time() may lag by a tick of the kernel's clock. */
	ck_assert_uint_ge(now_us / 1000000 + 1, before);
	ck_assert_uint_le(now_us / 1000000, after + 1);
}
END_TEST

int
main(void)
{
	return testing_main("base/clock", NULL, NULL,
	    (const TTest *[]){monotonic_time_never_goes_back,
		recent_time_is_that_of_the_last_reading_in_the_thread,
		wall_time_is_that_of_the_system_in_microseconds, NULL});
}
