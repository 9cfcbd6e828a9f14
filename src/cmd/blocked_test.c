#include "config.h"

#include "server/blocked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/pause.h"
#include "server/server.h"
#include "server/server_config.h"

static struct test_conn *
wait_with(const char *line)
{
	struct test_conn *conn = test_open();

	ck_assert_msg(!test_send(conn, line), "'%s' does not wait", line);
	return conn;
}

static void
assert_says(struct test_conn *conn, const char *line, const char *reply)
{
	ck_assert_str_eq(test_call(conn, line), reply);
}

/* The request was answered, and io hands it over once more. */
static void
assert_served(struct test_conn *conn, const char *reply)
{
	ck_assert_str_eq(test_read(conn), reply);
	test_turns(1);
	ck_assert(!conn->later);
	ck_assert_str_eq(test_read(conn), "");
}

static void
assert_waits(struct test_conn *conn)
{
	ck_assert_str_eq(test_read(conn), "");
	test_turns(2);
	ck_assert(conn->later);
	ck_assert_str_eq(test_read(conn), "");
}

START_TEST(who_waited_longest_is_served_first)
{
	struct test_conn *first = wait_with("blpop k 0"), *second = wait_with("brpop x k 0"),
			 *third = wait_with("blpop k 0"), *c = test_open();

	assert_says(c, "rpush k 1 2", ":2\r\n");
	assert_served(first, "*2\r\n$1\r\nk\r\n$1\r\n1\r\n");
	assert_served(second, "*2\r\n$1\r\nk\r\n$1\r\n2\r\n");
	assert_waits(third);
	assert_says(c, "exists k", ":0\r\n");
	ck_assert_uint_eq(test_server->blocked->count, 1);
}
END_TEST

START_TEST(what_one_move_makes_serves_the_next)
{
	struct test_conn *last = wait_with("blpop c 0"), *b = wait_with("blmove b c left left 0"),
			 *a = wait_with("blmove a b left left 0"), *c = test_open();

	assert_says(c, "rpush a v", ":1\r\n");
	ck_assert_str_eq(test_read(a), "$1\r\nv\r\n");
	ck_assert_str_eq(test_read(b), "$1\r\nv\r\n");
	ck_assert_str_eq(test_read(last), "*2\r\n$1\r\nc\r\n$1\r\nv\r\n");
	assert_says(c, "exists a b c", ":0\r\n");
}
END_TEST

START_TEST(who_waits_for_another_type_waits_on)
{
	struct test_conn *list = wait_with("blpop k 0"), *zset = wait_with("bzpopmin k 0"),
			 *c = test_open();

	assert_says(c, "set k string", "+OK\r\n");
	assert_says(c, "del k", ":1\r\n");
	assert_waits(list);
	assert_says(c, "zadd k 1 m", ":1\r\n");
	assert_served(zset, "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n");
	assert_waits(list);
	assert_says(c, "lpush k v", ":1\r\n");
	assert_served(list, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(another_key_of_a_wrong_type_is_not_looked_at)
{
	struct test_conn *waiter = wait_with("blpop a b 0"), *c = test_open();

	assert_says(c, "set a string", "+OK\r\n");
	assert_says(c, "lpush b v", ":1\r\n");
	assert_served(waiter, "*2\r\n$1\r\nb\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(a_transaction_serves_at_its_end)
{
	struct test_conn *waiter = wait_with("blpop k 0"), *c = test_open();

	test_call(c, "multi");
	test_call(c, "rpush k 1 2");
	test_call(c, "lpop k");
	test_call(c, "blpop none 0");
	assert_says(c, "exec", "*3\r\n:2\r\n$1\r\n1\r\n*-1\r\n");
	assert_served(waiter, "*2\r\n$1\r\nk\r\n$1\r\n2\r\n");
}
END_TEST

START_TEST(each_waits_in_its_own_database)
{
	struct test_conn *waiter = wait_with("blpop k 0"), *c = test_open();

	test_call(c, "select 1");
	assert_says(c, "rpush k v", ":1\r\n");
	assert_waits(waiter);
	test_call(c, "select 0");
	assert_says(c, "rpush k v", ":1\r\n");
	assert_served(waiter, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(a_database_that_comes_in_place_of_another_serves)
{
	struct test_conn *waiter = wait_with("blpop k 0"), *c = test_open();

	test_call(c, "select 1");
	assert_says(c, "rpush k v", ":1\r\n");
	assert_says(c, "swapdb 0 1", "+OK\r\n");
	assert_served(waiter, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
	ck_assert_uint_eq(test_server->blocked->look_left, 0);
}
END_TEST

/* Keys that clients wait for are checked in slices; the command itself checks a thousand. */
START_TEST(a_swap_looks_at_a_bounded_number_of_keys_at_once)
{
	struct test_conn *waiter, *c = test_open();
	struct slice args[1002] = {SLICE("blpop")};
	char names[1000][8];
	int i, round;

	args[1001] = SLICE("0");
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 1000; i++)
			args[i + 1] = (struct slice){names[i],
			    (size_t)snprintf(names[i], sizeof(names[i]), "%d.%d", round, i)};
		ck_assert(!test_send_args(test_open(), args, 1002));
	}
	waiter = wait_with("blpop k 0");
	assert_says(c, "swapdb 0 1", "+OK\r\n"); /* both databases are empty */
	ck_assert_uint_eq(test_server->blocked->look_left, 0);
	test_call(c, "select 1");
	assert_says(c, "rpush k v", ":1\r\n");
	assert_says(c, "swapdb 0 1", "+OK\r\n");
	ck_assert_uint_eq(test_server->blocked->look_left, 4001);
	ck_assert_str_eq(test_read(waiter), "");
	test_turns(5);
	ck_assert_uint_eq(test_server->blocked->look_left, 0);
	ck_assert(!waiter->later);
	ck_assert_str_eq(test_read(waiter), "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(time_is_up_at_its_moment_and_not_before)
{
	struct test_conn *second = wait_with("blpop k 10"), *first = wait_with("brpop k 5.0001"),
			 *never = wait_with("blpop k 0");
	uint64_t now_us = clock_mono_us();

	test_turn(now_us + 4900000);
	ck_assert(first->later);
	test_turn(now_us + 5001000);
	ck_assert_str_eq(test_read(first), "*-1\r\n");
	ck_assert(!first->later);
	ck_assert(second->later);
	test_turn(now_us + 10000000);
	ck_assert_str_eq(test_read(second), "*-1\r\n");
	test_turn(now_us + UINT64_C(1000000000000000));
	ck_assert(never->later);
}
END_TEST

START_TEST(the_next_turn_is_asked_for_in_time)
{
	uint64_t now_us = clock_mono_us(), wait_us;

	wait_with("blpop k 0.05");
	wait_us = server_turn(test_server, now_us, 1000);
	ck_assert_uint_le(wait_us, 51000);
	ck_assert_uint_ge(wait_us, 1);
}
END_TEST

START_TEST(unblocking_leaves_the_reply_of_who_asked_alone)
{
	struct test_conn *first = wait_with("blpop k 0"), *second = wait_with("blpop k 0"),
			 *c = test_open();
	char line[64];

	snprintf(line, sizeof(line), "client unblock %d error", (int)first->client->id);
	assert_says(c, line, ":1\r\n");
	assert_served(first, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
	assert_says(c, line, ":0\r\n");
	snprintf(line, sizeof(line), "client unblock %d", (int)second->client->id);
	test_call(c, "multi");
	test_call(c, "ping 1");
	test_call(c, line);
	test_call(c, "ping 2");
	assert_says(c, "exec", "*3\r\n$1\r\n1\r\n:1\r\n$1\r\n2\r\n");
	assert_served(second, "*-1\r\n");
}
END_TEST

START_TEST(nothing_is_given_to_who_is_gone_or_going)
{
	struct test_conn *gone = wait_with("blpop k 0"), *killed = wait_with("blpop k 0"),
			 *finished = wait_with("blpop k 0"), *left = wait_with("blpop k 0"),
			 *c = test_open();

	test_close(gone);
	client_kill(killed->client, "test");
	client_finish(finished->client);
	ck_assert_uint_eq(test_server->blocked->count, 1);
	assert_says(c, "rpush k v", ":1\r\n");
	assert_served(left, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
	ck_assert_str_eq(test_read(killed), "");
}
END_TEST

/* The limit closes the next waiting client while the one before it is served. */
START_TEST(who_is_killed_by_what_serving_another_causes_gets_nothing)
{
	struct test_conn *first = wait_with("blpop k 0"), *second = wait_with("blpop k 0"),
			 *third = wait_with("blpop k 0"), *c = test_open();

	test_config.buffer_limit[SERVER_CLASS_NORMAL].hard_bytes = 10;
	assert_says(c, "rpush k 12345678901234567890 2 3", ":3\r\n");
	ck_assert_str_eq(first->killed, "exceeded the hard limit of client-output-buffer-limit");
	ck_assert_ptr_nonnull(second->killed);
	ck_assert_ptr_nonnull(third->killed);
	ck_assert_uint_eq(test_server->blocked->count, 0);
}
END_TEST

START_TEST(what_the_user_may_no_more_is_refused_and_the_next_is_served)
{
	struct test_conn *joe = test_open(), *other, *c = test_open();

	assert_says(c, "acl setuser joe on nopass ~* +@all", "+OK\r\n");
	assert_says(joe, "auth joe x", "+OK\r\n");
	ck_assert(!test_send(joe, "blpop k 0"));
	other = wait_with("blpop k 0");
	assert_says(c, "acl setuser joe resetkeys ~mine", "+OK\r\n");
	assert_says(c, "rpush k v", ":1\r\n");
	assert_served(joe,
	    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
	assert_served(other, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(timeouts_are_read_as_redis_reads_them)
{
	static const char not_float[] = "-ERR timeout is not a float or out of range\r\n";
	static const char range[] = "-ERR timeout is out of range\r\n";
	static const char negative[] = "-ERR timeout is negative\r\n";
	struct test_conn *c = test_open();

	assert_says(c, "blpop k x", not_float);
	assert_says(c, "blpop k \"\"", not_float);
	assert_says(c, "blpop k nan", not_float);
	assert_says(c, "blpop k inf", range);
	assert_says(c, "blpop k 1e16", range);
	assert_says(c, "blpop k -inf", negative);
	assert_says(c, "blpop k -0.01", negative);
	wait_with("blpop k -0.0001");
	wait_with("blpop k 9223370000000000");
	ck_assert_ptr_null(time_queue_first(&test_server->blocked->deadlines));
}
END_TEST

/*
 * Many clients wait for a few keys, and leave, at random: each value is given to exactly one
 * client, and no client waits for a list that exists.
 */
#define CROWD 40

START_TEST(in_any_order_of_events_nothing_is_lost_or_given_twice)
{
	struct test_conn *crowd[CROWD], *c = test_open();
	uint64_t seed = 7, pushed = 0, taken = 0;
	char line[64], key[2] = "a";
	int i, who;

	for (i = 0; i < CROWD; i++)
		crowd[i] = test_open();
	for (i = 0; i < testing_steps(20000); i++) {
		who = (int)(testing_random(&seed) % CROWD);
		key[0] = (char)('a' + testing_random(&seed) % 4);
		if (testing_random(&seed) % 20 == 0 && crowd[who]->later) {
			test_close(crowd[who]);
			crowd[who] = test_open();
		} else if (testing_random(&seed) % 2 == 0 && !crowd[who]->later) {
			snprintf(line, sizeof(line), "blpop %s %c 0", key,
			    (char)('a' + testing_random(&seed) % 4));
			if (test_send(crowd[who], line))
				taken += test_read(crowd[who])[0] == '*';
		} else {
			snprintf(line, sizeof(line), "rpush %s 1 2", key);
			test_call(c, line);
			pushed += 2;
		}
		for (who = 0; who < CROWD; who++)
			if (crowd[who]->later && test_read(crowd[who])[0] == '*')
				taken++;
		test_turns(1);
	}
	for (key[0] = 'a'; key[0] < 'e'; key[0]++) {
		snprintf(line, sizeof(line), "llen %s", key);
		pushed -= strtoull(test_call(c, line) + 1, NULL, 10);
	}
	ck_assert_uint_eq(pushed, taken);
	ck_assert_uint_gt(taken, (unsigned)testing_steps(1000));
}
END_TEST

START_TEST(all_blocked_clients_get_an_error_when_another_process_has_taken_over)
{
	static const char error[] =
	    "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
	    "replica?)\r\n";
	struct test_conn *crowd[1500], *c = test_open();

	test_config.maxclients = 2000;
	for (int i = 0; i < 1500; i++)
		crowd[i] = wait_with(i % 2 == 0 ? "blpop a b 0" : "bzpopmin a 100");
	blocked_end_all(test_server);
	test_turns(1);
	ck_assert_uint_eq(test_server->blocked->count, 500); /* a bounded number in a turn */
	test_turns(1);
	for (int i = 0; i < 1500; i++)
		assert_served(crowd[i], error);
	ck_assert_uint_eq(test_server->blocked->count, 0);
	assert_says(c, "rpush a x", ":1\r\n");
}
END_TEST

/* SWAPDB has more keys to look at than it does at once. */
START_TEST(no_blocked_client_is_served_while_keys_are_frozen)
{
	struct test_conn *crowd[1500], *c = test_open();
	char line[64];
	int waiting = 0;

	test_config.maxclients = 2000;
	for (int i = 0; i < 1500; i++) {
		snprintf(line, sizeof(line), "blpop k%d 0", i);
		crowd[i] = wait_with(line);
	}
	assert_says(c, "select 1", "+OK\r\n");
	for (int i = 0; i < 1500; i++) {
		snprintf(line, sizeof(line), "rpush k%d x", i);
		test_call(c, line);
	}
	assert_says(c, "swapdb 0 1", "+OK\r\n");
	server_freeze(test_server, true);
	for (int i = 0; i < 1500; i++)
		waiting += test_read(crowd[i])[0] == '\0';
	ck_assert_int_gt(waiting, 0);
	test_turns(5);
	ck_assert_uint_eq(test_server->blocked->count, (unsigned)waiting);
	server_freeze(test_server, false);
	test_turns(5);
	ck_assert_uint_eq(test_server->blocked->count, 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/blocked", test_setup, test_teardown,
	    (const TTest *[]){who_waited_longest_is_served_first,
		what_one_move_makes_serves_the_next, who_waits_for_another_type_waits_on,
		another_key_of_a_wrong_type_is_not_looked_at, a_transaction_serves_at_its_end,
		each_waits_in_its_own_database, a_database_that_comes_in_place_of_another_serves,
		a_swap_looks_at_a_bounded_number_of_keys_at_once,
		time_is_up_at_its_moment_and_not_before, the_next_turn_is_asked_for_in_time,
		unblocking_leaves_the_reply_of_who_asked_alone,
		nothing_is_given_to_who_is_gone_or_going,
		who_is_killed_by_what_serving_another_causes_gets_nothing,
		what_the_user_may_no_more_is_refused_and_the_next_is_served,
		timeouts_are_read_as_redis_reads_them,
		in_any_order_of_events_nothing_is_lost_or_given_twice,
		all_blocked_clients_get_an_error_when_another_process_has_taken_over,
		no_blocked_client_is_served_while_keys_are_frozen, NULL});
}
