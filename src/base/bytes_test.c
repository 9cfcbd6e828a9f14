#include "config.h"

#include "base/bytes.h"

#include <check.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static bool
is_i64(const char *text, int64_t expected)
{
	int64_t v = ~expected;

	return slice_to_i64(slice_of(text), &v) && v == expected;
}

static bool
is_refused_as_i64(const char *text)
{
	int64_t v = 12345;

	return !slice_to_i64(slice_of(text), &v) && v == 12345;
}

static bool
is_refused_as_u64(const char *text)
{
	uint64_t v = 12345;

	return !slice_to_u64(slice_of(text), &v) && v == 12345;
}

START_TEST(slices_are_equal_when_length_and_bytes_are)
{
	ck_assert(slice_eq(SLICE("a\0b"), SLICE("a\0b")));
	ck_assert(!slice_eq(SLICE("a\0b"), SLICE("a\0c")));
	ck_assert(!slice_eq(SLICE("ab"), SLICE("abc")));
	ck_assert(slice_eq((struct slice){NULL, 0}, SLICE("")));
	ck_assert(slice_is(SLICE("ping"), "ping"));
	ck_assert(!slice_is(SLICE("ping\0"), "ping"));
}
END_TEST

START_TEST(secrets_are_equal_when_length_and_bytes_are)
{
	ck_assert(slice_eq_secret(SLICE("secret"), SLICE("secret")));
	ck_assert(slice_eq_secret(SLICE(""), SLICE("")));
	ck_assert(!slice_eq_secret(SLICE("secret"), SLICE("secreT")));
	ck_assert(!slice_eq_secret(SLICE("secret"), SLICE("secre")));
	ck_assert(!slice_eq_secret(SLICE("ab"), SLICE("abab")));
	ck_assert(!slice_eq_secret(SLICE("secret"), SLICE("")));
	ck_assert(!slice_eq_secret(SLICE(""), SLICE("a")));
	ck_assert(!slice_eq_secret(SLICE(""), ((struct slice){"\0", 1})));
}
END_TEST

START_TEST(comparison_without_case_folds_ascii_letters_only)
{
	ck_assert(slice_is_nocase(SLICE("SubScribe"), "subscribe"));
	ck_assert(slice_is_nocase(SLICE(""), ""));
	ck_assert(!slice_is_nocase(SLICE("subscribe"), "subscribes"));
	ck_assert(!slice_is_nocase(SLICE("subscribes"), "subscribe"));
	ck_assert(!slice_is_nocase(SLICE("a\0"), "a"));
	ck_assert(!slice_is_nocase(SLICE("["), "{"));
	ck_assert(!slice_is_nocase(SLICE("@"), "`"));
	ck_assert(!slice_is_nocase(SLICE("\xc4"), "\xe4"));
}
END_TEST

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Texts of every length up to 20, which differ at one place. */
START_TEST(comparison_without_case_is_right_for_all_bytes_at_all_places)
{
	static const int differences[] = {0, 0x20, 0x80, 0xa0, 0x01, 0x40};
	char a[21], b[21];

	for (size_t len = 1; len <= 20; len++) {
		for (size_t at = 0; at < len; at++) {
			for (int pair = 0; pair < 256 * 6; pair++) {
				int x = pair & 255, y = x ^ differences[pair >> 8];

				if (y == 0)
					continue;
				memcpy(a, "PubSub-Z~\xe4 and more!", len);
				memcpy(b, "pUBSUB-z~\xe4 AND more!", len);
				b[len] = '\0';
				a[at] = (char)x;
				b[at] = (char)y;
				ck_assert_int_eq(slice_is_nocase((struct slice){a, len}, b),
				    lower(x) == lower(y));
			}
		}
	}
}
END_TEST

START_TEST(order_is_that_of_unsigned_bytes_and_the_shorter_first)
{
	ck_assert_int_lt(slice_compare(SLICE("a"), SLICE("b")), 0);
	ck_assert_int_lt(slice_compare(SLICE("a"), SLICE("aa")), 0);
	ck_assert_int_gt(slice_compare(SLICE("\xff"), SLICE("a")), 0);
	ck_assert_int_gt(slice_compare(SLICE("b"), SLICE("aa")), 0);
	ck_assert_int_eq(slice_compare(SLICE("a\0"), SLICE("a\0")), 0);
	ck_assert_int_lt(slice_compare((struct slice){NULL, 0}, SLICE("a")), 0);
	ck_assert_int_eq(slice_compare((struct slice){NULL, 0}, SLICE("")), 0);
}
END_TEST

START_TEST(integers_are_read_up_to_their_limits_and_no_further)
{
	ck_assert(is_i64("0", 0));
	ck_assert(is_i64("-1", -1));
	ck_assert(is_i64("9223372036854775807", INT64_MAX));
	ck_assert(is_i64("-9223372036854775808", INT64_MIN));
	ck_assert(is_refused_as_i64("9223372036854775808"));
	ck_assert(is_refused_as_i64("-9223372036854775809"));
	ck_assert(is_refused_as_i64("18446744073709551615"));
	ck_assert(is_refused_as_i64("99999999999999999999999"));
}
END_TEST

START_TEST(only_one_spelling_of_an_integer_is_read)
{
	static const char *const wrong[] = {"", "-", "+1", " 1", "1 ", "01", "-01", "-0", "00",
	    "1a", "a", "--1", "0x1", "1.0", "1e3"};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(is_refused_as_i64(wrong[i]), "'%s' was read", wrong[i]);
}
END_TEST

START_TEST(unsigned_integers_go_up_to_64_bits)
{
	uint64_t v = 0;

	ck_assert(slice_to_u64(SLICE("18446744073709551615"), &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(slice_to_u64(SLICE("0"), &v));
	ck_assert_uint_eq(v, 0);
	ck_assert(is_refused_as_u64("18446744073709551616"));
	ck_assert(is_refused_as_u64("28446744073709551615"));
	ck_assert(is_refused_as_u64("-1"));
	ck_assert(is_refused_as_u64("01"));
	ck_assert(is_refused_as_u64(""));
}
END_TEST

START_TEST(a_written_integer_is_what_printf_writes_and_reads_back)
{
	uint64_t seed = 1;
	int i;

	for (i = 0; i < 20000; i++) {
		/* Shifted, so that all lengths occur. */
		uint64_t bits = testing_random(&seed) >> (i % 64);
		int64_t v = i % 2 ? (int64_t)bits : (int64_t)-bits;
		char ours[BYTES_I64_MAX + 1], theirs[32];
		size_t len = bytes_from_i64(ours, v);

		ck_assert_uint_le(len, BYTES_I64_MAX);
		ours[len] = '\0';
		snprintf(theirs, sizeof(theirs), "%" PRId64, v);
		ck_assert_str_eq(ours, theirs);
		ck_assert(is_i64(ours, v));
	}
	ck_assert_uint_eq(bytes_from_i64((char[BYTES_I64_MAX]){0}, INT64_MIN), 20);
}
END_TEST

START_TEST(every_length_of_number_is_written_and_told_before)
{
	uint64_t power = 1;

	for (size_t len = 1; len <= 20; len++, power *= 10) {
		const uint64_t values[] = {power, power + power / 2, power - (len > 1 ? 1 : 0)};

		for (size_t i = 0; i < 3; i++) {
			char expected[BYTES_U64_MAX + 1], got[BYTES_U64_MAX];
			size_t wanted = (size_t)snprintf(
			    expected, sizeof(expected), "%llu", (unsigned long long)values[i]);

			ck_assert_uint_eq(bytes_u64_len(values[i]), wanted);
			ck_assert_uint_eq(bytes_from_u64(got, values[i]), wanted);
			ck_assert_mem_eq(got, expected, wanted);
		}
	}
	ck_assert_uint_eq(bytes_u64_len(UINT64_MAX), 20);
	ck_assert_uint_eq(bytes_u64_len(0), 1);
}
END_TEST

START_TEST(a_slice_begins_with_its_prefixes)
{
	ck_assert(slice_begins_with(SLICE("MOVED 1"), "MOVED "));
	ck_assert(slice_begins_with(SLICE("a"), ""));
	ck_assert(!slice_begins_with(SLICE("MOVE"), "MOVED"));
	ck_assert(!slice_begins_with(SLICE("moved"), "MOVED"));
}
END_TEST

int
main(void)
{
	return testing_main("base/bytes", NULL, NULL,
	    (const TTest *[]){slices_are_equal_when_length_and_bytes_are,
		secrets_are_equal_when_length_and_bytes_are,
		comparison_without_case_folds_ascii_letters_only,
		comparison_without_case_is_right_for_all_bytes_at_all_places,
		order_is_that_of_unsigned_bytes_and_the_shorter_first,
		integers_are_read_up_to_their_limits_and_no_further,
		only_one_spelling_of_an_integer_is_read, unsigned_integers_go_up_to_64_bits,
		a_written_integer_is_what_printf_writes_and_reads_back,
		every_length_of_number_is_written_and_told_before, a_slice_begins_with_its_prefixes,
		NULL});
}
