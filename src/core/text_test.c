#include "config.h"

#include "base/testing.h"
#include "core/testing_core.h"

START_TEST(every_result_has_a_text_of_its_own)
{
	for (int i = 0; i <= FANFARE_PREPARING; i++)
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(fanfare_result_text((enum fanfare_result)i),
			    fanfare_result_text((enum fanfare_result)j));
	ck_assert_str_eq(
	    fanfare_result_text((enum fanfare_result)(FANFARE_PREPARING + 1)), "unknown result");
	ck_assert_str_eq(fanfare_result_text((enum fanfare_result) - 1), "unknown result");
}
END_TEST

START_TEST(positions_are_printed_and_parsed)
{
	struct fanfare_position greatest = {UINT64_MAX, UINT64_MAX}, parsed = {7, 7};
	char text[FANFARE_POSITION_TEXT];

	ck_assert_uint_eq(fanfare_position_print(greatest, text), FANFARE_POSITION_TEXT - 1);
	ck_assert_str_eq(text, "18446744073709551615-18446744073709551615");
	ck_assert_ok(fanfare_position_parse(B(text), &parsed));
	ck_assert(parsed.epoch == UINT64_MAX && parsed.seq == UINT64_MAX);
	ck_assert_uint_eq(fanfare_position_print((struct fanfare_position){0, 1}, text), 3);
	ck_assert_str_eq(text, "0-1");
	ck_assert_uint_eq(fanfare_position_print(greatest, NULL), 0);
	ck_assert_result(fanfare_position_parse(B("1"), &parsed), FANFARE_INVALID);
	ck_assert_result(
	    fanfare_position_parse(B("18446744073709551616-1"), &parsed), FANFARE_INVALID);
	ck_assert_result(fanfare_position_parse(B("1-1"), NULL), FANFARE_INVALID);
	ck_assert_result(
	    fanfare_position_parse((struct fanfare_bytes){NULL, 3}, &parsed), FANFARE_INVALID);
	ck_assert(parsed.epoch == UINT64_MAX);
}
END_TEST

START_TEST(globs_are_those_of_psubscribe)
{
	ck_assert(fanfare_glob_match(B("a[b-d]?*"), B("acx")));
	ck_assert(!fanfare_glob_match(B("a[b-d]?*"), B("ac")));
	ck_assert(!fanfare_glob_match(B("A"), B("a")));
	ck_assert(fanfare_glob_match(B(NULL), B("")));
	ck_assert(!fanfare_glob_match((struct fanfare_bytes){NULL, 1}, B("a")));
}
END_TEST

START_TEST(the_library_knows_its_version)
{
	ck_assert_str_eq(fanfare_core_version(), FANFARE_CORE_VERSION);
	ck_assert_str_eq(fanfare_core_version(), PACKAGE_VERSION);
	ck_assert_uint_eq(fanfare_bytes_of(NULL).len, 0);
	ck_assert_uint_eq(fanfare_bytes_of("abc").len, 3);
}
END_TEST

int
main(void)
{
	return testing_main("core/text", NULL, NULL,
	    (const TTest *[]){every_result_has_a_text_of_its_own, positions_are_printed_and_parsed,
		globs_are_those_of_psubscribe, the_library_knows_its_version, NULL});
}
