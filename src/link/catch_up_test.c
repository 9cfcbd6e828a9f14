#include "config.h"

#include "link/catch_up.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct catch_up c;

static void
setup(void)
{
	memset(&c, 0, sizeof(c));
}

static void
teardown(void)
{
	catch_up_release(&c);
}

/* Takes a message; returns its payload without the position, NULL if it came before. */
static const char *
take(const char *channel, const char *text)
{
	static char payload[64];
	struct slice rest = slice_of(text);
	struct hub_position position;
	bool is_new;

	ck_assert(catch_up_split(&rest, &position));
	is_new = catch_up_take(&c, slice_of(channel), position);
	snprintf(payload, sizeof(payload), "%.*s", (int)rest.len, rest.ptr);
	return is_new ? payload : NULL;
}

static const char *
since(void)
{
	static char text[POSITION_TEXT_MAX + 1];
	struct slice from = catch_up_since(&c);

	memcpy(text, from.ptr, from.len);
	text[from.len] = '\0';
	return text;
}

/* A connection on which everything up to 7-3 was read is lost, and another one is made. */
static void
resume_from_3(void)
{
	catch_up_offered(&c);
	catch_up_aim(&c, (struct hub_position){7, 3});
	catch_up_lost(&c);
	catch_up_offered(&c);
	ck_assert_int_eq(c.state, CATCH_UP_REPLAYING);
	ck_assert_str_eq(since(), "7-3");
}

START_TEST(each_event_does_to_each_state_what_the_table_says)
{
	/* One letter for each event: positioned offered denied lost. */
	static const char *const expected[CATCH_UP_STATES] = {
	    [CATCH_UP_NONE] = "LNNN",
	    [CATCH_UP_LIVE] = "LLNS",
	    [CATCH_UP_SAVED] = "SRNS",
	    [CATCH_UP_REPLAYING] = "LRNN",
	};

	for (int state = 0; state < CATCH_UP_STATES; state++)
		for (int event = 0; event < CATCH_UP_EVENTS; event++)
			ck_assert_int_eq("NLSR"[catch_up_next((enum catch_up_state)state,
					     (enum catch_up_event)event)],
			    expected[state][event]);
}
END_TEST

START_TEST(a_position_is_taken_from_a_payload)
{
	static const char *const without[] = {
	    "", " ", "7", "7-3", "x y", "7-3x y", "07-3 y", "7- y", "-3 y", "7-3\ny"};
	struct hub_position position;
	struct slice payload = slice_of("7-3 a b");

	ck_assert(catch_up_split(&payload, &position));
	ck_assert(slice_is(payload, "a b"));
	ck_assert(position.epoch == 7 && position.seq == 3);
	payload = slice_of("18446744073709551615-18446744073709551615 ");
	ck_assert(catch_up_split(&payload, &position));
	ck_assert_uint_eq(payload.len, 0);
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		payload = slice_of(without[i]);
		ck_assert(!catch_up_split(&payload, &position));
		ck_assert(slice_is(payload, without[i]));
	}
}
END_TEST

START_TEST(nothing_is_resumed_from_an_unknown_position)
{
	catch_up_offered(&c);
	ck_assert_str_eq(since(), "");
	ck_assert_str_eq(take("a", "7-4 x"), "x");
	catch_up_lost(&c); /* when its names were live is not known */
	catch_up_offered(&c);
	ck_assert_str_eq(since(), "");
}
END_TEST

START_TEST(names_resume_from_the_newest_message)
{
	catch_up_offered(&c);
	catch_up_aim(&c, (struct hub_position){7, 3});
	ck_assert_str_eq(take("a", "7-5 x"), "x");
	ck_assert_str_eq(take("plain", "0-0 x"), "x");
	catch_up_aim(&c, (struct hub_position){7, 4}); /* an older answer */
	catch_up_lost(&c);
	catch_up_lost(&c);
	catch_up_offered(&c);
	ck_assert_str_eq(since(), "7-5");
}
END_TEST

START_TEST(what_comes_twice_while_names_resume_is_passed_over)
{
	resume_from_3();
	ck_assert_str_eq(take("a", "7-4 x"), "x");
	ck_assert_ptr_null(take("a", "7-4 x"));
	ck_assert_str_eq(take("a", "7-9 y"), "y");
	ck_assert_str_eq(take("b", "7-6 z"), "z");
	ck_assert_ptr_null(take("a", "7-4 x"));
	ck_assert_str_eq(take("plain", "0-0 x"), "x");
	ck_assert_str_eq(take("plain", "0-0 x"), "x");
}
END_TEST

START_TEST(all_is_live_when_everything_up_to_the_aim_was_read)
{
	resume_from_3();
	catch_up_reached(&c, (struct hub_position){7, 100}); /* there is no aim yet */
	ck_assert_int_eq(c.state, CATCH_UP_REPLAYING);
	catch_up_aim(&c, (struct hub_position){7, 8});
	ck_assert(catch_up_has_aim(&c));
	catch_up_reached(&c, (struct hub_position){7, 7});
	ck_assert_int_eq(c.state, CATCH_UP_REPLAYING);
	catch_up_reached(&c, (struct hub_position){7, 8});
	ck_assert_int_eq(c.state, CATCH_UP_LIVE);
	ck_assert_str_eq(since(), "");
	while (c.seen != NULL)
		catch_up_tidy(&c);
	catch_up_lost(&c);
	catch_up_offered(&c);
	ck_assert_str_eq(since(), "7-8");
}
END_TEST

START_TEST(a_later_message_says_it_too)
{
	resume_from_3();
	catch_up_aim(&c, (struct hub_position){7, 8});
	ck_assert_str_eq(take("a", "7-7 x"), "x");
	ck_assert_int_eq(c.state, CATCH_UP_REPLAYING);
	ck_assert_str_eq(take("a", "7-9 x"), "x");
	ck_assert_int_eq(c.state, CATCH_UP_LIVE);
}
END_TEST

START_TEST(a_second_loss_before_that_forgets_the_position)
{
	resume_from_3();
	catch_up_aim(&c, (struct hub_position){7, 8});
	ck_assert_str_eq(take("a", "7-7 x"), "x");
	catch_up_lost(&c);
	catch_up_offered(&c);
	ck_assert_int_eq(c.state, CATCH_UP_NONE);
	ck_assert_str_eq(since(), "");
}
END_TEST

START_TEST(an_upstream_without_positions_forgets_them)
{
	catch_up_offered(&c);
	catch_up_aim(&c, (struct hub_position){7, 3});
	catch_up_lost(&c);
	catch_up_denied(&c);
	catch_up_lost(&c);
	catch_up_offered(&c);
	ck_assert_str_eq(since(), "");
}
END_TEST

int
main(void)
{
	return testing_main("link/catch_up", setup, teardown,
	    (const TTest *const[]){
		each_event_does_to_each_state_what_the_table_says,
		a_position_is_taken_from_a_payload,
		nothing_is_resumed_from_an_unknown_position,
		names_resume_from_the_newest_message,
		what_comes_twice_while_names_resume_is_passed_over,
		all_is_live_when_everything_up_to_the_aim_was_read,
		a_later_message_says_it_too,
		a_second_loss_before_that_forgets_the_position,
		an_upstream_without_positions_forgets_them,
		NULL,
	    });
}
