#include "config.h"

#include "link/load_window.h"

#include <check.h>

#include "base/testing.h"

static struct load_window window;

static void
setup(void)
{
	window = (struct load_window){0};
	load_window_open(&window);
}

/* Sends as many as there is room for, and takes them. Returns their number. */
static size_t
round_of(size_t messages, size_t bytes)
{
	size_t room = load_window_room(&window);

	for (size_t i = 0; i < room; i++)
		load_window_send(&window);
	ck_assert_uint_eq(load_window_room(&window), 0);
	for (size_t i = 0; i < room; i++)
		load_window_take(&window, messages, bytes);
	return room;
}

START_TEST(small_loads_become_more_with_each_round)
{
	ck_assert_uint_eq(round_of(0, 0), 1);
	ck_assert_uint_eq(round_of(1, 10), 2);
	ck_assert_uint_eq(round_of(0, 0), 4);
	for (int i = 0; i < 20; i++)
		(void)round_of(0, 0);
	ck_assert_uint_eq(round_of(0, 0), LOAD_WINDOW_MOST);
}
END_TEST

START_TEST(large_loads_take_the_bytes_of_the_window_at_most)
{
	(void)round_of(0, 0);
	(void)round_of(1, LOAD_WINDOW_BYTES);
	ck_assert_uint_eq(round_of(1, LOAD_WINDOW_BYTES), 1);
	/* Messages take memory besides their payload. */
	setup();
	for (int i = 0; i < 5; i++)
		(void)round_of(10000, 0);
	ck_assert_uint_le(load_window_room(&window), LOAD_WINDOW_BYTES / (10000 * 64));
	ck_assert_uint_ge(load_window_room(&window), 2);
}
END_TEST

START_TEST(a_large_load_is_remembered_for_the_next_connection_and_forgotten_in_time)
{
	(void)round_of(1, LOAD_WINDOW_BYTES / 4);
	load_window_open(&window);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_le(round_of(1, 1000), 4);
	for (int i = 0; i < 2000; i++)
		(void)round_of(1, 1000);
	ck_assert_uint_gt(load_window_room(&window), 100);
}
END_TEST

START_TEST(a_load_without_a_result_leaves_its_room)
{
	load_window_send(&window);
	ck_assert_uint_eq(load_window_room(&window), 0);
	load_window_skip(&window);
	ck_assert_uint_eq(load_window_room(&window), 1);
}
END_TEST

int
main(void)
{
	return testing_main("link/load_window", setup, NULL,
	    (const TTest *const[]){small_loads_become_more_with_each_round,
		large_loads_take_the_bytes_of_the_window_at_most,
		a_large_load_is_remembered_for_the_next_connection_and_forgotten_in_time,
		a_load_without_a_result_leaves_its_room, NULL});
}
