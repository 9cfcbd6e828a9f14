#include "config.h"

#include "server/slowlog.h"

#include <string.h>

#include <check.h>

#include "base/testing.h"

static struct slowlog *slowlog;

static void
setup(void)
{
	slowlog = slowlog_new();
}

static void
teardown(void)
{
	slowlog_free(slowlog);
}

static void
add(size_t max_len, uint64_t duration_us, const struct slice *argv, size_t argc)
{
	slowlog_add(slowlog, max_len, 1700000000, duration_us, argv, argc, "1.2.3.4:5", "me");
}

static struct slice
arg(const struct slowlog_entry *entry, size_t i)
{
	return (struct slice){entry->argv[i], entry->argv_len[i]};
}

START_TEST(an_entry_holds_what_was_given)
{
	const struct slice argv[] = {SLICE("echo"), {"a\0b", 3}, SLICE("")};
	const struct slowlog_entry *entry;

	add(10, 77, argv, 3);
	entry = slowlog_get(slowlog, 0);
	ck_assert_uint_eq(entry->id, 0);
	ck_assert_uint_eq(entry->time_s, 1700000000);
	ck_assert_uint_eq(entry->duration_us, 77);
	ck_assert_uint_eq(entry->argc, 3);
	ck_assert(slice_eq(arg(entry, 1), argv[1]));
	ck_assert_uint_eq(entry->argv_len[2], 0);
	ck_assert_str_eq(entry->address, "1.2.3.4:5");
	ck_assert_str_eq(entry->name, "me");
	ck_assert_ptr_null(slowlog_get(slowlog, 1));
}
END_TEST

START_TEST(the_newest_comes_first_and_the_oldest_goes)
{
	for (uint64_t i = 0; i < 100; i++)
		add(20, i, NULL, 0);
	ck_assert_uint_eq(slowlog_len(slowlog), 20);
	for (size_t i = 0; i < 20; i++) {
		ck_assert_uint_eq(slowlog_get(slowlog, i)->duration_us, 99 - i);
		ck_assert_uint_eq(slowlog_get(slowlog, i)->id, 99 - i);
	}
}
END_TEST

START_TEST(an_argument_of_129_bytes_is_cut_and_one_of_128_is_not)
{
	char xs[129];
	const struct slice argv[] = {{xs, 128}, {xs, 129}};
	const struct slowlog_entry *entry;

	memset(xs, 'x', sizeof(xs));
	add(10, 1, argv, 2);
	entry = slowlog_get(slowlog, 0);
	ck_assert(slice_eq(arg(entry, 0), argv[0]));
	ck_assert_uint_eq(entry->argv_len[1], 128 + strlen("... (1 more bytes)"));
	ck_assert_mem_eq(entry->argv[1] + 128, "... (1 more bytes)", 18);
}
END_TEST

START_TEST(of_33_arguments_31_are_kept_and_a_note_and_of_32_all)
{
	struct slice argv[33];

	for (size_t i = 0; i < 33; i++)
		argv[i] = SLICE("a");
	add(10, 1, argv, 32);
	ck_assert_uint_eq(slowlog_get(slowlog, 0)->argc, 32);
	ck_assert(slice_is(arg(slowlog_get(slowlog, 0), 31), "a"));
	add(10, 1, argv, 33);
	ck_assert_uint_eq(slowlog_get(slowlog, 0)->argc, 32);
	ck_assert(slice_is(arg(slowlog_get(slowlog, 0), 30), "a"));
	ck_assert(slice_is(arg(slowlog_get(slowlog, 0), 31), "... (2 more arguments)"));
}
END_TEST

START_TEST(reset_empties_it_and_ids_go_on)
{
	add(10, 1, NULL, 0);
	add(10, 1, NULL, 0);
	slowlog_reset(slowlog);
	ck_assert_uint_eq(slowlog_len(slowlog), 0);
	ck_assert_ptr_null(slowlog_get(slowlog, 0));
	add(10, 1, NULL, 0);
	ck_assert_uint_eq(slowlog_get(slowlog, 0)->id, 2);
}
END_TEST

START_TEST(a_smaller_limit_is_reached_and_none_keeps_nothing_new)
{
	for (int i = 0; i < 1000; i++)
		add(1000, 1, NULL, 0);
	for (int i = 0; i < 20; i++)
		add(5, 2, NULL, 0);
	ck_assert_uint_eq(slowlog_len(slowlog), 5);
	ck_assert_uint_eq(slowlog_get(slowlog, 4)->duration_us, 2);
	add(0, 3, NULL, 0);
	ck_assert_uint_eq(slowlog_len(slowlog), 0);
}
END_TEST

int
main(void)
{
	return testing_main("server/slowlog", setup, teardown,
	    (const TTest *[]){an_entry_holds_what_was_given,
		the_newest_comes_first_and_the_oldest_goes,
		an_argument_of_129_bytes_is_cut_and_one_of_128_is_not,
		of_33_arguments_31_are_kept_and_a_note_and_of_32_all,
		reset_empties_it_and_ids_go_on,
		a_smaller_limit_is_reached_and_none_keeps_nothing_new, NULL});
}
