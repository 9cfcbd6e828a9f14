#include "config.h"

#include "persist/log_copy.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "persist/disk.h"
#include "persist/log_file.h"

/* Copied to the new file in one step; at least twice the bytes that the old file has gained since
 * the last step, so that the copy catches up. Batches are written between the steps. */
#define PIECE_BYTES ((uint64_t)4 << 20)
/* The new file is synced after this many bytes, so that the last sync is short. */
#define SYNC_BYTES ((uint64_t)32 << 20)
/* The rest that is copied in one step at the end. */
#define LAST_BYTES ((uint64_t)512 << 10)

void
log_copy_begin(struct log_file *log, int fd, const char *temp_path, const char *path)
{
	struct stat st;

	log->copy = (struct log_copy){.state = COPY_RUNNING,
	    .fd = fd,
	    .temp_path = xstrdup(temp_path),
	    .path = xstrdup(path),
	    .from = log->mark,
	    .seen = log->synced.offset};
	if (fstat(fd, &st) != 0)
		log_copy_end(log, errno);
	else
		log->copy.to = (uint64_t)st.st_size;
}

void
log_copy_end(struct log_file *log, int error)
{
	struct log_copy *copy = &log->copy;

	if (copy->state == COPY_NONE)
		return;
	if (copy->state == COPY_RUNNING) {
		close(copy->fd);
		(void)log->disk->unlink(log->disk->arg, copy->temp_path);
	}
	buffer_release(&copy->batch);
	xfree(copy->temp_path);
	xfree(copy->path);
	*copy = (struct log_copy){.state = COPY_NONE, .fd = -1};
	log->placed++;
	log->place_error = error;
}

/* A batch whose checksum is wrong is not copied, because it would get a correct checksum. */
static bool
copy_batch(struct log_file *log)
{
	struct log_copy *copy = &log->copy;
	uint64_t from = copy->from.offset, len, checksum;
	char header[AOF_HEADER_LEN];
	struct iovec pieces[2];

	errno = EIO;
	if (log->synced.offset - from < AOF_HEADER_LEN ||
	    !disk_read_all(log->disk, log->fd, header, sizeof(header), from))
		return false;
	errno = EIO;
	if (!aof_header_read(header, from, &len, &checksum) ||
	    len > log->synced.offset - from - AOF_HEADER_LEN)
		return false;
	buffer_clear(&copy->batch);
	if (!disk_read_all(log->disk, log->fd, buffer_reserve(&copy->batch, (size_t)len),
		(size_t)len, from + AOF_HEADER_LEN))
		return false;
	copy->batch.len = (size_t)len;
	errno = EIO;
	if (aof_checksum(buffer_slice(&copy->batch), from) != checksum)
		return false;
	aof_header_write(header, copy->to, buffer_slice(&copy->batch));
	pieces[0] = (struct iovec){header, sizeof(header)};
	pieces[1] = (struct iovec){copy->batch.ptr, copy->batch.len};
	if (!disk_write_all(log->disk, copy->fd, pieces, 2, copy->to))
		return false;
	copy->from.offset += AOF_HEADER_LEN + len;
	copy->to += AOF_HEADER_LEN + len;
	return true;
}

static bool
copy_until(struct log_file *log, uint64_t offset)
{
	while (log->copy.from.offset < offset)
		if (!copy_batch(log))
			return false;
	return true;
}

/* The first batch in memory that is not part of the new file's beginning. */
static struct batch *
first_of_memory(const struct log_file *log)
{
	struct batch *batch = TAILQ_FIRST(&log->batches);

	while (batch != NULL && batch->number <= log->copy.from.number)
		batch = TAILQ_NEXT(batch, next);
	return batch;
}

static bool
write_memory(struct log_file *log, uint64_t *end)
{
	struct batch *batch = first_of_memory(log);
	struct gathered gathered;

	*end = log->copy.to;
	while (batch != NULL) {
		/* The whole file is synced before it gets its name. */
		batches_gather(batch, *end, GATHER_SYNCED, &gathered);
		if (!disk_write_all(
			log->disk, log->copy.fd, gathered.pieces, gathered.piece_count, *end))
			return false;
		*end += gathered.bytes;
		batch = gathered.behind;
	}
	return true;
}

/* Switches to the new file: the batches in memory get their offsets in it, and count as written. */
static void
take_place(struct log_file *log)
{
	struct log_copy *copy = &log->copy;
	struct batch *batch, *kept = first_of_memory(log);
	uint64_t offset = copy->to;

	while ((batch = TAILQ_FIRST(&log->batches)) != kept) {
		TAILQ_REMOVE(&log->batches, batch, next);
		log->unsynced_bytes -= batch->commands.len;
		batch_free(batch);
	}
	TAILQ_FOREACH (batch, &log->batches, next) {
		batch->state = BATCH_WRITTEN;
		batch->offset = offset;
		offset = batch_end(batch);
	}
	log->unwritten_bytes = 0;
	log->next_write = NULL;
	close(log->fd);
	log->fd = copy->fd;
	copy->fd = -1;
	log->synced.offset = copy->to;
	log->base_number = copy->from.number;
	log->file_end = log->end = offset;
	log->has_partial = false;
	xfree(log->path);
	log->path = xstrdup(copy->path);
	copy->state = COPY_RENAMED;
}

static bool
finish(struct log_file *log)
{
	struct log_copy *copy = &log->copy;
	uint64_t end;

	if (!copy_until(log, log->synced.offset) || !write_memory(log, &end) ||
	    log->disk->sync(log->disk->arg, copy->fd) != 0 ||
	    log->disk->rename(log->disk->arg, copy->temp_path, copy->path) != 0)
		return false;
	take_place(log);
	return true;
}

static uint64_t
piece_bytes(const struct log_file *log)
{
	uint64_t left = log->synced.offset - log->copy.from.offset;
	uint64_t gained = log->synced.offset - log->copy.seen;
	uint64_t piece = PIECE_BYTES + 2 * gained;

	return piece < left ? piece : left;
}

bool
log_copy_step(struct log_file *log)
{
	struct log_copy *copy = &log->copy;
	uint64_t from = copy->from.offset, synced = log->synced.offset;
	bool ok;

	if (synced <= from || synced - from <= LAST_BYTES) {
		if (finish(log))
			return true;
		log_copy_end(log, errno);
		return false;
	}
	ok = copy_until(log, from + piece_bytes(log));
	copy->seen = synced;
	copy->unsynced += copy->from.offset - from;
	if (ok && copy->unsynced >= SYNC_BYTES) {
		ok = log->disk->sync(log->disk->arg, copy->fd) == 0;
		copy->unsynced = 0;
	}
	if (!ok)
		log_copy_end(log, errno);
	return false;
}
