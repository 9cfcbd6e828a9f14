#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "pubsub/outbox.h"
#include "server/core.h"
#include "server/server.h"
#include "server/server_config.h"

/* Options of channels as clients notice them: outbox-policy and max-subscribers. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *slow, *publisher;

static void
setup(void)
{
	test_setup();
	test_config.outbox.messages = 2;
	slow = test_open();
	publisher = test_open();
}

/* Sends 1, 2 and 3 to channel a. */
static void
publish_three(void)
{
	assert_says(publisher, "publish a 1", ":1\r\n");
	assert_says(publisher, "publish a 2", ":1\r\n");
	assert_says(publisher, "publish a 3", ":1\r\n");
}

static bool
has_in_outbox_get(struct test_conn *conn, const char *pair)
{
	return strstr(test_call(conn, "outbox get"), pair) != NULL;
}

START_TEST(the_policy_of_a_channel_applies_to_clients_without_a_choice)
{
	test_channel_line("a", "outbox-policy drop-oldest");
	test_call(slow, "subscribe a");
	publish_three();
	ck_assert_str_eq(test_read(slow),
	    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n3"
	    "\r\n");
	ck_assert_ptr_null(slow->killed);
}
END_TEST

START_TEST(a_choice_of_the_client_wins_until_it_is_withdrawn)
{
	test_channel_line("a", "outbox-policy drop-oldest");
	ck_assert(has_in_outbox_get(slow, "$16\r\nchannel-policies\r\n$3\r\nyes\r\n"));
	assert_says(slow, "outbox set policy drop-newest", "+OK\r\n");
	ck_assert(has_in_outbox_get(slow, "$16\r\nchannel-policies\r\n$2\r\nno\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(test_call(publisher, "outbox list"), "watch=0 channel-policies=no "));
	test_call(slow, "subscribe a");
	publish_three();
	ck_assert_ptr_nonnull(strstr(test_read(slow), "$1\r\n1\r\n"));
	test_call(slow, "unsubscribe");
	assert_says(slow, "outbox set policy default", "+OK\r\n");
	ck_assert(has_in_outbox_get(slow, "$10\r\ndisconnect\r\n"));
	ck_assert(has_in_outbox_get(slow, "$16\r\nchannel-policies\r\n$3\r\nyes\r\n"));
	test_call(slow, "subscribe a");
	publish_three();
	ck_assert_ptr_null(strstr(test_read(slow), "$1\r\n1\r\n"));
}
END_TEST

START_TEST(a_policy_that_the_user_may_not_choose_does_not_apply)
{
	test_channel_line("a", "outbox-policy block");
	test_call(publisher, "acl setuser u on nopass +@all ~* &* limit:policies=disconnect");
	assert_says(slow, "auth u x", "+OK\r\n");
	ck_assert_uint_eq(
	    server_outbox(slow->client)->limits.channel_policies, 1U << OUTBOX_DISCONNECT);
	test_call(slow, "subscribe a");
	publish_three();
	ck_assert_ptr_nonnull(slow->killed);
}
END_TEST

START_TEST(a_publisher_waits_for_room_under_the_policy_of_the_channel)
{
	test_channel_line("a", "outbox-policy block");
	test_call(slow, "subscribe a");
	assert_says(publisher, "publish a 1", ":1\r\n");
	assert_says(publisher, "publish a 2", ":1\r\n");
	ck_assert(!test_send(publisher, "publish a 3"));
	test_turns(2);
	ck_assert_str_eq(test_read(publisher), "");
	test_read(slow);
	ck_assert_str_eq(test_finish(publisher), ":1\r\n");
	ck_assert_ptr_nonnull(strstr(test_read(slow), "$1\r\n3\r\n"));
}
END_TEST

START_TEST(a_transaction_waits_for_room_under_the_policy_of_the_channel)
{
	test_channel_line("a", "outbox-policy block");
	test_call(slow, "subscribe a");
	assert_says(publisher, "publish a 1", ":1\r\n");
	assert_says(publisher, "publish a 2", ":1\r\n");
	test_call(publisher, "multi");
	test_call(publisher, "publish a 3");
	ck_assert(!test_send(publisher, "exec"));
	test_read(slow);
	ck_assert_str_eq(test_finish(publisher), "*1\r\n:1\r\n");
}
END_TEST

START_TEST(another_policy_ends_the_waiting)
{
	test_channel_line("a", "outbox-policy block");
	test_call(slow, "subscribe a");
	assert_says(publisher, "publish a 1", ":1\r\n");
	assert_says(publisher, "publish a 2", ":1\r\n");
	ck_assert(!test_send(publisher, "publish a 3"));
	test_channel_line("a", "outbox-policy drop-newest");
	ck_assert_str_eq(test_finish(publisher), ":1\r\n");
	ck_assert_ptr_null(strstr(test_read(slow), "$1\r\n3\r\n"));
}
END_TEST

START_TEST(existing_channels_follow_within_turns)
{
	char line[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "subscribe c%d", i);
		test_call(slow, line);
	}
	test_channel_line("c*", "max-subscribers 1");
	for (int n = 0; n < 1000 && !hub_is_reclassified(test_server->hub); n++)
		test_turns(1);
	ck_assert(hub_is_reclassified(test_server->hub));
	assert_says(publisher, "subscribe c999",
	    "-ERR max number of subscribers of this channel reached (max-subscribers 1)\r\n");
	assert_says(publisher, "subscribe d", "*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n");
}
END_TEST

START_TEST(the_lower_limit_of_subscribers_is_named)
{
	test_config.hub.subscribers = 1;
	test_channel_line("a", "max-subscribers 2");
	test_call(slow, "subscribe a");
	assert_says(publisher, "subscribe a",
	    "-ERR max number of subscribers of this channel reached (max-subscribers-per-channel "
	    "1)\r\n");
	test_call(slow, "psubscribe a");
	assert_says(publisher, "psubscribe a",
	    "-ERR max number of subscribers of this pattern reached (max-subscribers-per-channel "
	    "1)\r\n");
}
END_TEST

START_TEST(messages_under_a_policy_of_their_channel_do_not_count_in_class_pubsub)
{
	struct test_conn *other = test_open();
	uint64_t now_us = clock_mono_us();

	test_channel_line("a", "outbox-policy drop-oldest");
	test_config.buffer_limit[SERVER_CLASS_PUBSUB].soft_bytes = 10;
	test_config.buffer_limit[SERVER_CLASS_PUBSUB].soft_s = 10;
	test_call(slow, "subscribe a");
	test_call(other, "subscribe b");
	assert_says(publisher, "publish a 0123456789", ":1\r\n");
	assert_says(publisher, "publish b 0123456789", ":1\r\n");
	test_turn(now_us + 1000000);
	test_turn(now_us + 12000000);
	ck_assert_ptr_null(slow->killed);
	ck_assert_ptr_nonnull(other->killed);
}
END_TEST

START_TEST(info_counts_lines_classes_and_their_memory)
{
	const char *info;
	size_t before, bytes;

	info = strstr(test_call(publisher, "info pubsub"), "channel_lines:0\r\n");
	ck_assert_ptr_nonnull(info);
	ck_assert_int_eq(
	    sscanf(strstr(info, "channel_options_bytes:"), "channel_options_bytes:%zu", &before),
	    1);
	test_channel_line("a", "max-subscribers 2");
	test_channel_line("b", "max-subscribers 2");
	test_call(slow, "subscribe a b c");
	info = test_call(publisher, "info pubsub");
	ck_assert_ptr_nonnull(strstr(info, "channel_lines:2\r\nchannel_classes:1\r\n"));
	ck_assert_int_eq(
	    sscanf(strstr(info, "channel_options_bytes:"), "channel_options_bytes:%zu", &bytes), 1);
	ck_assert_uint_gt(bytes, before + 2 * sizeof(struct channel_line));
	ck_assert_ptr_nonnull(
	    strstr(test_call(publisher, "memory stats"), "$21\r\nchannel-options.bytes\r\n"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/outbox_channels", setup, test_teardown,
	    (const TTest *[]){the_policy_of_a_channel_applies_to_clients_without_a_choice,
		a_choice_of_the_client_wins_until_it_is_withdrawn,
		a_policy_that_the_user_may_not_choose_does_not_apply,
		a_publisher_waits_for_room_under_the_policy_of_the_channel,
		a_transaction_waits_for_room_under_the_policy_of_the_channel,
		another_policy_ends_the_waiting, existing_channels_follow_within_turns,
		the_lower_limit_of_subscribers_is_named,
		messages_under_a_policy_of_their_channel_do_not_count_in_class_pubsub,
		info_counts_lines_classes_and_their_memory, NULL});
}
