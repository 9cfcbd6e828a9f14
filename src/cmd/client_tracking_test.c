#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"

#define INVALID(key) ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\n" key "\r\n"
#define INVALID_ALL ">2\r\n$10\r\ninvalidate\r\n_\r\n"
#define MESSAGE(key) "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\n" key "\r\n"

/* reader speaks RESP3. */
static struct test_conn *reader, *writer;

static void
setup(void)
{
	test_setup();
	reader = test_open();
	writer = test_open();
	test_call(reader, "hello 3");
}

static void
assert_says(struct test_conn *conn, const char *line, const char *expected)
{
	ck_assert_str_eq(test_call(conn, line), expected);
}

/* What a client has got by the end of a turn. */
static void
assert_got(struct test_conn *conn, const char *expected)
{
	test_turns(1);
	ck_assert_str_eq(test_read(conn), expected);
}

static void
assert_ok(struct test_conn *conn, const char *line)
{
	assert_says(conn, line, "+OK\r\n");
}

static void
pass_ms(uint64_t ms)
{
	uint64_t until_us = clock_wall_us() + ms * 1000;

	while (clock_wall_us() < until_us)
		;
}

static void
assert_flags(struct test_conn *conn, const char *flags)
{
	char field[32];

	snprintf(field, sizeof(field), " flags=%s ", flags);
	ck_assert_ptr_nonnull(strstr(test_call(conn, "client info"), field));
}

/* A line with `count` prefixes, and `end`. */
static const char *
many_prefixes(int count, const char *end)
{
	static char line[65536];
	size_t len = (size_t)snprintf(line, sizeof(line), "client tracking on bcast");

	for (int i = 0; i < count; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, " prefix %d.", i);
	snprintf(line + len, sizeof(line) - len, "%s", end);
	return line;
}

START_TEST(contradictions_are_refused_and_change_nothing)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
	    {"on foo", "syntax error"},
	    {"on prefix", "syntax error"},
	    {"foo", "syntax error"},
	    {"on redirect", "syntax error"},
	    {"on redirect x", "value is not an integer or out of range"},
	    {"on redirect 0", "The client ID you want redirect to does not exist"},
	    {"on redirect -1", "The client ID you want redirect to does not exist"},
	    {"on redirect 99", "The client ID you want redirect to does not exist"},
	    {"on redirect 2 redirect 2", "A client can only redirect to a single other client"},
	    {"on prefix a", "PREFIX option requires BCAST mode to be enabled"},
	    {"on bcast optin", "OPTIN and OPTOUT are not compatible with BCAST"},
	    {"on optin optout", "You can't specify both OPTIN mode and OPTOUT mode"},
	    {"on bcast prefix a prefix ab",
		"Prefix 'a' overlaps with another provided prefix 'ab'. Prefixes for a single "
		"client must not overlap."},
	    {"on bcast prefix x prefix ab prefix a",
		"Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single "
		"client must not overlap."},
	};
	char line[128], error[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(line, sizeof(line), "client tracking %s", cases[i].line);
		snprintf(error, sizeof(error), "-ERR %s\r\n", cases[i].error);
		assert_says(writer, line, error);
		assert_says(writer, "client trackinginfo",
		    "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\n"
		    "prefixes\r\n*0\r\n");
		assert_says(writer, "client getredir", ":-1\r\n");
		assert_flags(writer, "N");
	}
}
END_TEST

START_TEST(modes_are_switched_by_way_of_off_only)
{
	static const char bcast[] =
	    "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
	    "and then re-enabling it with a different mode.\r\n";
	static const char optin[] =
	    "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
	    "and then re-enabling it with a different mode.\r\n";

	assert_ok(writer, "client tracking on bcast prefix x");
	assert_says(writer, "client tracking on", bcast);
	assert_says(writer, "client tracking on bcast prefix xy",
	    "-ERR Prefix 'xy' overlaps with an existing prefix 'x'. Prefixes for a single client "
	    "must not overlap.\r\n");
	assert_ok(writer, "client tracking on bcast prefix a noloop");
	assert_says(writer, "client trackinginfo",
	    "*6\r\n$5\r\nflags\r\n*3\r\n$2\r\non\r\n$5\r\nbcast\r\n$6\r\nnoloop\r\n$8\r\nredirect"
	    "\r\n:0\r\n$8\r\nprefixes\r\n*2\r\n$1\r\na\r\n$1\r\nx\r\n");
	assert_flags(writer, "tB");
	assert_ok(writer, "client tracking off");
	assert_ok(writer, "client tracking on optin");
	assert_says(writer, "client tracking on bcast", bcast);
	assert_says(writer, "client tracking on optout", optin);
	assert_ok(writer, "client tracking on");
	assert_ok(writer, "client tracking on optout");
	assert_says(writer, "client tracking on optin", optin);
	assert_says(writer, "client getredir", ":0\r\n");
	assert_says(writer, "reset", "+RESET\r\n");
	assert_flags(writer, "N");
}
END_TEST

START_TEST(a_change_is_told_once_to_each_reader)
{
	assert_ok(reader, "client tracking on");
	test_call(reader, "get k");
	test_call(reader, "mget k l");
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"),
	    "tracking_total_keys:2\r\ntracking_total_items:2\r\ntracking_total_prefixes:0"));
	assert_ok(writer, "set k 1");
	assert_got(reader, INVALID("k"));
	assert_ok(writer, "set k 2");
	assert_got(reader, "");
	assert_says(writer, "lpush l 1", ":1\r\n");
	assert_got(reader, INVALID("l"));
	assert_ok(writer, "set m 1");
	assert_got(reader, "");
}
END_TEST

START_TEST(its_own_change_is_told_behind_the_reply)
{
	assert_ok(reader, "client tracking on");
	assert_says(reader, "get k", "_\r\n");
	assert_says(reader, "set k 1", "+OK\r\n" INVALID("k"));
	assert_ok(reader, "multi");
	assert_says(reader, "get k", "+QUEUED\r\n");
	assert_says(reader, "set k 2", "+QUEUED\r\n");
	assert_says(reader, "ping", "+QUEUED\r\n");
	assert_says(reader, "exec", "*3\r\n$1\r\n1\r\n+OK\r\n+PONG\r\n" INVALID("k"));
	assert_ok(reader, "client tracking on noloop");
	assert_says(reader, "get k", "$1\r\n2\r\n");
	assert_ok(reader, "set k 3");
	assert_ok(writer, "set k 4");
	assert_got(reader, "");
}
END_TEST

START_TEST(flushes_tell_of_all_keys)
{
	assert_ok(reader, "client tracking on");
	test_call(reader, "get k");
	assert_ok(writer, "flushdb");
	assert_got(reader, INVALID_ALL);
	assert_says(reader, "flushall", "+OK\r\n" INVALID_ALL);
	assert_ok(writer, "set k 1");
	assert_got(reader, "");
	test_call(reader, "get k");
	assert_ok(writer, "swapdb 0 1"); /* as in Redis */
	assert_got(reader, "");
}
END_TEST

START_TEST(expired_keys_are_told)
{
	assert_ok(reader, "client tracking on");
	assert_ok(writer, "set k 1 px 100");
	assert_says(reader, "get k", "$1\r\n1\r\n");
	pass_ms(110);
	assert_got(reader, INVALID("k"));
	assert_ok(writer, "set k 1 px 100");
	assert_says(reader, "get k", "$1\r\n1\r\n");
	pass_ms(110);
	assert_says(reader, "get k", "_\r\n" INVALID("k")); /* and has read it again */
	assert_ok(writer, "set k 2");
	assert_got(reader, INVALID("k"));
}
END_TEST

START_TEST(caching_is_for_the_next_command_or_transaction)
{
	assert_says(reader, "client caching yes",
	    "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
	    "or OPTOUT mode enabled\r\n");
	assert_ok(reader, "client tracking on optin");
	assert_says(reader, "client caching maybe", "-ERR syntax error\r\n");
	assert_says(reader, "client caching no",
	    "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n");
	assert_ok(reader, "client caching yes");
	ck_assert_ptr_nonnull(strstr(test_call(reader, "client trackinginfo"), "caching-yes"));
	test_call(reader, "client id"); /* CLIENT does not count */
	(void)test_send(reader, "client list");
	test_finish(reader);
	test_call(reader, "get a");
	test_call(reader, "get b");
	assert_ok(writer, "mset a 1 b 1");
	assert_got(reader, INVALID("a"));
	assert_ok(reader, "client caching yes");
	test_call(reader, "nosuch");
	test_call(reader, "get a");
	assert_ok(reader, "client caching yes");
	test_call(reader, "multi");
	test_call(reader, "get b");
	test_call(reader, "get c");
	test_call(reader, "exec");
	test_call(reader, "get d");
	assert_ok(writer, "mset a 2 b 2 c 2 d 2");
	assert_got(reader, INVALID("b") INVALID("c"));
	assert_ok(reader, "client tracking off");
	assert_ok(reader, "client tracking on optout");
	assert_says(reader, "client caching yes",
	    "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n");
	assert_ok(reader, "client caching no");
	ck_assert_ptr_nonnull(strstr(test_call(reader, "client trackinginfo"), "caching-no"));
	test_call(reader, "get a");
	test_call(reader, "get b");
	assert_ok(writer, "mset a 3 b 3");
	assert_got(reader, INVALID("b"));
}
END_TEST

START_TEST(resp2_is_told_through_a_subscriber_of_another_connection)
{
	struct test_conn *listener = test_open();

	assert_ok(writer, "client tracking on redirect 3");
	assert_says(writer, "client getredir", ":3\r\n");
	test_call(writer, "get k");
	assert_says(writer, "set k 1", "+OK\r\n");
	assert_got(listener, ""); /* not subscribed */
	test_call(listener, "subscribe __redis__:invalidate");
	test_call(writer, "get k");
	assert_says(writer, "set k 2", "+OK\r\n");
	assert_got(listener, MESSAGE("k"));
	assert_ok(writer, "flushall");
	assert_got(listener, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
	test_call(listener, "reset");
	test_call(listener, "hello 3");
	test_call(writer, "get k");
	assert_ok(writer, "set k 3");
	assert_got(listener, INVALID("k"));
}
END_TEST

START_TEST(a_push_to_a_client_in_the_middle_of_its_command_follows_the_reply)
{
	assert_ok(writer, "client tracking on redirect 1");
	test_call(writer, "get k");
	assert_says(reader, "set k 1", "+OK\r\n" INVALID("k"));
	assert_ok(writer, "client tracking on noloop redirect 1");
	test_call(writer, "get k");
	assert_ok(writer, "set k 2");
	assert_got(reader, "");
}
END_TEST

START_TEST(a_push_to_a_client_whose_reply_is_in_progress_follows_it)
{
	char line[1024] = "command info";
	const char *got;

	for (int i = 0; i < 200; i++)
		strcat(line, " get");
	assert_ok(writer, "client tracking on redirect 1");
	test_call(writer, "get k");
	ck_assert(!test_send(reader, line)); /* goes on as a job */
	assert_ok(writer, "set k 1");
	got = test_finish(reader);
	ck_assert_int_eq(strncmp(got, "*200\r\n", 6), 0);
	ck_assert_str_eq(got + strlen(got) - strlen(INVALID("k")), INVALID("k"));
	test_call(writer, "get k");
	(void)test_send(reader, many_prefixes(2000, "")); /* goes on in later turns */
	assert_ok(writer, "set k 1");
	ck_assert_str_eq(test_finish(reader), "+OK\r\n" INVALID("k"));
}
END_TEST

START_TEST(a_redirect_to_a_client_that_left_is_broken)
{
	struct test_conn *listener = test_open();

	assert_ok(reader, "client tracking on redirect 3");
	test_call(reader, "get k");
	test_close(listener);
	assert_flags(reader, "t");
	assert_ok(writer, "set k 1");
	assert_got(reader, ">2\r\n$21\r\ntracking-redir-broken\r\n:3\r\n");
	assert_flags(reader, "tR");
	ck_assert_ptr_nonnull(strstr(test_call(reader, "client trackinginfo"), "broken_redirect"));
	ck_assert_ptr_nonnull(strstr(test_call(reader, "client info"), " redir=3 "));
	assert_ok(reader, "client tracking on");
	assert_flags(reader, "t");
}
END_TEST

START_TEST(prefixes_are_told_once_a_turn)
{
	assert_ok(reader, "client tracking on bcast prefix a prefix b");
	assert_ok(writer, "mset a 1 c 1");
	assert_ok(writer, "set a 2");
	ck_assert_str_eq(test_read(reader), "");
	assert_got(reader, INVALID("a"));
	assert_ok(reader, "set b 1");
	assert_got(reader, INVALID("b"));
	assert_ok(reader, "client tracking on bcast noloop");
	assert_ok(reader, "set c 1");
	assert_got(reader, "");
	assert_ok(writer, "set c 1");
	assert_got(reader, INVALID("c"));
	assert_ok(reader, "set a 1"); /* of two prefixes: "" and "a" */
	assert_ok(writer, "set a 1");
	assert_got(reader, INVALID("a") INVALID("a"));
	assert_ok(reader, "client tracking off");
	assert_ok(writer, "set a 1");
	assert_got(reader, "");
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"), "tracking_total_prefixes:0"));
}
END_TEST

START_TEST(gathered_keys_go_with_the_last_client_of_their_prefix)
{
	assert_ok(reader, "client tracking on bcast prefix a");
	assert_ok(writer, "set a 1");
	assert_ok(reader, "client tracking off");
	assert_got(reader, "");
	assert_ok(reader, "client tracking on bcast");
	assert_ok(writer, "set a 1");
	test_close(reader);
	test_turns(1);
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info clients"), "tracking_clients:0"));
}
END_TEST

START_TEST(many_prefixes_are_added_and_removed_in_slices)
{
	(void)test_send(reader, many_prefixes(2000, " prefix 17.x"));
	ck_assert_str_eq(test_finish(reader),
	    "-ERR Prefix '17.' overlaps with another provided prefix '17.x'. Prefixes for a single "
	    "client must not overlap.\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"), "tracking_total_prefixes:0"));
	(void)test_send(reader, many_prefixes(2000, ""));
	ck_assert_str_eq(test_finish(reader), "+OK\r\n");
	ck_assert_ptr_nonnull(
	    strstr(test_call(writer, "info stats"), "tracking_total_prefixes:2000"));
	(void)test_send(reader, "client trackinginfo");
	ck_assert_ptr_nonnull(
	    strstr(test_finish(reader), "*2000\r\n$2\r\n0.\r\n$2\r\n1.\r\n$3\r\n10.\r\n"));
	(void)test_send(reader, "reset");
	ck_assert_str_eq(test_finish(reader), "+RESET\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"), "tracking_total_prefixes:0"));
}
END_TEST

START_TEST(prefixes_are_bounded_in_length_and_number)
{
	test_config.hub.name_bytes = 3;
	test_config.hub.subscriptions = 2;
	assert_says(reader, "client tracking on bcast prefix abcd",
	    "-ERR prefix too long (max-channel-length 3)\r\n");
	assert_says(reader, "client tracking on bcast prefix a prefix b prefix c",
	    "-ERR max number of prefixes per client reached (max-subscriptions-per-client 2)\r\n");
	assert_ok(reader, "client tracking on bcast prefix abc prefix b");
}
END_TEST

START_TEST(the_table_is_bounded_in_keys_and_items)
{
	test_config.tracking.keys = 2;
	assert_ok(reader, "client tracking on");
	assert_says(reader, "mget a b", "*2\r\n_\r\n_\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(reader, "get c"), "_\r\n>2\r\n$10\r\ninvalidate"));
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"), "tracking_total_keys:2\r\n"));
	test_config.tracking.keys = 0;
	test_config.tracking.items = 1;
	test_turns(1);
	test_read(reader);
	ck_assert_ptr_nonnull(
	    strstr(test_call(writer, "info stats"), "tracking_total_items:1\r\n"));
}
END_TEST

START_TEST(a_client_that_does_not_read_is_closed_at_its_limit)
{
	test_config.outbox.bytes = 1000;
	reader = test_open();
	test_call(reader, "hello 3");
	assert_ok(reader, "client tracking on");
	for (int i = 0; i < 100 && reader->killed == NULL; i++) {
		(void)test_send(reader, "get k");
		assert_ok(writer, "set k 1");
		test_turns(1);
		ck_assert(i > 5 || reader->killed == NULL);
	}
	ck_assert_str_eq(reader->killed, "it does not read its invalidations");
}
END_TEST

START_TEST(a_client_that_reads_is_not_closed)
{
	test_config.outbox.bytes = 1000;
	reader = test_open();
	test_call(reader, "hello 3");
	assert_ok(reader, "client tracking on");
	for (int i = 0; i < 100; i++) {
		test_call(reader, "get k");
		assert_ok(writer, "set k 1");
		assert_got(reader, INVALID("k"));
	}
	ck_assert_ptr_null(reader->killed);
}
END_TEST

START_TEST(large_replies_do_not_count_as_invalidations)
{
	test_config.outbox.bytes = 1000;
	reader = test_open();
	test_call(reader, "hello 3");
	assert_ok(reader, "client tracking on");
	for (int i = 0; i < 100; i++)
		(void)test_send(reader, "info");
	for (int i = 0; i < 10; i++) {
		(void)test_send(reader, "get k");
		assert_ok(writer, "set k 1");
		test_turns(1);
	}
	ck_assert_ptr_null(reader->killed);
	ck_assert_uint_gt(test_read_all(reader).len, 10000);
}
END_TEST

START_TEST(keys_outlive_off_and_end_with_their_client)
{
	assert_ok(reader, "client tracking on");
	test_call(reader, "mget a b c");
	assert_ok(reader, "client tracking off");
	assert_ok(writer, "set a 1");
	assert_got(reader, "");
	assert_ok(reader, "client tracking on");
	assert_ok(writer, "set b 1");
	assert_got(reader, INVALID("b")); /* as in Redis */
	assert_ok(reader, "client tracking off");
	assert_ok(reader, "client tracking on bcast prefix x");
	assert_ok(writer, "set c 1");
	assert_got(reader, "");
	test_call(reader, "get d");
	test_close(reader);
	test_turns(1);
	ck_assert_ptr_nonnull(strstr(test_call(writer, "info stats"), "tracking_total_keys:0\r\n"));
}
END_TEST

START_TEST(a_served_client_is_told_behind_its_reply)
{
	assert_ok(reader, "client tracking on");
	test_call(reader, "llen l");
	ck_assert(!test_send(reader, "blpop l 0"));
	assert_says(writer, "rpush l x", ":1\r\n");
	assert_got(reader, INVALID("l") "*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
	test_call(reader, "llen l");
	ck_assert(!test_send(reader, "blpop l m 0"));
	assert_says(writer, "rpush l x", ":1\r\n");
	test_turns(1);
	test_read(reader);
}
END_TEST

/* While it waits, it is told of a key that it was allowed to read when it began. */
START_TEST(keys_that_a_waiting_client_may_read_no_more_are_not_tracked)
{
	assert_ok(writer, "acl setuser u on nopass +@all ~k");
	assert_ok(reader, "auth u any");
	assert_ok(reader, "client tracking on");
	ck_assert(!test_send(reader, "xread block 0 streams k $"));
	assert_ok(writer, "acl setuser u resetkeys ~other");
	assert_says(writer, "xadd k 1-0 f v", "$3\r\n1-0\r\n");
	assert_got(reader, INVALID("k") "-NOPERM this user has no permissions to access one of the "
					"keys used as arguments\r\n");
	assert_says(writer, "xadd k 2-0 f v", "$3\r\n2-0\r\n");
	assert_got(reader, "");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/client_tracking", setup, test_teardown,
	    (const TTest *[]){contradictions_are_refused_and_change_nothing,
		modes_are_switched_by_way_of_off_only, a_change_is_told_once_to_each_reader,
		its_own_change_is_told_behind_the_reply, flushes_tell_of_all_keys,
		expired_keys_are_told, caching_is_for_the_next_command_or_transaction,
		resp2_is_told_through_a_subscriber_of_another_connection,
		a_push_to_a_client_in_the_middle_of_its_command_follows_the_reply,
		a_push_to_a_client_whose_reply_is_in_progress_follows_it,
		a_redirect_to_a_client_that_left_is_broken, prefixes_are_told_once_a_turn,
		gathered_keys_go_with_the_last_client_of_their_prefix,
		many_prefixes_are_added_and_removed_in_slices,
		prefixes_are_bounded_in_length_and_number, the_table_is_bounded_in_keys_and_items,
		a_client_that_does_not_read_is_closed_at_its_limit,
		a_client_that_reads_is_not_closed, large_replies_do_not_count_as_invalidations,
		keys_outlive_off_and_end_with_their_client,
		a_served_client_is_told_behind_its_reply,
		keys_that_a_waiting_client_may_read_no_more_are_not_tracked, NULL});
}
