#include "config.h"

#include "persist/transfer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/data_folder.h"
#include "persist/key_stream.h"
#include "persist/testing_daemon.h"
#include "persist/testing_log.h"

/* The process that serves, and its successor, which has the same folder. */
static struct testing_daemon l, next;
static struct key_stream_reader keys, changes;
static struct buffer error;
static int pipe_fds[2]; /* what the child sends */
static int outcome;     /* of the copy; -1: none yet */

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

static void
begin(bool appendonly, enum aof_sync policy)
{
	testing_daemon_init(&l);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert(testing_daemon_start(&l, appendonly));
	testing_daemon_set_policy(&l, policy);
	testing_daemon_change_in_turns(&l, 3);
	next = (struct testing_daemon){.disk = l.disk, .config = l.config};
	testing_host_init(&next.server);
	next.p = persist_new(&next.config, &next.server.host, &next.disk->disk);
	keys = changes = (struct key_stream_reader){0};
	outcome = -1;
}

static void
end(void)
{
	persist_free(l.p);
	persist_free(next.p);
	l.p = next.p = NULL;
	key_stream_release(&keys);
	key_stream_release(&changes);
	buffer_release(&error);
	buffer_release(&next.error);
	testing_host_release(&next.server);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	testing_daemon_release(&l);
}

static bool
send_part(void *arg, struct slice part)
{
	(void)arg;
	return write(pipe_fds[1], part.ptr, part.len) == (ssize_t)part.len;
}

static bool
fail_to_send(void *arg, struct slice part)
{
	(void)arg;
	(void)part;
	errno = EPIPE;
	return false;
}

static void
on_done(void *arg, int why)
{
	(void)arg;
	ck_assert_int_eq(outcome, -1);
	outcome = why;
}

static const struct transfer_copy copy = {.send = send_part, .done = on_done};

static bool
begin_copy(const struct transfer_copy *how)
{
	struct transfer_copy with_fd = *how;

	with_fd.fd = pipe_fds[1];
	buffer_clear(&error);
	persist_transfer_reserve(l.p);
	for (int turns = 0; !persist_transfer_may_copy(l.p); turns++) {
		ck_assert_int_lt(turns, 20);
		testing_daemon_turn(&l);
		testing_daemon_end_child(&l);
	}
	return persist_transfer_copy(l.p, &with_fd, &error);
}

static bool
receive_keys(void)
{
	char bytes[4096];
	ssize_t len;
	bool ok = true;

	next.server.keyspace.replay_begin(&next.server, true);
	while (ok && (len = read(pipe_fds[0], bytes, sizeof(bytes))) > 0)
		ok = key_stream_read(
		    &keys, &next.server.keyspace, (struct slice){bytes, (size_t)len}, &next.error);
	next.server.keyspace.replay_end(&next.server);
	return ok;
}

static bool
receive_changes(size_t most)
{
	struct slice queue = persist_transfer_queue(l.p);
	bool ok;

	if (queue.len > most)
		queue.len = most;
	next.server.keyspace.replay_begin(&next.server, true);
	ok = key_stream_read(&changes, &next.server.keyspace, queue, &next.error);
	next.server.keyspace.replay_end(&next.server);
	persist_transfer_sent(l.p, queue.len);
	return ok;
}

/* All changes are sent and synced. False: the disk fails. */
static bool
settle(void)
{
	persist_transfer_sync(l.p);
	for (int turns = 0; turns < 20; turns++) {
		testing_daemon_turn(&l);
		ck_assert(receive_changes(SIZE_MAX));
		if (persist_transfer_is_synced(l.p))
			return true;
	}
	return false;
}

static bool
inherit(void)
{
	struct transfer_files files;

	persist_transfer_files(l.p, &files);
	if (files.lock_fd != -1)
		files.lock_fd = dup(files.lock_fd);
	buffer_clear(&next.error);
	return persist_inherit(next.p, &files, &next.error);
}

/* The whole transfer, with changes in each step. False: it has failed. */
static bool
transfer(void)
{
	if (!begin_copy(&copy))
		return false;
	testing_daemon_change_in_turns(&l, 3);
	testing_daemon_end_child(&l);
	if (outcome != 0 || !receive_keys())
		return false;
	testing_daemon_change_in_turns(&l, 2);
	ck_assert(receive_changes(100));
	testing_daemon_change_in_turns(&l, 2);
	if (!settle() || persist_transfer_fault(l.p) != NULL)
		return false;
	persist_transfer_seal(l.p);
	ck_assert(keys.has_end_mark && key_stream_is_whole(&keys) && key_stream_is_whole(&changes));
	ck_assert_uint_eq(changes.offset, persist_transfer_queued_total(l.p));
	ck_assert(!next.server.is_wrong);
	ck_assert_uint_eq(next.server.count, l.server.count);
	return inherit();
}

/* The successor serves, changes something, and the power fails. */
static void
serve_and_die(bool appendonly)
{
	uint64_t count;

	persist_hand_over(l.p);
	ck_assert(l.server.is_refused);
	testing_host_change(&l.server);
	persist_turn_ends(l.p);
	persist_run_writer(l.p);
	count = l.server.count;
	ck_assert_uint_eq(count, next.server.count);
	next.server.kept = l.server.kept;
	testing_daemon_set_policy(&next, AOF_SYNC_ALWAYS);
	testing_daemon_change_in_turns(&next, 3);
	ck_assert_uint_eq(next.server.count, count + 6);
	/* A rewrite needs the lock, and the file's base. */
	(void)persist_rewrite(next.p);
	testing_daemon_turn(&next);
	testing_daemon_end_child(&next);
	testing_daemon_change_in_turns(&next, 3);
	memcpy(next.fds_before, l.fds_before, sizeof(next.fds_before));
	persist_free(l.p);
	l.p = NULL;
	testing_disk_die(next.disk);
	persist_free(next.p);
	next.p = NULL;
	if (appendonly)
		testing_daemon_load_each(&next, count + 12);
}

START_TEST(keys_and_files_pass_with_every_acknowledged_change)
{
	const enum aof_sync policies[] = {AOF_SYNC_ALWAYS, AOF_SYNC_EVERYSEC, AOF_SYNC_NO};

	for (int i = 0; i < 3; i++) {
		begin(true, policies[i]);
		ck_assert_msg(transfer(), "%.*s", (int)next.error.len, next.error.ptr);
		serve_and_die(true);
		end();
	}
}
END_TEST

START_TEST(without_an_append_only_file_the_keys_pass_all_the_same)
{
	begin(false, AOF_SYNC_ALWAYS);
	ck_assert(!l.server.journal_is_on);
	ck_assert_msg(transfer(), "%.*s", (int)next.error.len, next.error.ptr);
	ck_assert(l.server.journal_is_on && !next.server.journal_is_on);
	serve_and_die(false);
	ck_assert(!l.server.journal_is_on);
	end();
}
END_TEST

/* After a cancelled transfer the process works as before. */
static void
assert_goes_on(bool appendonly)
{
	uint64_t count = l.server.count;

	persist_transfer_cancel(l.p);
	persist_transfer_cancel(l.p);
	ck_assert_ptr_null(persist_transfer_fault(l.p));
	ck_assert_uint_eq(persist_transfer_queue(l.p).len, 0);
	ck_assert(l.server.journal_is_on == appendonly && !l.server.is_crowded);
	testing_daemon_set_policy(&l, AOF_SYNC_ALWAYS);
	testing_daemon_change_in_turns(&l, 3);
	testing_daemon_end_child(&l);
	/* Dumps begin again. */
	(void)(appendonly ? persist_rewrite(l.p) : persist_save(l.p, false));
	for (int turns = 0; turns < 4; turns++) {
		testing_daemon_turn(&l);
		testing_daemon_end_child(&l);
	}
	if (appendonly)
		ck_assert_uint_eq(persist_figures(l.p).good_rewrites, 1);
	else
		ck_assert_uint_eq(persist_figures(l.p).good_saves, 1);
	ck_assert_uint_ge(l.server.count, count + 6);
	persist_free(next.p);
	next.p = NULL;
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, appendonly ? count + 6 : 0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0); /* closed by kill */
	end();
}

static void
cancel_after(int steps, bool appendonly)
{
	begin(appendonly, AOF_SYNC_EVERYSEC);
	persist_transfer_reserve(l.p);
	if (steps > 0)
		ck_assert(begin_copy(&copy));
	testing_daemon_change_in_turns(&l, 1);
	if (steps > 1) {
		testing_daemon_end_child(&l);
		ck_assert_int_eq(outcome, 0);
		ck_assert(receive_keys());
	}
	testing_daemon_change_in_turns(&l, 1);
	if (steps > 2)
		ck_assert(settle());
	if (steps > 3)
		persist_transfer_seal(l.p);
	if (steps > 4) {
		ck_assert(inherit());
		/* The successor is not allowed to serve: it writes nothing. */
		persist_hand_over(next.p);
	}
	assert_goes_on(appendonly);
}

START_TEST(a_transfer_can_be_cancelled_after_every_step)
{
	for (int steps = 0; steps <= 5; steps++) {
		cancel_after(steps, false);
		cancel_after(steps, true);
	}
}
END_TEST

/* Makes one call of the disk layer fail. False: there are not that many calls. */
static bool
transfer_with_fault(uint32_t call, int why)
{
	bool ok, has_failed;

	begin(true, AOF_SYNC_ALWAYS);
	testing_disk_fail(l.disk, TESTING_ALL, call, 1, why);
	ok = transfer();
	has_failed = l.disk->calls > call;
	testing_disk_heal(l.disk);
	if (ok) {
		serve_and_die(true);
		end();
		return has_failed;
	}
	ck_assert(has_failed);
	persist_hand_over(next.p);
	/* A fault is retried after a second. */
	for (int turns = 0; turns < 10; turns++)
		testing_daemon_turn(&l);
	assert_goes_on(true);
	return true;
}

START_TEST(whatever_call_fails_one_of_the_two_has_everything)
{
	const int errors[] = {EIO, ENOSPC, EAGAIN};

	for (int i = 0; i < 3; i++) {
		uint32_t call = 0;

		while (transfer_with_fault(call, errors[i]))
			call++;
		ck_assert_uint_gt(call, 10);
	}
}
END_TEST

START_TEST(a_child_that_cannot_send_says_why)
{
	const struct transfer_copy failing = {.send = fail_to_send, .done = on_done};

	begin(false, AOF_SYNC_ALWAYS);
	ck_assert(begin_copy(&failing));
	testing_daemon_end_child(&l);
	ck_assert_int_eq(outcome, EPIPE);
	assert_goes_on(false);
}
END_TEST

START_TEST(a_failed_fork_is_an_error)
{
	begin(true, AOF_SYNC_ALWAYS);
	testing_disk_fail(l.disk, TESTING_FORK, 0, 1, EAGAIN);
	ck_assert(!begin_copy(&copy));
	buffer_append(&error, "", 1);
	ck_assert_ptr_nonnull(strstr(error.ptr, "fork: "));
	assert_goes_on(true);
}
END_TEST

START_TEST(a_dump_that_is_wanted_meanwhile_begins_afterwards)
{
	begin(true, AOF_SYNC_ALWAYS);
	persist_transfer_reserve(l.p);
	ck_assert_int_eq(persist_save(l.p, false), PERSIST_SCHEDULED);
	ck_assert_int_eq(persist_rewrite(l.p), PERSIST_SCHEDULED);
	testing_daemon_turn(&l);
	ck_assert_int_eq(l.server.child_fd, -1);
	ck_assert(persist_transfer_may_copy(l.p));
	persist_transfer_cancel(l.p);
	for (int turns = 0; turns < 8; turns++) {
		testing_daemon_turn(&l);
		testing_daemon_end_child(&l);
	}
	ck_assert_uint_eq(persist_figures(l.p).good_rewrites, 1);
	ck_assert_uint_eq(persist_figures(l.p).good_saves, 1);
	end();
}
END_TEST

START_TEST(a_snapshot_that_was_scheduled_ends_at_the_hand_over_for_waiting_clients)
{
	uint64_t saves;
	unsigned ended;

	begin(true, AOF_SYNC_ALWAYS);
	persist_transfer_reserve(l.p);
	saves = persist_figures(l.p).saves;
	ck_assert_int_eq(persist_save(l.p, true), PERSIST_SCHEDULED);
	ended = l.server.ended;
	persist_hand_over(l.p);
	ck_assert_uint_eq(persist_figures(l.p).saves, saves + 1);
	ck_assert_int_eq(persist_figures(l.p).save, DUMP_WAS_CANCELLED);
	ck_assert_uint_gt(l.server.ended, ended);
	end();
}
END_TEST

START_TEST(a_dump_under_way_ends_first)
{
	begin(true, AOF_SYNC_ALWAYS);
	ck_assert_int_eq(persist_save(l.p, false), PERSIST_STARTED);
	testing_daemon_turn(&l);
	persist_transfer_reserve(l.p);
	ck_assert(!persist_transfer_may_copy(l.p));
	ck_assert_msg(transfer(), "%.*s", (int)next.error.len, next.error.ptr);
	ck_assert_uint_eq(persist_figures(l.p).good_saves, 1);
	serve_and_die(true);
	end();
}
END_TEST

START_TEST(a_change_behind_the_last_one_is_a_fault)
{
	begin(true, AOF_SYNC_ALWAYS);
	ck_assert(transfer());
	ck_assert_ptr_null(persist_transfer_fault(l.p));
	testing_daemon_change_in_turns(&l, 1);
	ck_assert_ptr_nonnull(persist_transfer_fault(l.p));
	persist_hand_over(next.p);
	assert_goes_on(true);
}
END_TEST

START_TEST(appendonly_cannot_change_meanwhile)
{
	uint64_t attempt = 0;

	begin(false, AOF_SYNC_ALWAYS);
	persist_transfer_reserve(l.p);
	buffer_clear(&error);
	ck_assert_int_eq(persist_switch_on(l.p, &attempt, &error), PERSIST_REFUSED);
	buffer_append(&error, "", 1);
	ck_assert_str_eq(error.ptr, "an upgrade is under way");
	ck_assert_ptr_null(persist_transfer_fault(l.p));
	end();
	begin(true, AOF_SYNC_ALWAYS);
	ck_assert(begin_copy(&copy));
	persist_switch_off(l.p);
	ck_assert_ptr_nonnull(persist_transfer_fault(l.p));
	persist_transfer_cancel(l.p);
	ck_assert(!l.server.journal_is_on);
	end();
}
END_TEST

START_TEST(writers_wait_while_too_much_is_not_sent)
{
	begin(false, AOF_SYNC_ALWAYS);
	l.config.unsynced_max_bytes = 1000;
	persist_configure(l.p, &l.config);
	ck_assert(begin_copy(&copy));
	testing_daemon_end_child(&l);
	for (int turns = 0; !l.server.is_crowded; turns++) {
		ck_assert_int_lt(turns, 50);
		testing_daemon_change_in_turns(&l, 1);
	}
	ck_assert_uint_gt(persist_transfer_queue(l.p).len, 1000);
	ck_assert_uint_lt(persist_transfer_queue(l.p).len, 1400);
	ck_assert(receive_keys());
	ck_assert(receive_changes(persist_transfer_queue(l.p).len - 501));
	ck_assert(l.server.is_crowded);
	ck_assert(receive_changes(1));
	ck_assert(!l.server.is_crowded);
	assert_goes_on(false);
}
END_TEST

static void
assert_refuses(const char *words)
{
	ck_assert(!inherit());
	buffer_append(&next.error, "", 1);
	ck_assert_msg(strstr(next.error.ptr, words) != NULL, "%s", next.error.ptr);
	persist_hand_over(next.p);
	persist_free(next.p);
	next.p = persist_new(&next.config, &next.server.host, &next.disk->disk);
}

static void
with_config(const struct persist_config *config)
{
	persist_configure(next.p, config);
}

START_TEST(a_successor_with_other_files_refuses)
{
	struct persist_config other;
	struct stat st;

	begin(true, AOF_SYNC_ALWAYS);
	ck_assert(begin_copy(&copy));
	testing_daemon_end_child(&l);
	ck_assert(settle());
	other = next.config;
	other.appendonly = false;
	with_config(&other);
	assert_refuses("appendonly is yes in the process that runs, and no in the configuration");
	other = next.config;
	other.log_name = "b.aof";
	with_config(&other);
	assert_refuses("appendfilename is a.aof");
	other = next.config;
	other.snapshot_name = "b.snapshot";
	with_config(&other);
	assert_refuses("dbfilename is a.snapshot");
	/* Another process has changed the file. */
	ck_assert_int_eq(stat("a.aof", &st), 0);
	ck_assert_int_eq(truncate("a.aof", st.st_size + 1), 0);
	assert_refuses("bytes long");
	ck_assert_int_eq(truncate("a.aof", st.st_size), 0);
	ck_assert_int_eq(rename("a.aof", "moved"), 0);
	assert_refuses("a.aof: No such file or directory");
	ck_assert_int_eq(access("a.aof", F_OK), -1);
	ck_assert_int_eq(rename("moved", "a.aof"), 0);
	ck_assert_int_eq(rename(DATA_FOLDER_LOCK, "moved"), 0);
	assert_refuses("dir is not the folder");
	ck_assert_int_eq(rename("moved", DATA_FOLDER_LOCK), 0);
	ck_assert(inherit());
	persist_hand_over(next.p);
	assert_goes_on(true);
}
END_TEST

static long
owner(void)
{
	FILE *file = fopen(DATA_FOLDER_LOCK, "r");
	long pid;

	if (fscanf(file, "%ld", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

START_TEST(the_lock_names_the_successor_only_when_it_serves)
{
	begin(true, AOF_SYNC_ALWAYS);
	ck_assert_int_eq(truncate(DATA_FOLDER_LOCK, 0), 0); /* both are this process */
	ck_assert(transfer());
	ck_assert_int_eq(owner(), 0);
	persist_name_owner(next.p);
	ck_assert_int_eq(owner(), getpid());
	persist_hand_over(next.p);
	assert_goes_on(true);
}
END_TEST

START_TEST(a_snapshot_that_the_process_has_not_loaded_is_not_overwritten)
{
	struct transfer_files files = {.lock_fd = -1};
	FILE *file;

	begin(false, AOF_SYNC_ALWAYS);
	file = fopen("a.snapshot", "w");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	ck_assert(!persist_inherit(next.p, &files, &next.error));
	buffer_append(&next.error, "", 1);
	ck_assert_ptr_nonnull(strstr(next.error.ptr, "a.snapshot exists"));
	end();
}
END_TEST

int
main(void)
{
	return testing_main("persist/persist_transfer", setup, teardown,
	    (const TTest *[]){keys_and_files_pass_with_every_acknowledged_change,
		without_an_append_only_file_the_keys_pass_all_the_same,
		a_transfer_can_be_cancelled_after_every_step,
		whatever_call_fails_one_of_the_two_has_everything,
		a_child_that_cannot_send_says_why, a_failed_fork_is_an_error,
		a_dump_that_is_wanted_meanwhile_begins_afterwards,
		a_snapshot_that_was_scheduled_ends_at_the_hand_over_for_waiting_clients,
		a_dump_under_way_ends_first, a_change_behind_the_last_one_is_a_fault,
		appendonly_cannot_change_meanwhile, writers_wait_while_too_much_is_not_sent,
		a_successor_with_other_files_refuses,
		the_lock_names_the_successor_only_when_it_serves,
		a_snapshot_that_the_process_has_not_loaded_is_not_overwritten, NULL});
}
