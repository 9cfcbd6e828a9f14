#include "config.h"

#include <check.h>

#include "base/testing.h"
#include "base/testing_glob.h"
#include "pubsub/channel_tree.h"

/* The channel tree against a list that is searched from end to end. */
enum { NAME_MAX_BYTES = 10, TEXT_MAX_BYTES = 8, LIST_MAX = 300 };

struct entry {
	bool is_pattern;
	size_t len;
	char name[NAME_MAX_BYTES];
	struct topic *topic;
};

static struct channel_tree *tree;
static size_t empty_bytes;
static struct entry list[LIST_MAX];
static size_t list_count;
static size_t list_channels;
static uint32_t questions; /* number of matches so far: marks the topics of the last match */
static uint64_t seed;

static const struct slice alphabets[] = {SLICE("ab"), SLICE("ab*?"), SLICE("a*"),
    SLICE("ab*?[]^-\\"), SLICE("a[]^-\\\0\x80\xff"), SLICE("ab*?[]^-\\\0\x7f\x80\xff"),
    SLICE("abcdefghijklmnopqrstuvwxyz*")};
enum { ALPHABETS = sizeof(alphabets) / sizeof(alphabets[0]) };

static void
setup(void)
{
	tree = channel_tree_new();
	empty_bytes = channel_tree_bytes(tree);
	list_count = list_channels = 0;
	questions = 0;
}

static void
teardown(void)
{
	channel_tree_free(tree);
}

static size_t
below(size_t limit)
{
	return testing_random(&seed) % limit;
}

static struct slice
random_name(size_t alphabet, char *room, size_t max_len)
{
	size_t len = below(max_len + 1);

	for (size_t i = 0; i < len; i++)
		room[i] = alphabets[alphabet].ptr[below(alphabets[alphabet].len)];
	return (struct slice){room, len};
}

static struct slice
entry_name(const struct entry *entry)
{
	return (struct slice){entry->name, entry->len};
}

static struct entry *
list_find(bool is_pattern, struct slice name)
{
	for (size_t i = 0; i < list_count; i++)
		if (list[i].is_pattern == is_pattern && slice_eq(entry_name(&list[i]), name))
			return &list[i];
	return NULL;
}

static void
add_random(size_t alphabet)
{
	struct entry *entry = &list[list_count], *known;

	if (list_count == LIST_MAX)
		return;
	entry->is_pattern = below(3) > 0;
	entry->len = random_name(alphabet, entry->name, NAME_MAX_BYTES).len;
	known = list_find(entry->is_pattern, entry_name(entry));
	ck_assert_ptr_eq(channel_tree_find(tree, entry->is_pattern, entry_name(entry)),
	    known != NULL ? known->topic : NULL);
	entry->topic = channel_tree_add(tree, entry->is_pattern, entry_name(entry));
	if (known != NULL) {
		ck_assert_ptr_eq(entry->topic, known->topic);
		return;
	}
	ck_assert(slice_eq(topic_name(entry->topic), entry_name(entry)));
	ck_assert(entry->topic->is_pattern == entry->is_pattern);
	topic_add(entry->topic, NULL, NULL);
	list_channels += !entry->is_pattern;
	list_count++;
}

static void
remove_at(size_t i)
{
	ck_assert_ptr_eq(
	    channel_tree_find(tree, list[i].is_pattern, entry_name(&list[i])), list[i].topic);
	ck_assert_ptr_null(topic_remove(list[i].topic, 0));
	channel_tree_remove(tree, list[i].topic);
	list_channels -= !list[i].is_pattern;
	list[i] = list[--list_count];
}

static bool
entry_matches(const struct entry *entry, struct slice name)
{
	return entry->is_pattern ? testing_glob(entry_name(entry), name, false)
				 : slice_eq(entry_name(entry), name);
}

/*
 * Asserts that the tree finds the same topics as the list, each once, the channel first. Returns
 * their number. A single assertion for all, because Check writes each passed assertion to a file.
 */
static size_t
check_match(struct slice name)
{
	size_t count, expected = 0, wrong = 0;
	struct topic **topics = channel_tree_match(tree, name, &count);

	questions++;
	for (size_t i = 0; i < count; i++) {
		wrong += (i > 0 && !topics[i]->is_pattern) || topics[i]->tag == questions;
		topics[i]->tag = questions;
	}
	for (size_t i = 0; i < list_count; i++) {
		bool matches = entry_matches(&list[i], name);

		wrong += matches != (list[i].topic->tag == questions);
		expected += matches;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(count, expected);
	return count;
}

static void
check_next(struct slice after)
{
	struct entry *best = NULL;
	struct topic *next = channel_tree_next(tree, after);

	for (size_t i = 0; i < list_count; i++) {
		struct slice name = entry_name(&list[i]);

		if (list[i].is_pattern || (after.ptr != NULL && slice_compare(name, after) <= 0))
			continue;
		if (best == NULL || slice_compare(name, entry_name(best)) < 0)
			best = &list[i];
	}
	ck_assert_ptr_eq(next, best != NULL ? best->topic : NULL);
}

static void
check_counts(void)
{
	ck_assert_uint_eq(channel_tree_channels(tree), list_channels);
	ck_assert_uint_eq(channel_tree_patterns(tree), list_count - list_channels);
}

START_TEST(random_names_match_the_same_patterns_as_in_a_plain_matcher)
{
	char name[TEXT_MAX_BYTES];
	size_t pairs = 0, matched = 0, rounds = (size_t)testing_steps(1500);

	for (size_t round = 0; round < rounds; round++) {
		seed = round;
		while (list_count < 60)
			add_random(round % ALPHABETS);
		for (int i = 0; i < 60; i++) {
			size_t alphabet = i % 3 == 0 ? 0 : round % ALPHABETS;

			matched += check_match(random_name(alphabet, name, TEXT_MAX_BYTES));
			pairs += list_count;
		}
		while (list_count > 0)
			remove_at(below(list_count));
		ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
	}
	ck_assert_uint_ge(pairs, rounds * 700);
	ck_assert_uint_gt(matched, pairs / 100);
}
END_TEST

START_TEST(random_operations_leave_the_tree_and_a_list_alike)
{
	char name[NAME_MAX_BYTES];
	size_t steps = (size_t)testing_steps(300000);

	seed = 4711;
	for (size_t i = 0; i < steps; i++) {
		/* The tree alternately grows and shrinks; the alphabet changes 15 times. */
		size_t alphabet = (i / (steps / 15)) % ALPHABETS, choice = below(10);
		size_t adds = (i / (steps / 100)) % 2 == 0 ? 5 : 2;

		if (choice < adds)
			add_random(alphabet);
		else if (choice < 7 && list_count > 0)
			remove_at(below(list_count));
		else if (choice < 9)
			check_match(random_name(alphabet, name, TEXT_MAX_BYTES));
		else
			check_next(random_name(alphabet, name, NAME_MAX_BYTES));
		if (i % 100 == 0)
			check_counts();
	}
	check_next((struct slice){NULL, 0});
	while (list_count > 0)
		remove_at(below(list_count));
	ck_assert_uint_eq(channel_tree_bytes(tree), empty_bytes);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_tree_model", setup, teardown,
	    (const TTest *[]){random_names_match_the_same_patterns_as_in_a_plain_matcher,
		random_operations_leave_the_tree_and_a_list_alike, NULL});
}
