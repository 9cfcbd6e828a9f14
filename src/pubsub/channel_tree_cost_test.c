#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/channel_tree.h"

/* The cost of the channel tree, in steps and bytes, for the worst names and patterns that peers can
 * choose. */
static struct channel_tree *tree;
static size_t empty_bytes;

static void
setup(void)
{
	tree = channel_tree_new();
	empty_bytes = channel_tree_bytes(tree);
}

static void
teardown(void)
{
	channel_tree_free(tree);
}

static struct topic *
add(bool is_pattern, const char *name)
{
	return channel_tree_add(tree, is_pattern, slice_of(name));
}

/* Steps of one match; *matched is the number of topics that matched. */
static uint64_t
steps_of(struct slice name, size_t *matched)
{
	uint64_t before = channel_tree_steps(tree);

	(void)channel_tree_match(tree, name, matched);
	return channel_tree_steps(tree) - before;
}

/* unit, repeated count times, and then end. */
static struct slice
repeated(const char *unit, size_t count, const char *end)
{
	static char room[4][UINT16_MAX + 1];
	static unsigned int turn;
	char *text = room[turn++ % 4];
	size_t len = strlen(unit);

	ck_assert_uint_le(count * len + strlen(end), UINT16_MAX);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * len, unit, len);
	memcpy(text + count * len, end, strlen(end));
	return (struct slice){text, count * len + strlen(end)};
}

START_TEST(a_pattern_of_many_stars_costs_no_more_than_its_length_and_the_name_s)
{
	static const char *const units[] = {"*a", "*aa", "*a?", "*?a", "*[ab]", "*a[ab]?"};
	struct slice name = repeated("a", 20000, "");
	size_t matched;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct topic *fails = channel_tree_add(tree, true, repeated(units[i], 1000, "*x"));
		struct topic *ends = channel_tree_add(tree, true, repeated(units[i], 1000, "x"));

		/* A few steps for each byte; trying all paths would take a thousand. */
		ck_assert_uint_le(steps_of(name, &matched), 6 * (name.len + 1000));
		ck_assert_uint_eq(matched, 0);
		channel_tree_remove(tree, fails);
		channel_tree_remove(tree, ends);
		struct topic *holds = channel_tree_add(tree, true, repeated(units[i], 1000, "*"));

		ck_assert_uint_le(steps_of(name, &matched), 2 * 1000 * 6);
		ck_assert_uint_eq(matched, 1);
		channel_tree_remove(tree, holds);
	}
}
END_TEST

START_TEST(stars_and_question_marks_in_turn_cost_one_star)
{
	struct slice name = repeated("a", 5000, "");
	size_t matched;

	channel_tree_add(tree, true, repeated("*?", 3000, "b"));
	ck_assert_uint_le(steps_of(name, &matched), name.len + 3000 + 10);
	ck_assert_uint_eq(matched, 0);
	channel_tree_add(tree, true, repeated("*?", 5000, ""));
	channel_tree_add(tree, true, repeated("?*", 5001, ""));
	(void)steps_of(name, &matched);
	ck_assert_uint_eq(matched, 1);
}
END_TEST

START_TEST(a_state_is_entered_at_most_once_at_a_position)
{
	enum { PATTERNS = 300, NAME = 200 };
	static const char alphabet[] = "aab*?";
	uint64_t seed = 99, nodes = 1;
	size_t matched;

	for (int i = 0; i < PATTERNS; i++) {
		char text[12];
		size_t len = 1 + testing_random(&seed) % sizeof(text);

		for (size_t j = 0; j < len; j++)
			text[j] = alphabet[testing_random(&seed) % (sizeof(alphabet) - 1)];
		channel_tree_add(tree, true, (struct slice){text, len});
		nodes += len;
	}
	/* Each state once, and each edge into a star once. */
	ck_assert_uint_le(steps_of(repeated("a", NAME, "b"), &matched), 2 * nodes * (NAME + 2));
	ck_assert_uint_gt(matched, 0);
}
END_TEST

START_TEST(a_million_patterns_elsewhere_cost_no_step)
{
	char name[32];
	size_t matched;

	add(true, "user:1000000:*");
	add(false, "user:1000000:login");
	add(false, "news");
	uint64_t few = steps_of(SLICE("news"), &matched);

	for (int i = 0; i < testing_steps(1000000); i++) {
		snprintf(name, sizeof(name), "user:%d:*", i);
		add(true, name);
	}
	ck_assert_uint_le(steps_of(SLICE("news"), &matched), few + 1);
	ck_assert_uint_eq(matched, 1);
	/* One step for each node on the path, which branches at each digit. */
	ck_assert_uint_le(steps_of(SLICE("user:1000000:login"), &matched), 14);
	ck_assert_uint_eq(matched, 2);
}
END_TEST

enum { CLASSES = 100000 };

/* "[...]x": a letter for each bit that is set in n, from a on, and one letter that is in all
 * classes. */
static struct slice
class_pattern(unsigned int n, char text[32])
{
	size_t len = 0;

	text[len++] = '[';
	text[len++] = 'Z';
	for (int bit = 0; bit < 17; bit++)
		if ((n >> bit & 1) != 0)
			text[len++] = (char)('a' + bit);
	memcpy(text + len, "]x", 2);
	return (struct slice){text, len + 2};
}

START_TEST(a_hundred_thousand_classes_at_one_node_cost_a_step_for_512)
{
	static struct topic *topics[CLASSES];
	char text[32];
	unsigned int count = (unsigned int)testing_steps(CLASSES);
	size_t matched, with_c = 0;

	for (unsigned int i = 0; i < count; i++) {
		topics[i] = channel_tree_add(tree, true, class_pattern(i + 1, text));
		with_c += ((i + 1) >> 2 & 1) != 0;
	}
	ck_assert_uint_le(steps_of(SLICE("yx"), &matched), count / 512 + 5);
	ck_assert_uint_eq(matched, 0);
	(void)steps_of(SLICE("cx"), &matched);
	ck_assert_uint_eq(matched, with_c);
	for (unsigned int i = 0; i < count; i += 1000)
		ck_assert_ptr_eq(
		    channel_tree_find(tree, true, class_pattern(i + 1, text)), topics[i]);
	/* Removes them in an order that makes holes, until none is left. */
	for (unsigned int i = 0; i < count; i++) {
		unsigned int k = (unsigned int)((uint64_t)i * 70001 % count);

		if (i % 9973 == 0 || i == count - 5) {
			(void)steps_of(SLICE("cx"), &matched);
			ck_assert_uint_eq(matched, with_c);
		}
		with_c -= ((k + 1) >> 2 & 1) != 0;
		channel_tree_remove(tree, topics[k]);
	}
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
}
END_TEST

START_TEST(a_million_channels_take_at_most_150_bytes_each)
{
	int count = testing_steps(1000000);
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "channel:%012d", i);
		topic_add(add(false, name), NULL, NULL);
	}
	ck_assert_uint_eq(strlen(name), 20);
	ck_assert_uint_le((channel_tree_bytes(tree) - empty_bytes) / (size_t)count, 150);
	size_t matched;

	snprintf(name, sizeof(name), "channel:%012d", count / 9 * 7);
	ck_assert_uint_le(steps_of((struct slice){name, strlen(name)}, &matched), 10);
	ck_assert_uint_eq(matched, 1);
}
END_TEST

START_TEST(random_channels_take_at_most_150_bytes_each_too)
{
	enum { CHANNELS = 200000 };
	char name[20];
	uint64_t seed = 1;

	for (int i = 0; i < CHANNELS; i++) {
		for (size_t j = 0; j < sizeof(name); j++)
			name[j] = "0123456789abcdef"[testing_random(&seed) % 16];
		topic_add(
		    channel_tree_add(tree, false, (struct slice){name, sizeof(name)}), NULL, NULL);
	}
	ck_assert_uint_le((channel_tree_bytes(tree) - empty_bytes) / CHANNELS, 150);
}
END_TEST

START_TEST(what_a_large_match_needed_is_given_back)
{
	enum { PATTERNS = 20000 };
	static struct topic *topics[PATTERNS];
	char text[32];
	size_t matched;

	for (int i = 0; i < PATTERNS; i++) {
		snprintf(text, sizeof(text), "[ab]%05d*", i);
		topics[i] = add(true, text);
	}
	add(true, "?*");
	size_t bytes = channel_tree_bytes(tree);

	for (int i = 0; i < PATTERNS; i++) {
		snprintf(text, sizeof(text), "a%05d", i);
		(void)steps_of(slice_of(text), &matched);
		if (matched != 2)
			ck_abort_msg("%s: %zu matched", text, matched);
	}
	ck_assert_uint_le(channel_tree_bytes(tree), bytes + 1024);
	for (int i = 0; i < PATTERNS; i++)
		channel_tree_remove(tree, topics[i]);
	ck_assert_uint_le(channel_tree_bytes(tree), empty_bytes + 1024);
	channel_tree_remove(tree, add(true, "?*"));
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_tree_cost", setup, teardown,
	    (const TTest *[]){a_pattern_of_many_stars_costs_no_more_than_its_length_and_the_name_s,
		stars_and_question_marks_in_turn_cost_one_star,
		a_state_is_entered_at_most_once_at_a_position,
		a_million_patterns_elsewhere_cost_no_step,
		a_hundred_thousand_classes_at_one_node_cost_a_step_for_512,
		a_million_channels_take_at_most_150_bytes_each,
		random_channels_take_at_most_150_bytes_each_too,
		what_a_large_match_needed_is_given_back, NULL});
}
