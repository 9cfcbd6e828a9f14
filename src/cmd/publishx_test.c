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
#include "pubsub/idempotency.h"
#include "server/client.h"
#include "server/server.h"
#include "server/statistics.h"

/* PUBLISHX: its options and keys. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define MESSAGE_TO(channel, payload)                                                               \
	">3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"
#define MESSAGE(payload) MESSAGE_TO("a", payload)
#define BAD_KEY "-ERR idempotency key must be 1 to 256 bytes long\r\n"
#define RESULT(receivers, queued, dropped, duplicate)                                              \
	"%6\r\n$9\r\nreceivers\r\n:" receivers "\r\n$6\r\nqueued\r\n:" queued                      \
	"\r\n$7\r\ndropped\r\n:" dropped "\r\n$11\r\ncatching-up\r\n:0\r\n$8\r\nposition\r\n$3"    \
	"\r\n0-0\r\n$9\r\nduplicate\r\n:" duplicate "\r\n"
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

START_TEST(a_name_too_long_for_options_is_refused_with_them)
{
	test_channel_line("*", "no-echo yes");
	test_channel_line("*", "idempotency-window 5");
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

	test_channel_line("short*", "idempotency-window 5");
	test_channel_line("long*", "idempotency-window 1000");
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

	test_channel_line("a", "history-size 10");
	test_channel_line("a", "history-ttl 60");
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
	return testing_main("cmd/publishx", setup, test_teardown,
	    (const TTest *[]){publishx_without_options_publishes,
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
		a_name_too_long_for_options_is_refused_with_them,
		a_channel_may_have_a_window_of_its_own,
		the_position_of_a_kept_message_is_told_and_repeated, NULL});
}
