#include "config.h"

#include "server/upgrade_image.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/presence.h"
#include "pubsub/testing_replay.h"
#include "server/core.h"
#include "server/parted_members.h"
#include "server/presence_service.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

/* Members of channels and keys of messages pass from one server to another as commands. */

static struct buffer image;
static char first_answer[512];

static bool
note(void *arg, struct slice commands)
{
	(void)arg;
	buffer_append_slice(&image, commands);
	return true;
}

static void
begin_server(void)
{
	test_setup();
	test_config.presence =
	    (struct presence_limits){.members = 100, .joins = 100, .memory_bytes = 1 << 20};
	test_config.idempotency_keys = 100;
	testing_set_line(test_server->hub, "room*", "presence members");
}

/* The first server's image; then a second server, with the same options, has taken its place. */
static void
setup(void)
{
	struct test_conn *c;

	image = (struct buffer){0};
	begin_server();
	c = test_open();
	test_call(c, "presence join room ann info x");
	test_call(c, "presence join room dan");
	test_call(c, "presence touch room ben ttl 100 info y");
	test_call(c, "presence touch room: cat ttl 100");
	test_call(c, "subscribe news");
	test_call(test_open(), "publishx news x idkey k");
	snprintf(first_answer, sizeof(first_answer), "%s",
	    test_call(test_open(), "publishx news x idkey k result"));
	ck_assert(server_upgrade_write(test_server, note, NULL));
	test_teardown();
	begin_server();
}

static void
teardown(void)
{
	buffer_release(&image);
	test_teardown();
}

enum { INTACT, TWICE, MISSING, ONE_MORE, ONE_LESS };

/* Reads the image, in which command number `which` is changed in this way; true: it was taken. */
static bool
take(int which, int how)
{
	struct upgrade_image_reader r;
	struct slice argv[16];
	const char *at = image.ptr;
	char error[256];
	bool ok = true;
	size_t argc;

	upgrade_image_begin(&r, test_server);
	for (int n = 0; ok && test_next_command(&image, &at, argv, &argc); n++) {
		if (n == which && how == MISSING)
			continue;
		if (n == which && how == ONE_MORE)
			argv[argc++] = SLICE("1");
		if (n == which && how == ONE_LESS)
			argc--;
		ok = argc > 0 && upgrade_image_read(&r, argv, argc, error, sizeof(error));
		if (ok && n == which && how == TWICE)
			ok = upgrade_image_read(&r, argv, argc, error, sizeof(error));
	}
	return upgrade_image_end(&r) && ok;
}

static int
commands(void)
{
	struct slice argv[16];
	const char *at = image.ptr;
	size_t argc;
	int count = 0;

	while (test_next_command(&image, &at, argv, &argc))
		count++;
	return count;
}

START_TEST(members_and_keys_are_the_same_afterwards)
{
	struct test_conn *c = test_open();

	ck_assert(take(-1, INTACT));
	assert_says(c, "publishx news x idkey k result", first_answer);
	assert_says(
	    c, "presence count room room:", "*4\r\n$4\r\nroom\r\n:3\r\n$5\r\nroom:\r\n:1\r\n");
	assert_says(
	    c, "presence members room:", "*2\r\n$1\r\n0\r\n*3\r\n$3\r\ncat\r\n$0\r\n\r\n:0\r\n");
	assert_says(c, "presence join room ann", ":0\r\n");
	assert_says(c, "presence touch room ben ttl 0", ":0\r\n");
	assert_says(c, "presence count room", "*2\r\n$4\r\nroom\r\n:2\r\n");
}
END_TEST

START_TEST(an_image_with_a_changed_command_is_refused)
{
	int count = commands();

	ck_assert_int_eq(count, 9);
	for (int how = TWICE; how <= ONE_LESS; how++) {
		for (int which = 0; which < count; which++) {
			/* A missing key, member or empty channel cannot be noticed. */
			bool is_legal = how == MISSING && which != 0 && which != count - 1;

			ck_assert_msg(!take(which, how) || is_legal, "%d %d", which, how);
			test_teardown();
			begin_server();
		}
	}
}
END_TEST

START_TEST(the_connections_of_the_process_before_leave_one_by_one_or_all)
{
	struct presence *presence = test_server->presence->presence;

	ck_assert(take(-1, INTACT));
	ck_assert_uint_eq(presence_figures(presence).joins, 2);
	presence_service_part(test_server, SLICE("room"), SLICE("ann"));
	presence_service_part(test_server, SLICE("room"), SLICE("ann"));
	presence_service_part(test_server, SLICE("nowhere"), SLICE("dan"));
	ck_assert_uint_eq(presence_figures(presence).joins, 1);
	presence_service_end_elsewhere(test_server);
	test_turns(1);
	ck_assert_uint_eq(presence_figures(presence).joins, 0);
	ck_assert_uint_eq(presence_figures(presence).members, 4);
}
END_TEST

START_TEST(only_the_command_that_is_meant_is_read)
{
	struct slice argv[3] = {SLICE("FANFARED.PARTED"), SLICE("room"), SLICE("ann")};
	struct slice channel, member;

	ck_assert(parted_members_read(argv, 3, &channel, &member));
	ck_assert(slice_is(channel, "room") && slice_is(member, "ann"));
	ck_assert(!parted_members_read(argv, 2, &channel, &member));
	argv[0] = SLICE("FANFARED.MEMBER");
	ck_assert(!parted_members_read(argv, 3, &channel, &member));
}
END_TEST

START_TEST(what_leaves_is_recorded_from_the_first_moment_and_cut_between_commands)
{
	struct test_conn *c = test_open(), *other = test_open();
	struct buffer *all = &test_server->presence->parted;
	struct slice part;

	test_call(c, "presence join room before");
	test_call(c, "presence leave room before");
	test_call(c, "presence join room ann");
	test_call(other, "presence join room ann");
	test_call(c, "presence join room: ben");
	ck_assert_uint_eq(all->len, 0);
	presence_service_record(test_server, true);
	test_call(other, "presence leave room ann");
	ck_assert_uint_eq(all->len, 0);
	test_close(c);
	part = parted_members_part(buffer_slice(all), 1);
	ck_assert(
	    slice_eq(part, SLICE("*3\r\n$15\r\nFANFARED.PARTED\r\n$4\r\nroom\r\n$3\r\nann\r\n")));
	ck_assert_uint_eq(parted_members_part(buffer_slice(all), part.len).len, part.len);
	ck_assert_uint_eq(parted_members_part(buffer_slice(all), part.len + 1).len, all->len);
	presence_service_record(test_server, false);
	ck_assert_uint_eq(all->len, 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/upgrade_image", setup, teardown,
	    (const TTest *[]){members_and_keys_are_the_same_afterwards,
		an_image_with_a_changed_command_is_refused,
		the_connections_of_the_process_before_leave_one_by_one_or_all,
		only_the_command_that_is_meant_is_read,
		what_leaves_is_recorded_from_the_first_moment_and_cut_between_commands, NULL});
}
