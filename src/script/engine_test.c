#include "config.h"

#include "script/engine.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_commands.h"
#include "cmd/testing_server.h"
#include "kv/eviction_policy.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/held.h"
#include "server/job.h"
#include "server/journal.h"
#include "server/pause.h"
#include "server/scripts.h"
#include "server/server.h"
#include "server/server_config.h"

/* What the engine does beside other clients, turn by turn. tests/test_scripts.py has the rest. */

/* Counts a key twice, 200 ms apart: longer than the first slice. */
#define SLOW                                                                                       \
	"local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end "   \
	"local from = ms() redis.call('INCR', 'n') while ms() - from < 200 do end "                \
	"return redis.call('INCR', 'n')"

/* Makes all that the three blocked clients wait for, and takes it away again after 100 ms. It calls
 * the hook often, because a command takes long under valgrind. */
#define MAKES_AND_TAKES                                                                            \
	"local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end "   \
	"local from = ms() redis.call('RPUSH', 'l', 'a', 'b') redis.call('XADD', 's', '1-0', "     \
	"'f', '1') redis.call('XADD', 't', '1-0', 'f', '1') "                                      \
	"while ms() - from < 100 do for i = 1, 3000 do end end "                                   \
	"redis.call('LPOP', 'l') redis.call('XDEL', 't', '1-0') redis.call('XADD', 's', '2-0', "   \
	"'f', '2') return redis.call('LLEN', 'l')"

#define MADE_AND_TAKEN                                                                             \
	"MULTI;RPUSH l a b;XADD s 1-0 f 1;XADD t 1-0 f 1;LPOP l;XDEL t 1-0;XADD s 2-0 f 2;EXEC;"

static struct test_conn *c, *other;
static struct buffer text;

static void
setup(void)
{
	test_setup();
	test_config.busy_reply_threshold_ms = 5000;
	script_engine_attach(test_server);
	c = test_open();
	other = test_open();
	text = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&text);
	test_teardown();
}

/* False if it has to wait. */
static bool
send_eval(struct test_conn *conn, const char *body)
{
	const struct slice args[] = {SLICE("EVAL"), slice_of(body), SLICE("0")};

	return test_send_args(conn, args, 3);
}

static const char *
eval(struct test_conn *conn, const char *body)
{
	ck_assert(send_eval(conn, body));
	return test_read(conn);
}

static void
finish_script(void)
{
	for (int i = 0; scripts_are_suspended(test_server); i++) {
		ck_assert_int_lt(i, 100000);
		test_turns(1);
	}
}

START_TEST(a_short_script_is_done_at_once)
{
	ck_assert_str_eq(eval(c, "return redis.call('INCR', 'n')"), ":1\r\n");
	ck_assert_int_eq(test_server->scripts->state, SCRIPT_IDLE);
}
END_TEST

START_TEST(while_a_script_is_suspended_others_wait_and_see_nothing)
{
	ck_assert(!send_eval(c, SLOW));
	ck_assert_str_eq(test_read(c), "");
	ck_assert_int_eq(test_server->scripts->state, SCRIPT_WAITED);
	ck_assert(!test_send(other, "GET n"));
	test_turns(1);
	ck_assert_str_eq(test_read(other), "");
	finish_script();
	ck_assert_str_eq(test_finish(c), ":2\r\n");
	ck_assert_str_eq(test_finish(other), "$1\r\n2\r\n");
}
END_TEST

START_TEST(commands_that_may_always_be_called_do_not_wait)
{
	ck_assert(!send_eval(c, "while true do end"));
	ck_assert_str_eq(test_call(other, "SCRIPT KILL"), "+OK\r\n");
	finish_script();
	ck_assert_ptr_nonnull(strstr(test_finish(c), "Script killed by user"));
	ck_assert_str_eq(test_call(other, "PING"), "+PONG\r\n");
}
END_TEST

/* KEYS of many keys is a job: it must not go on in the middle of a script. */
START_TEST(the_jobs_of_others_wait)
{
	for (int i = 0; i < testing_steps(200000); i++) {
		char line[32];

		snprintf(line, sizeof(line), "SET k%d v", i);
		ck_assert_str_eq(test_call(other, line), "+OK\r\n");
	}
	ck_assert(!test_send(other, "KEYS k*"));
	ck_assert(!send_eval(c, "redis.call('FLUSHALL') for i = 1, 1e9 do redis.sha1hex('') end"));
	test_turns(200);
	ck_assert(scripts_are_suspended(test_server));
	ck_assert_uint_eq(test_read_all(other).len, 0);
	scripts_settle(test_server);
	(void)test_finish(c);
	ck_assert_int_eq(test_finish(other)[0], '*');
}
END_TEST

/* BLPOP l, XREAD of s, XREADGROUP of t. */
static struct test_conn *waiters[3];

static void
block_clients(void)
{
	static const char *const lines[] = {
	    "BLPOP l 0", "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g me BLOCK 0 STREAMS t >"};

	ck_assert_str_eq(test_call(c, "XGROUP CREATE t g $ MKSTREAM"), "+OK\r\n");
	for (size_t i = 0; i < 3; i++) {
		waiters[i] = test_open();
		ck_assert(!test_send(waiters[i], lines[i]));
	}
}

/* What they wait for is there when the script has ended: b in the list, and two entries in s. */
static void
check_served(void)
{
	ck_assert_str_eq(test_finish(waiters[0]), "*2\r\n$1\r\nl\r\n$1\r\nb\r\n");
	ck_assert_str_eq(test_finish(waiters[1]),
	    "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n"
	    "*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
	test_turns(1);
	ck_assert_str_eq(test_read(waiters[2]), "");
	ck_assert_uint_eq(test_server->blocked->count, 1);
}

START_TEST(blocked_clients_are_served_behind_a_suspended_script)
{
	block_clients();
	ck_assert(!send_eval(c, MAKES_AND_TAKES));
	for (int i = 0; scripts_are_suspended(test_server); i++) {
		ck_assert_int_lt(i, 100000);
		(void)test_call(other, "UNWATCH");
		ck_assert_uint_eq(test_server->blocked->count, 3);
		test_turns(1);
	}
	ck_assert_str_eq(test_finish(c), ":1\r\n");
	check_served();
	ck_assert_str_eq(test_call(other, "LLEN l"), ":0\r\n");
}
END_TEST

START_TEST(blocked_clients_are_served_behind_a_script_of_one_turn)
{
	block_clients();
	ck_assert_str_eq(
	    eval(c, "redis.call('RPUSH', 'l', 'a', 'b') redis.call('XADD', 's', '1-0', 'f', '1') "
		    "redis.call('XADD', 't', '1-0', 'f', '1') redis.call('LPOP', 'l') "
		    "redis.call('XDEL', 't', '1-0') redis.call('XADD', 's', '2-0', 'f', '2') "
		    "return redis.call('LLEN', 'l')"),
	    ":1\r\n");
	check_served();
}
END_TEST

START_TEST(blocked_clients_are_served_before_a_script_counts_as_settled)
{
	block_clients();
	server_journal_set(test_server, true, false);
	ck_assert(!send_eval(c, MAKES_AND_TAKES));
	scripts_settle(test_server);
	ck_assert_uint_eq(test_server->blocked->count, 1);
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;" MADE_AND_TAKEN "LPOP l;");
	ck_assert_str_eq(test_finish(c), ":1\r\n");
	check_served();
}
END_TEST

/* Half a script in the append-only file would be what is left of it after a crash. */
START_TEST(nothing_goes_to_the_journal_in_the_middle_of_a_script)
{
	struct test_conn *in_time = test_open(), *writer = test_open();

	ck_assert_str_eq(test_call(c, "SET due v PX 20"), "+OK\r\n");
	block_clients();
	server_journal_set(test_server, true, false);
	ck_assert(!test_send(in_time, "BLPOP other 0.02"));
	ck_assert(!send_eval(c, MAKES_AND_TAKES));
	ck_assert(!test_send(writer, "LPUSH other x"));
	test_config.maxmemory_bytes = 1;
	test_config.evict.policy = KV_ALLKEYS_LRU;
	for (int i = 0; scripts_are_suspended(test_server); i++) {
		ck_assert_int_lt(i, 100000);
		ck_assert_str_eq(testing_collected(&text), "");
		test_turns(1);
	}
	test_config.maxmemory_bytes = 0;
	ck_assert_str_eq(test_finish(in_time), "*-1\r\n");
	ck_assert_int_eq(strncmp(testing_collected(&text), "SELECT 0;" MADE_AND_TAKEN "LPOP l;",
			     strlen("SELECT 0;" MADE_AND_TAKEN "LPOP l;")),
	    0);
	(void)test_finish(writer);
	(void)test_finish(c);
	check_served();
}
END_TEST

START_TEST(a_script_waits_until_earlier_replies_are_sent)
{
	server_journal_set(test_server, true, true);
	ck_assert_str_eq(test_call(c, "SET a 1"), "");
	ck_assert(!send_eval(c, "return redis.call('PUBLISH', 'news', 'x')"));
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, server_journal_taken(test_server));
	ck_assert_str_eq(test_finish(c), "+OK\r\n:0\r\n");
}
END_TEST

START_TEST(the_reply_of_a_suspended_script_waits_for_what_it_has_changed)
{
	server_journal_set(test_server, true, true);
	ck_assert(!send_eval(c, SLOW));
	ck_assert(scripts_are_suspended(test_server));
	finish_script();
	test_turns(2);
	ck_assert_str_eq(test_read(c), "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;MULTI;INCR n;INCR n;EXEC;");
	server_journal_kept(test_server, server_journal_taken(test_server));
	ck_assert_str_eq(test_finish(c), ":2\r\n");
}
END_TEST

START_TEST(a_script_goes_on_without_its_client)
{
	ck_assert(!send_eval(c, SLOW));
	test_close(c);
	ck_assert(scripts_are_suspended(test_server));
	finish_script();
	ck_assert_str_eq(test_call(other, "GET n"), "$1\r\n2\r\n");
}
END_TEST

/* The reply of a settled script goes to its own client, whatever others run meanwhile. */
START_TEST(a_settled_script_answers_its_own_client)
{
	ck_assert(!send_eval(c, SLOW));
	ck_assert(scripts_are_suspended(test_server));
	scripts_settle(test_server);
	ck_assert_int_eq(test_server->scripts->state, SCRIPT_IDLE);
	ck_assert_ptr_null(test_server->pause->by_script);
	ck_assert_str_eq(eval(other, "return 'mine'"), "$4\r\nmine\r\n");
	ck_assert_str_eq(test_finish(c), ":2\r\n");
}
END_TEST

START_TEST(a_settled_script_that_has_not_written_is_ended)
{
	ck_assert(!send_eval(c, "while true do end"));
	scripts_settle(test_server);
	ck_assert_ptr_nonnull(strstr(test_finish(c), "Script killed by user"));
}
END_TEST

/* Loads scripts that differ. Returns how much memory they take. */
static size_t
load_scripts(int count)
{
	size_t before = alloc_used_bytes();

	for (int i = 0; i < count; i++) {
		char body[400];
		struct slice args[] = {SLICE("SCRIPT"), SLICE("LOAD"), {0}};

		snprintf(
		    body, sizeof(body), "return redis.call('GET', KEYS[1] .. %d) --%0200d", i, 0);
		args[2] = slice_of(body);
		ck_assert(test_send_args(other, args, 3));
		(void)test_read(other);
	}
	return alloc_used_bytes() - before;
}

/* A turn has 2 ms; no machine frees a third of this within it. */
START_TEST(many_scripts_are_thrown_away_in_slices)
{
	const int count = testing_steps(50000);
	size_t bytes, full, before, after;

	bytes = load_scripts(count);
	ck_assert_uint_gt(bytes, (size_t)count * 800);
	full = alloc_used_bytes();
	ck_assert_str_eq(test_call(other, "SCRIPT FLUSH"), "+OK\r\n");
	ck_assert_uint_gt(alloc_used_bytes(), full - bytes / 10);
	ck_assert_str_eq(eval(c, "return redis.call('INCR', 'n')"), ":1\r\n");
	for (before = alloc_used_bytes(); test_server->jobs->count > 0; before = after) {
		test_turns(1);
		after = alloc_used_bytes();
		ck_assert_uint_gt(after + bytes / 3, before);
	}
	ck_assert_uint_lt(alloc_used_bytes(), full - bytes + bytes / 10);
}
END_TEST

START_TEST(scripts_that_are_thrown_away_when_the_server_ends_are_freed)
{
	for (int i = 0; i < 3; i++) {
		(void)load_scripts(testing_steps(3000));
		ck_assert_str_eq(test_call(other, "SCRIPT FLUSH"), "+OK\r\n");
	}
	ck_assert_uint_gt(test_server->jobs->count, 0);
}
END_TEST

START_TEST(nothing_is_left_when_the_server_ends_during_a_script)
{
	ck_assert(!send_eval(c, SLOW));
	ck_assert(scripts_are_suspended(test_server));
}
END_TEST

int
main(void)
{
	return testing_main("script/engine", setup, teardown,
	    (const TTest *[]){a_short_script_is_done_at_once,
		while_a_script_is_suspended_others_wait_and_see_nothing,
		commands_that_may_always_be_called_do_not_wait, the_jobs_of_others_wait,
		blocked_clients_are_served_behind_a_suspended_script,
		blocked_clients_are_served_behind_a_script_of_one_turn,
		blocked_clients_are_served_before_a_script_counts_as_settled,
		nothing_goes_to_the_journal_in_the_middle_of_a_script,
		a_script_waits_until_earlier_replies_are_sent,
		the_reply_of_a_suspended_script_waits_for_what_it_has_changed,
		a_script_goes_on_without_its_client, a_settled_script_answers_its_own_client,
		a_settled_script_that_has_not_written_is_ended,
		many_scripts_are_thrown_away_in_slices,
		scripts_that_are_thrown_away_when_the_server_ends_are_freed,
		nothing_is_left_when_the_server_ends_during_a_script, NULL});
}
