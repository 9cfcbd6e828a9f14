#include "config.h"

#include "persist/log_file.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "persist/disk.h"
#include "persist/log_copy.h"

#define SYNC_EVERY_US 1000000
#define RETRY_US 1000000
#define ENDING_RETRY_US 100000

/* Under `always`, a sync waits for more batches: twice as long as the last sync took, and at most
 * this long. */
#define GATHER_MAX_US 1000

void
log_file_init(struct log_file *log, const struct disk *disk, uint64_t (*clock_us)(void))
{
	*log = (struct log_file){.disk = disk,
	    .clock_us = clock_us,
	    .state = LOG_STOPPED,
	    .unsynced_max_bytes = UINT64_MAX,
	    .fd = -1,
	    .copy = {.fd = -1}};
	TAILQ_INIT(&log->batches);
}

/* Frees the batches before this one; NULL: all batches. */
static void
forget_batches(struct log_file *log, const struct batch *until)
{
	struct batch *batch;

	while ((batch = TAILQ_FIRST(&log->batches)) != until) {
		TAILQ_REMOVE(&log->batches, batch, next);
		if (batch->state == BATCH_QUEUED)
			log->unwritten_bytes -= batch->commands.len;
		log->unsynced_bytes -= batch->commands.len;
		batch_free(batch);
	}
}

static void
close_file(struct log_file *log)
{
	if (log->fd != -1)
		close(log->fd);
	log->fd = -1;
	xfree(log->path);
	log->path = NULL;
	forget_batches(log, NULL);
	log->next_write = NULL;
	log->has_partial = false;
	log->fault = (struct log_fault){0};
	log->state = LOG_STOPPED;
}

void
log_file_release(struct log_file *log)
{
	log_copy_end(log, ECANCELED);
	close_file(log);
}

static void
fail(struct log_file *log, int error, bool is_sync)
{
	log->state = LOG_FAILING;
	log->fault = (struct log_fault){.error = error, .is_sync = is_sync};
	log->retry_us = log->clock_us() + (log->is_ending ? ENDING_RETRY_US : RETRY_US);
}

/* Truncates the part of a batch behind the last whole one. */
static bool
cut_rest(struct log_file *log)
{
	if (!log->has_partial)
		return true;
	if (log->disk->truncate(log->disk->arg, log->fd, log->file_end) != 0)
		return false;
	log->has_partial = false;
	return true;
}

static void
note_written(struct log_file *log, const struct batch *until)
{
	struct batch *batch;

	for (batch = log->next_write; batch != until; batch = TAILQ_NEXT(batch, next)) {
		batch->state = BATCH_WRITTEN;
		log->unwritten_bytes -= batch->commands.len;
		if (batch_end(batch) > log->file_end)
			log->file_end = batch_end(batch);
	}
	log->next_write = batch;
}

static bool
has_its_name(const struct log_file *log, const struct stat *file)
{
	struct stat named;

	return log->path == NULL || (stat(log->path, &named) == 0 && named.st_dev == file->st_dev &&
					named.st_ino == file->st_ino);
}

/* False if there is a hole at the end of the synced part: the file was truncated and has grown
 * again. */
static bool
ends_as_synced(const struct log_file *log)
{
	char end[2];

	return log->synced.offset < sizeof(end) ||
	       (pread(log->fd, end, sizeof(end), (off_t)(log->synced.offset - sizeof(end))) ==
		       (ssize_t)sizeof(end) &&
		   memcmp(end, "\r\n", sizeof(end)) == 0);
}

/*
 * False if another process has truncated the file, removed it or replaced it: acknowledged changes
 * would be in no file. size: the minimum size of the file.
 */
static bool
is_intact(struct log_file *log, uint64_t size)
{
	struct stat st;
	bool is_named;

	if (fstat(log->fd, &st) != 0) {
		fail(log, errno, false);
		return false;
	}
	is_named = has_its_name(log, &st);
	if (is_named && (uint64_t)st.st_size >= size && ends_as_synced(log))
		return true;
	fail(log, is_named ? EIO : ENOENT, false);
	log->fault.needs_rewrite = true;
	return false;
}

void
log_file_check(struct log_file *log)
{
	if (log->state == LOG_WRITING)
		(void)is_intact(log, log->file_end);
}

/* Writes all queued batches. False: a write failed, which is noted. */
static bool
write_queued(struct log_file *log)
{
	struct gathered gathered;

	while (log->next_write != NULL) {
		uint64_t offset = log->next_write->offset;

		if (!is_intact(log, log->file_end))
			return false;
		if (!cut_rest(log)) {
			fail(log, errno, false);
			return false;
		}
		batches_gather(log->next_write, offset, log->synced.offset, &gathered);
		log->has_partial = offset + gathered.bytes > log->file_end;
		if (!disk_write_all(
			log->disk, log->fd, gathered.pieces, gathered.piece_count, offset)) {
			fail(log, errno, false);
			(void)cut_rest(log);
			return false;
		}
		log->has_partial = false;
		note_written(log, gathered.behind);
	}
	return true;
}

/* The position up to which a sync makes the file durable. */
static struct log_position
written_position(const struct log_file *log)
{
	struct log_position position = {log->end, log->last_number};
	const struct batch *last;

	if (log->next_write == NULL)
		return position;
	last = TAILQ_PREV(log->next_write, batches, next);
	position.offset = log->next_write->offset;
	position.number = last != NULL ? last->number : log->synced.number;
	if (position.number < log->base_number)
		position.number = log->base_number;
	return position;
}

/*
 * After a failed sync, the system may have dropped the data that it could not write, and report
 * success for the next sync, even to another process. So everything that is not synced is written
 * again, at once.
 */
static void
write_again(struct log_file *log)
{
	struct batch *batch;

	TAILQ_FOREACH (batch, &log->batches, next) {
		if (batch->state == BATCH_WRITTEN)
			log->unwritten_bytes += batch->commands.len;
		batch->state = BATCH_QUEUED;
	}
	log->next_write = TAILQ_FIRST(&log->batches);
	(void)write_queued(log);
}

/*
 * A client that got its reply will send its next change in a moment. If the waiting changes were
 * synced without it, the clients would permanently form two groups, each waiting for the other's
 * syncs.
 */
static void
gather_next(struct log_file *log, uint64_t took_us, uint64_t answered_bytes)
{
	log->gather_bytes = log->unwritten_bytes + answered_bytes - answered_bytes / 8;
	log->gather_until_us =
	    log->synced_us + (took_us * 2 < GATHER_MAX_US ? took_us * 2 : GATHER_MAX_US);
}

/* True if it is better to wait for more batches. */
static bool
is_gathering(const struct log_file *log)
{
	return log->policy == AOF_SYNC_ALWAYS && !log->is_ending && log->state == LOG_WRITING &&
	       log->copy.state != COPY_RENAMED && log->next_write != NULL &&
	       log->unwritten_bytes < log->gather_bytes && log->clock_us() < log->gather_until_us;
}

static bool
sync_data(struct log_file *log, const struct log_position *until)
{
	uint64_t begun_us = log->clock_us(), took_us, answered;

	if (log->disk->sync(log->disk->arg, log->fd) != 0) {
		fail(log, errno, true);
		write_again(log);
		return false;
	}
	if (!is_intact(log, until->offset))
		return false;
	log->synced_us = log->clock_us();
	took_us = log->synced_us - begun_us;
	log->syncs++;
	if (took_us > log->slowest_sync_us)
		log->slowest_sync_us = took_us;
	answered = log->unsynced_bytes;
	forget_batches(log, log->next_write);
	gather_next(log, took_us, answered - log->unsynced_bytes);
	log->synced = *until;
	return true;
}

/* Syncs the name first: the contents of a file without a name are not durable. False: it failed,
 * which is noted. */
static bool
sync_all(struct log_file *log)
{
	struct log_position until = written_position(log);

	if (log->copy.state == COPY_RENAMED) {
		if (!disk_sync_folder_of(log->disk, log->copy.path)) {
			fail(log, errno, true);
			return false;
		}
		log_copy_end(log, 0);
	}
	if (until.offset != log->synced.offset)
		return sync_data(log, &until);
	log->synced.number = until.number;
	return true;
}

static bool
is_sync_due(const struct log_file *log)
{
	struct log_position until = written_position(log);

	if (log->copy.state == COPY_RENAMED)
		return true;
	if (until.offset == log->synced.offset)
		return until.number != log->synced.number;
	if (log->policy == AOF_SYNC_ALWAYS || log->is_ending || log->fault.is_sync ||
	    log->synced.number < log->must_sync_number ||
	    log->unsynced_bytes >= log->unsynced_max_bytes / 2)
		return true;
	return log->policy == AOF_SYNC_EVERYSEC && !log->spares_disk &&
	       log->clock_us() - log->synced_us >= SYNC_EVERY_US;
}

/* Syncs also if writing failed: batches written before can then be acknowledged. */
static void
write_and_sync(struct log_file *log)
{
	bool ok;

	if (log->fault.needs_rewrite && !is_intact(log, log->file_end))
		return;
	log->fault.needs_rewrite = false; /* cleared, because the file may have been put back */
	ok = write_queued(log);
	if (log->fault.needs_rewrite)
		return;
	if (is_sync_due(log) && !sync_all(log))
		return;
	if (ok) {
		log->state = LOG_WRITING;
		log->fault = (struct log_fault){0};
	}
}

void
log_file_work(struct log_file *log)
{
	if (log->state == LOG_STOPPED)
		return;
	if (log->state == LOG_WRITING ? !is_gathering(log) : log->clock_us() >= log->retry_us)
		write_and_sync(log);
	if (log->copy.state != COPY_RUNNING || !log_copy_step(log))
		return;
	/* The new file is independent of the old one, whose fault is over unless this fails. */
	if (sync_all(log)) {
		log->state = LOG_WRITING;
		log->fault = (struct log_fault){0};
	}
}

uint64_t
log_file_due_us(const struct log_file *log)
{
	if (log->state == LOG_STOPPED)
		return UINT64_MAX;
	if (log->copy.state == COPY_RUNNING)
		return 0;
	if (log->state == LOG_FAILING)
		return log->retry_us;
	if (log->next_write != NULL)
		return log->gather_until_us;
	if (is_sync_due(log))
		return 0;
	if (log->policy == AOF_SYNC_EVERYSEC && !log->spares_disk && log->synced.offset != log->end)
		return log->synced_us + SYNC_EVERY_US;
	return UINT64_MAX;
}

bool
log_file_is_settled(const struct log_file *log)
{
	return log->synced.number == log->last_number && log->copy.state == COPY_NONE;
}

void
log_file_set_policy(struct log_file *log, enum aof_sync policy)
{
	if (log->policy == AOF_SYNC_ALWAYS && policy != AOF_SYNC_ALWAYS)
		log->must_sync_number = log->last_number;
	log->policy = policy;
}

void
log_file_open(struct log_file *log, int fd, uint64_t offset, uint64_t generation, const char *path)
{
	log_file_stop(log);
	log->fd = fd;
	log->path = path != NULL ? xstrdup(path) : NULL;
	log->generation = generation;
	log->synced = (struct log_position){offset, log->last_number};
	log->base_number = log->last_number;
	log->file_end = log->end = offset;
	log->synced_us = log->clock_us();
	log->state = LOG_WRITING;
}

void
log_file_append(struct log_file *log, uint64_t number, struct buffer *commands)
{
	struct batch *batch;

	assert(number > log->last_number);
	log->last_number = number;
	if (log->state == LOG_STOPPED) {
		log->synced.number = number;
		buffer_release(commands);
		return;
	}
	batch = batch_new(number, log->end, commands);
	TAILQ_INSERT_TAIL(&log->batches, batch, next);
	if (log->next_write == NULL)
		log->next_write = batch;
	log->end = batch_end(batch);
	log->unwritten_bytes += batch->commands.len;
	log->unsynced_bytes += batch->commands.len;
}

void
log_file_mark(struct log_file *log)
{
	log->mark = (struct log_position){log->end, log->last_number};
}

void
log_file_adopt(
    struct log_file *log, int fd, const char *temp_path, const char *path, uint64_t generation)
{
	int error = log->copy.state != COPY_NONE ? EBUSY : 0;

	if (log->state == LOG_STOPPED || generation != log->generation || log->is_ending)
		error = ECANCELED;
	if (error == 0) {
		log_copy_begin(log, fd, temp_path, path);
		return;
	}
	close(fd);
	(void)log->disk->unlink(log->disk->arg, temp_path);
	log->placed++;
	log->place_error = error;
}

void
log_file_stop(struct log_file *log)
{
	if (log->state == LOG_STOPPED)
		return;
	log->stop_error = 0;
	if (log->copy.state == COPY_RUNNING)
		log_copy_end(log, ECANCELED);
	if (!log_file_is_settled(log)) {
		bool written = write_queued(log);

		if (!sync_all(log) || !written)
			log->stop_error = log->fault.error;
	}
	log_copy_end(log, ECANCELED);
	close_file(log);
	log->end = 0;
	log->synced = (struct log_position){0, log->last_number};
}

void
log_file_end(struct log_file *log)
{
	log->is_ending = true;
	log_file_check(log);
	log->retry_us = 0;
	if (log->copy.state == COPY_RUNNING)
		log_copy_end(log, ECANCELED);
}
