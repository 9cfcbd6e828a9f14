#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/hash_map.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/pause.h"
#include "server/server_config.h"
#include "server/slowlog.h"
#include "server/statistics.h"
#include "server/wait.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

START_TEST(unknown_commands_are_answered_in_redis_form)
{
	assert_says(
	    c, "foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n");
	assert_says(
	    c, "client|id", "-ERR unknown command 'client|id', with args beginning with: \r\n");
	assert_says(c, "CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
}
END_TEST

START_TEST(a_shown_argument_is_cut_after_128_bytes_in_all)
{
	char line[300] = "foo ", expected[400];
	char xs[129];

	memset(xs, 'x', 128);
	xs[128] = '\0';
	memset(line + 4, 'x', 200);
	memcpy(line + 204, " y", sizeof(" y"));
	snprintf(expected, sizeof(expected),
	    "-ERR unknown command 'foo', with args beginning with: '%s' \r\n", xs);
	assert_says(c, line, expected);
}
END_TEST

START_TEST(line_ends_of_a_peer_do_not_reach_the_reply)
{
	const struct slice args[] = {SLICE("foo"), SLICE("a\r\nb"), {"c\0d", 3}};

	ck_assert(test_send_args(c, args, 3));
	ck_assert_str_eq(
	    test_read(c), "-ERR unknown command 'foo', with args beginning with: 'a  b' 'c' \r\n");
}
END_TEST

START_TEST(a_wrong_number_of_arguments_is_refused_and_counted)
{
	const struct command *echo = command_find(test_server->commands, NULL, SLICE("ECHO"));

	assert_says(c, "echo", "-ERR wrong number of arguments for 'echo' command\r\n");
	assert_says(c, "client", "-ERR wrong number of arguments for 'client' command\r\n");
	assert_says(c, "client id x", "-ERR wrong number of arguments for 'client|id' command\r\n");
	ck_assert_uint_eq(
	    test_server->statistics->commands[command_index(test_server->commands, echo)].rejected,
	    1);
	ck_assert_uint_eq(
	    test_server->statistics->commands[command_index(test_server->commands, echo)].calls, 0);
	ck_assert_uint_eq(test_server->statistics->counters.errors, 3);
}
END_TEST

START_TEST(calls_and_failures_are_counted_by_command)
{
	const struct command *select = command_find(test_server->commands, NULL, SLICE("select"));

	assert_says(c, "select 3", "+OK\r\n");
	assert_says(c, "select 16", "-ERR DB index is out of range\r\n");
	assert_says(c, "select -1", "-ERR DB index is out of range\r\n");
	assert_says(c, "select x", "-ERR value is not an integer or out of range\r\n");
	ck_assert_uint_eq(
	    test_server->statistics->commands[command_index(test_server->commands, select)].calls,
	    4);
	ck_assert_uint_eq(
	    test_server->statistics->commands[command_index(test_server->commands, select)].failed,
	    3);
	ck_assert_uint_eq(test_server->statistics->counters.commands, 4);
	ck_assert_uint_eq(
	    *(uint64_t *)hash_map_get(test_server->statistics->errors, SLICE("ERR")), 3);
}
END_TEST

START_TEST(a_repeated_command_is_told_from_one_that_only_begins_alike)
{
	const struct slice with_nul = {"ping\0", 5};

	assert_says(c, "ping", "+PONG\r\n");
	assert_says(c, "PiNg", "+PONG\r\n");
	assert_says(c, "pin", "-ERR unknown command 'pin', with args beginning with: \r\n");
	assert_says(c, "pings", "-ERR unknown command 'pings', with args beginning with: \r\n");
	ck_assert(test_send_args(c, &with_nul, 1));
	ck_assert_str_eq(
	    test_read(c), "-ERR unknown command 'ping', with args beginning with: \r\n");
	assert_says(c, "client getname", "$-1\r\n");
	assert_says(c, "getname", "-ERR unknown command 'getname', with args beginning with: \r\n");
	assert_says(c, "client getname", "$-1\r\n");
}
END_TEST

START_TEST(ping_and_echo_answer)
{
	assert_says(c, "PING", "+PONG\r\n");
	assert_says(c, "ping hi", "$2\r\nhi\r\n");
	assert_says(c, "ping a b", "-ERR wrong number of arguments for 'ping' command\r\n");
	assert_says(c, "echo \"\"", "$0\r\n\r\n");
}
END_TEST

START_TEST(a_subscribed_resp2_client_may_only_do_what_redis_allows_it)
{
	test_call(c, "subscribe a");
	assert_says(c, "client id",
	    "-ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
	    "/ "
	    "RESET are allowed in this context\r\n");
	assert_says(c, "ping", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	assert_says(c, "ping x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
	assert_says(c, "foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
	assert_says(c, "reset", "+RESET\r\n");
	assert_says(c, "ping", "+PONG\r\n");
}
END_TEST

START_TEST(a_subscribed_resp3_client_may_do_everything)
{
	test_call(c, "hello 3");
	test_call(c, "subscribe a");
	assert_says(c, "ping", "+PONG\r\n");
	assert_says(c, "publish a m", ":1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
}
END_TEST

START_TEST(reply_off_drops_replies_and_keeps_pushes)
{
	assert_says(c, "client reply off", "");
	assert_says(c, "ping", "");
	assert_says(c, "foo", "");
	assert_says(c, "subscribe a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
	assert_says(c, "ping", "");
	assert_says(c, "unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
	assert_says(c, "client reply on", "+OK\r\n");
}
END_TEST

START_TEST(reply_skip_drops_exactly_the_next_reply)
{
	assert_says(c, "client reply skip", "");
	assert_says(c, "ping", "");
	assert_says(c, "ping", "+PONG\r\n");
	assert_says(c, "client reply skip", "");
	assert_says(c, "foo", "");
	assert_says(c, "ping", "+PONG\r\n");
}
END_TEST

START_TEST(an_http_request_closes_the_connection)
{
	assert_says(c, "POST / HTTP/1.1", "");
	ck_assert_ptr_nonnull(c->killed);
}
END_TEST

START_TEST(a_finished_client_is_answered_nothing_more)
{
	assert_says(c, "quit", "+OK\r\n");
	ck_assert(c->finished);
	assert_says(c, "ping", "");
}
END_TEST

START_TEST(a_pause_holds_commands_until_it_ends)
{
	uint64_t now_us = clock_mono_us();

	test_server->pause->until_us = now_us + 60000000;
	test_server->pause->all = true;
	ck_assert(!test_send(c, "ping"));
	test_turns(3);
	ck_assert(c->later);
	test_server->pause->until_us = now_us + 1;
	test_turn(now_us + 2);
	ck_assert(!c->later);
	ck_assert_str_eq(test_read(c), "+PONG\r\n");
}
END_TEST

START_TEST(a_pause_of_writes_holds_publishers_only)
{
	test_server->pause->until_us = clock_mono_us() + 60000000;
	assert_says(c, "ping", "+PONG\r\n");
	ck_assert(!test_send(c, "publish a b"));
	test_server->pause->until_us = 0;
	wait_event(test_server, WAIT_EVENT_UNPAUSED);
	ck_assert_str_eq(test_finish(c), ":0\r\n");
}
END_TEST

START_TEST(monitors_are_told_to_io_as_subscribers_are)
{
	test_call(c, "monitor");
	ck_assert(c->subscriber);
	ck_assert_uint_eq(test_server->clients->subscriber_count, 0);
	test_call(c, "subscribe a");
	test_call(c, "unsubscribe a");
	ck_assert(c->subscriber);
	test_call(c, "reset");
	ck_assert(!c->subscriber);
}
END_TEST

START_TEST(monitors_see_commands_but_no_passwords_and_nothing_administrative)
{
	struct test_conn *m = test_open();
	const char *seen;

	assert_says(m, "monitor", "+OK\r\n");
	test_call(c, "auth default secret1");
	test_call(c, "hello 2 auth default secret2 setname n");
	test_call(c, "client list");
	test_call(c, "nonsense");
	test_call(c, "echo a\"\nb");
	seen = test_read(m);
	ck_assert_ptr_null(strstr(seen, "secret"));
	ck_assert_ptr_null(strstr(seen, "list"));
	ck_assert_ptr_null(strstr(seen, "nonsense"));
	ck_assert_ptr_nonnull(
	    strstr(seen, " [0 127.0.0.1:5000] \"auth\" \"(redacted)\" \"(redacted)\"\r\n"));
	ck_assert_ptr_nonnull(strstr(seen, "\"hello\" \"2\" \"auth\" \"(redacted)\" "
					   "\"(redacted)\" \"setname\" \"n\"\r\n"));
	ck_assert_ptr_nonnull(strstr(seen, "\"echo\" \"a\\\"\\nb\"\r\n"));
	ck_assert_int_eq(seen[0], '+');
}
END_TEST

START_TEST(a_monitor_that_does_not_read_is_closed)
{
	struct test_conn *m = test_open();

	test_config.outbox.bytes = 1000;
	test_call(m, "monitor");
	for (int i = 0; i < 50; i++)
		test_call(c, "echo 0123456789012345678901234567890123456789");
	ck_assert_ptr_nonnull(m->killed);
}
END_TEST

START_TEST(a_monitor_that_is_held_more_than_its_limit_is_closed)
{
	struct test_conn *m = test_open();
	char line[1000];

	snprintf(line, sizeof(line), "ECHO %0900d", 1);
	server_journal_set(test_server, true, true);
	test_call(m, "MONITOR");
	(void)test_call(m, "SET a 1");
	for (int i = 0; i < 1000; i++)
		(void)test_call(c, line);
	ck_assert_ptr_null(m->killed);
	ck_assert_uint_gt(held_bytes(m->client), 900000);
	for (int i = 0; i < 200; i++)
		(void)test_call(c, line);
	ck_assert_ptr_nonnull(m->killed);
}
END_TEST

START_TEST(slow_commands_are_logged_without_passwords)
{
	const struct slowlog_entry *entry;

	test_config.slowlog_slower_than_us = 0;
	test_call(c, "auth default secret");
	entry = slowlog_get(test_server->slowlog, 0);
	ck_assert_ptr_nonnull(entry);
	ck_assert_uint_eq(entry->argc, 3);
	ck_assert_mem_eq(entry->argv[2], "(redacted)", 10);
	test_config.slowlog_slower_than_us = -1;
	test_call(c, "ping");
	ck_assert_uint_eq(slowlog_len(test_server->slowlog), 1);
}
END_TEST

START_TEST(replies_past_the_hard_limit_close_the_client)
{
	test_config.buffer_limit[SERVER_CLASS_NORMAL].hard_bytes = 20;
	ck_assert(test_send(c, "ping"));
	ck_assert_ptr_null(c->killed);
	ck_assert(test_send(c, "ping"));
	ck_assert(test_send(c, "ping"));
	ck_assert_ptr_nonnull(c->killed);
	ck_assert_uint_eq(test_server->statistics->counters.evicted_clients, 1);
}
END_TEST

START_TEST(replies_past_the_soft_limit_close_the_client_after_its_time)
{
	uint64_t now_us = clock_mono_us();

	test_config.buffer_limit[SERVER_CLASS_NORMAL].soft_bytes = 5;
	test_config.buffer_limit[SERVER_CLASS_NORMAL].soft_s = 10;
	ck_assert(test_send(c, "ping"));
	test_turn(now_us + 9000000);
	ck_assert_ptr_null(c->killed);
	test_turn(now_us + 12000000);
	ck_assert_ptr_nonnull(c->killed);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/dispatch", setup, test_teardown,
	    (const TTest *[]){unknown_commands_are_answered_in_redis_form,
		a_shown_argument_is_cut_after_128_bytes_in_all,
		line_ends_of_a_peer_do_not_reach_the_reply,
		a_wrong_number_of_arguments_is_refused_and_counted,
		calls_and_failures_are_counted_by_command,
		a_repeated_command_is_told_from_one_that_only_begins_alike, ping_and_echo_answer,
		a_subscribed_resp2_client_may_only_do_what_redis_allows_it,
		a_subscribed_resp3_client_may_do_everything,
		reply_off_drops_replies_and_keeps_pushes, reply_skip_drops_exactly_the_next_reply,
		an_http_request_closes_the_connection, a_finished_client_is_answered_nothing_more,
		a_pause_holds_commands_until_it_ends, a_pause_of_writes_holds_publishers_only,
		monitors_are_told_to_io_as_subscribers_are,
		monitors_see_commands_but_no_passwords_and_nothing_administrative,
		a_monitor_that_does_not_read_is_closed,
		a_monitor_that_is_held_more_than_its_limit_is_closed,
		slow_commands_are_logged_without_passwords,
		replies_past_the_hard_limit_close_the_client,
		replies_past_the_soft_limit_close_the_client_after_its_time, NULL});
}
