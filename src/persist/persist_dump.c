#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/data_folder.h"
#include "persist/disk.h"
#include "persist/persist_state.h"

/* Rewrites and snapshots: one at a time, begun at the end of a turn, when the writer has all
 * changes so far. */

/* After a failure, the next dump of the same kind does not begin automatically before this time. */
#define RETRY_US 5000000

static const char *
name_of(enum dump_kind kind)
{
	return kind == DUMP_REWRITE ? "rewriting the append-only file" : "writing a snapshot";
}

static const char *
temp_of(enum dump_kind kind)
{
	return kind == DUMP_REWRITE ? REWRITE_TEMP : SNAPSHOT_TEMP;
}

static const char *
path_of(const struct persist *p, enum dump_kind kind)
{
	return kind == DUMP_REWRITE ? p->config.log_name : p->config.snapshot_name;
}

static int64_t
seconds_since(uint64_t since_us)
{
	return (int64_t)((clock_mono_us() - since_us) / 1000000);
}

static void
note_outcome(struct persist *p, enum dump_kind kind, enum dump_outcome outcome)
{
	struct dump_record *record = &p->records[kind];

	record->outcome = outcome;
	if (outcome != DUMP_WAS_CANCELLED)
		record->is_failing = outcome == DUMP_FAILED;
	record->ended++;
	record->good += outcome == DUMP_DONE;
	record->retry_us = outcome == DUMP_FAILED ? p->disk->clock_us() + RETRY_US : 0;
	persist_derive_refusal(p);
	p->host.ended(p->host.arg);
}

static void
note_saved(struct persist *p, uint64_t changes)
{
	p->save_time = (int64_t)(clock_wall_us() / 1000000);
	p->host.saved(p->host.arg, changes);
}

static void
note_done(struct persist *p)
{
	enum dump_kind kind = p->machine.kind;

	p->records[kind].seconds = seconds_since(p->job.begun_us);
	log_notice("%s: done in %lld s", name_of(kind), (long long)p->records[kind].seconds);
	if (kind == DUMP_SNAPSHOT)
		note_saved(p, p->job.changes);
	else if (p->machine.log == PHASE_ON)
		p->base_bytes = p->report.size;
	note_outcome(p, kind, DUMP_DONE);
}

static void
note_failed(struct persist *p)
{
	enum dump_kind kind = p->machine.kind;
	const char *why = p->job.error == ECHILD ? "the child process ended without a result"
						 : strerror(p->job.error);

	p->records[kind].seconds = seconds_since(p->job.begun_us);
	log_error("%s failed: %s", name_of(kind), why);
	if (kind == DUMP_REWRITE)
		snprintf(p->start_error, sizeof(p->start_error), "cannot write %s: %s",
		    p->config.log_name, why);
	note_outcome(p, kind, DUMP_FAILED);
}

/* A dump that was cancelled for a newer one has recorded its outcome already. */
static void
note_cancelled(struct persist *p, enum dump_phase before)
{
	log_notice("%s: cancelled", name_of(p->machine.kind));
	if (before != DUMP_CANCELLED)
		note_outcome(p, p->machine.kind, DUMP_WAS_CANCELLED);
}

static void
on_child(void *arg)
{
	struct persist *p = arg;
	int error = dump_child_result(&p->child);

	p->host.unwatch(p->host.arg, p->child_watch);
	p->child_watch = NULL;
	p->job.error = error;
	(void)persist_event(p, error == 0       ? EVENT_CHILD_DONE
			       : error == EINTR ? EVENT_CHILD_STOPPED
						: EVENT_CHILD_FAILED);
}

/* Starts the child. False: error says why. */
static bool
begin(struct persist *p, struct buffer *error)
{
	enum dump_kind kind = p->machine.kind;

	if (p->handed_over) {
		buffer_append_str(error, "another process has taken over");
		return false;
	}
	if (!persist_lock(p, error))
		return false;
	if (kind == DUMP_REWRITE && persist_is_on(p)) {
		aof_writer_mark(p->writer);
		p->host.journal_forget_database(p->host.arg);
	}
	p->job.changes = p->host.changes(p->host.arg);
	p->job.generation = kind == DUMP_REWRITE ? p->generation : p->rename_generation;
	if (!dump_child_start_file(&p->child, p->disk, p->host.keyspace, temp_of(kind))) {
		buffer_append_str(error, strerror(errno));
		return false;
	}
	p->fork_us = p->child.fork_us;
	persist_configure_writer(p);
	p->child_watch = p->host.watch(p->host.arg, p->child.result_fd, on_child, p);
	if (p->child_watch != NULL)
		return true;
	(void)dump_child_end(&p->child, 0);
	buffer_append_str(error, "the event loop cannot watch the child process");
	return false;
}

static void
start_child(struct persist *p)
{
	enum dump_kind kind = p->machine.kind;
	struct buffer error = {0};

	p->job.begun_us = clock_mono_us();
	if (begin(p, &error)) {
		log_notice("%s: process %ld, the fork took %.3f ms", name_of(kind),
		    (long)p->child.pid, (double)p->fork_us / 1000);
	} else {
		log_error("%s: %.*s", name_of(kind), (int)error.len, error.ptr);
		p->job.error = EAGAIN;
		(void)persist_event(p, EVENT_CHILD_FAILED);
	}
	buffer_release(&error);
}

static void
fail_placing(struct persist *p, int error)
{
	p->job.error = error;
	(void)persist_event(p, EVENT_PLACE_FAILED);
}

static void
adopt(struct persist *p)
{
	int fd = p->disk->open(p->disk->arg, REWRITE_TEMP, O_RDWR);

	if (fd == -1)
		fail_placing(p, errno);
	else
		aof_writer_adopt(
		    p->writer, fd, REWRITE_TEMP, path_of(p, DUMP_REWRITE), p->job.generation);
}

static void
place(struct persist *p)
{
	struct buffer error = {0};

	if (persist_open_writer(p, &error)) {
		aof_writer_rename(p->writer, temp_of(p->machine.kind), path_of(p, p->machine.kind),
		    p->rename_generation);
	} else {
		log_error("%.*s", (int)error.len, error.ptr);
		fail_placing(p, EAGAIN);
	}
	buffer_release(&error);
}

/* Freeing the blocks of a large file takes a while, so the writer thread closes it. */
void
persist_remove_temp(struct persist *p)
{
	const char *path = temp_of(p->machine.kind);
	int fd;

	if (p->lock_fd == -1 || p->handed_over)
		return;
	fd = p->writer != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	(void)p->disk->unlink(p->disk->arg, path);
	if (fd != -1)
		aof_writer_close(p->writer, fd);
}

static void
schedule_actions(struct persist *p, uint32_t actions)
{
	if ((actions & ACTION_UNSCHEDULE_REWRITE) != 0)
		p->scheduled &= ~(1U << DUMP_REWRITE);
	if ((actions & ACTION_UNSCHEDULE_SNAPSHOT) != 0)
		p->scheduled &= ~(1U << DUMP_SNAPSHOT);
	if ((actions & ACTION_SCHEDULE_REWRITE) != 0)
		p->scheduled |= 1U << DUMP_REWRITE;
}

void
persist_dump_actions(struct persist *p, uint32_t actions, enum dump_phase before)
{
	schedule_actions(p, actions);
	if ((actions & ACTION_KILL_CHILD) != 0)
		dump_child_kill(&p->child);
	if ((actions & ACTION_REFUSE_RENAMES) != 0)
		aof_writer_refuse_renames(p->writer, ++p->rename_generation);
	if ((actions & ACTION_REMOVE_TEMP) != 0)
		persist_remove_temp(p);
	if ((actions & ACTION_NOTE_DONE) != 0)
		note_done(p);
	if ((actions & ACTION_NOTE_FAILED) != 0)
		note_failed(p);
	if ((actions & ACTION_NOTE_CANCELLED) != 0)
		note_cancelled(p, before);
	if ((actions & (ACTION_NOTE_DONE | ACTION_NOTE_FAILED | ACTION_NOTE_CANCELLED)) != 0)
		persist_configure_writer(p);
	/* These come last, because they may cause further events. */
	if ((actions & ACTION_FORK) != 0)
		start_child(p);
	if ((actions & ACTION_ADOPT) != 0)
		adopt(p);
	if ((actions & ACTION_RENAME) != 0)
		place(p);
}

/* False if no dump may begin, which is logged. */
static bool
can_dump(struct persist *p, enum dump_kind kind)
{
	struct buffer error = {0};
	bool ok = !p->handed_over && persist_lock(p, &error);

	if (p->handed_over)
		buffer_append_str(&error, "another process has taken over");
	if (!ok)
		log_error("%s: %.*s", name_of(kind), (int)error.len, error.ptr);
	buffer_release(&error);
	return ok;
}

/* During a transfer no dump begins; it begins after it, unless the successor has taken over. */
static bool
is_put_off(struct persist *p, enum dump_kind kind)
{
	if (p->transfer.phase == TRANSFER_NONE)
		return false;
	p->scheduled |= 1U << kind;
	return true;
}

enum persist_answer
persist_rewrite(struct persist *p)
{
	uint32_t actions;

	if (is_put_off(p, DUMP_REWRITE))
		return PERSIST_SCHEDULED;
	if (!can_dump(p, DUMP_REWRITE))
		return PERSIST_UNABLE;
	actions = persist_event(p, EVENT_WANT_REWRITE);
	if ((actions & ACTION_REFUSE) != 0)
		return PERSIST_REWRITING;
	if ((actions & ACTION_SCHEDULE) == 0)
		return PERSIST_STARTED;
	p->scheduled |= 1U << DUMP_REWRITE;
	return PERSIST_SCHEDULED;
}

enum persist_answer
persist_save(struct persist *p, bool may_wait)
{
	uint32_t actions;

	if (is_put_off(p, DUMP_SNAPSHOT))
		return PERSIST_SCHEDULED;
	if (!can_dump(p, DUMP_SNAPSHOT))
		return PERSIST_UNABLE;
	actions = persist_event(p, EVENT_WANT_SNAPSHOT);
	if ((actions & ACTION_REFUSE) != 0)
		return PERSIST_SAVING;
	if ((actions & ACTION_SCHEDULE) == 0)
		return PERSIST_STARTED;
	if (!may_wait && p->machine.kind == DUMP_REWRITE)
		return PERSIST_REWRITING;
	p->scheduled |= 1U << DUMP_SNAPSHOT;
	return PERSIST_SCHEDULED;
}

void
persist_save_after_current(struct persist *p)
{
	if (persist_save(p, true) == PERSIST_SAVING && p->machine.dump != DUMP_WANTED)
		p->scheduled |= 1U << DUMP_SNAPSHOT;
}

bool
persist_write_log_at_exit(struct persist *p)
{
	bool ok = dump_file_write(p->disk, p->host.keyspace, FOREGROUND_TEMP) &&
		  disk_replace(p->disk, FOREGROUND_TEMP, p->config.log_name);

	if (ok)
		log_notice("append-only file %s written at shutdown: no rewrite had completed",
		    p->config.log_name);
	else
		log_error(
		    "cannot write append-only file %s: %s", p->config.log_name, strerror(errno));
	return ok;
}

bool
persist_save_now(struct persist *p)
{
	uint64_t changes = p->host.changes(p->host.arg);
	bool is_whole, ok;

	if (!can_dump(p, DUMP_SNAPSHOT))
		return false;
	ok = is_whole = dump_file_write(p->disk, p->host.keyspace, FOREGROUND_TEMP);
	if (is_whole) {
		/* An older snapshot under way is cancelled now that this one is complete. */
		(void)persist_event(p, EVENT_SAVE_NOW);
		persist_configure_writer(p);
		ok = disk_replace(p->disk, FOREGROUND_TEMP, p->config.snapshot_name);
	}
	if (ok) {
		log_notice("snapshot written to %s", p->config.snapshot_name);
		note_saved(p, changes);
	} else {
		log_error("cannot write snapshot %s: %s", p->config.snapshot_name, strerror(errno));
	}
	if (is_whole)
		note_outcome(p, DUMP_SNAPSHOT, ok ? DUMP_DONE : DUMP_FAILED);
	/* If it failed, a snapshot under way continues and has its own outcome. */
	p->records[DUMP_SNAPSHOT].is_failing = !ok;
	persist_derive_refusal(p);
	return ok;
}

static bool
is_save_due(const struct persist *p)
{
	int64_t changes = (int64_t)p->host.changes(p->host.arg);
	int64_t age_s = (int64_t)(clock_wall_us() / 1000000) - p->save_time;

	if (changes == 0 || p->disk->clock_us() < p->records[DUMP_SNAPSHOT].retry_us)
		return false;
	for (size_t i = 0; i < p->config.rule_count; i++)
		if (age_s > p->config.rules[i].seconds && changes >= p->config.rules[i].changes)
			return true;
	return false;
}

static bool
is_rewrite_due(const struct persist *p)
{
	uint64_t base = p->base_bytes > 0 ? p->base_bytes : 1;

	if (p->machine.log != PHASE_ON || p->disk->clock_us() < p->records[DUMP_REWRITE].retry_us)
		return false;
	if (persist_fault(p).needs_rewrite)
		return true;
	if (p->config.rewrite_percentage == 0 || p->report.size < p->config.rewrite_min_bytes ||
	    p->report.size <= base)
		return false;
	return (double)(p->report.size - base) * 100 / (double)base >= p->config.rewrite_percentage;
}

static bool
is_scheduled(const struct persist *p, enum dump_kind kind)
{
	return (p->scheduled & 1U << kind) != 0;
}

void
persist_start_due_dumps(struct persist *p)
{
	if (p->machine.dump != DUMP_IDLE || p->handed_over || p->transfer.phase != TRANSFER_NONE)
		return;
	if (is_scheduled(p, DUMP_REWRITE))
		(void)persist_event(p, EVENT_WANT_REWRITE);
	else if (is_scheduled(p, DUMP_SNAPSHOT) || is_save_due(p))
		(void)persist_event(p, EVENT_WANT_SNAPSHOT);
	else if (is_rewrite_due(p))
		(void)persist_event(p, EVENT_WANT_REWRITE);
}

struct persist_figures
persist_figures(const struct persist *p)
{
	const struct state_machine *m = &p->machine;
	bool is_active = m->dump != DUMP_IDLE && m->dump != DUMP_CANCELLED;
	bool rewrites = is_active && m->kind == DUMP_REWRITE;
	bool saves = is_active && m->kind == DUMP_SNAPSHOT;
	bool runs = m->dump == DUMP_CHILD || m->dump == DUMP_PLACING;
	bool is_on = m->log == PHASE_ON;

	return (struct persist_figures){
	    .log_is_on = is_on,
	    .is_rewriting = rewrites,
	    .rewrite_is_scheduled = is_scheduled(p, DUMP_REWRITE),
	    .is_saving = saves,
	    .fault = persist_fault(p),
	    .rewrite = p->records[DUMP_REWRITE].outcome,
	    .save = p->records[DUMP_SNAPSHOT].outcome,
	    .rewrite_is_failing = p->records[DUMP_REWRITE].is_failing,
	    .save_is_failing = p->records[DUMP_SNAPSHOT].is_failing,
	    .saves = p->records[DUMP_SNAPSHOT].ended,
	    .good_saves = p->records[DUMP_SNAPSHOT].good,
	    .good_rewrites = p->records[DUMP_REWRITE].good,
	    .save_time = p->save_time,
	    .save_s = p->records[DUMP_SNAPSHOT].seconds,
	    .rewrite_s = p->records[DUMP_REWRITE].seconds,
	    .current_save_s = saves && runs ? seconds_since(p->job.begun_us) : -1,
	    .current_rewrite_s = rewrites && runs ? seconds_since(p->job.begun_us) : -1,
	    .fork_us = p->fork_us,
	    .size = is_on ? p->report.size : 0,
	    .base_size = is_on ? p->base_bytes : 0,
	    .unwritten_bytes = p->writer != NULL ? aof_writer_unwritten(p->writer) : 0,
	    .unsynced_bytes = p->writer != NULL ? aof_writer_unsynced(p->writer) : 0,
	    .syncs = p->report.syncs,
	    .slowest_sync_us = p->report.slowest_sync_us,
	};
}
