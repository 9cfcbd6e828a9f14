#include "config.h"

#include "persist/persist.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "base/testing.h"
#include "persist/testing_daemon.h"
#include "persist/testing_log.h"

/* Runs of the whole persistence layer on a disk where each call fails in turn. */

/* A fork is slow with a sanitizer or under valgrind: then only one in STRIDE calls fails. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

static struct testing_daemon l;

static void
setup(void)
{
	testing_daemon_enter(&l);
}

static void
teardown(void)
{
	testing_daemon_leave(&l);
}

/* Scenarios: false if the disk is dead. */

static bool
rewrite_save_and_switch(void)
{
	if (!testing_daemon_start(&l, true))
		return false;
	testing_daemon_change_in_turns(&l, 3);
	(void)persist_rewrite(l.p);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_daemon_change_in_turns(&l, 2);
	testing_daemon_end_child(&l);
	testing_host_change(&l.server);
	testing_daemon_end_dumps(&l);
	testing_daemon_change_in_turns(&l, 2);
	(void)persist_save(l.p, true);
	testing_host_change(&l.server);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_daemon_change_in_turns(&l, 1);
	testing_daemon_end_child(&l);
	testing_daemon_end_dumps(&l);
	testing_daemon_set_policy(&l, AOF_SYNC_EVERYSEC);
	testing_daemon_change_in_turns(&l, 3);
	testing_daemon_set_policy(&l, AOF_SYNC_ALWAYS);
	testing_daemon_change_in_turns(&l, 1);
	persist_switch_off(l.p);
	testing_daemon_change_in_turns(&l, 2);
	testing_daemon_switch_on(&l);
	testing_daemon_change_in_turns(&l, 2);
	(void)!persist_save_now(l.p);
	testing_daemon_change_in_turns(&l, 1);
	return true;
}

static bool
start_from_snapshot_and_cancel(void)
{
	if (!testing_daemon_start(&l, false))
		return false;
	testing_daemon_change_in_turns(&l, 3);
	for (int tries = 0; tries < 20 && !persist_save_now(l.p); tries++)
		testing_daemon_turn(&l);
	persist_free(l.p);
	l.p = NULL;
	if (!testing_daemon_start(&l, true))
		return false;
	testing_daemon_change_in_turns(&l, 2);
	/* appendonly no cancels a rewrite; the next one waits for its end. */
	(void)persist_rewrite(l.p);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_host_change(&l.server);
	persist_switch_off(l.p);
	testing_host_change(&l.server);
	testing_daemon_switch_on(&l);
	testing_daemon_change_in_turns(&l, 2);
	/* A newer snapshot cancels one, while its child writes and while it is renamed. */
	(void)persist_save(l.p, true);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_host_change(&l.server);
	(void)!persist_save_now(l.p);
	testing_daemon_end_dumps(&l);
	(void)persist_save(l.p, true);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_daemon_change_in_turns(&l, 1);
	testing_daemon_end_child(&l);
	(void)!persist_save_now(l.p);
	testing_daemon_end_dumps(&l);
	/* The daemon ends while a child writes. */
	testing_daemon_change_in_turns(&l, 1);
	(void)persist_rewrite(l.p);
	testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
	testing_host_change(&l.server);
	return true;
}

/* The disk works: after a while no fault is left. */
static void
recover(void)
{
	struct persist_figures figures;

	for (int tries = 0; tries < 8; tries++) {
		testing_pass_us(1000000);
		testing_daemon_turn(&l);
	}
	testing_daemon_end_dumps(&l);
	if (!persist_figures(l.p).log_is_on)
		testing_daemon_switch_on(&l);
	/* The calls that still fail may belong to this snapshot. */
	for (int tries = 0; tries < 8 && persist_figures(l.p).save_is_failing; tries++)
		(void)!persist_save_now(l.p);
	ck_assert(!persist_figures(l.p).save_is_failing);
	/* Changes made while the log was off become durable with the next change. */
	testing_daemon_turn(&l);
	testing_daemon_change_in_turns(&l, 2);
	testing_daemon_turn(&l);
	figures = persist_figures(l.p);
	ck_assert(figures.log_is_on);
	ck_assert_int_eq(figures.fault.error, 0);
	ck_assert_uint_eq(figures.unsynced_bytes, 0);
	ck_assert_uint_eq(figures.unwritten_bytes, 0);
	ck_assert(!l.server.is_failed && !l.server.is_refused && !l.server.is_crowded);
	ck_assert_uint_eq(l.server.kept, l.server.count);
}

/* The daemon ends while the log is being switched on. */
static bool
end_while_switching_on(void)
{
	uint64_t attempt = 0;

	if (!testing_daemon_start(&l, true))
		return false;
	testing_daemon_change_in_turns(&l, 2);
	persist_switch_off(l.p);
	testing_daemon_change_in_turns(&l, 2);
	if (persist_switch_on(l.p, &attempt, &l.error) == PERSIST_PENDING) {
		testing_daemon_turn(&l);
		testing_daemon_await_child(&l);
		testing_daemon_change_in_turns(&l, 1);
	}
	persist_free(l.p);
	l.p = NULL;
	return true;
}

/* count calls fail, and everything is durable in the end. Returns the number of calls. */
static uint32_t
fail_and_recover(
    bool (*scenario)(void), uint32_t from, uint32_t count, int error_number, bool is_short)
{
	uint64_t all;
	uint32_t calls;

	testing_daemon_init(&l);
	testing_disk_fail(l.disk, TESTING_ALL, from, count, error_number);
	l.disk->fails_short = is_short;
	ck_assert(scenario());
	calls = l.disk->calls;
	recover();
	all = l.server.count;
	if (from % 2 == 0) {
		persist_free(l.p);
		l.p = NULL;
	} else {
		testing_daemon_kill(&l);
	}
	testing_daemon_load_each(&l, all);
	testing_daemon_release(&l);
	return calls;
}

/* The process is killed, or power is lost, at this call. False: there are fewer calls. */
static bool
end_at_call(bool (*scenario)(void), uint32_t from)
{
	uint32_t calls;

	testing_daemon_init(&l);
	testing_disk_fail(l.disk, TESTING_ALL, from, UINT32_MAX, EIO);
	(void)scenario();
	calls = l.disk->calls;
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, 0);
	testing_daemon_release(&l);
	return calls > from;
}

static uint32_t
stride(void)
{
	return (uint32_t)testing_stride(STRIDE, 29);
}

static void
fail_each_call(bool (*scenario)(void), uint32_t count, int error_number, bool is_short)
{
	uint32_t calls = fail_and_recover(scenario, UINT32_MAX - 1, 0, 0, false);

	ck_assert_uint_gt(calls, 30);
	for (uint32_t i = count % stride(); i < calls; i += stride())
		(void)fail_and_recover(scenario, i, count, error_number, is_short);
}

static void
end_at_each_call(bool (*scenario)(void))
{
	uint32_t from = 0;

	while (end_at_call(scenario, from))
		from += stride();
	ck_assert_uint_gt(from, 10);
}

START_TEST(one_call_fails_and_all_is_kept_soon)
{
	fail_each_call(rewrite_save_and_switch, 1, EIO, false);
	fail_each_call(start_from_snapshot_and_cancel, 1, EIO, false);
}
END_TEST

START_TEST(the_disk_is_full_for_some_calls_and_all_is_kept_soon)
{
	fail_each_call(rewrite_save_and_switch, 5, ENOSPC, true);
	fail_each_call(start_from_snapshot_and_cancel, 5, ENOSPC, true);
}
END_TEST

START_TEST(the_process_ends_at_any_call_and_what_was_kept_is_there)
{
	end_at_each_call(rewrite_save_and_switch);
	end_at_each_call(start_from_snapshot_and_cancel);
}
END_TEST

START_TEST(the_end_completes_a_switch_that_is_under_way)
{
	uint64_t all;

	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(end_while_switching_on());
	all = l.server.count;
	testing_daemon_load_each(&l, all);
	testing_daemon_release(&l);
	end_at_each_call(end_while_switching_on);
}
END_TEST

/* A random action of a client, an admin, the disk or time. */
static void
happen(uint64_t random)
{
	static const uint32_t kinds[] = {TESTING_ALL, TESTING_ALL, TESTING_SYNC,
	    TESTING_WRITE | TESTING_TRUNCATE, TESTING_RENAME | TESTING_OPEN, TESTING_FORK};
	uint64_t attempt = 0;

	switch (random % 12) {
	case 0:
		(void)persist_rewrite(l.p);
		break;
	case 1:
		(void)persist_save(l.p, (random >> 8) % 2 == 0);
		break;
	case 2:
		if ((random >> 8) % 4 == 0)
			(void)!persist_save_now(l.p);
		break;
	case 3:
		if ((random >> 8) % 2 == 0)
			persist_switch_off(l.p);
		break;
	case 4:
		buffer_clear(&l.error);
		(void)!persist_switch_on(l.p, &attempt, &l.error);
		break;
	case 5:
		testing_daemon_set_policy(&l, (enum aof_sync)((random >> 8) % 3));
		break;
	case 6:
		testing_disk_fail(
		    l.disk, kinds[(random >> 8) % 6], random >> 16 & 3, random >> 24 & 7, ENOSPC);
		l.disk->fails_short = (random >> 32) % 2 == 0;
		break;
	case 7:
		testing_pass_us(1000000);
		break;
	case 8:
		testing_daemon_end_child(&l);
		break;
	case 9:
		persist_run_writer(l.p);
		break;
	default:
		testing_host_change(&l.server);
		break;
	}
	if ((random >> 48) % 2 == 0)
		testing_daemon_turn(&l);
	testing_daemon_await_child(&l);
}

static void
live_at_random(uint64_t *seed)
{
	uint64_t all = 0;

	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	for (int steps = 0; steps < 60; steps++)
		happen(testing_random(seed));
	if (testing_random(seed) % 2 == 0) {
		testing_disk_heal(l.disk);
		testing_daemon_set_policy(&l, AOF_SYNC_ALWAYS);
		recover();
		all = l.server.count;
	}
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, all);
	testing_daemon_release(&l);
}

START_TEST(random_lives_keep_what_they_reported)
{
	const char *text = getenv("FANFARE_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 78;

	for (uint32_t i = 0; i < 200; i += stride())
		live_at_random(&seed);
}
END_TEST

int
main(void)
{
	return testing_main("persist/persist_fault", setup, teardown,
	    (const TTest *[]){one_call_fails_and_all_is_kept_soon,
		the_disk_is_full_for_some_calls_and_all_is_kept_soon,
		the_process_ends_at_any_call_and_what_was_kept_is_there,
		the_end_completes_a_switch_that_is_under_way, random_lives_keep_what_they_reported,
		NULL});
}
