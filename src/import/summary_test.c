#include "config.h"

#include "import/summary.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct import_summary summary;
static struct rdb_left_out left_out;
static struct buffer lines;

static void
setup(void)
{
	summary = (struct import_summary){0};
	left_out = (struct rdb_left_out){0};
	lines = (struct buffer){0};
}

static void
teardown(void)
{
	import_summary_release(&summary);
	buffer_release(&lines);
}

static void
take_line(void *arg, const char *text, bool is_gap)
{
	(void)arg;
	buffer_appendf(&lines, "%s%s\n", is_gap ? "! " : "", text);
}

static void
assert_lines(const char *expected)
{
	import_summary_end(&summary);
	buffer_clear(&lines);
	import_summary_write(&summary, &left_out, take_line, NULL);
	buffer_append(&lines, "", 1);
	ck_assert_str_eq(lines.ptr, expected);
}

static void
add(enum import_part part, enum rdb_type type, bool begins_key, const char *name,
    enum import_outcome outcome, const char *reason)
{
	struct slice arg = slice_of(name);
	struct import_command command = {
	    .argv = &arg, .argc = 1, .part = part, .type = type, .begins_key = begins_key};
	struct import_note note = import_note(&command);

	import_summary_add(&summary, &note, outcome, slice_of(reason));
}

START_TEST(a_key_counts_if_all_its_commands_succeeded)
{
	add(IMPORT_KEY, RDB_LIST, true, "RPUSH", IMPORT_DONE, "");
	add(IMPORT_KEY, RDB_LIST, false, "RPUSH", IMPORT_DONE, "");
	add(IMPORT_KEY, RDB_LIST, true, "RPUSH", IMPORT_DONE, "");
	add(IMPORT_KEY, RDB_LIST, false, "PEXPIREAT", IMPORT_REFUSED, "OOM");
	add(IMPORT_KEY, RDB_LIST, false, "PEXPIREAT", IMPORT_REFUSED, "another");
	add(IMPORT_DATABASE, RDB_STRING, false, "SELECT", IMPORT_DONE, "");
	add(IMPORT_KEY, RDB_STREAM, true, "XADD", IMPORT_NOT_HERE, "unknown");
	add(IMPORT_KEY, RDB_STREAM, true, "XADD", IMPORT_NOT_HERE, "unknown too");
	add(IMPORT_KEY, RDB_STRING, true, "SET", IMPORT_DONE, "");
	assert_lines("imported: keys: 2, string: 1, list: 1\n"
		     "! refused: keys of type list: 1 (OOM)\n"
		     "! not here: keys of type stream: 2 (unknown)\n");
	ck_assert(import_summary_has_gaps(&summary));
}
END_TEST

START_TEST(expiry_times_of_fields_do_not_make_a_key_fail)
{
	add(IMPORT_KEY, RDB_HASH, true, "HSET", IMPORT_DONE, "");
	add(IMPORT_FIELD_TIME, RDB_HASH, false, "HPEXPIREAT", IMPORT_NOT_HERE, "unknown");
	assert_lines("imported: keys: 1, hash: 1\n"
		     "! not here: expiry times of fields: 1 (unknown)\n");
}
END_TEST

START_TEST(commands_and_functions_are_counted_by_name)
{
	add(IMPORT_COMMAND, RDB_STRING, false, "set", IMPORT_DONE, "");
	add(IMPORT_COMMAND, RDB_STRING, false, "geoadd\n", IMPORT_NOT_HERE, "");
	add(IMPORT_COMMAND, RDB_STRING, false, "GeoAdd\n", IMPORT_NOT_HERE, "");
	add(IMPORT_FUNCTIONS, RDB_STRING, false, "FUNCTION", IMPORT_DONE, "");
	add(IMPORT_FUNCTIONS, RDB_STRING, false, "FUNCTION", IMPORT_REFUSED, "bad\r\n");
	import_summary_module(&summary, SLICE("ReJSON-RL"), true);
	import_summary_module(&summary, SLICE("ReJSON-RL"), false);
	assert_lines("imported: keys: 0; libraries of functions: 1; commands of append-only "
		     "files: 1\n"
		     "! not here: GEOADD?: 2\n"
		     "! refused: libraries of functions: 1 (bad\\r\\n)\n"
		     "! not here: keys of module type ReJSON-RL: 1\n"
		     "! not here: data of module type ReJSON-RL: 1\n");
}
END_TEST

START_TEST(what_has_expired_is_no_gap)
{
	left_out = (struct rdb_left_out){3, 2, 1, 4};
	assert_lines("imported: keys: 0\n"
		     "left out: pending entries of streams whose entries were deleted: 4\n"
		     "left out: expired keys: 3, expired fields: 2, empty keys: 1\n");
	ck_assert(!import_summary_has_gaps(&summary));
}
END_TEST

START_TEST(a_note_counts_the_entries_that_are_pending_in_a_snapshot)
{
	struct slice claim[] = {SLICE("xclaim"), SLICE("k"), SLICE("g"), SLICE("c"), SLICE("0"),
	    SLICE("1-1"), SLICE("2-0"), SLICE("TIME"), SLICE("1")};
	struct slice set[] = {SLICE("SET"), SLICE("k"), SLICE("1")};
	const size_t argc = sizeof(claim) / sizeof(*claim);
	struct import_command command = {.argv = claim, .argc = argc, .part = IMPORT_KEY};

	ck_assert_uint_eq(import_note(&command).claims, 2);
	command.argc = 7;
	ck_assert_uint_eq(import_note(&command).claims, 2);
	command.argc = 3;
	ck_assert_uint_eq(import_note(&command).claims, 0);
	command.argv = set;
	ck_assert_uint_eq(import_note(&command).claims, 0);
	/* Redis logs one for an entry that it drops. */
	command = (struct import_command){.argv = claim, .argc = argc, .part = IMPORT_COMMAND};
	ck_assert_uint_eq(import_note(&command).claims, 0);
}
END_TEST

START_TEST(names_are_bounded)
{
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		add(IMPORT_COMMAND, RDB_STRING, false, name, IMPORT_NOT_HERE, "");
	}
	ck_assert_uint_eq(summary.name_count, IMPORT_NAMES_MAX);
	ck_assert_str_eq(summary.names[IMPORT_NAMES_MAX - 1].name, "further things");
	ck_assert_uint_eq(summary.names[IMPORT_NAMES_MAX - 1].count, 1000 - IMPORT_NAMES_MAX + 1);
}
END_TEST

int
main(void)
{
	return testing_main("import/summary", setup, teardown,
	    (const TTest *[]){a_key_counts_if_all_its_commands_succeeded,
		expiry_times_of_fields_do_not_make_a_key_fail,
		commands_and_functions_are_counted_by_name, what_has_expired_is_no_gap,
		a_note_counts_the_entries_that_are_pending_in_a_snapshot, names_are_bounded, NULL});
}
