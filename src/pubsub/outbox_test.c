#include "config.h"

#include "pubsub/outbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_outbox.h"

START_TEST(messages_and_replies_leave_in_the_order_they_came)
{
	ck_assert_int_eq(ob_push("a"), OUTBOX_QUEUED);
	ob_reply("+OK");
	ck_assert_int_eq(ob_push("b"), OUTBOX_QUEUED);
	ck_assert_int_eq(ob_push("c"), OUTBOX_QUEUED);
	ob_reply(":1");
	ck_assert_uint_eq(ob.outbox.bytes, 8);
	ck_assert_uint_eq(outbox_reply_bytes(&ob.outbox), 5);
	ck_assert_str_eq(ob_take_all(), "a+OKbc:1");
	ck_assert(outbox_is_empty(&ob.outbox));
	ck_assert_uint_eq(ob.pool.bytes, 0);
	ck_assert_uint_eq(ob.pool.messages, 0);
}
END_TEST

START_TEST(readiness_is_told_once_until_it_is_flushed)
{
	ck_assert_int_eq(ob_push("a"), OUTBOX_QUEUED);
	ob_reply("+OK");
	ck_assert_int_eq(ob.readies, 1);
	ob_take_all();
	outbox_flushed(&ob.outbox);
	ob_reply("+OK");
	ck_assert_int_eq(ob.readies, 2);
}
END_TEST

START_TEST(the_reply_of_a_command_stands_before_what_it_pushed_to_its_own_client)
{
	ck_assert_int_eq(ob_push("old"), OUTBOX_QUEUED);
	outbox_mark(&ob.outbox);
	ck_assert_int_eq(ob_push("own"), OUTBOX_QUEUED);
	ob_reply(":1");
	ob_reply(":2");
	outbox_unmark(&ob.outbox);
	ck_assert_int_eq(ob_push("new"), OUTBOX_QUEUED);
	ck_assert_str_eq(ob_take_all(), "old:1:2ownnew");
}
END_TEST

START_TEST(the_mark_holds_at_the_front_too)
{
	outbox_mark(&ob.outbox);
	ck_assert_int_eq(ob_push("own"), OUTBOX_QUEUED);
	ob_reply(":1");
	outbox_unmark(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), ":1own");
}
END_TEST

START_TEST(disconnect_says_so_when_bytes_or_messages_do_not_fit)
{
	char big[102];

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("m"), OUTBOX_QUEUED);
	ck_assert_int_eq(ob_push("m"), OUTBOX_OVERFLOW);
	ck_assert_uint_eq(ob.outbox.dropped, 1);
	ob_take_all();
	memset(big, 'x', 101);
	big[101] = '\0';
	ck_assert_int_eq(ob_push(big), OUTBOX_OVERFLOW);
	big[100] = '\0';
	ck_assert_int_eq(ob_push(big), OUTBOX_QUEUED);
}
END_TEST

START_TEST(drop_newest_keeps_what_it_has)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("abcdefgh"), OUTBOX_QUEUED);
	ck_assert_int_eq(ob_push_tagged("new", 9), OUTBOX_DROPPED);
	ck_assert_uint_eq(ob.drops[9], 1);
	ck_assert_uint_eq(strlen(ob_take_all()), 40);
	ck_assert_uint_eq(ob.pool.dropped_total, 1);
}
END_TEST

START_TEST(drop_oldest_keeps_the_last_and_every_reply)
{
	char text[4] = "m0";

	ob_set_policy(OUTBOX_DROP_OLDEST, false);
	for (int i = 0; i < 9; i++) {
		text[1] = (char)('0' + i);
		ck_assert_int_eq(ob_push_tagged(text, (uint32_t)i), OUTBOX_QUEUED);
		if (i == 2)
			ob_reply("+OK");
	}
	ck_assert_str_eq(ob_take_all(), "+OKm4m5m6m7m8");
	ck_assert_uint_eq(ob.outbox.dropped, 4);
	for (int i = 0; i < 9; i++)
		ck_assert_uint_eq(ob.drops[i], i < 4);
}
END_TEST

START_TEST(drop_oldest_never_cuts_a_message_that_is_on_the_wire)
{
	ob_set_policy(OUTBOX_DROP_OLDEST, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("12345678"), OUTBOX_QUEUED);
	ck_assert_str_eq(ob_take(3), "123");
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("abcdefgh"), OUTBOX_QUEUED);
	ck_assert_str_eq(ob_take_all(), "45678abcdefghabcdefghabcdefghabcdefgh");
}
END_TEST

START_TEST(what_can_never_fit_pushes_nothing_out)
{
	char big[102];

	ob_set_policy(OUTBOX_DROP_OLDEST, false);
	memset(big, 'x', 101);
	big[101] = '\0';
	ck_assert_int_eq(ob_push("keep"), OUTBOX_QUEUED);
	ck_assert_int_eq(ob_push(big), OUTBOX_DROPPED);
	ck_assert_str_eq(ob_take_all(), "keep");
}
END_TEST

START_TEST(with_notify_a_notice_counts_the_dropped_messages)
{
	char text[4] = "m0";

	ob_set_policy(OUTBOX_DROP_OLDEST, true);
	for (int i = 0; i < 8; i++) {
		text[1] = (char)('0' + i);
		ck_assert_int_eq(ob_push(text), OUTBOX_QUEUED);
	}
	ck_assert_str_eq(ob_take_all(), "<3>m3m4m5m6m7");
	ob_set_policy(OUTBOX_DROP_NEWEST, true);
	for (int i = 0; i < 7; i++)
		(void)ob_push("n");
	ck_assert_str_eq(ob_take(2), "nn");
	(void)ob_push("after");
	ck_assert_str_eq(ob_take_all(), "nnn<2>after");
}
END_TEST

START_TEST(without_notify_there_is_no_notice)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 7; i++)
		(void)ob_push("n");
	ck_assert_str_eq(ob_take_all(), "nnnnn");
}
END_TEST

START_TEST(a_notice_has_the_form_of_the_messages_that_are_missing)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, true);
	for (int i = 0; i < 7; i++)
		(void)ob_push("n");
	ob.outbox.form = 1;
	(void)ob_push("m");
	ob_reply("+OK");
	ck_assert_str_eq(ob_take_all(), "nnnnn<2><b1>+OK");
	/* The oldest messages, which are dropped, have the first form. */
	ob_set_policy(OUTBOX_DROP_OLDEST, true);
	ob.outbox.form = 0;
	for (int i = 0; i < 5; i++)
		(void)ob_push("o");
	ob_reply("+OK");
	ob.outbox.form = 1;
	for (int i = 0; i < 7; i++)
		(void)ob_push("p");
	ck_assert_str_eq(ob_take_all(), "<5>+OK<b2>ppppp");
}
END_TEST

START_TEST(what_is_behind_a_barrier_is_not_shown_and_replies_go_before_it)
{
	ob_reply("+1");
	(void)ob_push("a");
	outbox_mark(&ob.outbox);
	(void)ob_push("b");
	outbox_bar(&ob.outbox);
	outbox_unmark(&ob.outbox);
	(void)ob_push("c");
	ck_assert_str_eq(ob_take_all(), "+1a");
	ck_assert(outbox_is_empty(&ob.outbox));
	outbox_flushed(&ob.outbox);
	ob_reply("+2");
	ob_reply("+3");
	ck_assert_str_eq(ob_take_all(), "+2+3");
	outbox_flushed(&ob.outbox);
	ob.readies = 0;
	outbox_unbar(&ob.outbox);
	ck_assert_int_eq(ob.readies, 1);
	ob_reply("+4");
	ck_assert_str_eq(ob_take_all(), "bc+4");
	outbox_bar(&ob.outbox);
	(void)ob_push("d");
	outbox_close(&ob.outbox);
	outbox_unbar(&ob.outbox);
}
END_TEST

START_TEST(messages_behind_a_barrier_are_dropped_as_others_are)
{
	ob_set_policy(OUTBOX_DROP_OLDEST, true);
	outbox_bar(&ob.outbox);
	for (int i = 0; i < 7; i++)
		(void)ob_push(i < 2 ? "x" : "y");
	ob_reply("+OK");
	outbox_unbar(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), "+OK<2>yyyyy");
}
END_TEST

START_TEST(blocking_waits_for_room_and_an_empty_outbox_has_room_for_any)
{
	ob_set_policy(OUTBOX_BLOCK, false);
	ck_assert(!outbox_would_block(&ob.outbox, 1000));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("12"), OUTBOX_QUEUED);
	ck_assert(outbox_would_block(&ob.outbox, 2));
	outbox_await_room(&ob.outbox, 2);
	(void)ob_take(1);
	ck_assert_int_eq(ob.rooms, 0); /* no complete message has been consumed */
	(void)ob_take(1);
	ck_assert_int_eq(ob.rooms, 1);
	ck_assert(!outbox_would_block(&ob.outbox, 2));
}
END_TEST

START_TEST(closing_wakes_the_waiting_publisher_and_frees_the_queue)
{
	size_t one = 1;

	ob_set_policy(OUTBOX_BLOCK, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("12"), OUTBOX_QUEUED);
	ck_assert(outbox_would_block(&ob.outbox, 2));
	outbox_await_room(&ob.outbox, 2);
	outbox_close(&ob.outbox);
	ck_assert_int_eq(ob.rooms, 1);
	ck_assert(outbox_is_empty(&ob.outbox));
	ck_assert_str_eq(ob_take_all(), "");
	ck_assert(outbox_discard(&ob.outbox, &one));
	ck_assert_uint_eq(one, 0);
	ck_assert_uint_eq(ob.pool.bytes, 0);
	ck_assert_uint_eq(ob.pool.messages, 0);
	ck_assert_uint_eq(frame_log_live_bytes(ob.messages), 0);
	ck_assert_int_eq(ob_push("x"), OUTBOX_CLOSED);
}
END_TEST

START_TEST(a_sealed_outbox_takes_nothing_and_shows_what_it_has)
{
	ob_set_policy(OUTBOX_BLOCK, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push("12"), OUTBOX_QUEUED);
	ob_reply("+OK");
	ck_assert(outbox_would_block(&ob.outbox, 2));
	outbox_await_room(&ob.outbox, 2);
	outbox_seal(&ob.outbox);
	ck_assert_int_eq(ob.rooms, 1);
	ck_assert(!outbox_would_block(&ob.outbox, 2));
	ck_assert_int_eq(ob_push("x"), OUTBOX_CLOSED);
	ob_reply("+NO");
	ck_assert(!outbox_is_empty(&ob.outbox));
	ck_assert_str_eq(ob_take_all(), "1212121212+OK");
	ck_assert(outbox_is_empty(&ob.outbox));
}
END_TEST

START_TEST(a_closed_outbox_lets_go_in_slices)
{
	size_t budget = 3;

	ob_set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(ob_push("12"), OUTBOX_QUEUED);
		ob_reply("+OK");
	}
	outbox_close(&ob.outbox);
	ck_assert(!outbox_discard(&ob.outbox, &budget));
	ck_assert_uint_eq(budget, 0);
	ck_assert_uint_eq(ob.pool.messages, 2);
	budget = 9;
	ck_assert(outbox_discard(&ob.outbox, &budget));
	ck_assert_uint_eq(budget, 4);
	ck_assert_uint_eq(ob.pool.bytes, 0);
}
END_TEST

/* With replies between messages each is an item of its own. */
static void
use_items(int count)
{
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(ob_push("m"), OUTBOX_QUEUED);
		ob_reply("r");
	}
	(void)ob_take_all();
}

START_TEST(spare_items_go_when_they_are_not_used)
{
	use_items(5);
	ck_assert_uint_eq(ob.pool.spare_count, 10);
	outbox_pool_shrink(&ob.pool);
	ck_assert_uint_eq(ob.pool.spare_count, 10);
	use_items(2);
	outbox_pool_shrink(&ob.pool);
	ck_assert_uint_eq(ob.pool.spare_count, 4);
	outbox_pool_shrink(&ob.pool);
	ck_assert_uint_eq(ob.pool.spare_count, 0);
	use_items(3);
	ck_assert_uint_eq(ob.pool.spare_count, 6);
}
END_TEST

static struct frame_range shared;

/* Holds one range of these messages, which no outbox has queued yet. */
static void
write_shared(const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct frame frame = frame_log_write(ob.messages, strlen(texts[i]), 7);

		memcpy(frame.ptr, texts[i], frame.len);
		if (i == 0)
			frame_range_init(&shared, &frame);
		else
			ck_assert(frame_range_extend(&shared, &frame));
	}
}

START_TEST(a_range_that_another_holds_is_queued_as_messages_of_its_own)
{
	write_shared((const char *const[]){"one", "two", "three"}, 3);
	ck_assert_int_eq(ob_push("first"), OUTBOX_QUEUED);
	outbox_push_range(&ob.outbox, &shared);
	ck_assert_uint_eq(ob.outbox.messages, 4);
	ck_assert_uint_eq(ob.outbox.message_bytes, 16);
	ck_assert_int_eq(ob_push("last"), OUTBOX_QUEUED);
	ck_assert_str_eq(ob_take(7), "firston");
	ck_assert_uint_eq(ob.outbox.messages, 4);
	frame_range_release(&shared);
	ck_assert_str_eq(ob_take_all(), "etwothreelast");
	ck_assert_uint_eq(ob.outbox.messages, 0);
}
END_TEST

START_TEST(messages_of_a_shared_range_are_dropped_one_by_one)
{
	ob_set_policy(OUTBOX_DROP_OLDEST, true);
	write_shared((const char *const[]){"1", "2", "3", "4"}, 4);
	outbox_push_range(&ob.outbox, &shared);
	frame_range_release(&shared);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ob_push("n"), OUTBOX_QUEUED);
	ck_assert_uint_eq(ob.drops[7], 2);
	ck_assert_str_eq(ob_take_all(), "<2>34nnn");
}
END_TEST

START_TEST(a_sealed_outbox_takes_no_range)
{
	write_shared((const char *const[]){"1"}, 1);
	outbox_seal(&ob.outbox);
	outbox_push_range(&ob.outbox, &shared);
	frame_range_release(&shared);
	ck_assert_uint_eq(ob.outbox.messages, 0);
}
END_TEST

START_TEST(missed_messages_are_counted_and_marked_with_their_number)
{
	ob_set_policy(OUTBOX_DISCONNECT, true);
	ck_assert_int_eq(ob_push("a"), OUTBOX_QUEUED);
	outbox_miss(&ob.outbox, 3, 1000);
	outbox_miss(&ob.outbox, 4, 234);
	ck_assert_int_eq(ob_push("b"), OUTBOX_QUEUED);
	ck_assert_uint_eq(ob.outbox.dropped, 1234);
	ck_assert_uint_eq(ob.drops[3], 1000);
	ck_assert_uint_eq(ob.drops[4], 234);
	ck_assert_str_eq(ob_take_all(), "a<1234>b");
}
END_TEST

START_TEST(low_is_told_once_when_half_of_the_limits_is_free)
{
	char text[41];

	memset(text, 'x', 40);
	text[40] = '\0';
	ck_assert(outbox_is_low(&ob.outbox));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ob_push("m"), OUTBOX_QUEUED);
	ck_assert(!outbox_is_low(&ob.outbox)); /* 4 of 5 messages */
	outbox_await_low(&ob.outbox);
	ob_take(1);
	ck_assert_int_eq(ob.lows, 0);
	ob_take(1);
	ck_assert_int_eq(ob.lows, 1);
	ob_take_all();
	ck_assert_int_eq(ob.lows, 1);
	ck_assert_int_eq(ob_push(text), OUTBOX_QUEUED);
	ck_assert_int_eq(ob_push(text), OUTBOX_QUEUED);
	ck_assert(!outbox_is_low(&ob.outbox)); /* 80 of 100 bytes */
	outbox_await_low(&ob.outbox);
	ob_take(29);
	ck_assert_int_eq(ob.lows, 1);
	ob_take(1);
	ck_assert_int_eq(ob.lows, 2);
}
END_TEST

START_TEST(low_is_told_when_the_limits_are_raised)
{
	struct outbox_limits limits = {.messages = 8};

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ob_push("m"), OUTBOX_QUEUED);
	outbox_await_low(&ob.outbox);
	outbox_set_limits(&ob.outbox, &limits);
	ck_assert_int_eq(ob.lows, 1);
}
END_TEST

START_TEST(a_gap_of_unknown_size_is_told_in_its_place_and_not_counted)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, true);
	(void)ob_push("a");
	outbox_note_gap(&ob.outbox);
	outbox_note_gap(&ob.outbox);
	(void)ob_push("b");
	ob_reply("+OK");
	ck_assert_str_eq(ob_take_all(), "a<?>b+OK");
	outbox_note_gap(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), "<?>");
	ck_assert_uint_eq(ob.outbox.dropped, 0);
	ck_assert_uint_eq(ob.pool.dropped_total, 0);
	ck_assert_uint_eq(ob.pool.bytes, 0);
	outbox_note_gap(&ob.outbox);
	ck_assert(!outbox_is_empty(&ob.outbox));
}
END_TEST

START_TEST(a_gap_of_unknown_size_wakes_a_subscriber_that_is_told)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, false);
	outbox_note_gap(&ob.outbox);
	ck_assert_int_eq(ob.readies, 0);
	ck_assert_str_eq(ob_take_all(), "");
	ob_set_policy(OUTBOX_DROP_NEWEST, true);
	outbox_note_gap(&ob.outbox);
	ck_assert_int_eq(ob.readies, 1);
	outbox_seal(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), "<?>");
	outbox_note_gap(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), "");
}
END_TEST

START_TEST(a_number_added_to_an_unknown_one_leaves_it_unknown)
{
	ob_set_policy(OUTBOX_DROP_NEWEST, true);
	outbox_note_gap(&ob.outbox);
	outbox_miss(&ob.outbox, 1, 3);
	ck_assert_str_eq(ob_take_all(), "<?>");
	outbox_miss(&ob.outbox, 1, 3);
	outbox_note_gap(&ob.outbox);
	ck_assert_str_eq(ob_take_all(), "<?>");
	outbox_miss(&ob.outbox, 1, UINT64_MAX - 2);
	outbox_miss(&ob.outbox, 1, 3);
	ck_assert_str_eq(ob_take_all(), "<?>");
}
END_TEST

START_TEST(gaps_become_one_when_what_was_between_them_is_dropped)
{
	size_t item;

	ob_set_policy(OUTBOX_DROP_OLDEST, true);
	(void)ob_push("m");
	item = ob.pool.item_bytes;
	outbox_note_gap(&ob.outbox);
	for (int i = 0; i < 100; i++) {
		(void)ob_push("m");
		outbox_note_gap(&ob.outbox);
	}
	ck_assert_uint_eq(ob.pool.item_bytes, 11 * item);
	ck_assert_str_eq(ob_take_all(), "<?>m<?>m<?>m<?>m<?>m<?>");
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/outbox", ob_setup, ob_teardown,
	    (const TTest *[]){messages_and_replies_leave_in_the_order_they_came,
		readiness_is_told_once_until_it_is_flushed,
		the_reply_of_a_command_stands_before_what_it_pushed_to_its_own_client,
		the_mark_holds_at_the_front_too,
		disconnect_says_so_when_bytes_or_messages_do_not_fit, drop_newest_keeps_what_it_has,
		drop_oldest_keeps_the_last_and_every_reply,
		drop_oldest_never_cuts_a_message_that_is_on_the_wire,
		what_can_never_fit_pushes_nothing_out,
		with_notify_a_notice_counts_the_dropped_messages, without_notify_there_is_no_notice,
		a_notice_has_the_form_of_the_messages_that_are_missing,
		what_is_behind_a_barrier_is_not_shown_and_replies_go_before_it,
		messages_behind_a_barrier_are_dropped_as_others_are,
		blocking_waits_for_room_and_an_empty_outbox_has_room_for_any,
		closing_wakes_the_waiting_publisher_and_frees_the_queue,
		a_sealed_outbox_takes_nothing_and_shows_what_it_has,
		a_range_that_another_holds_is_queued_as_messages_of_its_own,
		messages_of_a_shared_range_are_dropped_one_by_one, a_sealed_outbox_takes_no_range,
		missed_messages_are_counted_and_marked_with_their_number,
		low_is_told_once_when_half_of_the_limits_is_free,
		low_is_told_when_the_limits_are_raised, a_closed_outbox_lets_go_in_slices,
		a_gap_of_unknown_size_is_told_in_its_place_and_not_counted,
		a_gap_of_unknown_size_wakes_a_subscriber_that_is_told,
		a_number_added_to_an_unknown_one_leaves_it_unknown,
		gaps_become_one_when_what_was_between_them_is_dropped,
		spare_items_go_when_they_are_not_used, NULL});
}
