#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_resume.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/core.h"
#include "server/server_config.h"
#include "server/statistics.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

START_TEST(resume_answers_for_each_channel_and_subscribe_replays)
{
	resume_publish("k", 3);
	ck_assert_str_eq(resume_call("resume", "k", -2), resume_row("k", "resumed", -2, 2));
	assert_says(client, "subscribe k", "*3\r\n$9\r\nsubscribe\r\n$1\r\nk\r\n:1\r\n");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$1\r\n2\r\n"
					    "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$1\r\n3\r\n");
	resume_publish("k", 1);
	ck_assert_str_eq(test_read(client), "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$1\r\n1\r\n");
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_RESUMED], 1);
}
END_TEST

START_TEST(subscribe_without_resume_replays_nothing)
{
	resume_publish("k", 3);
	test_call(client, "subscribe k");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "");
}
END_TEST

START_TEST(a_channel_is_armed_for_one_subscription)
{
	resume_publish("k", 1);
	resume_call("resume", "k", -1);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 1);
	test_call(client, "subscribe k");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	test_turns(1);
	test_call(client, "unsubscribe k");
	test_call(client, "subscribe k");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "");
}
END_TEST

START_TEST(a_later_resume_replaces_an_earlier_one)
{
	resume_publish("k", 3);
	resume_call("resume", "k", -3);
	resume_call("resume", "k", -1);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 1);
	test_call(client, "subscribe k");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$1\r\n3\r\n");
	test_call(client, "unsubscribe k");
	resume_call("resume", "k", -1);
	ck_assert_str_eq(resume_call("resume", "k", -50), resume_row("k", "lost", -3, 3));
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(armed_channels_are_counted_until_they_are_disarmed)
{
	static const char *const ways[] = {
	    "unsubscribe k1", "unsubscribe", "reset", "subscribe k1", "quit"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct test_conn *one = test_open();

		test_call(one, "resume k1 0");
		ck_assert_uint_eq(test_server->clients->armed_count, 1);
		ck_assert_uint_gt(test_server->clients->armed_bytes, 0);
		ck_assert_uint_eq(
		    one->client->session->armed_bytes, test_server->clients->armed_bytes);
		test_send(one, ways[i]);
		if (strcmp(ways[i], "quit") == 0)
			test_close(one);
		test_turns(1);
		ck_assert_uint_eq(test_server->clients->armed_count, 0);
		ck_assert_uint_eq(test_server->clients->armed_bytes, 0);
	}
}
END_TEST

static void
arm_many(void)
{
	test_config.resume_max_channels = RESUME_MANY;
	ck_assert(!resume_send_many("resume", "0"));
	(void)test_finish(client);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), RESUME_MANY);
}

START_TEST(very_many_channels_are_checked_in_slices_before_one_is_armed)
{
	struct test_conn *other = test_open();

	test_config.resume_max_channels = RESUME_MANY - 1;
	ck_assert(!resume_send_many("resume", "0"));
	assert_says(other, "ping", "+PONG\r\n");
	ck_assert_str_eq(test_finish(client),
	    "-ERR max number of armed channels reached (resume-max-channels 199999)\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(very_many_armed_channels_are_removed_in_slices)
{
	arm_many();
	ck_assert(!test_send(client, "unsubscribe"));
	ck_assert_uint_gt(armed_count(client->client, HUB_CHANNEL), 0);
	(void)test_finish(client);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	arm_many();
	ck_assert(!test_send(client, "reset"));
	ck_assert_uint_gt(armed_count(client->client, HUB_CHANNEL), 0);
	ck_assert_str_eq(test_finish(client), "+RESET\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	arm_many();
	test_close(client);
	ck_assert_uint_gt(test_server->clients->armed_count, RESUME_MANY / 2);
	while (test_server->clients->gone_count > 0)
		test_turns(1);
	ck_assert_uint_eq(test_server->clients->armed_count, 0);
	ck_assert_uint_eq(test_server->clients->armed_bytes, 0);
}
END_TEST

START_TEST(an_unsubscribe_that_is_not_done_may_lose_its_client)
{
	arm_many();
	ck_assert(!test_send(client, "unsubscribe"));
	test_close(client);
	while (test_server->clients->gone_count > 0)
		test_turns(1);
	ck_assert_uint_eq(test_server->clients->armed_count, 0);
}
END_TEST

START_TEST(very_many_armed_channels_are_checked_in_slices_before_one_is_subscribed_to)
{
	resume_publish("k199999", 1);
	arm_many();
	test_config.hub.subscriptions = RESUME_MANY;
	ck_assert(!resume_send_many("subscribe", NULL));
	ck_assert_uint_eq(client->client->subscriber.count[HUB_CHANNEL], 0);
	resume_publish("k199999", 10);
	ck_assert_int_eq(strncmp(test_finish(client), "-LOST channel 'k199999'", 23), 0);
	ck_assert_uint_eq(client->client->subscriber.count[HUB_CHANNEL], 0);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), RESUME_MANY);
}
END_TEST

START_TEST(unsubscribing_from_patterns_disarms_no_channel)
{
	test_call(client, "resume k1 0");
	test_call(client, "punsubscribe");
	test_call(client, "sunsubscribe k1");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 1);
}
END_TEST

START_TEST(errors_arm_nothing)
{
	static const char *const wrong[] = {"x", "1", "1-", "-", "-0", "--1", "1-2-3", "+", "00"};
	char line[128], expected[128];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(line, sizeof(line), "resume k1 0 k2 %s", wrong[i]);
		snprintf(expected, sizeof(expected),
		    "-ERR Invalid position '%s': must be EPOCH-SEQ, 0, $ or -N\r\n", wrong[i]);
		assert_says(client, line, expected);
	}
	assert_says(
	    client, "resume k1 0 k2", "-ERR wrong number of arguments for 'resume' command\r\n");
	assert_says(client, "resume k1", "-ERR wrong number of arguments for 'resume' command\r\n");
	test_config.hub.name_bytes = 2;
	assert_says(
	    client, "resume k1 0 k22 0", "-ERR channel name too long (max-channel-length 2)\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(the_number_of_armed_channels_is_limited)
{
	static const char too_many[] =
	    "-ERR max number of armed channels reached (resume-max-channels 3)\r\n";

	test_config.resume_max_channels = 3;
	assert_says(client, "resume k1 0 k2 0 k3 0 k4 0", too_many);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	test_call(client, "resume k1 0 k2 0");
	assert_says(client, "resume k3 0 k4 0", too_many);
	test_call(client, "resume k1 $ k3 0");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 3);
	assert_says(client, "resume k4 0", too_many);
	/* Also if none of them would be armed. */
	assert_says(client, "resume n 0 n 0 n 0 n 0", too_many);
	test_call(client, "unsubscribe k1");
	test_call(client, "resume k4 0");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 3);
}
END_TEST

START_TEST(an_armed_channel_that_is_lost_refuses_the_whole_subscribe)
{
	char expected[128];

	resume_publish("k1", 10);
	resume_publish("k2", 1);
	resume_call("resume", "k1", -11);
	resume_call("resume", "k2", -1);
	snprintf(expected, sizeof(expected),
	    "-LOST channel 'k1' has no messages since %s any more\r\n", resume_position(-11));
	resume_publish("k1", 1);
	assert_says(client, "subscribe k2 k1 other", expected);
	assert_says(client, "pubsub numsub k1 k2 other",
	    "*6\r\n$2\r\nk1\r\n:0\r\n$2\r\nk2\r\n:0\r\n$5\r\nother\r\n:0\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 2);
	/* What else it is subscribed to is not refused. */
	assert_says(client, "subscribe other", "*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n");
}
END_TEST

START_TEST(resume_is_allowed_in_the_subscribe_mode_of_resp2)
{
	test_call(client, "subscribe k1");
	resume_publish("k2", 1);
	ck_assert_str_eq(resume_call("resume", "k1", 0), resume_row("k1", "subscribed", 0, 0));
	ck_assert_str_eq(resume_call("resume", "k2", -1), resume_row("k2", "resumed", -1, 1));
	assert_says(client, "subscribe k2", "*3\r\n$9\r\nsubscribe\r\n$2\r\nk2\r\n:2\r\n");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "*3\r\n$7\r\nmessage\r\n$2\r\nk2\r\n$1\r\n1\r\n");
}
END_TEST

START_TEST(a_channel_without_history_is_not_armed)
{
	resume_publish("other", 1);
	assert_says(client, "resume other 0",
	    "*1\r\n*4\r\n$5\r\nother\r\n$4\r\nnone\r\n$3\r\n0-0\r\n:0\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(a_transaction_may_resume)
{
	resume_publish("k", 2);
	test_call(client, "multi");
	test_call(client, "resume k -1");
	test_call(client, "subscribe k");
	ck_assert_ptr_nonnull(strstr(test_call(client, "exec"), "subscribe"));
	test_turns(1);
	ck_assert_str_eq(test_read(client), "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$1\r\n2\r\n");
}
END_TEST

START_TEST(channels_of_resume_need_the_right_to_subscribe)
{
	test_call(publisher, "acl setuser u on nopass +@all resetchannels &k1");
	test_call(client, "auth u x");
	assert_says(client, "resume k1 0 k2 0",
	    "-NOPERM this user has no permissions to access one of the channels used as "
	    "arguments\r\n");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	test_call(client, "resume k1 0");
	test_call(publisher, "acl setuser u resetchannels");
	assert_says(client, "subscribe k1",
	    "-NOPERM this user has no permissions to access one of the channels used as "
	    "arguments\r\n");
}
END_TEST

/* The reply to OUTBOX LIST, which may take several turns on a slow machine. */
static const char *
outbox_list(void)
{
	(void)test_send(publisher, "outbox list");
	return test_finish(publisher);
}

START_TEST(outbox_shows_how_far_a_replay_is)
{
	char expected[64];
	const char *list;

	resume_publish("k", 10);
	test_call(client, "outbox set messages 4");
	resume_call("resume", "k", -10);
	snprintf(expected, sizeof(expected), "$8\r\nposition\r\n$%zu\r\n%s\r\n",
	    strlen(resume_position(0)), resume_position(0));
	ck_assert_ptr_nonnull(strstr(test_call(client, "outbox get"), expected));
	test_send(client, "subscribe k");
	ck_assert_uint_eq(hub_replay_progress(&client->client->subscriber).behind, 10);
	test_turns(5); /* the rest waits until the client reads */
	list = outbox_list();
	ck_assert_ptr_nonnull(strstr(list, " cursor=1 behind=7\n"));
	ck_assert_ptr_nonnull(strstr(list, " cursor=0 behind=0\n"));
	for (int i = 0; i < 10; i++) {
		test_read(client);
		test_turns(1);
	}
	ck_assert_ptr_null(strstr(outbox_list(), "cursor=1"));
}
END_TEST

START_TEST(a_long_subscribe_confirms_everything_before_it_replays)
{
	enum { NAMES = 4000 };
	static char line[NAMES * 8 + 32];
	const char *reply, *message;
	size_t len = 0;

	test_config.hub.subscriptions = NAMES + 10;
	resume_publish("k", 1);
	resume_call("resume", "k", -1);
	len = (size_t)snprintf(line, sizeof(line), "subscribe k");
	for (int i = 1; i < NAMES; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, " c%d", i);
	(void)test_send(client, line);
	reply = test_finish(client);
	message = strstr(reply, "message");
	if (message != NULL)
		ck_assert_ptr_null(strstr(message, "subscribe"));
	test_turns(1);
	ck_assert(message != NULL || strstr(test_read(client), "message") != NULL);
}
END_TEST

START_TEST(a_long_subscribe_keeps_the_order_of_positions)
{
	enum { NAMES = 4000 };
	static char line[NAMES * 8 + 32];
	struct buffer reply = {0};
	const char *older, *newer;
	size_t len = (size_t)snprintf(line, sizeof(line), "subscribe k0");

	test_config.hub.subscriptions = NAMES + 10;
	for (int i = 1; i < NAMES; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, " c%d", i);
	snprintf(line + len, sizeof(line) - len, " k");
	resume_publish("k", 1);
	resume_call("resume", "k", -1);
	(void)test_send(client, line);
	while (client_subscriptions(client->client) == 0) /* the check may take turns of its own */
		test_turns(1);
	ck_assert_str_eq(test_call(publisher, "publish k0 newer"), ":1\r\n");
	buffer_append_slice(&reply, slice_of(test_finish(client)));
	test_turns(3);
	buffer_append_slice(&reply, slice_of(test_read(client)));
	buffer_append(&reply, "", 1);
	older = strstr(reply.ptr, "$1\r\nk\r\n$1\r\n1\r\n");
	newer = strstr(reply.ptr, "$2\r\nk0\r\n$5\r\nnewer\r\n");
	ck_assert_ptr_nonnull(older);
	ck_assert_ptr_nonnull(newer);
	ck_assert(older < newer);
	buffer_release(&reply);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/resume", resume_setup, test_teardown,
	    (const TTest *[]){resume_answers_for_each_channel_and_subscribe_replays,
		subscribe_without_resume_replays_nothing, a_channel_is_armed_for_one_subscription,
		a_later_resume_replaces_an_earlier_one,
		armed_channels_are_counted_until_they_are_disarmed,
		very_many_channels_are_checked_in_slices_before_one_is_armed,
		very_many_armed_channels_are_removed_in_slices,
		an_unsubscribe_that_is_not_done_may_lose_its_client,
		very_many_armed_channels_are_checked_in_slices_before_one_is_subscribed_to,
		unsubscribing_from_patterns_disarms_no_channel, errors_arm_nothing,
		the_number_of_armed_channels_is_limited,
		an_armed_channel_that_is_lost_refuses_the_whole_subscribe,
		resume_is_allowed_in_the_subscribe_mode_of_resp2,
		a_channel_without_history_is_not_armed, a_transaction_may_resume,
		channels_of_resume_need_the_right_to_subscribe, outbox_shows_how_far_a_replay_is,
		a_long_subscribe_confirms_everything_before_it_replays,
		a_long_subscribe_keeps_the_order_of_positions, NULL});
}
