#include "config.h"

#include "acl/key_spec.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "acl/command.h"
#include "base/testing.h"
#include "cmd/table.h"

/* The ranges of keys in the request of these words, as "1-3/2 5-5/1". */
static const char *
keys_of(const char *name, const char *keys, const char *line)
{
	static char out[128];
	struct slice argv[32];
	struct key_range ranges[KEY_SPECS_MAX];
	struct acl_command row = {.name = name, .keys = keys};
	size_t argc = 0, count, i, len = 0;

	for (; *line != '\0'; line += *line == ' ') {
		argv[argc++] = (struct slice){line, strcspn(line, " ")};
		line += argv[argc - 1].len;
	}
	count = key_spec_ranges(&row, argv, argc, ranges);
	out[0] = '\0';
	for (i = 0; i < count; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%zu-%zu/%zu",
		    i > 0 ? " " : "", ranges[i].first, ranges[i].last, ranges[i].step);
	return out;
}

static uint32_t
flags_of_first(const char *name, const char *keys, struct slice *argv, size_t argc)
{
	struct key_range ranges[KEY_SPECS_MAX];
	struct acl_command row = {.name = name, .keys = keys};

	ck_assert_uint_gt(key_spec_ranges(&row, argv, argc, ranges), 0);
	return ranges[0].flags;
}

START_TEST(a_range_reaches_from_its_beginning_to_the_last_key)
{
	ck_assert_str_eq(keys_of("x", "RO @1 range 0 1 0", "x a b c"), "1-1/1");
	ck_assert_str_eq(keys_of("x", "RO @1 range -1 1 0", "x a b c"), "1-3/1");
	ck_assert_str_eq(keys_of("x", "RO @1 range -2 1 0", "x a b c"), "1-2/1");
	ck_assert_str_eq(keys_of("x", "OW @1 range -1 2 0", "x a 1 b 2"), "1-4/2");
	ck_assert_str_eq(
	    keys_of("x", "RW @1 range 0 1 0; RO @2 range -1 1 0", "x a b c"), "1-1/1 2-3/1");
}
END_TEST

START_TEST(a_number_says_how_many_keys_there_are)
{
	const char *keys = "OW @1 range 0 1 0; RO @2 keynum 0 1 1";

	ck_assert_str_eq(keys_of("x", keys, "x d 2 a b WEIGHTS 1 2"), "1-1/1 3-4/1");
	ck_assert_str_eq(keys_of("x", keys, "x d 1 a"), "1-1/1 3-3/1");
}
END_TEST

START_TEST(keys_may_begin_behind_a_word)
{
	const char *keys = "RO @STREAMS:1 range -1 1 2";

	ck_assert_str_eq(keys_of("x", keys, "x STREAMS a 0"), "2-2/1");
	ck_assert_str_eq(keys_of("x", keys, "x COUNT 1 streams a b 0 0"), "4-5/1");
	ck_assert_str_eq(keys_of("x", keys, "x STREAMS STREAMS 0"), "2-2/1");
	ck_assert_str_eq(keys_of("x", keys, "x STREAMS a b 0"), "2-2/1");
	ck_assert_str_eq(keys_of("x", keys, "x COUNT 1 STREAMS"), "");
	ck_assert_str_eq(keys_of("x", keys, "x COUNT 1 STREAM a 0"), "");
	ck_assert_str_eq(keys_of("x", "RO @W:4 range -1 1 2", "x GROUP W c W a b > >"), "5-6/1");
}
END_TEST

START_TEST(arguments_that_make_no_sense_name_no_keys)
{
	const char *keys = "OW @1 range 0 1 0; RO @2 keynum 0 1 1";

	ck_assert_str_eq(keys_of("x", keys, "x d 3 a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d 0 a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d -1 a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d 9223372036854775807 a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d 4294967297 a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d two a b"), "");
	ck_assert_str_eq(keys_of("x", keys, "x d"), "");
	ck_assert_str_eq(keys_of("x", "RO @2 range 0 1 0", "x"), "");
	ck_assert_str_eq(keys_of("x", "RO @1 range -2 1 0", "x a"), "");
}
END_TEST

START_TEST(what_only_names_a_shard_is_no_key)
{
	const struct acl_command shard = {.name = "x", .keys = "not_key @1 range 0 1 0"};
	const struct acl_command none = {.name = "x"};

	ck_assert_str_eq(keys_of("x", shard.keys, "x a"), "");
	ck_assert(!key_specs_have_keys(shard.keys));
	ck_assert(!key_specs_have_keys(none.keys));
}
END_TEST

START_TEST(set_reads_the_key_only_with_get)
{
	const char *keys = "RW access update variable_flags @1 range 0 1 0";
	struct slice argv[] = {SLICE("set"), SLICE("get"), SLICE("get"), SLICE("GeT")};

	ck_assert_uint_eq(flags_of_first("set", keys, argv, 3), KEYSPEC_OW | KEYSPEC_UPDATE);
	ck_assert_uint_eq(
	    flags_of_first("set", keys, argv, 4), KEYSPEC_RW | KEYSPEC_ACCESS | KEYSPEC_UPDATE);
}
END_TEST

START_TEST(sort_writes_to_the_last_store_that_is_an_option)
{
	const char *keys = "RO access @1 range 0 1 0; RO access @? unknown; OW update @? unknown";

	ck_assert_str_eq(keys_of("sort", keys, "sort a"), "1-1/1");
	ck_assert_str_eq(keys_of("sort", keys, "sort a STORE b"), "1-1/1 3-3/1");
	ck_assert_str_eq(keys_of("sort", keys, "sort a store b STORE c"), "1-1/1 5-5/1");
	ck_assert_str_eq(keys_of("sort", keys, "sort a by STORE b"), "1-1/1");
	ck_assert_str_eq(keys_of("sort", keys, "sort a limit 0 store b"), "1-1/1");
	ck_assert_str_eq(keys_of("sort", keys, "sort a STORE"), "1-1/1");
	ck_assert_str_eq(
	    keys_of("sort_ro", "RO access @1 range 0 1 0; RO @? unknown", "sort_ro a STORE b"),
	    "1-1/1");
}
END_TEST

START_TEST(notes_stand_behind_two_dashes)
{
	const struct acl_command row = {
	    .keys = "RO @1 range 0 1 0 -- why not; OW update @? unknown"};
	struct key_spec specs[KEY_SPECS_MAX];

	ck_assert_uint_eq(key_specs_parse(row.keys, specs), 2);
	ck_assert(slice_is(specs[0].note, "why not"));
	ck_assert_uint_eq(specs[1].note.len, 0);
	ck_assert_int_eq(specs[1].begin, 0);
	ck_assert_uint_eq(specs[1].flags, KEYSPEC_OW | KEYSPEC_UPDATE);
}
END_TEST

/* If the specifications cannot locate a key by its position, the row must name another way. */
START_TEST(the_keys_of_every_command_can_be_read)
{
	const struct command_table *table = cmd_table();
	struct key_spec specs[KEY_SPECS_MAX];
	size_t i, j, count;

	for (i = 0; i < table->count; i++) {
		const struct command *row = &table->rows[i];

		count = key_specs_parse(row->keys, specs);
		ck_assert_msg(count > 0 || row->first_key == 0, "%s", row->name);
		for (j = 0; j < count; j++) {
			ck_assert_msg(
			    (specs[j].flags & 15) != 0 || specs[j].flags == KEYSPEC_NOT_KEY, "%s",
			    row->name);
			ck_assert_msg(
			    specs[j].find == KEYS_UNKNOWN ||
				(specs[j].begin > 0 &&
				    specs[j].numbers[specs[j].find == KEYS_RANGE ? 1 : 2] > 0),
			    "%s", row->name);
			ck_assert_msg(
			    specs[j].find != KEYS_UNKNOWN || (row->flags & CMD_MOVABLE_KEYS) != 0,
			    "%s", row->name);
		}
	}
}
END_TEST

int
main(void)
{
	return testing_main("acl/key_spec", NULL, NULL,
	    (const TTest *[]){a_range_reaches_from_its_beginning_to_the_last_key,
		a_number_says_how_many_keys_there_are, keys_may_begin_behind_a_word,
		arguments_that_make_no_sense_name_no_keys, what_only_names_a_shard_is_no_key,
		set_reads_the_key_only_with_get, sort_writes_to_the_last_store_that_is_an_option,
		notes_stand_behind_two_dashes, the_keys_of_every_command_can_be_read, NULL});
}
