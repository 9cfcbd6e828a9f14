#include "config.h"

#include "pubsub/channel_tree.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "base/testing_glob.h"

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
channel(const char *name)
{
	return channel_tree_add(tree, false, slice_of(name));
}

static struct topic *
pattern(const char *name)
{
	return channel_tree_add(tree, true, slice_of(name));
}

/* The names of the topics that the channel matches, in the returned order, patterns in brackets. */
static const char *
matches(const char *name)
{
	static char text[512];
	size_t count, len = 0;
	struct topic **topics = channel_tree_match(tree, slice_of(name), &count);

	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    topics[i]->is_pattern ? "(%.*s)" : "%.*s", (int)topics[i]->name_len,
		    topics[i]->name);
	return text;
}

/* All channels, by channel_tree_next, with a space behind each. */
static const char *
channels(void)
{
	static char text[512];
	struct topic *topic;
	size_t len = 0;

	text[0] = '\0';
	for (struct slice after = {NULL, 0}; (topic = channel_tree_next(tree, after)) != NULL;
	     after = topic_name(topic))
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%.*s ", (int)topic->name_len, topic->name);
	return text;
}

START_TEST(a_topic_is_found_from_its_adding_to_its_removal)
{
	struct topic *news = channel("news"), *new = channel("new"), *newt = pattern("newt");

	ck_assert_ptr_eq(channel_tree_find(tree, false, SLICE("news")), news);
	ck_assert_ptr_eq(channel_tree_find(tree, false, SLICE("new")), new);
	ck_assert_ptr_eq(channel_tree_find(tree, true, SLICE("newt")), newt);
	ck_assert_ptr_eq(channel("news"), news);
	ck_assert_ptr_eq(pattern("newt"), newt);
	ck_assert_ptr_null(channel_tree_find(tree, false, SLICE("ne")));
	ck_assert_ptr_null(channel_tree_find(tree, false, SLICE("newsy")));
	channel_tree_remove(tree, new);
	ck_assert_ptr_null(channel_tree_find(tree, false, SLICE("new")));
	ck_assert_ptr_eq(channel_tree_find(tree, false, SLICE("news")), news);
	ck_assert_ptr_eq(channel_tree_find(tree, true, SLICE("newt")), newt);
}
END_TEST

START_TEST(a_channel_and_a_pattern_of_one_name_are_two_topics)
{
	struct topic *c = channel("a*"), *p = pattern("a*");

	ck_assert_ptr_ne(c, p);
	ck_assert(!c->is_pattern && p->is_pattern);
	ck_assert_uint_eq(channel_tree_channels(tree), 1);
	ck_assert_uint_eq(channel_tree_patterns(tree), 1);
	channel_tree_remove(tree, c);
	ck_assert_ptr_eq(channel_tree_find(tree, true, SLICE("a*")), p);
	ck_assert_uint_eq(channel_tree_channels(tree), 0);
}
END_TEST

START_TEST(wild_bytes_in_a_channel_are_just_bytes)
{
	channel("a*");
	channel("[ab]");
	ck_assert_str_eq(matches("ab"), "");
	ck_assert_str_eq(matches("a*"), "a*");
	ck_assert_str_eq(matches("a"), "");
	ck_assert_str_eq(matches("[ab]"), "[ab]");
}
END_TEST

START_TEST(the_channel_itself_comes_before_patterns)
{
	pattern("n*");
	pattern("*");
	channel("news");
	pattern("news");
	ck_assert_int_eq(strncmp(matches("news"), "news(", 5), 0);
	ck_assert_uint_eq(strlen(matches("news")), strlen("news(news)(*)(n*)"));
}
END_TEST

START_TEST(a_pattern_that_matches_in_many_ways_is_there_once)
{
	pattern("*a*a*");
	ck_assert_str_eq(matches("aaaaaa"), "(*a*a*)");
	ck_assert_str_eq(matches("aa"), "(*a*a*)");
	ck_assert_str_eq(matches("a"), "");
}
END_TEST

START_TEST(a_trailing_star_matches_nothing_too)
{
	pattern("a*");
	ck_assert_str_eq(matches("a"), "(a*)");
	ck_assert_str_eq(matches("ab"), "(a*)");
	ck_assert_str_eq(matches("b"), "");
}
END_TEST

START_TEST(the_empty_channel_matches_only_what_is_empty)
{
	pattern("*");
	pattern("**");
	ck_assert_str_eq(matches(""), "");
	pattern("");
	ck_assert_str_eq(matches(""), "()");
	struct topic *empty = channel("");
	size_t count;

	ck_assert_ptr_eq(channel_tree_match(tree, SLICE(""), &count)[0], empty);
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_eq(channel_tree_find(tree, false, SLICE("")), empty);
}
END_TEST

START_TEST(spellings_of_one_meaning_are_topics_of_their_own)
{
	struct topic *plain = pattern("a"), *escaped = pattern("\\a"), *class = pattern("[a]");

	ck_assert(plain != escaped && escaped != class);
	ck_assert_str_eq(matches("a"), "(a)(\\a)([a])");
	channel_tree_remove(tree, escaped);
	ck_assert_str_eq(matches("a"), "(a)([a])");
	pattern("*?");
	pattern("?**");
	ck_assert_str_eq(matches("b"), "(*?)(?**)");
	pattern("[^]");
	pattern("[b-\x7f\\b]");
	pattern("[\x7f-b]");
	ck_assert_str_eq(matches("b"), "([b-\x7f\\b])([\x7f-b])([^])(*?)(?**)");
}
END_TEST

START_TEST(many_spellings_of_one_meaning_are_each_found_matched_and_removed)
{
	enum { BITS = 14, COUNT = 1 << BITS };
	static struct topic *topics[COUNT];
	char name[2 * BITS + 1];
	size_t count;

	for (int i = 0; i < COUNT; i++) {
		char *end = name;

		for (int bit = 0; bit < BITS; bit++) {
			if ((i >> bit & 1) != 0)
				*end++ = '\\';
			*end++ = 'a';
		}
		topics[i] =
		    channel_tree_add(tree, true, (struct slice){name, (size_t)(end - name)});
	}
	for (int i = 0; i < COUNT; i++)
		ck_assert_ptr_eq(channel_tree_find(tree, true, topic_name(topics[i])), topics[i]);
	(void)channel_tree_match(tree, SLICE("aaaaaaaaaaaaaa"), &count);
	ck_assert_uint_eq(count, COUNT);
	for (int i = 0; i < COUNT; i += 2)
		channel_tree_remove(tree, topics[i]);
	for (int i = 1; i < COUNT; i += 2)
		ck_assert_ptr_eq(channel_tree_find(tree, true, topic_name(topics[i])), topics[i]);
	for (int i = 1; i < COUNT; i += 2)
		channel_tree_remove(tree, topics[i]);
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
}
END_TEST

START_TEST(channels_are_walked_in_the_order_of_their_bytes)
{
	static const char *const names[] = {"b", "ab", "a", "abc", "", "\xff", "a\x80", "aa", "~"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		channel(names[i]);
	ck_assert_str_eq(channels(), " a aa ab abc a\x80 b ~ \xff ");
}
END_TEST

START_TEST(the_walk_passes_over_patterns_and_starts_anywhere)
{
	pattern("a");
	pattern("ab");
	pattern("b*");
	channel("bc");
	pattern("bcd");
	pattern("c?");
	channel("cd");
	ck_assert_str_eq(channels(), "bc cd ");
	ck_assert_ptr_eq(channel_tree_next(tree, SLICE("bb")), channel("bc"));
	ck_assert_ptr_eq(channel_tree_next(tree, SLICE("bcc")), channel("cd"));
	ck_assert_ptr_eq(channel_tree_next(tree, SLICE("bce")), channel("cd"));
	ck_assert_ptr_null(channel_tree_next(tree, SLICE("cd")));
	ck_assert_ptr_null(channel_tree_next(tree, SLICE("cdd")));
}
END_TEST

START_TEST(the_walk_survives_the_removal_of_where_it_stands)
{
	struct topic *a = channel("channel:1"), *b = channel("channel:2");

	channel("channel:3");
	ck_assert_ptr_eq(channel_tree_next(tree, topic_name(a)), b);
	channel_tree_remove(tree, a);
	channel_tree_remove(tree, b);
	ck_assert_ptr_eq(channel_tree_next(tree, SLICE("channel:2")), channel("channel:3"));
}
END_TEST

/* A name of the greatest length, which repeats one byte. */
static struct slice
long_name(char byte)
{
	static char name[UINT16_MAX];

	memset(name, byte, sizeof(name));
	return (struct slice){name, sizeof(name)};
}

START_TEST(what_a_branch_took_goes_with_it)
{
	static const char *const stays[] = {"user:profile:picture", "user:pro?ile:picture*"};
	static const char *const goes[] = {"user:profile", "user:pro", "user:profile:pages",
	    "user:pro?ile", "user:pro?ile:pages", "user:pro[ab]ile", "us*",
	    "user:profile:picture:1"};

	for (int is_pattern = 0; is_pattern < 2; is_pattern++) {
		channel_tree_add(tree, is_pattern, slice_of(stays[is_pattern]));
		size_t bytes = channel_tree_bytes(tree);

		for (size_t i = 0; i < sizeof(goes) / sizeof(goes[0]); i++) {
			struct topic *topic = channel_tree_add(tree, is_pattern, slice_of(goes[i]));

			ck_assert_uint_gt(channel_tree_bytes(tree), bytes);
			channel_tree_remove(tree, topic);
			ck_assert_uint_eq(channel_tree_bytes(tree), bytes);
		}
		channel_tree_remove(
		    tree, channel_tree_find(tree, is_pattern, slice_of(stays[is_pattern])));
	}
}
END_TEST

START_TEST(names_may_have_65535_bytes)
{
	static const char bytes[] = "a?[*\\";
	size_t count;

	for (const char *b = bytes; *b != '\0'; b++)
		for (int is_pattern = 0; is_pattern < 2; is_pattern++)
			channel_tree_add(tree, is_pattern, long_name(*b));
	/* The name itself as channel and as pattern, as many question marks, and the run
	 * of stars. */
	(void)channel_tree_match(tree, long_name('a'), &count);
	ck_assert_uint_eq(count, 4);
	ck_assert_ptr_null(channel_tree_next(tree, long_name('a')));
	for (const char *b = bytes; *b != '\0'; b++)
		for (int is_pattern = 0; is_pattern < 2; is_pattern++)
			channel_tree_remove(
			    tree, channel_tree_find(tree, is_pattern, long_name(*b)));
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
	/* teardown() frees a deep tree */
	channel_tree_add(tree, true, long_name('?'));
}
END_TEST

START_TEST(a_chain_of_channels_each_the_start_of_the_next_is_as_deep_as_long)
{
	enum { DEPTH = 20000 };
	static char name[DEPTH];

	memset(name, 'a', sizeof(name));
	for (size_t len = 1; len <= DEPTH; len += 7)
		channel_tree_add(tree, false, (struct slice){name, len});
	ck_assert_uint_eq(
	    channel_tree_next(tree, (struct slice){name, DEPTH - 7})->name_len, 1 + DEPTH / 7 * 7);
	ck_assert_ptr_null(channel_tree_next(tree, SLICE("ab")));
}
END_TEST

START_TEST(children_of_all_bytes_come_and_go)
{
	for (int round = 0; round < 2; round++) {
		for (int c = 0; c < 256; c++) {
			char name[] = {'x', (char)(c * 7), 'y'};

			channel_tree_add(tree, c % 2, (struct slice){name, 3});
			channel_tree_add(tree, c % 2, (struct slice){name, 2});
		}
		for (int c = 0; c < 256; c++) {
			char name[] = {'x', (char)(c * 7), 'y'};

			for (size_t len = 2; len <= 3; len++) {
				struct topic *topic =
				    channel_tree_find(tree, c % 2, (struct slice){name, len});

				ck_assert_ptr_nonnull(topic);
				channel_tree_remove(tree, topic);
			}
		}
		ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
	}
}
END_TEST

/* Members are distinguished by pointers that are never dereferenced. */
static char somebody[64];

static struct subscription *
subscription(size_t n)
{
	return (struct subscription *)&somebody[n];
}

START_TEST(the_last_member_takes_the_place_of_one_that_leaves)
{
	struct topic *topic = channel("a");

	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(topic_add(topic, NULL, subscription(i)), i);
	ck_assert_ptr_eq(topic_remove(topic, 0), subscription(2));
	ck_assert_ptr_eq(topic->members[0].subscription, subscription(2));
	ck_assert_ptr_null(topic_remove(topic, 1));
	ck_assert_uint_eq(topic->count, 1);
	ck_assert_ptr_null(topic_remove(topic, 0));
	channel_tree_remove(tree, topic);
}
END_TEST

START_TEST(the_memory_of_members_goes_with_them)
{
	struct topic *topic = pattern("a*[b-d]?e");
	size_t bytes = channel_tree_bytes(tree);

	for (size_t i = 0; i < sizeof(somebody); i++)
		topic_add(topic, (struct subscriber *)&somebody[i], subscription(i));
	ck_assert_uint_gt(
	    channel_tree_bytes(tree), bytes + sizeof(somebody) * sizeof(struct topic_member) - 1);
	for (size_t i = sizeof(somebody); i-- > 1;)
		ck_assert_ptr_null(topic_remove(topic, (uint32_t)i));
	ck_assert_uint_eq(channel_tree_bytes(tree), bytes);
	ck_assert_ptr_eq(topic->members[0].subscriber, (struct subscriber *)&somebody[0]);
	ck_assert_ptr_null(topic_remove(topic, 0));
	channel_tree_remove(tree, topic);
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_tree", setup, teardown,
	    (const TTest *[]){a_topic_is_found_from_its_adding_to_its_removal,
		a_channel_and_a_pattern_of_one_name_are_two_topics,
		wild_bytes_in_a_channel_are_just_bytes, the_channel_itself_comes_before_patterns,
		a_pattern_that_matches_in_many_ways_is_there_once,
		a_trailing_star_matches_nothing_too, the_empty_channel_matches_only_what_is_empty,
		spellings_of_one_meaning_are_topics_of_their_own,
		many_spellings_of_one_meaning_are_each_found_matched_and_removed,
		channels_are_walked_in_the_order_of_their_bytes,
		the_walk_passes_over_patterns_and_starts_anywhere,
		the_walk_survives_the_removal_of_where_it_stands, what_a_branch_took_goes_with_it,
		names_may_have_65535_bytes,
		a_chain_of_channels_each_the_start_of_the_next_is_as_deep_as_long,
		children_of_all_bytes_come_and_go,
		the_last_member_takes_the_place_of_one_that_leaves,
		the_memory_of_members_goes_with_them, NULL});
}
