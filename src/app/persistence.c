#include "config.h"

#include "app/persistence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/persistence_state.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net.h"
#include "persist/aof_load.h"
#include "persist/data_folder.h"

/* Not written yet: from here on writers wait; until it is down to half. */
#define CROWDED_BYTES (UINT64_C(64) << 20)

/* How often it is looked whether something is due. */
#define LOOK_US 100000

void
persistence_say_misconf(struct persistence *p)
{
	char text[256];

	if (p->report.error != 0) {
		snprintf(text, sizeof(text), "MISCONF Errors writing to the AOF file: %s",
		    strerror(p->report.error));
		server_refuse_writes(p->server, text);
	} else if (p->save_failed && p->settings->disk.stop_on_save_error &&
		   p->settings->disk.save.count > 0) {
		server_refuse_writes(p->server,
		    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable "
		    "to persist to disk. Commands that may modify the data set are disabled, "
		    "because this instance is configured to report errors during writes if RDB "
		    "snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
		    "Redis logs for details about the RDB error.");
	} else {
		server_refuse_writes(p->server, NULL);
	}
}

static void
log_change(const struct persistence *p, const struct aof_report *before)
{
	const struct aof_report *now = &p->report;

	if (now->error != 0 && before->error == 0)
		log_error("%s: cannot be %s: %s: changes are refused until it can be",
		    p->settings->disk.appendfilename, now->sync_failed ? "synced" : "written",
		    strerror(now->error));
	else if (now->error == 0 && before->error != 0)
		log_notice("%s: written again", p->settings->disk.appendfilename);
}

static void
on_report(void *arg)
{
	struct persistence *p = arg;
	struct aof_report before = p->report;

	aof_writer_report(p->writer, &p->report);
	log_change(p, &before);
	/* First what is kept, so that the error is not for that. */
	server_journal_kept(p->server, p->report.kept);
	if (p->report.error != before.error)
		persistence_say_misconf(p);
	if (p->report.waiting <= CROWDED_BYTES / 2)
		server_journal_crowded(p->server, false);
	persistence_reported(p, &before);
}

bool
persistence_lock(struct persistence *p, struct buffer *error)
{
	return p->lock_fd != -1 || data_folder_lock(&p->lock_fd, false, error);
}

bool
persistence_may_keep(struct persistence *p, struct buffer *error)
{
	return persistence_lock(p, error) && persistence_open_writer(p, error);
}

bool
persistence_open_writer(struct persistence *p, struct buffer *error)
{
	if (p->writer != NULL)
		return true;
	p->writer = aof_writer_new((enum aof_sync)p->settings->disk.appendfsync);
	if (p->writer == NULL) {
		buffer_appendf(error, "the thread for the append-only file: %s", strerror(errno));
		return false;
	}
	p->watch = net_watch(p->net, aof_writer_wake_fd(p->writer), on_report, p);
	if (p->watch != NULL)
		return true;
	buffer_append_str(error, "the event loop cannot watch the append-only file's thread");
	return false;
}

void
persistence_switch_journal(struct persistence *p, bool on)
{
	p->is_on = on;
	server_journal_set(
	    p->server, on, p->settings->disk.appendfsync == (uint32_t)AOF_SYNC_ALWAYS);
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool
is_plain_name(const char *directive, const char *name, struct buffer *error)
{
	if (strchr(name, '/') == NULL)
		return true;
	buffer_appendf(
	    error, "%s %s: can't be a path, just a filename: it is in dir", directive, name);
	return false;
}

/* The file is there, with so many bytes: it goes on. */
static bool
open_file(struct persistence *p, uint64_t size, struct buffer *error)
{
	const char *name = p->settings->disk.appendfilename;
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1 || !sync_folder_of(name)) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	p->report.size = p->base_bytes = size;
	aof_writer_open(p->writer, fd, size);
	persistence_switch_journal(p, true);
	return true;
}

/* A snapshot was loaded, and from now on there is to be an append-only file: it begins as the same.
 */
static bool
make_file_of_snapshot(struct persistence *p, uint64_t *size, struct buffer *error)
{
	const char *name = p->settings->disk.appendfilename;
	struct aof_file file;

	if (!dump_file_write(&p->keyspace, REWRITE_TEMP) || rename(REWRITE_TEMP, name) != 0 ||
	    !aof_file_open(&file, name, false)) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
		return false;
	}
	*size = file.bytes.len;
	aof_file_close(&file);
	log_notice("%s: made of %s", name, p->settings->disk.dbfilename);
	return true;
}

static bool
load(struct persistence *p, uint64_t *size, struct buffer *error)
{
	const struct disk_settings *disk = &p->settings->disk;
	enum aof_load_result result = AOF_LOAD_NONE;

	*size = 0;
	if (disk->appendonly)
		result = aof_load(
		    &p->keyspace, disk->appendfilename, false, disk->load_truncated, size, error);
	if (result != AOF_LOAD_NONE)
		return result == AOF_LOADED;
	result = aof_load(&p->keyspace, disk->dbfilename, true, false, size, error);
	if (result == AOF_LOADED) {
		p->save_time = (int64_t)(clock_wall_us() / 1000000);
		return !disk->appendonly || make_file_of_snapshot(p, size, error);
	}
	return result == AOF_LOAD_NONE;
}

static enum disk_answer
on_rewrite(void *arg)
{
	return persistence_rewrite(arg);
}

static enum disk_answer
on_save(void *arg, bool may_wait)
{
	return persistence_save(arg, may_wait);
}

static bool
on_save_now(void *arg)
{
	return persistence_save_now(arg);
}

static bool
on_has_save_rules(void *arg)
{
	const struct persistence *p = arg;

	return p->settings->disk.save.count > 0;
}

static void
on_set_last_save(void *arg, enum disk_last_save when)
{
	((struct persistence *)arg)->last_save = when;
}

static void
on_figures(void *arg, struct server_disk_figures *figures)
{
	persistence_figures(arg, figures);
}

static bool
keyspace_dump(void *arg, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	return server_dump(arg, sink, sink_arg);
}

static void
keyspace_replay_begin(void *arg)
{
	server_replay_begin(arg);
}

static bool
keyspace_replay(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	return server_replay(arg, argv, argc, error, error_len);
}

static void
keyspace_replay_end(void *arg)
{
	server_replay_end(arg);
}

static size_t
keyspace_key_count(void *arg)
{
	return server_key_count(arg);
}

struct persistence *
persistence_new(const struct settings *settings, struct server *server, struct net *net)
{
	struct persistence *p = xcalloc(1, sizeof(*p));
	const struct server_disk disk = {.rewrite = on_rewrite,
	    .save = on_save,
	    .save_now = on_save_now,
	    .has_save_rules = on_has_save_rules,
	    .set_last_save = on_set_last_save,
	    .figures = on_figures,
	    .arg = p};

	p->settings = settings;
	p->server = server;
	p->net = net;
	p->keyspace = (struct persist_keyspace){.dump = keyspace_dump,
	    .replay_begin = keyspace_replay_begin,
	    .replay = keyspace_replay,
	    .replay_end = keyspace_replay_end,
	    .key_count = keyspace_key_count,
	    .arg = server};
	p->lock_fd = -1;
	p->child.result_fd = -1;
	p->save_s = p->rewrite_s = -1;
	p->save_time = (int64_t)(clock_wall_us() / 1000000);
	p->appendfsync = settings->disk.appendfsync;
	server_set_disk(server, &disk);
	return p;
}

bool
persistence_start(struct persistence *p, struct buffer *error)
{
	const struct disk_settings *disk = &p->settings->disk;
	uint64_t size;

	if (!is_plain_name("appendfilename", disk->appendfilename, error) ||
	    !is_plain_name("dbfilename", disk->dbfilename, error))
		return false;
	if (!disk->appendonly && disk->save.count == 0 && !exists(disk->dbfilename))
		return true;
	if (!data_folder_lock(&p->lock_fd, true, error) || !load(p, &size, error))
		return false;
	return !disk->appendonly ||
	       (persistence_open_writer(p, error) && open_file(p, size, error));
}

void
persistence_reconfigured(struct persistence *p)
{
	const struct disk_settings *disk = &p->settings->disk;

	if (p->writer != NULL && p->appendfsync != disk->appendfsync) {
		aof_writer_set_sync(p->writer, (enum aof_sync)disk->appendfsync);
		server_journal_set(
		    p->server, p->is_on, disk->appendfsync == (uint32_t)AOF_SYNC_ALWAYS);
	}
	p->appendfsync = disk->appendfsync;
	persistence_switch(p);
	persistence_say_misconf(p);
}

uint64_t
persistence_turn(struct persistence *p, uint64_t now_us)
{
	if (now_us >= p->next_look_us) {
		p->next_look_us = now_us + LOOK_US;
		persistence_look(p, now_us);
	}
	return p->next_look_us - now_us;
}

void
persistence_flush(struct persistence *p)
{
	struct buffer batch;
	uint64_t number;

	if (p->is_on && server_journal_take(p->server, &batch, &number)) {
		aof_writer_append(p->writer, number, &batch);
		if (aof_writer_waiting(p->writer) > CROWDED_BYTES)
			server_journal_crowded(p->server, true);
	}
}

void
persistence_turn_ends(struct persistence *p)
{
	persistence_flush(p);
	persistence_begin_wanted(p);
}

bool
persistence_holds_data(const struct persistence *p)
{
	return p->is_on || p->lock_fd != -1 || server_key_count(p->server) > 0;
}

bool
persistence_save_last(struct persistence *p)
{
	if (p->last_save == DISK_SAVE_NEVER || server_changes(p->server) == 0 ||
	    (p->last_save != DISK_SAVE_ALWAYS && p->settings->disk.save.count == 0))
		return true;
	return persistence_save_now(p);
}

void
persistence_free(struct persistence *p)
{
	if (p == NULL)
		return;
	if (!persistence_save_last(p))
		log_error("what changed since the last snapshot is lost");
	persistence_flush(p);
	net_unwatch(p->watch);
	net_unwatch(p->child_watch);
	if (!aof_writer_free(p->writer))
		log_error("%s: not all could be written", p->settings->disk.appendfilename);
	persistence_end_switch(p);
	if (p->child.result_fd != -1)
		close(p->child.result_fd);
	if (p->lock_fd != -1)
		close(p->lock_fd);
	xfree(p);
}
