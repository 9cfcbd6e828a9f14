#include "config.h"

#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/testing.h"

static char folder[32];
static char path[64];
static char text[16384]; /* what a file held */

static void
setup(void)
{
	strcpy(folder, "log_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	ck_assert(log_open(
	    &(struct log_config){.level = LOG_LEVEL_INFO, .sink = LOG_TO_FILE, .file = path}));
}

static void
teardown(void)
{
	ck_assert(log_open(&(struct log_config){.level = LOG_LEVEL_NONE, .sink = LOG_TO_STDERR}));
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static const char *
content(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[len > 0 ? len : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static bool
matches(const char *str, const char *pattern)
{
	regex_t regex;
	bool is_match;

	ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	is_match = regexec(&regex, str, 0, NULL, 0) == 0;
	regfree(&regex);
	return is_match;
}

START_TEST(a_line_has_time_process_level_and_text)
{
	char pattern[160];

	log_warn("client %d: %s", 7, "gone");
	snprintf(pattern, sizeof(pattern),
	    "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z \\[%ld\\] "
	    "warn: client 7: gone\n$",
	    (long)getpid());
	ck_assert_msg(matches(content(path), pattern), "%s", text);
}
END_TEST

START_TEST(lines_below_the_level_are_not_written)
{
	log_debug("d");
	log_info("i");
	ck_assert(matches(content(path), "info: i\n$"));
	ck_assert(!matches(text, "debug"));
	log_set_level(LOG_LEVEL_WARN);
	log_info("hidden");
	log_notice("hidden");
	log_error("e");
	ck_assert(matches(content(path), "info: i\n.*error: e\n$"));
	log_set_level(LOG_LEVEL_NONE);
	log_error("hidden");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d");
	log_notice("n");
	ck_assert(matches(content(path), "error: e\n[^\n]*debug: d\n[^\n]*notice: n\n$"));
}
END_TEST

START_TEST(a_long_line_is_cut_and_says_so)
{
	static char word[10000];

	memset(word, 'w', sizeof(word) - 1);
	log_error("%s", word);
	log_error("next");
	content(path);
	ck_assert_uint_eq(strcspn(text, "\n"), 4095);
	ck_assert(matches(text, "www\\.\\.\\.\n[^\n]*error: next\n$"));
}
END_TEST

START_TEST(a_line_that_just_fits_is_whole)
{
	static char word[4096];
	size_t prefix;

	log_error("%s", "");
	prefix = strlen(content(path)) - 1;
	ck_assert_int_eq(truncate(path, 0), 0);
	memset(word, 'w', 4095 - prefix);
	log_error("%s", word);
	ck_assert_uint_eq(strlen(content(path)), 4096);
	ck_assert(matches(text, "www\n$"));
}
END_TEST

START_TEST(control_bytes_never_make_a_second_line)
{
	log_warn("name %s", "a\nfake\r\x1b[0m\x7f");
	ck_assert(matches(content(path), "warn: name a\\?fake\\?\\?\\[0m\\?\n$"));
}
END_TEST

START_TEST(reopening_follows_a_file_that_was_rotated_away)
{
	char rotated[80];

	snprintf(rotated, sizeof(rotated), "%s.1", path);
	log_info("before");
	ck_assert_int_eq(rename(path, rotated), 0);
	log_info("between");
	ck_assert(log_reopen());
	log_info("after");
	ck_assert(matches(content(rotated), "before\n.*between\n$"));
	ck_assert(matches(content(path), "^[^\n]*info: after\n$"));
	unlink(rotated);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_leaves_the_old_sink)
{
	errno = 0;
	ck_assert(!log_open(&(struct log_config){
	    .level = LOG_LEVEL_DEBUG, .sink = LOG_TO_FILE, .file = "no/such/folder/log"}));
	ck_assert_int_eq(errno, ENOENT);
	log_info("still here");
	ck_assert(matches(content(path), "still here\n$"));
}
END_TEST

START_TEST(a_line_is_appended_to_what_the_file_had)
{
	log_info("one");
	ck_assert(log_open(
	    &(struct log_config){.level = LOG_LEVEL_INFO, .sink = LOG_TO_FILE, .file = path}));
	log_info("two");
	ck_assert(matches(content(path), "one\n.*two\n$"));
}
END_TEST

START_TEST(errno_survives_a_line_and_can_be_shown)
{
	errno = ENOENT;
	log_info("open: %m");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert(matches(content(path), "open: No such file or directory\n$"));
}
END_TEST

START_TEST(stderr_is_written_to_when_it_is_the_sink)
{
	int saved = dup(STDERR_FILENO);
	int pipe_fds[2];
	char line[256] = "";

	ck_assert_int_eq(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	ck_assert(log_open(&(struct log_config){.level = LOG_LEVEL_INFO, .sink = LOG_TO_STDERR}));
	log_info("to stderr");
	dup2(saved, STDERR_FILENO);
	ck_assert_int_gt(read(pipe_fds[0], line, sizeof(line) - 1), 0);
	ck_assert(matches(line, "info: to stderr\n$"));
	ck_assert_str_eq(content(path), "");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(saved);
}
END_TEST

START_TEST(syslog_takes_the_lines_away_from_the_file)
{
	char ident[] = "fanfare-test";

	ck_assert(log_open(&(struct log_config){.level = LOG_LEVEL_ERROR,
	    .sink = LOG_TO_SYSLOG,
	    .syslog_ident = ident,
	    .syslog_facility = LOG_LOCAL0}));
	memset(ident, 'x', sizeof(ident) - 1);
	log_error("a line of the test suite");
	ck_assert(log_reopen());
	ck_assert_str_eq(content(path), "");
}
END_TEST

int
main(void)
{
	return testing_main("base/log", setup, teardown,
	    (const TTest *[]){a_line_has_time_process_level_and_text,
		lines_below_the_level_are_not_written, a_long_line_is_cut_and_says_so,
		a_line_that_just_fits_is_whole, control_bytes_never_make_a_second_line,
		reopening_follows_a_file_that_was_rotated_away,
		a_file_that_cannot_be_opened_leaves_the_old_sink,
		a_line_is_appended_to_what_the_file_had, errno_survives_a_line_and_can_be_shown,
		stderr_is_written_to_when_it_is_the_sink, syslog_takes_the_lines_away_from_the_file,
		NULL});
}
