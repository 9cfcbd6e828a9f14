#include "config.h"

#include "pubsub/channel_cover.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static struct channel_lines *lines;
static struct channel_error error;

static void
setup(void)
{
	lines = channel_lines_new();
}

static void
teardown(void)
{
	channel_lines_free(lines);
}

/* Splits "glob option value ..." at blanks. */
static size_t
split(const char *text, struct slice words[8])
{
	size_t count = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		ck_assert_uint_lt(count, 8);
		words[count++] = (struct slice){text, len};
		text += len;
		text += *text == ' ';
	}
	return count;
}

static bool
set(const char *line)
{
	struct slice words[8];
	size_t count = split(line, words);

	return channel_line_is_covered(lines, words[0], words + 1, count - 1, &error) &&
	       channel_lines_set(lines, words[0], words + 1, count - 1, NULL, &error);
}

static bool
unset(const char *line)
{
	struct slice words[8];
	size_t count = split(line, words);

	return channel_line_stays_covered(lines, words[0], words + 1, count - 1, &error) &&
	       channel_lines_unset(lines, words[0], words + 1, count - 1, &error);
}

static void
assert_blames(const char *glob)
{
	ck_assert_int_eq(error.fault, CHANNEL_SIZE_WITHOUT_TTL);
	ck_assert(slice_is_nocase(error.word, glob));
}

START_TEST(a_size_needs_a_ttl_in_its_line_or_in_an_earlier_one)
{
	ck_assert(!set("a history-size 5"));
	assert_blames("a");
	ck_assert(set("a history-size 5 history-ttl 9"));
	ck_assert(set("news.* history-ttl 60"));
	ck_assert(set("news.live.* history-size 5"));
	ck_assert(!set("other.* history-size 5"));
	ck_assert(set("other.* history-size 0"));
	ck_assert(set("late history-ttl 9"));
	ck_assert(set("early history-size 0"));
	ck_assert(set("earl* history-ttl 9"));
	/* The line is before that with the history-ttl. */
	ck_assert(!set("early history-size 5"));
	ck_assert(set("early history-size 5 history-ttl 8"));
}
END_TEST

START_TEST(an_earlier_glob_counts_if_it_matches_all_channels_of_the_later_one)
{
	static const struct {
		const char *earlier, *later;
		bool counts;
	} rows[] = {
	    {"*", "a", true},
	    {"*", "a*b", true},
	    {"a*", "ab*c", true},
	    {"a*", "*", false},
	    {"a*", "a", true},
	    {"a?*", "a*", false},
	    {"a??*", "a?*", false},
	    {"a?", "a*", false},
	    {"a[b-d]*", "a[bc]x", true},
	    {"a[b-d]*", "a*", false},
	    {"a\\*", "a*", false},
	    {"a\\*", "a\\*", true},
	    {"[*]", "*", false},
	    {"b*", "a*", false},
	    {"*a*b", "xa*yb", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct slice glob = slice_of(rows[i].later);
		const struct slice ttl[] = {SLICE("history-ttl"), SLICE("9")};
		const struct slice size[] = {SLICE("history-size"), SLICE("9")};

		teardown();
		setup();
		if (strcmp(rows[i].earlier, rows[i].later) == 0)
			continue; /* one line */
		ck_assert(
		    channel_lines_add(lines, slice_of(rows[i].earlier), ttl, 2, NULL, &error));
		ck_assert_msg(
		    channel_line_is_covered(lines, glob, size, 2, &error) == rows[i].counts,
		    "%s %s", rows[i].earlier, rows[i].later);
	}
}
END_TEST

START_TEST(a_ttl_that_other_lines_need_stays)
{
	ck_assert(set("news.* history-ttl 60 replay 1"));
	ck_assert(set("x history-ttl 60"));
	ck_assert(set("news.live.* history-size 5"));
	ck_assert(!unset("news.*"));
	assert_blames("news.live.*");
	ck_assert(!unset("news.* history-ttl"));
	ck_assert(!set("news.* history-ttl 0"));
	assert_blames("news.live.*");
	ck_assert(unset("news.* replay"));
	ck_assert(unset("x"));
	ck_assert(set("news.* history-ttl 5"));
	ck_assert(set("news.live.* history-ttl 7"));
	ck_assert(unset("news.* history-ttl"));
	ck_assert(!unset("news.live.* history-ttl"));
	assert_blames("news.live.*");
	ck_assert(unset("news.live.* history-size"));
	ck_assert(unset("news.live.* history-ttl"));
	ck_assert_uint_eq(channel_lines_count(lines), 0);
}
END_TEST

START_TEST(one_of_two_ttls_may_go)
{
	ck_assert(set("* history-ttl 60"));
	ck_assert(set("news.* history-ttl 60"));
	ck_assert(set("news.live.* history-size 5"));
	ck_assert(unset("*"));
	ck_assert(!unset("news.*"));
}
END_TEST

START_TEST(a_later_line_may_turn_history_off)
{
	ck_assert(set("news.* history-size 5 history-ttl 60"));
	ck_assert(set("news.live.* history-ttl 0"));
	ck_assert(set("news.live.tv history-size 0"));
}
END_TEST

START_TEST(very_long_globs_need_a_ttl_of_their_own)
{
	char line[400] = "";
	struct slice glob = {line, 300};
	const struct slice size[] = {
	    SLICE("history-size"), SLICE("9"), SLICE("history-ttl"), SLICE("9")};

	memset(line, '*', 300);
	ck_assert(set("** history-ttl 60"));
	ck_assert(!channel_line_is_covered(lines, glob, size, 2, &error));
	ck_assert(channel_line_is_covered(lines, glob, size, 4, &error));
	glob.len = 256;
	ck_assert(!channel_line_is_covered(lines, glob, size, 2, &error));
	line[0] = 'a';
	ck_assert(channel_line_is_covered(lines, glob, size, 2, &error));
}
END_TEST

START_TEST(other_mistakes_are_left_to_the_lines)
{
	ck_assert(channel_line_is_covered(lines, SLICE("a"), NULL, 0, &error));
	ck_assert(!set("a history-size"));
	ck_assert_int_eq(error.fault, CHANNEL_MISSING_VALUE);
	ck_assert(!set("a history-size x"));
	ck_assert_int_eq(error.fault, CHANNEL_BAD_VALUE);
	ck_assert(!set("a nosuch 5"));
	ck_assert_int_eq(error.fault, CHANNEL_UNKNOWN_OPTION);
	ck_assert(!unset("a"));
	ck_assert_int_eq(error.fault, CHANNEL_UNKNOWN_GLOB);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_cover", setup, teardown,
	    (const TTest *[]){a_size_needs_a_ttl_in_its_line_or_in_an_earlier_one,
		an_earlier_glob_counts_if_it_matches_all_channels_of_the_later_one,
		a_ttl_that_other_lines_need_stays, one_of_two_ttls_may_go,
		a_later_line_may_turn_history_off, very_long_globs_need_a_ttl_of_their_own,
		other_mistakes_are_left_to_the_lines, NULL});
}
