#include "config.h"

#include "server/dump.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_commands.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/journal.h"
#include "server/replay.h"
#include "server/server.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *c;
static struct buffer text; /* collected commands: "SELECT 0;SET a 1;" */

static void
setup(void)
{
	test_setup();
	c = test_open();
	text = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&text);
	test_teardown();
}

static const char *
as_text(void)
{
	buffer_append(&text, "", 1);
	text.len--;
	return text.ptr;
}

static const char *
dumped(void)
{
	buffer_clear(&text);
	ck_assert(server_dump(test_server, false, testing_note_commands, &text));
	return as_text();
}

static void
replay(const char *line)
{
	struct slice argv[16];
	char error[256];
	size_t argc = 0;

	while (*line != '\0') {
		size_t len = strcspn(line, " ");

		argv[argc++] = (struct slice){line, len};
		line += len + (line[len] != '\0');
	}
	ck_assert_msg(server_replay(test_server, argv, argc, error, sizeof(error)), "%s", error);
}

/* Checks that the command of these words is not replayed, and the reason. */
static void
check_refused(const char *const words[], const char *expected)
{
	struct slice argv[8];
	size_t argc = 0;
	char error[256];

	for (; words[argc] != NULL; argc++)
		argv[argc] = slice_of(words[argc]);
	ck_assert(!server_replay(test_server, argv, argc, error, sizeof(error)));
	ck_assert_str_eq(error, expected);
}

#define REFUSED(expected, ...) check_refused((const char *const[]){__VA_ARGS__, NULL}, expected)

START_TEST(what_was_dumped_can_be_replayed)
{
	server_replay_begin(test_server, false);
	replay("SELECT 2");
	replay("MULTI");
	replay("SET a 1");
	replay("EXEC");
	replay("RPUSH list x y z");
	replay("SADD set 1");
	replay("HSET hash f v");
	replay("ZADD zset 1.5 m");
	replay("PEXPIREAT zset 9999999999999");
	server_replay_end(test_server);
	ck_assert_uint_eq(server_key_count(test_server), 5);
	dumped();
	ck_assert_ptr_nonnull(strstr(text.ptr, "SELECT 2;"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "SET a 1;"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "RPUSH list x y z;"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "SADD set 1;"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "HSET hash f v;"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "ZADD zset 1.5 m;PEXPIREAT zset 9999999999999;"));
}
END_TEST

/* Redis logs XCLAIM of an entry that it removes from the pending ones because it was deleted, and
 * removes it again when it reads the file. */
START_TEST(a_deleted_entry_stays_pending_in_what_this_program_wrote)
{
	for (int is_foreign = 0; is_foreign <= 1; is_foreign++) {
		server_replay_begin(test_server, false);
		server_replay_set_foreign(test_server, is_foreign);
		replay("DEL s");
		replay("XADD s 1-0 f v");
		replay("XADD s 2-0 f v");
		replay("XGROUP CREATE s g 0");
		replay("XCLAIM s g c 0 1-0 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0");
		replay("XCLAIM s g c 0 2-0 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0");
		replay("XDEL s 2-0");
		replay("XCLAIM s g d 0 2-0 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0");
		server_replay_end(test_server);
		ck_assert_str_eq(test_call(c, "XPENDING s g"),
		    is_foreign
			? "*4\r\n:1\r\n$3\r\n1-0\r\n$3\r\n1-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n"
			: "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n"
			  "*2\r\n$1\r\nd\r\n$1\r\n1\r\n");
	}
}
END_TEST

START_TEST(a_dump_for_another_process_has_the_use_of_each_key)
{
	char line[64];
	uint32_t access;

	test_call(c, "SET a 1");
	access = kv_access(kv_find(kv_database(test_server->kv, 0), SLICE("a")));
	buffer_clear(&text);
	ck_assert(server_dump(test_server, true, testing_note_commands, &text));
	snprintf(line, sizeof(line), "SELECT 0;SET a 1;FANFARED.LRU a %u;", (unsigned)access);
	ck_assert_str_eq(as_text(), line);
	server_replay_begin(test_server, true);
	replay("SELECT 0");
	replay("FANFARED.LRU a 4711");
	replay("FANFARED.LFU a 1"); /* of another kind of policy */
	REFUSED("wrong arguments for 'FANFARED.LRU'", "FANFARED.LRU", "none", "1");
	REFUSED("wrong arguments for 'FANFARED.LRU'", "FANFARED.LRU", "a", "16777216");
	REFUSED("wrong arguments for 'FANFARED.LFU'", "FANFARED.LFU", "a", "x");
	server_replay_end(test_server);
	ck_assert_uint_eq(kv_access(kv_find(kv_database(test_server->kv, 0), SLICE("a"))), 4711);
	server_replay_begin(test_server, false);
	REFUSED("unknown command 'FANFARED.LRU'", "FANFARED.LRU", "a", "1");
	server_replay_end(test_server);
}
END_TEST

START_TEST(collections_are_dumped_in_commands_of_64_elements)
{
	size_t commands = 0;

	for (int i = 0; i < 130; i++) {
		char line[32];

		snprintf(line, sizeof(line), "RPUSH list e%d", i);
		test_call(c, line);
	}
	dumped();
	for (const char *at = text.ptr; (at = strstr(at, "RPUSH list ")) != NULL; at++)
		commands++;
	ck_assert_uint_eq(commands, 3);
	ck_assert_ptr_nonnull(strstr(text.ptr, "RPUSH list e128 e129;"));
}
END_TEST

START_TEST(a_stream_is_dumped_with_its_past_and_its_groups)
{
	static const char *const written =
	    "SELECT 0;XADD s 1-1 f v;XADD s 1-3 f v g w;XSETID s 1-3 ENTRIESADDED 3 MAXDELETEDID "
	    "1-2;XGROUP CREATE s g 1-2 ENTRIESREAD 2;XGROUP CREATECONSUMER s g c;"
	    "XCLAIM s g c 0 1-1 1-2 TIME 5 RETRYCOUNT 1 FORCE JUSTID;"
	    "XCLAIM s g c 0 1-3 TIME 5 RETRYCOUNT 9 FORCE JUSTID;FANFARED.XCONSUMER s g c 7 8;";

	server_replay_begin(test_server, false);
	replay("XADD s 1-1 f v");
	replay("XADD s 1-2 f v");
	replay("XADD s 1-3 f v g w");
	replay("XGROUP CREATE s g 1-2 ENTRIESREAD 2");
	replay("XCLAIM s g c 0 1-1 1-2 TIME 5 RETRYCOUNT 1 FORCE JUSTID");
	replay("XCLAIM s g c 0 1-3 TIME 5 RETRYCOUNT 9 FORCE JUSTID");
	replay("XDEL s 1-2");
	replay("FANFARED.XCONSUMER s g c 7 8");
	server_replay_end(test_server);
	ck_assert_str_eq(dumped(), written);
	server_replay_begin(test_server, false);
	replay("DEL s");
	for (const char *at = written; *at != '\0';) {
		char line[128];
		size_t len = strcspn(at, ";");

		snprintf(line, sizeof(line), "%.*s", (int)len, at);
		replay(line);
		at += len + 1;
	}
	server_replay_end(test_server);
	ck_assert_str_eq(dumped(), written);
}
END_TEST

START_TEST(an_empty_stream_is_dumped_too)
{
	test_call(c, "XADD s 5-1 f v");
	test_call(c, "XDEL s 5-1");
	ck_assert_str_eq(dumped(), "SELECT 0;XADD s MAXLEN 0 0-1 x y;"
				   "XSETID s 5-1 ENTRIESADDED 1 MAXDELETEDID 5-1;");
}
END_TEST

START_TEST(pending_entries_are_dumped_in_commands_of_64)
{
	size_t commands = 0;

	test_call(c, "XGROUP CREATE s g 0 MKSTREAM");
	for (int i = 1; i <= 130; i++) {
		char line[32];

		snprintf(line, sizeof(line), "XADD s 1-%d f v", i);
		test_call(c, line);
	}
	test_call(c, "XREADGROUP GROUP g c STREAMS s >");
	dumped();
	for (const char *at = text.ptr; (at = strstr(at, "XCLAIM s g c 0 ")) != NULL; at++)
		commands++;
	ck_assert_uint_eq(commands, 3);
}
END_TEST

START_TEST(the_times_of_a_consumer_that_is_not_there_are_refused)
{
	server_replay_begin(test_server, false);
	replay("XGROUP CREATE s g 0 MKSTREAM");
	replay("XGROUP CREATECONSUMER s g c");
	replay("SET a x");
	REFUSED(
	    "wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "s", "g", "c", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "none", "g", "c",
	    "1", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "a", "g", "c",
	    "1", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "s", "none", "c",
	    "1", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "s", "g", "none",
	    "1", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "s", "g", "c",
	    "x", "1");
	REFUSED("wrong arguments for 'FANFARED.XCONSUMER'", "FANFARED.XCONSUMER", "s", "g", "c",
	    "1", "x");
	server_replay_end(test_server);
	assert_says(c, "FANFARED.XCONSUMER s g c 1 1",
	    "-ERR unknown command 'FANFARED.XCONSUMER', with args beginning with: 's' 'g' 'c' '1' "
	    "'1' \r\n");
}
END_TEST

START_TEST(a_key_that_ended_before_the_start_is_there_while_it_is_read_and_may_be_kept)
{
	server_replay_begin(test_server, false);
	replay("SET a 1 PXAT 1000");
	replay("SET b 1 PXAT 1000");
	replay("PERSIST a");
	replay("RPUSH list x");
	replay("PEXPIREAT list 1000");
	replay("PERSIST list");
	server_replay_end(test_server);
	server_journal_set(test_server, true, false);
	assert_says(c, "GET a", "$1\r\n1\r\n");
	assert_says(c, "GET b", "$-1\r\n");
	assert_says(c, "LLEN list", ":1\r\n");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;DEL b;");
}
END_TEST

START_TEST(an_unknown_command_is_not_replayed)
{
	server_replay_begin(test_server, false);
	REFUSED("unknown command 'NOSUCH'", "NOSUCH", "a");
	REFUSED("unknown command '\\x1b'", "\x1b", "a");
	REFUSED("wrong number of arguments for 'SET'", "SET", "a");
	REFUSED("SELECT of an unknown database: start with more databases, and rewrite the file "
		"before they become fewer",
	    "SELECT", "100000");
	server_replay_end(test_server);
}
END_TEST

START_TEST(what_changes_no_keys_or_waits_is_not_replayed)
{
	server_replay_begin(test_server, false);
	REFUSED("not a command that is kept on disk: 'GET'", "GET", "a");
	REFUSED("not a command that is kept on disk: 'shutdown'", "shutdown", "nosave");
	REFUSED("not a command that is kept on disk: 'CONFIG'", "CONFIG", "SET", "dir", "/");
	REFUSED("not a command that is kept on disk: 'BLPOP'", "BLPOP", "a", "0");
	REFUSED("not a command that is kept on disk: 'SUBSCRIBE'", "SUBSCRIBE", "a");
	ck_assert_int_eq(test_shutdowns, 0);
	server_replay_end(test_server);
}
END_TEST

START_TEST(a_command_that_fails_is_refused_with_its_error)
{
	server_replay_begin(test_server, false);
	replay("SET a x");
	REFUSED("rpush failed: -WRONGTYPE Operation against a key holding the wrong kind of "
		"value",
	    "RPUSH", "a", "b");
	REFUSED("incr failed: -ERR value is not an integer or out of range", "INCR", "a");
	server_replay_end(test_server);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/dump", setup, teardown,
	    (const TTest *[]){what_was_dumped_can_be_replayed,
		a_deleted_entry_stays_pending_in_what_this_program_wrote,
		a_dump_for_another_process_has_the_use_of_each_key,
		collections_are_dumped_in_commands_of_64_elements,
		a_stream_is_dumped_with_its_past_and_its_groups, an_empty_stream_is_dumped_too,
		pending_entries_are_dumped_in_commands_of_64,
		the_times_of_a_consumer_that_is_not_there_are_refused,
		a_key_that_ended_before_the_start_is_there_while_it_is_read_and_may_be_kept,
		an_unknown_command_is_not_replayed, what_changes_no_keys_or_waits_is_not_replayed,
		a_command_that_fails_is_refused_with_its_error, NULL});
}
