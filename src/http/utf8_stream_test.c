#include "config.h"

#include "http/utf8_stream.h"

#include <check.h>
#include <stddef.h>
#include <string.h>

#include "base/testing.h"
#include "json/utf8.h"

static bool
is_valid_in_pieces(struct slice s, size_t piece_len)
{
	struct utf8_stream u = {0};

	for (size_t at = 0; at < s.len; at += piece_len) {
		size_t len = s.len - at < piece_len ? s.len - at : piece_len;

		if (!utf8_stream_take(&u, (struct slice){s.ptr + at, len}))
			return false;
	}
	return utf8_stream_is_whole(&u);
}

/* The number of bytes that are taken one by one before an error. */
static size_t
taken_before_error(const char *text)
{
	struct utf8_stream u = {0};
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (!utf8_stream_take(&u, (struct slice){text + i, 1}))
			return i;
	return i;
}

START_TEST(every_pair_of_bytes_in_a_text_is_judged_as_by_json)
{
	/* The third byte ends three-byte sequences, the fourth follows all. */
	char text[5] = "12\x80\x41";

	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++)
			for (size_t len = 1; len <= 4; len++) {
				struct slice s = {text, len};

				text[0] = (char)a;
				text[1] = (char)b;
				ck_assert_int_eq(is_valid_in_pieces(s, 1), json_is_utf8(s));
				ck_assert_int_eq(is_valid_in_pieces(s, 4), json_is_utf8(s));
			}
}
END_TEST

START_TEST(random_texts_are_judged_as_by_json_wherever_they_are_cut)
{
	static const char *const parts[] = {"a", "plain text", "\xC3\xA4", "\xE2\x82\xAC",
	    "\xF0\x9F\x98\x80", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\x80",
	    "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"};
	uint64_t seed = 7;
	int valid = 0;

	for (int step = testing_steps(20000); step > 0; step--) {
		char text[64] = "";
		struct slice s;

		for (int i = 0; i < 4; i++) {
			/* The last six parts are invalid. */
			uint64_t n = testing_random(&seed) % (step % 2 ? 8 : 14);

			memcpy(text + strlen(text), parts[n], strlen(parts[n]) + 1);
		}
		s = slice_of(text);
		valid += json_is_utf8(s);
		for (size_t len = 1; len < 12; len++)
			ck_assert_int_eq(is_valid_in_pieces(s, len), json_is_utf8(s));
	}
	ck_assert_int_gt(valid, 0);
}
END_TEST

START_TEST(an_invalid_byte_is_found_when_it_arrives)
{
	ck_assert_uint_eq(taken_before_error("ok\x80"), 2);
	ck_assert_uint_eq(taken_before_error("\xC3\xA4\xC0"), 2);
	ck_assert_uint_eq(taken_before_error("\xED\xA0\x80"), 1);
	ck_assert_uint_eq(taken_before_error("\xF4\x90\x80\x80"), 1);
	ck_assert_uint_eq(taken_before_error("\xE2\x82x"), 2);
}
END_TEST

START_TEST(a_text_must_not_end_inside_a_sequence)
{
	ck_assert(!is_valid_in_pieces(SLICE("\xE2\x82"), 1));
	ck_assert(is_valid_in_pieces(SLICE("\xE2\x82\xAC"), 1));
	ck_assert(is_valid_in_pieces(SLICE(""), 1));
}
END_TEST

int
main(void)
{
	return testing_main("http/utf8_stream", NULL, NULL,
	    (const TTest *[]){every_pair_of_bytes_in_a_text_is_judged_as_by_json,
		random_texts_are_judged_as_by_json_wherever_they_are_cut,
		an_invalid_byte_is_found_when_it_arrives, a_text_must_not_end_inside_a_sequence,
		NULL});
}
