#include "config.h"

#include <check.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/server.h"
#include "server/statistics.h"

/* Publishers that no longer have to wait before a subscriber is closed for them. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

#define MESSAGE ((size_t)1 << 17)

static struct test_conn *slow, *x, *p, *admin;

static void
setup(void)
{
	test_setup();
	test_config.proto_max_bulk_bytes = 512 << 20;
	slow = test_open();
	x = test_open();
	p = test_open();
	admin = test_open();
	test_call(slow, "hello 3");
	test_call(x, "hello 3");
}

static enum wait_reason
reason_of(const struct test_conn *conn)
{
	return client_waits_for(conn->client);
}

static bool
send_large(struct test_conn *conn, const char *channel, size_t len)
{
	char *text = xcalloc(1, len);
	struct slice args[] = {SLICE("publish"), slice_of(channel), {text, len}};
	bool done = test_send_args(conn, args, 3);

	xfree(text);
	return done;
}

/* Queues a third of maxmemory-pubsub for slow, so that a message of p to x has no room. */
static void
fill_memory(void)
{
	test_config.outbox.bytes = 0;
	test_config.hub.memory_bytes = MESSAGE * 3;
	server_reconfigured(test_server);
	test_turns(2);
	test_call(slow, "subscribe a");
	test_call(x, "subscribe x");
	(void)send_large(admin, "a", MESSAGE);
	ck_assert_str_eq(test_finish(admin), ":1\r\n");
}

START_TEST(the_largest_debtor_is_closed_for_a_publisher_that_waits)
{
	uint64_t now_us = clock_mono_us();

	fill_memory();
	ck_assert(!send_large(p, "a", MESSAGE * 5 / 2));
	ck_assert_int_eq(reason_of(p), WAIT_MEMORY);
	ck_assert_uint_eq(test_server->statistics->counters.memory_waits, 1);
	test_turn(now_us + 500000);
	ck_assert_ptr_null(slow->killed);
	test_turn(now_us + 3000000); /* p is retried once */
	test_turn(now_us + 3000001);
	ck_assert_ptr_nonnull(slow->killed);
	ck_assert_str_eq(test_finish(p), ":0\r\n");
}
END_TEST

START_TEST(a_message_without_subscribers_closes_no_client)
{
	uint64_t now_us = clock_mono_us();

	fill_memory();
	ck_assert(!send_large(p, "x", MESSAGE * 5 / 2));
	ck_assert_int_eq(reason_of(p), WAIT_MEMORY);
	test_call(x, "unsubscribe x");
	for (int i = 1; i < 10; i++)
		test_turn(now_us + (uint64_t)i * 1000000);
	ck_assert_ptr_null(slow->killed);
	ck_assert(!p->later);
	assert_says(p, "ping", ":0\r\n+PONG\r\n");
}
END_TEST

START_TEST(the_time_in_which_a_publisher_was_paused_is_not_held_against_debtors)
{
	uint64_t since_us;

	fill_memory();
	ck_assert(!send_large(p, "x", MESSAGE * 5 / 2));
	since_us = p->client->pending->wait.memory_since_us;
	assert_says(admin, "client pause 60000 write", "+OK\r\n");
	test_turns(3);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	assert_says(admin, "client unpause", "+OK\r\n");
	while (clock_mono_us() == since_us)
		continue;
	test_turns(3);
	ck_assert_int_eq(reason_of(p), WAIT_MEMORY);
	ck_assert_uint_gt(p->client->pending->wait.memory_since_us, since_us);
}
END_TEST

START_TEST(nobody_is_closed_for_a_transaction_that_can_only_fail)
{
	static char text[MESSAGE * 5 / 2];
	struct slice args[] = {SLICE("publish"), SLICE("x"), {text, sizeof(text)}};
	uint64_t now_us = clock_mono_us();

	fill_memory();
	test_config.query_buffer_bytes = sizeof(text) * 2;
	test_call(p, "watch k");
	test_call(p, "multi");
	ck_assert(test_send_args(p, args, 3));
	(void)test_read(p);
	ck_assert(!test_send(p, "exec"));
	ck_assert_int_eq(reason_of(p), WAIT_MEMORY);
	assert_says(admin, "set k 1", "+OK\r\n");
	for (int i = 1; i < 10; i++)
		test_turn(now_us + (uint64_t)i * 1000000);
	ck_assert_ptr_null(slow->killed);
	ck_assert(!p->later);
	ck_assert_str_eq(test_read(p), "*-1\r\n");
}
END_TEST

START_TEST(nobody_is_closed_for_a_transaction_that_waits_for_room_and_can_only_fail)
{
	uint64_t now_us = clock_mono_us();

	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	assert_says(admin, "publish a 1", ":1\r\n");
	test_call(p, "watch k");
	test_call(p, "multi");
	test_call(p, "publish a 2");
	ck_assert(!test_send(p, "exec"));
	ck_assert_int_eq(reason_of(p), WAIT_ROOM);
	assert_says(admin, "set k 1", "+OK\r\n");
	for (int i = 1; i < 10; i++)
		test_turn(now_us + (uint64_t)i * 1000000);
	ck_assert_ptr_null(slow->killed);
	ck_assert(!p->later);
	ck_assert_str_eq(test_read(p), "*-1\r\n");
}
END_TEST

START_TEST(a_debtor_is_closed_for_many_publishers_when_each_was_tried_again)
{
	struct test_conn *many[300];
	uint64_t now_us = clock_mono_us();

	test_config.maxclients = 1000;
	fill_memory();
	for (size_t i = 0; i < 300; i++) {
		many[i] = test_open();
		ck_assert(!send_large(many[i], "x", MESSAGE * 5 / 2));
	}
	test_turn(now_us + 3000000);
	test_turn(now_us + 3000001);
	ck_assert_ptr_null(slow->killed);
	for (int i = 2; i < 5; i++)
		test_turn(now_us + 3000000 + (uint64_t)i);
	ck_assert_ptr_nonnull(slow->killed);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/wait_retry", setup, test_teardown,
	    (const TTest *[]){the_largest_debtor_is_closed_for_a_publisher_that_waits,
		a_message_without_subscribers_closes_no_client,
		the_time_in_which_a_publisher_was_paused_is_not_held_against_debtors,
		nobody_is_closed_for_a_transaction_that_can_only_fail,
		nobody_is_closed_for_a_transaction_that_waits_for_room_and_can_only_fail,
		a_debtor_is_closed_for_many_publishers_when_each_was_tried_again, NULL});
}
