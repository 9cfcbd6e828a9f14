#include "config.h"

#include "server/sent_messages.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static struct sent_messages messages;

static void
setup(void)
{
	sent_messages_init(&messages);
}

static void
teardown(void)
{
	sent_messages_release(&messages);
}

static bool
fails(uint64_t first, uint64_t last, const char *error)
{
	return slice_is(sent_messages_error(&messages, first, last), error);
}

START_TEST(the_error_of_a_range_is_that_of_one_of_its_messages)
{
	messages.sent = 20;
	sent_messages_confirm(&messages, 2);
	sent_messages_refuse(&messages, SLICE("NOPERM 3"));
	sent_messages_confirm(&messages, 3);
	sent_messages_refuse(&messages, SLICE("OOM 7"));
	sent_messages_lose(&messages, SLICE("LOST"));
	ck_assert(fails(1, 2, ""));
	ck_assert(fails(1, 3, "NOPERM 3"));
	ck_assert(fails(3, 3, "NOPERM 3"));
	ck_assert(fails(4, 6, ""));
	ck_assert(fails(2, 9, "NOPERM 3"));
	ck_assert(fails(4, 7, "OOM 7"));
	ck_assert(fails(8, 8, "LOST"));
	ck_assert(fails(20, 20, "LOST"));
	ck_assert(fails(21, 30, ""));
	ck_assert_uint_eq(messages.arrived, 20);
	ck_assert_uint_eq(messages.last_failed, 20);
	ck_assert(slice_is(buffer_slice(&messages.last_error), "LOST"));
}
END_TEST

static bool
has_position(uint64_t number, uint64_t epoch, uint64_t seq)
{
	struct hub_position position = sent_messages_position(&messages, number);

	return position.epoch == epoch && position.seq == seq;
}

START_TEST(a_position_is_that_of_its_message_until_it_is_told)
{
	messages.sent = 9;
	ck_assert(has_position(1, 0, 0));
	sent_messages_confirm(&messages, 2);
	sent_messages_confirm_kept(&messages, (struct hub_position){7, 30});
	sent_messages_refuse(&messages, SLICE("NOPERM 4"));
	sent_messages_confirm_kept(&messages, (struct hub_position){7, 50});
	sent_messages_confirm_kept(&messages, (struct hub_position){7, 51});
	ck_assert_uint_eq(messages.arrived, 6);
	ck_assert(has_position(3, 7, 30) && has_position(5, 7, 50) && has_position(6, 7, 51));
	ck_assert(has_position(2, 0, 0) && has_position(4, 0, 0) && has_position(7, 0, 0));
	ck_assert(fails(3, 5, "NOPERM 4") && fails(5, 6, ""));
	sent_messages_told(&messages);
	ck_assert(has_position(3, 0, 0));
	sent_messages_confirm_kept(&messages, (struct hub_position){7, 60});
	ck_assert(has_position(7, 7, 60));
}
END_TEST

START_TEST(what_was_told_is_forgotten)
{
	messages.sent = 3;
	sent_messages_refuse(&messages, SLICE("A"));
	ck_assert_uint_eq(messages.answered, 0);
	sent_messages_told(&messages);
	ck_assert_uint_eq(messages.answered, 1);
	ck_assert(fails(1, 1, ""));
	sent_messages_refuse(&messages, SLICE("B"));
	ck_assert(fails(2, 2, "B"));
	ck_assert_uint_eq(messages.last_failed, 2);
}
END_TEST

START_TEST(nothing_is_lost_if_all_was_answered)
{
	messages.sent = 2;
	sent_messages_confirm(&messages, 2);
	sent_messages_lose(&messages, SLICE("LOST"));
	ck_assert(fails(1, 2, ""));
	ck_assert_uint_eq(messages.last_failed, 0);
}
END_TEST

int
main(void)
{
	return testing_main("server/sent_messages", setup, teardown,
	    (const TTest *const[]){
		the_error_of_a_range_is_that_of_one_of_its_messages,
		a_position_is_that_of_its_message_until_it_is_told,
		what_was_told_is_forgotten,
		nothing_is_lost_if_all_was_answered,
		NULL,
	    });
}
