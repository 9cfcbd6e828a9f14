#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_replay.h"
#include "server/client.h"
#include "server/history_wait.h"
#include "server/server_config.h"
#include "server/wait.h"

/* HISTORY, its errors, and readers that wait. */

static struct test_conn *c, *other;
static uint64_t begun_s;

/* A long reply may take several turns, on a busy machine any. */
static const char *
call(struct test_conn *conn, const char *line)
{
	return test_send(conn, line) ? test_read(conn) : test_finish(conn);
}

static void
keep(const char *glob, const char *size)
{
	char words[64];

	snprintf(words, sizeof(words), "history-size %s history-ttl 60", size);
	testing_set_line(test_server->hub, glob, words);
}

static void
setup(void)
{
	begun_s = clock_wall_us() / 1000000;
	test_setup();
	c = test_open();
	other = test_open();
	keep("a*", "10"); /* takes position 1 */
}

static unsigned long long
epoch(void)
{
	return (unsigned long long)history_position(hub_history(test_server->hub)).epoch;
}

/* The text with each ^ replaced by the epoch, which has 16 digits. Two results are valid. */
static const char *
with_epoch(const char *text)
{
	static struct buffer filled[2];
	static int which;
	struct buffer *out = &filled[which ^= 1];

	buffer_clear(out);
	for (; *text != '\0'; text++) {
		if (*text == '^')
			buffer_appendf(out, "%llu", epoch());
		else
			buffer_append(out, text, 1);
	}
	buffer_append(out, "", 1);
	return out->ptr;
}

#define assert_says(conn, line, reply)                                                             \
	ck_assert_str_eq(call(conn, with_epoch(line)), with_epoch(reply))

#define ENTRY(seq, payload_len, payload)                                                           \
	"*2\r\n$18\r\n^-" seq "\r\n$" payload_len "\r\n" payload "\r\n"

START_TEST(the_epoch_has_16_digits_and_javascript_keeps_it)
{
	ck_assert_uint_lt(epoch(), 1ULL << 53);
	ck_assert_uint_ge(epoch(), 1000000000000000ULL);
	ck_assert_uint_ge(epoch() >> 20, begun_s);
	ck_assert_uint_le(epoch() >> 20, clock_wall_us() / 1000000);
}
END_TEST

START_TEST(len_and_position_count_kept_messages)
{
	assert_says(c, "history position", "$18\r\n^-1\r\n");
	assert_says(c, "publish a x", ":0\r\n");
	assert_says(c, "publish b x", ":0\r\n");
	assert_says(c, "history position", "$18\r\n^-2\r\n");
	assert_says(c, "history len a", ":1\r\n");
	assert_says(c, "history len b", ":0\r\n");
	assert_says(c, "history del a", ":1\r\n");
	assert_says(c, "history del a", ":0\r\n");
	assert_says(c, "history len a", ":0\r\n");
}
END_TEST

START_TEST(range_has_the_bounds_and_options_of_xrange)
{
	for (int i = 0; i < 3; i++)
		call(c, "publish a m");
	assert_says(c, "history range a - +",
	    "*3\r\n" ENTRY("2", "1", "m") ENTRY("3", "1", "m") ENTRY("4", "1", "m"));
	assert_says(c, "history range a - + count 1", "*1\r\n" ENTRY("2", "1", "m"));
	assert_says(c, "history range a - + rev COUNT 2",
	    "*2\r\n" ENTRY("4", "1", "m") ENTRY("3", "1", "m"));
	assert_says(c, "history range a ^-3 ^-3", "*1\r\n" ENTRY("3", "1", "m"));
	assert_says(c, "history range a (^-2 (^-4", "*1\r\n" ENTRY("3", "1", "m"));
	assert_says(c, "history range a ^ ^ count 1", "*1\r\n" ENTRY("2", "1", "m"));
	assert_says(c, "history range a (^-2 ^ rev count 1", "*1\r\n" ENTRY("4", "1", "m"));
	assert_says(c, "history range a ^-4 ^-3", "*0\r\n");
	assert_says(c, "history range a + -", "*0\r\n");
	assert_says(c, "history range a - 5-7", "*0\r\n");
	assert_says(c, "history range a 5-7 +",
	    "*3\r\n" ENTRY("2", "1", "m") ENTRY("3", "1", "m") ENTRY("4", "1", "m"));
	assert_says(c, "history range b - +", "*0\r\n");
}
END_TEST

START_TEST(invalid_arguments_of_range_are_refused)
{
	static const char *const cases[][2] = {
	    {"history range a x +", "-ERR Invalid position 'x': must be EPOCH-SEQ, EPOCH, - or +, "
				    "with ( to exclude it"},
	    {"history range a - (0-0",
		"-ERR Invalid position '(0-0': must be EPOCH-SEQ, EPOCH, - or +, with ( to exclude "
		"it"},
	    {"history range a - + count", "-ERR syntax error"},
	    {"history range a - + count 0", "-ERR value is out of range, must be positive"},
	    {"history range a - + count x", "-ERR value is out of range, must be positive"},
	    {"history range a - + rev rev", "-ERR syntax error"},
	    {"history range a - + count 1 count 1", "-ERR syntax error"},
	    {"history range a - + what", "-ERR syntax error"},
	    {"history range a -", "-ERR wrong number of arguments for 'history|range' command"},
	    {"history nothing", "-ERR unknown subcommand 'nothing'. Try HISTORY HELP."},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char reply[256];

		snprintf(reply, sizeof(reply), "%s\r\n", cases[i][1]);
		ck_assert_str_eq(call(c, cases[i][0]), reply);
	}
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
	test_config.hub.name_bytes = 3;
	assert_says(c, "history len aaaa", "-ERR channel name too long (max-channel-length 3)\r\n");
	assert_says(c, "history del aaaa", "-ERR channel name too long (max-channel-length 3)\r\n");
	assert_says(
	    c, "history info aaaa", "-ERR channel name too long (max-channel-length 3)\r\n");
	assert_says(
	    c, "history range aaaa - +", "-ERR channel name too long (max-channel-length 3)\r\n");
	assert_says(c, "history read channels aaaa 0",
	    "-ERR channel name too long (max-channel-length 3)\r\n");
}
END_TEST

START_TEST(read_has_the_shape_of_xread)
{
	call(c, "publish a 1");
	call(c, "publish ab 2");
	call(c, "publish a 3");
	assert_says(c, "history read channels a ab 0 0",
	    "*2\r\n*2\r\n$1\r\na\r\n*2\r\n" ENTRY("2", "1", "1")
		ENTRY("4", "1", "3") "*2\r\n$2\r\nab\r\n*1\r\n" ENTRY("3", "1", "2"));
	assert_says(c, "history read count 1 channels a ab ^-2 ^-3",
	    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("4", "1", "3"));
	assert_says(
	    c, "history read channels a -1", "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("4", "1", "3"));
	assert_says(c, "history read channels a $", "*-1\r\n");
	assert_says(c, "history read channels a ^-4", "*-1\r\n");
	call(other, "hello 3");
	assert_says(other, "history read channels a ab 0 0",
	    "%2\r\n$1\r\na\r\n*2\r\n" ENTRY("2", "1", "1")
		ENTRY("4", "1", "3") "$2\r\nab\r\n*1\r\n" ENTRY("3", "1", "2"));
	assert_says(other, "history read channels a $", "_\r\n");
}
END_TEST

START_TEST(a_position_that_cannot_be_continued_is_lost)
{
	for (int i = 0; i < 12; i++)
		call(c, "publish a x");
	assert_says(c, "history read channels a ^-2",
	    "-LOST channel 'a' has no messages since ^-2 any more\r\n");
	assert_says(c, "history read channels a 5-3",
	    "-LOST channel 'a' has no messages since 5-3 any more\r\n");
	assert_says(c, "history read channels a ^-99",
	    "-LOST channel 'a' has no messages since ^-99 any more\r\n");
	/* A channel without messages, and a position from before it was kept. */
	assert_says(c, "history read channels ab ^-0",
	    "-LOST channel 'ab' has no messages since ^-0 any more\r\n");
	assert_says(c, "history read channels ab ^-1", "*-1\r\n");
	assert_says(c, "history read count 1 channels a ^-3",
	    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("4", "1", "x"));
}
END_TEST

START_TEST(invalid_arguments_of_read_are_refused)
{
	static const char *const cases[][2] = {
	    {"history read channels a x",
		"-ERR Invalid position 'x': must be EPOCH-SEQ, 0, $ or -N"},
	    {"history read channels a -0",
		"-ERR Invalid position '-0': must be EPOCH-SEQ, 0, $ or -N"},
	    {"history read channels b 0", "-ERR channel 'b' keeps no history"},
	    {"history read channels a b 0", "-ERR Unbalanced 'history read' list of channels: for "
					    "each channel a position or '0', "
					    "'$' or '-N' must be specified."},
	    {"history read count 1 channels", "-ERR syntax error"},
	    {"history read count 1 block 1", "-ERR syntax error"},
	    {"history read count -1 channels a 0", "-ERR value is out of range, must be positive"},
	    {"history read block x channels a 0", "-ERR timeout is not an integer or out of range"},
	    {"history read block -1 channels a 0", "-ERR timeout is negative"},
	    {"history read foo 1 channels a 0", "-ERR syntax error"},
	};
	struct buffer line = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char reply[256];

		snprintf(reply, sizeof(reply), "%s\r\n", cases[i][1]);
		ck_assert_str_eq(call(c, cases[i][0]), reply);
	}
	buffer_append_str(&line, "history read channels");
	for (int i = 0; i < 257; i++)
		buffer_append_str(&line, " a");
	for (int i = 0; i < 257; i++)
		buffer_append_str(&line, " $");
	buffer_append(&line, "", 1);
	assert_says(c, line.ptr, "-ERR max number of channels of HISTORY READ reached (256)\r\n");
	buffer_release(&line);
}
END_TEST

START_TEST(a_reader_waits_for_a_message_of_any_of_its_channels)
{
	ck_assert(!test_send(c, "history read block 0 channels a ab $ $"));
	ck_assert_int_eq(client_waits_for(c->client), WAIT_HISTORY);
	call(other, "publish ac x");
	test_turns(2);
	ck_assert(c->later);
	call(other, "publish ab x");
	call(other, "publish ab y");
	ck_assert_str_eq(test_finish(c),
	    with_epoch("*1\r\n*2\r\n$2\r\nab\r\n*2\r\n" ENTRY("3", "1", "x") ENTRY("4", "1", "y")));
	ck_assert_uint_eq(test_server->history_waits->count, 0);
	/* Where it began is what it goes on from, however often it waits. */
	ck_assert(!test_send(c, with_epoch("history read block 0 channels a ^-4")));
	call(other, "publish a z");
	ck_assert_str_eq(
	    test_finish(c), with_epoch("*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("5", "1", "z")));
}
END_TEST

START_TEST(a_wait_times_out_with_null)
{
	uint64_t now_us = clock_mono_us();

	ck_assert(!test_send(c, "history read block 1000 channels a $"));
	test_turn(now_us + 900000);
	ck_assert(c->later);
	test_turn(now_us + 1100000);
	ck_assert(!c->later);
	ck_assert_str_eq(test_read(c), "*-1\r\n");
	call(other, "hello 3");
	ck_assert(!test_send(other, "history read block 1000 channels a $"));
	test_turn(now_us + 2200000);
	ck_assert_str_eq(test_finish(other), "_\r\n");
	ck_assert_uint_eq(test_server->history_waits->count, 0);
}
END_TEST

START_TEST(client_unblock_ends_a_wait)
{
	char line[64];

	ck_assert(!test_send(c, "history read block 0 channels a $"));
	snprintf(line, sizeof(line), "client unblock %d", (int)c->client->id);
	assert_says(other, line, ":1\r\n");
	ck_assert_str_eq(test_finish(c), "*-1\r\n");
	ck_assert(!test_send(c, "history read block 0 channels a $"));
	snprintf(line, sizeof(line), "client unblock %d error", (int)c->client->id);
	assert_says(other, line, ":1\r\n");
	assert_says(other, line, ":0\r\n");
	ck_assert_str_eq(test_finish(c), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
	assert_says(other, line, ":0\r\n");
}
END_TEST

START_TEST(a_channel_is_read_once)
{
	assert_says(
	    c, "history read channels a ab a 0 0 0", "-ERR HISTORY READ names a channel twice\r\n");
}
END_TEST

START_TEST(a_transaction_that_deletes_a_history_waits_for_no_subscriber)
{
	assert_says(c, "publish a x", ":0\r\n");
	call(other, "outbox set policy block messages 1");
	call(other, "psubscribe *");
	assert_says(c, "publish b 1", ":1\r\n");
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "history del a", "+QUEUED\r\n");
	ck_assert(test_send(c, "exec"));
	ck_assert_str_eq(test_read(c), "*1\r\n:1\r\n");
}
END_TEST

START_TEST(a_reader_that_leaves_waits_no_more)
{
	ck_assert(!test_send(c, "history read block 0 channels a ab $ $"));
	ck_assert_uint_eq(test_server->history_waits->count, 1);
	test_close(c);
	ck_assert_uint_eq(test_server->history_waits->count, 0);
	assert_says(other, "publish a x", ":0\r\n");
	test_turns(2);
}
END_TEST

START_TEST(in_a_transaction_nothing_waits)
{
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "publish a x", "+QUEUED\r\n");
	assert_says(c, "history read block 0 channels a $", "+QUEUED\r\n");
	assert_says(c, "history read block 0 channels a 0", "+QUEUED\r\n");
	assert_says(c, "history len a", "+QUEUED\r\n");
	assert_says(c, "exec",
	    "*4\r\n:0\r\n*-1\r\n*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("2", "1", "x") ":1\r\n");
}
END_TEST

START_TEST(a_waiting_reader_is_told_if_its_messages_are_gone)
{
	ck_assert(!test_send(c, "history read block 0 channels a $"));
	/* All in one turn: the first ones leave the ring before the reader runs. */
	for (int i = 0; i < 12; i++)
		call(other, "publish a x");
	ck_assert_str_eq(
	    test_finish(c), with_epoch("-LOST channel 'a' has no messages since ^-1 any more\r\n"));
}
END_TEST

START_TEST(rights_are_those_of_a_subscriber)
{
	static const char denied[] =
	    "-NOPERM this user has no permissions to access one of the channels used as "
	    "arguments\r\n";

	assert_says(other, "acl setuser u on nopass +@all resetchannels &a", "+OK\r\n");
	assert_says(c, "auth u x", "+OK\r\n");
	assert_says(c, "history len a", ":0\r\n");
	assert_says(c, "history len ab", denied);
	assert_says(c, "history del ab", denied);
	assert_says(c, "history info ab", denied);
	assert_says(c, "history range ab - +", denied);
	assert_says(c, "history read channels a ab 0 0", denied);
	assert_says(c, "history read channels a 0", "*-1\r\n");
	ck_assert(!test_send(c, "history read block 0 channels a $"));
	assert_says(other, "acl setuser u resetchannels &x", "+OK\r\n");
	ck_assert_str_eq(test_finish(c), denied);
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "history read channels a 0", "+QUEUED\r\n");
	assert_says(c, "discard", "+OK\r\n");
}
END_TEST

START_TEST(info_shows_what_is_kept_and_what_is_complete)
{
	const char *reply;

	call(c, "publish a 12345");
	call(c, "publish a 12345");
	reply = call(c, "history info a");
	ck_assert_ptr_nonnull(
	    strstr(reply, "*22\r\n$8\r\nmessages\r\n:2\r\n$5\r\nbytes\r\n:10\r\n"));
	ck_assert_ptr_nonnull(strstr(reply, with_epoch("$5\r\nfirst\r\n$18\r\n^-2\r\n")));
	ck_assert_ptr_nonnull(strstr(reply, with_epoch("$4\r\nlast\r\n$18\r\n^-3\r\n")));
	ck_assert_ptr_nonnull(strstr(reply, with_epoch("$14\r\ncomplete-since\r\n$18\r\n^-1\r\n")));
	ck_assert_ptr_nonnull(strstr(reply, "$12\r\nhistory-size\r\n:10\r\n"));
	reply = call(c, "history info b");
	ck_assert_ptr_nonnull(strstr(reply, "$5\r\nfirst\r\n$-1\r\n$4\r\nlast\r\n$-1\r\n"));
	ck_assert_ptr_nonnull(strstr(reply, "$12\r\nhistory-size\r\n:0\r\n"));
	call(other, "hello 3");
	ck_assert_int_eq(strncmp(call(other, "history info a"), "%11\r\n", 5), 0);
	ck_assert_int_eq(strncmp(call(c, "memory usage a"), ":", 1), 0);
	ck_assert_str_eq(call(c, "memory usage b"), "$-1\r\n");
	ck_assert_ptr_nonnull(strstr(call(c, "history help"), "RANGE channel from to"));
}
END_TEST

START_TEST(nothing_from_before_a_history_was_forgotten_is_shown)
{
	call(c, "publish a x");
	call(c, "publish ab x");
	hub_forget_history(test_server->hub);
	assert_says(c, "history position", "$18\r\n^-4\r\n");
	assert_says(c, "history len a", ":0\r\n");
	assert_says(c, "history range a - +", "*0\r\n");
	call(c, "publish a y");
	assert_says(c, "history len a", ":1\r\n");
	assert_says(c, "history range a - +", "*1\r\n" ENTRY("5", "1", "y"));
	assert_says(c, "history range a - + rev", "*1\r\n" ENTRY("5", "1", "y"));
	assert_says(c, "history read channels a ab 0 0",
	    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("5", "1", "y"));
	assert_says(
	    c, "history read channels a -9", "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("5", "1", "y"));
	assert_says(c, "history read channels a ^-3",
	    "-LOST channel 'a' has no messages since ^-3 any more\r\n");
	ck_assert_ptr_nonnull(strstr(call(c, "history info a"),
	    with_epoch("$5\r\nfirst\r\n$18\r\n^-5\r\n$4\r\nlast\r\n$18\r\n^-5\r\n")));
	ck_assert_ptr_nonnull(
	    strstr(call(c, "history info ab"), with_epoch("$5\r\nfirst\r\n$-1\r\n")));
	ck_assert_ptr_nonnull(strstr(
	    call(c, "history info ab"), with_epoch("$14\r\ncomplete-since\r\n$18\r\n^-4\r\n")));
	assert_says(c, "history del a", ":1\r\n");
}
END_TEST

/* Publishes so many messages of so many bytes to channel a, which keeps them. */
static void
publish_many(size_t count, size_t large)
{
	char *payload = xcalloc(1, large + 1);
	struct slice args[3] = {SLICE("publish"), SLICE("a"), {payload, large}};
	struct slice words[6] = {SLICE("history-size"), SLICE("500"), SLICE("history-ttl"),
	    SLICE("60"), SLICE("history-bytes"), SLICE("10mb")};
	struct channel_error error;

	ck_assert(hub_set_channel_line(test_server->hub, SLICE("a"), words, 6, &error));
	while (!hub_reclassify(test_server->hub, 100))
		;
	memset(payload, 'x', large);
	for (size_t i = 0; i < count; i++) {
		ck_assert(test_send_args(c, args, 3));
		ck_assert_str_eq(test_read(c), ":0\r\n");
	}
	xfree(payload);
}

/* The positions have one more digit for 90 messages, and two more for 403. */
#define LONG_REPLY_LEN (6 + 500 * (4 + 5 + 18 + 2 + 8 + (size_t)10000 + 2) + 90 + 2 * 403)

/* A long reply is collected and sent in many turns, and is the same. */
START_TEST(a_long_reply_is_sent_in_parts)
{
	const char *reply;

	publish_many(500, 10000);
	ck_assert(!test_send(c, "history range a - +"));
	reply = test_finish(c);
	ck_assert_msg(strncmp(reply, "*500\r\n*2\r\n", 10) == 0, "%.40s", reply);
	ck_assert_uint_eq(strlen(reply), LONG_REPLY_LEN);
}
END_TEST

START_TEST(a_transaction_and_a_subscriber_get_a_long_reply_whole)
{
	const char *reply;

	publish_many(500, 10000);
	call(c, "multi");
	call(c, "history range a - +");
	reply = call(c, "exec");
	ck_assert_msg(strncmp(reply, "*1\r\n*500\r\n*2\r\n", 14) == 0, "%.40s", reply);
	ck_assert_uint_eq(strlen(reply), 4 + LONG_REPLY_LEN);
	call(c, "hello 3");
	call(c, "subscribe x");
	if (test_send(c, "history range a - +"))
		reply = test_read(c);
	else
		reply = test_finish(c);
	ck_assert_msg(strncmp(reply, "*500\r\n*2\r\n", 10) == 0, "%.40s", reply);
	ck_assert_uint_eq(strlen(reply), LONG_REPLY_LEN);
}
END_TEST

static size_t
entries_in(const char *reply)
{
	size_t count = 0;

	for (const char *at = reply; (at = strstr(at, "*2\r\n$")) != NULL; at++)
		count++;
	return count;
}

START_TEST(a_read_gets_about_a_megabyte_of_all_channels_together)
{
	const char *reply;
	char line[64];

	publish_many(500, 10000);
	if (!test_send(c, "history read channels a 0"))
		reply = test_finish(c);
	else
		reply = test_read(c);
	/* The channel itself is a pair, too. */
	ck_assert_uint_eq(entries_in(reply), 1 + (1 << 20) / 10039 + 1);
	call(c, "channel set b history-size 10 history-ttl 60");
	while (!hub_reclassify(test_server->hub, 100))
		;
	call(c, "publish b 1");
	if (!test_send(c, "history read count 400 channels a b 0 0"))
		reply = test_finish(c);
	else
		reply = test_read(c);
	ck_assert_uint_eq(entries_in(reply), 2 + (1 << 19) / 10039 + 1 + 1);
	snprintf(line, sizeof(line), "%s", with_epoch("history read channels a ^-501"));
	ck_assert_uint_eq(entries_in(call(c, line)), 2);
}
END_TEST

START_TEST(key_events_are_kept_without_subscribers)
{
	keep("__keyevent@0__:*", "10");
	test_config.notify_events = UINT32_MAX;
	assert_says(c, "set k v", "+OK\r\n");
	assert_says(c, "history len __keyevent@0__:set", ":1\r\n");
}
END_TEST

START_TEST(expiry_and_limits_are_applied_by_turns)
{
	int turns = 0;

	for (int i = 0; i < 100; i++) {
		char line[64];

		snprintf(line, sizeof(line), "publish a%d x", i);
		call(c, line);
	}
	ck_assert_uint_eq(history_figures(hub_history(test_server->hub)).rings, 100);
	test_config.history.channels = 10;
	/* A turn ends early on a slow machine. */
	while (history_figures(hub_history(test_server->hub)).rings > 10 && turns++ < 100)
		test_turn(clock_mono_us());
	ck_assert_uint_eq(history_figures(hub_history(test_server->hub)).rings, 10);
	ck_assert_uint_eq(history_figures(hub_history(test_server->hub)).evicted, 90);
	ck_assert_ptr_nonnull(strstr(call(c, "info history"), "history_evicted:90\r\n"));
	ck_assert_ptr_nonnull(strstr(call(c, "info history"), "history_channels:10\r\n"));
	assert_says(c, "config resetstat", "+OK\r\n");
	ck_assert_ptr_nonnull(strstr(call(c, "info history"), "history_evicted:0\r\n"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/history", setup, test_teardown,
	    (const TTest *[]){the_epoch_has_16_digits_and_javascript_keeps_it,
		len_and_position_count_kept_messages, range_has_the_bounds_and_options_of_xrange,
		invalid_arguments_of_range_are_refused, names_that_are_too_long_are_refused,
		read_has_the_shape_of_xread, a_position_that_cannot_be_continued_is_lost,
		invalid_arguments_of_read_are_refused,
		a_reader_waits_for_a_message_of_any_of_its_channels, a_wait_times_out_with_null,
		client_unblock_ends_a_wait, a_channel_is_read_once,
		a_transaction_that_deletes_a_history_waits_for_no_subscriber,
		a_reader_that_leaves_waits_no_more, in_a_transaction_nothing_waits,
		a_waiting_reader_is_told_if_its_messages_are_gone, rights_are_those_of_a_subscriber,
		info_shows_what_is_kept_and_what_is_complete,
		nothing_from_before_a_history_was_forgotten_is_shown, a_long_reply_is_sent_in_parts,
		a_transaction_and_a_subscriber_get_a_long_reply_whole,
		a_read_gets_about_a_megabyte_of_all_channels_together,
		key_events_are_kept_without_subscribers, expiry_and_limits_are_applied_by_turns,
		NULL});
}
