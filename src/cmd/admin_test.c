#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/core.h"
#include "server/info.h"
#include "server/rates.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* COMMAND, CONFIG, INFO, MEMORY, SLOWLOG, LOLWUT, SHUTDOWN. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define assert_shows(conn, line, part)                                                             \
	ck_assert_msg(                                                                             \
	    strstr(test_call(conn, line), part) != NULL, "'%s' does not show '%s'", line, part)

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

START_TEST(command_info_has_the_form_of_redis)
{
	assert_says(c, "command info time",
	    "*1\r\n*10\r\n$4\r\ntime\r\n:1\r\n*3\r\n+loading\r\n+stale\r\n+fast\r\n:0\r\n:0\r\n:"
	    "0\r\n"
	    "*1\r\n+@fast\r\n*1\r\n$23\r\nnondeterministic_output\r\n*0\r\n*0\r\n");
	assert_says(c, "command info nope client|nope", "*2\r\n$-1\r\n$-1\r\n");
	assert_shows(c, "command info spublish",
	    "*6\r\n$5\r\nflags\r\n*1\r\n+not_key\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n"
	    "$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n");
	assert_shows(c, "command info pubsub", "$13\r\npubsub|numsub\r\n");
}
END_TEST

START_TEST(command_info_of_many_names_answers_each)
{
	struct slice args[302] = {SLICE("command"), SLICE("info")};
	const char *at;
	size_t i, count = 0;

	for (i = 2; i < 302; i++)
		args[i] = i % 2 == 0 ? SLICE("time") : SLICE("nope");
	ck_assert(!test_send_args(c, args, 302)); /* runs as a job */
	at = test_finish(c);
	ck_assert_int_eq(strncmp(at, "*300\r\n*10\r\n", 11), 0);
	for (; (at = strstr(at, "$4\r\ntime\r\n")) != NULL; at++)
		count++;
	ck_assert_uint_eq(count, 150);
}
END_TEST

START_TEST(a_reply_that_would_be_cut_by_pushes_is_refused)
{
	struct slice args[302] = {SLICE("command"), SLICE("info")};
	size_t i;

	for (i = 2; i < 302; i++)
		args[i] = SLICE("nope");
	test_call(c, "hello 3");
	test_call(c, "subscribe a");
	ck_assert(test_send_args(c, args, 302));
	ck_assert_str_eq(test_read(c),
	    "-ERR at most 256 names are allowed while messages may be pushed to this client\r\n");
	(void)test_send_args(c, args, 258);
	ck_assert_int_eq(strncmp(test_finish(c), "*256\r\n_\r\n", 9), 0);
}
END_TEST

START_TEST(command_list_filters)
{
	assert_says(c, "command list filterby pattern LOL*", "*1\r\n$6\r\nlolwut\r\n");
	assert_says(c, "command list filterby module x", "*0\r\n");
	assert_says(c, "command list filterby aclcat nope", "*0\r\n");
	assert_shows(c, "command list filterby aclcat PUBSUB", "$7\r\npublish\r\n");
	assert_says(c, "command list filterby foo x", "-ERR syntax error\r\n");
	assert_says(c, "command list filterby", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(command_docs_describes_each_once)
{
	assert_says(c, "command docs nope", "*0\r\n");
	assert_says(c, "command docs echo nope ECHO",
	    "*2\r\n$4\r\necho\r\n*10\r\n$7\r\nsummary\r\n$25\r\nReturns the given string.\r\n"
	    "$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n"
	    "$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n"
	    "$7\r\nmessage\r\n$4\r\ntype\r\n$6\r\nstring\r\n$12\r\ndisplay_text\r\n"
	    "$7\r\nmessage\r\n");
	assert_shows(c, "command docs client", "$11\r\nsubcommands\r\n");
}
END_TEST

START_TEST(no_command_here_has_keys)
{
	assert_says(c, "command getkeys spublish a b", "-ERR The command has no key arguments\r\n");
	assert_says(c, "command getkeysandflags ping", "-ERR The command has no key arguments\r\n");
	assert_says(c, "command getkeys nope", "-ERR Invalid command specified\r\n");
	assert_says(c, "command getkeys client nope", "-ERR Invalid command specified\r\n");
}
END_TEST

START_TEST(help_lists_what_the_table_has)
{
	assert_says(c, "slowlog help",
	    "*9\r\n+SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
	    "+GET [count]\r\n+    Returns the slow log's entries.\r\n"
	    "+LEN\r\n+    Returns the number of entries in the slow log.\r\n"
	    "+RESET\r\n+    Clears all entries from the slow log.\r\n"
	    "+HELP\r\n+    Prints this help.\r\n");
}
END_TEST

START_TEST(config_get_takes_names_and_patterns)
{
	assert_says(c, "config get MaxClients nope", "*2\r\n$10\r\nMaxClients\r\n$3\r\n100\r\n");
	assert_says(c, "config get MAX-* maxclient?",
	    "*4\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n$18\r\nmax-channel-length\r\n$4\r\n4096\r\n");
	assert_says(c, "config get nope", "*0\r\n");
}
END_TEST

START_TEST(config_set_needs_pairs_and_passes_on_what_is_wrong)
{
	assert_says(c, "config set maxclients 5", "+OK\r\n");
	assert_says(c, "config set maxclients 5 bad 1", "-ERR CONFIG SET failed\r\n");
	assert_says(c, "config set maxclients 5 x", "-ERR syntax error\r\n");
	assert_says(c, "config rewrite", "-ERR The server is running without a config file\r\n");
}
END_TEST

START_TEST(resetstat_sets_counters_to_zero)
{
	test_call(c, "publish a b");
	test_call(c, "nope");
	assert_shows(c, "info stats", "total_error_replies:1\r\n");
	assert_shows(c, "info pubsub", "published:1\r\n");
	assert_shows(c, "info errorstats", "errorstat_ERR:count=1\r\n");
	assert_shows(c, "info threads",
	    "io_threads:2\r\n"
	    "io_thread_0:clients=1,read_bytes=0,written_bytes=0,cpu_usec=7\r\n"
	    "io_thread_1:clients=2,");
	assert_shows(c, "info commandstats", "cmdstat_publish:calls=1,");
	assert_says(c, "config resetstat", "+OK\r\n");
	assert_shows(c, "info stats", "total_error_replies:0\r\n");
	assert_shows(c, "info pubsub", "published:0\r\n");
	assert_says(c, "info errorstats", "$14\r\n# Errorstats\r\n\r\n");
	ck_assert_ptr_null(strstr(test_call(c, "info commandstats"), "publish"));
}
END_TEST

START_TEST(info_shows_the_sections_asked_for)
{
	assert_says(c, "info nope", "$0\r\n\r\n");
	assert_says(c, "info keyspace CLUSTER",
	    "$44\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n\r\n");
	assert_shows(c, "info", "# Pubsub\r\n");
	ck_assert_ptr_null(strstr(test_call(c, "info"), "# Commandstats"));
	assert_shows(c, "info everything", "# Commandstats\r\n");
	assert_shows(c, "info server", "redis_version:" SERVER_REDIS_VERSION "\r\n");
	assert_shows(c, "info replication", "role:master\r\nconnected_slaves:0\r\n");
}
END_TEST

START_TEST(info_is_verbatim_text_in_resp3)
{
	test_call(c, "hello 3");
	assert_says(c, "info keyspace", "=16\r\ntxt:# Keyspace\r\n\r\n");
}
END_TEST

START_TEST(each_bound_shows_its_directive_and_what_is_used_of_it)
{
	test_call(c, "hello 3");
	test_call(c, "subscribe a b c");
	test_turns(1);
	assert_shows(c, "info limits", "limit_maxclients:limit=100,used=1\r\n");
	assert_shows(c, "info limits", "limit_max_channel_length:limit=4096\r\n");
	assert_shows(c, "info limits", "limit_max_subscriptions_per_client:limit=,used=3\r\n");
}
END_TEST

START_TEST(no_two_statistics_of_a_section_have_one_name)
{
	size_t i, j;

	for (i = 0; i < info_row_count; i++) {
		ck_assert_str_ne(info_rows[i].text, "");
		for (j = 0; j < i; j++)
			ck_assert(info_rows[i].section != info_rows[j].section ||
				  strcmp(info_rows[i].name, info_rows[j].name) != 0);
	}
}
END_TEST

START_TEST(rates_are_means_over_the_last_samples)
{
	uint64_t now_us = 1000000;
	int i;

	rates_reset(test_server->rates);
	test_server->statistics->counters.commands = 0;
	for (i = 0; i < 17; i++) {
		rates_sample(test_server, now_us);
		rates_sample(test_server, now_us + RATES_INTERVAL_US - 1); /* too early */
		test_server->statistics->counters.commands += 50;
		now_us += RATES_INTERVAL_US;
	}
	ck_assert_uint_eq(rate_per_second(&test_server->rates->ops), 500);
	test_server->statistics->counters.commands = 0;
	rates_sample(test_server, now_us);
	ck_assert_uint_eq(rate_per_second(&test_server->rates->ops), 500 * 15 / 16);
}
END_TEST

START_TEST(memory_usage_grows_with_the_subscriptions_of_a_channel)
{
	struct test_conn *other = test_open();
	long one = 0, two = 0;

	assert_says(c, "memory usage news", "$-1\r\n");
	test_call(other, "subscribe news");
	ck_assert_int_eq(sscanf(test_call(c, "memory usage news"), ":%ld", &one), 1);
	test_call(other, "ssubscribe news");
	ck_assert_int_eq(sscanf(test_call(c, "memory usage news samples 0"), ":%ld", &two), 1);
	ck_assert_int_gt(one, 0);
	ck_assert_int_gt(two, one);
	assert_says(c, "memory usage news samples", "-ERR syntax error\r\n");
	assert_says(
	    c, "memory usage news samples x", "-ERR value is not an integer or out of range\r\n");
	assert_says(c, "memory usage news samples -1", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(memory_has_its_reports)
{
	const char *advice = test_call(c, "memory doctor");

	/* Under a sanitizer the process uses much more memory. */
	ck_assert(strstr(advice, "Too little memory") != NULL || strstr(advice, "* ") != NULL);
	assert_shows(c, "memory stats", "*74\r\n$14\r\npeak.allocated\r\n:");
	assert_shows(c, "memory malloc-stats",
	    HAVE_JEMALLOC ? "Begin jemalloc statistics" : "allocator: libc\n");
}
END_TEST

START_TEST(a_purge_is_answered_when_it_is_over)
{
	bool at_once = test_send(c, "memory purge");

	ck_assert_str_eq(at_once ? test_read(c) : test_finish(c), "+OK\r\n");
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "memory purge", "+QUEUED\r\n");
	assert_says(c, "exec", "*1\r\n+OK\r\n");
}
END_TEST

START_TEST(the_slow_log_gives_the_newest_first)
{
	test_config.slowlog_slower_than_us = 0;
	test_call(c, "echo 1");
	test_call(c, "echo 2");
	test_config.slowlog_slower_than_us = -1;
	assert_says(c, "slowlog len", ":2\r\n");
	assert_shows(c, "slowlog get 1", "*1\r\n*6\r\n");
	assert_shows(c, "slowlog get 1", "*2\r\n$4\r\necho\r\n$1\r\n2\r\n");
	assert_shows(c, "slowlog get", "*2\r\n$4\r\necho\r\n$1\r\n1\r\n");
	assert_shows(c, "slowlog get -1", "*2\r\n*6\r\n");
	assert_says(c, "slowlog get 0", "*0\r\n");
	assert_says(c, "slowlog get -2", "-ERR count should be greater than or equal to -1\r\n");
	assert_says(c, "slowlog get 1 2",
	    "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG "
	    "HELP.\r\n");
	assert_says(c, "slowlog reset", "+OK\r\n");
	assert_says(c, "slowlog get", "*0\r\n");
}
END_TEST

START_TEST(shutdown_without_an_error_has_no_reply)
{
	assert_says(c, "shutdown foo", "-ERR syntax error\r\n");
	assert_says(c, "shutdown save nosave", "-ERR syntax error\r\n");
	assert_says(c, "shutdown abort now", "-ERR syntax error\r\n");
	assert_says(c, "shutdown abort", "-ERR No shutdown in progress.\r\n");
	ck_assert_int_eq(test_shutdowns, 0);
	assert_says(c, "shutdown grace", "-ERR syntax error\r\n");
	assert_says(c, "shutdown grace 1 now", "-ERR syntax error\r\n");
	assert_says(c, "shutdown grace 1 abort", "-ERR syntax error\r\n");
	assert_says(c, "shutdown grace x", "-ERR value is not an integer or out of range\r\n");
	assert_says(c, "shutdown grace -1", "-ERR value is out of range, must be positive\r\n");
	assert_says(
	    c, "shutdown grace 2147483648", "-ERR value is out of range, must be positive\r\n");
	ck_assert_int_eq(test_shutdowns, 0);
	assert_says(c, "shutdown nosave", "");
	ck_assert_int_eq(test_shutdowns, 1);
	assert_says(c, "shutdown now force", "");
	ck_assert_int_eq(test_shutdowns, 101);
}
END_TEST

START_TEST(time_is_the_time)
{
	long s = 0, us = -1;
	uint64_t before_s = clock_wall_us() / 1000000;

	ck_assert_int_eq(
	    sscanf(test_call(c, "time"), "*2\r\n$10\r\n%ld\r\n$%*d\r\n%ld\r\n", &s, &us), 2);
	ck_assert_uint_ge((uint64_t)s, before_s);
	ck_assert_uint_le((uint64_t)s, clock_wall_us() / 1000000);
	ck_assert(us >= 0 && us < 1000000);
}
END_TEST

START_TEST(lolwut_says_who_plays)
{
	assert_shows(c, "lolwut", "Fanfare ver. " PACKAGE_VERSION "\n");
	assert_shows(c, "lolwut version 5 1 2", "Fanfare ver. ");
	assert_says(c, "lolwut version x", "-ERR value is not an integer or out of range\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/admin", setup, test_teardown,
	    (const TTest *[]){command_info_has_the_form_of_redis,
		command_info_of_many_names_answers_each,
		a_reply_that_would_be_cut_by_pushes_is_refused, command_list_filters,
		command_docs_describes_each_once, no_command_here_has_keys,
		help_lists_what_the_table_has, config_get_takes_names_and_patterns,
		config_set_needs_pairs_and_passes_on_what_is_wrong, resetstat_sets_counters_to_zero,
		info_shows_the_sections_asked_for, info_is_verbatim_text_in_resp3,
		each_bound_shows_its_directive_and_what_is_used_of_it,
		no_two_statistics_of_a_section_have_one_name, rates_are_means_over_the_last_samples,
		memory_usage_grows_with_the_subscriptions_of_a_channel, memory_has_its_reports,
		a_purge_is_answered_when_it_is_over, the_slow_log_gives_the_newest_first,
		shutdown_without_an_error_has_no_reply, time_is_the_time, lolwut_says_who_plays,
		NULL});
}
