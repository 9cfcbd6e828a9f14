#include "config.h"

#include "import/overdue.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

#define NOW 1000

static struct overdue overdue;
static struct buffer text;

static void
setup(void)
{
	overdue_init(&overdue, NOW);
	text = (struct buffer){0};
}

static void
teardown(void)
{
	overdue_release(&overdue);
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
	if (slice_is(argv[0], "SELECT"))
		command.part = IMPORT_DATABASE;
	overdue_follow(&overdue, &command);
	buffer_clear(&text);
	for (size_t i = 0; i < command.argc; i++)
		buffer_appendf(&text, "%s%.*s", i > 0 ? " " : "", (int)command.argv[i].len,
		    command.argv[i].ptr);
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, expected);
}

static void
note_key(void *arg, uint64_t database, struct slice key)
{
	(void)arg;
	buffer_appendf(&text, "%d:%.*s ", (int)database, (int)key.len, key.ptr);
}

/* At most one key, because they have no order. */
static void
assert_remembered(const char *expected)
{
	buffer_clear(&text);
	while (overdue_take(&overdue, 10, note_key, NULL))
		;
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, expected);
}

START_TEST(a_time_that_has_passed_is_replaced_and_its_key_remembered)
{
	assert_follows("SET k v PXAT 1000", "SET k v PXAT 86401000");
	assert_remembered("0:k ");
	assert_follows("SELECT 3", "SELECT 3");
	assert_follows("pexpireat k 1 nx", "pexpireat k 86401000 nx");
	assert_remembered("3:k ");
	assert_follows("set k v keepttl pxat 0", "set k v keepttl pxat 86401000");
	assert_remembered("3:k ");
}
END_TEST

START_TEST(other_commands_stay_as_they_are)
{
	assert_follows("SET k v PXAT 1001", "SET k v PXAT 1001");
	assert_follows("PEXPIREAT k 1001", "PEXPIREAT k 1001");
	assert_follows("PEXPIREAT k x", "PEXPIREAT k x");
	assert_follows("PEXPIREAT k", "PEXPIREAT k");
	assert_follows("SET PXAT 1", "SET PXAT 1");
	assert_follows("SET k v PXAT", "SET k v PXAT");
	assert_follows("RPUSH k PXAT 1", "RPUSH k PXAT 1");
	assert_remembered("");
}
END_TEST

START_TEST(removed_keys_are_forgotten)
{
	assert_follows("SET a v PXAT 1", "SET a v PXAT 86401000");
	assert_follows("SET b v PXAT 1", "SET b v PXAT 86401000");
	assert_follows("SET c v PXAT 1", "SET c v PXAT 86401000");
	assert_follows("DEL x b", "DEL x b");
	assert_follows("unlink c", "unlink c");
	assert_follows("SELECT 1", "SELECT 1");
	assert_follows("DEL a", "DEL a");
	assert_remembered("0:a ");
}
END_TEST

START_TEST(copies_are_remembered)
{
	assert_follows("SET a v PXAT 1", "SET a v PXAT 86401000");
	assert_follows("RENAME a b", "RENAME a b");
	assert_follows("COPY x y", "COPY x y");
	assert_follows("DEL a", "DEL a");
	assert_remembered("0:b ");
}
END_TEST

int
main(void)
{
	return testing_main("import/overdue", setup, teardown,
	    (const TTest *[]){a_time_that_has_passed_is_replaced_and_its_key_remembered,
		other_commands_stay_as_they_are, removed_keys_are_forgotten, copies_are_remembered,
		NULL});
}
