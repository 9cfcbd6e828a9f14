#include "config.h"

#include "pubsub/channel_lines.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct channel_lines *lines;
static struct channel_error error;
static struct buffer text;

static void
setup(void)
{
	lines = channel_lines_new();
	text = (struct buffer){0};
}

static void
teardown(void)
{
	channel_lines_free(lines);
	buffer_release(&text);
}

enum { WORDS_MAX = 16 };

/* Splits at blanks; the first word is the glob. */
static size_t
split(const char *line, struct slice *glob, struct slice *words)
{
	size_t count = 0;

	*glob = (struct slice){line, strcspn(line, " ")};
	for (line += glob->len; *line != '\0'; count++) {
		ck_assert_uint_lt(count, WORDS_MAX);
		words[count] = (struct slice){line + 1, strcspn(line + 1, " ")};
		line += 1 + words[count].len;
	}
	return count;
}

static bool
add(const char *line)
{
	struct slice glob, words[WORDS_MAX];
	size_t count = split(line, &glob, words);

	return channel_lines_add(lines, glob, words, count, NULL, &error);
}

static bool
set(const char *line)
{
	struct slice glob, words[WORDS_MAX];
	size_t count = split(line, &glob, words);

	return channel_lines_set(lines, glob, words, count, NULL, &error);
}

static bool
unset(const char *line)
{
	struct slice glob, words[WORDS_MAX];
	size_t count = split(line, &glob, words);

	return channel_lines_unset(lines, glob, words, count, &error);
}

/* All lines, separated by semicolons. */
static const char *
all_of(const struct channel_lines *from)
{
	const struct channel_line *line;

	buffer_clear(&text);
	for (line = channel_lines_first(from); line != NULL; line = channel_lines_next(line)) {
		buffer_append_slice(&text, line->glob);
		for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
			if ((line->set >> i & 1) != 0) {
				buffer_appendf(&text, " %s ", channel_option_at(i)->name);
				channel_option_write(&line->values, i, &text);
			}
		buffer_append_str(&text, ";");
	}
	buffer_append(&text, "", 1);
	return text.ptr;
}

static const char *
error_text(void)
{
	buffer_clear(&text);
	channel_error_write(&error, &text);
	buffer_append(&text, "", 1);
	return text.ptr;
}

START_TEST(lines_are_in_the_order_in_which_they_were_added)
{
	const struct channel_line *first, *second;

	ck_assert(add("* outbox-policy disconnect") && add("news.* replay 1 history-ttl 300"));
	ck_assert_str_eq(
	    all_of(lines), "* outbox-policy disconnect;news.* history-ttl 300 replay 1;");
	ck_assert_uint_eq(channel_lines_count(lines), 2);
	first = channel_lines_first(lines);
	second = channel_lines_next(first);
	ck_assert_uint_lt(first->order, second->order);
	ck_assert_ptr_eq(channel_lines_at(lines, first->slot), first);
	ck_assert_ptr_eq(channel_lines_at(lines, second->slot), second);
	ck_assert_ptr_eq(channel_lines_find(lines, SLICE("news.*")), second);
	ck_assert_ptr_null(channel_lines_find(lines, SLICE("news.")));
}
END_TEST

START_TEST(set_changes_options_of_a_line_in_its_place)
{
	ck_assert(set("a replay 1 publish-users x") && set("b replay 2"));
	ck_assert(set("a replay 3 no-echo yes"));
	ck_assert_str_eq(all_of(lines), "a replay 3 publish-users x no-echo yes;b replay 2;");
}
END_TEST

START_TEST(unset_removes_options_and_then_the_line)
{
	ck_assert(add("a replay 1 no-echo yes publish-users x") && add("b replay 2"));
	ck_assert(unset("a no-echo publish-users"));
	ck_assert_str_eq(all_of(lines), "a replay 1;b replay 2;");
	ck_assert_uint_eq(channel_lines_first(lines)->values.no_echo, 0);
	ck_assert(unset("a replay"));
	ck_assert_str_eq(all_of(lines), "b replay 2;");
	ck_assert(add("c replay 3 no-echo yes") && unset("c") && unset("b"));
	ck_assert_uint_eq(channel_lines_count(lines), 0);
	ck_assert_ptr_null(channel_lines_first(lines));
}
END_TEST

START_TEST(a_slot_is_used_again)
{
	uint32_t slot;

	ck_assert(add("a replay 1") && add("b replay 1") && add("c replay 1"));
	slot = channel_lines_find(lines, SLICE("b"))->slot;
	ck_assert(unset("b") && add("d replay 1"));
	ck_assert_uint_eq(channel_lines_find(lines, SLICE("d"))->slot, slot);
	ck_assert_str_eq(all_of(lines), "a replay 1;c replay 1;d replay 1;");
}
END_TEST

START_TEST(the_options_in_use_are_known)
{
	ck_assert_uint_eq(channel_lines_options(lines), 0);
	ck_assert(add("a replay 1 no-echo yes") && add("b replay 2"));
	ck_assert_uint_eq(channel_lines_options(lines), CHANNEL_BIT(replay) | CHANNEL_BIT(no_echo));
	ck_assert(unset("a"));
	ck_assert_uint_eq(channel_lines_options(lines), CHANNEL_BIT(replay));
	ck_assert(unset("b replay"));
	ck_assert_uint_eq(channel_lines_options(lines), 0);
}
END_TEST

START_TEST(a_copy_is_equal_until_one_of_the_two_changes)
{
	struct channel_lines *copy;

	ck_assert(add("a publish-users x,y") && add("b replay 2"));
	copy = channel_lines_copy(lines);
	ck_assert(channel_lines_equal(copy, lines) && channel_lines_equal(lines, copy));
	ck_assert_uint_eq(channel_lines_bytes(copy), channel_lines_bytes(lines));
	ck_assert(set("a publish-users x"));
	ck_assert(!channel_lines_equal(copy, lines));
	ck_assert(set("a publish-users x,y") && add("c replay 1"));
	ck_assert(!channel_lines_equal(copy, lines) && !channel_lines_equal(lines, copy));
	ck_assert(unset("c") && unset("a") && add("a publish-users x,y"));
	ck_assert(!channel_lines_equal(copy, lines));
	ck_assert_str_eq(all_of(copy), "a publish-users x,y;b replay 2;");
	channel_lines_free(copy);
}
END_TEST

START_TEST(memory_is_counted)
{
	size_t before = channel_lines_bytes(lines), with_users;

	ck_assert(add("a publish-users xxxxxxxxxxxxxxxxxxxxxxxx"));
	with_users = channel_lines_bytes(lines);
	ck_assert_uint_gt(with_users, before + sizeof(struct channel_line));
	ck_assert(set("a publish-users x"));
	ck_assert_uint_eq(channel_lines_bytes(lines), with_users - 23);
}
END_TEST

#define SIZE_OF(glob)                                                                              \
	"history-size of channel line '" glob "' needs a history-ttl above 0, in this line or in " \
	"an earlier one that matches the same channels"

START_TEST(what_is_wrong_with_a_line_is_said_and_nothing_is_changed)
{
	static const struct {
		bool (*change)(const char *line);
		const char *line;
		const char *said;
	} cases[] = {
	    {add, " replay 1", "invalid channel glob: must have 1 to 4096 bytes"},
	    {add, "x", "a channel line needs an option and its value"},
	    {add, "x repaly 1", "unknown channel option 'repaly'"},
	    {add, "x no-echo yes replay", "missing value of channel option 'replay'"},
	    {add, "x replay 1 REPLAY 2", "repeated channel option 'REPLAY'"},
	    {add, "x replay ten\x01",
		"invalid value 'ten\\x01' of channel option 'replay': must be a number from 0 to "
		"10000"},
	    {add, "x history-size 1 history-ttl 0", SIZE_OF("x")},
	    {add, "a replay 2", "more than one channel line with glob 'a'"},
	    {set, "a publish-users b replay 10001",
		"invalid value '10001' of channel option 'replay': must be a number from 0 to "
		"10000"},
	    {set, "a history-ttl 0", SIZE_OF("a")},
	    {unset, "x", "no channel line with glob 'x'"},
	    {unset, "a no-echo", "this channel line does not set option 'no-echo'"},
	    {unset, "a replay replay", "repeated channel option 'replay'"},
	    {unset, "a replay x", "unknown channel option 'x'"},
	};
	static const char before[] = "a history-size 5 history-ttl 9 replay 1;";

	ck_assert(add("a replay 1 history-size 5 history-ttl 9"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert(!cases[i].change(cases[i].line));
		ck_assert_str_eq(error_text(), cases[i].said);
		ck_assert_str_eq(all_of(lines), before);
	}
}
END_TEST

START_TEST(a_glob_has_a_longest_length)
{
	static char glob[CHANNEL_GLOB_MAX + 1];
	struct slice words[2] = {SLICE("replay"), SLICE("1")};

	memset(glob, 'a', sizeof(glob));
	ck_assert(channel_lines_add(
	    lines, (struct slice){glob, CHANNEL_GLOB_MAX}, words, 2, NULL, &error));
	ck_assert(!channel_lines_add(
	    lines, (struct slice){glob, CHANNEL_GLOB_MAX + 1}, words, 2, NULL, &error));
	ck_assert_int_eq(error.fault, CHANNEL_BAD_GLOB);
}
END_TEST

START_TEST(the_number_of_lines_has_a_limit)
{
	char line[32];

	for (int i = 0; i < CHANNEL_LINES_MAX; i++) {
		snprintf(line, sizeof(line), "%d replay 1", i);
		if (!add(line))
			ck_abort_msg("line %d", i);
	}
	ck_assert(!add("one-more replay 1"));
	ck_assert_str_eq(error_text(), "max number of channel lines reached (65536)");
	ck_assert(set("7 replay 2") && unset("7") && add("one-more replay 1"));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_lines", setup, teardown,
	    (const TTest *[]){lines_are_in_the_order_in_which_they_were_added,
		set_changes_options_of_a_line_in_its_place, unset_removes_options_and_then_the_line,
		a_slot_is_used_again, the_options_in_use_are_known,
		a_copy_is_equal_until_one_of_the_two_changes, memory_is_counted,
		what_is_wrong_with_a_line_is_said_and_nothing_is_changed,
		a_glob_has_a_longest_length, the_number_of_lines_has_a_limit, NULL});
}
