#include "config.h"

#include "acl/limits.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "acl/user.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/outbox.h"
#include "server/access.h"
#include "server/server.h"

static struct acl_limits limits;
static struct buffer text;
static struct test_conn *c;

static void
setup(void)
{
	limits = (struct acl_limits){0};
	text = (struct buffer){0};
	test_setup();
	c = test_open();
}

static void
teardown(void)
{
	buffer_release(&text);
	test_teardown();
}

static bool
apply(const char *rule)
{
	ck_assert(acl_is_limit(slice_of(rule)));
	return acl_limits_apply(&limits, slice_of(rule));
}

static void
assert_says(struct test_conn *conn, const char *line, const char *expected)
{
	ck_assert_str_eq(test_call(conn, line), expected);
}

static struct test_conn *
open_as(const char *limit)
{
	struct test_conn *conn = test_open();
	char line[128];

	snprintf(line, sizeof(line), "acl setuser u on nopass +@all ~* &* %s", limit);
	assert_says(c, line, "+OK\r\n");
	assert_says(conn, "auth u x", "+OK\r\n");
	return conn;
}

START_TEST(only_limits_that_are_set_are_shown)
{
	ck_assert(!limits.any);
	acl_limits_describe(&limits, &text);
	ck_assert_uint_eq(text.len, 0);
	ck_assert(apply("limit:connections=10"));
	ck_assert(apply("limit:outbox-bytes=1000000"));
	ck_assert(apply("limit:policies=drop-oldest,disconnect"));
	ck_assert(limits.any);
	acl_limits_describe(&limits, &text);
	ck_assert(slice_is(buffer_slice(&text),
	    " limit:connections=10 limit:outbox-bytes=1000000 limit:policies=disconnect,"
	    "drop-oldest"));
	ck_assert(apply("limit:connections=0") && apply("limit:outbox-bytes=0") &&
		  apply("limit:policies="));
	ck_assert(!limits.any);
}
END_TEST

START_TEST(an_unknown_limit_is_refused)
{
	ck_assert(!acl_is_limit(SLICE("limit")));
	ck_assert(!apply("limit:"));
	ck_assert(!apply("limit:connections"));
	ck_assert(!apply("limit:connections=x"));
	ck_assert(!apply("limit:connections=-1"));
	ck_assert(!apply("limit:connections=4294967296"));
	ck_assert(!apply("limit:nosuch=1"));
	ck_assert(!apply("limit:policies=nosuch"));
	ck_assert(!limits.any);
}
END_TEST

static int
published_of(int tries, struct acl_rate *rate, size_t len, uint64_t now_us)
{
	int passed = 0;

	for (; tries > 0; tries--) {
		if (!acl_rate_allows(rate, &limits, now_us))
			continue;
		acl_rate_count(rate, &limits, len, now_us);
		passed++;
	}
	return passed;
}

START_TEST(a_second_of_messages_passes_at_once_and_then_the_rate)
{
	struct acl_rate rate = {0};

	ck_assert(apply("limit:publish-messages=100"));
	ck_assert_int_eq(published_of(500, &rate, 1, 5000000), 100);
	ck_assert_int_eq(published_of(500, &rate, 1, 5100000), 10);
	ck_assert_int_eq(published_of(500, &rate, 1, 9000000), 100);
}
END_TEST

START_TEST(a_message_larger_than_a_second_passes_and_is_paid_for_after)
{
	struct acl_rate rate = {0};

	ck_assert(apply("limit:publish-bytes=1000"));
	ck_assert_int_eq(published_of(5, &rate, 10000, 5000000), 1);
	ck_assert_int_eq(published_of(5, &rate, 10, 13999999), 0);
	ck_assert_int_eq(published_of(1, &rate, 10, 14001000), 1);
}
END_TEST

START_TEST(connections_of_a_user_are_counted_as_they_come_and_go)
{
	struct test_conn *a = open_as("limit:connections=2"), *b = test_open(), *d = test_open();

	assert_says(b, "auth u x", "+OK\r\n");
	assert_says(d, "auth u x",
	    "-ERR max number of connections of this user reached (limit:connections 2)\r\n");
	assert_says(a, "auth u x", "+OK\r\n");
	assert_says(b, "reset", "+RESET\r\n");
	assert_says(d, "auth u x", "+OK\r\n");
	assert_says(b, "acl whoami", "$7\r\ndefault\r\n");
	test_close(a);
	assert_says(b, "auth u x", "+OK\r\n");
	ck_assert(!server_log_in(c->client, SLICE("u")));
	test_close(b);
	ck_assert(server_log_in(c->client, SLICE("u")));
	ck_assert(!server_log_in(c->client, SLICE("nosuch")));
	assert_says(c, "acl whoami", "$1\r\nu\r\n");
}
END_TEST

START_TEST(subscriptions_of_a_client_are_bounded_by_its_user)
{
	struct test_conn *u = open_as("limit:subscriptions=2");

	test_call(u, "subscribe a b");
	assert_says(u, "subscribe a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
	assert_says(u, "psubscribe p*",
	    "-ERR max number of subscriptions per client of this user reached "
	    "(limit:subscriptions 2)\r\n");
	assert_says(c, "pubsub numpat", ":0\r\n");
	test_call(u, "unsubscribe a");
	assert_says(u, "psubscribe p*", "*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:2\r\n");
}
END_TEST

START_TEST(publishing_is_bounded_for_all_connections_of_a_user)
{
	struct test_conn *u = open_as("limit:publish-messages=3"), *v = test_open();

	assert_says(v, "auth u x", "+OK\r\n");
	assert_says(u, "publish a x", ":0\r\n");
	assert_says(v, "publish a x", ":0\r\n");
	assert_says(u, "spublish a x", ":0\r\n");
	assert_says(v, "publish a x", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "publish a x", ":0\r\n");
}
END_TEST

START_TEST(the_outbox_is_what_the_user_may_have)
{
	struct test_conn *u = open_as("limit:outbox-bytes=5000 limit:policies=drop-newest");
	const struct outbox_limits *held = &server_outbox(u->client)->limits;

	ck_assert_uint_eq(held->bytes, 5000);
	ck_assert_int_eq(held->policy, OUTBOX_DROP_NEWEST);
	assert_says(
	    u, "outbox set policy block", "-ERR this user may not choose this outbox policy\r\n");
	assert_says(u, "outbox set policy drop-newest bytes 4000", "+OK\r\n");
	ck_assert_uint_eq(held->bytes, 4000);
	assert_says(
	    c, "acl setuser u limit:outbox-bytes=3000 limit:policies=drop-oldest", "+OK\r\n");
	test_turn(test_server->now_us + 2000000);
	ck_assert_uint_eq(held->bytes, 3000);
	ck_assert_int_eq(held->policy, OUTBOX_DROP_OLDEST);
	assert_says(u, "reset", "+RESET\r\n");
	ck_assert_uint_eq(held->bytes, 1 << 20);
}
END_TEST

START_TEST(connections_of_default_count_once_they_are_let_in)
{
	struct test_conn *waiting, *a, *b;

	test_config.requirepass = "p";
	server_reconfigured(test_server);
	assert_says(c, "acl setuser default limit:connections=2", "+OK\r\n");
	waiting = test_open();
	a = test_open();
	b = test_open();
	assert_says(a, "auth p", "+OK\r\n");
	assert_says(a, "auth p", "+OK\r\n");
	assert_says(b, "auth p",
	    "-ERR max number of connections of this user reached (limit:connections 2)\r\n");
	assert_says(b, "ping", "-NOAUTH Authentication required.\r\n");
	assert_says(a, "reset", "+RESET\r\n");
	assert_says(b, "auth p", "+OK\r\n");
	assert_says(waiting, "auth p",
	    "-ERR max number of connections of this user reached (limit:connections 2)\r\n");
	test_close(b);
	assert_says(waiting, "auth p", "+OK\r\n");
}
END_TEST

START_TEST(another_rate_forgives_what_was_published_under_the_last)
{
	struct test_conn *u = open_as("limit:publish-bytes=1");

	assert_says(u, "publish a 1234567890123456789012345678901234567890", ":0\r\n");
	assert_says(u, "publish a 1", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "acl setuser u limit:subscriptions=9 limit:publish-bytes=1", "+OK\r\n");
	assert_says(u, "publish a 1", "-ERR max publish rate of this user reached\r\n");
	assert_says(c, "acl setuser u limit:publish-bytes=1000", "+OK\r\n");
	assert_says(u, "publish a 1", ":0\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/acl_limits", setup, teardown,
	    (const TTest *[]){only_limits_that_are_set_are_shown, an_unknown_limit_is_refused,
		a_second_of_messages_passes_at_once_and_then_the_rate,
		a_message_larger_than_a_second_passes_and_is_paid_for_after,
		connections_of_a_user_are_counted_as_they_come_and_go,
		subscriptions_of_a_client_are_bounded_by_its_user,
		publishing_is_bounded_for_all_connections_of_a_user,
		the_outbox_is_what_the_user_may_have,
		connections_of_default_count_once_they_are_let_in,
		another_rate_forgives_what_was_published_under_the_last, NULL});
}
