#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/idempotency.h"
#include "server/client.h"
#include "server/server.h"
#include "server/statistics.h"

/* The publishing commands beyond PUBLISH, whose tests are in pubsub_test.c. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define MESSAGE_TO(channel, payload)                                                               \
	">3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"
#define MESSAGE(payload) MESSAGE_TO("a", payload)
#define PMESSAGE(channel, payload)                                                                 \
	">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"
#define BAD_KEY "-ERR idempotency key must be 1 to 256 bytes long\r\n"
#define NOPERM                                                                                     \
	"-NOPERM this user has no permissions to access one of the channels used as "              \
	"arguments\r\n"

static struct test_conn *c, *other;

static void
setup(void)
{
	test_setup();
	c = test_open();
	other = test_open();
	test_call(c, "hello 3");
	test_call(other, "hello 3");
}

START_TEST(a_client_without_echo_does_not_get_what_it_publishes)
{
	test_call(c, "subscribe a");
	test_call(c, "psubscribe *");
	test_call(other, "subscribe a");
	assert_says(c, "outbox set echo no", "+OK\r\n");
	assert_says(c, "publish a 1", ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1"));
	assert_says(other, "publish a 2", ":3\r\n" MESSAGE("2"));
	ck_assert_ptr_nonnull(strstr(test_read(c), MESSAGE("2")));
	assert_says(c, "outbox set echo yes", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(c, "publish a 3"), ":3\r\n" MESSAGE("3")));
}
END_TEST

START_TEST(a_client_with_dedup_gets_one_copy)
{
	test_call(other, "subscribe a");
	test_call(other, "psubscribe * a*");
	assert_says(other, "outbox set dedup perhaps", "-ERR DEDUP must be 'yes' or 'no'\r\n");
	assert_says(other, "outbox set dedup yes", "+OK\r\n");
	ck_assert_ptr_nonnull(
	    strstr(test_call(other, "outbox get"), "$5\r\ndedup\r\n$3\r\nyes\r\n"));
	assert_says(c, "mpublish a 1 b 2", "*2\r\n:1\r\n:1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1") PMESSAGE("b", "2"));
	test_call(other, "reset");
	ck_assert_ptr_nonnull(
	    strstr(test_call(other, "outbox get"), "$5\r\ndedup\r\n$2\r\nno\r\n"));
	test_call(other, "subscribe a");
	test_call(other, "psubscribe *");
	assert_says(c, "publish a 1", ":2\r\n");
}
END_TEST

START_TEST(echo_is_yes_or_no_until_reset)
{
	assert_says(
	    c, "outbox set echo", "-ERR wrong number of arguments for 'outbox|set' command\r\n");
	assert_says(c, "outbox set echo maybe", "-ERR ECHO must be 'yes' or 'no'\r\n");
	assert_says(c, "outbox set echo no", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(c, "outbox get"), "$4\r\necho\r\n$2\r\nno\r\n"));
	test_call(c, "reset");
	ck_assert_ptr_nonnull(strstr(test_call(c, "outbox get"), "$4\r\necho\r\n$3\r\nyes\r\n"));
}
END_TEST

START_TEST(a_transaction_without_echo_does_not_wait_for_its_own_client)
{
	test_call(c, "outbox set policy block messages 1 echo no");
	test_call(c, "subscribe a");
	test_call(c, "multi");
	test_call(c, "publish a 2");
	test_call(other, "publish a 1");
	ck_assert(test_send(c, "exec"));
	ck_assert_str_eq(test_read(c), MESSAGE("1") "*1\r\n:0\r\n");
}
END_TEST

START_TEST(mpublish_publishes_each_message_to_its_channel)
{
	test_call(other, "subscribe a");
	test_call(other, "psubscribe *");
	assert_says(c, "mpublish a 1 b 2 a 3", "*3\r\n:2\r\n:1\r\n:2\r\n");
	ck_assert_str_eq(test_read(other),
	    MESSAGE("1") PMESSAGE("a", "1") PMESSAGE("b", "2") MESSAGE("3") PMESSAGE("a", "3"));
}
END_TEST

START_TEST(publishmany_publishes_one_message_to_each_channel)
{
	test_call(other, "subscribe a");
	test_call(other, "psubscribe *");
	assert_says(c, "publishmany m a b", "*2\r\n:2\r\n:1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("m") PMESSAGE("a", "m") PMESSAGE("b", "m"));
}
END_TEST

START_TEST(several_messages_need_their_arguments)
{
	assert_says(c, "mpublish a", "-ERR wrong number of arguments for 'mpublish' command\r\n");
	assert_says(
	    c, "mpublish a 1 b", "-ERR wrong number of arguments for 'mpublish' command\r\n");
	assert_says(
	    c, "publishmany m", "-ERR wrong number of arguments for 'publishmany' command\r\n");
}
END_TEST

START_TEST(none_is_published_if_one_of_several_is_refused)
{
	test_config.hub.name_bytes = 5;
	test_call(other, "subscribe a");
	assert_says(
	    c, "mpublish a 1 toolong 2", "-ERR channel name too long (max-channel-length 5)\r\n");
	assert_says(
	    c, "publishmany 1 a toolong", "-ERR channel name too long (max-channel-length 5)\r\n");
	test_call(c, "acl setuser u on nopass +@all &a &b*");
	assert_says(c, "auth u x", "+OK\r\n");
	assert_says(c, "mpublish a 1 b1 2 c 3", NOPERM);
	assert_says(c, "publishmany 1 a c", NOPERM);
	assert_says(c, "mpublish a c", "*1\r\n:1\r\n");
	assert_says(c, "publishmany c b1 a", "*2\r\n:0\r\n:1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("c") MESSAGE("c"));
}
END_TEST

START_TEST(several_messages_count_for_the_rate_of_the_user)
{
	test_call(c, "acl setuser u on nopass +@all &* limit:publish-messages=3");
	test_call(c, "auth u x");
	assert_says(c, "mpublish a 1 b 2 c 3 d 4", "*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n");
	assert_says(c, "publish a 5", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "mpublish a 5", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "publishmany a 5", "-ERR max publish rate of this user reached\r\n");
}
END_TEST

/* other is full with its first message, so that the message of c to channel a has to wait. */
static void
fill_other(void)
{
	test_call(other, "outbox set policy block messages 1");
	test_call(other, "subscribe a");
	test_call(other, "subscribe b");
	(void)test_read(other);
	assert_says(c, "publish a 0", ":1\r\n");
}

START_TEST(a_message_that_waits_is_published_once_and_so_are_those_around_it)
{
	struct test_conn *third = test_open();

	test_call(third, "hello 3");
	test_call(third, "subscribe x");
	fill_other();
	ck_assert(!test_send(c, "mpublish x 1 a 2 x 3 a 4 x 5"));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_ROOM);
	ck_assert_str_eq(test_read(third), MESSAGE_TO("x", "1"));
	for (int i = 0; i < 3; i++) { /* for changes that retry it without room */
		server_reconfigured(test_server);
		test_turns(3);
		ck_assert_int_eq(client_waits_for(c->client), WAIT_ROOM);
	}
	ck_assert_str_eq(test_read(third), "");
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	test_turns(3);
	ck_assert_str_eq(test_read(third), MESSAGE_TO("x", "3"));
	ck_assert_str_eq(test_read(other), MESSAGE("2"));
	ck_assert_str_eq(test_read(c), "");
	ck_assert_str_eq(test_finish(c), "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
	ck_assert_str_eq(test_read(third), MESSAGE_TO("x", "5"));
	ck_assert_str_eq(test_read(other), MESSAGE("4"));
}
END_TEST

START_TEST(messages_behind_one_that_waits_are_dropped_if_the_publisher_leaves)
{
	fill_other();
	ck_assert(!test_send(c, "mpublish a 2 b 3"));
	test_close(c);
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	test_turns(3);
	ck_assert_str_eq(test_read(other), "");
}
END_TEST

START_TEST(rights_taken_away_meanwhile_hold_for_messages_that_are_left)
{
	struct test_conn *admin = test_open();

	test_call(admin, "acl setuser u on nopass +@all &a &b");
	test_call(c, "auth u x");
	fill_other();
	ck_assert(!test_send(c, "mpublish a 2 b 3 a 4"));
	assert_says(admin, "acl setuser u resetchannels &b", "+OK\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	ck_assert_str_eq(test_finish(c), "*3\r\n" NOPERM ":1\r\n" NOPERM);
	ck_assert_str_eq(test_read(other), MESSAGE_TO("b", "3"));
}
END_TEST

START_TEST(rights_for_the_command_taken_away_meanwhile_hold_too)
{
	struct test_conn *admin = test_open();

	test_call(admin, "acl setuser u on nopass +@all &*");
	test_call(c, "auth u x");
	fill_other();
	ck_assert(!test_send(c, "publishmany 2 a b"));
	assert_says(admin, "acl setuser u -publishmany", "+OK\r\n");
	ck_assert_str_eq(test_finish(c),
	    "*2\r\n-NOPERM this user has no permissions to run the 'publishmany' command\r\n"
	    "-NOPERM this user has no permissions to run the 'publishmany' command\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
}
END_TEST

START_TEST(a_message_larger_than_the_memory_for_messages_gets_an_error_in_its_place)
{
	static char large[1100000];
	struct slice args[] = {SLICE("mpublish"), SLICE("a"), SLICE("1"), SLICE("a"),
	    {large, sizeof(large)}, SLICE("a"), SLICE("3")};

	test_call(other, "subscribe a");
	test_config.hub.memory_bytes = 1 << 20;
	ck_assert(test_send_args(c, args, 7));
	ck_assert_str_eq(test_read(c), "*3\r\n:1\r\n-OOM command not allowed when used memory > "
				       "'maxmemory-pubsub'.\r\n:1\r\n");
}
END_TEST

START_TEST(a_transaction_waits_for_all_messages_of_its_commands)
{
	fill_other();
	test_call(c, "multi");
	assert_says(c, "mpublish x 1 a 2", "+QUEUED\r\n");
	assert_says(c, "publishmany 3 x b", "+QUEUED\r\n");
	assert_says(c, "mpublish x 1 a", "+QUEUED\r\n");
	ck_assert(!test_send(c, "exec"));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_ROOM);
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	ck_assert_str_eq(test_finish(c),
	    "*3\r\n*2\r\n:0\r\n:1\r\n*2\r\n:0\r\n:1\r\n"
	    "-ERR wrong number of arguments for 'mpublish' command\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("2") MESSAGE_TO("b", "3"));
}
END_TEST

START_TEST(a_publisher_that_its_own_messages_close_publishes_no_more)
{
	struct test_conn *third = test_open();

	test_call(third, "hello 3");
	test_call(third, "subscribe b");
	test_call(c, "outbox set policy disconnect messages 1");
	test_call(c, "subscribe a");
	(void)test_send(c, "mpublish a 1 a 2 b 3");
	ck_assert_ptr_nonnull(c->killed);
	ck_assert_str_eq(test_read(third), "");
}
END_TEST

START_TEST(a_request_of_many_messages_takes_several_turns)
{
	static struct slice args[TEST_ARGS_MAX];
	static char names[TEST_ARGS_MAX][16];
	struct test_conn *many[200];
	size_t count = 4000;

	test_config.maxclients = 1000;
	for (size_t i = 0; i < 200; i++) {
		many[i] = test_open();
		test_call(many[i], "outbox set messages 0 policy drop-newest");
		test_call(many[i], "psubscribe *");
	}
	args[0] = SLICE("publishmany");
	args[1] = SLICE("m");
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "channel:%zu", i);
		args[i + 2] = slice_of(names[i]);
	}
	ck_assert(!test_send_args(c, args, count + 2));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_TURN);
	ck_assert_int_eq(strncmp(test_finish(c), "*4000\r\n:200\r\n:200\r\n", 19), 0);
	for (size_t i = 0; i < 200; i++)
		ck_assert_uint_eq(many[i]->client->subscriber.outbox.messages +
				      many[i]->client->subscriber.outbox.dropped,
		    count);
}
END_TEST

#define RESULT(receivers, queued, dropped, duplicate)                                              \
	"%6\r\n$9\r\nreceivers\r\n:" receivers "\r\n$6\r\nqueued\r\n:" queued                      \
	"\r\n$7\r\ndropped\r\n:" dropped "\r\n$11\r\ncatching-up\r\n:0\r\n$8\r\nposition\r\n$3"    \
	"\r\n0-0\r\n$9\r\nduplicate\r\n:" duplicate "\r\n"

START_TEST(publishx_without_options_publishes)
{
	test_call(other, "subscribe a");
	assert_says(c, "publishx a 1", ":1\r\n");
	assert_says(c, "publishx b 1", ":0\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1"));
}
END_TEST

START_TEST(publishx_tells_what_became_of_a_message)
{
	struct test_conn *old = test_open();

	test_call(other, "subscribe a");
	test_call(other, "outbox set policy drop-newest messages 1");
	test_call(old, "subscribe a");
	assert_says(c, "publishx a 1 result", RESULT("2", "2", "0", "0"));
	assert_says(c, "publishx a 2 RESULT", RESULT("2", "1", "1", "0"));
	assert_says(test_open(), "publishx b 1 result",
	    "*12\r\n$9\r\nreceivers\r\n:0\r\n$6\r\nqueued\r\n:0\r\n$7\r\ndropped\r\n:0\r\n"
	    "$11\r\ncatching-up\r\n:0\r\n$8\r\nposition\r\n$3\r\n0-0\r\n$9\r\nduplicate\r\n:0\r\n");
}
END_TEST

START_TEST(publishx_with_noecho_leaves_out_its_own_client)
{
	test_call(c, "subscribe a");
	test_call(other, "subscribe a");
	assert_says(c, "publishx a 1 noecho", ":1\r\n");
	assert_says(c, "publishx a 2 noecho result", RESULT("1", "1", "0", "0"));
	assert_says(c, "publishx a 3", ":2\r\n" MESSAGE("3"));
	ck_assert_str_eq(test_read(other), MESSAGE("1") MESSAGE("2") MESSAGE("3"));
}
END_TEST

START_TEST(options_of_publishx_are_checked)
{
	static const char *const wrong[] = {"publishx a 1 x", "publishx a 1 idkey",
	    "publishx a 1 window 5", "publishx a 1 idkey k window", "publishx a 1 noecho noecho",
	    "publishx a 1 result result", "publishx a 1 idkey k idkey l",
	    "publishx a 1 idkey k window 5 window 6"};
	static const char *const windows[] = {
	    "0", "86401", "-1", "x", "1.5", "99999999999999999999"};
	char line[512];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_says(c, wrong[i], "-ERR syntax error\r\n");
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		snprintf(line, sizeof(line), "publishx a 1 idkey k window %s", windows[i]);
		assert_says(c, line, "-ERR WINDOW must be between 1 and 86400 seconds\r\n");
	}
	assert_says(c, "publishx a", "-ERR wrong number of arguments for 'publishx' command\r\n");
	assert_says(c, "publishx a 1 idkey \"\"", BAD_KEY);
	snprintf(line, sizeof(line), "publishx a 1 idkey %0257d", 0);
	assert_says(c, line, BAD_KEY);
	snprintf(line, sizeof(line), "publishx a 1 window 86400 idkey %0256d", 0);
	assert_says(c, line, ":0\r\n");
}
END_TEST

START_TEST(a_repeated_key_gets_the_first_answer)
{
	test_call(other, "subscribe a");
	assert_says(c, "publishx a 1 idkey k", ":1\r\n");
	test_call(other, "unsubscribe a");
	test_call(other, "subscribe b");
	assert_says(c, "publishx a 2 idkey k", ":1\r\n");
	assert_says(c, "publishx a 2 idkey k result", RESULT("1", "1", "0", "1"));
	assert_says(other, "publishx a 2 idkey k window 1", ":1\r\n");
	assert_says(c, "publishx a 2 idkey K result", RESULT("0", "0", "0", "0"));
	assert_says(c, "publishx b 2 idkey k", ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE_TO("b", "2"));
	ck_assert_uint_eq(test_server->statistics->counters.duplicate_messages, 3);
}
END_TEST

START_TEST(a_repeated_key_needs_the_rights_for_its_channel_and_no_rate)
{
	test_call(c, "acl setuser u on nopass +@all &a limit:publish-messages=1");
	test_call(c, "auth u x");
	assert_says(c, "publishx a 1 idkey k", ":0\r\n");
	assert_says(c, "publishx a 2 idkey l", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "publishx a 1 idkey k", ":0\r\n");
	assert_says(other, "acl setuser u resetchannels &b", "+OK\r\n");
	assert_says(c, "publishx a 1 idkey k", NOPERM);
}
END_TEST

START_TEST(a_refused_message_does_not_use_its_key)
{
	test_config.hub.name_bytes = 5;
	assert_says(c, "publishx toolong 1 idkey k",
	    "-ERR channel name too long (max-channel-length 5)\r\n");
	test_config.hub.name_bytes = 50;
	assert_says(c, "publishx toolong 1 idkey k result", RESULT("0", "0", "0", "0"));
}
END_TEST

START_TEST(without_room_for_a_key_its_message_is_refused_and_known_keys_stay)
{
	test_call(other, "subscribe a");
	test_config.idempotency_keys = 2;
	assert_says(c, "publishx a 1 idkey k1", ":1\r\n");
	assert_says(c, "publishx a 2 idkey k2", ":1\r\n");
	assert_says(c, "publishx a 3 idkey k3",
	    "-ERR max number of idempotency keys reached (idempotency-max-keys 2)\r\n");
	assert_says(c, "publishx a 1 idkey k1 result", RESULT("1", "1", "0", "1"));
	assert_says(c, "publishx a 4", ":1\r\n");
	test_config.idempotency_keys = 3;
	assert_says(c, "publishx a 3 idkey k3", ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1") MESSAGE("2") MESSAGE("4") MESSAGE("3"));
}
END_TEST

START_TEST(two_that_wait_with_one_key_publish_one_message)
{
	struct test_conn *second = test_open();

	fill_other();
	ck_assert(!test_send(c, "publishx a 1 idkey k"));
	ck_assert(!test_send(second, "publishx a 2 idkey k"));
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	ck_assert_str_eq(test_finish(c), ":1\r\n");
	ck_assert_str_eq(test_finish(second), ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1"));
	assert_says(second, "publish a 3", ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("3"));
}
END_TEST

START_TEST(a_publisher_that_leaves_while_it_waits_does_not_use_its_key)
{
	struct test_conn *second = test_open();

	fill_other();
	ck_assert(!test_send(c, "publishx a 1 idkey k"));
	ck_assert(!test_send(second, "publishx a 2 idkey k"));
	test_close(c);
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	ck_assert_str_eq(test_finish(second), ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("2"));
}
END_TEST

START_TEST(a_large_message_with_the_key_of_another_is_dropped_while_it_is_prepared)
{
	struct test_conn *second = test_open();
	char *large = xcalloc(1, (size_t)8 << 20);
	struct slice args[] = {
	    SLICE("publishx"), SLICE("a"), {large, (size_t)8 << 20}, SLICE("idkey"), SLICE("k")};

	test_config.outbox.bytes = 0;
	server_reconfigured(test_server);
	test_turns(2);
	test_call(other, "subscribe a");
	ck_assert(!test_send_args(c, args, 5));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_TURN);
	assert_says(second, "publishx a 1 idkey k", ":1\r\n");
	ck_assert_str_eq(test_finish(c), ":1\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1"));
	ck_assert(!hub_memory_can_shrink(test_server->hub)); /* its drafts are freed */
	xfree(large);
}
END_TEST

START_TEST(keys_work_in_a_transaction)
{
	test_call(other, "subscribe a");
	test_config.idempotency_keys = 1;
	test_call(c, "multi");
	test_call(c, "publishx a 1 idkey k");
	test_call(c, "publishx a 2 idkey k");
	test_call(c, "publishx a 3 idkey l");
	assert_says(c, "exec",
	    "*3\r\n:1\r\n:1\r\n-ERR max number of idempotency keys reached (idempotency-max-keys "
	    "1)\r\n");
	ck_assert_str_eq(test_read(other), MESSAGE("1"));
}
END_TEST

START_TEST(the_window_begins_with_the_first_message_and_its_key_is_freed_after_it)
{
	uint64_t now_us = clock_mono_us();

	assert_says(c, "publishx a 1 idkey k window 10", ":0\r\n");
	assert_says(c, "publishx a 1 idkey l", ":0\r\n");
	test_turn(now_us + 9000000);
	assert_says(c, "publishx a 1 idkey k window 10 result", RESULT("0", "0", "0", "1"));
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 2);
	test_turn(now_us + 11000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 1);
	assert_says(c, "publishx a 1 idkey k window 10 result", RESULT("0", "0", "0", "0"));
	test_turn(now_us + 301000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 0);
}
END_TEST

static void
set_line(const char *glob, const char *name, const char *value)
{
	struct slice words[] = {slice_of(name), slice_of(value)};
	struct channel_error error;

	ck_assert(hub_set_channel_line(test_server->hub, slice_of(glob), words, 2, &error));
}

START_TEST(a_channel_may_have_no_echo)
{
	set_line("a*", "no-echo", "yes");
	test_call(c, "subscribe a");
	test_call(c, "psubscribe *");
	test_call(c, "ssubscribe a");
	assert_says(c, "publish a 1", ":0\r\n");
	assert_says(c, "mpublish a 1 x 2", "*2\r\n:0\r\n:1\r\n" PMESSAGE("x", "2"));
	assert_says(c, "publishx a 1", ":0\r\n");
	ck_assert_int_eq(strncmp(test_call(c, "spublish a 1"), ":1\r\n", 4), 0);
	assert_says(other, "publish a 3", ":2\r\n");
	ck_assert_str_eq(test_read(c), MESSAGE("3") PMESSAGE("a", "3"));
	set_line("a", "no-echo", "no");
	ck_assert_int_eq(strncmp(test_call(c, "publish a 1"), ":2\r\n", 4), 0);
}
END_TEST

START_TEST(a_name_too_long_for_options_is_refused_with_them)
{
	set_line("*", "no-echo", "yes");
	set_line("*", "idempotency-window", "5");
	test_config.hub.name_bytes = 5;
	assert_says(
	    c, "publish toolong 1", "-ERR channel name too long (max-channel-length 5)\r\n");
	assert_says(c, "publishx toolong 1 idkey k",
	    "-ERR channel name too long (max-channel-length 5)\r\n");
}
END_TEST

START_TEST(a_channel_may_have_a_window_of_its_own)
{
	uint64_t now_us = clock_mono_us();

	set_line("short*", "idempotency-window", "5");
	set_line("long*", "idempotency-window", "1000");
	test_call(c, "mpublish a 1");
	assert_says(c, "publishx short 1 idkey k", ":0\r\n");
	assert_says(c, "publishx short 1 idkey l window 20", ":0\r\n");
	assert_says(c, "publishx long 1 idkey k", ":0\r\n");
	assert_says(c, "publishx a 1 idkey k", ":0\r\n");
	test_turn(now_us + 4000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 4);
	test_turn(now_us + 7000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 3);
	test_turn(now_us + 22000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 2);
	test_turn(now_us + 302000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 1);
	test_turn(now_us + 1002000000);
	ck_assert_uint_eq(idempotency_count(test_server->idempotency), 0);
}
END_TEST

START_TEST(the_position_of_a_kept_message_is_told_and_repeated)
{
	char *first, position[POSITION_TEXT_MAX];
	size_t len;

	set_line("a", "history-size", "10");
	set_line("a", "history-ttl", "60");
	first = xstrdup(test_call(c, "publishx a 1 idkey k result"));
	len = position_print(position, history_position(hub_history(test_server->hub)));
	ck_assert_ptr_nonnull(memmem(first, strlen(first), position, len));
	ck_assert_ptr_null(strstr(first, "\r\n0-0\r\n"));
	test_call(c, "publish a 2");
	ck_assert_ptr_nonnull(
	    memmem(test_call(c, "publishx a 1 idkey k result"), strlen(first), position, len));
	assert_says(c, "publishx b 1 result", RESULT("0", "0", "0", "0"));
	xfree(first);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/publish", setup, test_teardown,
	    (const TTest *[]){mpublish_publishes_each_message_to_its_channel,
		publishmany_publishes_one_message_to_each_channel,
		several_messages_need_their_arguments,
		none_is_published_if_one_of_several_is_refused,
		several_messages_count_for_the_rate_of_the_user,
		a_message_that_waits_is_published_once_and_so_are_those_around_it,
		messages_behind_one_that_waits_are_dropped_if_the_publisher_leaves,
		rights_taken_away_meanwhile_hold_for_messages_that_are_left,
		rights_for_the_command_taken_away_meanwhile_hold_too,
		a_message_larger_than_the_memory_for_messages_gets_an_error_in_its_place,
		a_transaction_waits_for_all_messages_of_its_commands,
		a_publisher_that_its_own_messages_close_publishes_no_more,
		a_request_of_many_messages_takes_several_turns, publishx_without_options_publishes,
		publishx_tells_what_became_of_a_message,
		publishx_with_noecho_leaves_out_its_own_client, options_of_publishx_are_checked,
		a_repeated_key_gets_the_first_answer,
		a_repeated_key_needs_the_rights_for_its_channel_and_no_rate,
		a_refused_message_does_not_use_its_key,
		without_room_for_a_key_its_message_is_refused_and_known_keys_stay,
		two_that_wait_with_one_key_publish_one_message,
		a_publisher_that_leaves_while_it_waits_does_not_use_its_key,
		a_large_message_with_the_key_of_another_is_dropped_while_it_is_prepared,
		keys_work_in_a_transaction,
		the_window_begins_with_the_first_message_and_its_key_is_freed_after_it,
		a_client_without_echo_does_not_get_what_it_publishes,
		a_client_with_dedup_gets_one_copy, echo_is_yes_or_no_until_reset,
		a_channel_may_have_no_echo, a_name_too_long_for_options_is_refused_with_them,
		a_channel_may_have_a_window_of_its_own,
		the_position_of_a_kept_message_is_told_and_repeated,
		a_transaction_without_echo_does_not_wait_for_its_own_client, NULL});
}
