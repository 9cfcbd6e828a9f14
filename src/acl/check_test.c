#include "config.h"

#include "acl/check.h"

#include <check.h>

#include "acl/acl.h"
#include "acl/command.h"
#include "base/buffer.h"
#include "base/testing.h"

/* Commands of a table of the test's own: a command with channels, and subcommands with channels. */
enum { SAY, ROOM, ROOM_ENTER, ROOM_COUNT, COMMANDS };

static const struct acl_command rows[COMMANDS] = {
    [SAY] = {.name = "say", .categories = "@pubsub", .channels = ACL_CHANNELS_FIRST},
    [ROOM] = {.name = "room", .categories = "@slow", .is_container = true},
    [ROOM_ENTER] = {.container = "room",
	.name = "enter",
	.categories = "@pubsub",
	.channels = ACL_CHANNELS_FIRST},
    [ROOM_COUNT] = {.container = "room",
	.name = "count",
	.categories = "@pubsub",
	.channels = ACL_CHANNELS_ALL},
};

static struct acl_commands *commands;
static struct acl *acl;
static struct acl_user *user;

static void
describe(struct acl_command *row, const void *arg)
{
	size_t index = row->index;

	(void)arg;
	*row = rows[index];
	row->index = index;
}

static void
setup(void)
{
	static const struct slice rules[] = {
	    {"on", 2}, {"nopass", 6}, {"+@all", 5}, {"resetchannels", 13}, {"&ours.*", 7}};
	struct buffer error = {0};
	bool narrowed;

	commands = acl_commands_new(COMMANDS, describe, NULL);
	acl = acl_new(commands);
	ck_assert(acl_set_user(
	    acl, SLICE("u"), rules, sizeof(rules) / sizeof(rules[0]), &narrowed, &error));
	buffer_release(&error);
	user = acl_find(acl, SLICE("u"));
}

static void
teardown(void)
{
	acl_free(acl);
	acl_commands_free(commands);
}

/* The denied argument; 0: allowed. */
static size_t
denied(int command, size_t argc, const char *const words[])
{
	struct slice argv[5];
	enum acl_verdict verdict;
	size_t at = 0;

	for (size_t i = 0; i < argc; i++)
		argv[i] = slice_of(words[i]);
	verdict = acl_check(user, acl_commands_at(commands, (size_t)command), argv, argc, &at);
	ck_assert(verdict == ACL_ALLOWED || verdict == ACL_DENIED_CHANNEL);
	return verdict == ACL_ALLOWED ? 0 : at;
}

#define DENIED(command, ...)                                                                       \
	denied((command), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),       \
	    (const char *const[]){__VA_ARGS__})

START_TEST(the_channel_of_a_command_is_its_first_argument)
{
	ck_assert_uint_eq(DENIED(SAY, "say", "ours.a", "theirs"), 0);
	ck_assert_uint_eq(DENIED(SAY, "say", "theirs", "ours.a"), 1);
}
END_TEST

START_TEST(the_channel_of_a_subcommand_is_the_argument_behind_its_name)
{
	ck_assert_uint_eq(DENIED(ROOM_ENTER, "room", "enter", "ours.a", "theirs"), 0);
	ck_assert_uint_eq(DENIED(ROOM_ENTER, "room", "enter", "theirs", "ours.a"), 2);
}
END_TEST

START_TEST(each_channel_of_a_subcommand_is_checked)
{
	ck_assert_uint_eq(DENIED(ROOM_COUNT, "room", "count", "ours.a", "ours.b"), 0);
	ck_assert_uint_eq(DENIED(ROOM_COUNT, "room", "count", "ours.a", "ours.b", "theirs"), 4);
}
END_TEST

int
main(void)
{
	return testing_main("acl/check", setup, teardown,
	    (const TTest *[]){the_channel_of_a_command_is_its_first_argument,
		the_channel_of_a_subcommand_is_the_argument_behind_its_name,
		each_channel_of_a_subcommand_is_checked, NULL});
}
