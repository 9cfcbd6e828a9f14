#include "config.h"

#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/lame_duck.h"

#define SECOND_US UINT64_C(1000000)
#define CLIENTS 40

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *conns[CLIENTS];

static void
open_clients(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		conns[i] = test_open();
}

static size_t
finished(void)
{
	size_t count = 0;

	for (size_t i = 0; i < CLIENTS; i++)
		count += conns[i] != NULL && conns[i]->finished;
	return count;
}

static uint64_t
begun_us(void)
{
	return test_server->lame_duck->begun_us;
}

START_TEST(fewer_may_stay_the_longer_it_lasts_and_none_at_the_end)
{
	static const uint64_t windows_us[] = {SECOND_US, 7 * SECOND_US, INT32_MAX * SECOND_US};

	for (size_t w = 0; w < 3; w++) {
		uint64_t window_us = windows_us[w];

		for (size_t total = 1; total <= 300; total += 13) {
			uint64_t last_us = 0;

			for (size_t open = total; open > 0; open--) {
				uint64_t at_us = lame_duck_next_us(total, open, window_us);

				ck_assert_uint_ge(at_us, last_us);
				ck_assert_uint_le(at_us, window_us);
				ck_assert_uint_eq(
				    lame_duck_may_stay(total, at_us, window_us), open - 1);
				last_us = at_us;
			}
		}
		ck_assert_uint_eq(lame_duck_may_stay(100000, 0, window_us), 100000);
		ck_assert_uint_eq(lame_duck_may_stay(100000, window_us / 2, window_us), 50000);
		ck_assert_uint_eq(lame_duck_may_stay(100000, window_us + 1, window_us), 0);
	}
}
END_TEST

START_TEST(clients_are_finished_evenly_the_oldest_first)
{
	uint64_t begun;

	open_clients();
	assert_says(conns[CLIENTS - 1], "shutdown grace 10", "+OK\r\n");
	begun = begun_us();
	test_turn(begun);
	ck_assert_uint_eq(finished(), 0);
	for (size_t i = 1; i <= 9; i++) {
		test_turn(begun + i * SECOND_US + 1000);
		ck_assert_uint_eq(finished(), i * CLIENTS / 10);
		ck_assert(conns[i * CLIENTS / 10 - 1]->finished);
		ck_assert_str_eq(test_call(conns[CLIENTS - 1], "ping"), "+PONG\r\n");
	}
	ck_assert_int_eq(test_lame_duck_over, 0);
	test_turn(begun + 10 * SECOND_US);
	ck_assert_uint_eq(finished(), CLIENTS);
	ck_assert_int_eq(test_lame_duck_over, 1);
	test_turn(begun + 11 * SECOND_US);
	ck_assert_int_eq(test_lame_duck_over, 1);
}
END_TEST

START_TEST(it_is_over_when_the_last_has_gone)
{
	open_clients();
	test_call(conns[0], "shutdown grace 1000");
	test_turn(begun_us());
	for (size_t i = 0; i < CLIENTS; i++) {
		ck_assert_int_eq(test_lame_duck_over, 0);
		test_close(conns[i]);
		test_turn(begun_us());
	}
	ck_assert_int_eq(test_lame_duck_over, 1);
}
END_TEST

START_TEST(who_leaves_by_itself_is_one_less_to_close)
{
	uint64_t begun;

	open_clients();
	test_call(conns[0], "shutdown grace 10");
	begun = begun_us();
	test_turn(begun);
	for (size_t i = 0; i < CLIENTS / 2; i++) {
		test_close(conns[i]);
		conns[i] = NULL;
	}
	test_turn(begun + 5 * SECOND_US);
	ck_assert_uint_eq(finished(), 0);
	test_turn(begun + 6 * SECOND_US + 1000);
	ck_assert_uint_eq(finished(), CLIENTS / 10);
	/* ... and closed clients are not counted twice. */
	for (size_t i = CLIENTS / 2; conns[i]->finished; i++) {
		test_close(conns[i]);
		conns[i] = NULL;
	}
	test_turn(begun + 7 * SECOND_US + 1000);
	ck_assert_uint_eq(finished(), CLIENTS / 10);
}
END_TEST

START_TEST(begun_anew_it_has_the_whole_time_for_those_who_are_left)
{
	uint64_t begun;

	open_clients();
	test_call(conns[CLIENTS - 1], "shutdown grace 10");
	begun = begun_us();
	test_turn(begun);
	test_turn(begun + 5 * SECOND_US + 1000);
	ck_assert_uint_eq(finished(), CLIENTS / 2);
	test_call(conns[CLIENTS - 1], "shutdown grace 100");
	begun = begun_us();
	test_turn(begun);
	test_turn(begun + 50 * SECOND_US + 1000);
	ck_assert_uint_eq(finished(), CLIENTS * 3 / 4);
	for (size_t i = 0; i < CLIENTS; i++)
		test_close(conns[i]);
	ck_assert_uint_eq(test_server->clients->parting, 0);
	test_turn(begun + 50 * SECOND_US + 2000);
	ck_assert_int_eq(test_lame_duck_over, 1);
}
END_TEST

START_TEST(resp3_clients_that_asked_are_told)
{
	struct test_conn *asked, *silent, *old;

	asked = test_open();
	silent = test_open();
	old = test_open();
	test_call(asked, "hello 3");
	test_call(silent, "hello 3");
	assert_says(
	    asked, "outbox set going-away perhaps", "-ERR GOING-AWAY must be 'yes' or 'no'\r\n");
	assert_says(asked, "outbox set going-away yes", "+OK\r\n");
	assert_says(old, "outbox set going-away yes", "+OK\r\n");
	assert_says(old, "shutdown grace 30", "+OK\r\n");
	test_turn(begun_us());
	ck_assert_str_eq(test_read(asked), ">2\r\n$10\r\ngoing-away\r\n:30\r\n");
	ck_assert_str_eq(test_read(silent), "");
	ck_assert_str_eq(test_read(old), "");
	/* A new SHUTDOWN GRACE notifies the client again. */
	test_call(old, "shutdown grace 5");
	test_turn(begun_us());
	ck_assert_str_eq(test_read(asked), ">2\r\n$10\r\ngoing-away\r\n:5\r\n");
	assert_says(asked, "reset", "+RESET\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(asked, "outbox get"), "going-away\r\n$2\r\nno\r\n"));
}
END_TEST

START_TEST(abort_keeps_who_is_left)
{
	uint64_t begun;

	open_clients();
	test_call(conns[0], "shutdown grace 10");
	ck_assert_ptr_nonnull(strstr(test_call(conns[0], "info server"), "lame_duck:1\r\n"));
	begun = begun_us();
	test_turn(begun);
	test_turn(begun + 5 * SECOND_US + 1000);
	test_abort_fails = true;
	assert_says(conns[CLIENTS - 1], "shutdown abort", "-ERR cannot listen\r\n");
	test_abort_fails = false;
	assert_says(conns[CLIENTS - 1], "shutdown abort", "+OK\r\n");
	assert_says(conns[CLIENTS - 1], "shutdown abort", "-ERR No shutdown in progress.\r\n");
	test_turn(begun + 100 * SECOND_US);
	ck_assert_uint_eq(finished(), CLIENTS / 2);
	ck_assert_int_eq(test_lame_duck_over, 0);
	ck_assert_ptr_nonnull(
	    strstr(test_call(conns[CLIENTS - 1], "info server"), "lame_duck:0\r\n"));
}
END_TEST

START_TEST(a_command_in_progress_is_not_cut_off_before_the_end)
{
	struct slice args[302] = {SLICE("command"), SLICE("info")};
	struct test_conn *busy = test_open();
	uint64_t begun;

	open_clients();
	for (size_t i = 2; i < 302; i++)
		args[i] = SLICE("nope");
	ck_assert(!test_send_args(busy, args, 302)); /* runs as a job */
	test_call(conns[0], "shutdown grace 10");
	begun = begun_us();
	ck_assert_ptr_nonnull(busy->client->pending->job);
	(void)lame_duck_run(test_server, begun);
	(void)lame_duck_run(test_server, begun + 9 * SECOND_US);
	ck_assert(!busy->finished);
	test_finish(busy);
	ck_assert_uint_ge(finished(), CLIENTS / 2);
	/* At the end io closes it, as any client that is still connected. */
	(void)lame_duck_run(test_server, begun + 10 * SECOND_US);
	ck_assert_uint_eq(finished(), CLIENTS);
	ck_assert_int_eq(test_lame_duck_over, 1);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/lame_duck", test_setup, test_teardown,
	    (const TTest *[]){fewer_may_stay_the_longer_it_lasts_and_none_at_the_end,
		clients_are_finished_evenly_the_oldest_first, it_is_over_when_the_last_has_gone,
		who_leaves_by_itself_is_one_less_to_close,
		begun_anew_it_has_the_whole_time_for_those_who_are_left,
		resp3_clients_that_asked_are_told, abort_keeps_who_is_left,
		a_command_in_progress_is_not_cut_off_before_the_end, NULL});
}
