#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/channel_lines.h"
#include "server/client.h"
#include "server/server.h"

/* SUBSCRIBE and PSUBSCRIBE of queue names, with the directive queue-groups. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define Q_A "$10\r\n$queue/g/a\r\n"
#define Q_GLOB "$11\r\n$queue/g/a*\r\n"
#define DONE(verb_len, verb, name, count)                                                          \
	"*3\r\n$" verb_len "\r\n" verb "\r\n" name ":" count "\r\n"
#define JOINED(name, count) DONE("9", "subscribe", name, count)
#define PJOINED(name, count) DONE("10", "psubscribe", name, count)
#define LEFT(name, count) DONE("11", "unsubscribe", name, count)
#define PLEFT(name, count) DONE("12", "punsubscribe", name, count)
#define MESSAGE(name, payload) "*3\r\n$7\r\nmessage\r\n" name "$1\r\n" payload "\r\n"
#define NOPERM                                                                                     \
	"-NOPERM this user has no permissions to access one of the channels used as "              \
	"arguments\r\n"

static struct test_conn *a, *b, *p;

static void
setup(void)
{
	test_setup();
	test_config.queue_groups = true;
	a = test_open();
	b = test_open();
	p = test_open();
}

START_TEST(subscribe_joins_and_messages_carry_the_subscribed_name)
{
	assert_says(a, "subscribe $queue/g/a $queue/g/a b",
	    JOINED(Q_A, "1") JOINED(Q_A, "1") JOINED("$1\r\nb\r\n", "2"));
	assert_says(b, "qsubscribe g a", "*4\r\n$10\r\nqsubscribe\r\n$1\r\ng\r\n$1\r\na\r\n:1\r\n");
	assert_says(p, "publish a 1", ":1\r\n");
	assert_says(p, "publish a 2", ":1\r\n");
	ck_assert_str_eq(test_read(a), MESSAGE(Q_A, "1"));
	ck_assert_str_eq(test_read(b), MESSAGE("$1\r\na\r\n", "2"));
	assert_says(p, "pubsub numsub a $queue/g/a $queue/g/b $queue/",
	    "*8\r\n$1\r\na\r\n:1\r\n" Q_A
	    ":2\r\n$10\r\n$queue/g/b\r\n:0\r\n$7\r\n$queue/\r\n:0\r\n");
	assert_says(p, "pubsub channels $queue/*", "*0\r\n");
	assert_says(p, "publish $queue/g/a x", ":0\r\n");
	ck_assert(a->subscriber);
	assert_says(a, "unsubscribe $queue/g/a $queue/g/a", LEFT(Q_A, "1") LEFT(Q_A, "1"));
	assert_says(p, "publish a 3", ":1\r\n");
	ck_assert_str_eq(test_read(b), MESSAGE("$1\r\na\r\n", "3"));
}
END_TEST

START_TEST(psubscribe_joins_with_a_pattern)
{
	test_call(b, "hello 3");
	assert_says(a, "psubscribe $queue/g/a*", PJOINED(Q_GLOB, "1"));
	test_call(b, "psubscribe $queue/g/a*");
	assert_says(p, "publish a1 1", ":1\r\n");
	assert_says(p, "publish a1 2", ":1\r\n");
	ck_assert_str_eq(test_read(a), "*4\r\n$8\r\npmessage\r\n" Q_GLOB "$2\r\na1\r\n$1\r\n1\r\n");
	ck_assert_str_eq(test_read(b), ">4\r\n$8\r\npmessage\r\n" Q_GLOB "$2\r\na1\r\n$1\r\n2\r\n");
	assert_says(a, "punsubscribe $queue/g/a*", PLEFT(Q_GLOB, "0"));
	/* SUBSCRIBE takes the name for a channel. */
	assert_says(a, "subscribe $queue/g/a*", JOINED(Q_GLOB, "1"));
	assert_says(p, "publish a1 3", ":1\r\n");
	ck_assert_str_eq(test_read(a), "");
}
END_TEST

START_TEST(without_arguments_all_that_were_joined_by_name_are_left)
{
	test_call(a, "subscribe x $queue/g/a");
	test_call(a, "psubscribe $queue/g/a*");
	test_call(a, "qsubscribe h a");
	assert_says(a, "unsubscribe", LEFT("$1\r\nx\r\n", "3") LEFT(Q_A, "2"));
	assert_says(a, "unsubscribe", LEFT("$-1\r\n", "2"));
	assert_says(a, "punsubscribe", PLEFT(Q_GLOB, "1"));
	assert_says(a, "unsubscribe $queue/h/a", LEFT("$10\r\n$queue/h/a\r\n", "1"));
	assert_says(a, "qunsubscribe", "*4\r\n$12\r\nqunsubscribe\r\n$1\r\nh\r\n$1\r\na\r\n:0\r\n");
	ck_assert(!a->subscriber);
	test_call(a, "subscribe $queue/g/a");
	assert_says(
	    a, "qunsubscribe g", "*4\r\n$12\r\nqunsubscribe\r\n$1\r\ng\r\n$1\r\na\r\n:0\r\n");
	test_call(a, "subscribe $queue/g/a");
	assert_says(a, "reset", "+RESET\r\n");
	assert_says(p, "publish a 1", ":0\r\n");
}
END_TEST

START_TEST(incomplete_names_are_refused_and_nothing_is_done)
{
	static const char *const names[] = {"$queue/", "$queue/g", "$queue/g/", "$queue//a"};
	char line[64], reply[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(reply, sizeof(reply),
		    "-ERR Invalid queue name '%s': must be $queue/GROUP/NAME\r\n", names[i]);
		snprintf(line, sizeof(line), "subscribe x %s", names[i]);
		assert_says(a, line, reply);
		snprintf(line, sizeof(line), "psubscribe x %s", names[i]);
		assert_says(a, line, reply);
		snprintf(line, sizeof(line), "ssubscribe %s", names[i]);
		ck_assert_ptr_nonnull(strstr(test_call(b, line), "ssubscribe"));
		snprintf(line, sizeof(line), "unsubscribe %s", names[i]);
		ck_assert_ptr_nonnull(strstr(test_call(a, line), ":0\r\n"));
	}
	ck_assert(!a->subscriber);
	ck_assert_ptr_nonnull(strstr(test_call(b, "ssubscribe $queue/g/a"), ":5\r\n"));
	assert_says(p, "publish a 1", ":0\r\n");
	test_config.hub.name_bytes = 9;
	assert_says(
	    a, "subscribe $queue/g/a", "-ERR channel name too long (max-channel-length 9)\r\n");
}
END_TEST

START_TEST(memberships_by_name_count_as_subscriptions)
{
	test_config.hub.subscriptions = 2;
	test_call(a, "subscribe x");
	test_call(a, "psubscribe $queue/g/a*");
	assert_says(a, "subscribe $queue/g/a",
	    "-ERR max number of subscriptions per client reached "
	    "(max-subscriptions-per-client 2)\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(p, "client list type pubsub"), " sub=1 psub=1 "));
	test_call(a, "unsubscribe x");
	test_call(a, "subscribe $queue/g/a");
	ck_assert_ptr_nonnull(strstr(test_call(p, "client list type pubsub"), " sub=1 psub=1 "));
}
END_TEST

START_TEST(rights_are_those_of_the_channel)
{
	test_call(p, "acl setuser u on nopass +@all &a &b* &$queue/g/c");
	test_call(a, "auth u x");
	assert_says(a, "subscribe $queue/g/a", JOINED(Q_A, "1"));
	assert_says(a, "subscribe $queue/g/c", NOPERM);
	assert_says(a, "subscribe x $queue/g/a", NOPERM);
	assert_says(a, "psubscribe $queue/g/a*", NOPERM);
	ck_assert_ptr_nonnull(strstr(test_call(a, "psubscribe $queue/g/b*"), ":2\r\n"));
	ck_assert_ptr_nonnull(strstr(test_call(p, "acl log 1"), "$6\r\nobject\r\n$2\r\na*\r\n"));
	assert_says(p, "acl dryrun u subscribe $queue/g/a", "+OK\r\n");
	assert_says(p, "acl dryrun u resume $queue/g/a 0", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(p, "acl dryrun u subscribe $queue/g/c"), "access"));
	ck_assert_ptr_nonnull(strstr(test_call(p, "acl dryrun u publish $queue/g/a 1"), "access"));
	assert_says(p, "acl setuser u resetchannels &b*", "+OK\r\n");
	test_turns(3);
	ck_assert_ptr_nonnull(a->killed);
}
END_TEST

START_TEST(a_transaction_joins_and_checks_the_rights_again)
{
	test_call(a, "multi");
	test_call(a, "subscribe $queue/g/a");
	assert_says(a, "exec", "*1\r\n" JOINED(Q_A, "1"));
	test_call(p, "acl setuser u on nopass +@all &a");
	test_call(b, "auth u x");
	test_call(b, "multi");
	test_call(b, "subscribe $queue/g/a");
	test_call(p, "acl setuser u resetchannels");
	ck_assert_ptr_nonnull(strstr(test_call(b, "exec"), "-NOPERM ACLs rules changed"));
}
END_TEST

START_TEST(a_queue_name_cannot_be_resumed)
{
	assert_says(p, "channel set * history-size 10 history-ttl 60", "+OK\r\n");
	assert_says(p, "channel set a replay 1", "+OK\r\n");
	test_call(p, "publish a 1");
	assert_says(
	    a, "resume $queue/g/a 0", "*1\r\n*4\r\n" Q_A "$4\r\nnone\r\n$3\r\n0-0\r\n:0\r\n");
	assert_says(a, "subscribe $queue/g/a", JOINED(Q_A, "1"));
	test_turns(2);
	ck_assert_str_eq(test_read(a), "");
}
END_TEST

START_TEST(without_the_directive_it_is_an_ordinary_channel)
{
	test_config.queue_groups = false;
	assert_says(a, "subscribe $queue/g/a", JOINED(Q_A, "1"));
	test_call(b, "subscribe $queue/ $queue/g/a");
	assert_says(p, "publish a 1", ":0\r\n");
	assert_says(p, "publish $queue/g/a 1", ":2\r\n");
	assert_says(p, "pubsub numsub $queue/g/a", "*2\r\n" Q_A ":2\r\n");
	ck_assert_str_eq(test_read(a), MESSAGE(Q_A, "1"));
	test_call(p, "acl setuser u on nopass +@all &a");
	ck_assert_ptr_nonnull(strstr(test_call(p, "acl dryrun u subscribe $queue/g/a"), "access"));
}
END_TEST

START_TEST(a_change_of_the_directive_leaves_nothing_that_cannot_be_ended)
{
	test_call(a, "subscribe $queue/g/a");
	test_config.queue_groups = false;
	assert_says(a, "subscribe $queue/g/a", JOINED(Q_A, "2"));
	assert_says(p, "publish a 1", ":1\r\n");
	assert_says(p, "publish $queue/g/a 2", ":1\r\n");
	ck_assert_str_eq(test_read(a), MESSAGE(Q_A, "1") MESSAGE(Q_A, "2"));
	assert_says(a, "unsubscribe $queue/g/a", LEFT(Q_A, "0"));
	test_call(a, "subscribe $queue/g/a");
	test_config.queue_groups = true;
	assert_says(a, "subscribe $queue/g/a", JOINED(Q_A, "2"));
	assert_says(a, "unsubscribe", LEFT(Q_A, "0"));
}
END_TEST

/* More memberships than one turn ends. */
START_TEST(many_memberships_are_left_in_slices)
{
	char line[64];

	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "%s%d",
		    i % 2 == 0 ? "subscribe $queue/g/" : "qsubscribe g ", i);
		test_call(a, line);
	}
	if (!test_send(a, "unsubscribe"))
		test_finish(a);
	test_read(a);
	assert_says(a, "unsubscribe", LEFT("$-1\r\n", "10000"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/queue_name", setup, test_teardown,
	    (const TTest *[]){subscribe_joins_and_messages_carry_the_subscribed_name,
		psubscribe_joins_with_a_pattern,
		without_arguments_all_that_were_joined_by_name_are_left,
		incomplete_names_are_refused_and_nothing_is_done,
		memberships_by_name_count_as_subscriptions, rights_are_those_of_the_channel,
		a_transaction_joins_and_checks_the_rights_again, a_queue_name_cannot_be_resumed,
		without_the_directive_it_is_an_ordinary_channel,
		a_change_of_the_directive_leaves_nothing_that_cannot_be_ended,
		many_memberships_are_left_in_slices, NULL});
}
