#include "config.h"

#include "resp/message.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static char out[400];

/* Writes the message between guard bytes and checks that its head has the announced length. The
 * last part is the payload. */
static struct slice
written(int proto, struct slice kind, const struct slice *parts, size_t count)
{
	struct slice payload = parts[--count];
	size_t len = resp_message_head_len(proto, kind, parts, count, payload.len);

	ck_assert_uint_lt(len + payload.len + 2, sizeof(out));
	memset(out, '#', sizeof(out));
	ck_assert_ptr_eq(
	    resp_message_head_write(proto, kind, parts, count, payload.len, out), out + len);
	ck_assert_int_eq(out[len], '#');
	memcpy(out + len, payload.ptr, payload.len);
	memcpy(out + len + payload.len, RESP_MESSAGE_TAIL, 2);
	return (struct slice){out, len + payload.len + 2};
}

START_TEST(a_message_is_an_array_in_resp2)
{
	const struct slice parts[] = {SLICE("news"), SLICE("a\0\r\n")};

	ck_assert(slice_eq(written(2, SLICE("message"), parts, 2),
	    SLICE("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\na\0\r\n\r\n")));
}
END_TEST

START_TEST(a_message_is_a_push_in_resp3)
{
	const struct slice parts[] = {SLICE("n*"), SLICE("news"), SLICE("hello, world")};

	ck_assert(slice_eq(written(3, SLICE("pmessage"), parts, 3),
	    SLICE(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$12\r\nhello, world\r\n")));
}
END_TEST

START_TEST(empty_parts_and_no_parts_are_written)
{
	const struct slice parts[] = {{NULL, 0}, SLICE("")};

	ck_assert(slice_eq(written(2, SLICE("message"), parts, 2),
	    SLICE("*3\r\n$7\r\nmessage\r\n$0\r\n\r\n$0\r\n\r\n")));
	ck_assert(
	    slice_eq(written(3, SLICE("x"), parts + 1, 1), SLICE(">2\r\n$1\r\nx\r\n$0\r\n\r\n")));
}
END_TEST

START_TEST(the_length_is_exact_where_numbers_get_a_digit_more)
{
	static char value[1000];
	struct slice parts[12];
	size_t i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < 12; i++)
		parts[i] = (struct slice){value, 1};
	for (i = 8; i <= 12; i++)
		written(2, SLICE("k"), parts, i);
	for (i = 8; i <= 102; i++) {
		parts[0].len = i;
		written(2, SLICE("k"), parts, 1);
	}
}
END_TEST

START_TEST(lagged_tells_how_many_are_missing)
{
	ck_assert(slice_eq((struct slice){out, resp_lagged_write(2, 7, out)},
	    SLICE("*2\r\n$6\r\nlagged\r\n:7\r\n")));
	ck_assert(slice_eq((struct slice){out, resp_lagged_write(3, 1234567, out)},
	    SLICE(">2\r\n$6\r\nlagged\r\n:1234567\r\n")));
}
END_TEST

START_TEST(an_unknown_number_is_minus_one)
{
	ck_assert(slice_eq((struct slice){out, resp_lagged_write(2, RESP_LAGGED_UNKNOWN, out)},
	    SLICE("*2\r\n$6\r\nlagged\r\n:-1\r\n")));
	ck_assert(slice_eq((struct slice){out, resp_lagged_write(3, RESP_LAGGED_UNKNOWN, out)},
	    SLICE(">2\r\n$6\r\nlagged\r\n:-1\r\n")));
}
END_TEST

START_TEST(the_longest_lagged_fits)
{
	memset(out, '#', sizeof(out));
	ck_assert(slice_eq((struct slice){out, resp_lagged_write(3, INT64_MAX, out)},
	    SLICE(">2\r\n$6\r\nlagged\r\n:9223372036854775807\r\n")));
	ck_assert_int_eq(out[RESP_LAGGED_MAX], '#');
}
END_TEST

int
main(void)
{
	return testing_main("resp/message", NULL, NULL,
	    (const TTest *[]){a_message_is_an_array_in_resp2, a_message_is_a_push_in_resp3,
		empty_parts_and_no_parts_are_written,
		the_length_is_exact_where_numbers_get_a_digit_more,
		lagged_tells_how_many_are_missing, an_unknown_number_is_minus_one,
		the_longest_lagged_fits, NULL});
}
