#include "config.h"

#include "base/float_text.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/testing.h"

static void
assert_text(long double v, const char *text)
{
	char out[FLOAT_TEXT_MAX];
	size_t len = float_text_put(out, v);

	ck_assert_msg(len == strlen(text) && memcmp(out, text, len) == 0, "%.*s is not %s",
	    (int)len, out, text);
}

START_TEST(no_zeros_and_no_exponent_are_written)
{
	assert_text(0, "0");
	assert_text(-0.0L, "0");
	assert_text(10, "10");
	assert_text(10.5L, "10.5");
	assert_text(3.0e3L, "3000");
	assert_text(-1e-17L, "-0.00000000000000001");
	assert_text(1e-18L, "0");
	assert_text(-1e-18L, "0");
	assert_text(0.1L + 0.2L, "0.3");
	assert_text(1e20L, "100000000000000000000");
	assert_text(HUGE_VALL, "inf");
	assert_text(-HUGE_VALL, "-inf");
}
END_TEST

START_TEST(the_largest_number_has_room_and_is_read_again)
{
	char out[FLOAT_TEXT_MAX];
	long double v;
	size_t len = float_text_put(out, -LDBL_MAX);

	ck_assert_uint_eq(len, 4934);
	ck_assert(float_text_parse((struct slice){out, len}, &v) && v == -LDBL_MAX);
}
END_TEST

START_TEST(texts_of_5120_bytes_are_no_numbers)
{
	char text[5120];
	long double v;

	memset(text, '0', sizeof(text));
	ck_assert(float_text_parse((struct slice){text, sizeof(text) - 1}, &v) && v == 0);
	ck_assert(!float_text_parse((struct slice){text, sizeof(text)}, &v));
}
END_TEST

START_TEST(numbers_are_read_in_any_of_their_forms)
{
	long double v;

	ck_assert(float_text_parse(SLICE("1.5"), &v) && v == 1.5L);
	ck_assert(float_text_parse(SLICE("-5.0e3"), &v) && v == -5000);
	ck_assert(float_text_parse(SLICE("+.5"), &v) && v == 0.5L);
	ck_assert(float_text_parse(SLICE("0x10"), &v) && v == 16);
	ck_assert(float_text_parse(SLICE("-inf"), &v) && v == -HUGE_VALL);
}
END_TEST

START_TEST(an_invalid_number_changes_nothing)
{
	static const struct slice wrong[] = {SLICE(""), SLICE(" 1"), SLICE("1 "), SLICE("abc"),
	    SLICE("1.5x"), SLICE("1\0"), SLICE("nan"), SLICE("1e5000"), SLICE("1e-5000")};
	long double v = 42;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert(!float_text_parse(wrong[i], &v));
	ck_assert(v == 42);
}
END_TEST

START_TEST(percentages_have_up_to_six_digits_after_the_point)
{
	static const struct {
		double percent;
		const char *text;
	} rows[] = {{0, "0"}, {10, "10"}, {100, "100"}, {99.9, "99.9"}, {0.000001, "0.000001"},
	    {99.9999999, "100"}, {12.3456789, "12.345679"}};
	char out[FLOAT_TEXT_PERCENT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_uint_eq(
		    float_text_put_percent(out, rows[i].percent), strlen(rows[i].text));
		ck_assert_str_eq(out, rows[i].text);
	}
}
END_TEST

int
main(void)
{
	return testing_main("base/float_text", NULL, NULL,
	    (const TTest *[]){no_zeros_and_no_exponent_are_written,
		the_largest_number_has_room_and_is_read_again, texts_of_5120_bytes_are_no_numbers,
		numbers_are_read_in_any_of_their_forms, an_invalid_number_changes_nothing,
		percentages_have_up_to_six_digits_after_the_point, NULL});
}
