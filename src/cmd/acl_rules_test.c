#include "config.h"

#include "acl/rules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl/check.h"
#include "acl/user.h"
#include "base/testing.h"
#include "cmd/table.h"

static struct acl_user *user;
static struct buffer text;

static void
setup(void)
{
	user = acl_user_new(SLICE("u"), false);
	text = (struct buffer){0};
}

static void
teardown(void)
{
	acl_user_unref(user);
	buffer_release(&text);
}

static enum acl_fault
apply(const char *line)
{
	struct slice rules[64];
	size_t count = 0;

	for (; *line != '\0'; line += rules[count++].len, line += *line == ' ')
		rules[count] = (struct slice){line, strcspn(line, " ")};
	buffer_clear(&text);
	return acl_user_apply(user, cmd_table()->acl, false, rules, count, &text);
}

static const char *
shown(void)
{
	buffer_clear(&text);
	acl_user_describe(user, &text);
	buffer_append(&text, "", 1);
	return text.ptr + strlen("user u ");
}

/* Rules, and how Redis 7.2 shows them in ACL LIST. */
static const struct {
	const char *rules, *shown;
} table[] = {
    {"", "off sanitize-payload resetchannels -@all"},
    {"on nopass", "on nopass sanitize-payload resetchannels -@all"},
    {"on >a <a", "on sanitize-payload resetchannels -@all"},
    {"nopass >a resetpass", "off sanitize-payload resetchannels -@all"},
    {"~a ~b ~a", "off sanitize-payload ~a ~b resetchannels -@all"},
    {"%R~a %W~a", "off sanitize-payload ~a resetchannels -@all"},
    {"%rw~a %R~b %w~c", "off sanitize-payload ~a %R~b %W~c resetchannels -@all"},
    {"%R", "off sanitize-payload %R~ resetchannels -@all"},
    {"allkeys", "off sanitize-payload ~* resetchannels -@all"},
    {"~* resetkeys ~x", "off sanitize-payload ~x resetchannels -@all"},
    {"&a &b &a", "off sanitize-payload resetchannels &a &b -@all"},
    {"&* +@all", "off sanitize-payload &* +@all"},
    {"allchannels resetchannels &x", "off sanitize-payload resetchannels &x -@all"},
    {"+PING", "off sanitize-payload resetchannels -@all +ping"},
    {"+client|ID", "off sanitize-payload resetchannels -@all +client|id"},
    {"+client|id +client", "off sanitize-payload resetchannels -@all +client"},
    {"+select|0 +select|1", "off sanitize-payload resetchannels -@all +select|0 +select|1"},
    {"+select|0 -@all", "off sanitize-payload resetchannels -@all"},
    {"+@all -client|kill", "off sanitize-payload resetchannels +@all -client|kill"},
    {"+get", "off sanitize-payload resetchannels -@all +get"},
    {"+cluster|info", "off sanitize-payload resetchannels -@all +cluster|info"},
    {"+@all nocommands +ping", "off sanitize-payload resetchannels -@all +ping"},
    {"skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
    {"sanitize-payload", "off sanitize-payload resetchannels -@all"},
    {"jwt", "off sanitize-payload jwt resetchannels -@all"},
    {"nopass JWT sanitize-payload", "off nopass sanitize-payload jwt resetchannels -@all"},
    {"jwt nojwt", "off sanitize-payload resetchannels -@all"},
    {"jwt reset", "off sanitize-payload resetchannels -@all"},
    {"(~a +ping) (%R~b &c)", "off sanitize-payload resetchannels -@all (~a resetchannels -@all "
			     "+ping) (%R~b resetchannels &c -@all)"},
    {"(+ping) clearselectors", "off sanitize-payload resetchannels -@all"},
    {"()", "off sanitize-payload resetchannels -@all (resetchannels -@all)"},
    {"limit:connections=5 LIMIT:Publish-Messages=7 limit:subscriptions=0 +ping",
	"off sanitize-payload limit:connections=5 limit:publish-messages=7 resetchannels -@all "
	"+ping"},
    {"on nopass ~* &* +@all (+ping) reset", "off sanitize-payload resetchannels -@all"},
};

START_TEST(rules_are_shown_as_redis_shows_them)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		acl_user_unref(user);
		user = acl_user_new(SLICE("u"), false);
		ck_assert_msg(apply(table[i].rules) == ACL_OK, "%s", table[i].rules);
		ck_assert_str_eq(shown(), table[i].shown);
	}
}
END_TEST

START_TEST(what_is_shown_reads_back_as_the_same)
{
	char line[256];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		acl_user_unref(user);
		user = acl_user_new(SLICE("u"), true);
		ck_assert_int_eq(apply(table[i].shown), ACL_OK);
		snprintf(line, sizeof(line), "%s", shown());
		ck_assert_str_eq(line, table[i].shown);
	}
}
END_TEST

static const struct {
	const char *rules;
	enum acl_fault fault;
} wrong[] = {
    {"nosuch", ACL_BAD_SYNTAX},
    {"+nosuch", ACL_UNKNOWN_COMMAND},
    {"-nosuch", ACL_UNKNOWN_COMMAND},
    {"+", ACL_UNKNOWN_COMMAND},
    {"+@nosuch", ACL_UNKNOWN_COMMAND},
    {"+@", ACL_UNKNOWN_COMMAND},
    {"-select|0", ACL_UNKNOWN_COMMAND},
    {"+client|nosuch", ACL_UNKNOWN_COMMAND},
    {"+client|", ACL_BAD_SYNTAX},
    {"+client|id|x", ACL_FIRST_ARG_OF_SUBCOMMAND},
    {"+cluster|nosuch", ACL_UNKNOWN_COMMAND},
    {"%~a", ACL_BAD_SYNTAX},
    {"%RR~a", ACL_BAD_SYNTAX},
    {"%X~a", ACL_BAD_SYNTAX},
    {"~* ~a", ACL_KEYS_AFTER_ALL},
    {"&* &a", ACL_CHANNELS_AFTER_ALL},
    {"<a", ACL_NO_SUCH_PASSWORD},
    {"#12", ACL_BAD_HASH},
    {"!12", ACL_BAD_HASH},
    {"(", ACL_UNMATCHED},
    {"(+ping +echo", ACL_UNMATCHED},
    {"(on)", ACL_BAD_SYNTAX},
    {"(+nosuch)", ACL_UNKNOWN_COMMAND},
};

START_TEST(what_is_wrong_is_said)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(apply(wrong[i].rules) == wrong[i].fault, "%s", wrong[i].rules);
}
END_TEST

START_TEST(patterns_passwords_selectors_and_rules_are_bounded)
{
	char rule[32];
	static char long_rule[ACL_RULE_BYTES_MAX + 2];

	for (int i = 0; i < ACL_ITEMS_MAX; i++) {
		snprintf(rule, sizeof(rule), "~%d", i);
		ck_assert_int_eq(apply(rule), ACL_OK);
		snprintf(rule, sizeof(rule), ">%d", i);
		ck_assert_int_eq(apply(rule), ACL_OK);
		snprintf(rule, sizeof(rule), "+echo|%d", i);
		ck_assert_int_eq(apply(rule), ACL_OK);
	}
	ck_assert_int_eq(apply("~one-more"), ACL_TOO_MANY);
	ck_assert_int_eq(apply("~0"), ACL_OK);
	ck_assert_int_eq(apply(">one-more"), ACL_TOO_MANY);
	ck_assert_int_eq(apply("+echo|one-more"), ACL_TOO_MANY);
	for (int i = 1; i < ACL_SELECTORS_MAX; i++)
		ck_assert_int_eq(apply("(+ping)"), ACL_OK);
	ck_assert_int_eq(apply("(+ping)"), ACL_TOO_MANY);
	memset(long_rule, 'x', sizeof(long_rule) - 1);
	long_rule[0] = '~';
	ck_assert_int_eq(apply(long_rule), ACL_BAD_SYNTAX);
	long_rule[ACL_RULE_BYTES_MAX] = '\0';
	ck_assert_int_eq(apply("resetkeys"), ACL_OK);
	ck_assert_int_eq(apply(long_rule), ACL_OK);
}
END_TEST

START_TEST(a_password_is_accepted_of_a_user_that_is_on)
{
	ck_assert_int_eq(apply(">secret"), ACL_OK);
	ck_assert(!acl_user_accepts(user, SLICE("secret")));
	ck_assert_int_eq(apply("on"), ACL_OK);
	ck_assert(acl_user_accepts(user, SLICE("secret")));
	ck_assert(!acl_user_accepts(user, SLICE("secre")));
	ck_assert(!acl_user_accepts(user, SLICE("")));
	ck_assert(!acl_user_accepts(NULL, SLICE("secret")));
	ck_assert(!acl_user_accepts(NULL, SLICE("")));
	ck_assert_int_eq(
	    apply("#7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"), ACL_OK);
	ck_assert(acl_user_accepts(user, SLICE("one")));
	ck_assert_int_eq(apply("nopass"), ACL_OK);
	ck_assert(acl_user_accepts(user, SLICE("anything")));
	ck_assert_int_eq(apply("resetpass"), ACL_OK);
	ck_assert(!acl_user_accepts(user, SLICE("secret")));
}
END_TEST

/* The argument of "ping a1 2 b1 v" that is denied as a key if the row has these keys; 0: none. */
static size_t
denied_key(const char *keys)
{
	static const struct slice argv[] = {{"ping", 4}, {"a1", 2}, {"2", 1}, {"b1", 2}, {"v", 1}};
	struct acl_command row = *acl_commands_at(cmd_table()->acl, 0);

	row.keys = keys;
	return acl_denied_key(&user->selectors[0], &row, argv, 5);
}

START_TEST(keys_are_those_that_the_row_names)
{
	ck_assert_int_eq(apply("~a*"), ACL_OK);
	ck_assert_uint_eq(denied_key("RO access @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key("RO access @1 range -1 2 0"), 3);
	ck_assert_uint_eq(denied_key("RO access @1 range 1 1 0"), 2);
	ck_assert_uint_eq(denied_key("OW update @1 range 0 1 0; RO access @2 keynum 0 1 1"), 3);
	ck_assert_int_eq(apply("resetkeys"), ACL_OK);
	ck_assert_uint_eq(denied_key("RO access @1 range 0 1 0"), 1);
	ck_assert_uint_eq(denied_key("not_key @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key(NULL), 0);
}
END_TEST

START_TEST(what_is_done_to_a_key_is_what_must_be_allowed)
{
	ck_assert_int_eq(apply("%R~a*"), ACL_OK);
	ck_assert_uint_eq(denied_key("RO access @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key("OW update @1 range 0 1 0"), 1);
	ck_assert_uint_eq(denied_key("RW access delete @1 range 0 1 0"), 1);
	ck_assert_uint_eq(denied_key("RO @1 range 0 1 0"), 0);
	ck_assert_int_eq(apply("resetkeys"), ACL_OK);
	ck_assert_int_eq(apply("%W~a*"), ACL_OK);
	ck_assert_uint_eq(denied_key("RO access @1 range 0 1 0"), 1);
	ck_assert_uint_eq(denied_key("OW update @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key("RW insert @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key("RM delete @1 range 0 1 0"), 0);
	ck_assert_uint_eq(denied_key("RW access update @1 range 0 1 0"), 1);
	ck_assert_uint_eq(denied_key("RO @1 range 0 1 0"), 0);
	/* A rule that allows reading and another that allows writing do not allow both together. */
	ck_assert_int_eq(apply("%R~a?"), ACL_OK);
	ck_assert_uint_eq(denied_key("RW access update @1 range 0 1 0"), 1);
	ck_assert_int_eq(apply("%RW~a*"), ACL_OK);
	ck_assert_uint_eq(denied_key("RW access update @1 range 0 1 0"), 0);
}
END_TEST

START_TEST(a_pattern_is_heard_only_where_it_is_granted_literally)
{
	ck_assert_int_eq(apply("&news.* (&a)"), ACL_OK);
	ck_assert(acl_may_receive(user, SLICE("news.1"), false));
	ck_assert(!acl_may_receive(user, SLICE("new"), false));
	ck_assert(acl_may_receive(user, SLICE("a"), false));
	ck_assert(acl_may_receive(user, SLICE("news.*"), true));
	ck_assert(!acl_may_receive(user, SLICE("news.1*"), true));
	ck_assert(!acl_may_receive(user, SLICE("*"), true));
	ck_assert_int_eq(apply("allchannels"), ACL_OK);
	ck_assert(acl_may_receive(user, SLICE("*"), true));
}
END_TEST

START_TEST(only_a_selector_that_allows_everything_makes_a_user_unrestricted)
{
	ck_assert(!user->unrestricted);
	ck_assert_int_eq(apply("+@all ~*"), ACL_OK);
	ck_assert(!user->unrestricted);
	ck_assert_int_eq(apply("&*"), ACL_OK);
	ck_assert(user->unrestricted);
	ck_assert_int_eq(apply("-ping"), ACL_OK);
	ck_assert(!user->unrestricted);
	ck_assert_int_eq(apply("+ping"), ACL_OK);
	ck_assert(!user->unrestricted);
	ck_assert_int_eq(apply("(+@all ~* &*)"), ACL_OK);
	ck_assert(user->unrestricted);
	ck_assert_int_eq(apply("clearselectors"), ACL_OK);
	ck_assert(!user->unrestricted);
}
END_TEST

START_TEST(a_first_argument_given_again_is_one)
{
	for (int i = 0; i < 2 * ACL_ITEMS_MAX; i++)
		ck_assert_int_eq(apply(i % 2 == 0 ? "+select|0" : "+select|A +select|a"), ACL_OK);
	ck_assert_uint_eq(user->selectors[0].first_arg_count, 2);
}
END_TEST

START_TEST(a_selector_holds_no_word_that_would_end_it)
{
	struct slice rule = SLICE("(~a) +get ~b)"), nul = {"\0b", 2};

	buffer_clear(&text);
	ck_assert_int_eq(
	    acl_user_apply(user, cmd_table()->acl, false, &rule, 1, &text), ACL_BAD_SYNTAX);
	ck_assert_int_eq(
	    acl_user_apply(user, cmd_table()->acl, false, &nul, 1, &text), ACL_BAD_SYNTAX);
	ck_assert_str_eq(shown(), "off sanitize-payload resetchannels -@all");
}
END_TEST

START_TEST(a_name_too_long_for_any_channel_is_matched_with_nothing)
{
	char *name = malloc(70000);

	memset(name, 'a', 70000);
	ck_assert_int_eq(apply("resetchannels &*a &b"), ACL_OK);
	ck_assert(acl_may_receive(user, (struct slice){name, 65535}, false));
	ck_assert(!acl_may_receive(user, (struct slice){name, 65536}, false));
	free(name);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/acl_rules", setup, teardown,
	    (const TTest *[]){rules_are_shown_as_redis_shows_them,
		what_is_shown_reads_back_as_the_same, what_is_wrong_is_said,
		patterns_passwords_selectors_and_rules_are_bounded,
		a_password_is_accepted_of_a_user_that_is_on, keys_are_those_that_the_row_names,
		what_is_done_to_a_key_is_what_must_be_allowed,
		a_pattern_is_heard_only_where_it_is_granted_literally,
		only_a_selector_that_allows_everything_makes_a_user_unrestricted,
		a_first_argument_given_again_is_one, a_selector_holds_no_word_that_would_end_it,
		a_name_too_long_for_any_channel_is_matched_with_nothing, NULL});
}
