#include "config.h"

#include "persist/persist.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "persist/data_folder.h"
#include "persist/disk.h"
#include "persist/keyspace.h"
#include "persist/persist_state.h"

/* The interval at which persist_start_due_dumps() checks for due dumps. */
#define LOOK_US 100000

/* The interval at which the file is checked. */
#define FILE_LOOK_US 1000000

/* The time after which switching the log on for a configuration file is retried. */
#define START_RETRY_US 5000000

static void
say_fault(const struct persist *p, const struct log_fault *before)
{
	struct log_fault now = persist_fault(p);

	if (now.error != 0 && before->error == 0)
		log_error("cannot %s append-only file %s: %s: changes are refused",
		    now.is_sync ? "sync" : "write", p->config.log_name, strerror(now.error));
	else if (now.error == 0 && before->error != 0 && p->machine.log == PHASE_ON)
		log_notice("append-only file %s: writes succeed again", p->config.log_name);
}

static void
note_report(struct persist *p, const struct aof_report *before)
{
	const struct aof_report *now = &p->report;

	if (now->stops != before->stops && now->stop_error != 0)
		log_warn("append-only file %s: the last changes before appendonly no were not "
			 "written: %s",
		    p->config.log_name, strerror(now->stop_error));
	if (p->machine.log == PHASE_STARTING && now->generation == p->generation &&
	    now->fault.error != 0) {
		snprintf(p->start_error, sizeof(p->start_error),
		    "cannot %s the append-only file: %s", now->fault.is_sync ? "sync" : "write",
		    strerror(now->fault.error));
		(void)persist_event(p, EVENT_LOG_FAULT);
	}
	if (now->placed != before->placed) {
		p->job.error = now->place_error;
		(void)persist_event(p, now->place_error == 0 ? EVENT_PLACED : EVENT_PLACE_FAILED);
	}
}

/* True if more than this is unsynced, or not sent to a successor. */
static bool
is_crowded(const struct persist *p, uint64_t max_bytes)
{
	return (p->writer != NULL && aof_writer_unsynced(p->writer) > max_bytes) ||
	       persist_transfer_queue(p).len > max_bytes;
}

/* Blocked writers continue when half of aof-unsynced-max-bytes is free. */
void
persist_end_crowd(struct persist *p)
{
	if (!is_crowded(p, p->config.unsynced_max_bytes / 2))
		p->host.journal_crowded(p->host.arg, false);
}

static void
on_report(void *arg)
{
	struct persist *p = arg;
	struct aof_report before = p->report;
	struct log_fault fault_before = persist_fault(p);

	aof_writer_report(p->writer, &p->report);
	say_fault(p, &fault_before);
	p->host.journal_kept(p->host.arg, p->report.kept);
	persist_end_crowd(p);
	note_report(p, &before);
}

void
persist_run_writer(struct persist *p)
{
	if (p->writer == NULL)
		return;
	aof_writer_turn(p->writer);
	on_report(p);
}

bool
persist_lock(struct persist *p, struct buffer *error)
{
	return p->lock_fd != -1 || data_folder_lock(&p->lock_fd, false, error);
}

static struct aof_writer_settings
writer_settings(const struct persist *p)
{
	bool is_named = p->machine.log == PHASE_ON;

	/* A file without a name does not survive a crash, so it needs no sync. */
	return (struct aof_writer_settings){
	    .policy = !is_named                             ? AOF_SYNC_NO
		      : p->transfer.phase >= TRANSFER_SYNCS ? AOF_SYNC_ALWAYS
							    : p->config.policy,
	    .spares_disk = p->config.no_sync_on_rewrite && p->machine.dump != DUMP_IDLE,
	    .unsynced_max_bytes = p->config.unsynced_max_bytes,
	};
}

void
persist_configure_writer(struct persist *p)
{
	struct aof_writer_settings settings = writer_settings(p);

	if (p->writer != NULL)
		aof_writer_configure(p->writer, &settings);
}

bool
persist_open_writer(struct persist *p, struct buffer *error)
{
	struct aof_writer_settings settings = writer_settings(p);

	if (p->writer == NULL)
		p->writer = aof_writer_new(p->disk, &settings, p->host.has_thread);
	if (p->writer == NULL) {
		buffer_appendf(error, "cannot start the disk writer thread: %s", strerror(errno));
		return false;
	}
	if (p->watch == NULL)
		p->watch = p->host.watch(p->host.arg, aof_writer_wake_fd(p->writer), on_report, p);
	if (p->watch != NULL)
		return true;
	buffer_append_str(error, "the event loop cannot watch the disk writer thread");
	return false;
}

struct log_fault
persist_fault(const struct persist *p)
{
	if (p->machine.log == PHASE_ON && p->report.generation == p->generation)
		return p->report.fault;
	return (struct log_fault){0};
}

void
persist_flush(struct persist *p)
{
	struct buffer batch;
	uint64_t number;

	if ((!persist_is_on(p) && !persist_transfer_collects(p)) ||
	    !p->host.journal_take(p->host.arg, &batch, &number))
		return;
	persist_transfer_add(p, buffer_slice(&batch));
	if (persist_is_on(p)) {
		p->last_number = number;
		aof_writer_append(p->writer, number, &batch);
	} else {
		buffer_release(&batch);
	}
	if (is_crowded(p, p->config.unsynced_max_bytes))
		p->host.journal_crowded(p->host.arg, true);
}

void
persist_set_journal(struct persist *p, bool is_on)
{
	p->host.journal_set(
	    p->host.arg, is_on, p->machine.log == PHASE_ON && p->config.policy == AOF_SYNC_ALWAYS);
}

static void
log_actions(struct persist *p, uint32_t actions)
{
	if ((actions & ACTION_JOURNAL_ON) != 0)
		persist_set_journal(p, true);
	if ((actions & ACTION_JOURNAL_OFF) != 0)
		persist_set_journal(p, false);
	if ((actions & ACTION_STOP_LOG) != 0) {
		aof_writer_stop(p->writer);
		p->host.journal_crowded(p->host.arg, false);
	}
	if ((actions & ACTION_ACCEPT_LOG) != 0) {
		p->keeps_starting = false;
		persist_configure_writer(p);
		log_notice("appendonly yes: every change is logged from now on");
		p->host.accepted(p->host.arg);
		p->host.ended(p->host.arg);
	}
	if ((actions & ACTION_FAIL_START) != 0) {
		log_error("appendonly stays no: %s", p->start_error);
		p->start_retry_us = p->disk->clock_us() + START_RETRY_US;
		p->host.ended(p->host.arg);
	}
}

uint32_t
persist_event(struct persist *p, enum state_machine_event event)
{
	enum dump_phase before = p->machine.dump;
	uint32_t actions;

	/* The changes so far go to the log before it is switched off. */
	if (event == EVENT_LOG_OFF)
		persist_flush(p);
	actions = state_machine_step(&p->machine, event);
	persist_dump_actions(p, actions, before);
	log_actions(p, actions);
	return actions;
}

struct persist *
persist_new(
    const struct persist_config *config, const struct persist_host *host, const struct disk *disk)
{
	struct persist *p = xcalloc(1, sizeof(*p));

	p->config = *config;
	p->host = *host;
	p->disk = disk;
	p->lock_fd = -1;
	p->child.result_fd = p->transfer.child.result_fd = -1;
	for (size_t i = 0; i < 2; i++)
		p->records[i].seconds = -1;
	p->save_time = (int64_t)(clock_wall_us() / 1000000);
	return p;
}

static enum refusal
current_refusal(const struct persist *p)
{
	if (p->handed_over)
		return REFUSAL_HANDED_OVER;
	if (persist_fault(p).error != 0)
		return REFUSAL_LOG;
	if (p->records[DUMP_SNAPSHOT].is_failing && p->config.stop_on_save_error &&
	    p->config.rule_count > 0)
		return REFUSAL_SNAPSHOT;
	return REFUSAL_NONE;
}

/* The refusal of writes follows from the current faults. Held replies depend on the log alone.
 * Called at the end of a turn, and after a change of settings, which the next request of a pipeline
 * may rely on. */
void
persist_derive_refusal(struct persist *p)
{
	enum refusal refusal = current_refusal(p);
	int error = persist_fault(p).error;
	char text[256] = "";

	if (refusal == p->refusal && error == p->refusal_error)
		return;
	p->refusal = refusal;
	p->refusal_error = error;
	if (refusal == REFUSAL_HANDED_OVER)
		snprintf(text, sizeof(text),
		    "READONLY Another process has taken over from this one. Connect again.");
	else if (refusal == REFUSAL_LOG)
		snprintf(text, sizeof(text), "MISCONF Errors writing to the AOF file: %s",
		    strerror(error));
	p->host.journal_failed(p->host.arg, refusal == REFUSAL_LOG ? text : NULL);
	if (refusal == REFUSAL_SNAPSHOT)
		p->host.refuse_writes(p->host.arg,
		    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable "
		    "to persist to disk. Commands that may modify the data set are disabled, "
		    "because this instance is configured to report errors during writes if RDB "
		    "snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
		    "Redis logs for details about the RDB error.");
	else
		p->host.refuse_writes(p->host.arg, refusal == REFUSAL_NONE ? NULL : text);
}

void
persist_configure(struct persist *p, const struct persist_config *config)
{
	/* The changes so far are written under the old settings. */
	persist_flush(p);
	p->config = *config;
	persist_configure_writer(p);
	persist_end_crowd(p); /* aof-unsynced-max-bytes may have grown */
	if (p->machine.log == PHASE_ON)
		persist_set_journal(p, true);
	persist_derive_refusal(p);
}

static bool
open_unnamed(struct persist *p, struct buffer *error)
{
	int fd;

	if (!persist_lock(p, error) || !persist_open_writer(p, error))
		return false;
	fd = p->disk->open(p->disk->arg, STARTING_LOG_TEMP, O_RDWR | O_CREAT | O_TRUNC);
	if (fd == -1 || p->disk->unlink(p->disk->arg, STARTING_LOG_TEMP) != 0) {
		buffer_appendf(error, "cannot create %s: %s", STARTING_LOG_TEMP, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	persist_configure_writer(p);
	aof_writer_open(p->writer, fd, 0, ++p->generation, NULL);
	p->base_bytes = 0;
	return true;
}

/* From now on changes go to a file without a name; a rewrite makes one with a name. */
static bool
begin_start(struct persist *p, struct buffer *error)
{
	if (p->handed_over || p->machine.log == PHASE_CLOSED) {
		buffer_append_str(error, "this process is stopping");
		return false;
	}
	if (p->transfer.phase != TRANSFER_NONE) {
		buffer_append_str(error, "an upgrade is under way");
		return false;
	}
	if (!open_unnamed(p, error))
		return false;
	p->starts++;
	log_notice("appendonly yes: writing all keys to %s first", p->config.log_name);
	(void)persist_event(p, EVENT_LOG_ON);
	return true;
}

enum persist_switch
persist_switch_on(struct persist *p, uint64_t *attempt, struct buffer *error)
{
	if (p->machine.log == PHASE_ON)
		return PERSIST_SWITCHED;
	if (*attempt != 0 && (p->machine.log != PHASE_STARTING || p->starts != *attempt)) {
		buffer_append_str(error, p->start_error);
		return PERSIST_REFUSED;
	}
	if (p->machine.log != PHASE_STARTING && !begin_start(p, error))
		return PERSIST_REFUSED;
	*attempt = p->starts;
	return PERSIST_PENDING;
}

static void
try_start(struct persist *p)
{
	struct buffer error = {0};

	p->start_retry_us = p->disk->clock_us() + START_RETRY_US;
	if (p->machine.log == PHASE_OFF && !begin_start(p, &error))
		log_error("appendonly stays no: %.*s", (int)error.len, error.ptr);
	buffer_release(&error);
}

void
persist_switch_on_retrying(struct persist *p)
{
	p->keeps_starting = p->machine.log != PHASE_ON;
	try_start(p);
}

void
persist_switch_off(struct persist *p)
{
	bool was_on = p->machine.log == PHASE_ON;

	p->keeps_starting = false;
	if (persist_is_on(p) && p->transfer.phase != TRANSFER_NONE)
		p->transfer.fault = "appendonly was set to no meanwhile";
	snprintf(p->start_error, sizeof(p->start_error), "appendonly was set to no meanwhile");
	(void)persist_event(p, EVENT_LOG_OFF);
	if (was_on)
		log_notice("appendonly no: changes are no longer logged");
	persist_derive_refusal(p);
}

bool
persist_is_on(const struct persist *p)
{
	return p->machine.log == PHASE_ON || p->machine.log == PHASE_STARTING;
}

void
persist_hold_dumps(struct persist *p, bool is_held)
{
	p->are_dumps_held = is_held;
}

uint64_t
persist_turn(struct persist *p, uint64_t now_us)
{
	if (!p->are_dumps_held && now_us >= p->next_due_check_us) {
		p->next_due_check_us = now_us + LOOK_US;
		if (p->keeps_starting && p->disk->clock_us() >= p->start_retry_us)
			try_start(p);
		persist_start_due_dumps(p);
	}
	if (p->machine.log == PHASE_ON && now_us >= p->next_file_check_us) {
		p->next_file_check_us = now_us + FILE_LOOK_US;
		aof_writer_check_file(p->writer);
	}
	return now_us < p->next_due_check_us ? p->next_due_check_us - now_us : LOOK_US;
}

void
persist_turn_ends(struct persist *p)
{
	persist_flush(p);
	/* A child that is done may take a moment to exit. */
	if (!p->are_dumps_held && dump_child_reap(&p->child)) {
		if (p->scheduled != 0)
			persist_start_due_dumps(p);
		if (p->machine.dump == DUMP_WANTED)
			(void)persist_event(p, EVENT_TURN_ENDS);
	}
	persist_derive_refusal(p);
}

bool
persist_free(struct persist *p)
{
	uint64_t limit_us;
	bool was_starting, needs_rewrite, ok;

	if (p == NULL)
		return true;
	limit_us = (uint64_t)p->config.end_timeout_s * 1000000;
	persist_transfer_cancel(p);
	persist_flush(p);
	was_starting = p->machine.log == PHASE_STARTING;
	snprintf(p->start_error, sizeof(p->start_error), "the daemon is shutting down");
	(void)persist_event(p, EVENT_END);
	p->host.unwatch(p->host.arg, p->watch);
	p->host.unwatch(p->host.arg, p->child_watch);
	p->host.unwatch(p->host.arg, p->transfer.watch);
	(void)dump_child_end(&p->transfer.child, limit_us);
	if (dump_child_end(&p->child, limit_us))
		persist_remove_temp(p);
	ok = aof_writer_free(p->writer, limit_us, &needs_rewrite);
	/* Memory holds all data for the file. */
	if (needs_rewrite || (was_starting && ok))
		ok = persist_write_log_at_exit(p);
	else if (!ok)
		log_error(
		    "append-only file %s: not all changes could be written", p->config.log_name);
	/* A stuck thread may still write, so the lock is kept until the process exits. */
	if (p->lock_fd != -1 && ok)
		close(p->lock_fd);
	xfree(p);
	return ok;
}
