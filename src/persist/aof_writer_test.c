#include "config.h"

#include "persist/aof_writer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/aof_file.h"
#include "persist/disk.h"

/* Longer than the shutdown takes, even on a slow machine. */
#define END_US 20000000

static char folder[] = "/tmp/fanfare-writer-XXXXXX";
static struct aof_writer *w;
static struct aof_report report;
static uint64_t number;

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/fanfare-writer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	number = 0;
	report = (struct aof_report){0};
}

static void
teardown(void)
{
	(void)unlink("a.aof");
	(void)unlink("b.tmp");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int
create(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ne(fd, -1);
	return fd;
}

/* False: something could not be written. */
static bool
free_writer(uint64_t limit_us)
{
	bool needs_rewrite;

	return aof_writer_free(w, limit_us, &needs_rewrite);
}

static void
begin_at(enum aof_sync policy, uint64_t offset)
{
	const struct aof_writer_settings settings = {
	    .policy = policy, .unsynced_max_bytes = UINT64_MAX};

	int fd;

	w = aof_writer_new(&disk_system, &settings, true);
	ck_assert_ptr_nonnull(w);
	fd = create("a.aof");
	ck_assert_int_eq(ftruncate(fd, (off_t)offset), 0);
	if (offset >= 2) /* the end of a batch */
		ck_assert_int_eq(pwrite(fd, "\r\n", 2, (off_t)offset - 2), 2);
	aof_writer_open(w, fd, offset, 1, "a.aof");
}

static void
begin(enum aof_sync policy)
{
	begin_at(policy, 0);
}

static void
set(int value)
{
	struct buffer batch = {0};

	buffer_appendf(&batch, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\n%05d\r\n", value);
	aof_writer_append(w, ++number, &batch);
	/* Check writes the position of each passed assertion to a file, which is subject to the
	 * limit, too. */
	if (batch.ptr != NULL)
		ck_abort_msg("the batch was not taken");
}

#define await(condition)                                                                           \
	do {                                                                                       \
		struct pollfd ready = {.fd = aof_writer_wake_fd(w), .events = POLLIN};             \
                                                                                                   \
		if (poll(&ready, 1, 20000) != 1)                                                   \
			ck_abort_msg("nothing is reported");                                       \
		aof_writer_report(w, &report);                                                     \
	} while (!(condition))

/* Asserts that the file is valid and that its values are consecutive from `first` on; returns how
 * many follow it. */
static int
count_in(const char *name, int first)
{
	struct aof_file file;
	struct aof_scan scan = {0};
	struct aof_commands taken = {0};
	struct slice commands;
	int count = 0;

	ck_assert(aof_file_open(&file, name, false));
	scan.file = file.bytes;
	while (aof_scan_next(&scan, &commands) == AOF_COMMANDS)
		while (aof_command_next(&taken, &commands) == AOF_COMMAND) {
			char value[6] = {0};

			snprintf(value, sizeof(value), "%.5s", taken.args[2].ptr);
			if (atoi(value) != first + count)
				return -1;
			count++;
		}
	ck_assert_int_eq(aof_scan_next(&scan, &commands), AOF_END);
	aof_commands_release(&taken);
	aof_file_close(&file);
	return count;
}

START_TEST(batches_are_in_the_file_in_order_when_they_are_reported_kept)
{
	begin(AOF_SYNC_ALWAYS);
	for (int i = 0; i < 1000; i++)
		set(i);
	await(report.kept == 1000);
	ck_assert_int_eq(report.fault.error, 0);
	ck_assert_uint_eq(report.unwritten_bytes, 0);
	ck_assert_uint_eq(report.unsynced_bytes, 0);
	ck_assert_uint_ge(report.syncs, 1);
	ck_assert_int_eq(count_in("a.aof", 0), 1000);
	ck_assert(free_writer(END_US));
}
END_TEST

/* The time to gather more batches ends just when the thread goes to sleep. */
START_TEST(a_batch_that_nothing_follows_is_kept_all_the_same)
{
	begin(AOF_SYNC_ALWAYS);
	for (int i = 0; i < 2000; i++) {
		set(i);
		await(report.kept == (uint64_t)i + 1);
	}
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(all_that_was_ordered_is_done_at_the_end)
{
	begin(AOF_SYNC_NO);
	for (int i = 0; i < 1000; i++)
		set(i);
	ck_assert(free_writer(END_US));
	ck_assert_int_eq(count_in("a.aof", 0), 1000);
}
END_TEST

START_TEST(everysec_syncs_what_it_wrote_before_long)
{
	begin(AOF_SYNC_EVERYSEC);
	set(0);
	await(report.kept == 1);
	set(1);
	await(report.kept == 2);
	ck_assert_uint_ge(report.syncs, 2);
	ck_assert(free_writer(END_US));
}
END_TEST

/* Check's own file needs room, too. */
#define LIMIT ((rlim_t)1 << 20)

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(what_does_not_fit_is_cut_off_again_and_written_when_there_is_room)
{
	begin(AOF_SYNC_ALWAYS);
	limit_files(LIMIT);
	for (int i = 0; i < 20000; i++)
		set(i);
	await(report.fault.error != 0);
	ck_assert_int_eq(report.fault.error, EFBIG);
	ck_assert_uint_lt(report.kept, 20000);
	ck_assert_uint_gt(report.unwritten_bytes, 0);
	/* Only whole batches, and exactly those reported as kept. */
	ck_assert_int_eq(count_in("a.aof", 0), (int)report.kept);
	limit_files(RLIM_INFINITY);
	await(report.kept == 20000 && report.fault.error == 0);
	ck_assert_int_eq(count_in("a.aof", 0), 20000);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(at_the_end_it_says_if_something_could_not_be_written)
{
	begin_at(AOF_SYNC_ALWAYS, LIMIT);
	limit_files(LIMIT);
	set(0);
	await(report.fault.error != 0);
	ck_assert(!free_writer(50000));
	limit_files(RLIM_INFINITY);
}
END_TEST

START_TEST(another_file_takes_the_place_with_all_since_the_mark)
{
	begin(AOF_SYNC_ALWAYS);
	for (int i = 0; i < 500; i++)
		set(i);
	aof_writer_mark(w);
	for (int i = 500; i < 1000; i++)
		set(i);
	aof_writer_adopt(w, create("b.tmp"), "b.tmp", "a.aof", 1);
	for (int i = 1000; i < 1500; i++)
		set(i);
	await(report.placed == 1 && report.kept == 1500);
	ck_assert_int_eq(count_in("a.aof", 500), 1000);
	ck_assert_int_ne(access("b.tmp", F_OK), 0);
	set(1500);
	ck_assert(free_writer(END_US));
	ck_assert_int_eq(count_in("a.aof", 500), 1001);
}
END_TEST

START_TEST(a_damaged_file_is_not_copied_into_a_good_one)
{
	int fd;

	begin(AOF_SYNC_ALWAYS);
	aof_writer_mark(w);
	set(0);
	await(report.kept == 1);
	fd = open("a.aof", O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "9", 1, AOF_HEADER_LEN + 28), 1);
	close(fd);
	aof_writer_adopt(w, create("b.tmp"), "b.tmp", "a.aof", 1);
	await(report.placed == 1);
	ck_assert_int_eq(report.place_error, EIO);
	ck_assert_int_ne(access("b.tmp", F_OK), 0);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(a_rename_does_not_wait_for_what_cannot_be_written)
{
	begin_at(AOF_SYNC_ALWAYS, LIMIT);
	limit_files(LIMIT);
	set(0);
	await(report.fault.error != 0);
	close(create("b.tmp"));
	aof_writer_rename(w, "b.tmp", "c.aof", 0);
	await(report.placed == 1);
	ck_assert_int_eq(report.place_error, 0);
	ck_assert_int_eq(unlink("c.aof"), 0);
	limit_files(RLIM_INFINITY);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(once_stopped_nothing_is_written_and_failure_is_over)
{
	begin_at(AOF_SYNC_ALWAYS, LIMIT);
	limit_files(LIMIT);
	set(0);
	await(report.fault.error != 0);
	aof_writer_stop(w);
	await(report.stops == 1);
	ck_assert_int_eq(report.fault.error, 0);
	ck_assert_int_eq(report.stop_error, EFBIG);
	ck_assert_uint_eq(report.kept, 1);
	ck_assert_uint_eq(aof_writer_unsynced(w), 0);
	ck_assert_uint_eq(aof_writer_unwritten(w), 0);
	/* Later batches count as kept, too: no reply is held for them. */
	set(1);
	await(report.kept == 2);
	limit_files(RLIM_INFINITY);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(an_older_rename_is_refused)
{
	begin(AOF_SYNC_ALWAYS);
	close(create("b.tmp"));
	aof_writer_refuse_renames(w, 3);
	aof_writer_rename(w, "b.tmp", "c.aof", 2);
	await(report.placed == 1);
	ck_assert_int_eq(report.place_error, ECANCELED);
	ck_assert_int_eq(access("b.tmp", F_OK), 0);
	aof_writer_rename(w, "b.tmp", "c.aof", 3);
	await(report.placed == 2);
	ck_assert_int_eq(report.place_error, 0);
	ck_assert_int_eq(unlink("c.aof"), 0);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(a_rewrite_of_another_file_or_of_none_is_refused)
{
	begin(AOF_SYNC_ALWAYS);
	aof_writer_mark(w);
	aof_writer_adopt(w, create("b.tmp"), "b.tmp", "a.aof", 2);
	await(report.placed == 1);
	ck_assert_int_eq(report.place_error, ECANCELED);
	ck_assert_int_ne(access("b.tmp", F_OK), 0);
	aof_writer_stop(w);
	aof_writer_adopt(w, create("b.tmp"), "b.tmp", "a.aof", 1);
	await(report.placed == 2);
	ck_assert_int_eq(report.place_error, ECANCELED);
	ck_assert_int_ne(access("b.tmp", F_OK), 0);
	ck_assert_uint_eq(report.generation, 0);
	ck_assert(free_writer(END_US));
}
END_TEST

START_TEST(always_keeps_what_was_handed_over_under_no)
{
	const struct aof_writer_settings always = {
	    .policy = AOF_SYNC_ALWAYS, .unsynced_max_bytes = UINT64_MAX};

	begin(AOF_SYNC_NO);
	for (int i = 0; i < 100; i++)
		set(i);
	await(report.size > 0);
	ck_assert_uint_eq(report.kept, 0);
	ck_assert_uint_gt(aof_writer_unsynced(w), 0);
	aof_writer_configure(w, &always);
	await(report.kept == 100);
	ck_assert_uint_eq(aof_writer_unsynced(w), 0);
	ck_assert(free_writer(END_US));
}
END_TEST

int
main(void)
{
	return testing_main("persist/aof_writer", setup, teardown,
	    (const TTest *[]){batches_are_in_the_file_in_order_when_they_are_reported_kept,
		a_batch_that_nothing_follows_is_kept_all_the_same,
		all_that_was_ordered_is_done_at_the_end, everysec_syncs_what_it_wrote_before_long,
		what_does_not_fit_is_cut_off_again_and_written_when_there_is_room,
		at_the_end_it_says_if_something_could_not_be_written,
		another_file_takes_the_place_with_all_since_the_mark,
		a_damaged_file_is_not_copied_into_a_good_one,
		a_rename_does_not_wait_for_what_cannot_be_written,
		once_stopped_nothing_is_written_and_failure_is_over, an_older_rename_is_refused,
		a_rewrite_of_another_file_or_of_none_is_refused,
		always_keeps_what_was_handed_over_under_no, NULL});
}
