#include "config.h"

#include "persist/persist.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/testing.h"
#include "persist/testing_disk.h"
#include "persist/testing_host.h"

/* Whole lives of the persistence layer, over a disk on which one call after the other fails. */

/* A fork is slow with a sanitizer or under valgrind: then not each call fails, but one of so many.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

static struct testing_host server;
static struct testing_disk *disk;
static struct persist *p;
static struct persist_config config;
static struct buffer error;
static uint64_t clock_us;
static char folder[64];
static bool fds_before[1024];

static uint64_t
test_clock_us(void)
{
	return clock_us;
}

/* The folder and the process. */

static void
list_fds(bool fds[1024])
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	memset(fds, 0, 1024 * sizeof(*fds));
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			fds[atoi(entry->d_name)] = true;
	closedir(dir);
}

static void
setup(void)
{
	log_set_level(LOG_LEVEL_NONE);
	/* Thousands of small files: best in memory. */
	snprintf(folder, sizeof(folder), "%s/fanfare-persist-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
teardown(void)
{
	testing_disk_empty_folder();
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	log_set_level(LOG_LEVEL_NOTICE);
}

/* Another process: the keyspace is empty, and what was promised is remembered. */
static void
be_new_process(void)
{
	uint64_t kept = server.kept, in_snapshot = server.saved;

	testing_host_release(&server);
	testing_host_init(&server);
	server.kept = kept;
	server.saved = in_snapshot;
	/* A child that had told its result may have been left. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static bool
try_start(bool appendonly)
{
	bool ok;

	be_new_process();
	config = (struct persist_config){.appendonly = appendonly,
	    .log_name = "a.aof",
	    .snapshot_name = "a.snapshot",
	    .policy = AOF_SYNC_ALWAYS,
	    .load_truncated = true,
	    .rules = {{3600, 1000000}},
	    .rule_count = 1,
	    .stop_on_save_error = true,
	    .unsynced_max_bytes = 1 << 20,
	    .end_timeout_s = 1};
	p = persist_new(&config, &server.host, &disk->disk);
	buffer_clear(&error);
	ok = persist_start(p, &error);
	if (ok)
		return true;
	ck_assert_uint_gt(error.len, 0);
	persist_free(p);
	p = NULL;
	return false;
}

/* Tries again, as a person would. False: the disk is dead. */
static bool
start(bool appendonly)
{
	for (int tries = 0; tries < 20; tries++)
		if (try_start(appendonly))
			return true;
	return false;
}

/* Nothing more is written, the files are closed. */
static void
kill_process(void)
{
	bool fds[1024];

	testing_disk_die(disk);
	persist_free(p);
	p = NULL;
	list_fds(fds);
	for (int fd = 0; fd < 1024; fd++)
		if (fds[fd] && !fds_before[fd])
			close(fd);
}

/* The loop. */

/* What writers are told is what is wrong. */
static void
expect_refusal(void)
{
	struct persist_figures figures = persist_figures(p);

	ck_assert_int_eq(server.is_failed, figures.fault.error != 0);
	ck_assert_int_eq(
	    server.is_refused, figures.fault.error != 0 || figures.save == DUMP_FAILED);
}

static void
turn(void)
{
	clock_us += 200000;
	(void)persist_turn(p, clock_us);
	persist_turn_ends(p);
	expect_refusal();
	persist_run_writer(p);
}

static void
await_child(void)
{
	struct pollfd child = {.fd = server.child_fd, .events = POLLIN};

	if (server.child_fd != -1)
		ck_assert_int_eq(poll(&child, 1, 20000), 1);
}

/* The child has ended, but is waited for by persist.c. */
static void
end_child(void)
{
	siginfo_t info;

	if (server.child_fd == -1)
		return;
	await_child();
	server.child_ready(server.child_arg);
	(void)waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
}

/* Until no dump is under way; on a dead disk that may never be. */
static void
end_dumps(void)
{
	struct persist_figures figures;

	for (int turns = 0; turns < 20; turns++) {
		figures = persist_figures(p);
		if (server.child_fd == -1 && !figures.is_rewriting && !figures.is_saving &&
		    !figures.rewrite_is_scheduled)
			return;
		turn();
		end_child();
		if (turns > 5)
			clock_us += 1000000;
	}
	ck_assert_msg(disk->fail_count == UINT32_MAX, "a dump does not end");
}

static void
changes_in_turns(int turns)
{
	while (turns-- > 0) {
		testing_host_change(&server);
		turn();
	}
}

static void
set_policy(enum aof_sync policy)
{
	config.policy = policy;
	persist_configure(p, &config);
}

/* CONFIG SET appendonly yes, until it succeeds. */
static void
switch_on(void)
{
	for (int tries = 0; tries < 10; tries++) {
		enum persist_switch result;
		uint64_t attempt = 0;

		buffer_clear(&error);
		while ((result = persist_switch_on(p, &attempt, &error)) == PERSIST_PENDING) {
			unsigned ended_before = server.ended;

			testing_host_change(&server);
			end_dumps();
			ck_assert_msg(
			    server.ended != ended_before, "the command is never asked again");
		}
		if (result == PERSIST_SWITCHED) {
			ck_assert(persist_figures(p).log_is_on);
			return;
		}
		ck_assert_uint_gt(error.len, 0);
		ck_assert(!persist_is_on(p));
	}
}

/* Scenarios: false if the disk is dead. */

static bool
rewrite_save_and_switch(void)
{
	if (!start(true))
		return false;
	changes_in_turns(3);
	(void)persist_rewrite(p);
	turn();
	await_child();
	changes_in_turns(2);
	end_child();
	testing_host_change(&server);
	end_dumps();
	changes_in_turns(2);
	(void)persist_save(p, true);
	testing_host_change(&server);
	turn();
	await_child();
	changes_in_turns(1);
	end_child();
	end_dumps();
	set_policy(AOF_SYNC_EVERYSEC);
	changes_in_turns(3);
	set_policy(AOF_SYNC_ALWAYS);
	changes_in_turns(1);
	persist_switch_off(p);
	changes_in_turns(2);
	switch_on();
	changes_in_turns(2);
	(void)!persist_save_now(p);
	changes_in_turns(1);
	return true;
}

static bool
start_from_snapshot_and_cancel(void)
{
	if (!start(false))
		return false;
	changes_in_turns(3);
	for (int tries = 0; tries < 20 && !persist_save_now(p); tries++)
		turn();
	persist_free(p);
	p = NULL;
	if (!start(true))
		return false;
	changes_in_turns(2);
	/* A rewrite gives way to appendonly no, and its successor waits for its end. */
	(void)persist_rewrite(p);
	turn();
	await_child();
	testing_host_change(&server);
	persist_switch_off(p);
	testing_host_change(&server);
	switch_on();
	changes_in_turns(2);
	/* A snapshot gives way to a newer one, while its child writes and while it is renamed. */
	(void)persist_save(p, true);
	turn();
	await_child();
	testing_host_change(&server);
	(void)!persist_save_now(p);
	end_dumps();
	(void)persist_save(p, true);
	turn();
	await_child();
	changes_in_turns(1);
	end_child();
	(void)!persist_save_now(p);
	end_dumps();
	/* The end comes while a child writes. */
	changes_in_turns(1);
	(void)persist_rewrite(p);
	turn();
	await_child();
	testing_host_change(&server);
	return true;
}

/* The disk works: after a while all is well. */
static void
recover(void)
{
	struct persist_figures figures;

	for (int tries = 0; tries < 8; tries++) {
		clock_us += 1000000;
		turn();
	}
	end_dumps();
	if (!persist_figures(p).log_is_on)
		switch_on();
	if (persist_figures(p).save == DUMP_FAILED)
		ck_assert(persist_save_now(p));
	turn();
	turn();
	figures = persist_figures(p);
	ck_assert(figures.log_is_on);
	ck_assert_int_eq(figures.fault.error, 0);
	ck_assert_uint_eq(figures.unsynced_bytes, 0);
	ck_assert_uint_eq(figures.unwritten_bytes, 0);
	ck_assert(!server.is_failed && !server.is_refused && !server.is_crowded);
	ck_assert_uint_eq(server.kept, server.count);
}

/* The next start has what was promised. */
static uint64_t
load(void)
{
	uint64_t count;

	testing_disk_fail(disk, 0, 0, 0, 0);
	ck_assert_msg(try_start(false), "%.*s", (int)error.len, error.ptr);
	ck_assert(!server.is_wrong && server.count % 2 == 0 && server.count >= server.saved);
	persist_free(p);
	ck_assert_msg(try_start(true), "%.*s", (int)error.len, error.ptr);
	count = server.count;
	ck_assert_msg(!server.is_wrong, "batches are missing or doubled");
	ck_assert_msg(count % 2 == 0, "half a transaction was loaded");
	ck_assert_msg(count >= server.kept, "%llu are loaded of %llu", (unsigned long long)count,
	    (unsigned long long)server.kept);
	ck_assert_int_ne(access("fanfared-rewrite.tmp", F_OK), 0);
	ck_assert_int_ne(access("fanfared-snapshot.tmp", F_OK), 0);
	persist_free(p);
	p = NULL;
	return count;
}

static void
begin_life(void)
{
	testing_disk_empty_folder();
	list_fds(fds_before);
	testing_host_init(&server);
	disk = testing_disk_new();
	disk->disk.clock_us = test_clock_us;
}

static void
end_life(void)
{
	bool fds[1024];

	testing_disk_free(disk);
	testing_host_release(&server);
	buffer_release(&error);
	/* No file is left open. */
	list_fds(fds);
	ck_assert_int_eq(memcmp(fds, fds_before, sizeof(fds)), 0);
}

/* Of whatever kind the end was. */
static void
load_each(uint64_t least)
{
	struct testing_image *images[TESTING_LOSSES];

	for (int i = 0; i < TESTING_LOSSES; i++)
		images[i] = testing_disk_image(disk, (enum testing_loss)i);
	for (int i = 0; i < TESTING_LOSSES; i++) {
		testing_image_put(images[i]);
		ck_assert_uint_ge(load(), least);
		testing_image_free(images[i]);
	}
}

/* count calls fail, and all is kept at last. How many calls there were. */
static uint32_t
fail_and_recover(
    bool (*scenario)(void), uint32_t from, uint32_t count, int error_number, bool is_short)
{
	uint64_t all;
	uint32_t calls;

	begin_life();
	testing_disk_fail(disk, TESTING_ALL, from, count, error_number);
	disk->fails_short = is_short;
	ck_assert(scenario());
	calls = disk->calls;
	recover();
	all = server.count;
	if (from % 2 == 0) {
		persist_free(p);
		p = NULL;
	} else {
		kill_process();
	}
	load_each(all);
	end_life();
	return calls;
}

/* The process is killed, or the power lost, at this call. */
static void
end_at_call(bool (*scenario)(void), uint32_t from)
{
	begin_life();
	testing_disk_fail(disk, TESTING_ALL, from, UINT32_MAX, EIO);
	(void)scenario();
	kill_process();
	load_each(0);
	end_life();
}

static uint32_t
stride(void)
{
	return testing_steps(100) == 100 ? STRIDE : 29;
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
	uint32_t calls = fail_and_recover(scenario, UINT32_MAX - 1, 0, 0, false);

	for (uint32_t i = 0; i < calls; i += stride())
		end_at_call(scenario, i);
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

int
main(void)
{
	return testing_main("persist/persist_fault", setup, teardown,
	    (const TTest *[]){one_call_fails_and_all_is_kept_soon,
		the_disk_is_full_for_some_calls_and_all_is_kept_soon,
		the_process_ends_at_any_call_and_what_was_kept_is_there, NULL});
}
