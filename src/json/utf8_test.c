#include "config.h"

#include "json/utf8.h"

#include <string.h>

#include "base/testing.h"

START_TEST(well_formed_utf8_is_known)
{
	ck_assert(json_is_utf8(SLICE("")));
	ck_assert(json_is_utf8(SLICE("\x7f")));
	ck_assert(json_is_utf8(SLICE("\xC2\x80\xDF\xBF")));
	ck_assert(
	    json_is_utf8(SLICE("\xE0\xA0\x80\xEC\xBF\xBF\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF")));
	ck_assert(json_is_utf8(SLICE("\xF0\x90\x80\x80\xF3\xBF\xBF\xBF\xF4\x8F\xBF\xBF")));
}
END_TEST

START_TEST(ill_formed_utf8_is_refused)
{
	static const char *const bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2",
	    "\xC2\x41", "\xE0\x9F\xBF", "\xE1\x80", "\xE1\x80\x41", "\xED\xA0\x80",
	    "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF0\x90\x80\x41", "\xF4\x90\x80\x80",
	    "\xF5\x80\x80\x80", "\xFF", "ok\xFE"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!json_is_utf8(slice_of(bad[i])), "case %zu", i);
}
END_TEST

START_TEST(every_sequence_cut_short_is_refused_without_reading_on)
{
	/* The next byte would complete it, so a read past the end would succeed. */
	ck_assert(!json_is_utf8((struct slice){"\xC2\x80", 1}));
	ck_assert(!json_is_utf8((struct slice){"\xE1\x80\x80", 2}));
	ck_assert(!json_is_utf8((struct slice){"\xF1\x80\x80\x80", 3}));
}
END_TEST

START_TEST(one_bad_byte_is_found_at_every_offset)
{
	char text[40];

	for (size_t at = 0; at < sizeof(text); at++) {
		memset(text, 'a', sizeof(text));
		ck_assert(json_is_utf8((struct slice){text, sizeof(text)}));
		text[at] = '\xBF';
		ck_assert(!json_is_utf8((struct slice){text, sizeof(text)}));
		ck_assert(json_is_utf8((struct slice){text, at}));
	}
}
END_TEST

START_TEST(every_code_point_that_is_written_is_well_formed)
{
	for (unsigned long code = 0; code <= 0x10FFFF; code++) {
		char out[JSON_UTF8_MAX];
		struct slice s = {out, 0};

		if (code == 0xD800)
			code = 0xE000;
		s.len = json_utf8_write(out, code);
		if (json_utf8_len(s) != s.len)
			ck_abort_msg("U+%04lX", code);
	}
}
END_TEST

int
main(void)
{
	return testing_main("json/utf8", NULL, NULL,
	    (const TTest *[]){well_formed_utf8_is_known, ill_formed_utf8_is_refused,
		every_sequence_cut_short_is_refused_without_reading_on,
		one_bad_byte_is_found_at_every_offset,
		every_code_point_that_is_written_is_well_formed, NULL});
}
