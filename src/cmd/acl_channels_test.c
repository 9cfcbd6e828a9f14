#include "config.h"

#include <check.h>
#include <string.h>

#include "acl/check.h"
#include "acl/command.h"
#include "acl/user.h"
#include "base/testing.h"
#include "server/command.h"

/* Which arguments of a command are checked as channels, from the flags of its row to the verdict.
 */

static struct acl_user *user;
static struct command_table *table;
static bool queue_names;

static const struct command rows[] = {
    {.name = "first", .flags = CMD_CHANNEL, .categories = "@pubsub"},
    {.name = "all", .flags = CMD_CHANNELS, .categories = "@pubsub"},
    {.name = "pairs", .flags = CMD_CHANNELS | CMD_CHANNEL_PAIRS, .categories = "@pubsub"},
    {.name = "later", .flags = CMD_CHANNELS | CMD_CHANNELS_LATER, .categories = "@pubsub"},
    {.name = "patterns", .flags = CMD_PATTERNS | CMD_CHANNEL_PAIRS, .categories = "@pubsub"},
    {.name = "either",
	.flags = CMD_CHANNELS | CMD_PATTERNS | CMD_CHANNELS_LATER | CMD_IN_SUBSCRIBE_MODE,
	.categories = "@pubsub"},
    {.name = "sub", .flags = CMD_CHANNELS | CMD_IN_SUBSCRIBE_MODE, .categories = "@pubsub"},
    {.name = "psub", .flags = CMD_PATTERNS | CMD_IN_SUBSCRIBE_MODE, .categories = "@pubsub"},
    {.name = "ssub",
	.flags = CMD_CHANNELS | CMD_SHARD | CMD_IN_SUBSCRIBE_MODE,
	.categories = "@pubsub"},
    {.name = "none", .categories = "@pubsub"},
    {.name = "box", .flags = CMD_CONTAINER, .categories = "@pubsub"},
    {.container = "box", .name = "first", .flags = CMD_CHANNEL, .categories = "@pubsub"},
    {.container = "box",
	.name = "pairs",
	.flags = CMD_CHANNELS | CMD_CHANNEL_PAIRS,
	.categories = "@pubsub"},
};

static void
setup(void)
{
	static const struct slice rules[] = {SLICE("on"), SLICE("+@all"), SLICE("&a*")};
	struct buffer text = {0};

	queue_names = false;
	table = command_table_new(rows, sizeof(rows) / sizeof(rows[0]));
	user = acl_user_new(SLICE("u"), false);
	ck_assert_int_eq(acl_user_apply(user, table->acl, false, rules, 3, &text), ACL_OK);
	buffer_release(&text);
}

static void
teardown(void)
{
	acl_user_unref(user);
	command_table_free(table);
}

/* 0: allowed; else the index of the denied channel. In as many steps as the work allows. */
static size_t
denied(const char *command, const char *line, size_t work)
{
	struct acl_look look = ACL_LOOK_BEGINS;
	struct slice argv[32];
	size_t argc = 0;

	look.queue_names = queue_names;
	for (; *line != '\0'; line += *line == ' ') {
		argv[argc++] = (struct slice){line, strcspn(line, " ")};
		line += argv[argc - 1].len;
	}
	while (
	    !acl_check_part(user, command_acl(table, command_find_full(table, slice_of(command))),
		argv, argc, work, &look))
		continue;
	if (look.verdict == ACL_ALLOWED)
		return 0;
	ck_assert_int_eq(look.verdict, ACL_DENIED_CHANNEL);
	return look.denied_at;
}

static const struct {
	const char *command, *line;
	size_t denied;
} cases[] = {
    {"first", "first a1 b", 0},
    {"first", "first b a", 1},
    {"all", "all a1 a2 a3", 0},
    {"all", "all a1 a2 b", 3},
    {"pairs", "pairs a1 b a2 b", 0},
    {"pairs", "pairs a1 b b a", 3},
    {"pairs", "pairs a1 b b", 3},
    {"later", "later b a1 a2", 0},
    {"later", "later a b a", 2},
    {"later", "later a a1 b", 3},
    {"patterns", "patterns a* x a* y", 0},
    {"patterns", "patterns a* x a1 y", 3},
    {"either", "either b a1 a*", 0},
    {"either", "either b a1 a2*", 3},
    {"either", "either b b", 2},
    {"sub", "sub $queue/g/a1", 1},
    {"none", "none b", 0},
    {"box|first", "box first a b", 0},
    {"box|first", "box first b a", 2},
    {"box|pairs", "box pairs a b a b", 0},
    {"box|pairs", "box pairs a b b", 4},
};

START_TEST(each_argument_that_is_a_channel_is_checked_and_no_other)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t work = 1; work < 1000; work *= 30)
			ck_assert_msg(
			    denied(cases[i].command, cases[i].line, work) == cases[i].denied,
			    "%s, with work %zu", cases[i].line, work);
}
END_TEST

/* With queue names. */
static const struct {
	const char *command, *line;
	size_t denied;
} queue_cases[] = {
    {"sub", "sub a1 $queue/g/a1", 0},
    {"sub", "sub a1 $queue/g/b", 2},
    {"sub", "sub $queue/a1/b", 1},
    {"sub", "sub $queue/a1", 1},
    {"psub", "psub $queue/g/a*", 0},
    {"psub", "psub $queue/g/a1", 1},
    {"ssub", "ssub $queue/g/a1", 1},
    {"either", "either g $queue/g/a1", 2},
    {"all", "all $queue/g/a1", 1},
};

START_TEST(with_queue_names_a_subscription_needs_the_rights_of_the_topic)
{
	queue_names = true;
	for (size_t i = 0; i < sizeof(queue_cases) / sizeof(queue_cases[0]); i++)
		ck_assert_msg(
		    denied(queue_cases[i].command, queue_cases[i].line, 1) == queue_cases[i].denied,
		    "%s", queue_cases[i].line);
}
END_TEST

START_TEST(a_user_with_all_channels_may_name_any)
{
	static const struct slice rules[] = {SLICE("allchannels")};
	struct buffer text = {0};

	ck_assert_int_eq(acl_user_apply(user, table->acl, false, rules, 1, &text), ACL_OK);
	buffer_release(&text);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(denied(cases[i].command, cases[i].line, 1), 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/acl_channels", setup, teardown,
	    (const TTest *[]){each_argument_that_is_a_channel_is_checked_and_no_other,
		with_queue_names_a_subscription_needs_the_rights_of_the_topic,
		a_user_with_all_channels_may_name_any, NULL});
}
