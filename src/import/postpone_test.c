#include "config.h"

#include "import/postpone.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

#define NOW 1000

static struct postpone postpone;
static struct buffer text;

static void
setup(void)
{
	postpone = (struct postpone){.now_ms = NOW};
	text = (struct buffer){0};
}

static void
teardown(void)
{
	postpone_release(&postpone);
	buffer_release(&text);
}

/* The command, words separated by blanks, and what it became. */
static void
assert_follows(const char *words, const char *expected)
{
	struct slice argv[8], rest = slice_of(words);
	struct import_command command = {.argv = argv, .part = IMPORT_COMMAND};

	while (rest.len > 0) {
		size_t len = strcspn(rest.ptr, " ");

		argv[command.argc++] = (struct slice){rest.ptr, len};
		len += rest.ptr[len] == ' ';
		rest = (struct slice){rest.ptr + len, rest.len - len};
	}
	postpone_follow(&postpone, &command);
	buffer_clear(&text);
	for (size_t i = 0; i < command.argc; i++)
		buffer_appendf(&text, "%s%.*s", i > 0 ? " " : "", (int)command.argv[i].len,
		    command.argv[i].ptr);
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, expected);
}

START_TEST(a_time_that_may_pass_during_the_import_is_replaced)
{
	assert_follows("SET k v PXAT 1000", "SET k v PXAT 35060493601000");
	assert_follows("set k v keepttl pxat 86401000", "set k v keepttl pxat 35060580001000");
	assert_follows("pexpireat k 1001", "pexpireat k 35060493601001");
	ck_assert_uint_eq(postpone.count, 3);
	assert_follows("RESTORE k 1001 dumped REPLACE ABSTTL",
	    "RESTORE k 35060493601001 dumped REPLACE ABSTTL");
	assert_follows("restore-asking k 1001 dumped absttl idletime 5",
	    "restore-asking k 35060493601001 dumped absttl idletime 5");
	ck_assert_uint_eq(postpone.count, 5);
}
END_TEST

START_TEST(a_time_that_has_passed_is_replaced_by_that_of_the_beginning)
{
	assert_follows("SET k v PXAT 1", "SET k v PXAT 35060493601000");
	assert_follows("PEXPIREAT k -5", "PEXPIREAT k 35060493601000");
	assert_follows("RESTORE k 1 dumped ABSTTL", "RESTORE k 35060493601000 dumped ABSTTL");
}
END_TEST

START_TEST(conditions_are_removed)
{
	assert_follows("PEXPIREAT k 1001 LT", "PEXPIREAT k 35060493601001");
	assert_follows("PEXPIREAT k 86401001 XX GT", "PEXPIREAT k 86401001");
}
END_TEST

START_TEST(other_commands_stay_as_they_are)
{
	assert_follows("SET k v PXAT 86401001", "SET k v PXAT 86401001");
	assert_follows("PEXPIREAT k 86401001", "PEXPIREAT k 86401001");
	assert_follows("PEXPIREAT k x", "PEXPIREAT k x");
	assert_follows("PEXPIREAT k", "PEXPIREAT k");
	assert_follows("SET PXAT 1", "SET PXAT 1");
	assert_follows("SET k v PXAT", "SET k v PXAT");
	assert_follows("RPUSH k PXAT 1", "RPUSH k PXAT 1");
	assert_follows("RESTORE k 0 dumped ABSTTL", "RESTORE k 0 dumped ABSTTL");
	assert_follows("RESTORE k 1001 dumped REPLACE", "RESTORE k 1001 dumped REPLACE");
	assert_follows("RESTORE k 1001 ABSTTL", "RESTORE k 1001 ABSTTL");
	assert_follows("RESTORE k 86401001 dumped ABSTTL", "RESTORE k 86401001 dumped ABSTTL");
	ck_assert_uint_eq(postpone.count, 0);
}
END_TEST

START_TEST(the_real_time_follows_from_the_replaced_one)
{
	int64_t real_ms;

	ck_assert(postpone_is_replaced(&postpone, POSTPONE_BY_MS + NOW, &real_ms));
	ck_assert_int_eq(real_ms, NOW);
	ck_assert(postpone_is_replaced(&postpone, POSTPONE_BY_MS + 86401000, &real_ms));
	ck_assert_int_eq(real_ms, 86401000);
	ck_assert(!postpone_is_replaced(&postpone, POSTPONE_BY_MS + NOW - 3600001, &real_ms));
	ck_assert(!postpone_is_replaced(&postpone, POSTPONE_BY_MS + 90001001, &real_ms));
	ck_assert(!postpone_is_replaced(&postpone, NOW, &real_ms));
	ck_assert(!postpone_is_replaced(&postpone, -1, &real_ms));
}
END_TEST

int
main(void)
{
	return testing_main("import/postpone", setup, teardown,
	    (const TTest *[]){a_time_that_may_pass_during_the_import_is_replaced,
		a_time_that_has_passed_is_replaced_by_that_of_the_beginning, conditions_are_removed,
		other_commands_stay_as_they_are, the_real_time_follows_from_the_replaced_one,
		NULL});
}
