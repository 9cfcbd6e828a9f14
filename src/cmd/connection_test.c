#include "config.h"

#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/server.h"
#include "server/statistics.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

#define NOAUTH "-NOAUTH Authentication required.\r\n"
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

static struct test_conn *
open_with_password(void)
{
	test_config.requirepass = "secret";
	server_reconfigured(test_server);
	return test_open();
}

START_TEST(hello_tells_who_is_there_in_the_form_asked_for)
{
	assert_says(c, "hello",
	    "*16\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:"
	    "2\r\n"
	    "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
	    "$7\r\nmodules\r\n*0\r\n$7\r\nfanfare\r\n$5\r\n" PACKAGE_VERSION "\r\n");
	ck_assert_int_eq(strncmp(test_call(c, "hello 3"), "%8\r\n", 4), 0);
	ck_assert_int_eq(strncmp(test_call(c, "hello 2"), "*16\r\n", 5), 0);
}
END_TEST

START_TEST(hello_says_what_is_wrong_and_changes_nothing)
{
	assert_says(c, "hello 4", "-NOPROTO unsupported protocol version\r\n");
	assert_says(c, "hello x", "-ERR Protocol version is not an integer or out of range\r\n");
	assert_says(c, "hello 3 auth", "-ERR Syntax error in HELLO option 'auth'\r\n");
	assert_says(c, "hello 3 setname", "-ERR Syntax error in HELLO option 'setname'\r\n");
	assert_says(c, "hello 3 setname a foo", "-ERR Syntax error in HELLO option 'foo'\r\n");
	assert_says(c, "hello 3 setname a\n",
	    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
	assert_says(c, "hello 3 setname a auth nobody x", WRONGPASS);
	ck_assert_uint_eq(c->client->proto, 2);
	assert_says(c, "client getname", "$-1\r\n");
}
END_TEST

START_TEST(hello_sets_protocol_and_name_at_once)
{
	test_call(c, "hello 3 auth default x setname me");
	assert_says(c, "client getname", "$2\r\nme\r\n");
	ck_assert_uint_eq(c->client->proto, 3);
}
END_TEST

START_TEST(auth_without_a_password_configured_is_as_in_redis)
{
	assert_says(c, "auth x",
	    "-ERR AUTH <password> called without any password configured for the default user. Are "
	    "you sure your configuration is correct?\r\n");
	assert_says(c, "auth default anything", "+OK\r\n");
	assert_says(c, "auth nobody x", WRONGPASS);
	assert_says(c, "auth a b c", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(before_auth_only_a_few_commands_are_allowed)
{
	struct test_conn *n = open_with_password();

	ck_assert(n->unauthenticated);
	assert_says(n, "ping", NOAUTH);
	assert_says(n, "subscribe a", NOAUTH);
	assert_says(n, "foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
	ck_assert_int_eq(strncmp(test_call(n, "hello 3"), "-NOAUTH HELLO must be called", 28), 0);
	ck_assert_uint_eq(n->client->proto, 2);
	assert_says(n, "reset", "+RESET\r\n");
	assert_says(n, "quit", "+OK\r\n");
}
END_TEST

START_TEST(the_right_password_and_no_other_opens)
{
	struct test_conn *n = open_with_password();

	assert_says(n, "auth secre", WRONGPASS);
	assert_says(n, "auth secrets", WRONGPASS);
	assert_says(n, "auth \"\"", WRONGPASS);
	assert_says(n, "auth secretsecret", WRONGPASS);
	assert_says(n, "auth nobody secret", WRONGPASS);
	assert_says(n, "ping", NOAUTH);
	ck_assert_uint_eq(test_server->statistics->counters.auth_failures, 5);
	assert_says(n, "auth secret", "+OK\r\n");
	ck_assert(!n->unauthenticated);
	assert_says(n, "ping", "+PONG\r\n");
	assert_says(n, "reset", "+RESET\r\n");
	assert_says(n, "ping", NOAUTH);
	ck_assert(n->unauthenticated);
	ck_assert_int_eq(strncmp(test_call(n, "hello 3 auth default secret"), "%8", 2), 0);
}
END_TEST

START_TEST(who_came_before_the_password_was_set_stays_in)
{
	struct test_conn *n = open_with_password();

	assert_says(c, "ping", "+PONG\r\n");
	assert_says(n, "ping", NOAUTH);
	test_config.requirepass = "";
	server_reconfigured(test_server);
	assert_says(n, "ping", "+PONG\r\n");
}
END_TEST

/* Some Redis clients reject fields that they do not know. */
START_TEST(a_client_is_described_in_the_fields_of_redis_and_no_others)
{
	struct buffer line = {0};

	test_call(c, "hello 3 setname me");
	test_call(c, "subscribe a b");
	test_call(c, "ssubscribe s");
	test_call(c, "client id");
	client_describe(c->client, c->client->peer->created_us + 2500000, &line);
	buffer_append(&line, "", 1);
	ck_assert_ptr_nonnull(strstr(line.ptr,
	    "id=1 addr=127.0.0.1:5000 laddr=127.0.0.1:6379 fd=7 name=me age=2 idle=2 flags=P db=0 "
	    "sub=2 psub=0 ssub=1 multi=-1 qbuf=10 qbuf-free=20 argv-mem=0 multi-mem=0 rbs=0 rbp=0 "
	    "obl=0 oll=0 omem=0 tot-mem="));
	ck_assert_str_eq(strstr(line.ptr, " events="),
	    " events=r cmd=client|id user=default redir=-1 resp=3 lib-name= lib-ver=");
	buffer_release(&line);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/connection", setup, test_teardown,
	    (const TTest *[]){hello_tells_who_is_there_in_the_form_asked_for,
		hello_says_what_is_wrong_and_changes_nothing, hello_sets_protocol_and_name_at_once,
		auth_without_a_password_configured_is_as_in_redis,
		before_auth_only_a_few_commands_are_allowed, the_right_password_and_no_other_opens,
		who_came_before_the_password_was_set_stays_in,
		a_client_is_described_in_the_fields_of_redis_and_no_others, NULL});
}
