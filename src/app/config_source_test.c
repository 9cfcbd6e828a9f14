#include "config.h"

#include "app/config_source.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config_file.h"
#include "base/alloc.h"
#include "base/testing.h"

static struct config_source source;
static struct settings s;
static struct buffer error;
static char *copies[16];

static void
teardown(void)
{
	config_source_release(&source);
	buffer_release(&error);
	for (size_t i = 0; i < 16; i++) {
		xfree(copies[i]);
		copies[i] = NULL;
	}
}

/* A command line, behind the name of the program. */
static bool
parse(const char *const *words)
{
	int argc = 1;

	teardown();
	copies[0] = xstrdup("fanfared");
	for (; *words != NULL; words++)
		copies[argc++] = xstrdup(*words);
	return config_source_parse(&source, argc, copies, &error);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static const char *
error_text(void)
{
	buffer_append(&error, "", 1);
	return error.ptr;
}

static const char *
load_error(void)
{
	ck_assert(!config_source_load(&source, &s, &error));
	return error_text();
}

START_TEST(a_directive_takes_the_words_up_to_the_next)
{
	ck_assert(PARSE("--port", "7000", "--bind", "127.0.0.1", "-::1", "--REQUIREPASS", "",
	    "--slowlog-log-slower-than", "-1"));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_int_eq(s.server.port, 7000);
	ck_assert_uint_eq(s.bind.count, 2);
	ck_assert_str_eq(s.bind.items[1], "-::1");
	ck_assert_str_eq(s.server.requirepass, "");
	ck_assert_int_eq(s.server.slowlog_slower_than_us, -1);
	settings_release(&s);
}
END_TEST

START_TEST(several_values_may_come_in_one_word)
{
	ck_assert(PARSE("--client-output-buffer-limit", "pubsub 1mb 2mb 3", "--bind", "::1 *"));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.server.buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes, 1 << 20);
	ck_assert_uint_eq(s.bind.count, 2);
	settings_release(&s);
}
END_TEST

START_TEST(a_directive_may_come_in_one_word_with_its_values)
{
	ck_assert(PARSE("--maxmemory 100mb", "--port '7000'", "--bind 127.0.0.1", "::1",
	    "--requirepass \"a b\"", "--save ''", "--save 60 1", "--timeout\t5 "));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_int_eq(s.server.maxmemory_bytes, 100 << 20);
	ck_assert_int_eq(s.server.port, 7000);
	ck_assert_uint_eq(s.bind.count, 2);
	ck_assert_str_eq(s.server.requirepass, "a b");
	ck_assert_uint_eq(s.disk.save.count, 2);
	ck_assert_int_eq(s.server.timeout_s, 5);
	settings_release(&s);
	ck_assert(!PARSE("--maxmemry 7000"));
	ck_assert_str_eq(error_text(), "unknown directive 'maxmemry': did you mean maxmemory?");
	ck_assert(!PARSE("--port '7000"));
	ck_assert_str_eq(error_text(),
	    "--port '7000: unbalanced quotes: a quote is closed before a blank or the "
	    "word's end");
	ck_assert(!PARSE("-- "));
	ck_assert_str_eq(
	    error_text(), "unknown directive ' ': allowed are those of fanfared.conf(5)");
}
END_TEST

START_TEST(the_file_comes_by_option_or_first)
{
	ck_assert(PARSE("x.conf", "--port", "1"));
	ck_assert_str_eq(source.file, "x.conf");
	ck_assert(PARSE("--port", "1", "-c", "y.conf"));
	ck_assert_str_eq(source.file, "y.conf");
	ck_assert_uint_eq(source.overrides[0].count, 1);
}
END_TEST

START_TEST(two_files_and_unknown_options_are_errors)
{
	ck_assert(!PARSE("x.conf", "-c", "y.conf"));
	ck_assert_str_eq(
	    error_text(), "y.conf: one configuration file is allowed, and x.conf was given before");
	ck_assert(!PARSE("-x"));
	ck_assert_str_eq(error_text(), "unknown option '-x'");
	ck_assert(!PARSE("-c"));
	ck_assert_str_eq(error_text(), "-c takes one value: the path of a configuration file");
}
END_TEST

START_TEST(an_unknown_directive_is_an_error_of_the_command_line)
{
	ck_assert(!PARSE("--vm-enabled", "yes"));
	ck_assert_str_eq(
	    error_text(), "unknown directive 'vm-enabled': allowed are those of fanfared.conf(5)");
	ck_assert(!PARSE("--port", "1", "--port=2"));
	ck_assert_str_eq(
	    error_text(), "unknown directive 'port=2': allowed are those of fanfared.conf(5)");
	ck_assert(!PARSE("--\n"));
	ck_assert_str_eq(
	    error_text(), "unknown directive '\\n': allowed are those of fanfared.conf(5)");
}
END_TEST

START_TEST(modes_stand_anywhere)
{
	ck_assert(PARSE("--port", "1", "--check-config", "x.conf"));
	ck_assert_int_eq(source.mode, CONFIG_MODE_CHECK);
	ck_assert_str_eq(source.file, "x.conf");
	ck_assert(PARSE("-v"));
	ck_assert_int_eq(source.mode, CONFIG_MODE_VERSION);
	ck_assert(PARSE("--show-config"));
	ck_assert_int_eq(source.mode, CONFIG_MODE_SHOW);
	ck_assert(PARSE("--help"));
	ck_assert_int_eq(source.mode, CONFIG_MODE_HELP);
}
END_TEST

START_TEST(an_error_names_the_directive)
{
	ck_assert(PARSE("--port", "x"));
	ck_assert_str_eq(load_error(), "--port: 'x' is no value for port: allowed is 0 to 65535");
	ck_assert(PARSE("--port"));
	ck_assert_str_eq(
	    load_error(), "--port: port takes one value, not 0: allowed is 0 to 65535");
	ck_assert(PARSE("-c", "/nonexistent/x.conf"));
	ck_assert_str_eq(load_error(), "/nonexistent/x.conf: No such file or directory");
}
END_TEST

START_TEST(a_user_of_the_command_line_stands_above_the_files)
{
	char path[] = "/tmp/fanfare-test-XXXXXX";
	static const char text[] = "user alice off\nuser bob off\n";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	ck_assert(PARSE("-c", path, "--user", "alice", "on", "nopass"));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.users.count, 2);
	ck_assert_str_eq(s.users.items[0], "bob off");
	ck_assert_str_eq(s.users.items[1], "alice on nopass");
	settings_release(&s);
	ck_assert(PARSE("--user", "alice", "on", "--user", "alice", "off"));
	ck_assert_str_eq(load_error(), "--user: Duplicate user found. A user can only be defined "
				       "once in config files");
	unlink(path);
}
END_TEST

START_TEST(save_rules_of_the_command_line_replace_those_of_the_file)
{
	char path[] = "/tmp/fanfare-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "save 900 1\nsave 300 10\n", 23), 23);
	close(fd);
	ck_assert(PARSE(path));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.disk.save.count, 4);
	settings_release(&s);
	config_source_release(&source);
	ck_assert(PARSE(path, "--save", "60", "1", "--save", "30", "2"));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.disk.save.count, 4);
	ck_assert_str_eq(s.disk.save.items[0], "60");
	ck_assert_str_eq(s.disk.save.items[3], "2");
	settings_release(&s);
	config_source_release(&source);
	ck_assert(PARSE(path, "--save", "--port", "1"));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.disk.save.count, 0);
	settings_release(&s);
	config_source_release(&source);
	ck_assert(PARSE(path, "--save", ""));
	ck_assert(config_source_load(&source, &s, &error));
	ck_assert_uint_eq(s.disk.save.count, 0);
	settings_release(&s);
	unlink(path);
}
END_TEST

START_TEST(all_mistakes_are_listed)
{
	ck_assert(PARSE("--port", "x", "--hz", "y", "--timeout", "5", "--loadmodule", "a",
	    "--sse-retry-min", "6000", "--edge-user", "default"));
	ck_assert(!config_source_load(&source, &s, &error));
	ck_assert_str_eq(error_text(),
	    "--port: 'x' is no value for port: allowed is 0 to 65535\n"
	    "--hz: 'y' is no value for hz: allowed is 0 to 2147483647\n"
	    "--loadmodule: loadmodule 'a' is refused: modules cannot be loaded; remove the line\n"
	    "sse-retry-max 5000 is below sse-retry-min 6000\n"
	    "edge-user: the user default is that of Redis clients");
}
END_TEST

START_TEST(a_channel_line_of_the_command_line_replaces_the_one_of_the_file)
{
	char path[] = "/tmp/fanfare-test-XXXXXX";
	static const char text[] = "channel a* max-message 10\nchannel b max-message 20\n";
	struct buffer written = {0};
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	ck_assert(PARSE("-c", path, "--channel", "a*", "publish-rate", "5", "--channel", "c",
	    "max-message", "1kb"));
	ck_assert(config_source_load(&source, &s, &error));
	settings_write(&s, settings_find(SLICE("channel")), &written);
	buffer_append(&written, "", 1);
	ck_assert_str_eq(written.ptr,
	    "channel b max-message 20\nchannel a* publish-rate 5\nchannel c max-message 1kb");
	buffer_release(&written);
	settings_release(&s);
	ck_assert(
	    PARSE("--channel", "a", "max-message", "1", "--channel", "a", "max-message", "2"));
	ck_assert_str_eq(load_error(), "--channel: more than one channel line with glob 'a'");
	ck_assert(PARSE("--channel"));
	ck_assert_str_eq(load_error(), "--channel: a line is 'channel GLOB option value ...'");
	unlink(path);
}
END_TEST

/* "#port 6379", and no blank behind the #: a default. Everything else is a comment or blank. */
static void
check_default(struct slice line, bool *named)
{
	struct config_words words = {0};
	const struct setting *row;
	struct settings initial;

	ck_assert(config_split((struct slice){line.ptr + 1, line.len - 1}, &words));
	row = settings_find(words.words[0]);
	ck_assert_msg(row != NULL, "%.*s", (int)line.len, line.ptr);
	settings_init(&s);
	settings_init(&initial);
	ck_assert_int_eq(settings_set(&s, row, words.words + 1, words.count - 1), SETTING_OK);
	ck_assert_msg(settings_equal(&s, &initial, row), "%s", row->name);
	named[row - settings_row(0)] = true;
	settings_release(&initial);
	settings_release(&s);
	config_words_release(&words);
}

START_TEST(the_annotated_example_has_each_directive_with_its_default)
{
	static const char path[] = TOP_SRCDIR "/examples/fanfared.conf";
	bool *named = xcalloc(settings_count(), sizeof(*named));
	struct buffer text = {0};
	struct slice rest, line;

	ck_assert_msg(config_slurp(path, &text), "%s", path);
	rest = buffer_slice(&text);
	while (config_next_line(&rest, &line))
		if (line.len > 1 && line.ptr[0] == '#' && line.ptr[1] >= 'a' && line.ptr[1] <= 'z')
			check_default(line, named);
	for (size_t i = 0; i < settings_count(); i++)
		ck_assert_msg(named[i] == (settings_row(i)->class == SETTING_OWN), "%s",
		    settings_row(i)->name);
	ck_assert(PARSE("-c", path));
	ck_assert(config_source_load(&source, &s, &error));
	settings_release(&s);
	buffer_release(&text);
	xfree(named);
}
END_TEST

START_TEST(an_import_takes_one_path)
{
	ck_assert(PARSE("--port", "7000", "--import", "/var/lib/redis", "--bind", "::1"));
	ck_assert_str_eq(source.import, "/var/lib/redis");
	ck_assert_uint_eq(source.override_count, 2);
	ck_assert(!PARSE("--import"));
	ck_assert_str_eq(error_text(), "--import takes one value: a file or folder of Redis");
	ck_assert(!PARSE("--import", ""));
	ck_assert(PARSE("--port", "7000"));
	ck_assert_ptr_null(source.import);
}
END_TEST

int
main(void)
{
	return testing_main("app/config_source", NULL, teardown,
	    (const TTest *[]){a_directive_takes_the_words_up_to_the_next,
		several_values_may_come_in_one_word,
		a_directive_may_come_in_one_word_with_its_values, the_file_comes_by_option_or_first,
		two_files_and_unknown_options_are_errors,
		an_unknown_directive_is_an_error_of_the_command_line, modes_stand_anywhere,
		an_error_names_the_directive, a_user_of_the_command_line_stands_above_the_files,
		a_channel_line_of_the_command_line_replaces_the_one_of_the_file,
		save_rules_of_the_command_line_replace_those_of_the_file, all_mistakes_are_listed,
		the_annotated_example_has_each_directive_with_its_default, an_import_takes_one_path,
		NULL});
}
