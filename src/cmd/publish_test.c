#include "config.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "cmd/testing_server.h"

/* The publishing commands beyond PUBLISH, whose tests are in pubsub_test.c. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define MESSAGE(payload) ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n" payload "\r\n"

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

int
main(void)
{
	return testing_main("cmd/publish", setup, test_teardown,
	    (const TTest *[]){a_client_without_echo_does_not_get_what_it_publishes,
		echo_is_yes_or_no_until_reset,
		a_transaction_without_echo_does_not_wait_for_its_own_client, NULL});
}
