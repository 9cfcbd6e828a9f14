#include "config.h"

#include "net/conn_state.h"

#include <check.h>
#include <stddef.h>
#include <string.h>

#include "base/testing.h"
#include "net/conn.h"

/* The names of all states that may follow, in order. */
static const char *
next_of(enum conn_state from)
{
	static char text[256];

	text[0] = '\0';
	for (int to = 0; to < CONN_STATES; to++) {
		if ((int)from == to || !conn_state_may_follow(from, (enum conn_state)to))
			continue;
		if (text[0] != '\0')
			strcat(text, " ");
		strcat(text, conn_state_name((enum conn_state)to));
	}
	return text;
}

START_TEST(each_state_has_the_followers_that_the_life_of_a_connection_needs)
{
	ck_assert_str_eq(next_of(CONN_SECURING), "reading dead");
	ck_assert_str_eq(next_of(CONN_READING), "held blocked paused finishing dead");
	ck_assert_str_eq(next_of(CONN_HELD), "reading blocked resumed finishing dead");
	ck_assert_str_eq(next_of(CONN_BLOCKED), "resumed finishing dead");
	ck_assert_str_eq(next_of(CONN_RESUMED), "reading held finishing dead");
	ck_assert_str_eq(next_of(CONN_PAUSED), "reading finishing dead");
	ck_assert_str_eq(next_of(CONN_FINISHING), "lingering dead");
	ck_assert_str_eq(next_of(CONN_LINGERING), "dead");
	ck_assert_str_eq(next_of(CONN_DEAD), "stopped");
	ck_assert_str_eq(next_of(CONN_STOPPED), "");
}
END_TEST

START_TEST(a_state_may_stay_as_it_is)
{
	for (int state = 0; state < CONN_STATES; state++)
		ck_assert(conn_state_may_follow((enum conn_state)state, (enum conn_state)state));
}
END_TEST

START_TEST(no_dead_connection_comes_back)
{
	for (int to = 0; to < CONN_DEAD; to++) {
		ck_assert(!conn_state_may_follow(CONN_DEAD, (enum conn_state)to));
		ck_assert(!conn_state_may_follow(CONN_STOPPED, (enum conn_state)to));
	}
}
END_TEST

START_TEST(any_living_connection_may_be_killed)
{
	for (int from = 0; from < CONN_DEAD; from++)
		ck_assert(conn_state_may_follow((enum conn_state)from, CONN_DEAD));
}
END_TEST

START_TEST(a_connection_that_finishes_is_not_open_and_only_held_ones_have_a_waiting_request)
{
	for (int state = 0; state < CONN_STATES; state++) {
		bool is_held = state == CONN_HELD || state == CONN_BLOCKED || state == CONN_RESUMED;

		ck_assert_int_eq(
		    conn_state_is_open((enum conn_state)state), state < CONN_FINISHING);
		ck_assert_int_eq(conn_state_is_held((enum conn_state)state), is_held);
	}
}
END_TEST

/* The limits are checked at the end of the turn in which a wait has begun. */
START_TEST(a_wait_that_has_just_begun_is_not_long)
{
	for (uint64_t now_us = 0; now_us < 10000; now_us += 500) {
		uint32_t mark_ms = conn_mark_ms(now_us);

		ck_assert_uint_ne(mark_ms, 0);
		ck_assert_uint_eq(conn_ms_since(mark_ms, now_us), 0);
		ck_assert_uint_le(conn_ms_since(mark_ms, now_us + 1000), 2);
		ck_assert_uint_ge(conn_ms_since(mark_ms, now_us + 1000000), 999);
		ck_assert_uint_le(conn_ms_since(mark_ms, now_us + 1000000), 1001);
	}
	/* The milliseconds wrap after seven weeks. */
	ck_assert_uint_eq(conn_ms_since(UINT32_MAX, (uint64_t)UINT32_MAX * 1000 + 2000), 2);
}
END_TEST

int
main(void)
{
	return testing_main("net/conn_state", NULL, NULL,
	    (const TTest *[]){each_state_has_the_followers_that_the_life_of_a_connection_needs,
		a_state_may_stay_as_it_is, no_dead_connection_comes_back,
		any_living_connection_may_be_killed,
		a_connection_that_finishes_is_not_open_and_only_held_ones_have_a_waiting_request,
		a_wait_that_has_just_begun_is_not_long, NULL});
}
