#include "config.h"

#include "cli/positions.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"

static char folder[32];
static char path[64];
static char news[] = "news", strange[] = "a b\n\xff";
static char *names[] = {news, strange};

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/fanfare-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
}

static void
teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0); /* so nothing else was left there */
}

static void
write_text(const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static struct positions *
open_file(void)
{
	struct buffer error = {0};
	struct positions *p = positions_open(path, names, 2, &error);

	ck_assert_msg(p != NULL, "%.*s", (int)error.len, error.ptr);
	return p;
}

static void
assert_since(const struct positions *p, size_t index, const char *expected)
{
	struct buffer text = {0};

	positions_put_since(p, index, &text);
	buffer_append(&text, "", 1);
	ck_assert_str_eq(text.ptr, expected);
	ck_assert_int_eq(positions_has(p, index), strcmp(expected, "$") != 0);
	buffer_release(&text);
}

static void
save(struct positions *p)
{
	struct buffer error = {0};

	ck_assert_msg(positions_save(p, &error), "%.*s", (int)error.len, error.ptr);
}

static void
assert_refused(const char *text)
{
	struct buffer error = {0}, expected = {0};

	write_text(text);
	ck_assert_msg(positions_open(path, names, 2, &error) == NULL, "%s", text);
	buffer_appendf(&expected, "%s is not a complete file of positions", path);
	ck_assert(slice_eq(buffer_slice(&error), buffer_slice(&expected)));
	buffer_release(&error);
	buffer_release(&expected);
}

START_TEST(without_a_file_there_is_no_position)
{
	struct positions *p = open_file();

	assert_since(p, 0, "$");
	save(p);
	ck_assert_int_ne(access(path, F_OK), 0);
	positions_free(p);
}
END_TEST

START_TEST(positions_come_back_with_their_names)
{
	struct positions *p = open_file();

	positions_set(p, 0, (struct position){7, 12});
	positions_set(p, 1, (struct position){7, UINT64_MAX});
	save(p);
	positions_free(p);
	p = open_file();
	assert_since(p, 0, "7-12");
	assert_since(p, 1, "7-18446744073709551615");
	positions_free(p);
}
END_TEST

START_TEST(a_message_moves_the_channels_that_are_behind_it)
{
	struct positions *p = open_file();

	positions_set(p, 0, (struct position){7, 12});
	positions_set(p, 1, (struct position){7, 30});
	positions_seen(p, (struct position){7, 20});
	assert_since(p, 0, "7-20");
	assert_since(p, 1, "7-30");
	save(p);
	positions_free(p);
	p = open_file();
	assert_since(p, 0, "7-20");
	assert_since(p, 1, "7-30");
	positions_free(p);
}
END_TEST

START_TEST(a_position_of_another_epoch_moves_nothing)
{
	struct positions *p = open_file();

	positions_set(p, 0, (struct position){7, 12});
	positions_seen(p, (struct position){8, 20});
	assert_since(p, 0, "7-12");
	assert_since(p, 1, "$");
	positions_set(p, 0, (struct position){8, 19});
	assert_since(p, 0, "8-20");
	positions_set(p, 0, (struct position){0, 0});
	assert_since(p, 0, "$");
	positions_free(p);
}
END_TEST

START_TEST(other_names_of_the_file_are_forgotten)
{
	struct positions *p;

	write_text("fanfare positions 1\n5-1 other\n5-2 news\n");
	p = open_file();
	assert_since(p, 0, "5-2");
	assert_since(p, 1, "$");
	positions_free(p);
}
END_TEST

START_TEST(a_file_that_is_not_complete_is_refused)
{
	assert_refused("");
	assert_refused("fanfare positions 1");
	assert_refused("fanfare positions 2\n");
	assert_refused("fanfare positions 1\n5-2 news");
	assert_refused("fanfare positions 1\n5-2\n");
	assert_refused("fanfare positions 1\n5 news\n");
	assert_refused("fanfare positions 1\n0-2 news\n");
	assert_refused("fanfare positions 1\n5-x news\n");
	assert_refused("fanfare positions 1\n5-18446744073709551616 news\n");
	assert_refused("fanfare positions 1\n\n");
	assert_refused("5-2 news\n");
}
END_TEST

START_TEST(what_cannot_be_read_or_written_is_an_error_and_the_file_stays)
{
	struct buffer error = {0};
	char inside[80];
	struct positions *p;

	snprintf(inside, sizeof(inside), "%s/none/file", folder);
	p = positions_open(inside, names, 2, &error);
	ck_assert_ptr_nonnull(p);
	positions_set(p, 0, (struct position){7, 12});
	ck_assert(!positions_save(p, &error));
	ck_assert_ptr_nonnull(memmem(error.ptr, error.len, "cannot write ", 13));
	positions_free(p);
	buffer_clear(&error);
	ck_assert(positions_open(folder, names, 2, &error) == NULL);
	ck_assert_ptr_nonnull(memmem(error.ptr, error.len, "cannot read ", 12));
	buffer_release(&error);
}
END_TEST

int
main(void)
{
	return testing_main("cli/positions", setup, teardown,
	    (const TTest *[]){without_a_file_there_is_no_position,
		positions_come_back_with_their_names,
		a_message_moves_the_channels_that_are_behind_it,
		a_position_of_another_epoch_moves_nothing, other_names_of_the_file_are_forgotten,
		a_file_that_is_not_complete_is_refused,
		what_cannot_be_read_or_written_is_an_error_and_the_file_stays, NULL});
}
