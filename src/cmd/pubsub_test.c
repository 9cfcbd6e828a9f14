#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/io.h"
#include "server/job.h"
#include "server/server.h"
#include "server/statistics.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *c, *other;

static void
setup(void)
{
	test_setup();
	c = test_open();
	other = test_open();
}

/*
 * Uses memmem, because under a sanitizer each strstr takes time in proportion to the rest of the
 * text.
 */
static size_t
occurrences(const char *text, const char *what)
{
	const char *end = text + strlen(text);
	size_t count = 0, len = strlen(what);

	while ((text = memmem(text, (size_t)(end - text), what, len)) != NULL) {
		text += len;
		count++;
	}
	return count;
}

/* "verb prefix:0 prefix:1 ...", with the longest line that test_send takes. */
static char *
command_of_names(const char *verb, size_t count)
{
	struct buffer line = {0};

	buffer_append_str(&line, verb);
	for (size_t i = 0; i < count; i++)
		buffer_appendf(&line, " channel:%zu", i);
	buffer_append(&line, "", 1);
	return line.ptr;
}

static void
subscribe_many(struct test_conn *conn, int times, int first)
{
	for (int t = first; t < first + times; t++) {
		struct buffer line = {0};

		buffer_append_str(&line, "subscribe");
		for (int i = 0; i < 4000; i++)
			buffer_appendf(&line, " many:%d:%d", t, i);
		buffer_append(&line, "", 1);
		if (!test_send(conn, line.ptr))
			test_finish(conn);
		test_read(conn);
		buffer_release(&line);
	}
}

START_TEST(subscribing_is_confirmed_name_by_name_with_the_count)
{
	assert_says(c, "subscribe a a b",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
	assert_says(c, "psubscribe *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:3\r\n");
	assert_says(c, "ssubscribe a", "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
	ck_assert(c->subscriber);
	ck_assert_uint_eq(test_server->clients->subscriber_count, 1);
}
END_TEST

START_TEST(unsubscribing_is_confirmed_whether_subscribed_or_not)
{
	test_call(c, "subscribe a b");
	assert_says(c, "unsubscribe x a",
	    "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:"
	    "1\r\n");
	assert_says(c, "unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
	assert_says(c, "unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
	assert_says(c, "punsubscribe", "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n");
	ck_assert(!c->subscriber);
	ck_assert_uint_eq(test_server->clients->subscriber_count, 0);
}
END_TEST

START_TEST(resp3_confirmations_are_pushes)
{
	test_call(c, "hello 3");
	assert_says(c, "subscribe a", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
	test_call(c, "unsubscribe");
	assert_says(c, "unsubscribe", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
}
END_TEST

START_TEST(a_message_reaches_channel_and_pattern_subscriptions_in_each_form)
{
	test_call(other, "hello 3");
	test_call(other, "psubscribe n*");
	test_call(c, "subscribe news");
	assert_says(test_open(), "publish news hi", ":2\r\n");
	ck_assert_str_eq(test_read(c), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
	ck_assert_str_eq(
	    test_read(other), ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
}
END_TEST

START_TEST(shard_channels_are_separate_from_channels)
{
	test_call(c, "ssubscribe a");
	assert_says(other, "publish a m", ":0\r\n");
	assert_says(other, "spublish a m", ":1\r\n");
	ck_assert_str_eq(test_read(c), "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
	assert_says(other, "pubsub shardnumsub a b", "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
	assert_says(other, "pubsub shardchannels", "*1\r\n$1\r\na\r\n");
	assert_says(other, "pubsub channels", "*0\r\n");
}
END_TEST

START_TEST(limits_refuse_the_rest_of_the_command_and_keep_what_was_confirmed)
{
	test_config.hub.subscriptions = 2;
	assert_says(c, "subscribe a b d e",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
	    "-ERR max number of subscriptions per client reached (max-subscriptions-per-client "
	    "2)\r\n");
	assert_says(other, "pubsub numsub a d", "*4\r\n$1\r\na\r\n:1\r\n$1\r\nd\r\n:0\r\n");
	test_config.hub.subscribers = 1;
	assert_says(other, "subscribe a",
	    "-ERR max number of subscribers of this channel reached (max-subscribers-per-channel "
	    "1)\r\n");
}
END_TEST

START_TEST(a_name_too_long_anywhere_refuses_the_whole_command)
{
	test_config.hub.name_bytes = 4;
	assert_says(
	    c, "subscribe abcd abcde", "-ERR channel name too long (max-channel-length 4)\r\n");
	assert_says(c, "publish abcde x", "-ERR channel name too long (max-channel-length 4)\r\n");
	assert_says(c, "pubsub channels", "*0\r\n");
	assert_says(c, "subscribe abcd", "*3\r\n$9\r\nsubscribe\r\n$4\r\nabcd\r\n:1\r\n");
}
END_TEST

START_TEST(pubsub_answers_who_subscribed_to_what)
{
	test_call(c, "subscribe a b abc");
	test_call(c, "psubscribe x* y*");
	assert_says(other, "pubsub channels a*", "*2\r\n$1\r\na\r\n$3\r\nabc\r\n");
	assert_says(other, "pubsub numpat", ":2\r\n");
	assert_says(other, "pubsub numsub", "*0\r\n");
	assert_says(other, "pubsub channels a b",
	    "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB "
	    "HELP.\r\n");
}
END_TEST

START_TEST(a_command_of_many_names_goes_on_over_several_turns)
{
	char *line = command_of_names("subscribe", 4000);
	const char *said;
	bool at_once = test_send(c, line);

	said = at_once ? test_read(c) : test_finish(c);
	ck_assert_uint_eq(occurrences(said, "$9\r\nsubscribe\r\n"), 4000);
	ck_assert_ptr_nonnull(strstr(said, "$12\r\nchannel:3999\r\n:4000\r\n"));
	xfree(line);
	ck_assert_uint_eq(client_subscriptions(c->client), 4000);
	ck_assert_uint_eq(test_server->statistics
			      ->commands[command_index(test_server->commands,
				  command_find(test_server->commands, NULL, SLICE("subscribe")))]
			      .calls,
	    1);
}
END_TEST

START_TEST(leaving_everything_takes_turns_and_confirms_each)
{
	const char *said;

	subscribe_many(c, 10, 0);
	ck_assert(!test_send(c, "unsubscribe"));
	ck_assert_uint_gt(client_subscriptions(c->client), 0);
	assert_says(other, "ping", "+PONG\r\n");
	said = test_finish(c);
	ck_assert_uint_eq(occurrences(said, "$11\r\nunsubscribe\r\n"), 40000);
	ck_assert(strstr(said, ":0\r\n") != NULL);
	ck_assert_uint_eq(client_subscriptions(c->client), 0);
	assert_says(c, "ping", "+PONG\r\n");
}
END_TEST

START_TEST(a_long_list_of_channels_is_a_job_and_its_client_waits)
{
	const char *said;

	subscribe_many(c, 25, 0);
	ck_assert(!test_send(other, "pubsub channels"));
	said = test_finish(other);
	ck_assert_int_eq(strncmp(said, "*100000\r\n", 9), 0);
	ck_assert_uint_eq(occurrences(said, "\r\nmany:"), 100000);
	assert_says(other, "ping", "+PONG\r\n");
}
END_TEST

START_TEST(messages_never_stand_inside_a_long_list)
{
	const char *said;
	struct test_conn *publisher = test_open();

	subscribe_many(c, 25, 0);
	test_call(other, "hello 3");
	test_call(other, "subscribe zz");
	ck_assert(!test_send(other, "pubsub channels"));
	for (int i = 0; i < 500 && other->later; i++) {
		test_turns(1);
		test_call(publisher, "publish zz payload");
	}
	ck_assert(!other->later);
	said = strstr(test_read(other), "*100001\r\n");
	ck_assert_ptr_nonnull(said);
	for (int i = 0; i < 100001; i++)
		said = strchr(strchr(said + 1, '$'), '\n');
	ck_assert_ptr_null(strstr(said, "many:"));
}
END_TEST

START_TEST(a_list_given_up_in_the_middle_leaves_nothing_behind)
{
	subscribe_many(c, 25, 0);
	ck_assert(!test_send(other, "pubsub channels"));
	ck_assert_uint_eq(test_server->jobs->count, 1);
	test_close(other);
	ck_assert_uint_eq(test_server->jobs->count, 0);
}
END_TEST

START_TEST(a_large_message_of_a_publisher_that_goes_leaves_nothing_behind)
{
	size_t len = 5 << 20;
	char *text = xcalloc(1, len);
	struct slice args[] = {SLICE("publish"), SLICE("x"), {text, len}};
	size_t before;

	test_call(c, "subscribe x");
	before = hub_figures(test_server->hub).log_bytes;
	ck_assert(!test_send_args(other, args, 3));
	ck_assert_uint_ge(hub_figures(test_server->hub).log_bytes, before + len);
	test_close(other);
	ck_assert_uint_le(hub_figures(test_server->hub).log_bytes, before);
	ck_assert_str_eq(test_read(c), "");
	xfree(text);
}
END_TEST

START_TEST(a_closed_client_is_taken_back_in_slices_and_counts_for_nothing_at_once)
{
	int turns = 0;

	subscribe_many(c, 25, 0);
	test_call(c, "subscribe last");
	test_close(c);
	assert_says(other, "publish last x", ":0\r\n");
	while (test_server->clients->gone_count > 0) {
		uint64_t begun_us = clock_mono_us();

		server_turn(test_server, begun_us, 2000);
		server_flushed(test_server);
		ck_assert_int_lt(++turns, 10000);
	}
	ck_assert_int_gt(turns, 1);
	assert_says(other, "pubsub channels", "*0\r\n");
}
END_TEST

START_TEST(reset_leaves_everything_and_becomes_new)
{
	test_call(c, "hello 3 setname me");
	test_call(c, "outbox set policy drop-oldest bytes 100");
	test_call(c, "select 5");
	test_call(c, "client no-evict on");
	subscribe_many(c, 3, 0);
	ck_assert_str_eq(test_send(c, "reset") ? test_read(c) : test_finish(c), "+RESET\r\n");
	ck_assert_uint_eq(client_subscriptions(c->client), 0);
	assert_says(c, "client getname", "$-1\r\n");
	ck_assert_uint_eq(c->client->db, 0);
	ck_assert_uint_eq(c->client->proto, 2);
	ck_assert(!c->client->no_evict);
	ck_assert_int_eq(server_outbox(c->client)->limits.policy, OUTBOX_DISCONNECT);
}
END_TEST

START_TEST(too_many_clients_are_told_so)
{
	struct test_conn *third;

	test_config.maxclients = 2;
	third = test_open();
	ck_assert(third->finished);
	ck_assert_str_eq(test_read(third), "-ERR max number of clients reached\r\n");
	ck_assert_uint_eq(test_server->statistics->counters.rejected_connections, 1);
	test_close(third);
	test_close(other);
	ck_assert(!test_open()->finished);
}
END_TEST

START_TEST(protected_mode_keeps_strangers_out_unless_there_is_a_password)
{
	const struct server_peer stranger = {
	    .address = "10.0.0.1:5", .local_address = "10.0.0.2:6379"};
	struct test_conn *s;

	test_config.protected_mode = true;
	s = test_open_from(&stranger);
	ck_assert(s->finished);
	ck_assert_int_eq(
	    strncmp(test_read(s), "-DENIED Fanfare is running in protected mode", 44), 0);
	test_config.requirepass = "secret";
	server_reconfigured(test_server);
	ck_assert(!test_open_from(&stranger)->finished);
	test_config.requirepass = "";
	server_reconfigured(test_server);
	ck_assert(!test_open()->finished);
}
END_TEST

START_TEST(broken_input_is_answered_and_nothing_more_is_taken)
{
	server_broken(c->client, "Protocol error: invalid bulk length");
	ck_assert_str_eq(test_read(c), "-ERR Protocol error: invalid bulk length\r\n");
	assert_says(c, "ping", "");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/pubsub", setup, test_teardown,
	    (const TTest *[]){subscribing_is_confirmed_name_by_name_with_the_count,
		unsubscribing_is_confirmed_whether_subscribed_or_not,
		resp3_confirmations_are_pushes,
		a_message_reaches_channel_and_pattern_subscriptions_in_each_form,
		shard_channels_are_separate_from_channels,
		limits_refuse_the_rest_of_the_command_and_keep_what_was_confirmed,
		a_name_too_long_anywhere_refuses_the_whole_command,
		pubsub_answers_who_subscribed_to_what,
		a_command_of_many_names_goes_on_over_several_turns,
		leaving_everything_takes_turns_and_confirms_each,
		a_long_list_of_channels_is_a_job_and_its_client_waits,
		messages_never_stand_inside_a_long_list,
		a_list_given_up_in_the_middle_leaves_nothing_behind,
		a_large_message_of_a_publisher_that_goes_leaves_nothing_behind,
		a_closed_client_is_taken_back_in_slices_and_counts_for_nothing_at_once,
		reset_leaves_everything_and_becomes_new, too_many_clients_are_told_so,
		protected_mode_keeps_strangers_out_unless_there_is_a_password,
		broken_input_is_answered_and_nothing_more_is_taken, NULL});
}
