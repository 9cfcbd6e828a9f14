#include "config.h"

#include "server/latency_monitor.h"

#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/latency_graph.h"
#include "cmd/testing_server.h"
#include "server/core.h"
#include "server/server_config.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define assert_holds(conn, line, text) ck_assert_ptr_nonnull(strstr(test_call(conn, line), text))

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

static void
add(enum latency_event event, uint32_t time_s, uint64_t ms)
{
	latency_monitor_add(test_server->latency_monitor, event, time_s, ms);
}

/* What redis-server 7.0.15 drew of these samples. */
START_TEST(a_graph_is_drawn_as_redis_draws_it)
{
	static const struct latency_sample samples[] = {{1796022852, 20}, {1796022853, 150},
	    {1796022854, 80}, {1796022856, 301}, {1796022857, 10}, {1796022858, 220},
	    {1796022859, 120}, {1796022861, 50}, {1796022862, 180}, {1796022863, 300}};
	struct buffer text = {0};

	latency_graph_draw(samples, 10, 1796022864, &text);
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, "   #     #\n"
				   "   | #  o|\n"
				   " # | |o ||\n"
				   "_|#|_||o||\n"
				   "          \n"
				   "1118765321\n"
				   "210sssssss\n"
				   "sss       \n");
	buffer_release(&text);
}
END_TEST

START_TEST(equal_samples_and_long_ages_are_drawn)
{
	static const struct latency_sample samples[] = {
	    {1000000 - 3 * 86400, 7}, {1000000 - 7200, 7}, {1000000 - 61, 7}, {1000005, 7}};
	struct buffer text = {0};

	latency_graph_draw(samples, 4, 1000000, &text);
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, "    \n    \n    \n____\n    \n3210\ndhms\n");
	buffer_release(&text);
}
END_TEST

START_TEST(more_samples_than_columns_are_drawn_in_parts)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	struct buffer text = {0};

	for (uint32_t i = 0; i < LATENCY_SAMPLES; i++)
		samples[i] = (struct latency_sample){1000 + i, UINT32_MAX - i};
	latency_graph_draw(samples, LATENCY_SAMPLES, 1000 + LATENCY_SAMPLES, &text);
	ck_assert_uint_eq(text.len, (size_t)81 * 7 + 1 + (size_t)81 * 8);
	buffer_release(&text);
}
END_TEST

START_TEST(samples_of_one_second_are_one)
{
	add(LATENCY_COMMAND, 100, 5);
	add(LATENCY_COMMAND, 100, 9);
	add(LATENCY_COMMAND, 100, 7);
	add(LATENCY_COMMAND, 101, 6);
	assert_says(c, "latency history COMMAND", "*2\r\n*2\r\n:100\r\n:9\r\n*2\r\n:101\r\n:6\r\n");
	assert_says(c, "latency latest", "*1\r\n*4\r\n$7\r\ncommand\r\n:101\r\n:6\r\n:9\r\n");
}
END_TEST

START_TEST(the_last_samples_are_kept)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	const struct latency_series *series =
	    &test_server->latency_monitor->series[LATENCY_FAST_COMMAND];

	add(LATENCY_FAST_COMMAND, 1, UINT64_MAX);
	for (uint32_t i = 2; i <= LATENCY_SAMPLES + 1; i++)
		add(LATENCY_FAST_COMMAND, i, i);
	ck_assert_uint_eq(latency_series_read(series, samples), LATENCY_SAMPLES);
	ck_assert_uint_eq(samples[0].time_s, 2);
	ck_assert_uint_eq(samples[LATENCY_SAMPLES - 1].time_s, LATENCY_SAMPLES + 1);
	ck_assert_uint_eq(series->max_ms, UINT32_MAX);
}
END_TEST

START_TEST(reset_forgets_the_events_that_are_named)
{
	for (int event = 0; event < LATENCY_EVENTS; event++)
		add((enum latency_event)event, 100, 5);
	assert_says(c, "latency reset nosuch command command Expire-Cycle", ":2\r\n");
	assert_says(c, "latency history command", "*0\r\n");
	assert_holds(c, "latency latest", "*2\r\n*4\r\n$12\r\nfast-command\r\n");
	assert_says(c, "latency reset", ":2\r\n");
	assert_says(c, "latency reset", ":0\r\n");
	assert_says(c, "latency latest", "*0\r\n");
}
END_TEST

START_TEST(only_what_reaches_the_threshold_is_noted)
{
	latency_note(test_server, LATENCY_COMMAND, UINT64_MAX);
	assert_says(c, "latency latest", "*0\r\n");
	test_config.latency_threshold_ms = 5;
	latency_note(test_server, LATENCY_COMMAND, 4999);
	test_config.latency_threshold_ms = INT64_MAX; /* the commands may be slow themselves */
	assert_says(c, "latency latest", "*0\r\n");
	test_config.latency_threshold_ms = 5;
	latency_note(test_server, LATENCY_COMMAND, 5000);
	test_config.latency_threshold_ms = INT64_MAX;
	assert_holds(c, "latency latest", ":5\r\n:5\r\n");
	assert_holds(c, "latency graph command",
	    "command - high 5 ms, low 5 ms (all time high 5 ms)\n------");
	latency_note(test_server, LATENCY_FAST_COMMAND, UINT64_MAX);
	assert_says(c, "latency reset", ":1\r\n");
}
END_TEST

START_TEST(the_doctor_describes_each_event)
{
	assert_holds(c, "latency doctor", "Latency monitoring is off.");
	test_config.latency_threshold_ms = 100;
	assert_holds(c, "latency doctor", "Nothing has taken 100 ms or longer.");
	add(LATENCY_EVICTION_CYCLE, 100, 10);
	add(LATENCY_EVICTION_CYCLE, 104, 20);
	assert_holds(c, "latency doctor",
	    "eviction-cycle: 2 samples in 5 s, 15 ms on average, with a mean deviation of 5 ms; "
	    "the longest ever took 20 ms.\n    Keys are evicted");
}
END_TEST

START_TEST(a_histogram_is_of_the_calls_since_the_last_reset)
{
	test_config.latency_tracking = true;
	assert_says(c, "latency histogram get", "*0\r\n");
	test_call(c, "get k");
	test_call(c, "get k");
	assert_holds(c, "latency histogram get nosuch GET",
	    "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n*");
	test_call(c, "hello 3");
	assert_holds(c, "latency histogram get",
	    "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%");
	test_call(c, "config resetstat");
	assert_says(c, "latency histogram get", "%0\r\n");
	test_config.latency_tracking = false;
	test_call(c, "get k");
	assert_says(c, "latency histogram get", "%0\r\n");
}
END_TEST

START_TEST(a_container_stands_for_its_subcommands)
{
	test_config.latency_tracking = true;
	test_call(c, "client id");
	test_call(c, "client getname");
	test_call(c, "ping");
	assert_holds(c, "latency histogram client", "*4\r\n$14\r\nclient|getname\r\n");
	assert_holds(c, "latency histogram client|id", "*2\r\n$9\r\nclient|id\r\n");
	assert_holds(c, "latency histogram", "$4\r\nping\r\n");
}
END_TEST

START_TEST(more_names_than_commands_are_refused)
{
	static struct slice words[1000];

	words[0] = SLICE("latency");
	words[1] = SLICE("histogram");
	for (size_t i = 2; i < 1000; i++)
		words[i] = SLICE("get");
	ck_assert(test_send_args(c, words, 1000));
	ck_assert_str_eq(test_read(c), "-ERR more names than there are commands\r\n");
}
END_TEST

START_TEST(info_shows_percentiles)
{
	test_config.latency_tracking = true;
	test_config.latency_percentiles[0] = 50;
	test_config.latency_percentiles[1] = 99.9;
	test_config.latency_percentile_count = 2;
	test_call(c, "get k");
	assert_holds(c, "info latencystats", "# Latencystats\r\nlatency_percentiles_usec_get:p50=");
	assert_holds(c, "info latencystats", ",p99.9=");
	ck_assert_ptr_null(strstr(test_call(c, "info"), "Latencystats"));
	test_config.latency_tracking = false;
	ck_assert_ptr_null(strstr(test_call(c, "info all"), "latency_percentiles"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/latency", setup, test_teardown,
	    (const TTest *[]){a_graph_is_drawn_as_redis_draws_it,
		equal_samples_and_long_ages_are_drawn, more_samples_than_columns_are_drawn_in_parts,
		samples_of_one_second_are_one, the_last_samples_are_kept,
		reset_forgets_the_events_that_are_named, only_what_reaches_the_threshold_is_noted,
		the_doctor_describes_each_event, a_histogram_is_of_the_calls_since_the_last_reset,
		a_container_stands_for_its_subcommands, more_names_than_commands_are_refused,
		info_shows_percentiles, NULL});
}
