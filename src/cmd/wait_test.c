#include "config.h"

#include "server/wait.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/pause.h"
#include "server/server.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

#define LARGE ((size_t)5 << 20)

static struct test_conn *slow, *p, *q, *admin;

static void
setup(void)
{
	test_setup();
	test_config.proto_max_bulk_bytes = 512 << 20;
	slow = test_open();
	p = test_open();
	q = test_open();
	admin = test_open();
	test_call(slow, "hello 3");
}

/* The sweep applies the new limits to the clients. */
static void
reconfigure(void)
{
	server_reconfigured(test_server);
	test_turns(2);
}

static enum wait_reason
reason_of(const struct test_conn *conn)
{
	return client_waits_for(conn->client);
}

/* A client that waits for this reason, as if its command had to. */
static struct test_conn *
wait_for(enum wait_reason reason)
{
	struct test_conn *conn = test_open();

	ck_assert(test_send(conn, "ping"));
	(void)test_read(conn);
	pending_begin(conn->client);
	conn->client->pending->login_at_us = reason == WAIT_LOGIN ? INT64_MAX : 0;
	if (reason == WAIT_KEY) {
		ck_assert(!test_send(conn, "blpop key 0"));
		return conn;
	}
	if (reason == WAIT_NOT)
		return conn;
	if (reason == WAIT_RESUMED) {
		(void)wait_begin(conn->client, WAIT_DISK);
		wait_event(test_server, WAIT_EVENT_DISK);
		wait_resume(test_server);
	} else {
		(void)wait_begin(conn->client, reason);
	}
	conn->resumed = 0;
	ck_assert_int_eq(reason_of(conn), reason);
	return conn;
}

/* The effect of the event: "stays", "retries" or "ends". */
static const char *
fire(struct test_conn *conn, enum wait_reason reason, enum wait_event event)
{
	if (event < WAIT_EVENT_NEXT) {
		wait_event(test_server, event);
		if (reason != WAIT_TURN) /* it is resumed in any case */
			wait_resume(test_server);
	} else {
		wait_event_of(conn->client, event);
	}
	if (conn->resumed > 0) {
		ck_assert_int_eq(reason_of(conn), WAIT_RESUMED);
		return "retries";
	}
	if (reason_of(conn) == reason)
		return "stays";
	ck_assert_int_eq(reason_of(conn), WAIT_NOT);
	return "ends";
}

/* A letter for each event, in the order of enum wait_event. */
static const char *const expected[WAIT_REASONS] = {
    [WAIT_NOT] = ".................",
    [WAIT_RESUMED] = "................E",
    [WAIT_JOB] = ".............R..E",
    [WAIT_TURN] = ".........R......E",
    [WAIT_ROOM] = "R...R.RR........E",
    [WAIT_MEMORY] = ".R..R.RR........E",
    [WAIT_DISK] = "..R...R.........E",
    [WAIT_SAVE] = "...R..R.........E",
    [WAIT_PAUSE] = ".....RR.........E",
    [WAIT_KEY] = "...........R....E",
    [WAIT_LOGIN] = "..........R.....E",
    [WAIT_HISTORY] = "......R.....R...E",
    [WAIT_TOKEN] = "..............R.E",
    [WAIT_SYNC] = "..R...R...R.....E",
    [WAIT_UPSTREAM_NAMES] = "......R.R......RE",
    [WAIT_UPSTREAM] = "....R.RRR.......E",
    [WAIT_UPSTREAM_PRESENCE] = "...............RE",
    [WAIT_POSITION] = "...............RE",
};

START_TEST(each_event_does_to_each_waiting_client_what_the_table_says)
{
	for (int reason = 0; reason < WAIT_REASONS; reason++)
		for (int event = 0; event < WAIT_EVENTS; event++) {
			struct test_conn *conn = wait_for((enum wait_reason)reason);
			const char *became =
			    fire(conn, (enum wait_reason)reason, (enum wait_event)event);
			char letter = expected[reason][event];
			const char *should = letter == 'R'   ? "retries"
					     : letter == 'E' ? "ends"
							     : "stays";

			ck_assert_msg(strcmp(became, should) == 0,
			    "reason %d, event %d: %s, not %s", reason, event, became, should);
			test_close(conn);
			for (int i = 0; i < WAIT_REASONS; i++)
				ck_assert_uint_eq(test_server->waits->queues[i].count, 0);
			ck_assert_uint_eq(test_server->waits->round_pending, 0);
			ck_assert_uint_eq(test_server->blocked->count, 0);
		}
}
END_TEST

/* slow has no room in its outbox, and conn waits for it. */
static void
wait_for_slow(struct test_conn *conn)
{
	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	assert_says(q, "publish a 1", ":1\r\n");
	ck_assert(!test_send(conn, "publish a 2"));
	ck_assert_int_eq(reason_of(conn), WAIT_ROOM);
	ck_assert_int_eq(slow->client->subscriber.awaited, HUB_AWAITED);
}

static void
assert_not_closed_later(struct test_conn *conn)
{
	uint64_t now_us = clock_mono_us();

	test_turns(3);
	for (int i = 1; i < 10; i++)
		test_turn(now_us + (uint64_t)i * 1000000);
	ck_assert_ptr_null(conn->killed);
}

START_TEST(a_subscriber_that_unsubscribes_is_waited_for_no_longer)
{
	test_call(slow, "subscribe other");
	wait_for_slow(p);
	ck_assert(test_send(slow, "unsubscribe a"));
	ck_assert_str_eq(test_finish(p), ":0\r\n");
	assert_not_closed_later(slow);
	ck_assert_int_eq(slow->client->subscriber.awaited, HUB_NOT_AWAITED);
}
END_TEST

START_TEST(a_subscriber_that_is_reset_or_changes_its_policy_is_waited_for_no_longer)
{
	static const struct {
		const char *line, *reply;
	} ways[] = {{"outbox set policy drop-oldest", ":2\r\n"},
	    {"outbox set messages 0", ":2\r\n"}, {"punsubscribe", ":0\r\n"}, {"reset", ":0\r\n"}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		slow = test_open();
		test_call(slow, "hello 3");
		test_call(slow, "outbox set policy block messages 2");
		test_call(slow, "psubscribe a* *");
		assert_says(q, "publish a 1", ":2\r\n");
		ck_assert(!test_send(p, "publish a 2"));
		if (i == 2)
			ck_assert(test_send(slow, "punsubscribe *"));
		ck_assert(test_send(slow, ways[i].line));
		ck_assert_str_eq(test_finish(p), ways[i].reply);
		assert_not_closed_later(slow);
		test_close(slow);
	}
}
END_TEST

START_TEST(a_subscriber_that_is_killed_is_waited_for_no_longer)
{
	wait_for_slow(p);
	client_kill(slow->client, "test");
	test_close(slow);
	ck_assert_str_eq(test_finish(p), ":0\r\n");
}
END_TEST

START_TEST(a_publisher_that_leaves_is_not_held_against_the_subscriber)
{
	wait_for_slow(p);
	client_kill(p->client, "test");
	ck_assert_int_eq(reason_of(p), WAIT_NOT);
	assert_not_closed_later(slow);
	ck_assert_int_eq(slow->client->subscriber.awaited, HUB_NOT_AWAITED);
	(void)test_read(slow);
	test_turns(2);
	ck_assert_str_eq(test_read(slow), "");
}
END_TEST

START_TEST(the_time_is_that_of_the_publishers_that_still_wait)
{
	uint64_t now_us = clock_mono_us();

	wait_for_slow(p);
	ck_assert(!test_send(q, "publish a 3"));
	q->client->pending->publication.since_us += 3000000; /* as if q had begun to wait then */
	test_turn(now_us + 4000000);
	test_close(p);
	test_turn(now_us + 4100000);
	test_turn(now_us + 4200000);
	test_turn(now_us + 7000000);
	ck_assert_ptr_null(slow->killed);
	for (uint64_t i = 0; i < 3; i++) /* q is retried once */
		test_turn(now_us + 9000000 + i);
	ck_assert_ptr_nonnull(slow->killed);
	ck_assert_str_eq(test_finish(q), ":0\r\n");
}
END_TEST

START_TEST(a_waiting_publisher_obeys_rules_pauses_and_limits_at_once)
{
	assert_says(admin, "acl setuser u on nopass +@all ~* &*", "+OK\r\n");
	assert_says(p, "auth u x", "+OK\r\n");
	wait_for_slow(p);
	assert_says(admin, "client pause 60000 write", "+OK\r\n");
	test_turns(3);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	assert_not_closed_later(slow);
	assert_says(admin, "client unpause", "+OK\r\n");
	test_turns(3);
	ck_assert_int_eq(reason_of(p), WAIT_ROOM);
	assert_says(admin, "acl setuser u resetchannels", "+OK\r\n");
	ck_assert_int_eq(strncmp(test_finish(p), "-NOPERM", 7), 0);
	assert_not_closed_later(slow);
	assert_says(admin, "acl setuser u allchannels", "+OK\r\n");
	ck_assert(!test_send(p, "publish a 2"));
	test_config.hub.name_bytes = 0;
	reconfigure();
	ck_assert_str_eq(test_finish(p), "-ERR channel name too long (max-channel-length 0)\r\n");
	assert_not_closed_later(slow);
	ck_assert_uint_eq(waits_blocked(test_server->waits), 0);
}
END_TEST

static bool
send_large(struct test_conn *conn, const char *channel, size_t len)
{
	char *text = xcalloc(1, len);
	struct slice args[] = {SLICE("publish"), slice_of(channel), {text, len}};
	bool done = test_send_args(conn, args, 3);

	xfree(text);
	return done;
}

/* Checks that no memory is claimed for drafts. */
static void
assert_no_drafts(void)
{
	ck_assert_uint_eq(hub_memory_claimed(test_server->hub), hub_memory(test_server->hub));
	ck_assert(!hub_memory_can_shrink(test_server->hub));
}

START_TEST(a_large_message_under_way_obeys_rules_pauses_and_limits)
{
	test_config.outbox.bytes = 0;
	reconfigure();
	assert_says(admin, "acl setuser u on nopass +@all ~* &*", "+OK\r\n");
	assert_says(p, "auth u x", "+OK\r\n");
	test_call(slow, "subscribe a");
	ck_assert(!send_large(p, "a", LARGE));
	ck_assert_int_eq(reason_of(p), WAIT_TURN);
	assert_says(admin, "client pause 60000 write", "+OK\r\n");
	test_turns(20);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	assert_no_drafts();
	assert_says(admin, "client unpause", "+OK\r\n");
	test_turns(1);
	ck_assert_int_eq(reason_of(p), WAIT_TURN);
	assert_says(admin, "acl setuser u resetchannels", "+OK\r\n");
	ck_assert_int_eq(strncmp(test_finish(p), "-NOPERM", 7), 0);
	assert_no_drafts();
	assert_says(admin, "acl setuser u allchannels", "+OK\r\n");
	ck_assert(!send_large(p, "a", LARGE));
	test_config.hub.name_bytes = 0;
	ck_assert_str_eq(test_finish(p), "-ERR channel name too long (max-channel-length 0)\r\n");
	assert_no_drafts();
	test_config.hub.name_bytes = 100;
	ck_assert(!send_large(p, "a", LARGE));
	test_config.hub.memory_bytes = LARGE / 2;
	ck_assert_int_eq(strncmp(test_finish(p), "-OOM", 4), 0);
	assert_no_drafts();
	ck_assert_str_eq(test_read(slow), "");
}
END_TEST

/* The two messages together do not fit into memory; the loop must not retry them each turn. */
START_TEST(two_large_publishers_under_block_do_not_keep_the_loop_busy)
{
	test_config.outbox.bytes = 0;
	test_config.hub.memory_bytes = LARGE * 3 / 2;
	reconfigure();
	test_call(slow, "outbox set policy block messages 2");
	test_call(slow, "subscribe a z");
	assert_says(q, "publish z 1", ":1\r\n");
	assert_says(q, "publish z 2", ":1\r\n");
	ck_assert(!send_large(p, "a", LARGE));
	ck_assert(!send_large(q, "a", LARGE));
	test_turns(3);
	p->resumed = q->resumed = 0;
	for (int i = 0; i < 50; i++) {
		server_turn(test_server, clock_mono_us(), 2000);
		server_flushed(test_server);
		ck_assert_int_eq(p->resumed, 0);
		ck_assert_int_eq(q->resumed, 0);
	}
	ck_assert_int_eq(reason_of(p), WAIT_ROOM);
	ck_assert_int_eq(reason_of(q), WAIT_ROOM);
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(p), ":1\r\n");
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(q), ":1\r\n");
	assert_not_closed_later(slow);
}
END_TEST

START_TEST(room_that_a_copy_begins_with_stays_for_it)
{
	test_config.outbox.bytes = 0;
	reconfigure();
	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a z");
	ck_assert(!send_large(p, "a", LARGE));
	ck_assert(!test_send(q, "publish z 1"));
	ck_assert_str_eq(test_finish(p), ":1\r\n");
	ck_assert(q->later);
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(q), ":1\r\n");
}
END_TEST

/* A notification does not wait for room in an outbox. */
START_TEST(a_copy_that_must_wait_holds_no_memory)
{
	test_config.outbox.bytes = 0;
	test_config.notify_events = UINT32_MAX;
	reconfigure();
	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a __keyevent@0__:set");
	ck_assert(!send_large(p, "a", LARGE));
	ck_assert(hub_memory_can_shrink(test_server->hub));
	assert_says(q, "set k v", "+OK\r\n");
	test_turns(3);
	ck_assert_int_eq(reason_of(p), WAIT_ROOM);
	ck_assert_uint_eq(hub_memory_claimed(test_server->hub), hub_memory(test_server->hub));
	ck_assert_uint_lt(hub_memory(test_server->hub), LARGE);
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(p), ":1\r\n");
	(void)test_read(slow);
	assert_no_drafts();
}
END_TEST

START_TEST(a_large_publisher_is_not_starved_by_small_ones)
{
	struct test_conn *small[3];
	char text[1001], line[1100], medium[901];
	int turns = 0;

	memset(text, 'l', 1000);
	text[1000] = '\0';
	memset(medium, 's', 300);
	medium[300] = '\0';
	test_call(slow, "outbox set policy block bytes 1200");
	test_call(slow, "subscribe a");
	for (int i = 0; i < 3; i++) {
		small[i] = test_open();
		snprintf(line, sizeof(line), "publish a %s", medium);
		(void)test_send(small[i], line);
	}
	snprintf(line, sizeof(line), "publish a %s", text);
	ck_assert(!test_send(p, line));
	snprintf(line, sizeof(line), "publish a %s", medium);
	for (; p->later && turns < 50; turns++) {
		struct iovec piece;

		/* slow reads 340 bytes a turn: a message of 300 bytes and its head. */
		if (outbox_peek(server_outbox(slow->client), &piece, 1) > 0)
			outbox_consume(
			    server_outbox(slow->client), piece.iov_len < 340 ? piece.iov_len : 340);
		for (int i = 0; i < 3; i++)
			if (!small[i]->later)
				(void)test_send(small[i], line);
		test_turns(1);
	}
	ck_assert_int_lt(turns, 20);
}
END_TEST

START_TEST(who_waits_for_two_subscribers_comes_to_its_end_and_so_do_those_behind_it)
{
	struct test_conn *other = test_open();

	test_call(slow, "outbox set policy block messages 1");
	test_call(other, "outbox set policy block messages 1");
	test_call(slow, "subscribe a both");
	test_call(other, "subscribe b both");
	assert_says(admin, "publish both 0", ":2\r\n");
	ck_assert(!test_send(p, "publish both 1"));
	ck_assert(!test_send(q, "publish a 2"));
	(void)test_read(slow);
	test_turns(3);
	ck_assert(p->later); /* the outbox of `other` is full */
	ck_assert(q->later); /* p has waited longer than q */
	(void)test_read(other);
	ck_assert_str_eq(test_finish(p), ":2\r\n");
	ck_assert(q->later);
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(q), ":1\r\n");
}
END_TEST

START_TEST(room_is_kept_for_a_publisher_for_a_moment_only)
{
	struct test_conn *other = test_open();
	uint64_t now_us = clock_mono_us();

	test_call(slow, "outbox set policy block messages 1");
	test_call(other, "outbox set policy block messages 1");
	test_call(slow, "subscribe a both");
	test_call(other, "subscribe both");
	assert_says(admin, "publish both 0", ":2\r\n");
	ck_assert(!test_send(p, "publish both 1"));
	ck_assert(!test_send(q, "publish a 2"));
	(void)test_read(slow);
	test_turn(now_us);
	test_turn(now_us + 500000);
	ck_assert(q->later);
	test_turn(now_us + 2000000);
	test_turn(now_us + 2000001);
	test_turn(now_us + 2000002);
	ck_assert(!q->later);
	ck_assert(p->later);
}
END_TEST

/* Queues so much for slow that a message of conn has no room under maxmemory-pubsub. */
static void
wait_for_memory(struct test_conn *conn)
{
	test_config.outbox.bytes = 0;
	test_config.hub.memory_bytes = LARGE * 2;
	reconfigure();
	test_call(slow, "subscribe a");
	for (int i = 0; i < 3; i++) {
		(void)send_large(q, "a", LARGE / 3);
		ck_assert_str_eq(test_finish(q), ":1\r\n");
	}
	ck_assert(!send_large(conn, "a", LARGE * 3 / 2));
	ck_assert_int_eq(reason_of(conn), WAIT_MEMORY);
}

START_TEST(nobody_is_closed_for_a_publisher_that_left_or_that_a_limit_refuses)
{
	wait_for_memory(p);
	assert_says(admin, "client pause 60000 write", "+OK\r\n");
	ck_assert(!test_send(q, "set k v")); /* waits, but not for memory */
	test_close(p);
	assert_not_closed_later(slow);
	ck_assert_int_eq(reason_of(q), WAIT_PAUSE);
	assert_says(admin, "client unpause", "+OK\r\n");
	ck_assert_str_eq(test_finish(q), "+OK\r\n");
	p = test_open();
	ck_assert(!send_large(p, "a", LARGE * 3 / 2));
	test_config.hub.memory_bytes = LARGE * 5 / 4; /* fits the queue, not the message */
	reconfigure();
	ck_assert_int_eq(strncmp(test_finish(p), "-OOM", 4), 0);
	assert_not_closed_later(slow);
}
END_TEST

START_TEST(a_copy_that_is_under_way_costs_nobody_the_connection)
{
	test_config.outbox.bytes = 0;
	test_config.hub.memory_bytes = LARGE * 3;
	reconfigure();
	test_call(slow, "subscribe a");
	assert_says(q, "publish a 1", ":1\r\n");
	ck_assert(!send_large(p, "a", LARGE));
	ck_assert_int_eq(reason_of(p), WAIT_TURN);
	test_config.hub.memory_bytes = LARGE / 2; /* lowered during the copy */
	server_reconfigured(test_server);
	assert_not_closed_later(slow);
	ck_assert_int_eq(strncmp(test_finish(p), "-OOM", 4), 0);
}
END_TEST

START_TEST(a_paused_publisher_is_no_reason_to_close_anybody)
{
	wait_for_memory(p);
	assert_says(admin, "client pause 60000 write", "+OK\r\n");
	test_turns(2);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	assert_not_closed_later(slow);
}
END_TEST

START_TEST(a_subscribe_in_steps_waits_for_the_end_of_a_pause)
{
	struct buffer line = {0};

	buffer_append_str(&line, "subscribe");
	for (int i = 0; i < 4000; i++)
		buffer_appendf(&line, " n%0300d", i);
	buffer_append(&line, "", 1);
	ck_assert(!test_send(p, line.ptr));
	buffer_release(&line);
	ck_assert_int_eq(reason_of(p), WAIT_TURN);
	assert_says(admin, "client pause 60000", "+OK\r\n");
	test_turns(20);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	wait_event(test_server, WAIT_EVENT_UNPAUSED);
	test_turns(2);
	ck_assert_int_eq(reason_of(p), WAIT_PAUSE);
	test_server->pause->until_us = 1; /* the pause is over */
	(void)test_finish(p);
	ck_assert_uint_eq(client_subscriptions(p->client), 4000);
}
END_TEST

START_TEST(a_transaction_that_waits_gives_up_its_place_when_it_is_done)
{
	test_call(slow, "outbox set policy block messages 1");
	test_call(slow, "subscribe a");
	assert_says(q, "publish a 1", ":1\r\n");
	test_call(p, "multi");
	test_call(p, "publish a 2");
	test_call(p, "publish a 3");
	ck_assert(!test_send(p, "exec"));
	ck_assert_int_eq(reason_of(p), WAIT_ROOM);
	(void)test_read(slow);
	ck_assert_str_eq(test_finish(p), "*2\r\n:1\r\n:1\r\n");
	(void)test_read(slow);
	assert_not_closed_later(slow);
	assert_says(q, "publish a 4", ":1\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/wait", setup, test_teardown,
	    (const TTest *[]){each_event_does_to_each_waiting_client_what_the_table_says,
		a_subscriber_that_unsubscribes_is_waited_for_no_longer,
		a_subscriber_that_is_reset_or_changes_its_policy_is_waited_for_no_longer,
		a_subscriber_that_is_killed_is_waited_for_no_longer,
		a_publisher_that_leaves_is_not_held_against_the_subscriber,
		the_time_is_that_of_the_publishers_that_still_wait,
		a_waiting_publisher_obeys_rules_pauses_and_limits_at_once,
		a_large_message_under_way_obeys_rules_pauses_and_limits,
		two_large_publishers_under_block_do_not_keep_the_loop_busy,
		room_that_a_copy_begins_with_stays_for_it, a_copy_that_must_wait_holds_no_memory,
		a_large_publisher_is_not_starved_by_small_ones,
		who_waits_for_two_subscribers_comes_to_its_end_and_so_do_those_behind_it,
		room_is_kept_for_a_publisher_for_a_moment_only,
		nobody_is_closed_for_a_publisher_that_left_or_that_a_limit_refuses,
		a_copy_that_is_under_way_costs_nobody_the_connection,
		a_paused_publisher_is_no_reason_to_close_anybody,
		a_subscribe_in_steps_waits_for_the_end_of_a_pause,
		a_transaction_that_waits_gives_up_its_place_when_it_is_done, NULL});
}
