#include "config.h"

#include "persist/testing_daemon.h"

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "persist/testing_log.h"

/* The folder and the process. */

static void
list_fds(bool fds[1024])
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	memset(fds, 0, 1024 * sizeof(*fds));
	while ((entry = readdir(dir)) != NULL) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		/* Higher descriptors are valgrind's own. */
		if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < 1024)
			fds[fd] = true;
	}
	closedir(dir);
}

void
testing_daemon_enter(struct testing_daemon *l)
{
	log_set_level(LOG_LEVEL_NONE);
	/* In memory if possible, because of thousands of small files. */
	snprintf(l->folder, sizeof(l->folder), "%s/fanfare-persist-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(l->folder));
	ck_assert_int_eq(chdir(l->folder), 0);
}

void
testing_daemon_leave(struct testing_daemon *l)
{
	testing_disk_empty_folder();
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(l->folder), 0);
	log_set_level(LOG_LEVEL_NOTICE);
}

/* Becomes a new process: the keyspace is empty; the acknowledged count is remembered. */
static void
be_new_process(struct testing_daemon *l)
{
	uint64_t kept = l->server.kept, in_snapshot = l->server.saved;

	testing_host_release(&l->server);
	testing_host_init(&l->server);
	l->server.kept = kept;
	l->server.saved = in_snapshot;
	/* Reaps a child that was left after its result was read. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void
make(struct testing_daemon *l, bool appendonly)
{
	be_new_process(l);
	l->config = (struct persist_config){.appendonly = appendonly,
	    .log_name = "a.aof",
	    .snapshot_name = "a.snapshot",
	    .policy = AOF_SYNC_ALWAYS,
	    .load_truncated = true,
	    .rules = {{3600, 1000000}},
	    .rule_count = 1,
	    .stop_on_save_error = true,
	    .unsynced_max_bytes = 1 << 20,
	    .end_timeout_s = 1};
	l->p = persist_new(&l->config, &l->server.host, &l->disk->disk);
	buffer_clear(&l->error);
}

/* Returns ok. */
static bool
settle(struct testing_daemon *l, bool ok)
{
	if (ok)
		return true;
	ck_assert_uint_gt(l->error.len, 0);
	persist_free(l->p);
	l->p = NULL;
	return false;
}

bool
testing_daemon_try_start(struct testing_daemon *l, bool appendonly)
{
	make(l, appendonly);
	return settle(l, persist_start(l->p, &l->error));
}

bool
testing_daemon_try_import(
    struct testing_daemon *l, bool appendonly, bool (*fill)(void *arg, struct buffer *error))
{
	make(l, appendonly);
	return settle(l, persist_import(l->p, fill, l, &l->error));
}

/* Retries, as an admin would. False: the disk is dead. */
bool
testing_daemon_start(struct testing_daemon *l, bool appendonly)
{
	for (int tries = 0; tries < 20; tries++)
		if (testing_daemon_try_start(l, appendonly))
			return true;
	return false;
}

/* Ends without writing; closes the files. */
void
testing_daemon_kill(struct testing_daemon *l)
{
	bool fds[1024];

	testing_disk_die(l->disk);
	persist_free(l->p);
	l->p = NULL;
	list_fds(fds);
	for (int fd = 0; fd < 1024; fd++)
		if (fds[fd] && !l->fds_before[fd])
			close(fd);
}

/* The loop. */

/* Asserts that the reason for refusing writes is right. */
static void
expect_refusal(struct testing_daemon *l)
{
	struct persist_figures figures = persist_figures(l->p);

	ck_assert_int_eq(l->server.is_failed, figures.fault.error != 0);
	ck_assert_int_eq(l->server.is_refused, figures.fault.error != 0 || figures.save_is_failing);
}

void
testing_daemon_turn(struct testing_daemon *l)
{
	testing_pass_us(200000);
	(void)persist_turn(l->p, testing_now_us());
	persist_turn_ends(l->p);
	expect_refusal(l);
	persist_run_writer(l->p);
}

void
testing_daemon_await_child(struct testing_daemon *l)
{
	struct pollfd child = {.fd = l->server.child_fd, .events = POLLIN};

	if (l->server.child_fd != -1)
		ck_assert_int_eq(poll(&child, 1, 20000), 1);
}

/* The child has ended, but is waited for by persist.c. */
void
testing_daemon_end_child(struct testing_daemon *l)
{
	siginfo_t info;

	if (l->server.child_fd == -1)
		return;
	testing_daemon_await_child(l);
	l->server.child_ready(l->server.child_arg);
	(void)waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
}

/* Runs turns until no dump is under way, or for a while if the disk is dead. */
void
testing_daemon_end_dumps(struct testing_daemon *l)
{
	struct persist_figures figures;

	for (int turns = 0; turns < 20; turns++) {
		figures = persist_figures(l->p);
		if (l->server.child_fd == -1 && !figures.is_rewriting && !figures.is_saving &&
		    !figures.rewrite_is_scheduled)
			return;
		testing_daemon_turn(l);
		testing_daemon_end_child(l);
		if (turns > 5)
			testing_pass_us(1000000);
	}
	ck_assert_msg(l->disk->fail_count == UINT32_MAX, "a dump does not end");
}

void
testing_daemon_change_in_turns(struct testing_daemon *l, int turns)
{
	while (turns-- > 0) {
		testing_host_change(&l->server);
		testing_daemon_turn(l);
	}
}

void
testing_daemon_set_policy(struct testing_daemon *l, enum aof_sync policy)
{
	l->config.policy = policy;
	persist_configure(l->p, &l->config);
}

/* CONFIG SET appendonly yes, until it succeeds. */
void
testing_daemon_switch_on(struct testing_daemon *l)
{
	for (int tries = 0; tries < 10; tries++) {
		enum persist_switch result;
		uint64_t attempt = 0;

		buffer_clear(&l->error);
		while ((result = persist_switch_on(l->p, &attempt, &l->error)) == PERSIST_PENDING) {
			unsigned ended_before = l->server.ended;

			testing_host_change(&l->server);
			testing_daemon_end_dumps(l);
			ck_assert_msg(
			    l->server.ended != ended_before, "the command is never asked again");
		}
		if (result == PERSIST_SWITCHED) {
			ck_assert(persist_figures(l->p).log_is_on);
			return;
		}
		ck_assert_uint_gt(l->error.len, 0);
		ck_assert(!persist_is_on(l->p));
	}
}

/* Asserts that the next start loads every acknowledged change. */
uint64_t
testing_daemon_load(struct testing_daemon *l)
{
	uint64_t count;

	testing_disk_fail(l->disk, 0, 0, 0, 0);
	ck_assert_msg(testing_daemon_try_start(l, false), "%.*s", (int)l->error.len, l->error.ptr);
	ck_assert(
	    !l->server.is_wrong && l->server.count % 2 == 0 && l->server.count >= l->server.saved);
	persist_free(l->p);
	ck_assert_msg(testing_daemon_try_start(l, true), "%.*s", (int)l->error.len, l->error.ptr);
	count = l->server.count;
	ck_assert_msg(!l->server.is_wrong, "batches are missing or doubled");
	ck_assert_msg(count % 2 == 0, "half a transaction was loaded");
	ck_assert_msg(count >= l->server.kept, "%llu are loaded of %llu", (unsigned long long)count,
	    (unsigned long long)l->server.kept);
	ck_assert_int_ne(access("fanfared-rewrite.tmp", F_OK), 0);
	ck_assert_int_ne(access("fanfared-snapshot.tmp", F_OK), 0);
	persist_free(l->p);
	l->p = NULL;
	return count;
}

void
testing_daemon_init(struct testing_daemon *l)
{
	testing_disk_empty_folder();
	list_fds(l->fds_before);
	testing_host_init(&l->server);
	l->disk = testing_disk_new();
	l->disk->disk.clock_us = testing_now_us;
}

void
testing_daemon_release(struct testing_daemon *l)
{
	bool fds[1024];

	testing_disk_free(l->disk);
	testing_host_release(&l->server);
	buffer_release(&l->error);
	/* Asserts that no file is left open. */
	list_fds(fds);
	ck_assert_int_eq(memcmp(fds, l->fds_before, sizeof(fds)), 0);
}

/* The same for each kind of loss. */
void
testing_daemon_load_each(struct testing_daemon *l, uint64_t least)
{
	struct testing_image *images[TESTING_LOSSES];

	for (int i = 0; i < TESTING_LOSSES; i++)
		images[i] = testing_disk_image(l->disk, (enum testing_loss)i);
	for (int i = 0; i < TESTING_LOSSES; i++) {
		testing_image_put(images[i]);
		ck_assert_uint_ge(testing_daemon_load(l), least);
		testing_image_free(images[i]);
	}
}
