#include "config.h"

#include "app/settings.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "app/setting_fault.h"
#include "app/setting_value.h"
#include "app/testing_settings.h"
#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/channel_lines.h"

static struct settings s;
static struct buffer out;

static void
setup(void)
{
	settings_init(&s);
}

static void
teardown(void)
{
	settings_release(&s);
	buffer_release(&out);
}

/* One value, or several with blanks between them for settings that take several. */
static enum setting_fault
set(const char *name, const char *value)
{
	struct slice given = slice_of(value);

	return settings_set(&s, testing_setting(name), &given, 1);
}

static const char *
shown(const char *name)
{
	return testing_shown(&s, name, &out);
}

static const char *
written(const char *name)
{
	return testing_written(&s, name, &out);
}

static const char *
described(const char *name, const char *value)
{
	enum setting_fault fault = set(name, value);

	ck_assert_int_ne(fault, SETTING_OK);
	buffer_clear(&out);
	setting_describe_fault(testing_setting(name), fault, &out);
	return testing_text(&out);
}

static const char *
explained(const char *name, const char *value)
{
	struct slice given = slice_of(value);
	enum setting_fault fault = set(name, value);

	ck_assert_int_ne(fault, SETTING_OK);
	buffer_clear(&out);
	setting_explain_fault(testing_setting(name), fault, &given, 1, &out);
	return testing_text(&out);
}

static bool
is_number(const struct setting *row)
{
	switch (row->type) {
	case SETTING_NUMBER:
	case SETTING_SECONDS:
	case SETTING_MILLISECONDS:
	case SETTING_MICROSECONDS:
	case SETTING_BYTES:
		return true;
	default:
		return false;
	}
}

/* settings_init() asserts that each default is within the limits of its row; this test checks that
 * it is the value that the row gives. */
START_TEST(each_default_is_what_its_row_says)
{
	size_t i;

	for (i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);
		struct slice initial = slice_of(row->initial);
		struct settings again;

		if (row->class == SETTING_REFUSED)
			continue;
		settings_copy(&again, &s);
		ck_assert_int_eq(settings_set(&again, row, &initial, 1), SETTING_OK);
		ck_assert_msg(settings_equal(&again, &s, row), "%s", row->name);
		settings_release(&again);
	}
}
END_TEST

START_TEST(the_defaults_that_users_of_redis_know_hold)
{
	ck_assert_uint_eq(s.server.maxclients, 10000);
	ck_assert_int_eq(s.server.port, 6379);
	ck_assert_int_eq(s.net.tcp_backlog, 511);
	ck_assert_uint_eq(s.server.proto_max_bulk_bytes, 512u << 20);
	ck_assert(s.server.protected_mode);
	ck_assert_str_eq(s.server.requirepass, "");
	ck_assert_int_eq(s.log_level, LOG_LEVEL_NOTICE);
	ck_assert_int_eq(s.server.outbox.policy, OUTBOX_DISCONNECT);
	ck_assert_int_eq(s.server.slowlog_slower_than_us, 10000);
}
END_TEST

START_TEST(both_ends_of_each_range_are_allowed_and_what_is_past_them_is_not)
{
	size_t i;

	for (i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);
		int64_t tries[] = {row->min, row->max, row->min - 1,
		    row->max == INT64_MAX ? row->max : row->max + 1};
		size_t t;

		if (!is_number(row) || row->class == SETTING_LIMITED)
			continue;
		for (t = 0; t < 4; t++) {
			bool inside = tries[t] >= row->min && tries[t] <= row->max;
			char *text = xasprintf("%lld", (long long)tries[t]);

			ck_assert_msg((set(row->name, text) == SETTING_OK) == inside, "%s %s",
			    row->name, text);
			if (inside && row->type != SETTING_BYTES)
				ck_assert_str_eq(shown(row->name), text);
			xfree(text);
		}
	}
}
END_TEST

START_TEST(the_place_of_a_choice_is_its_value)
{
	static const char *const policies[] = {"disconnect", "drop-oldest", "drop-newest", "block"};
	enum outbox_policy policy;

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(set("outbox-policy", policies[i]), SETTING_OK);
		ck_assert(outbox_policy_parse(slice_of(policies[i]), &policy));
		ck_assert_int_eq(s.server.outbox.policy, policy);
	}
	ck_assert_int_eq(set("loglevel", "verbose"), SETTING_OK);
	ck_assert_int_eq(s.log_level, LOG_LEVEL_INFO);
	ck_assert_int_eq(set("loglevel", "warning"), SETTING_OK);
	ck_assert_int_eq(s.log_level, LOG_LEVEL_WARN);
	ck_assert_int_eq(set("loglevel", "nothing"), SETTING_OK);
	ck_assert_int_eq(s.log_level, LOG_LEVEL_NONE);
	ck_assert_int_eq(set("supervised", "AUTO"), SETTING_OK);
	ck_assert_int_eq(s.supervised, SUPERVISED_AUTO);
}
END_TEST

START_TEST(names_are_found_in_any_case_and_nothing_else_is)
{
	ck_assert_ptr_eq(settings_find(SLICE("MaxClients")), testing_setting("maxclients"));
	ck_assert_ptr_null(settings_find(SLICE("maxclient")));
	ck_assert_ptr_null(settings_find(SLICE("maxclientss")));
	ck_assert_ptr_null(settings_find(SLICE("")));
	ck_assert_ptr_null(settings_find(SLICE("vm-enabled")));
}
END_TEST

START_TEST(memory_takes_the_units_of_redis)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {{"1048576", 1048576}, {"1048577b", 1048577}, {"2m", 2000000}, {"2MB", 2 << 20},
	    {"1100k", 1100000}, {"1100Kb", 1100 << 10}, {"1g", 1000000000}, {"1gb", 1 << 30}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_int_eq(set("proto-max-bulk-len", cases[i].text), SETTING_OK);
		ck_assert_int_eq((int64_t)s.server.proto_max_bulk_bytes, cases[i].bytes);
	}
	ck_assert_int_eq(set("proto-max-bulk-len", "1.5mb"), SETTING_BAD_BYTES);
	ck_assert_int_eq(set("proto-max-bulk-len", "-1"), SETTING_BAD_BYTES);
	ck_assert_int_eq(set("proto-max-bulk-len", "mb"), SETTING_BAD_BYTES);
	ck_assert_int_eq(set("proto-max-bulk-len", ""), SETTING_BAD_BYTES);
	ck_assert_int_eq(set("proto-max-bulk-len", "1 mb"), SETTING_BAD_BYTES);
	ck_assert_int_eq(set("proto-max-bulk-len", "99999999999999999999999"), SETTING_BAD_RANGE);
	ck_assert_int_eq(set("proto-max-bulk-len", "9223372036854775807gb"), SETTING_BAD_RANGE);
}
END_TEST

START_TEST(memory_is_written_with_the_largest_unit_that_is_exact)
{
	ck_assert_str_eq(written("proto-max-bulk-len"), "proto-max-bulk-len 512mb");
	ck_assert_int_eq(set("proto-max-bulk-len", "1048577"), SETTING_OK);
	ck_assert_str_eq(written("proto-max-bulk-len"), "proto-max-bulk-len 1048577");
	ck_assert_int_eq(set("outbox-limit-bytes", "0"), SETTING_OK);
	ck_assert_str_eq(written("outbox-limit-bytes"), "outbox-limit-bytes 0");
}
END_TEST

START_TEST(faults_are_described_in_the_words_of_redis)
{
	ck_assert_str_eq(
	    described("maxclients", "abc"), "argument couldn't be parsed into an integer");
	ck_assert_str_eq(
	    described("maxclients", "0"), "argument must be between 1 and 4294967295 inclusive");
	ck_assert_str_eq(described("maxclients", "99999999999999999999"),
	    "argument couldn't be parsed into an integer");
	ck_assert_str_eq(
	    described("timeout", "-1"), "argument must be between 0 and 2147483647 inclusive");
	ck_assert_str_eq(described("slowlog-log-slower-than", "-2"),
	    "argument must be between -1 and 9223372036854775807 inclusive");
	ck_assert_str_eq(described("protected-mode", "1"), "argument must be 'yes' or 'no'");
	ck_assert_str_eq(described("proto-max-bulk-len", "1xb"), "argument must be a memory value");
	ck_assert_str_eq(
	    described("unixsocketperm", "9"), "argument couldn't be parsed as an octal number");
	ck_assert_str_eq(
	    described("unixsocketperm", "1777"), "argument must be between 0 and 777 inclusive");
	ck_assert_str_eq(described("outbox-policy", "x"),
	    "argument(s) must be one of the following: "
	    "disconnect, drop-oldest, drop-newest, block, catch-up");
	ck_assert_str_eq(described("client-output-buffer-limit", "pubsub 1 2"),
	    "Wrong number of arguments in buffer limit configuration.");
	ck_assert_str_eq(described("client-output-buffer-limit", ""),
	    "Wrong number of arguments in buffer limit configuration.");
	ck_assert_str_eq(described("client-output-buffer-limit", "master 1 2 3"),
	    "Invalid client class specified in buffer limit configuration.");
	ck_assert_str_eq(described("client-output-buffer-limit", "pubsub 1 2 -3"),
	    "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
}
END_TEST

START_TEST(faults_are_explained_with_what_is_allowed)
{
	ck_assert_str_eq(
	    explained("port", "70000"), "'70000' is no value for port: allowed is 0 to 65535");
	ck_assert_str_eq(explained("timeout", "soon"),
	    "'soon' is no value for timeout: allowed is 0 to 2147483647 seconds");
	ck_assert_str_eq(explained("daemonize", "maybe"),
	    "'maybe' is no value for daemonize: allowed is yes or no");
	ck_assert_str_eq(explained("proto-max-bulk-len", "1"),
	    "'1' is no value for proto-max-bulk-len: allowed "
	    "is 1mb to 1gb (bytes, with kb, mb or gb)");
	ck_assert_str_eq(explained("unixsocketperm", "999"),
	    "'999' is no value for unixsocketperm: allowed is 0 to 777 (octal)");
	ck_assert_str_eq(explained("supervised", "upstart"),
	    "'upstart' is no value for supervised: allowed is one of no, systemd, auto");
	ck_assert_str_eq(explained("dir", ""),
	    "'' is no value for dir: allowed is 1 to 4095 bytes, none of them NUL");
	ck_assert_str_eq(explained("client-output-buffer-limit", "all 0 0 0"),
	    "'all 0 0 0' is no value for client-output-buffer-limit: allowed is groups of four: "
	    "normal, replica "
	    "or pubsub, hard bytes, soft bytes, seconds");
	ck_assert_str_eq(explained("port", "\x01\xff"),
	    "'\\x01\\xff' is no value for port: allowed is 0 to 65535");
}
END_TEST

START_TEST(too_many_values_and_none_are_refused)
{
	struct slice two[] = {SLICE("1"), SLICE("# why")};

	ck_assert_int_eq(settings_set(&s, testing_setting("port"), two, 2), SETTING_BAD_COUNT);
	ck_assert_int_eq(settings_set(&s, testing_setting("port"), two, 0), SETTING_BAD_COUNT);
	setting_explain_fault(testing_setting("port"), SETTING_BAD_COUNT, two, 2, &out);
	ck_assert_str_eq(testing_text(&out),
	    "port takes one value, not 2: allowed is 0 to 65535 (a comment has a line of its own)");
	ck_assert_int_eq(s.server.port, 6379);
}
END_TEST

START_TEST(an_explanation_never_shows_a_password)
{
	char *password = xmalloc(600);

	memset(password, 'p', 599);
	password[599] = '\0';
	ck_assert_str_eq(explained("requirepass", password),
	    "this is no value for requirepass: allowed is 0 to 512 bytes, none of them NUL");
	password[512] = '\0';
	ck_assert_int_eq(set("requirepass", password), SETTING_OK);
	ck_assert_str_eq(s.server.requirepass, password);
	xfree(password);
}
END_TEST

START_TEST(strings_hold_no_nul)
{
	struct slice with_nul = SLICE("a\0b");

	ck_assert_int_eq(
	    settings_set(&s, testing_setting("requirepass"), &with_nul, 1), SETTING_BAD_TEXT);
	ck_assert_str_eq(s.server.requirepass, "");
	ck_assert_int_eq(settings_set(&s, testing_setting("bind"), &with_nul, 1), SETTING_BAD_TEXT);
	ck_assert_uint_eq(s.bind.count, 2);
}
END_TEST

START_TEST(buffer_limits_of_classes_that_are_not_named_stay)
{
	ck_assert_str_eq(shown("client-output-buffer-limit"),
	    "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
	ck_assert_int_eq(
	    set("client-output-buffer-limit", "PubSub 1mb 2k 3 slave 5 6 7"), SETTING_OK);
	ck_assert_str_eq(
	    shown("client-output-buffer-limit"), "normal 0 0 0 slave 5 6 7 pubsub 1048576 2000 3");
	ck_assert_str_eq(written("client-output-buffer-limit"),
	    "client-output-buffer-limit normal 0 0 0 replica 5 6 7 pubsub 1mb 2000 3");
}
END_TEST

START_TEST(one_wrong_group_of_buffer_limits_changes_none)
{
	ck_assert_int_eq(set("client-output-buffer-limit", "normal 1 1 1 pubsub x 2 3"),
	    SETTING_BAD_LIMIT_VALUE);
	ck_assert_uint_eq(s.server.buffer_limit[SERVER_CLASS_NORMAL].hard_bytes, 0);
}
END_TEST

START_TEST(bind_takes_up_to_sixteen_addresses_and_none)
{
	ck_assert_int_eq(set("bind", "a b c d e f g h i j k l m n o p"), SETTING_OK);
	ck_assert_uint_eq(s.bind.count, 16);
	ck_assert_int_eq(set("bind", "a b c d e f g h i j k l m n o p q"), SETTING_BAD_COUNT);
	ck_assert_uint_eq(s.bind.count, 16);
	ck_assert_int_eq(set("bind", ""), SETTING_OK);
	ck_assert_uint_eq(s.bind.count, 0);
	ck_assert_str_eq(written("bind"), "bind \"\"");
}
END_TEST

START_TEST(members_that_follow_from_others_are_derived)
{
	ck_assert_int_eq(set("proto-max-bulk-len", "3mb"), SETTING_OK);
	ck_assert_int_eq(set("client-query-buffer-limit", "5mb"), SETTING_OK);
	ck_assert_int_eq(set("timeout", "7"), SETTING_OK);
	settings_derive(&s);
	ck_assert_uint_eq(s.net.limits[SERVICE_RESP].arg_bytes, 3 << 20);
	ck_assert_uint_eq(s.net.limits[SERVICE_RESP].request_bytes, 5 << 20);
	ck_assert_uint_eq(s.net.times[SERVICE_RESP].idle_s, 7);
}
END_TEST

START_TEST(words_are_quoted_only_where_they_must_be)
{
	ck_assert_int_eq(set("requirepass", "a b\"\\\n#\x80"), SETTING_OK);
	ck_assert_str_eq(written("requirepass"), "requirepass \"a b\\\"\\\\\\n#\\x80\"");
	ck_assert_int_eq(set("requirepass", "#a"), SETTING_OK);
	ck_assert_str_eq(written("requirepass"), "requirepass \"#a\"");
	ck_assert_int_eq(set("requirepass", "plain-1"), SETTING_OK);
	ck_assert_str_eq(written("requirepass"), "requirepass plain-1");
	ck_assert_int_eq(set("requirepass", ""), SETTING_OK);
	ck_assert_str_eq(written("requirepass"), "requirepass \"\"");
}
END_TEST

START_TEST(a_copy_shares_nothing)
{
	struct settings copy;

	ck_assert_int_eq(set("requirepass", "one"), SETTING_OK);
	settings_copy(&copy, &s);
	ck_assert_int_eq(set("requirepass", "two"), SETTING_OK);
	ck_assert_int_eq(set("bind", "::1"), SETTING_OK);
	ck_assert_str_eq(copy.server.requirepass, "one");
	ck_assert_uint_eq(copy.bind.count, 2);
	ck_assert(!settings_equal(&copy, &s, testing_setting("bind")));
	ck_assert(settings_equal(&copy, &s, testing_setting("port")));
	settings_release(&copy);
}
END_TEST

START_TEST(the_log_goes_where_the_settings_say)
{
	ck_assert_int_eq(settings_log(&s).sink, LOG_TO_STDERR);
	ck_assert_int_eq(set("logfile", "x.log"), SETTING_OK);
	ck_assert_int_eq(settings_log(&s).sink, LOG_TO_FILE);
	ck_assert_int_eq(set("syslog-enabled", "yes"), SETTING_OK);
	ck_assert_int_eq(settings_log(&s).sink, LOG_TO_SYSLOG);
	ck_assert_int_eq(set("syslog-facility", "local7"), SETTING_OK);
	ck_assert_int_eq(settings_log(&s).syslog_facility, 23 << 3);
}
END_TEST

START_TEST(lines_of_users_add_up_each_name_once)
{
	const struct setting *row = testing_setting("user");
	const struct slice alice[] = {SLICE("alice"), SLICE("on"), SLICE(">secret")};
	const struct slice wrong[] = {SLICE("bob"), SLICE("<secret")};
	const struct slice blank[] = {SLICE("bob"), SLICE(">a b")};
	struct buffer text = {0};

	ck_assert_int_eq(settings_set(&s, row, alice, 3), SETTING_OK);
	ck_assert_int_eq(settings_set(&s, row, alice, 1), SETTING_DUPLICATE_USER);
	ck_assert_int_eq(settings_set(&s, row, wrong, 2), SETTING_BAD_USER);
	ck_assert_int_eq(settings_set(&s, row, blank, 2), SETTING_BAD_USER);
	ck_assert_int_eq(settings_set(&s, row, wrong, 1), SETTING_OK);
	ck_assert_str_eq(written("user"), "user alice on >secret\nuser bob");
	setting_explain_fault(row, SETTING_BAD_USER, wrong, 2, &text);
	ck_assert_ptr_nonnull(memmem(text.ptr, text.len, "rule '<'", 8));
	ck_assert_ptr_null(memmem(text.ptr, text.len, "secret", 6));
	buffer_release(&text);
}
END_TEST

START_TEST(more_users_than_a_file_may_have_are_refused)
{
	const struct setting *row = testing_setting("user");
	char name[16];

	for (int i = 0; i <= 1000; i++) {
		struct slice word;

		snprintf(name, sizeof(name), "u%d", i);
		word = slice_of(name);
		ck_assert_int_eq(settings_set(&s, row, &word, 1),
		    i < 1000 ? SETTING_OK : SETTING_TOO_MANY_USERS);
	}
}
END_TEST

/* The explanation of a line that is refused; "" if it is taken. */
static const char *
refusal(const struct slice *words, size_t count)
{
	const struct setting *row = testing_setting("channel");
	enum setting_fault fault = settings_set(&s, row, words, count);

	buffer_clear(&out);
	if (fault != SETTING_OK)
		setting_explain_fault(row, fault, words, count, &out);
	return testing_text(&out);
}

START_TEST(lines_of_channels_add_up_each_glob_once)
{
	const struct slice news[] = {SLICE("news.*"), SLICE("MAX-message"), SLICE("1024"),
	    SLICE("publish-users"), SLICE("a,b")};
	const struct slice blank[] = {SLICE("a \"b"), SLICE("publish-rate"), SLICE("7")};
	const struct slice none[] = {SLICE("")};

	ck_assert_str_eq(written("channel"), "");
	ck_assert_str_eq(refusal(news, 5), "");
	ck_assert_str_eq(refusal(blank, 3), "");
	ck_assert_str_eq(refusal(news, 3), "more than one channel line with glob 'news.*'");
	ck_assert_str_eq(written("channel"), "channel news.* max-message 1kb publish-users a,b\n"
					     "channel \"a \\\"b\" publish-rate 7");
	ck_assert_str_eq(refusal(none, 1), "");
	ck_assert_str_eq(written("channel"), "");
}
END_TEST

START_TEST(a_line_of_channels_with_a_mistake_is_refused)
{
	const struct slice unknown[] = {SLICE("a"), SLICE("nosuch"), SLICE("1")};
	const struct slice odd[] = {
	    SLICE("a"), SLICE("max-message"), SLICE("1"), SLICE("publish-rate")};
	const struct slice range[] = {SLICE("a"), SLICE("publish-rate"), SLICE("1000001")};
	const struct slice twice[] = {
	    SLICE("a"), SLICE("max-message"), SLICE("1"), SLICE("max-message"), SLICE("2")};
	static char glob[CHANNEL_GLOB_MAX + 1];
	struct slice longest[] = {{glob, CHANNEL_GLOB_MAX}, SLICE("max-message"), SLICE("1")};

	ck_assert_str_eq(refusal(NULL, 0), "a line is 'channel GLOB option value ...'");
	ck_assert_str_eq(refusal(unknown, 1), "a channel line needs an option and its value");
	ck_assert_int_eq(
	    strncmp(refusal(unknown, 3), "unknown channel option 'nosuch': allowed are ", 45), 0);
	ck_assert_ptr_nonnull(strstr(refusal(unknown, 3), ", publish-users"));
	ck_assert_str_eq(refusal(odd, 4), "missing value of channel option 'publish-rate'");
	ck_assert_str_eq(refusal(range, 3),
	    "invalid value '1000001' of channel option 'publish-rate': must be a number from 0 to "
	    "1000000");
	ck_assert_str_eq(refusal(twice, 5), "repeated channel option 'max-message'");
	memset(glob, 'x', sizeof(glob));
	ck_assert_str_eq(refusal(longest, 3), "");
	longest[0].len++;
	ck_assert_str_eq(refusal(longest, 3), "invalid channel glob: must have 1 to 4096 bytes");
}
END_TEST

START_TEST(more_lines_of_channels_than_allowed_are_refused)
{
	char name[16];

	for (int i = 0; i < CHANNEL_LINES_MAX; i++) {
		struct slice words[] = {SLICE(""), SLICE("max-message"), SLICE("1")};

		snprintf(name, sizeof(name), "c%d", i);
		words[0] = slice_of(name);
		ck_assert_int_eq(
		    settings_set(&s, testing_setting("channel"), words, 3), SETTING_OK);
	}
	ck_assert_str_eq(
	    refusal((const struct slice[]){SLICE("more"), SLICE("max-message"), SLICE("1")}, 3),
	    "max number of channel lines reached (65536)");
}
END_TEST

START_TEST(a_copy_of_the_settings_has_lines_of_its_own)
{
	const struct slice news[] = {SLICE("news.*"), SLICE("max-message"), SLICE("1")};
	const struct setting *row = testing_setting("channel");
	struct settings copy;

	ck_assert_str_eq(refusal(news, 3), "");
	settings_copy(&copy, &s);
	ck_assert(settings_equal(&copy, &s, row));
	ck_assert_int_eq(
	    settings_set(&copy, row, (const struct slice[]){SLICE("")}, 1), SETTING_OK);
	ck_assert(!settings_equal(&copy, &s, row));
	ck_assert_str_eq(written("channel"), "channel news.* max-message 1");
	settings_release(&copy);
}
END_TEST

int
main(void)
{
	return testing_main("app/settings", setup, teardown,
	    (const TTest *[]){each_default_is_what_its_row_says,
		the_defaults_that_users_of_redis_know_hold,
		both_ends_of_each_range_are_allowed_and_what_is_past_them_is_not,
		the_place_of_a_choice_is_its_value, names_are_found_in_any_case_and_nothing_else_is,
		memory_takes_the_units_of_redis,
		memory_is_written_with_the_largest_unit_that_is_exact,
		faults_are_described_in_the_words_of_redis,
		faults_are_explained_with_what_is_allowed, too_many_values_and_none_are_refused,
		an_explanation_never_shows_a_password, strings_hold_no_nul,
		buffer_limits_of_classes_that_are_not_named_stay,
		one_wrong_group_of_buffer_limits_changes_none,
		bind_takes_up_to_sixteen_addresses_and_none,
		members_that_follow_from_others_are_derived,
		words_are_quoted_only_where_they_must_be, a_copy_shares_nothing,
		the_log_goes_where_the_settings_say, lines_of_users_add_up_each_name_once,
		more_users_than_a_file_may_have_are_refused,
		lines_of_channels_add_up_each_glob_once,
		a_line_of_channels_with_a_mistake_is_refused,
		more_lines_of_channels_than_allowed_are_refused,
		a_copy_of_the_settings_has_lines_of_its_own, NULL});
}
