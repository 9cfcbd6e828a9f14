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

START_TEST(answers_out_of_order_are_those_of_their_messages)
{
	messages.sent = 5;
	sent_messages_settle(&messages, 4, SLICE(""));
	ck_assert(sent_messages_has_news(&messages));
	ck_assert_uint_eq(messages.arrived, 0);
	ck_assert(sent_messages_are_answered(&messages, 4, 4));
	ck_assert(!sent_messages_are_answered(&messages, 3, 4));
	sent_messages_settle(&messages, 2, SLICE("NOPERM 2"));
	ck_assert(fails(2, 2, "NOPERM 2"));
	ck_assert(fails(1, 5, "NOPERM 2"));
	ck_assert(fails(3, 5, ""));
	sent_messages_told(&messages);
	ck_assert(!sent_messages_has_news(&messages));
	ck_assert(sent_messages_are_answered(&messages, 2, 2));
	ck_assert(!sent_messages_are_answered(&messages, 1, 2));
	sent_messages_settle(&messages, 1, SLICE(""));
	ck_assert_uint_eq(messages.arrived, 2);
	sent_messages_settle(&messages, 3, SLICE(""));
	ck_assert_uint_eq(messages.arrived, 4);
	sent_messages_told(&messages);
	ck_assert(sent_messages_are_answered(&messages, 1, 4));
	ck_assert(!sent_messages_are_answered(&messages, 5, 5));
	ck_assert_uint_eq(messages.ahead.len, 0);
}
END_TEST

/* Messages in turn to one upstream that answers at once, and to another one that answers when all
 * were sent: with a cost of a step for each message behind it, that takes minutes. */
START_TEST(late_answers_cost_the_same_however_many_there_are)
{
	enum { COUNT = 2000000 };

	for (uint64_t first = 1; first <= 2; first++) { /* 2: the message 1 is never answered */
		sent_messages_release(&messages);
		sent_messages_init(&messages);
		messages.sent = COUNT;
		for (uint64_t number = first + 1; number <= COUNT; number += 2)
			sent_messages_settle(&messages, number, SLICE(""));
		ck_assert_uint_eq(messages.arrived, 0);
		ck_assert(!sent_messages_are_answered(&messages, first + 1, COUNT));
		for (uint64_t number = first; number <= COUNT; number += 2)
			sent_messages_settle(&messages, number, SLICE(""));
		ck_assert(first == 1 || sent_messages_are_answered(&messages, 2, COUNT));
		ck_assert_uint_eq(messages.arrived, first == 1 ? COUNT : 0);
	}
	ck_assert_uint_le(messages.ahead.len, COUNT / 8 + 8);
	sent_messages_settle(&messages, 1, SLICE(""));
	ck_assert_uint_eq(messages.arrived, COUNT);
	ck_assert_uint_eq(messages.ahead.len, 0);
}
END_TEST

/* Two upstreams are lost at the same time. */
START_TEST(failures_out_of_order_cost_the_same_however_many_there_are)
{
	enum { COUNT = 1000000 };

	messages.sent = COUNT;
	for (uint64_t first = 2; first >= 1; first--)
		for (uint64_t number = first; number <= COUNT; number += 2)
			sent_messages_settle(
			    &messages, number, first == 1 ? SLICE("one") : SLICE("other"));
	ck_assert_uint_eq(messages.arrived, COUNT);
	for (uint64_t number = 1; number <= COUNT; number++)
		ck_assert(slice_is(sent_messages_error(&messages, number, number),
		    number % 2 == 1 ? "one" : "other"));
	ck_assert_uint_lt(messages.texts.len, 10);
}
END_TEST

/* One upstream is always a little behind: what is remembered does not grow. */
START_TEST(what_has_arrived_takes_no_room)
{
	for (uint64_t number = 1; number <= 2000000; number += 2) {
		messages.sent = number + 200;
		if (number > 200)
			sent_messages_settle(&messages, number - 200, SLICE(""));
		sent_messages_settle(&messages, number + 1, SLICE(""));
		ck_assert_uint_le(messages.ahead.len, 100);
	}
}
END_TEST

/* With a plain array of what is answered. */
START_TEST(any_order_of_answers_is_remembered)
{
	enum { COUNT = 200 };

	for (uint64_t seed = 1; seed <= (uint64_t)testing_steps(100); seed++) {
		bool answered[COUNT + 1] = {true}, fails_now[COUNT + 1] = {false};
		uint64_t random = seed, left = COUNT;

		sent_messages_release(&messages);
		memset(&messages, 0, sizeof(messages));
		messages.sent = COUNT;
		while (left > 0) {
			uint64_t number = 1 + testing_random(&random) % COUNT;
			uint64_t last = 1 + testing_random(&random) % COUNT, first = number;
			bool all = true, fail = false;

			if (!answered[number]) {
				fails_now[number] = testing_random(&random) % 3 == 0;
				sent_messages_settle(&messages, number,
				    fails_now[number] ? SLICE("ERR x") : SLICE(""));
				answered[number] = true;
				left--;
			}
			first = first < last ? first : last;
			for (uint64_t i = first; i <= last; i++) {
				all = all && answered[i];
				fail = fail || fails_now[i];
			}
			ck_assert_int_eq(fails(first, last, "ERR x"), fail);
			if (testing_random(&random) % 4 != 0)
				continue;
			sent_messages_told(&messages);
			memset(fails_now, 0, sizeof(fails_now));
			ck_assert_int_eq(sent_messages_are_answered(&messages, first, last), all);
		}
		sent_messages_told(&messages);
		ck_assert_uint_eq(messages.answered, COUNT);
	}
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
		answers_out_of_order_are_those_of_their_messages,
		late_answers_cost_the_same_however_many_there_are,
		failures_out_of_order_cost_the_same_however_many_there_are,
		what_has_arrived_takes_no_room,
		any_order_of_answers_is_remembered,
		NULL,
	    });
}
