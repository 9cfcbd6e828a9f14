#include "config.h"

#include "base/amount.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(yes_and_no_are_read_in_any_case)
{
	bool yes = false;

	ck_assert(amount_parse_bool(SLICE("YES"), &yes) && yes);
	ck_assert(amount_parse_bool(SLICE("no"), &yes) && !yes);
	ck_assert(!amount_parse_bool(SLICE("1"), &yes) && !yes);
}
END_TEST

START_TEST(bytes_are_read_with_each_unit)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {{"0", 0}, {"17", 17}, {"17B", 17}, {"3k", 3000}, {"3kb", 3072},
	    {"2M", 2000000}, {"2mb", 2097152}, {"1g", 1000000000}, {"1GB", 1073741824},
	    {"99999999999999999999gb", INT64_MAX}};
	static const char *const bad[] = {"", "b", "-1", "1.5", "1 kb", "1kbx", "1tb"};
	int64_t bytes = -1;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert(amount_parse_bytes(slice_of(cases[i].text), &bytes));
		ck_assert_int_eq(bytes, cases[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert(!amount_parse_bytes(slice_of(bad[i]), &bytes));
}
END_TEST

START_TEST(bytes_are_written_with_the_largest_unit_that_divides_them)
{
	struct buffer out = {0};

	amount_write_bytes(0, &out);
	buffer_append_str(&out, " ");
	amount_write_bytes(1025, &out);
	buffer_append_str(&out, " ");
	amount_write_bytes(1536 * 1024, &out);
	buffer_append_str(&out, " ");
	amount_write_bytes(INT64_C(2) << 30, &out);
	ck_assert(slice_is(buffer_slice(&out), "0 1025 1536kb 2gb"));
	buffer_release(&out);
}
END_TEST

int
main(void)
{
	return testing_main("base/amount", NULL, NULL,
	    (const TTest *[]){yes_and_no_are_read_in_any_case, bytes_are_read_with_each_unit,
		bytes_are_written_with_the_largest_unit_that_divides_them, NULL});
}
