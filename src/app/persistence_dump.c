#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/persistence_state.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net.h"
#include "persist/data_folder.h"

/* Rewrites and snapshots: one at a time, begun at the end of a turn, when all changes so far are
 * the writer's. */

/* After one that failed the next is not begun by itself before this. */
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
path_of(const struct persistence *p, enum dump_kind kind)
{
	return kind == DUMP_REWRITE ? p->settings->disk.appendfilename
				    : p->settings->disk.dbfilename;
}

static bool
is_busy(const struct persistence *p)
{
	return p->running != DUMP_NONE || p->wanted != DUMP_NONE;
}

static void
want(struct persistence *p, enum dump_kind kind)
{
	p->wanted = kind;
	if (kind == DUMP_REWRITE)
		p->rewrite_scheduled = false;
	else
		p->save_scheduled = false;
}

enum disk_answer
persistence_rewrite(struct persistence *p)
{
	if (p->running == DUMP_REWRITE || p->wanted == DUMP_REWRITE)
		return DISK_REWRITING;
	if (is_busy(p)) {
		p->rewrite_scheduled = true;
		return DISK_SCHEDULED;
	}
	want(p, DUMP_REWRITE);
	return DISK_STARTED;
}

enum disk_answer
persistence_save(struct persistence *p, bool may_wait)
{
	if (p->running == DUMP_SNAPSHOT || p->wanted == DUMP_SNAPSHOT)
		return DISK_SAVING;
	if (is_busy(p) && !may_wait)
		return DISK_REWRITING;
	if (is_busy(p)) {
		p->save_scheduled = true;
		return DISK_SCHEDULED;
	}
	want(p, DUMP_SNAPSHOT);
	return DISK_STARTED;
}

static int64_t
seconds_since(uint64_t since_us)
{
	return (int64_t)((clock_mono_us() - since_us) / 1000000);
}

/* What went on is over, well (error is 0) or not. */
static void
end(struct persistence *p, int error)
{
	enum dump_kind kind = p->running;
	bool failed = error != 0;

	p->running = DUMP_NONE;
	p->is_stale = false;
	if (p->writer != NULL)
		aof_writer_spare_disk(p->writer, false);
	if (failed) {
		log_error("%s failed: %s", name_of(kind),
		    error == ECHILD ? "the process that did it ended" : strerror(error));
		p->tried_us = clock_mono_us();
		(void)unlink(temp_of(kind));
	} else {
		log_notice(
		    "%s: done in %lld s", name_of(kind), (long long)seconds_since(p->begun_us));
	}
	if (kind == DUMP_REWRITE) {
		p->rewrite_failed = failed;
		p->rewrite_s = seconds_since(p->begun_us);
		p->rewrites += !failed;
		return;
	}
	p->save_failed = failed;
	p->save_s = seconds_since(p->begun_us);
	p->saves++;
	if (!failed) {
		p->good_saves++;
		p->save_time = (int64_t)(clock_wall_us() / 1000000);
		server_saved(p->server, p->changes_at_fork);
	}
	persistence_say_misconf(p);
	server_save_ended(p->server);
}

/* Its file takes its place: the writer sees to that. */
static void
place(struct persistence *p)
{
	struct buffer error = {0};
	int fd;

	if (p->is_stale) {
		end(p, ECANCELED);
		return;
	}
	if (p->running == DUMP_SNAPSHOT || !p->is_on) {
		if (persistence_open_writer(p, &error)) {
			aof_writer_rename(p->writer, temp_of(p->running), path_of(p, p->running));
		} else {
			log_error("%.*s", (int)error.len, error.ptr);
			end(p, EAGAIN);
		}
		buffer_release(&error);
		return;
	}
	fd = open(REWRITE_TEMP, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		end(p, errno);
	else
		aof_writer_adopt(p->writer, fd, REWRITE_TEMP, path_of(p, DUMP_REWRITE));
}

static void
on_child(void *arg)
{
	struct persistence *p = arg;
	int error = dump_child_result(&p->child);

	net_unwatch(p->child_watch);
	p->child_watch = NULL;
	if (error != 0)
		end(p, error);
	else
		place(p);
}

void
persistence_reported(struct persistence *p, const struct aof_report *before)
{
	const struct aof_report *now = &p->report;

	if (now->adopted != before->adopted) {
		p->base_bytes = now->size;
		/* One that was adopted before it was switched off and on is not of what came since.
		 */
		p->is_switching = p->is_switching && p->is_stale;
		end(p, 0);
	} else if (now->refused != before->refused && p->running == DUMP_REWRITE) {
		end(p, now->refused_error);
	}
	if (now->renames != before->renames && p->running != DUMP_NONE)
		end(p, now->rename_error);
}

/* The child begins; false: error says why not. */
static bool
begin(struct persistence *p, enum dump_kind kind, struct buffer *error)
{
	if (!persistence_lock(p, error))
		return false;
	if (kind == DUMP_REWRITE && p->is_on) {
		aof_writer_mark(p->writer);
		server_journal_forget_database(p->server);
	}
	p->changes_at_fork = server_changes(p->server);
	if (!dump_child_start(&p->child, &p->keyspace, temp_of(kind))) {
		buffer_append_str(error, strerror(errno));
		return false;
	}
	p->fork_us = p->child.fork_us;
	if (p->writer != NULL)
		aof_writer_spare_disk(p->writer, p->settings->disk.no_fsync_on_rewrite);
	p->child_watch = net_watch(p->net, p->child.result_fd, on_child, p);
	if (p->child_watch != NULL)
		return true;
	(void)dump_child_result(&p->child); /* waits for it, as nothing else can */
	buffer_append_str(error, "the event loop cannot watch the process");
	return false;
}

void
persistence_begin_wanted(struct persistence *p)
{
	enum dump_kind kind = p->wanted;
	struct buffer error = {0};

	if (kind == DUMP_NONE || !dump_child_reap(&p->child))
		return;
	p->wanted = DUMP_NONE;
	p->running = kind;
	p->begun_us = clock_mono_us();
	if (begin(p, kind, &error)) {
		log_notice("%s: process %ld, the fork took %.3f ms", name_of(kind),
		    (long)p->child.pid, (double)p->fork_us / 1000);
	} else {
		log_error("%s: %.*s", name_of(kind), (int)error.len, error.ptr);
		end(p, EAGAIN);
	}
	buffer_release(&error);
}

static bool
write_now(struct persistence *p, enum dump_kind kind)
{
	const char *path = path_of(p, kind);

	return dump_file_write(&p->keyspace, LAST_TEMP) && rename(LAST_TEMP, path) == 0 &&
	       sync_folder_of(path);
}

void
persistence_end_switch(struct persistence *p)
{
	if (!p->is_on || !p->is_switching)
		return;
	if (write_now(p, DUMP_REWRITE))
		log_notice("the append-only file was written, as no rewrite had done it yet");
	else
		log_error("%s: %s", path_of(p, DUMP_REWRITE), strerror(errno));
}

bool
persistence_save_now(struct persistence *p)
{
	const char *path = path_of(p, DUMP_SNAPSHOT);
	struct buffer error = {0};
	uint64_t changes = server_changes(p->server);
	bool ok = persistence_lock(p, &error);

	if (ok) {
		/* A child that is at it has an older state. */
		p->is_stale = p->running == DUMP_SNAPSHOT;
		ok = write_now(p, DUMP_SNAPSHOT);
		if (!ok)
			buffer_append_str(&error, strerror(errno));
	}
	if (ok) {
		log_notice("snapshot written to %s", path);
		p->save_time = (int64_t)(clock_wall_us() / 1000000);
		server_saved(p->server, changes);
	} else {
		log_error("snapshot %s: %.*s", path, (int)error.len, error.ptr);
	}
	p->save_failed = !ok;
	buffer_release(&error);
	return ok;
}

static int64_t
number_of(const struct setting_list *rules, size_t i)
{
	int64_t number = 0;

	(void)!slice_to_i64(slice_of(rules->items[i]), &number);
	return number;
}

static bool
is_save_due(const struct persistence *p, uint64_t now_us)
{
	const struct setting_list *rules = &p->settings->disk.save;
	int64_t changes = (int64_t)server_changes(p->server);
	int64_t age_s = (int64_t)(clock_wall_us() / 1000000) - p->save_time;

	if (changes == 0 || (p->save_failed && now_us - p->tried_us < RETRY_US))
		return false;
	for (size_t i = 0; i + 1 < rules->count; i += 2)
		if (age_s > number_of(rules, i) && changes >= number_of(rules, i + 1))
			return true;
	return false;
}

static bool
is_rewrite_due(const struct persistence *p, uint64_t now_us)
{
	const struct disk_settings *disk = &p->settings->disk;
	uint64_t base = p->base_bytes > 0 ? p->base_bytes : 1;

	if (!p->is_on || (p->rewrite_failed && now_us - p->tried_us < RETRY_US))
		return false;
	if (p->is_switching)
		return true;
	if (disk->rewrite_percentage == 0 || p->report.size < disk->rewrite_min_bytes ||
	    p->report.size <= base)
		return false;
	return (double)(p->report.size - base) * 100 / (double)base >= disk->rewrite_percentage;
}

void
persistence_look(struct persistence *p, uint64_t now_us)
{
	if (!dump_child_reap(&p->child) || is_busy(p))
		return;
	if (p->rewrite_scheduled || is_rewrite_due(p, now_us))
		want(p, DUMP_REWRITE);
	else if (p->save_scheduled || is_save_due(p, now_us))
		want(p, DUMP_SNAPSHOT);
}

/* From now on changes go to a file that has no name; the rewrite makes one that has. */
static bool
switch_on(struct persistence *p, struct buffer *error)
{
	int fd;

	if (!persistence_lock(p, error) || !persistence_open_writer(p, error))
		return false;
	fd = open(SINCE_TEMP, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1 || unlink(SINCE_TEMP) != 0) {
		buffer_appendf(error, "%s: %s", SINCE_TEMP, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	aof_writer_open(p->writer, fd, 0);
	p->base_bytes = 0;
	p->is_switching = true;
	if (p->running == DUMP_REWRITE)
		p->is_stale = true; /* it does not know what changes from now on */
	persistence_switch_journal(p, true);
	return true;
}

static void
switch_off(struct persistence *p)
{
	persistence_flush(p);
	persistence_switch_journal(p, false);
	aof_writer_stop(p->writer);
	p->is_switching = false;
	p->rewrite_scheduled = false;
	if (p->running == DUMP_REWRITE)
		p->is_stale = true;
}

void
persistence_switch(struct persistence *p)
{
	struct buffer error = {0};

	if (p->settings->disk.appendonly == p->is_on)
		return;
	if (p->is_on) {
		switch_off(p);
		log_notice("appendonly no: changes are not kept any more");
	} else if (switch_on(p, &error)) {
		log_notice(
		    "appendonly yes: changes are kept as soon as all there is has been written");
	} else {
		log_error("appendonly yes: %.*s", (int)error.len, error.ptr);
	}
	buffer_release(&error);
}

void
persistence_figures(const struct persistence *p, struct server_disk_figures *figures)
{
	bool rewrites = p->running == DUMP_REWRITE, saves = p->running == DUMP_SNAPSHOT;

	*figures = (struct server_disk_figures){
	    .aof_on = p->is_on,
	    .rewriting = rewrites || p->wanted == DUMP_REWRITE,
	    .rewrite_scheduled = p->rewrite_scheduled || (p->is_switching && !rewrites),
	    .rewrite_failed = p->rewrite_failed,
	    .write_failed = p->report.error != 0,
	    .sync_failed = p->report.error != 0 && p->report.sync_failed,
	    .saving = saves || p->wanted == DUMP_SNAPSHOT,
	    .save_failed = p->save_failed,
	    .saves = p->saves,
	    .save_time = p->save_time,
	    .save_s = p->save_s,
	    .rewrite_s = p->rewrite_s,
	    .current_save_s = saves ? seconds_since(p->begun_us) : -1,
	    .current_rewrite_s = rewrites ? seconds_since(p->begun_us) : -1,
	    .good_saves = p->good_saves,
	    .rewrites = p->rewrites,
	    .fork_us = p->fork_us,
	    .size = p->is_on ? p->report.size : 0,
	    .base_size = p->is_on ? p->base_bytes : 0,
	    .waiting_bytes = p->writer != NULL ? aof_writer_waiting(p->writer) : 0,
	    .syncs = p->report.syncs,
	    .slowest_sync_us = p->report.late_us,
	};
}
