#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_rates.h"
#include "server/core.h"
#include "server/server.h"

#define MANY 30000

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	test_config.rated_channels = 100;
	c = test_open();
}

static void
assert_says(const char *line, const char *expected)
{
	ck_assert_str_eq(test_call(c, line), expected);
}

START_TEST(set_list_and_unset)
{
	assert_says("channel list", "*0\r\n");
	assert_says("channel set b max-message 10", "+OK\r\n");
	assert_says("channel set a* publish-rate 3 publish-users x,y", "+OK\r\n");
	assert_says("channel set b publish-bytes 2kb", "+OK\r\n");
	assert_says("channel list", "*2\r\n"
				    "*2\r\n$1\r\nb\r\n*4\r\n$11\r\nmax-message\r\n$2\r\n10\r\n"
				    "$13\r\npublish-bytes\r\n$3\r\n2kb\r\n"
				    "*2\r\n$2\r\na*\r\n*4\r\n$12\r\npublish-rate\r\n$1\r\n3\r\n"
				    "$13\r\npublish-users\r\n$3\r\nx,y\r\n");
	assert_says("channel unset b max-message", "+OK\r\n");
	assert_says("channel unset a*", "+OK\r\n");
	test_call(c, "hello 3");
	assert_says(
	    "channel list", "*1\r\n*2\r\n$1\r\nb\r\n%1\r\n$13\r\npublish-bytes\r\n$3\r\n2kb\r\n");
}
END_TEST

START_TEST(an_error_about_a_long_word_says_what_is_allowed)
{
	char line[3000];

	snprintf(line, sizeof(line), "channel set a replay %02000d", 0);
	ck_assert_ptr_nonnull(
	    strstr(test_call(c, line), "00' of channel option 'replay': must be "));
	snprintf(line, sizeof(line), "channel set a %02000d 1", 0);
	ck_assert_ptr_nonnull(strstr(test_call(c, line), "00': allowed are "));
}
END_TEST

START_TEST(options_are_a_map_of_value_and_glob)
{
	test_call(c, "channel set a* publish-rate 3");
	test_call(c, "hello 3");
	ck_assert_ptr_nonnull(strstr(test_call(c, "channel options ab"),
	    "$12\r\npublish-rate\r\n*2\r\n$1\r\n3\r\n$2\r\na*\r\n"
	    "$13\r\npublish-bytes\r\n*2\r\n$1\r\n0\r\n_\r\n"));
}
END_TEST

START_TEST(an_option_without_effect_is_unknown)
{
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		const struct channel_option *option = channel_option_at(i);
		struct buffer line = {0};
		const char *reply;

		buffer_appendf(&line, "channel set a %s ", option->name);
		channel_option_write(channel_options_default(), i, &line);
		buffer_append(&line, "", 1);
		reply = test_call(c, line.ptr);
		if (strcmp(reply, "+OK\r\n") != 0)
			ck_assert_ptr_nonnull(strstr(reply, "-ERR unknown channel option '"));
		ck_assert_int_eq(strcmp(reply, "+OK\r\n") == 0,
		    strstr(test_call(c, "channel options a"), option->name) != NULL);
		buffer_release(&line);
	}
}
END_TEST

static void
fill(void)
{
	const struct slice words[] = {SLICE("max-message"), SLICE("1")};
	struct channel_lines *lines = channel_lines_new();
	struct channel_error error;
	char glob[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(glob, sizeof(glob), "g%d", i);
		ck_assert(channel_lines_add(lines, slice_of(glob), words, 2, NULL, &error));
	}
	server_set_channel_lines(test_server, lines);
}

/* Counts the lines of a reply and checks that its header says so. */
static int
count_lines(const char *reply)
{
	const char *at = reply;
	char header[16];
	int count = 0;

	while ((at = strstr(at, "*2\r\n$")) != NULL) {
		at++;
		count += at[4] != '1' || at[5] != '1'; /* not the array of the options */
	}
	snprintf(header, sizeof(header), "*%d\r\n", count);
	ck_assert_int_eq(strncmp(reply, header, strlen(header)), 0);
	return count;
}

START_TEST(a_long_list_is_made_in_slices_while_lines_change)
{
	struct test_conn *other = test_open();
	const char *reply;

	fill();
	ck_assert(!test_send(c, "channel list"));
	ck_assert_str_eq(test_call(other, "channel unset g0"), "+OK\r\n");
	ck_assert_str_eq(test_call(other, "channel unset g29999"), "+OK\r\n");
	ck_assert_str_eq(test_call(other, "channel set last max-message 1"), "+OK\r\n");
	reply = test_finish(c);
	ck_assert_ptr_nonnull(strstr(reply, "\r\n*2\r\n$2\r\ng0\r\n"));
	ck_assert_ptr_null(strstr(reply, "\r\n*2\r\n$6\r\ng29999\r\n"));
	ck_assert_ptr_nonnull(strstr(reply, "\r\n*2\r\n$4\r\nlast\r\n"));
	ck_assert_int_eq(count_lines(reply), MANY);
}
END_TEST

START_TEST(a_client_that_leaves_ends_its_list)
{
	fill();
	ck_assert(!test_send(c, "channel list"));
	test_close(c);
	test_turns(3);
	c = test_open();
	assert_says("channel unset g0", "+OK\r\n");
}
END_TEST

START_TEST(rates_are_freed_by_turns_of_the_loop)
{
	test_call(c, "channel set * publish-rate 1000");
	assert_says("publish a x", ":0\r\n");
	ck_assert_uint_eq(channel_rates_records(test_server->channel_rates), 1);
	test_turn(test_server->now_us + 2000000);
	ck_assert_uint_eq(channel_rates_records(test_server->channel_rates), 0);
}
END_TEST

START_TEST(a_message_that_the_hub_refuses_does_not_count)
{
	struct test_conn *subscriber = test_open();
	char line[2100];

	test_config.hub.memory_bytes = 1000;
	test_call(subscriber, "subscribe a");
	test_call(c, "channel set * publish-rate 1");
	snprintf(line, sizeof(line), "publish a %02000d", 0);
	ck_assert_ptr_nonnull(strstr(test_call(c, line), "-OOM "));
	ck_assert_uint_eq(channel_rates_records(test_server->channel_rates), 0);
	assert_says("publish a x", ":1\r\n");
	assert_says("publish a x", "-ERR max publish rate of this channel reached\r\n");
}
END_TEST

START_TEST(a_message_counts_when_it_is_delivered_and_not_while_it_waits)
{
	struct test_conn *subscriber = test_open();
	char line[2100];

	test_call(subscriber, "outbox set policy block messages 1");
	test_call(subscriber, "subscribe a");
	test_call(c, "channel set a publish-bytes 1");
	assert_says("publish a \"\"", ":1\r\n");
	snprintf(line, sizeof(line), "publish a %02000d", 0);
	ck_assert(!test_send(c, line));
	ck_assert_uint_eq(channel_rates_records(test_server->channel_rates), 1);
	test_read(subscriber);
	ck_assert_str_eq(test_finish(c), ":1\r\n");
	assert_says("publish a x", "-ERR max publish rate of this channel reached\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/channel", setup, test_teardown,
	    (const TTest *[]){set_list_and_unset, an_error_about_a_long_word_says_what_is_allowed,
		options_are_a_map_of_value_and_glob, an_option_without_effect_is_unknown,
		a_long_list_is_made_in_slices_while_lines_change,
		a_client_that_leaves_ends_its_list, rates_are_freed_by_turns_of_the_loop,
		a_message_that_the_hub_refuses_does_not_count,
		a_message_counts_when_it_is_delivered_and_not_while_it_waits, NULL});
}
