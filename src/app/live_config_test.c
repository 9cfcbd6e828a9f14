#include "config.h"

#include "app/live_config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/testing.h"

static struct settings s;
static struct config_source source;
static struct live_config live;
static char error[512];
static char folder[] = "/tmp/fanfare-test-XXXXXX";
static char *file;

static void
setup(void)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	file = xasprintf("%s/x.conf", folder);
	settings_init(&s);
	source = (struct config_source){.mode = CONFIG_MODE_RUN};
	live = (struct live_config){.settings = &s, .source = &source};
	log_set_level(LOG_LEVEL_NONE);
	error[0] = '\0';
}

static void
teardown(void)
{
	unlink(file);
	ck_assert_int_eq(rmdir(folder), 0);
	xfree(file);
	settings_release(&s);
	config_source_release(&source);
}

static const char *
set(size_t pair_count, const char *const *words)
{
	struct server_settings interface = live_config_interface(&live);
	struct slice pairs[8];

	for (size_t i = 0; i < pair_count * 2; i++)
		pairs[i] = slice_of(words[i]);
	return interface.set(interface.arg, pairs, pair_count, NULL, error, sizeof(error)) ==
		       CONFIG_SET_DONE
		   ? "OK"
		   : error;
}

#define SET(...)                                                                                   \
	set(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *) / 2,                            \
	    (const char *const[]){__VA_ARGS__})

static void
write_file(const char *text)
{
	FILE *out = fopen(file, "w");

	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	if (source.file == NULL)
		source.file = xstrdup(file);
}

static void
note_timeout(void *arg, const char *name, const char *value)
{
	if (strcmp(name, "timeout") == 0)
		snprintf(arg, 32, "%s", value);
}

START_TEST(what_was_set_holds_and_is_shown)
{
	struct server_settings interface = live_config_interface(&live);
	char value[32] = "";

	ck_assert_str_eq(SET("TIMEOUT", "5", "requirepass", "secret"), "OK");
	ck_assert_uint_eq(s.server.timeout_s, 5);
	ck_assert_uint_eq(s.net.times[SERVICE_RESP].idle_s, 5);
	ck_assert_str_eq(s.server.requirepass, "secret");
	interface.each(interface.arg, note_timeout, value);
	ck_assert_str_eq(value, "5");
}
END_TEST

START_TEST(one_mistake_and_nothing_is_set)
{
	ck_assert_str_eq(SET("timeout", "5", "maxclients", "0"),
	    "CONFIG SET failed (possibly related to argument 'maxclients') - argument must be "
	    "between 1 and "
	    "4294967295 inclusive");
	ck_assert_uint_eq(s.server.timeout_s, 0);
	ck_assert_str_eq(SET("timeout", "5", "foo", "2"),
	    "Unknown option or number of arguments for CONFIG SET - 'foo'");
	ck_assert_uint_eq(s.server.timeout_s, 0);
}
END_TEST

START_TEST(names_are_looked_at_before_values)
{
	ck_assert_str_eq(SET("timeout", "x", "foo", "2"),
	    "Unknown option or number of arguments for CONFIG SET - 'foo'");
	ck_assert_str_eq(SET("timeout", "1", "Timeout", "2"),
	    "CONFIG SET failed (possibly related to argument 'Timeout') - duplicate parameter");
	ck_assert_str_eq(SET("timeout", "1", "DATABASES", "2"),
	    "CONFIG SET failed (possibly related to argument 'DATABASES') - can't set immutable "
	    "config");
}
END_TEST

START_TEST(more_clients_than_files_are_possible_is_refused)
{
	const char *answer = SET("maxclients", "4294967295");
	const char *words = "CONFIG SET failed (possibly related to argument 'maxclients') - The "
			    "operating system is "
			    "not able to handle the specified number of clients, try with ";

	ck_assert_msg(strncmp(answer, words, strlen(words)) == 0, "%s", answer);
	ck_assert_uint_eq(s.server.maxclients, 10000);
	ck_assert_str_eq(SET("maxclients", "20"), "OK");
}
END_TEST

START_TEST(without_a_file_nothing_is_rewritten)
{
	struct server_settings interface = live_config_interface(&live);

	ck_assert(!interface.rewrite(interface.arg, error, sizeof(error)));
	ck_assert_str_eq(error, "The server is running without a config file");
	ck_assert_str_eq(interface.file(interface.arg), "");
}
END_TEST

START_TEST(a_rewrite_puts_what_was_set_into_the_file)
{
	struct server_settings interface = live_config_interface(&live);

	write_file("timeout 1\n");
	live_config_reload(&live);
	ck_assert_str_eq(SET("timeout", "8"), "OK");
	ck_assert(interface.rewrite(interface.arg, error, sizeof(error)));
	ck_assert_str_eq(SET("timeout", "9"), "OK");
	live_config_reload(&live);
	ck_assert_uint_eq(s.server.timeout_s, 8);
}
END_TEST

START_TEST(a_reload_changes_what_may_change_and_leaves_the_rest)
{
	write_file("timeout 4\nport 7\nrequirepass p\n");
	live_config_reload(&live);
	ck_assert_uint_eq(s.server.timeout_s, 4);
	ck_assert_str_eq(s.server.requirepass, "p");
	ck_assert_int_eq(s.server.port, 6379);
}
END_TEST

START_TEST(a_reload_of_a_file_with_a_mistake_changes_nothing)
{
	write_file("timeout 4\nmaxclients none\n");
	live_config_reload(&live);
	ck_assert_uint_eq(s.server.timeout_s, 0);
	unlink(file);
	live_config_reload(&live);
	ck_assert_uint_eq(s.server.timeout_s, 0);
}
END_TEST

START_TEST(the_command_line_stands_above_a_file_that_is_read_again)
{
	char program[] = "fanfared", directive[] = "--timeout", value[] = "6";
	char *argv[] = {program, directive, value, NULL};
	struct buffer text = {0};

	ck_assert(config_source_parse(&source, 3, argv, &text));
	write_file("timeout 4\nmaxclients 33\n");
	live_config_reload(&live);
	ck_assert_uint_eq(s.server.timeout_s, 6);
	ck_assert_uint_eq(s.server.maxclients, 33);
	buffer_release(&text);
}
END_TEST

int
main(void)
{
	return testing_main("app/live_config", setup, teardown,
	    (const TTest *[]){what_was_set_holds_and_is_shown, one_mistake_and_nothing_is_set,
		names_are_looked_at_before_values, more_clients_than_files_are_possible_is_refused,
		without_a_file_nothing_is_rewritten, a_rewrite_puts_what_was_set_into_the_file,
		a_reload_changes_what_may_change_and_leaves_the_rest,
		a_reload_of_a_file_with_a_mistake_changes_nothing,
		the_command_line_stands_above_a_file_that_is_read_again, NULL});
}
