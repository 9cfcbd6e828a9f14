#include "config.h"

#include "resp/writer.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

/* Checks the bytes written since the last call. */
static void
check_written(struct slice expected)
{
	ck_assert_msg(slice_eq(buffer_slice(&out), expected), "'%.*s' instead of '%.*s'",
	    (int)out.len, out.ptr, (int)expected.len, expected.ptr);
	buffer_clear(&out);
}

#define WRITES(call, literal)                                                                      \
	do {                                                                                       \
		call;                                                                              \
		check_written(SLICE(literal));                                                     \
	} while (0)

START_TEST(types_that_both_protocols_have_look_the_same)
{
	WRITES(resp_put_simple(&out, "OK"), "+OK\r\n");
	WRITES(resp_put_error(&out, SLICE("ERR no")), "-ERR no\r\n");
	WRITES(resp_put_int(&out, 0), ":0\r\n");
	WRITES(resp_put_int(&out, INT64_MIN), ":-9223372036854775808\r\n");
	WRITES(resp_put_int(&out, INT64_MAX), ":9223372036854775807\r\n");
	WRITES(resp_put_bulk(&out, SLICE("a\0\r\nb")), "$5\r\na\0\r\nb\r\n");
	WRITES(resp_put_bulk(&out, (struct slice){NULL, 0}), "$0\r\n\r\n");
	WRITES(resp_put_bulk_str(&out, "0123456789"), "$10\r\n0123456789\r\n");
	WRITES(resp_put_bulk_int(&out, -120), "$4\r\n-120\r\n");
	WRITES(resp_put_array(&out, 0), "*0\r\n");
	WRITES(resp_put_array(&out, 1048576), "*1048576\r\n");
}
END_TEST

START_TEST(resp2_has_its_fallbacks)
{
	WRITES(resp_put_map(&out, 2, 3), "*6\r\n");
	WRITES(resp_put_set(&out, 2, 3), "*3\r\n");
	WRITES(resp_put_push(&out, 2, 3), "*3\r\n");
	WRITES(resp_put_null(&out, 2), "$-1\r\n");
	WRITES(resp_put_null_array(&out, 2), "*-1\r\n");
	WRITES(resp_put_bool(&out, 2, true), ":1\r\n");
	WRITES(resp_put_bool(&out, 2, false), ":0\r\n");
	WRITES(resp_put_verbatim(&out, 2, "txt", SLICE("two\nlines")), "$9\r\ntwo\nlines\r\n");
}
END_TEST

START_TEST(resp3_has_types_of_its_own)
{
	WRITES(resp_put_map(&out, 3, 3), "%3\r\n");
	WRITES(resp_put_set(&out, 3, 3), "~3\r\n");
	WRITES(resp_put_push(&out, 3, 3), ">3\r\n");
	WRITES(resp_put_null(&out, 3), "_\r\n");
	WRITES(resp_put_null_array(&out, 3), "_\r\n");
	WRITES(resp_put_bool(&out, 3, true), "#t\r\n");
	WRITES(resp_put_bool(&out, 3, false), "#f\r\n");
	WRITES(resp_put_verbatim(&out, 3, "txt", SLICE("two\nlines")), "=13\r\ntxt:two\nlines\r\n");
}
END_TEST

START_TEST(doubles_are_bulks_in_resp2_with_17_digits)
{
	WRITES(resp_put_double(&out, 2, 1), "$1\r\n1\r\n");
	WRITES(resp_put_double(&out, 2, -1.5), "$4\r\n-1.5\r\n");
	WRITES(resp_put_double(&out, 2, 0.1), "$19\r\n0.10000000000000001\r\n");
	WRITES(resp_put_double(&out, 2, 1e300), "$23\r\n1.0000000000000001e+300\r\n");
	WRITES(resp_put_double(&out, 2, -1.7976931348623157e308),
	    "$24\r\n-1.7976931348623157e+308\r\n");
	WRITES(resp_put_double(&out, 2, (double)INFINITY), "$3\r\ninf\r\n");
	WRITES(resp_put_double(&out, 2, (double)-INFINITY), "$4\r\n-inf\r\n");
	WRITES(resp_put_double(&out, 2, (double)NAN), "$3\r\nnan\r\n");
}
END_TEST

START_TEST(doubles_are_a_type_in_resp3)
{
	WRITES(resp_put_double(&out, 3, 3), ",3\r\n");
	WRITES(resp_put_double(&out, 3, 0.1), ",0.10000000000000001\r\n");
	WRITES(resp_put_double(&out, 3, (double)INFINITY), ",inf\r\n");
	WRITES(resp_put_double(&out, 3, (double)-INFINITY), ",-inf\r\n");
	WRITES(resp_put_double(&out, 3, -(double)NAN), ",nan\r\n");
}
END_TEST

START_TEST(an_error_can_not_hold_a_second_line)
{
	WRITES(resp_put_error(&out, SLICE("ERR unknown 'a\r\n+OK\r\n'")),
	    "-ERR unknown 'a  +OK  '\r\n");
	WRITES(resp_put_error(&out, SLICE("\n")), "- \r\n");
	WRITES(resp_put_error(&out, SLICE("a\0b")), "-a\0b\r\n");
}
END_TEST

START_TEST(the_length_of_a_bulk_is_known_before_it_is_written)
{
	static const size_t lens[] = {0, 1, 9, 10, 11, 99, 100, 999, 1000, 9999, 10000, 99999};
	static char value[100000], written[100100];
	size_t i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice s = {value, lens[i]};
		size_t len = (size_t)(resp_write_bulk(written, s) - written);

		ck_assert_uint_eq(len, resp_bulk_len(lens[i]));
		resp_put_bulk(&out, s);
		check_written((struct slice){written, len});
	}
	ck_assert_uint_eq(resp_bulk_len(536870912), 1 + 9 + 2 + 536870912 + 2);
}
END_TEST

START_TEST(replies_follow_one_another)
{
	resp_put_array(&out, 2);
	resp_put_bulk_str(&out, "a");
	resp_put_int(&out, -1);
	resp_put_null(&out, 2);
	check_written(SLICE("*2\r\n$1\r\na\r\n:-1\r\n$-1\r\n"));
}
END_TEST

int
main(void)
{
	return testing_main("resp/writer", NULL, teardown,
	    (const TTest *[]){types_that_both_protocols_have_look_the_same, resp2_has_its_fallbacks,
		resp3_has_types_of_its_own, doubles_are_bulks_in_resp2_with_17_digits,
		doubles_are_a_type_in_resp3, an_error_can_not_hold_a_second_line,
		the_length_of_a_bulk_is_known_before_it_is_written, replies_follow_one_another,
		NULL});
}
