#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/testing_replay.h"
#include "server/client.h"

/* The option replay: a plain SUBSCRIBE begins with the latest messages. */

#define SUBSCRIBED(channel, count) "*3\r\n$9\r\nsubscribe\r\n$1\r\n" channel "\r\n:" count "\r\n"
#define MESSAGE(channel, payload)                                                                  \
	"*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"

static struct test_conn *c, *other;

static void
keep(const char *glob, const char *size, const char *replay)
{
	char words[64];

	snprintf(words, sizeof(words), "history-size %s history-ttl 60 replay %s", size, replay);
	testing_set_line(test_server->hub, glob, words);
}

static void
setup(void)
{
	test_setup();
	c = test_open();
	other = test_open();
	keep("*", "10", "2");
}

/* All output of some turns. */
static const char *
read_all(struct test_conn *conn)
{
	static struct buffer all;

	buffer_clear(&all);
	for (int i = 0; i < 10; i++) {
		buffer_append_str(&all, test_read(conn));
		test_turns(1);
	}
	buffer_append(&all, "", 1);
	return all.ptr;
}

static size_t
count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

START_TEST(the_latest_messages_follow_the_confirmations_in_the_order_of_publishing)
{
	test_call(other, "publish a 1");
	test_call(other, "publish a 2");
	test_call(other, "publish b 3");
	test_call(other, "publish a 4");
	ck_assert_str_eq(test_call(c, "subscribe a b x"),
	    SUBSCRIBED("a", "1") SUBSCRIBED("b", "2") SUBSCRIBED("x", "3") MESSAGE("a", "2")
		MESSAGE("b", "3") MESSAGE("a", "4"));
	/* A second subscription to a channel brings nothing again. */
	ck_assert_str_eq(test_call(c, "subscribe a"), SUBSCRIBED("a", "3"));
	test_call(other, "publish a 5");
	ck_assert_str_eq(test_read(c), MESSAGE("a", "5"));
	ck_assert_str_eq(test_call(c, "subscribe b"), SUBSCRIBED("b", "3"));
}
END_TEST

START_TEST(messages_from_before_a_history_was_forgotten_are_not_among_them)
{
	test_call(other, "publish a 1");
	test_call(other, "publish b 2");
	hub_forget_history(test_server->hub);
	test_call(other, "publish a 3");
	ck_assert_str_eq(test_call(c, "subscribe a b"),
	    SUBSCRIBED("a", "1") SUBSCRIBED("b", "2") MESSAGE("a", "3"));
}
END_TEST

START_TEST(they_are_merged_with_the_messages_of_resumed_channels)
{
	test_call(other, "publish b 1");
	test_call(other, "publish a 2");
	test_call(other, "publish b 3");
	test_call(c, "resume b 0");
	ck_assert(test_send(c, "subscribe a b"));
	ck_assert_str_eq(read_all(c), SUBSCRIBED("a", "1") SUBSCRIBED("b", "2") MESSAGE("b", "1")
					  MESSAGE("a", "2") MESSAGE("b", "3"));
	test_call(other, "publish a 4");
	ck_assert_str_eq(test_read(c), MESSAGE("a", "4"));
}
END_TEST

START_TEST(they_are_merged_with_those_that_come_in_portions)
{
	keep("*", "600", "600");
	for (int i = 0; i < 600; i++)
		test_call(other, "publish b x");
	test_call(other, "publish a y");
	ck_assert(test_send(c, "subscribe a b"));
	{
		const char *text = read_all(c);

		ck_assert_uint_eq(count_of(text, MESSAGE("b", "x")), 600);
		ck_assert_uint_eq(count_of(text, MESSAGE("a", "y")), 1);
		ck_assert_ptr_null(strstr(strstr(text, MESSAGE("a", "y")), MESSAGE("b", "x")));
	}
}
END_TEST

START_TEST(a_last_value_is_followed_by_each_new_one)
{
	keep("*", "1", "1");
	test_call(other, "publish a 1");
	ck_assert(test_send(c, "subscribe a"));
	test_call(other, "publish a 2");
	test_call(other, "publish a 3");
	ck_assert_str_eq(read_all(c),
	    SUBSCRIBED("a", "1") MESSAGE("a", "1") MESSAGE("a", "2") MESSAGE("a", "3"));
	ck_assert_ptr_null(c->killed);
}
END_TEST

START_TEST(patterns_and_channels_without_the_option_begin_with_new_messages)
{
	keep("b", "10", "0");
	test_call(other, "publish b 1");
	ck_assert_str_eq(test_call(c, "subscribe b"), SUBSCRIBED("b", "1"));
	ck_assert_str_eq(
	    test_call(c, "psubscribe *"), "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:2\r\n");
	ck_assert_str_eq(read_all(c), "");
}
END_TEST

START_TEST(in_a_transaction_they_follow_its_reply)
{
	test_call(other, "publish a 1");
	test_call(c, "multi");
	test_call(c, "subscribe a");
	test_call(c, "publish a 2");
	ck_assert_str_eq(test_call(c, "exec"),
	    "*2\r\n" SUBSCRIBED("a", "1") ":1\r\n" MESSAGE("a", "1") MESSAGE("a", "2"));
}
END_TEST

START_TEST(client_reply_off_does_not_drop_them)
{
	test_call(other, "publish a 1");
	ck_assert(test_send(c, "client reply off"));
	ck_assert(test_send(c, "subscribe a"));
	ck_assert_str_eq(read_all(c), SUBSCRIBED("a", "1") MESSAGE("a", "1"));
}
END_TEST

START_TEST(resp3_gets_pushes_with_positions_where_wanted)
{
	const char *text;

	test_call(other, "publish a 1");
	test_call(c, "hello 3");
	test_call(c, "outbox set positions yes");
	text = test_call(c, "subscribe a");
	ck_assert_int_eq(strncmp(text, ">3\r\n$9\r\nsubscribe\r\n", 19), 0);
	ck_assert_ptr_nonnull(strstr(text, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$20\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "-2 1\r\n"));
}
END_TEST

START_TEST(many_messages_come_in_portions_and_all_of_them)
{
	char line[64];

	test_config.outbox.messages = 100000;
	server_reconfigured(test_server);
	test_turns(2);
	keep("*", "2000", "2000");
	for (int i = 0; i < 1500; i++) {
		snprintf(line, sizeof(line), "publish a m%d;", i);
		test_call(other, line);
	}
	ck_assert(test_send(c, "subscribe a"));
	test_call(other, "publish a last;");
	{
		const char *text = read_all(c);
		const char *last = strstr(text, "last;");

		ck_assert_uint_eq(count_of(text, "message"), 1501);
		ck_assert_ptr_nonnull(last);
		ck_assert(strstr(text, "m1499;") < last);
		ck_assert(strstr(text, "m0;") > strstr(text, "subscribe"));
	}
}
END_TEST

START_TEST(an_outbox_with_a_small_limit_gets_them_in_its_measure)
{
	for (int i = 0; i < 10; i++)
		test_call(other, "publish a x");
	keep("*", "10", "10");
	test_call(c, "hello 3");
	test_call(c, "outbox set messages 4");
	ck_assert(test_send(c, "subscribe a"));
	ck_assert_uint_eq(count_of(read_all(c), "message"), 10);
	ck_assert_ptr_null(c->killed);
	ck_assert_uint_eq(hub_replay_figures(test_server->hub).cursors, 0);
}
END_TEST

/* Their frames take far more than the outbox may have, their payloads almost nothing. */
START_TEST(an_outbox_that_catches_up_gets_very_short_ones_in_its_measure_too)
{
	const char *text;

	keep("*", "200", "200");
	for (int i = 0; i < 200; i++)
		test_call(other, "publish a x");
	test_call(c, "outbox set policy catch-up bytes 8000 positions yes");
	(void)test_send(c, "subscribe a");
	text = read_all(c);
	ck_assert_uint_eq(count_of(text, "message"), 200);
	ck_assert_ptr_null(c->killed);
}
END_TEST

START_TEST(a_subscribe_to_very_many_channels_gets_all_of_them)
{
	struct buffer line = {0};

	buffer_append_str(&line, "subscribe");
	for (int i = 0; i < 1000; i++) {
		char publish[32];

		snprintf(publish, sizeof(publish), "publish c%d v", i);
		test_call(other, publish);
		buffer_appendf(&line, " c%d", i);
	}
	buffer_append(&line, "", 1);
	(void)test_send(c, line.ptr);
	{
		const char *text = c->later ? test_finish(c) : read_all(c);

		ck_assert_uint_eq(count_of(text, "subscribe"), 1000);
		ck_assert_uint_eq(
		    count_of(text, "message") + count_of(read_all(c), "message"), 1000);
	}
	buffer_release(&line);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/latest", setup, test_teardown,
	    (const TTest *[]){
		the_latest_messages_follow_the_confirmations_in_the_order_of_publishing,
		messages_from_before_a_history_was_forgotten_are_not_among_them,
		they_are_merged_with_the_messages_of_resumed_channels,
		they_are_merged_with_those_that_come_in_portions,
		a_last_value_is_followed_by_each_new_one,
		patterns_and_channels_without_the_option_begin_with_new_messages,
		in_a_transaction_they_follow_its_reply, client_reply_off_does_not_drop_them,
		resp3_gets_pushes_with_positions_where_wanted,
		many_messages_come_in_portions_and_all_of_them,
		an_outbox_with_a_small_limit_gets_them_in_its_measure,
		an_outbox_that_catches_up_gets_very_short_ones_in_its_measure_too,
		a_subscribe_to_very_many_channels_gets_all_of_them, NULL});
}
