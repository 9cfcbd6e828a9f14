#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/history_image.h"
#include "server/server.h"

/* The publishing commands beyond PUBLISH, whose tests are in pubsub_test.c, and
 * PUBLISHX: publishx_test.c. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define MESSAGE_TO(channel, payload)                                                               \
	">3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"
#define MESSAGE(payload) MESSAGE_TO("a", payload)
#define PMESSAGE(channel, payload)                                                                 \
	">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\n" channel "\r\n$1\r\n" payload "\r\n"
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

/* Its history is with the successor of an upgrade: a message would be lost. */
START_TEST(messages_that_are_left_when_another_process_takes_over_are_refused)
{
	static const char taken_over[] =
	    "-READONLY Another process has taken over from this one. Connect again.\r\n";
	struct test_conn *admin = test_open();
	char reply[256];

	assert_says(admin, "channel set kept* history-size 10 history-ttl 60", "+OK\r\n");
	test_turns(3);
	fill_other();
	ck_assert(!test_send(c, "mpublish kept 1 a 2 kept 3 d 4 kept2 5"));
	server_history_hand_over(test_server);
	ck_assert_str_eq(test_read(other), MESSAGE("0"));
	snprintf(reply, sizeof(reply), "*5\r\n:0\r\n:1\r\n%s:0\r\n%s", taken_over, taken_over);
	ck_assert_str_eq(test_finish(c), reply);
	ck_assert_str_eq(test_read(other), MESSAGE("2"));
	assert_says(admin, "history len kept", ":1\r\n");
	assert_says(c, "mpublish a 6 kept 7", taken_over);
	ck_assert_str_eq(test_read(other), "");
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

/* Messages of this length are copied in steps. */
#define LARGE ((size_t)3 << 20)

/* c is a user for the channels a and b, and other subscribes to them. Returns an administrator. */
static struct test_conn *
open_for_large(void)
{
	struct test_conn *admin = test_open();

	test_config.outbox.bytes = 0;
	server_reconfigured(test_server);
	test_turns(2);
	test_call(admin, "acl setuser u on nopass +@all &a &b");
	test_call(c, "auth u x");
	test_call(other, "subscribe a");
	test_call(other, "subscribe b");
	return admin;
}

/* A payload of this byte; owned. */
static struct slice
payload_of(char byte, size_t len)
{
	char *text = xmalloc(len);

	memset(text, byte, len);
	return (struct slice){text, len};
}

/* The only message that other got is one to b of that payload. */
static void
assert_got(struct slice payload)
{
	char head[64];
	size_t len = (size_t)snprintf(
	    head, sizeof(head), ">3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$%zu\r\n", payload.len);
	struct slice all = test_read_all(other);

	ck_assert_uint_eq(all.len, len + payload.len + 2);
	ck_assert_int_eq(memcmp(all.ptr, head, len), 0);
	ck_assert_int_eq(memcmp(all.ptr + len, payload.ptr, payload.len), 0);
}

START_TEST(a_large_message_that_is_refused_while_it_is_prepared_leaves_nothing_to_the_next)
{
	struct test_conn *admin = open_for_large();
	struct slice first = payload_of('1', LARGE), second = payload_of('2', LARGE);
	struct slice args[] = {SLICE("mpublish"), SLICE("a"), first, SLICE("b"), second};

	ck_assert(!test_send_args(c, args, 5));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_TURN);
	assert_says(admin, "acl setuser u resetchannels &b", "+OK\r\n");
	ck_assert_str_eq(test_finish(c), "*2\r\n" NOPERM ":1\r\n");
	assert_got(second);
	ck_assert(!hub_memory_can_shrink(test_server->hub));
	xfree((char *)(uintptr_t)first.ptr);
	xfree((char *)(uintptr_t)second.ptr);
}
END_TEST

START_TEST(a_large_message_that_is_refused_last_leaves_nothing_to_the_next_request)
{
	static const char *const commands[] = {"mpublish", "publishmany"};
	struct slice refused = payload_of('1', LARGE), next = payload_of('2', LARGE);
	struct slice publish[] = {SLICE("publish"), SLICE("b"), next};
	struct test_conn *admin = open_for_large();

	for (size_t i = 0; i < 2; i++) {
		struct slice args[] = {slice_of(commands[i]), SLICE("a"), refused};

		if (i == 1) {
			args[1] = refused;
			args[2] = SLICE("a");
		}
		assert_says(admin, "acl setuser u &a", "+OK\r\n");
		ck_assert(!test_send_args(c, args, 3));
		assert_says(admin, "acl setuser u resetchannels &b", "+OK\r\n");
		ck_assert_str_eq(test_finish(c), "*1\r\n" NOPERM);
		ck_assert(!hub_memory_can_shrink(test_server->hub)); /* its draft is freed */
		ck_assert(!test_send_args(c, publish, 3));
		ck_assert_str_eq(test_finish(c), ":1\r\n");
		assert_got(next);
	}
	xfree((char *)(uintptr_t)refused.ptr);
	xfree((char *)(uintptr_t)next.ptr);
}
END_TEST

START_TEST(a_large_message_for_which_memory_becomes_short_does_not_refuse_the_next)
{
	struct slice first = payload_of('1', LARGE * 2), second = payload_of('2', LARGE);
	struct slice args[] = {SLICE("mpublish"), SLICE("a"), first, SLICE("b"), second};

	(void)open_for_large();
	test_config.hub.memory_bytes = LARGE * 3;
	ck_assert(!test_send_args(c, args, 5));
	test_config.hub.memory_bytes = LARGE * 3 / 2;
	server_reconfigured(test_server);
	ck_assert_str_eq(test_finish(c),
	    "*2\r\n-OOM command not allowed when used memory > 'maxmemory-pubsub'.\r\n:1\r\n");
	assert_got(second);
	xfree((char *)(uintptr_t)first.ptr);
	xfree((char *)(uintptr_t)second.ptr);
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

START_TEST(a_channel_may_have_no_echo)
{
	test_channel_line("a*", "no-echo yes");
	test_call(c, "subscribe a");
	test_call(c, "psubscribe *");
	test_call(c, "ssubscribe a");
	assert_says(c, "publish a 1", ":0\r\n");
	assert_says(c, "mpublish a 1 x 2", "*2\r\n:0\r\n:1\r\n" PMESSAGE("x", "2"));
	assert_says(c, "publishx a 1", ":0\r\n");
	ck_assert_int_eq(strncmp(test_call(c, "spublish a 1"), ":1\r\n", 4), 0);
	assert_says(other, "publish a 3", ":2\r\n");
	ck_assert_str_eq(test_read(c), MESSAGE("3") PMESSAGE("a", "3"));
	test_channel_line("a", "no-echo no");
	ck_assert_int_eq(strncmp(test_call(c, "publish a 1"), ":2\r\n", 4), 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/publish", setup, test_teardown,
	    (const TTest *[]){a_client_without_echo_does_not_get_what_it_publishes,
		a_client_with_dedup_gets_one_copy, echo_is_yes_or_no_until_reset,
		a_transaction_without_echo_does_not_wait_for_its_own_client,
		mpublish_publishes_each_message_to_its_channel,
		publishmany_publishes_one_message_to_each_channel,
		several_messages_need_their_arguments,
		none_is_published_if_one_of_several_is_refused,
		several_messages_count_for_the_rate_of_the_user,
		a_message_that_waits_is_published_once_and_so_are_those_around_it,
		messages_behind_one_that_waits_are_dropped_if_the_publisher_leaves,
		rights_taken_away_meanwhile_hold_for_messages_that_are_left,
		messages_that_are_left_when_another_process_takes_over_are_refused,
		rights_for_the_command_taken_away_meanwhile_hold_too,
		a_message_larger_than_the_memory_for_messages_gets_an_error_in_its_place,
		a_large_message_that_is_refused_while_it_is_prepared_leaves_nothing_to_the_next,
		a_large_message_that_is_refused_last_leaves_nothing_to_the_next_request,
		a_large_message_for_which_memory_becomes_short_does_not_refuse_the_next,
		a_transaction_waits_for_all_messages_of_its_commands,
		a_publisher_that_its_own_messages_close_publishes_no_more,
		a_request_of_many_messages_takes_several_turns, a_channel_may_have_no_echo, NULL});
}
