#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/server.h"

/* QSUBSCRIBE and QUNSUBSCRIBE; the groups themselves are tested in pubsub/hub_queue_test.c. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define JOINED(group, name, count)                                                                 \
	"*4\r\n$10\r\nqsubscribe\r\n$1\r\n" group "\r\n$1\r\n" name "\r\n:" count "\r\n"
#define LEFT(group, name, count)                                                                   \
	"*4\r\n$12\r\nqunsubscribe\r\n$1\r\n" group "\r\n$1\r\n" name "\r\n:" count "\r\n"
#define MESSAGE(payload) "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n" payload "\r\n"
#define NOPERM                                                                                     \
	"-NOPERM this user has no permissions to access one of the channels used as "              \
	"arguments\r\n"

static struct test_conn *a, *b, *p;

static void
setup(void)
{
	test_setup();
	a = test_open();
	b = test_open();
	p = test_open();
}

START_TEST(members_join_get_messages_in_turn_and_leave)
{
	assert_says(a, "qsubscribe g a a b",
	    JOINED("g", "a", "1") JOINED("g", "a", "1") JOINED("g", "b", "2"));
	assert_says(b, "qsubscribe g a", JOINED("g", "a", "1"));
	ck_assert(a->subscriber);
	assert_says(p, "publish a 1", ":1\r\n");
	assert_says(p, "publish a 2", ":1\r\n");
	assert_says(p, "pubsub numsub a b", "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:1\r\n");
	ck_assert_str_eq(test_read(a), MESSAGE("1"));
	ck_assert_str_eq(test_read(b), MESSAGE("2"));
	assert_says(a, "qunsubscribe g a x", LEFT("g", "a", "1") LEFT("g", "x", "1"));
	assert_says(a, "qunsubscribe", LEFT("g", "b", "0"));
	ck_assert(!a->subscriber);
	assert_says(p, "publish a 3", ":1\r\n");
	ck_assert_str_eq(test_read(b), MESSAGE("3"));
}
END_TEST

START_TEST(leaving_ends_the_memberships_of_a_group_or_all)
{
	test_call(a, "qsubscribe g a b");
	test_call(a, "qsubscribe h a");
	test_call(a, "subscribe a");
	assert_says(a, "qunsubscribe g", LEFT("g", "a", "3") LEFT("g", "b", "2"));
	assert_says(a, "qunsubscribe g", "*4\r\n$12\r\nqunsubscribe\r\n$1\r\ng\r\n$-1\r\n:2\r\n");
	assert_says(a, "qunsubscribe", LEFT("h", "a", "1"));
	assert_says(a, "qunsubscribe", "*4\r\n$12\r\nqunsubscribe\r\n$-1\r\n$-1\r\n:1\r\n");
}
END_TEST

START_TEST(a_name_with_special_characters_is_a_pattern)
{
	assert_says(a, "qsubscribe g *", JOINED("g", "*", "1"));
	assert_says(p, "publish a 1", ":1\r\n");
	ck_assert_str_eq(test_read(a), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\n1\r\n");
	assert_says(p, "pubsub numpat", ":1\r\n");
}
END_TEST

START_TEST(a_member_under_resp2_is_in_subscribe_mode_until_reset)
{
	test_call(a, "qsubscribe g a");
	ck_assert_int_eq(strncmp(test_call(a, "get k"), "-ERR Can't execute 'get'", 24), 0);
	assert_says(a, "subscribe a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
	assert_says(a, "reset", "+RESET\r\n");
	assert_says(a, "get k", "$-1\r\n");
	assert_says(p, "publish a 1", ":0\r\n");
}
END_TEST

START_TEST(names_and_limits_are_checked)
{
	assert_says(
	    a, "qsubscribe g", "-ERR wrong number of arguments for 'qsubscribe' command\r\n");
	test_config.hub.name_bytes = 5;
	assert_says(
	    a, "qsubscribe g a toolong", "-ERR channel name too long (max-channel-length 5)\r\n");
	assert_says(
	    a, "qsubscribe toolong a", "-ERR channel name too long (max-channel-length 5)\r\n");
	assert_says(a, "publish a 1", ":0\r\n");
	test_config.hub.subscriptions = 1;
	assert_says(a, "qsubscribe g a b",
	    JOINED("g", "a", "1") "-ERR max number of subscriptions per client reached "
				  "(max-subscriptions-per-client 1)\r\n");
	test_config.hub.subscribers = 1;
	assert_says(b, "qsubscribe g a",
	    "-ERR max number of members of this group, or of subscribers of its channel, reached "
	    "(max-subscribers-per-channel 1)\r\n");
}
END_TEST

START_TEST(users_join_what_they_may_subscribe_to)
{
	test_call(p, "acl setuser u on nopass +@all &a* &x limit:subscriptions=2");
	test_call(a, "auth u x");
	assert_says(a, "qsubscribe g b", NOPERM);
	assert_says(a, "qsubscribe g x a?", NOPERM); /* a pattern that is not granted itself */
	ck_assert_ptr_nonnull(strstr(test_call(p, "acl log 1"), "$6\r\nobject\r\n$2\r\na?\r\n"));
	assert_says(p, "acl dryrun u qsubscribe g x a*", "+OK\r\n");
	ck_assert_ptr_nonnull(
	    strstr(test_call(p, "acl dryrun u qsubscribe g x a?"), "access the 'a?' channel"));
	assert_says(p, "publish x 1", ":0\r\n");
	assert_says(a, "qsubscribe b a", JOINED("b", "a", "1"));
	assert_says(a, "qsubscribe g x", JOINED("g", "x", "2"));
	assert_says(a, "qsubscribe h x",
	    "-ERR max number of subscriptions per client of this user reached "
	    "(limit:subscriptions 2)\r\n");
	assert_says(p, "acl setuser u resetchannels &a*", "+OK\r\n");
	test_turns(3);
	ck_assert_ptr_nonnull(a->killed);
}
END_TEST

START_TEST(a_granted_pattern_need_not_match_itself)
{
	test_call(p, "acl setuser u on nopass +@all &[ab]");
	test_call(a, "auth u x");
	assert_says(a, "qsubscribe g a", JOINED("g", "a", "1"));
	ck_assert_ptr_nonnull(strstr(test_call(a, "qsubscribe g [ab]"), "[ab]\r\n:2\r\n"));
}
END_TEST

START_TEST(what_a_closed_member_had_not_received_goes_to_others_in_their_protocol)
{
	struct test_conn *c = test_open();

	test_call(b, "hello 3");
	test_call(c, "hello 3");
	test_call(c, "outbox set positions yes");
	test_call(a, "qsubscribe g a");
	test_call(a, "qsubscribe h *");
	assert_says(p, "publish a 1", ":2\r\n");
	test_call(b, "qsubscribe g a");
	test_call(c, "qsubscribe h *");
	test_close(a);
	test_turns(3);
	ck_assert_str_eq(test_read(b), ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n");
	ck_assert_str_eq(
	    test_read(c), ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$5\r\n0-0 1\r\n");
	assert_says(p, "publish a 2", ":2\r\n");
	a = test_open();
	test_call(a, "qsubscribe h *");
	test_close(c);
	test_turns(3);
	ck_assert_str_eq(test_read(a), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\n2\r\n");
}
END_TEST

START_TEST(publishers_wait_for_a_group_whose_members_are_full)
{
	test_call(a, "outbox set policy block messages 1");
	test_call(b, "outbox set policy block messages 1");
	test_call(a, "qsubscribe g a");
	test_call(b, "qsubscribe g a");
	assert_says(p, "mpublish a 1 a 2", "*2\r\n:1\r\n:1\r\n");
	ck_assert(!test_send(p, "publish a 3"));
	ck_assert_str_eq(test_read(b), MESSAGE("2"));
	ck_assert_str_eq(test_finish(p), ":1\r\n");
	ck_assert_str_eq(test_read(b), MESSAGE("3"));
	ck_assert_str_eq(test_read(a), MESSAGE("1"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/queue_group", setup, test_teardown,
	    (const TTest *[]){members_join_get_messages_in_turn_and_leave,
		leaving_ends_the_memberships_of_a_group_or_all,
		a_name_with_special_characters_is_a_pattern,
		a_member_under_resp2_is_in_subscribe_mode_until_reset, names_and_limits_are_checked,
		users_join_what_they_may_subscribe_to, a_granted_pattern_need_not_match_itself,
		what_a_closed_member_had_not_received_goes_to_others_in_their_protocol,
		publishers_wait_for_a_group_whose_members_are_full, NULL});
}
