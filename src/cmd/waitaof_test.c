#include "config.h"

#include "server/sync_wait.h"

#include <check.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/disk.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/wait.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

#define SYNCED "*2\r\n:1\r\n:0\r\n"
#define UNSYNCED "*2\r\n:0\r\n:0\r\n"
#define NO_LOG "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n"

static struct test_conn *c, *other;
static bool log_is_on;

static void
figures(void *arg, struct server_disk_figures *now)
{
	(void)arg;
	*now = (struct server_disk_figures){.aof_on = log_is_on};
}

static void
switch_log(bool is_on, bool holds)
{
	log_is_on = is_on;
	server_journal_set(test_server, is_on, holds);
}

static void
setup(void)
{
	static const struct server_disk disk = {.figures = figures};

	test_setup();
	server_set_disk(test_server, &disk);
	c = test_open();
	other = test_open();
	switch_log(true, false);
}

/* Passes the changes so far to the disk; returns the number of their batch. */
static uint64_t
take(void)
{
	struct buffer batch = {0};
	uint64_t number;

	ck_assert(server_journal_take(test_server, &batch, &number));
	buffer_release(&batch);
	return number;
}

static void
assert_waits(struct test_conn *conn)
{
	test_turns(3);
	ck_assert(conn->later);
	ck_assert_int_eq(client_waits_for(conn->client), WAIT_SYNC);
}

START_TEST(invalid_arguments_are_refused)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
	    {"waitaof x 0 0", "-ERR value is not an integer or out of range\r\n"},
	    {"waitaof 2 0 0", "-ERR value is out of range, value must between 0 and 1\r\n"},
	    {"waitaof -1 x x", "-ERR value is out of range, value must between 0 and 1\r\n"},
	    {"waitaof 0 -1 0", "-ERR value is out of range, must be positive\r\n"},
	    {"waitaof 0 x 0", "-ERR value is out of range, must be positive\r\n"},
	    {"waitaof 0 0 x", "-ERR timeout is not an integer or out of range\r\n"},
	    {"waitaof 0 0 -1", "-ERR timeout is negative\r\n"},
	    {"waitaof 0 0 9223372036854775807", "-ERR timeout is out of range\r\n"},
	    {"waitaof 1 0", "-ERR wrong number of arguments for 'waitaof' command\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_says(c, cases[i].line, cases[i].error);
}
END_TEST

START_TEST(without_a_log_there_is_nothing_to_wait_for)
{
	switch_log(false, false);
	assert_says(c, "set k v", "+OK\r\n");
	assert_says(c, "waitaof 1 0 0", NO_LOG);
	assert_says(c, "waitaof 0 0 0", UNSYNCED);
	server_set_disk(test_server, &(struct server_disk){0});
	assert_says(c, "waitaof 1 0 0", NO_LOG);
}
END_TEST

START_TEST(it_waits_for_the_changes_of_its_own_client_only)
{
	uint64_t number;

	assert_says(c, "set k v", "+OK\r\n");
	assert_says(other, "waitaof 1 0 0", SYNCED);
	assert_says(c, "waitaof 0 0 0", UNSYNCED);
	ck_assert(!test_send(c, "waitaof 1 1 0"));
	assert_waits(c);
	number = take();
	assert_waits(c);
	assert_says(other, "set k v", "+OK\r\n");
	server_journal_kept(test_server, number);
	ck_assert_str_eq(test_finish(c), SYNCED);
	assert_says(c, "waitaof 1 0 0", SYNCED);
	assert_says(other, "waitaof 0 0 0", UNSYNCED);
}
END_TEST

START_TEST(a_sync_of_earlier_changes_does_not_end_it)
{
	uint64_t first, second;

	assert_says(c, "set k v", "+OK\r\n");
	first = take();
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "set k v2", "+QUEUED\r\n");
	assert_says(c, "exec", "*1\r\n+OK\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 0"));
	second = take();
	server_journal_kept(test_server, first);
	assert_waits(c);
	server_journal_kept(test_server, second);
	ck_assert_str_eq(test_finish(c), SYNCED);
}
END_TEST

START_TEST(behind_held_replies_it_is_answered_after_them)
{
	uint64_t number;

	switch_log(true, true);
	assert_says(c, "set k v", "");
	ck_assert(!test_send(c, "waitaof 1 0 0"));
	number = take();
	assert_waits(c);
	server_journal_kept(test_server, number);
	ck_assert_str_eq(test_finish(c), "+OK\r\n" SYNCED);
}
END_TEST

START_TEST(a_timeout_counts_from_the_beginning)
{
	uint64_t begun_us = clock_mono_us();

	assert_says(c, "set k v", "+OK\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 3600000"));
	assert_waits(c);
	/* It is executed again, and waits for the rest of the time. */
	wait_event(test_server, WAIT_EVENT_DISK);
	test_turn(begun_us + 3500000000);
	assert_waits(c);
	test_turn(begun_us + 3700000000);
	ck_assert_str_eq(test_finish(c), UNSYNCED);
}
END_TEST

START_TEST(a_timeout_beyond_all_clocks_has_no_end)
{
	assert_says(c, "set k v", "+OK\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 9000000000000000000"));
	assert_waits(c);
	server_journal_kept(test_server, take());
	ck_assert_str_eq(test_finish(c), SYNCED);
}
END_TEST

START_TEST(client_unblock_ends_it)
{
	char line[64];

	assert_says(c, "set k v", "+OK\r\n");
	snprintf(line, sizeof(line), "client unblock %d", (int)c->client->id);
	assert_says(other, line, ":0\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 0"));
	assert_says(other, line, ":1\r\n");
	ck_assert_str_eq(test_finish(c), UNSYNCED);
	snprintf(line, sizeof(line), "client unblock %d error", (int)c->client->id);
	ck_assert(!test_send(c, "waitaof 1 0 1000"));
	assert_says(other, line, ":1\r\n");
	ck_assert_str_eq(test_finish(c), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
}
END_TEST

START_TEST(switching_the_log_off_ends_it_with_an_error)
{
	assert_says(c, "set k v", "+OK\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 1000"));
	assert_waits(c);
	switch_log(false, false);
	ck_assert_str_eq(test_finish(c), NO_LOG);
}
END_TEST

START_TEST(in_a_transaction_it_does_not_wait)
{
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "set k v", "+QUEUED\r\n");
	assert_says(c, "waitaof 1 0 0", "+QUEUED\r\n");
	assert_says(c, "exec", "*2\r\n+OK\r\n" SYNCED);
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "waitaof 1 0 0", "+QUEUED\r\n");
	assert_says(c, "exec", "*1\r\n" UNSYNCED);
}
END_TEST

START_TEST(a_client_that_leaves_waits_no_longer)
{
	assert_says(c, "set k v", "+OK\r\n");
	ck_assert(!test_send(c, "waitaof 1 0 1000"));
	ck_assert_uint_eq(waits_blocked(test_server->waits), 1);
	test_close(c);
	ck_assert_uint_eq(waits_blocked(test_server->waits), 0);
	ck_assert_uint_eq(sync_wait_turn(test_server, UINT64_MAX), UINT64_MAX);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/waitaof", setup, test_teardown,
	    (const TTest *[]){invalid_arguments_are_refused,
		without_a_log_there_is_nothing_to_wait_for,
		it_waits_for_the_changes_of_its_own_client_only,
		a_sync_of_earlier_changes_does_not_end_it,
		behind_held_replies_it_is_answered_after_them, a_timeout_counts_from_the_beginning,
		a_timeout_beyond_all_clocks_has_no_end, client_unblock_ends_it,
		switching_the_log_off_ends_it_with_an_error, in_a_transaction_it_does_not_wait,
		a_client_that_leaves_waits_no_longer, NULL});
}
