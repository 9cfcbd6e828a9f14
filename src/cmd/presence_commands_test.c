#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/presence.h"
#include "server/client.h"
#include "server/core.h"
#include "server/pause.h"
#include "server/presence_service.h"
#include "server/server_config.h"
#include "server/statistics.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define SECOND_US ((uint64_t)1000000)

static struct test_conn *ann, *ben, *listener;
static uint64_t ahead_us; /* of the clock */

static void
setup(void)
{
	test_setup();
	test_config.presence =
	    (struct presence_limits){.members = 3, .joins = 4, .memory_bytes = 1 << 20};
	test_channel_line("room*", "presence members events occupied,join");
	test_channel_line("count*", "presence count events occupied,join");
	ann = test_open();
	ben = test_open();
	listener = test_open();
	test_call(listener, "psubscribe __*__:*");
	ahead_us = 0;
}

static void
pass(uint64_t seconds)
{
	ahead_us += seconds * SECOND_US;
	test_turn(clock_mono_us() + ahead_us);
}

static bool
is_waiting(void)
{
	return presence_figures(test_server->presence->presence).waiting > 0;
}

/* The events since the last call, as "channel message" and a newline for each. */
static const char *
heard(void)
{
	static char out[2048];
	const char *at;

	/* A turn may have time for one event only. */
	for (int turns = 0; turns == 0 || (is_waiting() && turns < 100); turns++)
		pass(0);
	at = test_read(listener);
	out[0] = '\0';
	while ((at = strstr(at, "__*__:*")) != NULL) {
		const char *channel = strstr(at, "\n__") + 1, *message = strchr(channel, '{');

		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s %.*s\n",
		    (int)strcspn(channel, "\r"), channel, (int)strcspn(message, "\r"), message);
		at = message;
	}
	return out;
}

START_TEST(join_and_leave_say_whether_they_changed_something)
{
	assert_says(ann, "presence join room ann", ":1\r\n");
	assert_says(ann, "PRESENCE JOIN room ann", ":0\r\n");
	assert_says(ben, "presence join room ann info x", ":0\r\n");
	assert_says(ann, "presence leave room ann", ":1\r\n");
	assert_says(ann, "presence leave room ann", ":0\r\n");
	assert_says(ann, "presence leave room ben", ":0\r\n");
	assert_says(ann, "presence leave nowhere ann", ":0\r\n");
	ck_assert_ptr_null(ann->client->session);
}
END_TEST

START_TEST(events_are_messages)
{
	test_call(ann, "presence join room:1 ann info {}");
	ck_assert_str_eq(heard(), "__occupancy__:room:1 {\"event\":\"occupied\"}\n"
				  "__presence__:room:1 "
				  "{\"event\":\"join\",\"member\":\"ann\",\"info\":\"{}\"}\n");
	test_close(ann);
	pass(9);
	ck_assert_str_eq(heard(), "");
	pass(1);
	ck_assert_str_eq(heard(), "__presence__:room:1 "
				  "{\"event\":\"leave\",\"member\":\"ann\",\"info\":\"{}\"}\n");
	pass(3);
	ck_assert_str_eq(heard(), "__occupancy__:room:1 {\"event\":\"vacated\"}\n");
	ck_assert_uint_eq(test_server->statistics->counters.presence_events, 4);
	ck_assert_uint_eq(test_server->statistics->counters.skipped_presence_events, 0);
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_written_in_base64)
{
	const struct slice args[] = {SLICE("presence"), SLICE("join"), SLICE("room"),
	    SLICE("\xff\x00\"\n"), SLICE("info"), SLICE("\xc3\xa9\"\\\x01")};

	ck_assert(test_send_args(ann, args, 6));
	assert_says(ann, "ping", ":1\r\n+PONG\r\n");
	ck_assert_ptr_nonnull(strstr(heard(), "{\"event\":\"join\",\"member_base64\":\"/wAiCg==\","
					      "\"info\":\"\xc3\xa9\\\"\\\\\\u0001\"}"));
}
END_TEST

START_TEST(members_are_listed_with_info_and_connections)
{
	assert_says(ann, "presence members room", "*2\r\n$1\r\n0\r\n*0\r\n");
	test_call(ann, "presence join room ann info x");
	test_call(ben, "presence join room ann");
	assert_says(
	    ann, "presence members room", "*2\r\n$1\r\n0\r\n*3\r\n$3\r\nann\r\n$1\r\nx\r\n:2\r\n");
	test_call(ann, "presence leave room ann");
	test_call(ben, "presence leave room ann");
	assert_says(ann, "presence members room cursor 0 count 5",
	    "*2\r\n$1\r\n0\r\n*3\r\n$3\r\nann\r\n$1\r\nx\r\n:0\r\n");
}
END_TEST

START_TEST(a_long_list_is_given_page_by_page)
{
	char line[128], cursor[32] = "0";
	size_t found = 0, pages = 0;

	test_config.presence.members = test_config.presence.joins = 1000;
	for (int i = 0; i < 300; i++) {
		snprintf(line, sizeof(line), "presence join room m%d", i);
		assert_says(ann, line, ":1\r\n");
	}
	do {
		const char *reply;
		int members;

		snprintf(line, sizeof(line), "presence members room count 50 cursor %s", cursor);
		reply = test_call(ann, line);
		ck_assert_int_eq(sscanf(reply, "*2\r\n$%*d\r\n%31s\r\n*%d", cursor, &members), 2);
		ck_assert_int_lt(members / 3, 100);
		found += (size_t)members / 3;
		pages++;
	} while (strcmp(cursor, "0") != 0);
	ck_assert_uint_eq(found, 300);
	ck_assert_uint_ge(pages, 4);
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:300\r\n");
}
END_TEST

START_TEST(a_lease_is_kept_by_touching)
{
	assert_says(ann, "presence touch room ann ttl 5", ":1\r\n");
	assert_says(ann, "presence touch room ann TTL 100 INFO x", ":0\r\n");
	assert_says(
	    ann, "presence members room", "*2\r\n$1\r\n0\r\n*3\r\n$3\r\nann\r\n$1\r\nx\r\n:0\r\n");
	pass(99);
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:1\r\n");
	pass(1);
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
	test_call(ann, "presence touch room ann ttl 100");
	assert_says(ann, "presence touch room ann ttl 0", ":0\r\n");
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
}
END_TEST

START_TEST(a_channel_that_only_counts_shows_no_members)
{
	assert_says(ann, "presence join count:1 ann info secret", ":1\r\n");
	ck_assert_str_eq(heard(), "__occupancy__:count:1 {\"event\":\"occupied\"}\n");
	assert_says(ann, "presence count count:1", "*2\r\n$7\r\ncount:1\r\n:1\r\n");
	assert_says(ann, "presence members count:1",
	    "-ERR the members of this channel are only counted\r\n");
}
END_TEST

START_TEST(without_the_option_presence_is_off)
{
	static const char off[] = "-ERR presence is off for this channel\r\n";

	assert_says(ann, "presence join x ann", off);
	assert_says(ann, "presence touch x ann ttl 1", off);
	assert_says(ann, "presence touch x ann ttl 0", off);
	assert_says(ann, "presence members x", off);
	assert_says(ann, "presence leave x ann", ":0\r\n");
	assert_says(ann, "presence count x room", "*4\r\n$1\r\nx\r\n:0\r\n$4\r\nroom\r\n:0\r\n");
}
END_TEST

START_TEST(switching_presence_off_removes_the_members)
{
	test_call(ann, "presence join room ann");
	test_call(ben, "presence touch room ben ttl 100");
	(void)heard();
	test_channel_line("room*", "presence no vacate-delay 0");
	ck_assert_str_eq(heard(),
	    "__presence__:room {\"event\":\"leave\",\"member\":\"ben\",\"info\":\"\"}\n"
	    "__presence__:room {\"event\":\"leave\",\"member\":\"ann\",\"info\":\"\"}\n"
	    "__occupancy__:room {\"event\":\"vacated\"}\n");
	assert_says(ann, "presence leave room ann", ":0\r\n");
	ck_assert_uint_eq(presence_figures(test_server->presence->presence).bytes, 0);
}
END_TEST

START_TEST(channels_are_listed_in_order_and_by_pattern)
{
	assert_says(ann, "presence channels", "*0\r\n");
	test_call(ann, "presence join room:2 ann");
	test_call(ann, "presence join room:1 ann");
	test_call(ann, "presence join count ann");
	assert_says(
	    ann, "presence channels", "*3\r\n$5\r\ncount\r\n$6\r\nroom:1\r\n$6\r\nroom:2\r\n");
	assert_says(ann, "presence channels r*2", "*1\r\n$6\r\nroom:2\r\n");
	assert_says(ann, "presence channels a b",
	    "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PRESENCE "
	    "HELP.\r\n");
}
END_TEST

START_TEST(each_bound_has_an_error)
{
	char line[5000] = "presence join room ann info ";

	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof(line), "presence join room m%d", i);
		assert_says(ann, line, ":1\r\n");
	}
	assert_says(ben, "presence join room m3", "-ERR max number of members reached\r\n");
	assert_says(ben, "presence touch room m3 ttl 1", "-ERR max number of members reached\r\n");
	assert_says(ann, "presence join room2 m0", ":1\r\n");
	assert_says(ann, "presence join room3 m0",
	    "-ERR max number of members of this client reached (presence-max-joins 4)\r\n");
	test_config.presence.memory_bytes = 100;
	assert_says(ben, "presence join room3 m0",
	    "-OOM command not allowed when used memory > 'presence-maxmemory'.\r\n");
	assert_says(ben, "presence touch room3 m0 ttl 1",
	    "-OOM command not allowed when used memory > 'presence-maxmemory'.\r\n");
	ck_assert_ptr_null(ben->client->session);
}
END_TEST

START_TEST(names_and_infos_have_a_length)
{
	char line[5000];

	snprintf(line, sizeof(line), "presence join room %0*d", PRESENCE_MEMBER_MAX, 0);
	assert_says(ann, line, ":1\r\n");
	snprintf(line, sizeof(line), "presence join room %0*d", PRESENCE_MEMBER_MAX + 1, 0);
	assert_says(ann, line, "-ERR member name must have 1 to 255 bytes\r\n");
	snprintf(line, sizeof(line), "presence leave room %0*d", PRESENCE_MEMBER_MAX + 1, 0);
	assert_says(ann, line, ":0\r\n");
	assert_says(
	    ann, "presence touch room  ttl 1", "-ERR member name must have 1 to 255 bytes\r\n");
	snprintf(line, sizeof(line), "presence join room ann info %0*d", PRESENCE_INFO_MAX, 0);
	assert_says(ann, line, ":1\r\n");
	snprintf(line, sizeof(line), "presence join room ann info %0*d", PRESENCE_INFO_MAX + 1, 0);
	assert_says(ann, line, "-ERR INFO must have at most 4096 bytes\r\n");
	test_config.hub.name_bytes = 4;
	assert_says(ann, "presence join room1 ann",
	    "-ERR channel name too long (max-channel-length 4)\r\n");
	assert_says(ann, "presence touch room1 ann ttl 1",
	    "-ERR channel name too long (max-channel-length 4)\r\n");
	assert_says(
	    ann, "presence members room1", "-ERR channel name too long (max-channel-length 4)\r\n");
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
	static const char syntax[] = "-ERR syntax error\r\n";
	static const char ttl[] = "-ERR TTL must be 0 to 31536000 seconds\r\n";
	static const char count[] = "-ERR COUNT must be 1 to 1000\r\n";

	assert_says(ann, "presence join room",
	    "-ERR wrong number of arguments for 'presence|join' command\r\n");
	assert_says(ann, "presence join room ann info", syntax);
	assert_says(ann, "presence join room ann data x", syntax);
	assert_says(ann, "presence join room ann info x info y", syntax);
	assert_says(ann, "presence touch room ann for 1", syntax);
	assert_says(ann, "presence touch room ann ttl -1", ttl);
	assert_says(ann, "presence touch room ann ttl 1.5", ttl);
	assert_says(ann, "presence touch room ann ttl 31536001", ttl);
	assert_says(ann, "presence touch room ann ttl 1 info", syntax);
	assert_says(ann, "presence members room cursor", syntax);
	assert_says(ann, "presence members room match x", syntax);
	assert_says(ann, "presence members room cursor x", "-ERR invalid cursor\r\n");
	assert_says(ann, "presence members room cursor -1", "-ERR invalid cursor\r\n");
	assert_says(ann, "presence members room count 0", count);
	assert_says(ann, "presence members room count 1001", count);
	assert_says(ann, "presence members room count x", count);
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
}
END_TEST

START_TEST(reset_ends_the_joins)
{
	test_channel_line("room*", "leave-delay 0");
	test_call(ann, "presence join room ann");
	assert_says(ann, "reset", "+RESET\r\n");
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
	ck_assert_ptr_null(ann->client->session);
}
END_TEST

START_TEST(a_transaction_may_join_and_leave)
{
	test_call(ann, "multi");
	test_call(ann, "presence join room ann");
	test_call(ann, "presence count room");
	test_call(ann, "presence channels");
	test_call(ann, "presence leave room ann");
	assert_says(
	    ann, "exec", "*4\r\n:1\r\n*2\r\n$4\r\nroom\r\n:1\r\n*1\r\n$4\r\nroom\r\n:1\r\n");
}
END_TEST

/* A lease is no message: EXEC does not wait for subscribers as for those that publish. */
START_TEST(a_transaction_may_touch_and_waits_for_no_subscriber)
{
	test_call(ben, "outbox set policy block messages 1");
	test_call(ben, "psubscribe *");
	assert_says(ann, "publish x 1", ":1\r\n");
	test_call(ann, "multi");
	assert_says(ann, "presence touch room ann ttl 5", "+QUEUED\r\n");
	test_call(ann, "presence touch room ann ttl 9 info x");
	test_call(ann, "presence count room");
	test_call(ann, "presence touch room ann ttl never");
	ck_assert(test_send(ann, "exec"));
	ck_assert_str_eq(test_read(ann), "*4\r\n:1\r\n:0\r\n*2\r\n$4\r\nroom\r\n:1\r\n"
					 "-ERR TTL must be 0 to 31536000 seconds\r\n");
	pass(8);
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:1\r\n");
	pass(12); /* the lease, and leave-delay */
	assert_says(ann, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
}
END_TEST

START_TEST(a_subscriber_may_join)
{
	test_call(ann, "subscribe room");
	assert_says(ann, "presence join room ann", ":1\r\n");
	assert_says(ann, "presence leave room ann", ":1\r\n");
	ck_assert_int_eq(
	    strncmp(test_call(ann, "presence count room"), "-ERR Can't execute", 18), 0);
}
END_TEST

START_TEST(a_user_needs_the_right_to_the_channel)
{
	static const char denied[] =
	    "-NOPERM this user has no permissions to access one of the channels used as "
	    "arguments\r\n";

	test_call(ben, "presence join room:theirs ben");
	test_call(ben, "acl setuser u on nopass +@all resetchannels &room:ours*");
	test_call(ann, "auth u x");
	assert_says(ann, "presence join room:ours ann", ":1\r\n");
	assert_says(ann, "presence join room:theirs ann", denied);
	assert_says(ann, "presence leave room:theirs ann", denied);
	assert_says(ann, "presence touch room:theirs ann ttl 1", denied);
	assert_says(ann, "presence members room:theirs", denied);
	assert_says(ann, "presence count room:ours room:theirs", denied);
	assert_says(ann, "presence channels", "*1\r\n$9\r\nroom:ours\r\n");
	assert_says(ann, "presence join room:ours room:theirs", ":1\r\n");
}
END_TEST

START_TEST(a_client_that_loses_the_right_to_a_channel_it_joined_is_closed)
{
	test_call(ben, "acl setuser u on nopass +@all resetchannels &room:* &other");
	test_call(ann, "auth u x");
	test_call(ann, "presence join room:1 ann");
	test_call(ann, "presence join room:2 ann");
	test_call(ben, "acl setuser u resetchannels &room:*");
	test_turns(2);
	ck_assert_ptr_null(ann->killed);
	test_call(ben, "acl setuser u resetchannels &room:1");
	test_turns(2);
	ck_assert_str_eq(
	    ann->killed, "its user lost the permission for a channel that it joined as a member");
}
END_TEST

START_TEST(an_event_whose_channel_would_be_too_long_is_counted)
{
	test_config.hub.name_bytes = 16;
	test_call(ann, "presence join room ann");
	ck_assert_str_eq(heard(), "");
	ck_assert_uint_eq(test_server->statistics->counters.presence_events, 2);
	ck_assert_uint_eq(test_server->statistics->counters.skipped_presence_events, 2);
}
END_TEST

START_TEST(an_event_for_which_there_is_no_memory_is_counted)
{
	test_config.hub.memory_bytes = 1;
	test_call(ann, "presence join room ann");
	ck_assert_str_eq(heard(), "");
	ck_assert_uint_eq(test_server->statistics->counters.skipped_presence_events, 2);
	test_config.hub.memory_bytes = 0;
	test_call(ben, "presence join room ben");
	ck_assert_str_eq(
	    heard(), "__presence__:room {\"event\":\"join\",\"member\":\"ben\",\"info\":\"\"}\n");
}
END_TEST

START_TEST(an_upgrade_freezes_events_and_members_that_come)
{
	test_call(ann, "presence join room ann");
	server_freeze(test_server, true);
	ck_assert_str_eq(heard(), "");
	ck_assert(!test_send(ben, "presence touch room ben ttl 5"));
	assert_says(ann, "presence leave room ann", ":1\r\n");
	ck_assert(!test_send(ann, "presence join room ann"));
	server_freeze(test_server, false);
	ck_assert_str_eq(test_finish(ann), ":0\r\n");
	ck_assert_str_eq(test_finish(ben), ":1\r\n");
	assert_says(ann, "ping", "+PONG\r\n");
	ck_assert_str_eq(heard(),
	    "__occupancy__:room {\"event\":\"occupied\"}\n"
	    "__presence__:room {\"event\":\"join\",\"member\":\"ann\",\"info\":\"\"}\n"
	    "__presence__:room {\"event\":\"join\",\"member\":\"ben\",\"info\":\"\"}\n");
}
END_TEST

START_TEST(after_an_upgrade_members_only_leave_and_events_are_the_successors)
{
	test_call(ann, "presence join room ann");
	(void)heard();
	test_server->pause->handed_over = true;
	assert_says(ben, "presence join room ben", "-" PAUSE_HANDED_OVER "\r\n");
	assert_says(ben, "presence touch room ben ttl 5", "-" PAUSE_HANDED_OVER "\r\n");
	assert_says(ann, "presence leave room ann", ":1\r\n");
	pass(100);
	ck_assert_str_eq(heard(), "");
	ck_assert(!is_waiting());
	assert_says(ben, "presence count room", "*2\r\n$4\r\nroom\r\n:0\r\n");
}
END_TEST

START_TEST(figures_are_shown)
{
	const char *info;

	test_call(ann, "presence join room ann");
	test_call(ben, "presence join room ann");
	(void)heard();
	info = test_call(ann, "info presence");
	ck_assert_ptr_nonnull(strstr(info, "\npresence_channels:1\r\npresence_members:1\r\n"
					   "presence_joins:2\r\npresence_bytes:"));
	ck_assert_ptr_nonnull(strstr(info, "\npresence_waiting_events:0\r\npresence_events:2\r\n"
					   "presence_skipped_events:0\r\n"));
	ck_assert_ptr_nonnull(strstr(test_call(ann, "memory stats"), "presence.members\r\n:1\r\n"));
}
END_TEST

START_TEST(help_names_each_subcommand)
{
	const char *help = test_call(ann, "presence help");

	ck_assert_ptr_nonnull(strstr(help, "+CHANNELS [<pattern>]\r\n"));
	ck_assert_ptr_nonnull(strstr(help, "+COUNT <channel> [<channel> ...]\r\n"));
	ck_assert_ptr_nonnull(strstr(help, "+JOIN <channel> <member> [INFO <info>]\r\n"));
	ck_assert_ptr_nonnull(strstr(help, "+LEAVE <channel> <member>\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(help, "+MEMBERS <channel> [CURSOR <cursor>] [COUNT <count>]\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(help, "+TOUCH <channel> <member> TTL <seconds> [INFO <info>]\r\n"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/presence_commands", setup, test_teardown,
	    (const TTest *[]){join_and_leave_say_whether_they_changed_something,
		events_are_messages, bytes_that_are_not_utf8_are_written_in_base64,
		members_are_listed_with_info_and_connections, a_long_list_is_given_page_by_page,
		a_lease_is_kept_by_touching, a_channel_that_only_counts_shows_no_members,
		without_the_option_presence_is_off, switching_presence_off_removes_the_members,
		channels_are_listed_in_order_and_by_pattern, each_bound_has_an_error,
		names_and_infos_have_a_length, wrong_arguments_are_refused, reset_ends_the_joins,
		a_transaction_may_join_and_leave,
		a_transaction_may_touch_and_waits_for_no_subscriber, a_subscriber_may_join,
		a_user_needs_the_right_to_the_channel,
		a_client_that_loses_the_right_to_a_channel_it_joined_is_closed,
		an_event_whose_channel_would_be_too_long_is_counted,
		an_event_for_which_there_is_no_memory_is_counted,
		an_upgrade_freezes_events_and_members_that_come,
		after_an_upgrade_members_only_leave_and_events_are_the_successors,
		figures_are_shown, help_names_each_subcommand, NULL});
}
