#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "kv/keyspace.h"
#include "server/client.h"
#include "server/client_walk.h"
#include "server/io.h"
#include "server/pause.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

static struct test_conn *
open_at(const char *address)
{
	const struct server_peer peer = {
	    .address = address, .local_address = "10.0.0.1:6379", .is_loopback = true};

	return test_open_from(&peer);
}

static int
count_of(const char *text, const char *what)
{
	int count = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

START_TEST(a_client_gives_itself_a_name_and_takes_it_away)
{
	assert_says(c, "client getname", "$-1\r\n");
	assert_says(c, "client setname web-1", "+OK\r\n");
	assert_says(c, "client getname", "$5\r\nweb-1\r\n");
	assert_says(c, "client setname \"\"", "+OK\r\n");
	assert_says(c, "client getname", "$-1\r\n");
}
END_TEST

START_TEST(a_name_with_other_than_printable_bytes_changes_nothing)
{
	const struct slice args[] = {SLICE("client"), SLICE("setname"), SLICE("a b")};

	assert_says(c, "client setname kept", "+OK\r\n");
	ck_assert(test_send_args(c, args, 3));
	ck_assert_str_eq(test_read(c),
	    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
	assert_says(c, "client getname", "$4\r\nkept\r\n");
}
END_TEST

START_TEST(a_name_of_1024_bytes_is_taken_and_a_longer_one_is_not)
{
	char line[1100] = "client setname ";
	const size_t at = strlen(line);

	memset(line + at, 'n', 1025);
	assert_says(c, line, "-ERR Client names cannot be longer than 1024 bytes.\r\n");
	line[at + 1024] = '\0';
	assert_says(c, line, "+OK\r\n");
}
END_TEST

START_TEST(setinfo_is_shown_by_client_info)
{
	assert_says(c, "client setinfo LIB-NAME redis-py", "+OK\r\n");
	assert_says(c, "client setinfo lib-ver 5.0.1", "+OK\r\n");
	assert_says(c, "client setinfo lib-foo x", "-ERR Unrecognized option 'lib-foo'\r\n");
	ck_assert_ptr_nonnull(
	    strstr(test_call(c, "client info"), " lib-name=redis-py lib-ver=5.0.1"));
}
END_TEST

START_TEST(replies_are_off_until_they_are_on_again)
{
	assert_says(c, "client reply off", "");
	assert_says(c, "ping", "");
	assert_says(c, "client reply skip", "");
	assert_says(c, "ping", "");
	assert_says(c, "client reply on", "+OK\r\n");
	assert_says(c, "ping", "+PONG\r\n");
	assert_says(c, "client reply x", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(skip_leaves_out_its_own_reply_and_the_next)
{
	assert_says(c, "client reply skip", "");
	assert_says(c, "ping", "");
	assert_says(c, "ping", "+PONG\r\n");
}
END_TEST

START_TEST(flags_are_switched_on_and_off)
{
	assert_says(c, "client no-evict on", "+OK\r\n");
	assert_says(c, "client no-touch ON", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(c, "client info"), " flags=eT "));
	assert_says(c, "client no-evict off", "+OK\r\n");
	assert_says(c, "client no-touch off", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(c, "client info"), " flags=N "));
	assert_says(c, "client no-evict x", "-ERR syntax error\r\n");
	assert_says(c, "client no-touch x", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(list_shows_all_in_the_order_of_ids)
{
	struct test_conn *other = test_open();
	const char *reply;
	char first[32], second[32];

	snprintf(first, sizeof(first), "id=%d ", (int)c->client->id);
	snprintf(second, sizeof(second), "\nid=%d ", (int)other->client->id);
	reply = test_call(c, "client list");
	ck_assert_int_eq(count_of(reply, "\n"), 4); /* header, two lines, end */
	ck_assert_ptr_nonnull(strstr(reply, first));
	ck_assert_ptr_nonnull(strstr(reply, second));
	ck_assert(strstr(reply, first) < strstr(reply, second));
}
END_TEST

START_TEST(list_of_a_type_shows_no_others)
{
	struct test_conn *subscriber = test_open();

	test_call(subscriber, "subscribe news");
	ck_assert_int_eq(count_of(test_call(c, "client list type pubsub"), "id="), 1);
	ck_assert_ptr_nonnull(strstr(test_call(c, "client list type pubsub"), " sub=1 "));
	ck_assert_int_eq(count_of(test_call(c, "client list type normal"), "id="), 1);
	assert_says(c, "client list type master", "$0\r\n\r\n");
	assert_says(c, "client list type replica", "$0\r\n\r\n");
	assert_says(c, "client list type x", "-ERR Unknown client type 'x'\r\n");
	assert_says(c, "client list foo", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(list_of_ids_shows_them_as_often_as_they_are_named)
{
	char line[64];

	snprintf(line, sizeof(line), "client list id %d 99999 %d", (int)c->client->id,
	    (int)c->client->id);
	ck_assert_int_eq(count_of(test_call(c, line), "laddr="), 2);
	assert_says(c, "client list id 99999", "$0\r\n\r\n");
	assert_says(c, "client list id x", "-ERR Invalid client ID\r\n");
}
END_TEST

START_TEST(a_list_of_very_many_ids_shows_each_once)
{
	struct slice args[1103] = {SLICE("client"), SLICE("list"), SLICE("id")};
	char id[32];
	size_t i;

	snprintf(id, sizeof(id), "%d", (int)c->client->id);
	for (i = 3; i < 1103; i++)
		args[i] = slice_of(id);
	(void)test_send_args(
	    c, args, 1103); /* at once or in slices, depending on the speed of the machine */
	ck_assert_int_eq(count_of(test_finish(c), "laddr="), 1);
}
END_TEST

/* One slice is too short for so many clients; some connect and some leave while the job runs. */
START_TEST(a_long_list_is_whole_though_clients_come_and_go)
{
	enum { OTHERS = 1500 };
	static struct test_conn *others[OTHERS];
	const char *reply;
	bool whole;
	int i;

	test_config.maxclients = OTHERS + 10;
	for (i = 0; i < OTHERS; i++)
		others[i] = test_open();
	whole = test_send(c, "client list");
	ck_assert_str_eq(whole ? "" : test_read(c), "");
	for (i = 1; i < OTHERS; i += 2)
		test_close(others[i]);
	test_open();
	reply = test_finish(c);
	ck_assert_int_ge(count_of(reply, " laddr="), OTHERS / 2 + 1);
	ck_assert_int_le(count_of(reply, " laddr="), OTHERS + 1);
}
END_TEST

START_TEST(a_walk_goes_on_where_the_last_client_seen_is_gone)
{
	struct test_conn *a = test_open(), *b = test_open(), *d = test_open();
	struct client_walk walk;

	client_walk_init(&walk, test_server);
	test_open();
	ck_assert_ptr_eq(client_walk_next(&walk), c->client);
	ck_assert_ptr_eq(client_walk_next(&walk), a->client);
	ck_assert_ptr_eq(client_walk_next(&walk), b->client);
	test_close(b);
	test_close(a);
	ck_assert_ptr_eq(client_walk_next(&walk), d->client);
	ck_assert_ptr_null(client_walk_next(&walk));
}
END_TEST

START_TEST(a_client_is_killed_by_its_address)
{
	struct test_conn *other = open_at("10.9.9.9:1");

	assert_says(c, "client kill 10.9.9.9:2", "-ERR No such client\r\n");
	ck_assert_ptr_null(other->killed);
	assert_says(c, "client kill 10.9.9.9:1", "+OK\r\n");
	ck_assert_ptr_nonnull(other->killed);
	assert_says(c, "client kill 10.9.9.9:1", "-ERR No such client\r\n");
}
END_TEST

START_TEST(a_killed_client_is_not_listed_any_more)
{
	open_at("10.9.9.9:1");
	assert_says(c, "client kill addr 10.9.9.9:1", ":1\r\n");
	ck_assert_int_eq(count_of(test_call(c, "client list"), "id="), 1);
}
END_TEST

START_TEST(who_kills_itself_gets_the_reply_first)
{
	char line[64];

	snprintf(line, sizeof(line), "client kill id %d skipme no", (int)c->client->id);
	assert_says(c, line, ":1\r\n");
	ck_assert(c->finished);
	ck_assert_ptr_null(c->killed);
}
END_TEST

START_TEST(filters_must_all_match_and_spare_the_caller)
{
	struct test_conn *a = open_at("10.9.9.9:1"), *b = open_at("10.9.9.9:2");

	test_call(b, "psubscribe *");
	assert_says(c, "client kill type pubsub addr 10.9.9.9:1", ":0\r\n");
	assert_says(c, "client kill type pubsub addr 10.9.9.9:2", ":1\r\n");
	ck_assert_ptr_null(a->killed);
	ck_assert_ptr_nonnull(b->killed);
	assert_says(c, "client kill user default laddr 10.0.0.1:6379", ":1\r\n");
	ck_assert_ptr_nonnull(a->killed);
	assert_says(c, "client kill user default", ":0\r\n");
	ck_assert(!c->finished);
}
END_TEST

START_TEST(bad_filters_kill_nobody)
{
	struct test_conn *other = test_open();

	assert_says(c, "client kill id 0", "-ERR client-id should be greater than 0\r\n");
	assert_says(c, "client kill type x", "-ERR Unknown client type 'x'\r\n");
	assert_says(c, "client kill user x", "-ERR No such user 'x'\r\n");
	assert_says(c, "client kill skipme x", "-ERR syntax error\r\n");
	assert_says(c, "client kill type normal id", "-ERR syntax error\r\n");
	assert_says(c, "client kill type normal foo x", "-ERR syntax error\r\n");
	ck_assert_ptr_null(other->killed);
}
END_TEST

START_TEST(an_upgrade_freezes_keys_and_messages_whatever_client_pause_says)
{
	struct test_conn *other = test_open(), *publisher = test_open();

	assert_says(c, "set k 1 px 1", "+OK\r\n");
	server_freeze(test_server, true);
	ck_assert(!test_send(other, "set k 2"));
	ck_assert(!test_send(publisher, "publish c x"));
	assert_says(c, "client unpause", "+OK\r\n");
	test_turns(2);
	ck_assert(other->later && publisher->later);
	/* The key expires and is still there. */
	while (strcmp(test_call(c, "get k"), "$-1\r\n") != 0)
		test_turns(1);
	test_turns(1);
	ck_assert_uint_eq(kv_db_count(kv_database(test_server->kv, 0)), 1);
	assert_says(c, "client pause 60000 write", "+OK\r\n");
	server_freeze(test_server, false);
	test_turns(2);
	ck_assert(other->later && publisher->later);
	assert_says(c, "client unpause", "+OK\r\n");
	ck_assert_str_eq(test_finish(other), "+OK\r\n");
	ck_assert_str_eq(test_finish(publisher), ":0\r\n");
}
END_TEST

START_TEST(a_pause_is_never_shortened_by_another)
{
	uint64_t until_us;

	assert_says(c, "client pause 60000 write", "+OK\r\n");
	until_us = test_server->pause->until_us;
	assert_says(c, "client pause 1 write", "+OK\r\n");
	ck_assert_uint_eq(test_server->pause->until_us, until_us);
	ck_assert(!test_server->pause->all);
	assert_says(c, "client unpause", "+OK\r\n");
	ck_assert_uint_eq(test_server->pause->until_us, 0);
}
END_TEST

START_TEST(a_bad_pause_pauses_nobody)
{
	assert_says(c, "client pause x", "-ERR timeout is not an integer or out of range\r\n");
	assert_says(c, "client pause -1", "-ERR timeout is negative\r\n");
	assert_says(c, "client pause 9223372036854775807", "-ERR timeout is out of range\r\n");
	assert_says(c, "client pause 1 x", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
	ck_assert_uint_eq(test_server->pause->until_us, 0);
}
END_TEST

START_TEST(unblock_finds_no_blocked_client)
{
	assert_says(c, "client unblock 1", ":0\r\n");
	assert_says(c, "client unblock 1 ERROR", ":0\r\n");
	assert_says(
	    c, "client unblock 1 x", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
	assert_says(c, "client unblock x", "-ERR value is not an integer or out of range\r\n");
}
END_TEST

/* Runs the command a minute later. */
static const char *
idle_after(const char *line)
{
	test_turn(test_server->now_us + 60000000);
	test_call(c, line);
	return test_call(c, "object idletime k");
}

START_TEST(a_client_that_does_not_touch_leaves_idle_times_alone)
{
	test_call(c, "set k v");
	ck_assert_str_eq(idle_after("get k"), ":0\r\n");
	assert_says(c, "client no-touch on", "+OK\r\n");
	ck_assert_str_eq(idle_after("get k"), ":60\r\n");
	ck_assert_str_eq(idle_after("append k v"), ":120\r\n");
	ck_assert_str_eq(idle_after("touch k"), ":0\r\n");
	/* A new value starts with idle time 0. */
	ck_assert_str_eq(idle_after("set k v"), ":0\r\n");
	ck_assert_str_eq(idle_after("sinterstore k none"), "$-1\r\n");
	test_call(c, "sadd s a");
	ck_assert_str_eq(idle_after("sinterstore k s"), ":0\r\n");
	ck_assert_str_eq(idle_after("sinterstore k s"), ":0\r\n");
	ck_assert_str_eq(idle_after("scard k"), ":60\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/client", setup, test_teardown,
	    (const TTest *[]){a_client_gives_itself_a_name_and_takes_it_away,
		a_name_with_other_than_printable_bytes_changes_nothing,
		a_name_of_1024_bytes_is_taken_and_a_longer_one_is_not,
		setinfo_is_shown_by_client_info, replies_are_off_until_they_are_on_again,
		skip_leaves_out_its_own_reply_and_the_next, flags_are_switched_on_and_off,
		list_shows_all_in_the_order_of_ids, list_of_a_type_shows_no_others,
		list_of_ids_shows_them_as_often_as_they_are_named,
		a_list_of_very_many_ids_shows_each_once,
		a_long_list_is_whole_though_clients_come_and_go,
		a_walk_goes_on_where_the_last_client_seen_is_gone,
		a_client_is_killed_by_its_address, a_killed_client_is_not_listed_any_more,
		who_kills_itself_gets_the_reply_first, filters_must_all_match_and_spare_the_caller,
		bad_filters_kill_nobody,
		an_upgrade_freezes_keys_and_messages_whatever_client_pause_says,
		a_pause_is_never_shortened_by_another, a_bad_pause_pauses_nobody,
		unblock_finds_no_blocked_client,
		a_client_that_does_not_touch_leaves_idle_times_alone, NULL});
}
