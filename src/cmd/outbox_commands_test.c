#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_reach.h"
#include "pubsub/outbox.h"
#include "server/core.h"
#include "server/server.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *slow, *publisher;

static void
setup(void)
{
	test_setup();
	slow = test_open();
	publisher = test_open();
}

START_TEST(get_shows_what_holds_and_what_is_queued)
{
	struct hub_position position = history_position(hub_history(test_server->hub));
	char expected[512], text[POSITION_TEXT_MAX + 1];

	text[position_print(text, position)] = '\0';
	snprintf(expected, sizeof(expected),
	    "*26\r\n$6\r\npolicy\r\n$10\r\ndisconnect\r\n$5\r\nbytes\r\n:1048576\r\n$"
	    "8\r\nmessages\r\n:1000\r\n"
	    "$6\r\nnotify\r\n$2\r\nno\r\n$12\r\nqueued-bytes\r\n:0\r\n$15\r\nqueued-messages\r\n:"
	    "0\r\n"
	    "$7\r\ndropped\r\n:0\r\n$10\r\ngoing-away\r\n$2\r\nno\r\n"
	    "$4\r\necho\r\n$3\r\nyes\r\n$9\r\npositions\r\n$2\r\nno\r\n"
	    "$5\r\ndedup\r\n$2\r\nno\r\n"
	    "$16\r\nchannel-policies\r\n$3\r\nyes\r\n"
	    "$8\r\nposition\r\n$%zu\r\n%s\r\n",
	    strlen(text), text);
	assert_says(slow, "outbox get", expected);
	test_call(slow, "hello 3");
	ck_assert_int_eq(strncmp(test_call(slow, "outbox get"), "%13\r\n", 5), 0);
}
END_TEST

START_TEST(set_takes_options_in_any_order)
{
	assert_says(
	    slow, "OUTBOX SET notify YES Messages 5 policy Drop-Oldest bytes 1000", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(slow, "outbox get"),
	    "$11\r\ndrop-oldest\r\n$5\r\nbytes\r\n:1000\r\n$"
	    "8\r\nmessages\r\n:5\r\n$6\r\nnotify\r\n$3\r\nyes\r\n"));
	assert_says(slow, "outbox set bytes 0 messages 0", "+OK\r\n");
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 1048576);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.messages, 1000);
	ck_assert_int_eq(server_outbox(slow->client)->limits.policy, OUTBOX_DROP_OLDEST);
}
END_TEST

START_TEST(set_does_all_or_nothing)
{
	assert_says(slow, "outbox set policy block bytes 1048577",
	    "-ERR outbox limit must be between 0 and 1048576\r\n");
	assert_says(slow, "outbox set policy block messages -1",
	    "-ERR outbox limit must be between 0 and 1000\r\n");
	assert_says(
	    slow, "outbox set policy block notify maybe", "-ERR NOTIFY must be 'yes' or 'no'\r\n");
	assert_says(slow, "outbox set policy block foo bar", "-ERR syntax error\r\n");
	assert_says(slow, "outbox set policy block notify", "-ERR syntax error\r\n");
	assert_says(slow, "outbox set bytes 5 policy sometimes",
	    "-ERR outbox policy must be disconnect, drop-oldest, drop-newest, block, catch-up or "
	    "default\r\n");
	ck_assert_int_eq(server_outbox(slow->client)->limits.policy, OUTBOX_DISCONNECT);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 1048576);
}
END_TEST

START_TEST(a_lower_maximum_binds_those_who_chose_and_those_who_did_not)
{
	test_call(slow, "outbox set bytes 500000");
	test_config.outbox.bytes = 1000;
	test_config.outbox.policy = OUTBOX_DROP_NEWEST;
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 1000);
	ck_assert_int_eq(server_outbox(slow->client)->limits.policy, OUTBOX_DROP_NEWEST);
	ck_assert_uint_eq(server_outbox(publisher->client)->limits.bytes, 1000);
	ck_assert_int_eq(server_outbox(publisher->client)->limits.policy, OUTBOX_DROP_NEWEST);
	test_config.outbox.bytes = 0;
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 500000);
}
END_TEST

START_TEST(set_chooses_what_it_names_and_nothing_else)
{
	test_call(slow, "outbox set notify yes");
	test_config.outbox = (struct outbox_limits){
	    .bytes = 2000, .messages = 20, .policy = OUTBOX_DROP_OLDEST, .notify = false};
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 2000);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.messages, 20);
	ck_assert_int_eq(server_outbox(slow->client)->limits.policy, OUTBOX_DROP_OLDEST);
	ck_assert(server_outbox(slow->client)->limits.notify);
	/* 0 removes a choice. */
	test_call(slow, "outbox set bytes 1000 messages 10");
	test_call(slow, "outbox set bytes 0 messages 0");
	test_config.outbox.bytes = 3000;
	test_config.outbox.messages = 30;
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 3000);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.messages, 30);
}
END_TEST

START_TEST(a_gap_is_told_in_the_protocol_of_the_messages_that_are_missing)
{
	static const char *const ways[] = {"hello 2", "reset"};

	for (size_t i = 0; i < 2; i++) {
		test_call(slow, "hello 3");
		test_call(slow, "outbox set policy drop-newest messages 1 notify yes");
		test_call(slow, "subscribe a");
		for (int n = 0; n < 3; n++)
			assert_says(publisher, "publish a m", ":1\r\n");
		ck_assert_ptr_nonnull(
		    strstr(test_call(slow, ways[i]), "$1\r\nm\r\n>2\r\n$6\r\nlagged\r\n:2\r\n"));
		test_call(slow, "unsubscribe a");
	}
}
END_TEST

START_TEST(a_gap_of_unknown_size_is_minus_one)
{
	test_call(slow, "outbox set notify yes");
	test_call(slow, "subscribe a");
	hub_mark_gap(test_server->hub, HUB_CHANNEL, SLICE("a"));
	ck_assert_str_eq(test_read(slow), "*2\r\n$6\r\nlagged\r\n:-1\r\n");
	test_call(slow, "unsubscribe a");
	test_call(slow, "hello 3");
	test_call(slow, "subscribe a");
	hub_mark_gap(test_server->hub, HUB_CHANNEL, SLICE("a"));
	ck_assert_str_eq(test_read(slow), ">2\r\n$6\r\nlagged\r\n:-1\r\n");
	test_call(slow, "unsubscribe a");
	ck_assert_ptr_nonnull(strstr(test_call(slow, "outbox get"), "$7\r\ndropped\r\n:0\r\n"));
}
END_TEST

START_TEST(with_positions_payloads_begin_with_a_position)
{
	assert_says(
	    slow, "outbox set positions sometimes", "-ERR POSITIONS must be 'yes' or 'no'\r\n");
	assert_says(slow, "outbox set positions yes", "+OK\r\n");
	test_call(slow, "subscribe a");
	assert_says(publisher, "publish a hello", ":1\r\n");
	ck_assert_str_eq(test_read(slow), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$9\r\n0-0 hello\r\n");
	test_call(slow, "unsubscribe a");
	test_call(slow, "hello 3");
	test_call(slow, "psubscribe [a]");
	test_call(slow, "ssubscribe s");
	test_call(publisher, "publish a hi");
	test_call(publisher, "spublish s x");
	ck_assert_str_eq(test_read(slow),
	    ">4\r\n$8\r\npmessage\r\n$3\r\n[a]\r\n$1\r\na\r\n$6\r\n0-0 hi\r\n"
	    ">3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$5\r\n0-0 x\r\n");
	ck_assert_ptr_nonnull(
	    strstr(test_call(slow, "outbox get"), "$9\r\npositions\r\n$3\r\nyes\r\n"));
	assert_says(slow, "outbox set positions no", "+OK\r\n");
	test_call(publisher, "publish a hi");
	ck_assert_str_eq(
	    test_read(slow), ">4\r\n$8\r\npmessage\r\n$3\r\n[a]\r\n$1\r\na\r\n$2\r\nhi\r\n");
}
END_TEST

START_TEST(reset_ends_positions)
{
	test_call(slow, "outbox set positions yes");
	test_call(slow, "reset");
	test_call(slow, "subscribe a");
	test_call(publisher, "publish a hi");
	ck_assert_str_eq(test_read(slow), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
}
END_TEST

START_TEST(under_disconnect_a_full_outbox_closes_the_client_and_publishing_goes_on)
{
	struct test_conn *third = test_open();

	test_call(slow, "outbox set messages 2");
	test_call(slow, "subscribe a");
	test_call(third, "subscribe a");
	assert_says(publisher, "publish a 1", ":2\r\n");
	assert_says(publisher, "publish a 2", ":2\r\n");
	ck_assert_ptr_null(slow->killed);
	test_call(publisher, "publish a 3");
	ck_assert_str_eq(slow->killed, "outbox exceeded its limits");
	ck_assert_uint_eq(test_server->statistics->counters.evicted_clients, 1);
	assert_says(publisher, "publish a 4", ":1\r\n");
	assert_says(slow, "ping", "");
	test_close(slow);
	assert_says(publisher, "publish a 5", ":1\r\n");
	ck_assert_ptr_nonnull(strstr(test_read(third), "$1\r\n1\r\n"));
}
END_TEST

START_TEST(the_hard_limit_of_class_pubsub_holds_for_disconnect_only)
{
	test_config.buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes = 100;
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 100);
	test_call(slow, "outbox set policy drop-oldest");
	ck_assert_uint_eq(server_outbox(slow->client)->limits.bytes, 1048576);
}
END_TEST

START_TEST(the_soft_limit_of_class_pubsub_holds_for_disconnect_only)
{
	struct test_conn *dropper = test_open();
	uint64_t now_us = clock_mono_us();

	test_config.buffer_limit[SERVER_CLASS_PUBSUB].soft_bytes = 10;
	test_config.buffer_limit[SERVER_CLASS_PUBSUB].soft_s = 10;
	test_call(dropper, "outbox set policy drop-oldest");
	test_call(dropper, "subscribe a");
	test_call(slow, "subscribe a");
	test_call(publisher, "publish a 0123456789");
	test_turn(now_us + 1000000);
	ck_assert_ptr_null(slow->killed);
	test_turn(now_us + 12000000);
	ck_assert_ptr_nonnull(slow->killed);
	ck_assert_ptr_null(dropper->killed);
}
END_TEST

START_TEST(what_is_dropped_is_told_and_counted)
{
	test_call(slow, "outbox set policy drop-oldest messages 1 notify yes");
	test_call(slow, "subscribe a");
	for (int i = 0; i < 3; i++)
		assert_says(publisher, "publish a m", ":1\r\n");
	assert_says(publisher, "outbox dropped a b", "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:0\r\n");
	ck_assert_str_eq(test_read(slow),
	    "*2\r\n$6\r\nlagged\r\n:2\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
	test_call(slow, "unsubscribe");
	ck_assert_ptr_nonnull(strstr(test_call(slow, "outbox get"), "$7\r\ndropped\r\n:2\r\n"));
}
END_TEST

START_TEST(under_block_publishers_wait_in_order_until_there_is_room)
{
	struct test_conn *second = test_open();

	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	assert_says(publisher, "publish a 1", ":1\r\n");
	ck_assert(!test_send(publisher, "publish a 2"));
	ck_assert(!test_send(second, "publish a 3"));
	assert_says(test_open(), "publish elsewhere x", ":0\r\n");
	test_turns(3);
	ck_assert(publisher->later);
	ck_assert_ptr_nonnull(strstr(test_read(slow), "$1\r\n1\r\n"));
	ck_assert_str_eq(test_finish(publisher), ":1\r\n");
	ck_assert(second->later);
	ck_assert_ptr_nonnull(strstr(test_read(slow), "$1\r\n2\r\n"));
	ck_assert_str_eq(test_finish(second), ":1\r\n");
	ck_assert_uint_eq(waits_blocked(test_server->waits), 0);
}
END_TEST

START_TEST(a_waiting_publisher_may_leave)
{
	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	test_call(publisher, "publish a 1");
	ck_assert(!test_send(publisher, "publish a 2"));
	test_close(publisher);
	ck_assert_uint_eq(waits_blocked(test_server->waits), 0);
	test_read(slow);
	test_turns(2);
	ck_assert_str_eq(test_read(slow), "");
}
END_TEST

START_TEST(who_blocks_publishers_too_long_is_closed_and_they_go_on)
{
	uint64_t now_us = clock_mono_us();

	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	test_call(publisher, "publish a 1");
	ck_assert(!test_send(publisher, "publish a 2"));
	test_turn(now_us); /* a turn that began before the request */
	ck_assert_ptr_null(slow->killed);
	test_turn(now_us + 4000000);
	ck_assert_ptr_null(slow->killed);
	/* Each blocked publisher is retried once before slow is closed. */
	for (int turn = 0; turn < 3; turn++)
		test_turn(now_us + 6000000);
	ck_assert_ptr_nonnull(slow->killed);
	ck_assert_str_eq(test_finish(publisher), ":0\r\n");
}
END_TEST

static int
lines_of(const char *text)
{
	int count = 0;

	for (; (text = strstr(text, " policy=")) != NULL; text++)
		count++;
	return count;
}

START_TEST(list_shows_a_line_for_each_client)
{
	assert_says(publisher, "client setname me", "+OK\r\n");
	test_call(slow, "outbox set policy block bytes 5000 messages 7 notify yes");
	ck_assert_int_eq(lines_of(test_call(publisher, "outbox list")), 2);
	ck_assert_ptr_nonnull(strstr(test_call(publisher, "outbox list"),
	    "\nid=1 name= policy=block limit-bytes=5000 limit-messages=7 notify=yes outbox-bytes=0 "
	    "outbox-messages=0 dropped=0 io-thread=0 watch=0 channel-policies=no cursor=0 "
	    "behind=0\nid=2 name=me "));
	ck_assert_int_eq(lines_of(test_call(publisher, "outbox list id 2 1 2 77")), 3);
	assert_says(publisher, "outbox list id 77", "$0\r\n\r\n");
	assert_says(publisher, "outbox list id x", "-ERR Invalid client ID\r\n");
	assert_says(publisher, "outbox list type normal", "-ERR syntax error\r\n");
	assert_says(publisher, "outbox list id", "-ERR syntax error\r\n");
}
END_TEST

/* One slice is too short for so many clients; some connect and some leave while the job runs. */
START_TEST(a_long_list_is_whole_though_clients_come_and_go)
{
	enum { OTHERS = 1500 };
	static struct test_conn *others[OTHERS];
	const char *reply;
	int i;

	test_config.maxclients = OTHERS + 10;
	for (i = 0; i < OTHERS; i++)
		others[i] = test_open();
	(void)test_send(publisher, "outbox list");
	for (i = 1; i < OTHERS; i += 2)
		test_close(others[i]);
	reply = test_finish(publisher);
	ck_assert_int_ge(lines_of(reply), OTHERS / 2 + 2);
	ck_assert_int_le(lines_of(reply), OTHERS + 2);
}
END_TEST

START_TEST(only_clients_with_subscriptions_count_as_blocking)
{
	test_config.outbox.policy = OUTBOX_BLOCK;
	server_reconfigured(test_server);
	test_turns(2);
	ck_assert_uint_eq(hub_figures(test_server->hub).blocking, 0);
	test_call(slow, "subscribe a");
	ck_assert_uint_eq(hub_figures(test_server->hub).blocking, 1);
	test_call(slow, "unsubscribe a");
	ck_assert_uint_eq(hub_figures(test_server->hub).blocking, 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/outbox_commands", setup, test_teardown,
	    (const TTest *[]){get_shows_what_holds_and_what_is_queued,
		set_takes_options_in_any_order, set_does_all_or_nothing,
		a_lower_maximum_binds_those_who_chose_and_those_who_did_not,
		set_chooses_what_it_names_and_nothing_else,
		a_gap_is_told_in_the_protocol_of_the_messages_that_are_missing,
		a_gap_of_unknown_size_is_minus_one, with_positions_payloads_begin_with_a_position,
		reset_ends_positions,
		under_disconnect_a_full_outbox_closes_the_client_and_publishing_goes_on,
		the_hard_limit_of_class_pubsub_holds_for_disconnect_only,
		the_soft_limit_of_class_pubsub_holds_for_disconnect_only,
		what_is_dropped_is_told_and_counted,
		under_block_publishers_wait_in_order_until_there_is_room,
		a_waiting_publisher_may_leave,
		who_blocks_publishers_too_long_is_closed_and_they_go_on,
		list_shows_a_line_for_each_client, a_long_list_is_whole_though_clients_come_and_go,
		only_clients_with_subscriptions_count_as_blocking, NULL});
}
