#include "config.h"

#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"

struct values {
	bool flag;
	const char *text;
	uint64_t number;
	uint64_t span_us;
	double rate;
};

#define AT(field) .offset = offsetof(struct values, field)

static const struct option_row first_rows[] = {
    {"flag", 'f', OPTION_FLAG, AT(flag), .text = "a flag"},
    {"text", 0, OPTION_TEXT, "TEXT", AT(text), .text = "a text"},
    {0},
};

static const struct option_row more_rows[] = {
    {"number", 'n', OPTION_NUMBER, "N", AT(number), .min = 2, .max = 9, .text = "a number"},
    {"span", 's', OPTION_SECONDS, "S", AT(span_us), .max = 10, .text = "seconds"},
    {"rate", 0, OPTION_REAL, "R", AT(rate), .max = 10, .text = "a rate"},
    {0},
};

static struct values first, more;
static struct buffer error;
static char *argv[32];
static int argc;

static void
setup(void)
{
	first = more = (struct values){0};
	argc = 0;
}

static void
teardown(void)
{
	buffer_release(&error);
}

/* Writable copies: getopt reorders argv and needs char *. */
static int
parse(bool stop_at_operand, const char *words)
{
	static char copy[256];
	const struct option_set sets[] = {{first_rows, &first}, {more_rows, &more}};

	snprintf(copy, sizeof(copy), "prog %s", words);
	argc = 0;
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	buffer_clear(&error);
	return options_parse(argc, argv, sets, 2, stop_at_operand, &error);
}

static bool
error_is(const char *text)
{
	return slice_is(buffer_slice(&error), text);
}

START_TEST(every_kind_is_read_in_both_forms)
{
	ck_assert_int_eq(parse(false, "-f --text=x -n 2 --span 0.5 --rate 1.5"), argc);
	ck_assert(first.flag);
	ck_assert_str_eq(first.text, "x");
	ck_assert_uint_eq(more.number, 2);
	ck_assert_uint_eq(more.span_us, 500000);
	ck_assert_double_eq(more.rate, 1.5);
}
END_TEST

START_TEST(options_and_operands_may_be_mixed)
{
	int at = parse(false, "a -f b --number 9 -- -c");

	ck_assert_int_eq(argc - at, 3);
	ck_assert_str_eq(argv[at], "a");
	ck_assert_str_eq(argv[at + 1], "b");
	ck_assert_str_eq(argv[at + 2], "-c");
	ck_assert(first.flag);
	ck_assert_uint_eq(more.number, 9);
}
END_TEST

START_TEST(reading_stops_at_the_first_operand_where_that_is_asked)
{
	int at = parse(true, "-f a -n 3");

	ck_assert_int_eq(at, 2);
	ck_assert_str_eq(argv[at], "a");
	ck_assert_str_eq(argv[at + 1], "-n");
	ck_assert_uint_eq(more.number, 0);
}
END_TEST

START_TEST(a_lone_dash_is_an_operand)
{
	int at = parse(false, "- -f");

	ck_assert_int_eq(argc - at, 1);
	ck_assert_str_eq(argv[at], "-");
}
END_TEST

START_TEST(values_out_of_range_are_refused_by_name)
{
	ck_assert_int_eq(parse(false, "-n 1"), -1);
	ck_assert(error_is("--number: '1' is not a number from 2 to 9"));
	ck_assert_int_eq(parse(false, "-n 10"), -1);
	ck_assert_int_eq(parse(false, "-n 5x"), -1);
	ck_assert_int_eq(parse(false, "-n -5"), -1);
	ck_assert_int_eq(parse(false, "-s 0"), -1);
	ck_assert(error_is("--span: '0' is not a number above 0 and up to 10"));
	ck_assert_int_eq(parse(false, "-s 10.1"), -1);
	ck_assert_int_eq(parse(false, "-s nan"), -1);
	ck_assert_int_eq(parse(false, "-s inf"), -1);
	ck_assert_int_eq(parse(false, "--rate -1"), -1);
	ck_assert_uint_eq(more.number, 0);
	ck_assert_uint_eq(more.span_us, 0);
}
END_TEST

START_TEST(a_span_too_small_to_count_is_not_taken_for_none)
{
	ck_assert_int_eq(parse(false, "-s 1e-9"), argc);
	ck_assert_uint_eq(more.span_us, 1);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
	ck_assert_int_eq(parse(false, "--nonsense"), -1);
	ck_assert(error_is("--nonsense: unknown option"));
	ck_assert_int_eq(parse(false, "-x"), -1);
	ck_assert(error_is("-x: unknown option"));
	ck_assert_int_eq(parse(false, "--number"), -1);
	ck_assert(error_is("--number needs a value"));
	ck_assert_int_eq(parse(false, "-n"), -1);
	ck_assert(error_is("-n needs a value"));
	ck_assert_int_eq(parse(false, "--flag=1"), -1);
	ck_assert(error_is("--flag takes no value"));
}
END_TEST

START_TEST(help_has_a_line_for_each_row)
{
	struct buffer out = {0};

	options_describe(first_rows, &out);
	ck_assert(slice_is(buffer_slice(&out), "  -f, --flag                  a flag\n"
					       "      --text TEXT             a text\n"));
	buffer_release(&out);
}
END_TEST

int
main(void)
{
	return testing_main("cli/options", setup, teardown,
	    (const TTest *[]){every_kind_is_read_in_both_forms, options_and_operands_may_be_mixed,
		reading_stops_at_the_first_operand_where_that_is_asked, a_lone_dash_is_an_operand,
		values_out_of_range_are_refused_by_name,
		a_span_too_small_to_count_is_not_taken_for_none, what_is_wrong_is_said,
		help_has_a_line_for_each_row, NULL});
}
