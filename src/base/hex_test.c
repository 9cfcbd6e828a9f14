#include "config.h"

#include "base/hex.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(what_is_written_reads_back)
{
	char out[2];

	for (int byte = 0; byte < 256; byte++) {
		unsigned char c = (unsigned char)byte;

		hex_write(out, &c, 1);
		ck_assert(hex_is_lower_digit(out[0]) && hex_is_lower_digit(out[1]));
		ck_assert_int_eq(hex_digit(out[0]) * 16 + hex_digit(out[1]), byte);
	}
}
END_TEST

START_TEST(upper_case_digits_are_read_and_never_written)
{
	ck_assert_int_eq(hex_digit('A'), 10);
	ck_assert_int_eq(hex_digit('F'), 15);
	ck_assert(!hex_is_lower_digit('A'));
}
END_TEST

START_TEST(other_bytes_are_no_digits)
{
	for (int byte = 0; byte < 256; byte++) {
		char c = (char)byte;

		if (c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL)
			continue;
		ck_assert_int_eq(hex_digit(c), -1);
		ck_assert(!hex_is_lower_digit(c));
	}
}
END_TEST

int
main(void)
{
	return testing_main("base/hex", NULL, NULL,
	    (const TTest *[]){what_is_written_reads_back,
		upper_case_digits_are_read_and_never_written, other_bytes_are_no_digits, NULL});
}
