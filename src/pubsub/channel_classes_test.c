#include "config.h"

#include "pubsub/channel_classes.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct channel_classes *classes;

static void
setup(void)
{
	classes = channel_classes_new();
}

static void
teardown(void)
{
	channel_classes_free(classes);
}

static void
set(const char *glob, const char *option, const char *value)
{
	struct slice words[2] = {slice_of(option), slice_of(value)};
	struct channel_error error;

	ck_assert(channel_classes_set(classes, slice_of(glob), words, 2, &error));
}

static void
unset(const char *glob)
{
	struct channel_error error;

	ck_assert(channel_classes_unset(classes, slice_of(glob), NULL, 0, &error));
}

static uint64_t
replay_of(const char *name)
{
	return channel_classes_of_name(classes, slice_of(name))->replay;
}

static uint8_t
ref(const char *name)
{
	return channel_classes_ref(classes, slice_of(name));
}

START_TEST(a_later_line_wins_option_by_option)
{
	set("*", "replay", "1");
	set("*", "leave-delay", "20");
	set("news.*", "replay", "2");
	set("news.live.*", "history-size", "20");
	ck_assert_uint_eq(replay_of("x"), 1);
	ck_assert_uint_eq(replay_of("news.live.x"), 2);
	ck_assert_uint_eq(channel_classes_of_name(classes, SLICE("news.live.x"))->leave_delay, 20);
	ck_assert_uint_eq(channel_classes_of_name(classes, SLICE("news.live.x"))->history_size, 20);
	/* The line of `*` keeps its place, before that of `news.*`. */
	set("*", "replay", "9");
	ck_assert_uint_eq(replay_of("x"), 9);
	ck_assert_uint_eq(replay_of("news.x"), 2);
	unset("news.*");
	ck_assert_uint_eq(replay_of("news.live.x"), 9);
	set("news.*", "replay", "2");
	set("*.live.*", "replay", "3");
	ck_assert_uint_eq(replay_of("news.live.x"), 3);
}
END_TEST

START_TEST(channels_without_a_matching_line_have_class_0)
{
	ck_assert_uint_eq(ref("a"), CHANNEL_CLASS_DEFAULT);
	set("b*", "replay", "1");
	ck_assert_uint_eq(ref("a"), CHANNEL_CLASS_DEFAULT);
	ck_assert_uint_ne(ref("b"), CHANNEL_CLASS_DEFAULT);
	ck_assert(channel_options_equal(
	    channel_classes_of_name(classes, SLICE("a")), channel_options_default()));
}
END_TEST

START_TEST(lines_with_equal_values_need_one_class)
{
	uint8_t first;
	char glob[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(glob, sizeof(glob), "user:%d:*", i);
		set(glob, "replay", i % 2 == 0 ? "1" : "2");
	}
	first = ref("user:0:inbox");
	for (int i = 2; i < 10000; i += 2) {
		snprintf(glob, sizeof(glob), "user:%d:inbox", i);
		if (ref(glob) != first)
			ck_abort_msg("%s has another class", glob);
	}
	ck_assert_uint_ne(ref("user:1:inbox"), first);
	ck_assert_uint_eq(channel_classes_count(classes), 2);
	/* A line whose values are the defaults gives the default class. */
	set("plain", "replay", "0");
	ck_assert_uint_eq(ref("plain"), CHANNEL_CLASS_DEFAULT);
}
END_TEST

START_TEST(a_class_keeps_its_values_while_it_has_references)
{
	uint8_t old;

	set("a", "publish-users", "x");
	old = ref("a");
	set("a", "publish-users", "y");
	ck_assert_str_eq(channel_classes_options(classes, old)->publish_users, "x");
	ck_assert_str_eq(channel_classes_of_name(classes, SLICE("a"))->publish_users, "y");
	ck_assert_uint_ne(ref("a"), old);
	unset("a");
	ck_assert_str_eq(channel_classes_options(classes, old)->publish_users, "x");
	ck_assert_uint_eq(ref("a"), CHANNEL_CLASS_DEFAULT);
}
END_TEST

static void
set_numbered(int from, int to)
{
	char name[16], value[16];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(value, sizeof(value), "%d", i + 1);
		set(name, "replay", value);
	}
}

static uint8_t
ref_numbered(int i)
{
	char name[16];

	snprintf(name, sizeof(name), "c%d", i);
	return ref(name);
}

static uint64_t
replay_of_numbered(int i)
{
	char name[16];

	snprintf(name, sizeof(name), "c%d", i);
	return replay_of(name);
}

START_TEST(without_a_free_number_options_are_looked_up_by_name)
{
	uint8_t last = 0;

	set_numbered(0, 300);
	for (int i = 0; i < 254; i++) {
		last = ref_numbered(i);
		ck_assert_uint_lt(last, CHANNEL_CLASS_BY_NAME);
	}
	ck_assert_uint_eq(channel_classes_count(classes), 254);
	ck_assert_uint_eq(ref_numbered(254), CHANNEL_CLASS_BY_NAME);
	ck_assert_uint_eq(ref_numbered(299), CHANNEL_CLASS_BY_NAME);
	channel_classes_unref(classes, CHANNEL_CLASS_BY_NAME);
	for (int i = 0; i < 300; i++)
		ck_assert_uint_eq(replay_of_numbered(i), (uint64_t)i + 1);
	/* A number without references is given to other options; the cache does not mix them up. */
	ck_assert_uint_eq(replay_of("c253"), 254);
	channel_classes_unref(classes, last);
	ck_assert_uint_eq(ref_numbered(299), last);
	ck_assert_uint_eq(channel_classes_options(classes, last)->replay, 300);
	ck_assert_uint_eq(replay_of("c253"), 254);
	ck_assert_uint_eq(ref_numbered(253), CHANNEL_CLASS_BY_NAME);
}
END_TEST

START_TEST(names_that_were_only_looked_up_hold_no_numbers)
{
	set_numbered(0, 600);
	for (int i = 0; i < 300; i++)
		ck_assert_uint_eq(replay_of_numbered(i), (uint64_t)i + 1);
	for (int i = 300; i < 554; i++)
		ck_assert_uint_lt(ref_numbered(i), CHANNEL_CLASS_BY_NAME);
	for (int i = 0; i < 600; i++)
		ck_assert_uint_eq(replay_of_numbered(i), (uint64_t)i + 1);
}
END_TEST

START_TEST(an_explanation_names_the_line_of_each_option)
{
	struct channel_explanation explanation;

	set("*", "replay", "1");
	set("a*", "no-echo", "yes");
	set("a*", "publish-users", "x");
	set("?b", "replay", "2");
	channel_classes_explain(classes, SLICE("ab"), &explanation);
	ck_assert(slice_is(explanation.from[CHANNEL_HAS_replay]->glob, "?b"));
	ck_assert(slice_is(explanation.from[CHANNEL_HAS_no_echo]->glob, "a*"));
	ck_assert_ptr_null(explanation.from[CHANNEL_HAS_history_size]);
	ck_assert_uint_eq(explanation.options.replay, 2);
	ck_assert_str_eq(explanation.options.publish_users, "x");
	ck_assert_uint_eq(explanation.options.history_ttl, 0);
}
END_TEST

START_TEST(memory_grows_with_lines_and_returns)
{
	size_t before = channel_classes_bytes(classes), with_lines;

	set_numbered(0, 1000);
	(void)replay_of("c1");
	with_lines = channel_classes_bytes(classes);
	ck_assert_uint_gt(with_lines, before + 1000 * sizeof(struct channel_line));
	channel_classes_replace(classes, channel_lines_new());
	ck_assert_uint_eq(channel_classes_bytes(classes), before);
	ck_assert_uint_eq(replay_of("c1"), 0);
}
END_TEST

static struct channel_lines *
lines_of(const char *const globs[], const char *replay)
{
	const struct slice words[2] = {SLICE("replay"), slice_of(replay)};
	struct channel_lines *lines = channel_lines_new();
	struct channel_error error;

	for (; *globs != NULL; globs++)
		ck_assert(channel_lines_add(lines, slice_of(*globs), words, 2, NULL, &error));
	return lines;
}

START_TEST(replaced_lines_may_have_some_of_the_same_globs)
{
	size_t one_bytes;

	channel_classes_replace(classes, lines_of((const char *[]){"a*", "b*", NULL}, "1"));
	ck_assert_uint_eq(replay_of("a"), 1);
	channel_classes_replace(classes, lines_of((const char *[]){"c*", "b*", NULL}, "2"));
	ck_assert_uint_eq(replay_of("a"), 0);
	ck_assert_uint_eq(replay_of("b"), 2);
	ck_assert_uint_eq(replay_of("c"), 2);
	channel_classes_replace(classes, lines_of((const char *[]){"b*", NULL}, "3"));
	ck_assert_uint_eq(replay_of("b"), 3);
	ck_assert_uint_eq(replay_of("c"), 0);
	one_bytes = channel_classes_bytes(classes);
	for (int i = 0; i < 10; i++)
		channel_classes_replace(classes, lines_of((const char *[]){"b*", NULL}, "4"));
	ck_assert_uint_eq(channel_classes_bytes(classes), one_bytes);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_classes", setup, teardown,
	    (const TTest *[]){a_later_line_wins_option_by_option,
		channels_without_a_matching_line_have_class_0,
		lines_with_equal_values_need_one_class,
		a_class_keeps_its_values_while_it_has_references,
		without_a_free_number_options_are_looked_up_by_name,
		names_that_were_only_looked_up_hold_no_numbers,
		an_explanation_names_the_line_of_each_option, memory_grows_with_lines_and_returns,
		replaced_lines_may_have_some_of_the_same_globs, NULL});
}
