#include "config.h"

#include "app/config_file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/testing_settings.h"
#include "base/alloc.h"
#include "base/testing.h"

static struct config_words words;
static struct buffer seen, error;
static char folder[] = "/tmp/fanfare-test-XXXXXX";

static void
setup(void)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
	char *command = xasprintf("rm -r %s", folder);

	ck_assert_int_eq(system(command), 0);
	xfree(command);
	config_words_release(&words);
	buffer_release(&seen);
	buffer_release(&error);
}

/* The words of a line, each in brackets, or "unbalanced" if its quotes are. */
static const char *
split(const char *line)
{
	size_t i;

	buffer_clear(&seen);
	if (!config_split(slice_of(line), &words))
		return "unbalanced";
	for (i = 0; i < words.count; i++) {
		buffer_append_str(&seen, "[");
		buffer_append_escaped(&seen, words.words[i]);
		buffer_append_str(&seen, "]");
	}
	return testing_text(&seen);
}

/* Appends each directive to the buffer arg; refuses "bad". */
static bool
note(void *arg, struct slice name, const struct slice *values, size_t count, struct buffer *text)
{
	struct buffer *to = arg;

	if (slice_is(name, "bad")) {
		buffer_append_str(text, "that is bad");
		return false;
	}
	buffer_append_slice(to, name);
	for (size_t i = 0; i < count; i++) {
		buffer_append_str(to, ",");
		buffer_append_slice(to, values[i]);
	}
	buffer_append_str(to, ";");
	return true;
}

static bool
read_text(const char *text)
{
	buffer_clear(&seen);
	buffer_clear(&error);
	return config_read_bytes(slice_of(text), "x.conf", CONFIG_NO_INCLUDE, note, &seen, &error);
}

static void
write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	xfree(path);
}

static void
append_nul(const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "a");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fputc('\0', file), 0);
	fclose(file);
	xfree(path);
}

static bool
read_file(const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	bool ok;

	buffer_clear(&seen);
	buffer_clear(&error);
	ok = config_read_file(path, note, &seen, &error);
	xfree(path);
	return ok;
}

/* The error without the folder that it begins with. */
static const char *
error_in_folder(void)
{
	const char *text = testing_text(&error);

	ck_assert_msg(strncmp(text, folder, strlen(folder)) == 0, "%s", text);
	return text + strlen(folder) + 1;
}

START_TEST(words_end_at_blanks)
{
	ck_assert_str_eq(split("a bc\t d\r"), "[a][bc][d]");
	ck_assert_str_eq(split("   "), "");
	ck_assert_str_eq(split(""), "");
}
END_TEST

START_TEST(double_quotes_know_escapes)
{
	ck_assert_str_eq(split("\"a b\""), "[a b]");
	ck_assert_str_eq(
	    split("\"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\""), "[A\\n\\r\\t\\b\\a\\\\\\\"q]");
	ck_assert_str_eq(split("\"\\xZZ\\x4\""), "[xZZx4]");
	ck_assert_str_eq(split("\"\""), "[]");
	ck_assert_str_eq(split("pre\"fix\""), "[prefix]");
}
END_TEST

START_TEST(single_quotes_know_one_escape)
{
	ck_assert_str_eq(split("'a \\n \\' b'"), "[a \\\\n ' b]");
	ck_assert_str_eq(split("''"), "[]");
	ck_assert_str_eq(split("'\"'"), "[\\\"]");
}
END_TEST

START_TEST(a_quote_must_close_before_a_blank_or_the_end)
{
	ck_assert_str_eq(split("\"a"), "unbalanced");
	ck_assert_str_eq(split("'a"), "unbalanced");
	ck_assert_str_eq(split("\"a\"b"), "unbalanced");
	ck_assert_str_eq(split("'a'b"), "unbalanced");
	ck_assert_str_eq(split("\"a\\"), "unbalanced");
	ck_assert_str_eq(split("\"a\\\""), "unbalanced");
	ck_assert_str_eq(split("\""), "unbalanced");
}
END_TEST

START_TEST(a_backslash_outside_of_quotes_is_itself)
{
	ck_assert_str_eq(split("a\\ b"), "[a\\\\][b]");
}
END_TEST

START_TEST(a_long_line_splits_in_one_piece_each)
{
	char *line = xmalloc(200001);
	size_t i;

	for (i = 0; i < 200000; i++)
		line[i] = i % 2 == 0 ? 'x' : ' ';
	line[200000] = '\0';
	ck_assert(config_split(slice_of(line), &words));
	ck_assert_uint_eq(words.count, 100000);
	for (i = 0; i < words.count; i++)
		ck_assert(slice_is(words.words[i], "x"));
	xfree(line);
}
END_TEST

START_TEST(comments_and_blank_lines_are_passed_over)
{
	ck_assert(read_text("# one\n\n  # two\n a 1 2\r\n\r\n\tb \"#\"\nc"));
	ck_assert_str_eq(testing_text(&seen), "a,1,2;b,#;c;");
}
END_TEST

START_TEST(an_error_says_file_and_line)
{
	ck_assert(!read_text("a\n# c\nbad 1\nz\n"));
	ck_assert_str_eq(testing_text(&error), "x.conf:3: that is bad");
	ck_assert_str_eq(testing_text(&seen), "a;");
	ck_assert(!read_text("\n\"a"));
	ck_assert_str_eq(testing_text(&error),
	    "x.conf:2: unbalanced quotes: a quote is closed before a blank or the line's end");
}
END_TEST

START_TEST(a_nul_byte_is_an_error)
{
	ck_assert(!config_read_bytes(
	    SLICE("a\nb\0c\n"), "x.conf", CONFIG_NO_INCLUDE, note, &seen, &error));
	ck_assert_str_eq(testing_text(&error), "x.conf:2: a NUL byte: a configuration is text");
}
END_TEST

START_TEST(include_is_refused_where_there_is_no_file)
{
	ck_assert(!read_text("INCLUDE /etc/passwd\n"));
	ck_assert_str_eq(testing_text(&error), "x.conf:1: include is not allowed here");
}
END_TEST

START_TEST(an_included_file_is_found_beside_the_one_that_names_it)
{
	char *inner = xasprintf("%s/sub", folder);

	ck_assert_int_eq(mkdir(inner, 0700), 0);
	write_file("main.conf", "a\ninclude sub/one.conf\nd\n");
	write_file("sub/one.conf", "b\ninclude two.conf\n");
	write_file("sub/two.conf", "c");
	ck_assert(read_file("main.conf"));
	ck_assert_str_eq(testing_text(&seen), "a;b;c;d;");
	xfree(inner);
}
END_TEST

START_TEST(an_error_in_an_included_file_names_that_file)
{
	write_file("main.conf", "include \"one.conf\"\n");
	write_file("one.conf", "a\nbad\n");
	ck_assert(!read_file("main.conf"));
	ck_assert_str_eq(error_in_folder(), "one.conf:2: that is bad");
}
END_TEST

START_TEST(an_included_file_that_is_missing_is_an_error_where_it_is_named)
{
	char *expected =
	    xasprintf("main.conf:2: include %s/none.conf: No such file or directory", folder);

	write_file("main.conf", "a\ninclude none.conf\n");
	ck_assert(!read_file("main.conf"));
	ck_assert_str_eq(error_in_folder(), expected);
	write_file("main.conf", "include a b\n");
	ck_assert(!read_file("main.conf"));
	ck_assert_str_eq(
	    error_in_folder(), "main.conf:1: include takes one value: the path of a file");
	xfree(expected);
}
END_TEST

START_TEST(a_file_that_includes_itself_is_an_error)
{
	write_file("main.conf", "include main.conf\n");
	ck_assert(!read_file("main.conf"));
	ck_assert_str_eq(error_in_folder(),
	    "main.conf:1: include goes too deep: allowed are 16 levels and 256 files in all");
	write_file("twice.conf", "include leaf.conf\ninclude leaf.conf\n");
	write_file("leaf.conf", "a\n");
	ck_assert(read_file("twice.conf"));
}
END_TEST

START_TEST(a_pattern_includes_all_files_that_match_in_order)
{
	char *inner = xasprintf("%s/[x]*", folder);

	ck_assert_int_eq(mkdir(inner, 0700), 0);
	write_file("[x]*/20.conf", "b\n");
	write_file("[x]*/10.conf", "a\n");
	write_file("[x]*/10.other", "bad\n");
	write_file("[x]*/main.cnf", "include *.conf\ninclude none*.conf\nc\n");
	ck_assert(read_file("[x]*/main.cnf"));
	ck_assert_str_eq(testing_text(&seen), "a;b;c;");
	write_file("[x]*/30.conf", "bad\ninclude ?.conf\n");
	write_file("[x]*/40.conf", "d\n");
	ck_assert(!read_file("[x]*/main.cnf"));
	ck_assert_str_eq(testing_text(&seen), "a;b;d;c;");
	ck_assert_str_eq(error_in_folder() + strlen("[x]*/"), "30.conf:1: that is bad");
	xfree(inner);
}
END_TEST

START_TEST(a_folder_that_a_pattern_matches_is_an_error)
{
	char *expected, *inner = xasprintf("%s/a.conf", folder);

	ck_assert_int_eq(mkdir(inner, 0700), 0);
	write_file("main.cnf", "include *.conf\n");
	ck_assert(!read_file("main.cnf"));
	expected = xasprintf("main.cnf:1: include %s: Is a directory", inner);
	ck_assert_str_eq(error_in_folder(), expected);
	xfree(expected);
	xfree(inner);
}
END_TEST

/* The number of lines, and that each begins with the folder's path. */
static int
count_error_lines(void)
{
	struct slice rest = buffer_slice(&error), line;
	int count = 0;

	for (; config_next_line(&rest, &line); count++)
		ck_assert(
		    line.len > strlen(folder) && memcmp(line.ptr, folder, strlen(folder)) == 0);
	return count;
}

START_TEST(a_file_is_read_to_its_end_for_the_other_mistakes)
{
	char *expected = xasprintf("%s/main.conf:1: that is bad\n"
				   "%s/one.conf:2: a NUL byte: a configuration is text\n"
				   "%s/main.conf:4: unbalanced quotes: a quote is closed before a "
				   "blank or the line's end",
	    folder, folder, folder);

	write_file("main.conf", "bad\na\ninclude one.conf\n\"b\nc\n");
	write_file("one.conf", "d\n");
	append_nul("one.conf");
	ck_assert(!read_file("main.conf"));
	ck_assert_str_eq(testing_text(&error), expected);
	ck_assert_str_eq(testing_text(&seen), "a;d;c;");
	xfree(expected);
}
END_TEST

START_TEST(the_list_of_mistakes_is_bounded)
{
	struct buffer text = {0};

	for (int i = 0; i < CONFIG_MISTAKES_MAX - 1; i++)
		buffer_append_str(&text, "bad\n");
	buffer_append_str(&text, "a\n");
	write_file("main.conf", testing_text(&text));
	ck_assert(!read_file("main.conf"));
	ck_assert_int_eq(count_error_lines(), CONFIG_MISTAKES_MAX - 1);
	write_file("more.conf", "include main.conf\ninclude main.conf\nb\n");
	ck_assert(!read_file("more.conf"));
	ck_assert_str_eq(testing_text(&seen), "a;");
	ck_assert(strstr(testing_text(&error), "\nreading stopped after 50 mistakes") != NULL);
	buffer_release(&text);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
	ck_assert(!read_file("none.conf"));
	ck_assert_str_eq(error_in_folder(), "none.conf: No such file or directory");
	ck_assert(!read_file("."));
	ck_assert_str_eq(error_in_folder(), ".: Is a directory");
}
END_TEST

int
main(void)
{
	return testing_main("app/config_file", setup, teardown,
	    (const TTest *[]){words_end_at_blanks, double_quotes_know_escapes,
		single_quotes_know_one_escape, a_quote_must_close_before_a_blank_or_the_end,
		a_backslash_outside_of_quotes_is_itself, a_long_line_splits_in_one_piece_each,
		comments_and_blank_lines_are_passed_over, an_error_says_file_and_line,
		a_nul_byte_is_an_error, include_is_refused_where_there_is_no_file,
		an_included_file_is_found_beside_the_one_that_names_it,
		an_error_in_an_included_file_names_that_file,
		an_included_file_that_is_missing_is_an_error_where_it_is_named,
		a_file_that_includes_itself_is_an_error,
		a_pattern_includes_all_files_that_match_in_order,
		a_folder_that_a_pattern_matches_is_an_error,
		a_file_is_read_to_its_end_for_the_other_mistakes, the_list_of_mistakes_is_bounded,
		a_file_that_cannot_be_read_says_why, NULL});
}
