#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_resume.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/core.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait_state.h"

/* PRESUME and PSUBSCRIBE. RESUME and SUBSCRIBE are in resume_test.c. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

/* The message of a pattern, as RESP2. */
#define PMESSAGE(pattern_len, pattern, channel_len, channel, payload)                              \
	"*4\r\n$8\r\npmessage\r\n$" pattern_len "\r\n" pattern "\r\n$" channel_len "\r\n" channel  \
	"\r\n$1\r\n" payload "\r\n"
#define CONFIRMED(pattern_len, pattern, count)                                                     \
	"*3\r\n$10\r\npsubscribe\r\n$" pattern_len "\r\n" pattern "\r\n:" count "\r\n"

static size_t
armed(void)
{
	return armed_count(client->client, HUB_PATTERN);
}

START_TEST(presume_answers_for_each_pattern_and_psubscribe_replays)
{
	resume_publish("k1", 2);
	resume_publish("k2", 1);
	resume_publish("other", 1);
	ck_assert_str_eq(resume_call("presume", "k*", -2), resume_row("k*", "resumed", -2, 2));
	ck_assert_uint_eq(armed(), 1);
	assert_says(client, "psubscribe k*", CONFIRMED("2", "k*", "1"));
	ck_assert_uint_eq(armed(), 0);
	test_turns(1);
	ck_assert_str_eq(test_read(client),
	    PMESSAGE("2", "k*", "2", "k1", "2") PMESSAGE("2", "k*", "2", "k2", "1"));
	resume_publish("k1", 1);
	resume_publish("k3", 1);
	ck_assert_str_eq(test_read(client),
	    PMESSAGE("2", "k*", "2", "k1", "1") PMESSAGE("2", "k*", "2", "k3", "1"));
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_RESUMED], 1);
}
END_TEST

START_TEST(messages_between_presume_and_psubscribe_are_replayed)
{
	resume_publish("k1", 1);
	resume_call("presume", "k*", 0);
	resume_publish("k2", 1);
	test_call(client, "psubscribe k*");
	test_turns(1);
	ck_assert_str_eq(test_read(client), PMESSAGE("2", "k*", "2", "k2", "1"));
}
END_TEST

START_TEST(after_the_newest_position_everything_is_replayed_or_lost)
{
	resume_publish("k1", 1);
	test_call(client, "presume k* $");
	resume_publish("k2", 1);
	test_call(client, "psubscribe k*");
	test_turns(1);
	ck_assert_str_eq(test_read(client), PMESSAGE("2", "k*", "2", "k2", "1"));
	test_call(client, "punsubscribe k*");
	test_call(client, "presume k* $");
	resume_publish("k2", 11); /* one more than is kept */
	ck_assert_int_eq(strncmp(test_call(client, "psubscribe k*"), "-LOST ", 6), 0);
}
END_TEST

START_TEST(each_verdict_has_its_row)
{
	resume_publish("k1", 3);
	resume_publish("k2", 2);
	assert_says(client, "presume k* 0", resume_row_at("k*", "new", resume_origin(), 5));
	assert_says(client, "presume k* $", resume_row("k*", "new", 0, 0));
	assert_says(client, "presume k* -4", resume_row("k*", "new", -4, 4));
	assert_says(client, "presume k* -6", resume_row_at("k*", "new", resume_origin(), 5));
	ck_assert_uint_eq(armed(), 1);
	assert_says(client, "presume k* 1-1", resume_row("k*", "lost", 0, 0));
	ck_assert_uint_eq(armed(), 0);
	ck_assert_str_eq(resume_call("presume", "x*", -1), resume_row("x*", "resumed", -1, 0));
	test_call(client, "psubscribe k*");
	assert_says(client, "presume k* 0", resume_row("k*", "subscribed", 0, 0));
	ck_assert_uint_eq(armed(), 1);
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_LOST], 1);
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_NEW], 4);
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_SUBSCRIBED], 1);
}
END_TEST

START_TEST(none_is_said_while_no_channel_keeps_messages)
{
	test_call(publisher, "channel unset k*");
	while (!hub_reclassify(test_server->hub, 100))
		continue;
	assert_says(client, "presume k* 0", resume_row_at("k*", "none", "0-0", 0));
	ck_assert_uint_eq(armed(), 0);
	ck_assert_uint_eq(test_server->statistics->counters.resumes[HUB_NO_HISTORY], 1);
}
END_TEST

START_TEST(a_pattern_is_armed_for_one_subscription)
{
	resume_publish("k1", 1);
	resume_call("presume", "k*", -1);
	test_call(client, "psubscribe k* k*");
	test_turns(1);
	ck_assert_str_eq(test_read(client), PMESSAGE("2", "k*", "2", "k1", "1"));
	test_call(client, "punsubscribe k*");
	test_call(client, "psubscribe k*");
	test_turns(1);
	ck_assert_str_eq(test_read(client), "");
}
END_TEST

START_TEST(armed_patterns_are_counted_until_they_are_disarmed)
{
	static const char *const ways[] = {
	    "punsubscribe k*", "punsubscribe", "reset", "psubscribe k*", "quit"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct test_conn *one = test_open();

		test_call(one, "presume k* 0");
		ck_assert_uint_eq(test_server->clients->armed_count, 1);
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

START_TEST(channels_and_patterns_are_armed_apart)
{
	resume_publish("k*", 1);
	test_call(client, "resume k* 0");
	resume_call("presume", "k*", 0);
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 1);
	ck_assert_uint_eq(armed(), 1);
	test_call(client, "unsubscribe k*");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 0);
	ck_assert_uint_eq(armed(), 1);
	test_call(client, "resume k* 0");
	test_call(client, "punsubscribe k*");
	ck_assert_uint_eq(armed_count(client->client, HUB_CHANNEL), 1);
	ck_assert_uint_eq(armed(), 0);
	test_config.resume_max_channels = 2;
	test_call(client, "presume x* 0");
	assert_says(client, "presume k* 0",
	    "-ERR max number of armed channels reached (resume-max-channels 2)\r\n");
	assert_says(client, "resume k 0",
	    "-ERR max number of armed channels reached (resume-max-channels 2)\r\n");
}
END_TEST

START_TEST(errors_of_presume_are_those_of_resume)
{
	assert_says(client, "presume k* 0 k2* x",
	    "-ERR Invalid position 'x': must be EPOCH-SEQ, 0, $ or -N\r\n");
	assert_says(
	    client, "presume k* 0 k2", "-ERR wrong number of arguments for 'presume' command\r\n");
	assert_says(
	    client, "presume k*", "-ERR wrong number of arguments for 'presume' command\r\n");
	test_config.hub.name_bytes = 2;
	assert_says(
	    client, "presume k* 0 k2* 0", "-ERR channel name too long (max-channel-length 2)\r\n");
	ck_assert_uint_eq(armed(), 0);
}
END_TEST

START_TEST(an_armed_pattern_that_is_lost_refuses_the_whole_psubscribe)
{
	char expected[128];

	resume_publish("k1", 10);
	resume_publish("k2", 1);
	resume_call("presume", "k1*", -11);
	resume_call("presume", "k2*", -1);
	snprintf(expected, sizeof(expected),
	    "-LOST pattern 'k1*' has no messages since %s any more\r\n", resume_position(-11));
	resume_publish("k1", 1);
	assert_says(client, "psubscribe k2* k1* other*", expected);
	assert_says(client, "pubsub numpat", ":0\r\n");
	ck_assert_uint_eq(armed(), 2);
	assert_says(client, "psubscribe other*", CONFIRMED("6", "other*", "1"));
}
END_TEST

START_TEST(a_new_pattern_is_lost_only_if_a_later_message_is)
{
	resume_publish("k1", 10);
	test_call(client, "presume k* 0");
	resume_publish("k1", 2); /* two others leave the ring */
	assert_says(client, "psubscribe k*", CONFIRMED("2", "k*", "1"));
	test_call(client, "punsubscribe k*");
	test_call(client, "presume k* -3");
	resume_publish("k1", 11);
	ck_assert_ptr_nonnull(strstr(test_call(client, "psubscribe k*"), "-LOST pattern 'k*' has"));
}
END_TEST

START_TEST(presume_is_allowed_in_the_subscribe_mode_of_resp2)
{
	test_call(client, "subscribe k1");
	resume_publish("k2", 1);
	ck_assert_str_eq(resume_call("presume", "k2*", -1), resume_row("k2*", "resumed", -1, 1));
	assert_says(client, "psubscribe k2*", CONFIRMED("3", "k2*", "2"));
	test_turns(1);
	ck_assert_str_eq(test_read(client), PMESSAGE("3", "k2*", "2", "k2", "1"));
}
END_TEST

START_TEST(a_transaction_may_presume)
{
	resume_publish("k1", 2);
	test_call(client, "multi");
	test_call(client, "presume k* -1");
	test_call(client, "psubscribe k*");
	ck_assert_ptr_nonnull(strstr(test_call(client, "exec"), "psubscribe"));
	test_turns(1);
	ck_assert_str_eq(test_read(client), PMESSAGE("2", "k*", "2", "k1", "2"));
}
END_TEST

START_TEST(patterns_of_presume_need_the_right_to_subscribe)
{
	static const char noperm[] =
	    "-NOPERM this user has no permissions to access one of the channels used as "
	    "arguments\r\n";

	test_call(publisher, "acl setuser u on nopass +@all resetchannels &k*");
	test_call(client, "auth u x");
	/* As for PSUBSCRIBE, the pattern itself must be allowed. */
	assert_says(client, "presume k* 0 k1* 0", noperm);
	ck_assert_uint_eq(armed(), 0);
	assert_says(client, "psubscribe k1*", noperm);
	test_call(client, "presume k* 0");
	ck_assert_uint_eq(armed(), 1);
	test_call(publisher, "acl setuser u resetchannels");
	assert_says(client, "psubscribe k*", noperm);
}
END_TEST

/* So many channels with one message each. */
static void
publish_channels(int count)
{
	char line[64];

	for (int i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "publish k%d x", i);
		test_call(publisher, line);
	}
}

START_TEST(a_long_presume_goes_on_in_later_turns)
{
	enum { CHANNELS = 8000 };
	char expected[64];

	publish_channels(CHANNELS);
	(void)test_send(client, "presume k* 0 k1 -5 x* $");
	snprintf(expected, sizeof(expected), "$3\r\nnew\r\n");
	ck_assert_ptr_nonnull(strstr(test_finish(client), expected));
	ck_assert_uint_eq(armed(), 3);
	(void)test_send(client, "psubscribe k* other* x*");
	ck_assert_ptr_nonnull(strstr(test_finish(client), CONFIRMED("2", "x*", "3")));
	ck_assert_uint_eq(armed(), 1);
}
END_TEST

START_TEST(very_many_patterns_are_looked_at_in_slices)
{
	struct test_conn *other = test_open();

	test_config.hub.subscriptions = RESUME_MANY;
	test_call(client, "presume k199999 $");
	resume_publish("k199999", 1);
	ck_assert(!resume_send_many("psubscribe", NULL));
	ck_assert_uint_eq(client->client->subscriber.count[HUB_PATTERN], 0);
	assert_says(other, "ping", "+PONG\r\n");
	resume_publish("k199999", 10); /* one more than is kept */
	ck_assert_int_eq(strncmp(test_finish(client), "-LOST pattern 'k199999'", 23), 0);
	ck_assert_uint_eq(client->client->subscriber.count[HUB_PATTERN], 0);
}
END_TEST

static struct hub_gather *gathers[HUB_GATHERS_MAX];

static void
begin_gathers(void)
{
	for (int i = 0; i < HUB_GATHERS_MAX; i++)
		gathers[i] = hub_gather_new(test_server->hub, 1);
}

static void
end_gathers(void)
{
	for (int i = 0; i < HUB_GATHERS_MAX; i++)
		hub_gather_free(gathers[i]);
}

START_TEST(a_command_waits_while_many_others_gather)
{
	struct test_conn *one = test_open();

	resume_publish("k1", 2);
	begin_gathers();
	ck_assert(!test_send(client, "presume k* 0 x* 0"));
	(void)test_send(one, "presume k* 0"); /* it leaves while it waits */
	test_turns(5);
	ck_assert_str_eq(test_read(client), "");
	test_close(one);
	hub_gather_free(gathers[0]);
	ck_assert_str_eq(strstr(test_finish(client), "*4\r\n$2\r\nx*"),
	    strstr(resume_row_at("x*", "new", resume_origin(), 0), "*4"));
	ck_assert_uint_eq(armed(), 2);
	gathers[0] = hub_gather_new(test_server->hub, 1);
	ck_assert(!test_send(client, "psubscribe k* x*"));
	test_turns(5);
	ck_assert_uint_eq(client->client->subscriber.count[HUB_PATTERN], 0);
	end_gathers();
	ck_assert_ptr_nonnull(strstr(test_finish(client), CONFIRMED("2", "x*", "2")));
	test_turns(1);
	ck_assert_uint_eq(armed(), 0);
}
END_TEST

START_TEST(a_transaction_does_not_wait_for_others_that_gather)
{
	begin_gathers();
	test_call(client, "multi");
	test_call(client, "presume k* 0");
	test_call(client, "psubscribe k*");
	ck_assert_ptr_nonnull(strstr(test_call(client, "exec"), CONFIRMED("2", "k*", "1")));
	end_gathers();
}
END_TEST

START_TEST(a_client_is_killed_while_it_gathers)
{
	static const char *const ways[] = {"presume k* 0", "psubscribe k*"};
	char line[64];

	for (int i = 0; i < 2; i++) {
		struct test_conn *one = test_open();

		test_call(one, "presume k* $");
		publish_channels(12000);
		if (test_send(one, ways[i]))
			continue; /* done in one slice */
		ck_assert_ptr_nonnull(one->client->pending->gather);
		snprintf(line, sizeof(line), "client kill id %d", (int)one->client->id);
		test_call(publisher, line);
		ck_assert_ptr_nonnull(one->killed);
		test_turns(2);
		test_close(one);
	}
	ck_assert_uint_eq(test_server->clients->armed_count, 0);
}
END_TEST

START_TEST(too_many_channels_are_lost)
{
	char expected[160];

	publish_channels(8192);
	test_call(client, "presume k* $ x* $");
	resume_publish("x1", 1);
	publish_channels(8192);
	(void)test_send(client, "psubscribe k* x*");
	ck_assert_ptr_nonnull(strstr(test_finish(client), CONFIRMED("2", "x*", "2")));
	test_call(client, "punsubscribe");
	publish_channels(8192);
	resume_publish("k8192", 1);
	(void)test_send(client, "presume k* 0");
	ck_assert_str_eq(test_finish(client), resume_row("k*", "lost", 0, 0));
	test_call(client, "presume k* $");
	snprintf(expected, sizeof(expected),
	    "-LOST pattern 'k*' has too many channels with messages since %s (more than 8192 "
	    "with those of other patterns)\r\n",
	    resume_position(0));
	publish_channels(8193);
	(void)test_send(client, "psubscribe k*");
	ck_assert_str_eq(test_finish(client), expected);
}
END_TEST

START_TEST(a_transaction_refuses_to_look_at_too_many_channels)
{
	static const char error[] = "-ERR too many channels have new messages for a transaction "
				    "(more than 20000): send 'presume' outside of MULTI\r\n";

	publish_channels(21000);
	test_call(client, "multi");
	test_call(client, "presume x* $ y* 0");
	ck_assert_ptr_nonnull(strstr(test_call(client, "exec"), error));
	ck_assert_uint_eq(armed(), 0);
	(void)test_send(client, "presume y* 0");
	ck_assert_str_eq(test_finish(client), resume_row_at("y*", "new", resume_origin(), 0));
	test_call(client, "multi");
	test_call(client, "psubscribe y*");
	ck_assert_ptr_nonnull(strstr(test_call(client, "exec"), "send 'psubscribe' outside of"));
	ck_assert_uint_eq(armed(), 1);
	assert_says(client, "pubsub numpat", ":0\r\n");
}
END_TEST

START_TEST(a_long_psubscribe_keeps_the_order_of_positions)
{
	enum { NAMES = 4000 };
	static char line[NAMES * 8 + 32];
	struct buffer reply = {0};
	const char *older, *newer;
	size_t len = (size_t)snprintf(line, sizeof(line), "psubscribe k0*");

	test_config.hub.subscriptions = NAMES + 10;
	for (int i = 1; i < NAMES; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, " c%d*", i);
	snprintf(line + len, sizeof(line) - len, " k1*");
	resume_publish("k1", 1);
	resume_call("presume", "k1*", -1);
	(void)test_send(client, line);
	while (client_subscriptions(client->client) == 0) /* the check may take turns of its own */
		test_turns(1);
	ck_assert_str_eq(test_call(publisher, "publish k0 2"), ":1\r\n");
	buffer_append_slice(&reply, slice_of(test_finish(client)));
	test_turns(3);
	buffer_append_slice(&reply, slice_of(test_read(client)));
	buffer_append(&reply, "", 1);
	older = strstr(reply.ptr, PMESSAGE("3", "k1*", "2", "k1", "1"));
	newer = strstr(reply.ptr, PMESSAGE("3", "k0*", "2", "k0", "2"));
	ck_assert_ptr_nonnull(older);
	ck_assert_ptr_nonnull(newer);
	ck_assert(older < newer);
	buffer_release(&reply);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/presume", resume_setup, test_teardown,
	    (const TTest *[]){presume_answers_for_each_pattern_and_psubscribe_replays,
		messages_between_presume_and_psubscribe_are_replayed,
		after_the_newest_position_everything_is_replayed_or_lost, each_verdict_has_its_row,
		none_is_said_while_no_channel_keeps_messages,
		a_pattern_is_armed_for_one_subscription,
		armed_patterns_are_counted_until_they_are_disarmed,
		channels_and_patterns_are_armed_apart, errors_of_presume_are_those_of_resume,
		an_armed_pattern_that_is_lost_refuses_the_whole_psubscribe,
		a_new_pattern_is_lost_only_if_a_later_message_is,
		presume_is_allowed_in_the_subscribe_mode_of_resp2, a_transaction_may_presume,
		patterns_of_presume_need_the_right_to_subscribe,
		a_long_presume_goes_on_in_later_turns, a_client_is_killed_while_it_gathers,
		too_many_channels_are_lost, a_transaction_refuses_to_look_at_too_many_channels,
		a_long_psubscribe_keeps_the_order_of_positions,
		very_many_patterns_are_looked_at_in_slices,
		a_command_waits_while_many_others_gather,
		a_transaction_does_not_wait_for_others_that_gather, NULL});
}
