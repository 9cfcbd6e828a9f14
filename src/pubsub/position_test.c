#include "config.h"

#include "pubsub/position.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

#define MAX UINT64_MAX
#define MAX_TEXT "18446744073709551615"

static void
ck_position(struct hub_position position, uint64_t epoch, uint64_t seq)
{
	ck_assert_uint_eq(position.epoch, epoch);
	ck_assert_uint_eq(position.seq, seq);
}

START_TEST(what_is_printed_is_parsed)
{
	const struct hub_position positions[] = {
	    {0, 0}, {1, 2}, {1856000000ULL << 20 | 7, 123456789}, {MAX, MAX}};

	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		char text[POSITION_TEXT_MAX];
		struct hub_position parsed;
		size_t len = position_print(text, positions[i]);

		ck_assert_uint_le(len, sizeof(text));
		ck_assert(position_parse((struct slice){text, len}, &parsed));
		ck_position(parsed, positions[i].epoch, positions[i].seq);
		ck_assert_int_eq(position_compare(parsed, positions[i]), 0);
	}
}
END_TEST

START_TEST(positions_are_ordered_by_epoch_then_seq)
{
	ck_assert_int_lt(
	    position_compare((struct hub_position){1, 9}, (struct hub_position){2, 1}), 0);
	ck_assert_int_gt(
	    position_compare((struct hub_position){2, 1}, (struct hub_position){1, 9}), 0);
	ck_assert_int_lt(
	    position_compare((struct hub_position){2, 1}, (struct hub_position){2, 2}), 0);
	ck_assert_int_gt(
	    position_compare((struct hub_position){2, 3}, (struct hub_position){2, 2}), 0);
}
END_TEST

START_TEST(invalid_positions_are_refused)
{
	static const char *const invalid[] = {"", "-", "1", "1-", "-1", "a-1", "1-a", "1--1",
	    "1-1-1", " 1-1", "1-1 ", "+1-1", "01-1", "1-01", "18446744073709551616-1",
	    "1-18446744073709551616", "1-99999999999999999999999", "(1-1", "$"};
	struct hub_position position = {7, 8};

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		ck_assert_msg(!position_parse(slice_of(invalid[i]), &position), "%s", invalid[i]);
	ck_assert(!position_parse((struct slice){"1-2\0", 4}, &position));
	ck_position(position, 7, 8);
}
END_TEST

START_TEST(since_is_a_position_0_dollar_or_the_last_n)
{
	struct position_since since;

	ck_assert(position_parse_since(SLICE("5-6"), &since));
	ck_assert_int_eq(since.kind, POSITION_AT);
	ck_position(since.at, 5, 6);
	ck_assert(position_parse_since(SLICE("0"), &since));
	ck_assert_int_eq(since.kind, POSITION_ALL);
	ck_assert(position_parse_since(SLICE("$"), &since));
	ck_assert_int_eq(since.kind, POSITION_NEW);
	ck_assert(position_parse_since(SLICE("-1"), &since));
	ck_assert_int_eq(since.kind, POSITION_LAST);
	ck_assert_uint_eq(since.count, 1);
	ck_assert(position_parse_since(SLICE("-" MAX_TEXT), &since));
	ck_assert_uint_eq(since.count, MAX);
}
END_TEST

START_TEST(an_invalid_since_is_refused)
{
	static const char *const invalid[] = {
	    "", "-", "-0", "-01", "--1", "-a", "00", "1", "$$", "0-", "-18446744073709551616", "x"};
	struct position_since since = {.kind = POSITION_NEW, .count = 3};

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		ck_assert_msg(
		    !position_parse_since(slice_of(invalid[i]), &since), "%s", invalid[i]);
	ck_assert_int_eq(since.kind, POSITION_NEW);
	ck_assert_uint_eq(since.count, 3);
}
END_TEST

static void
ck_bound(const char *text, bool is_start, uint64_t epoch, uint64_t seq)
{
	struct hub_position position;

	ck_assert_msg(position_parse_bound(slice_of(text), is_start, &position), "%s", text);
	ck_position(position, epoch, seq);
}

START_TEST(bounds_are_those_of_xrange)
{
	ck_bound("-", true, 0, 0);
	ck_bound("-", false, 0, 0);
	ck_bound("+", true, MAX, MAX);
	ck_bound("+", false, MAX, MAX);
	ck_bound("3-4", true, 3, 4);
	ck_bound("3-4", false, 3, 4);
	ck_bound("3", true, 3, 0);
	ck_bound("3", false, 3, MAX);
	ck_bound("(3-4", true, 3, 5);
	ck_bound("(3-4", false, 3, 3);
	ck_bound("(3", true, 3, 1);
	ck_bound("(3", false, 3, MAX - 1);
	ck_bound("(3-" MAX_TEXT, true, 4, 0);
	ck_bound("(3-0", false, 2, MAX);
}
END_TEST

START_TEST(invalid_bounds_are_refused)
{
	static const char *const invalid[] = {
	    "", "(", "(-", "(+", "((1-1", "1-", "-1", "$", "1-2-3", "x", "(x"};
	struct hub_position position;

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		ck_assert_msg(
		    !position_parse_bound(slice_of(invalid[i]), true, &position), "%s", invalid[i]);
		ck_assert(!position_parse_bound(slice_of(invalid[i]), false, &position));
	}
	ck_assert(!position_parse_bound(SLICE("(" MAX_TEXT "-" MAX_TEXT), true, &position));
	ck_assert(!position_parse_bound(SLICE("(0-0"), false, &position));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/position", NULL, NULL,
	    (const TTest *[]){what_is_printed_is_parsed, positions_are_ordered_by_epoch_then_seq,
		invalid_positions_are_refused, since_is_a_position_0_dollar_or_the_last_n,
		an_invalid_since_is_refused, bounds_are_those_of_xrange, invalid_bounds_are_refused,
		NULL});
}
