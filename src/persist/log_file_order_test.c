#include "config.h"

#include "persist/log_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/testing_log.h"

static struct testing_log t;

static void
setup(void)
{
	testing_log_enter(&t);
}

static void
teardown(void)
{
	testing_log_leave(&t);
}

START_TEST(everysec_syncs_each_second_unless_the_disk_is_spared)
{
	testing_log_open(&t, "a.aof", 1);
	t.file.policy = AOF_SYNC_EVERYSEC;
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 0);
	ck_assert_uint_eq(log_file_due_us(&t.file), testing_now_us() + 1000000);
	t.file.spares_disk = true;
	testing_pass_us(1000000);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 0);
	ck_assert_uint_eq(log_file_due_us(&t.file), UINT64_MAX);
	t.file.spares_disk = false;
	ck_assert_uint_eq(log_file_due_us(&t.file), 0);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 1);
	testing_log_append(&t);
	testing_pass_us(999999);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 1);
	testing_pass_us(1);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 2);
}
END_TEST

START_TEST(batches_up_to_half_of_the_limit_may_be_unsynced_whatever_the_policy)
{
	testing_log_open(&t, "a.aof", 1);
	t.file.policy = AOF_SYNC_NO;
	testing_log_append(&t);
	t.file.unsynced_max_bytes = t.file.unsynced_bytes * 6;
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 0);
	ck_assert_uint_eq(log_file_due_us(&t.file), UINT64_MAX);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 3);
	ck_assert_uint_eq(t.file.unsynced_bytes, 0);
}
END_TEST

START_TEST(what_everysec_wrote_outlives_a_sync_that_fails_under_always)
{
	testing_log_open(&t, "a.aof", 1);
	t.file.policy = AOF_SYNC_EVERYSEC;
	testing_log_append(&t);
	testing_log_append(&t);
	log_file_work(&t.file);
	t.file.policy = AOF_SYNC_ALWAYS;
	testing_log_append(&t);
	testing_log_work_failing(&t, TESTING_SYNC, 1);
	ck_assert_str_eq(testing_log_state(&t), "Y");
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_KILLED, "a.aof", false), 3);
	/* The system has dropped the data that it could not sync: it is written again. */
	testing_pass_us(1000000);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 3);
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 3);
}
END_TEST

START_TEST(a_batch_is_not_kept_when_its_sync_and_then_its_write_failed)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	/* Both the sync and the write that follows it fail. */
	testing_disk_fail(t.disk, TESTING_SYNC | TESTING_WRITE, 1, 2, EIO);
	log_file_work(&t.file);
	ck_assert_str_eq(testing_log_state(&t), "F");
	ck_assert_uint_eq(t.file.synced.number, 0);
	testing_log_append(&t);
	testing_pass_us(999999);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 0);
	ck_assert_uint_eq(log_file_due_us(&t.file), testing_now_us() + 1);
	testing_pass_us(1);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 2);
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 2);
}
END_TEST

/* The data is written again, so that a sync by another process makes it durable. */
START_TEST(what_could_not_be_synced_is_written_again_before_the_file_is_closed)
{
	int fd;

	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	testing_disk_fail(t.disk, TESTING_SYNC, 0, 1, EIO);
	log_file_stop(&t.file);
	ck_assert_int_eq(t.file.stop_error, EIO);
	fd = t.disk->disk.open(t.disk->disk.arg, "a.aof", O_RDWR);
	ck_assert_int_eq(t.disk->disk.sync(t.disk->disk.arg, fd), 0);
	close(fd);
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 1);
}
END_TEST

START_TEST(the_end_syncs_whatever_the_policy_and_retries_soon)
{
	testing_log_open(&t, "a.aof", 1);
	t.file.policy = AOF_SYNC_NO;
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert(!log_file_is_settled(&t.file));
	log_file_end(&t.file);
	testing_log_work_failing(&t, TESTING_SYNC, 1);
	ck_assert(!log_file_is_settled(&t.file));
	ck_assert_uint_eq(log_file_due_us(&t.file), testing_now_us() + 100000);
	testing_pass_us(100000);
	log_file_work(&t.file);
	ck_assert(log_file_is_settled(&t.file));
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 1);
}
END_TEST

/* No rewrite begins at the end. */
START_TEST(a_rewrite_that_is_done_at_the_end_is_refused)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_mark(&t.file);
	log_file_end(&t.file);
	log_file_adopt(&t.file, testing_log_create_rewritten(&t, "b.tmp", 1), "b.tmp", "a.aof", 1);
	ck_assert_int_eq(t.file.place_error, ECANCELED);
	ck_assert_int_ne(access("b.tmp", F_OK), 0);
	log_file_work(&t.file);
	ck_assert(log_file_is_settled(&t.file));
}
END_TEST

START_TEST(a_failure_of_the_old_file_is_over_with_the_new_one)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_mark(&t.file);
	testing_log_append(&t);
	testing_log_work_failing(&t, TESTING_WRITE, UINT32_MAX);
	ck_assert_int_eq(t.file.fault.error, EIO);
	log_file_adopt(&t.file, testing_log_create_rewritten(&t, "b.tmp", 1), "b.tmp", "a.aof", 1);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.fault.error, 0);
	ck_assert_uint_eq(t.file.synced.number, 2);
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 2);
}
END_TEST

START_TEST(what_a_new_file_begins_with_is_kept_though_what_follows_cannot_be_written)
{
	testing_log_open(&t, "a.aof", 1);
	t.file.policy = AOF_SYNC_NO;
	testing_log_append(&t);
	testing_log_append(&t);
	log_file_mark(&t.file);
	testing_log_append(&t);
	log_file_work(&t.file);
	log_file_adopt(&t.file, testing_log_create_rewritten(&t, "b.tmp", 2), "b.tmp", "a.aof", 1);
	/* The syncs of the new file and its name succeed; later ones fail. */
	testing_disk_fail(t.disk, TESTING_SYNC | TESTING_WRITE, 3, UINT32_MAX, EIO);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.placed, 1);
	ck_assert_int_eq(t.file.place_error, 0);
	ck_assert_str_eq(testing_log_state(&t), "F");
	testing_pass_us(1000000);
	testing_log_work_failing(&t, TESTING_WRITE, UINT32_MAX);
	ck_assert_str_eq(testing_log_state(&t), "F");
	ck_assert_uint_eq(t.file.synced.number, 2);
	ck_assert_uint_ge(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), 2);
	testing_pass_us(1000000);
	log_file_work(&t.file);
	ck_assert_str_eq(testing_log_state(&t), "W");
	testing_log_check(&t);
}
END_TEST

/* A disk with slow syncs. */
static int
slow_sync(void *arg, int fd)
{
	testing_pass_us(300);
	return disk_system.sync(arg, fd);
}

START_TEST(under_always_a_sync_waits_a_moment_for_more)
{
	struct disk slow = disk_system;

	slow.sync = slow_sync;
	log_file_init(&t.file, &slow, testing_now_us);
	t.file.policy = AOF_SYNC_ALWAYS;
	log_file_open(&t.file, testing_log_create(&t, "a.aof"), 0, 1, "a.aof");
	for (int i = 0; i < 8; i++)
		testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 8);
	ck_assert_uint_eq(t.file.slowest_sync_us, 300);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 8);
	ck_assert_uint_eq(log_file_due_us(&t.file), testing_now_us() + 600);
	testing_pass_us(599);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 8);
	testing_pass_us(1);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 9);
	log_file_release(&t.file);
	log_file_init(&t.file, &t.disk->disk, testing_now_us);
}
END_TEST

START_TEST(what_came_under_always_is_synced_under_no_as_well)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_set_policy(&t.file, AOF_SYNC_NO);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 1);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_uint_eq(t.file.synced.number, 1);
}
END_TEST

/* Nothing is acknowledged for a file with a hole, or without a name. */
static void
fault_until_rewritten(int error)
{
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.fault.error, error);
	ck_assert(t.file.fault.needs_rewrite);
	testing_pass_us(1000000);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.state, LOG_FAILING);
	ck_assert_uint_eq(t.file.synced.number, 1);
	log_file_mark(&t.file);
	testing_log_append(&t);
	log_file_adopt(&t.file, testing_log_create_rewritten(&t, "b.tmp", 2), "b.tmp", "a.aof", 1);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.state, LOG_WRITING);
	ck_assert_int_eq(t.file.fault.error, 0);
	ck_assert_uint_eq(t.file.synced.number, 3);
	testing_log_check(&t);
}

START_TEST(a_file_that_somebody_cut_needs_a_rewrite)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_int_eq(truncate("a.aof", 10), 0);
	fault_until_rewritten(EIO);
}
END_TEST

START_TEST(a_file_that_somebody_removed_needs_a_rewrite)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_int_eq(unlink("a.aof"), 0);
	fault_until_rewritten(ENOENT);
}
END_TEST

START_TEST(a_file_that_is_put_back_is_written_on)
{
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_int_eq(rename("a.aof", "b.tmp"), 0);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert(t.file.fault.needs_rewrite);
	ck_assert_int_eq(rename("b.tmp", "a.aof"), 0);
	testing_pass_us(1000000);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.state, LOG_WRITING);
	ck_assert_uint_eq(t.file.synced.number, 2);
}
END_TEST

START_TEST(a_file_without_a_name_has_none_to_lose)
{
	int fd = testing_log_create(&t, "a.aof");

	ck_assert_int_eq(unlink("a.aof"), 0);
	log_file_open(&t.file, fd, 0, 1, NULL);
	testing_log_append(&t);
	log_file_work(&t.file);
	ck_assert_int_eq(t.file.state, LOG_WRITING);
	ck_assert_uint_eq(t.file.synced.number, 1);
}
END_TEST

int
main(void)
{
	return testing_main("persist/log_file_order", setup, teardown,
	    (const TTest *[]){everysec_syncs_each_second_unless_the_disk_is_spared,
		batches_up_to_half_of_the_limit_may_be_unsynced_whatever_the_policy,
		what_everysec_wrote_outlives_a_sync_that_fails_under_always,
		a_batch_is_not_kept_when_its_sync_and_then_its_write_failed,
		what_could_not_be_synced_is_written_again_before_the_file_is_closed,
		the_end_syncs_whatever_the_policy_and_retries_soon,
		a_rewrite_that_is_done_at_the_end_is_refused,
		a_failure_of_the_old_file_is_over_with_the_new_one,
		what_a_new_file_begins_with_is_kept_though_what_follows_cannot_be_written,
		under_always_a_sync_waits_a_moment_for_more,
		what_came_under_always_is_synced_under_no_as_well,
		a_file_that_somebody_cut_needs_a_rewrite,
		a_file_that_somebody_removed_needs_a_rewrite, a_file_that_is_put_back_is_written_on,
		a_file_without_a_name_has_none_to_lose, NULL});
}
