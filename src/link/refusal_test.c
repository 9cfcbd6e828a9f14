#include "config.h"

#include "link/refusal.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(a_long_error_is_cut_and_a_short_one_is_not)
{
	static char text[LINK_ERROR_MAX + 1];

	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(refusal_cut((struct slice){text, sizeof(text)}).len, LINK_ERROR_MAX);
	ck_assert_uint_eq(refusal_cut((struct slice){text, LINK_ERROR_MAX}).len, LINK_ERROR_MAX);
	ck_assert(slice_is(refusal_cut(SLICE("ERR no")), "ERR no"));
}
END_TEST

START_TEST(redirections_are_moved_and_ask)
{
	ck_assert(refusal_is_redirection(SLICE("MOVED 1 h:1")));
	ck_assert(refusal_is_redirection(SLICE("ASK 1 h:1")));
	ck_assert(!refusal_is_redirection(SLICE("ASKED")));
	ck_assert(!refusal_is_redirection(SLICE("")));
}
END_TEST

int
main(void)
{
	return testing_main("link/refusal", NULL, NULL,
	    (const TTest *[]){
		a_long_error_is_cut_and_a_short_one_is_not, redirections_are_moved_and_ask, NULL});
}
