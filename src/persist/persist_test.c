#include "config.h"

#include "persist/persist.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/data_folder.h"
#include "persist/history_file.h"
#include "persist/testing_daemon.h"
#include "persist/testing_log.h"
#include "persist/transfer.h"

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

START_TEST(what_was_changed_before_appendonly_no_is_in_the_file)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	testing_host_change(&l.server);
	persist_switch_off(l.p);
	ck_assert(!l.server.journal_is_on);
	testing_daemon_turn(&l);
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, 4);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(a_child_that_was_asked_to_end_is_cancelled_and_not_failed)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	l.disk->child_signal = SIGTERM;
	(void)persist_save(l.p, true);
	testing_daemon_end_dumps(&l);
	ck_assert_int_eq(persist_figures(l.p).save, DUMP_WAS_CANCELLED);
	testing_daemon_turn(&l);
	ck_assert(!l.server.is_refused);
	l.disk->child_signal = SIGKILL;
	(void)persist_save(l.p, true);
	testing_daemon_end_dumps(&l);
	ck_assert_int_eq(persist_figures(l.p).save, DUMP_FAILED);
	testing_daemon_turn(&l);
	ck_assert(l.server.is_refused && !l.server.is_failed);
	ck_assert(persist_save_now(l.p));
	testing_daemon_turn(&l);
	ck_assert(!l.server.is_refused);
	persist_free(l.p);
	l.p = NULL;
	testing_daemon_load_each(&l, 2);
	testing_daemon_release(&l);
}
END_TEST

/* Its reply is held, so the change is synced although another policy is set when the turn ends. */
START_TEST(a_change_before_a_change_of_the_policy_is_kept)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	for (enum aof_sync policy = AOF_SYNC_EVERYSEC; policy <= AOF_SYNC_NO; policy++) {
		testing_daemon_set_policy(&l, AOF_SYNC_ALWAYS);
		testing_host_change(&l.server);
		testing_daemon_set_policy(&l, policy);
		persist_turn_ends(l.p);
		persist_run_writer(l.p);
		ck_assert_uint_eq(persist_figures(l.p).unsynced_bytes, 0);
	}
	persist_free(l.p);
	l.p = NULL;
	testing_daemon_release(&l);
}
END_TEST

START_TEST(writers_go_on_when_more_may_be_unsynced)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	l.config.unsynced_max_bytes = 1;
	persist_configure(l.p, &l.config);
	testing_host_change(&l.server);
	persist_turn_ends(l.p);
	ck_assert(l.server.is_crowded);
	persist_configure(l.p, &l.config);
	ck_assert(l.server.is_crowded);
	l.config.unsynced_max_bytes = 1 << 20;
	persist_configure(l.p, &l.config);
	ck_assert(!l.server.is_crowded);
	persist_run_writer(l.p);
	persist_free(l.p);
	l.p = NULL;
	testing_daemon_release(&l);
}
END_TEST

/* The newer one has the only outcome. */
START_TEST(a_snapshot_that_gives_way_to_a_newer_one_has_no_outcome)
{
	struct persist_figures figures;

	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	for (int is_placing = 0; is_placing < 2; is_placing++) {
		(void)persist_save(l.p, true);
		persist_turn_ends(l.p);
		testing_host_change(&l.server);
		if (is_placing)
			testing_daemon_end_child(&l);
		ck_assert(persist_save_now(l.p));
		ck_assert(!persist_figures(l.p).is_saving);
		testing_daemon_end_dumps(&l);
		testing_daemon_turn(&l);
		figures = persist_figures(l.p);
		ck_assert_int_eq(figures.save, DUMP_DONE);
		ck_assert_uint_eq(figures.saves, (uint64_t)is_placing + 1);
		ck_assert_uint_eq(figures.good_saves, figures.saves);
		ck_assert_uint_eq(l.server.saved, l.server.count);
	}
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, 6);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(a_rewrite_that_fails_by_itself_is_begun_again_after_five_seconds)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	l.config.rewrite_percentage = 100;
	persist_configure(l.p, &l.config);
	testing_disk_fail(l.disk, TESTING_FORK, 0, UINT32_MAX, EAGAIN);
	for (int turns = 0; turns < 60; turns++)
		testing_daemon_turn(&l);
	ck_assert_uint_eq(l.disk->calls, 3);
	/* The retry time applies to one kind only. */
	ck_assert_int_eq(persist_save(l.p, true), PERSIST_STARTED);
	testing_daemon_turn(&l);
	ck_assert_uint_eq(l.disk->calls, 4);
	testing_disk_heal(l.disk);
	for (int turns = 0; turns < 30; turns++)
		testing_daemon_turn(&l);
	testing_daemon_end_dumps(&l);
	ck_assert_uint_eq(persist_figures(l.p).good_rewrites, 1);
	persist_free(l.p);
	l.p = NULL;
	testing_daemon_load_each(&l, 2);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(appendonly_of_a_configuration_file_is_tried_until_it_succeeds)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, false));
	testing_daemon_change_in_turns(&l, 2);
	testing_disk_fail(l.disk, TESTING_OPEN, 0, UINT32_MAX, EACCES);
	persist_switch_on_retrying(l.p);
	for (int turns = 0; turns < 30; turns++)
		testing_daemon_turn(&l);
	ck_assert_uint_eq(l.disk->calls, 2);
	ck_assert(!persist_is_on(l.p));
	testing_disk_heal(l.disk);
	for (int turns = 0; turns < 30; turns++) {
		testing_daemon_turn(&l);
		testing_daemon_end_child(&l);
	}
	ck_assert(persist_figures(l.p).log_is_on);
	ck_assert_uint_eq(l.server.accepted, 1);
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, 4);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(after_the_hand_over_nothing_is_accepted_or_begun)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	testing_daemon_change_in_turns(&l, 1);
	persist_hand_over(l.p);
	ck_assert(l.server.is_refused && !l.server.is_failed);
	testing_disk_fail(l.disk, TESTING_FORK, 0, 0, 0);
	(void)persist_rewrite(l.p);
	persist_turn_ends(l.p);
	persist_run_writer(l.p);
	ck_assert_uint_eq(l.disk->calls, 0);
	testing_disk_heal(l.disk);
	persist_free(l.p);
	l.p = NULL;
	testing_daemon_load_each(&l, 2);
	testing_daemon_release(&l);
}
END_TEST

static void
leave_history(void)
{
	int fd = open(HISTORY_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

START_TEST(a_history_that_was_not_used_is_removed_or_nothing_is_served)
{
	static const enum testing_call calls[] = {TESTING_UNLINK, TESTING_SYNC};

	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	ck_assert(testing_daemon_start(&l, true));
	for (size_t i = 0; i < 2; i++) {
		leave_history();
		testing_disk_fail(l.disk, calls[i], 0, 1, EIO);
		buffer_clear(&l.error);
		ck_assert(!persist_discard_history(l.p, &l.error));
		ck_assert_uint_gt(l.error.len, 0);
		testing_disk_heal(l.disk);
		ck_assert(persist_discard_history(l.p, &l.error));
		ck_assert_int_ne(access(HISTORY_FILE, F_OK), 0);
	}
	/* A removal that an earlier process has not synced is synced. */
	testing_disk_fail(l.disk, TESTING_SYNC, 0, 1, EIO);
	ck_assert(!persist_discard_history(l.p, &l.error));
	testing_daemon_kill(&l);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(a_process_without_the_lock_takes_it_for_a_history_and_leaves_that_of_another_daemon)
{
	struct persist_config config = {.log_name = "a.aof", .snapshot_name = "a.snapshot"};
	int lock_fd;

	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
	l.p = persist_new(&config, &l.server.host, &l.disk->disk);
	ck_assert(persist_start(l.p, &l.error));
	ck_assert(persist_discard_history(l.p, &l.error));
	ck_assert_int_ne(access(DATA_FOLDER_LOCK, F_OK), 0);
	leave_history();
	ck_assert(data_folder_lock(&lock_fd, false, &l.error));
	ck_assert(persist_discard_history(l.p, &l.error));
	ck_assert_int_eq(access(HISTORY_FILE, F_OK), 0);
	close(lock_fd);
	ck_assert(persist_discard_history(l.p, &l.error));
	ck_assert_int_ne(access(HISTORY_FILE, F_OK), 0);
	ck_assert(data_folder_lock(&lock_fd, false, &l.error));
	close(lock_fd);
	ck_assert_uint_eq(l.error.len, 0);
	testing_daemon_kill(&l);
	testing_daemon_release(&l);
}
END_TEST

int
main(void)
{
	return testing_main("persist/persist", setup, teardown,
	    (const TTest *[]){what_was_changed_before_appendonly_no_is_in_the_file,
		a_change_before_a_change_of_the_policy_is_kept,
		writers_go_on_when_more_may_be_unsynced,
		a_child_that_was_asked_to_end_is_cancelled_and_not_failed,
		a_snapshot_that_gives_way_to_a_newer_one_has_no_outcome,
		a_rewrite_that_fails_by_itself_is_begun_again_after_five_seconds,
		appendonly_of_a_configuration_file_is_tried_until_it_succeeds,
		after_the_hand_over_nothing_is_accepted_or_begun,
		a_history_that_was_not_used_is_removed_or_nothing_is_served,
		a_process_without_the_lock_takes_it_for_a_history_and_leaves_that_of_another_daemon,
		NULL});
}
