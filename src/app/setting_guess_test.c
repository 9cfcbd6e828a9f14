#include "config.h"

#include "app/setting_guess.h"

#include <check.h>

#include "base/testing.h"

START_TEST(a_name_with_a_wrong_letter_is_guessed)
{
	ck_assert_str_eq(setting_guess(SLICE("maxclient")), "maxclients");
	ck_assert_str_eq(setting_guess(SLICE("MaxClientss")), "maxclients");
	ck_assert_str_eq(setting_guess(SLICE("tmeout")), "timeout");
	ck_assert_str_eq(setting_guess(SLICE("timeOit")), "timeout");
	ck_assert_str_eq(setting_guess(SLICE("save2")), "save");
	ck_assert_str_eq(setting_guess(SLICE("appendsfync")), "appendfsync");
	ck_assert_str_eq(setting_guess(SLICE("repl_timeout")), "repl-timeout");
}
END_TEST

START_TEST(the_nearest_name_is_guessed)
{
	ck_assert_str_eq(setting_guess(SLICE("maxmemory-sample")), "maxmemory-samples");
	ck_assert_str_eq(setting_guess(SLICE("tls-key-fil")), "tls-key-file");
	ck_assert_str_eq(setting_guess(SLICE("tls-cert-fil")), "tls-cert-file");
}
END_TEST

START_TEST(other_names_are_not_guessed)
{
	static const char longest[] =
	    "cluster-allow-pubsubshard-when-down-cluster-allow-pubsubshard-when-down";

	ck_assert_ptr_null(setting_guess(SLICE("")));
	ck_assert_ptr_null(setting_guess(SLICE("h")));
	ck_assert_ptr_null(setting_guess(SLICE("tmeot")));
	ck_assert_ptr_null(setting_guess(SLICE("maxclntz")));
	ck_assert_ptr_null(setting_guess(SLICE("nosuchdirective")));
	ck_assert_ptr_null(setting_guess(SLICE("loadmodules")));
	ck_assert_ptr_null(setting_guess(slice_of(longest)));
	ck_assert_ptr_null(setting_guess(SLICE("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7")));
}
END_TEST

int
main(void)
{
	return testing_main("app/setting_guess", NULL, NULL,
	    (const TTest *[]){a_name_with_a_wrong_letter_is_guessed, the_nearest_name_is_guessed,
		other_names_are_not_guessed, NULL});
}
