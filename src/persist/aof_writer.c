#include "config.h"

#include "persist/aof_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "persist/aof_copy.h"
#include "persist/aof_orders.h"

#define SYNC_EVERY_US 1000000
#define RETRY_US 1000000

/* Under always a sync waits for more to sync: twice as long as the last one took, at most so. */
#define GATHER_MAX_US 1000

/* Copied behind a new file at once; batches are written in between. */
#define COPY_BYTES ((uint64_t)4 << 20)
/* ... and, at the end, with nothing in between. */
#define LAST_COPY_BYTES ((uint64_t)512 << 10)

struct aof_writer {
	pthread_t thread;
	struct mailbox orders;
	int order_fd; /* wakes the thread */
	int wake_fd;  /* wakes the loop */
	_Atomic uint64_t waiting;
	_Atomic int sync; /* enum aof_sync */
	_Atomic bool spare;
	pthread_mutex_t lock; /* of report */
	struct aof_report report;
	/* The thread's own from here on. */
	struct aof_orders queue;    /* to be done */
	struct aof_orders unsynced; /* written since the last sync, and not safe before it */
	int fd;                     /* -1: none */
	uint64_t offset;            /* where the file ends, a part of a batch not counted */
	uint64_t synced;            /* ... as of the last sync */
	uint64_t written_number;
	uint64_t synced_us;
	uint64_t gather_bytes;    /* with so much in the queue the next sync begins at once */
	uint64_t gather_until_us; /* ... and then in any case */
	uint64_t mark;
	struct aof_copy copy;
	struct aof_report next; /* to be put into report */
	char *unsynced_path; /* owned: it was renamed to, and its folder is not synced; else NULL */
	bool has_rest;       /* behind offset stands a part of a batch */
	bool is_changed;     /* next says something new */
	uint64_t retry_us;   /* next.error: when it is tried again */
	bool is_ending;
};

static bool
is_always(const struct aof_writer *w)
{
	return atomic_load_explicit(&w->sync, memory_order_relaxed) == AOF_SYNC_ALWAYS;
}

static bool
is_everysec(const struct aof_writer *w)
{
	return atomic_load_explicit(&w->sync, memory_order_relaxed) == AOF_SYNC_EVERYSEC &&
	       !atomic_load_explicit(&w->spare, memory_order_relaxed);
}

static void
publish(struct aof_writer *w)
{
	if (!w->is_changed)
		return;
	w->is_changed = false;
	w->next.size = w->offset;
	pthread_mutex_lock(&w->lock);
	w->report = w->next;
	pthread_mutex_unlock(&w->lock);
	(void)!eventfd_write(w->wake_fd, 1);
}

static void
note_failure(struct aof_writer *w, int error, bool is_sync)
{
	w->next.error = error;
	w->next.sync_failed = is_sync;
	w->retry_us = clock_mono_us() + RETRY_US;
	w->is_changed = true;
}

static void
note_kept(struct aof_writer *w)
{
	if (w->next.kept == w->written_number)
		return;
	w->next.kept = w->written_number;
	w->is_changed = true;
}

/* What is behind the last whole batch goes. */
static bool
cut_rest(struct aof_writer *w)
{
	if (!w->has_rest)
		return true;
	if (ftruncate(w->fd, (off_t)w->offset) != 0) {
		note_failure(w, errno, false);
		return false;
	}
	w->has_rest = false;
	return true;
}

/* As many batches of the queue as go at once. False: it failed, they stay there. */
static bool
write_batches(struct aof_writer *w)
{
	struct aof_gathered gathered;
	struct order *order;

	if (!cut_rest(w))
		return false;
	aof_gather(&w->queue, w->offset, &gathered);
	w->has_rest = true;
	if (!aof_write(w->fd, gathered.pieces, gathered.piece_count, w->offset)) {
		note_failure(w, errno, false);
		(void)cut_rest(w);
		return false;
	}
	w->has_rest = false;
	w->offset += gathered.bytes;
	for (size_t i = 0; i < gathered.batch_count; i++) {
		order = TAILQ_FIRST(&w->queue);
		TAILQ_REMOVE(&w->queue, order, next);
		w->written_number = order->number;
		atomic_fetch_sub_explicit(&w->waiting, order->batch.len, memory_order_relaxed);
		if (is_always(w))
			TAILQ_INSERT_TAIL(&w->unsynced, order, next);
		else
			order_free(order);
	}
	w->is_changed = true;
	return true;
}

/*
 * After a sync that failed the system may have forgotten what it could not write, and say next time
 * that all is well: so what is not safe is written once more.
 */
static void
write_unsynced_again(struct aof_writer *w)
{
	struct order *order;

	while ((order = TAILQ_LAST(&w->unsynced, aof_orders)) != NULL) {
		TAILQ_REMOVE(&w->unsynced, order, next);
		TAILQ_INSERT_HEAD(&w->queue, order, next);
		atomic_fetch_add_explicit(&w->waiting, order->batch.len, memory_order_relaxed);
		w->offset = w->synced;
		w->has_rest = true;
	}
}

/*
 * Whoever was just answered comes again in a moment. If those who wait already were synced without
 * them, there would be two groups for good, each a half, that wait for each other.
 */
static void
gather_next(struct aof_writer *w, uint64_t took_us)
{
	uint64_t answered = orders_bytes(&w->unsynced);

	w->gather_bytes = aof_writer_waiting(w) + answered - answered / 8;
	w->gather_until_us =
	    w->synced_us + (took_us * 2 < GATHER_MAX_US ? took_us * 2 : GATHER_MAX_US);
}

/* True if it is better to wait a little for more batches. */
static bool
is_gathering(const struct aof_writer *w)
{
	if (!is_always(w) || w->is_ending || TAILQ_EMPTY(&w->queue) ||
	    aof_writer_waiting(w) >= w->gather_bytes || clock_mono_us() >= w->gather_until_us)
		return false;
	return orders_are_batches(&w->queue);
}

static bool
sync_file(struct aof_writer *w)
{
	uint64_t begun_us = clock_mono_us(), took_us;

	if (fdatasync(w->fd) != 0) {
		note_failure(w, errno, true);
		write_unsynced_again(w);
		return false;
	}
	w->synced_us = clock_mono_us();
	took_us = w->synced_us - begun_us;
	w->next.syncs++;
	w->is_changed = true;
	if (took_us > w->next.late_us)
		w->next.late_us = took_us;
	w->synced = w->offset;
	gather_next(w, took_us);
	orders_free(&w->unsynced);
	return true;
}

/* False: it failed. */
static bool
sync_if_due(struct aof_writer *w)
{
	if (w->unsynced_path != NULL) {
		if (!sync_folder_of(w->unsynced_path)) {
			note_failure(w, errno, true);
			return false;
		}
		xfree(w->unsynced_path);
		w->unsynced_path = NULL;
	}
	if (w->fd != -1 && w->synced != w->offset) {
		bool is_due = is_always(w) || w->is_ending ||
			      (is_everysec(w) && clock_mono_us() - w->synced_us >= SYNC_EVERY_US);

		if (is_due && !sync_file(w))
			return false;
	}
	note_kept(w);
	return true;
}

static void
close_file(struct aof_writer *w)
{
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
	orders_free(&w->unsynced);
	w->has_rest = false;
}

static void
set_file(struct aof_writer *w, int fd, uint64_t offset)
{
	close_file(w);
	w->fd = fd;
	w->offset = w->synced = offset;
	w->synced_us = clock_mono_us();
	w->is_changed = true;
}

static void
end_copy(struct aof_writer *w, int error)
{
	if (error != 0) {
		close(w->copy.fd);
		(void)unlink(w->copy.temp_path);
		w->next.refused++;
		w->next.refused_error = error;
	} else {
		w->next.adopted++;
	}
	aof_copy_release(&w->copy);
	w->is_changed = true;
}

/* A step of letting another file take the place of this one. */
static void
copy_step(struct aof_writer *w)
{
	bool is_last = w->offset - w->copy.from <= LAST_COPY_BYTES;

	if (!aof_copy(
		&w->copy, w->fd, is_last ? w->offset : w->copy.from + COPY_BYTES, w->offset)) {
		end_copy(w, errno);
	} else if (is_last) {
		if (rename(w->copy.temp_path, w->copy.path) != 0) {
			end_copy(w, errno);
			return;
		}
		xfree(w->unsynced_path);
		w->unsynced_path = xstrdup(w->copy.path);
		set_file(w, w->copy.fd, w->copy.to);
		end_copy(w, 0);
		(void)sync_if_due(w);
	}
}

/* False: it failed, and stays where it is. */
static bool
do_order(struct aof_writer *w, struct order *order)
{
	if (order->kind == ORDER_BATCH)
		return write_batches(w);
	switch (order->kind) {
	case ORDER_OPEN:
		if (!is_always(w) || sync_if_due(w))
			set_file(w, order->fd, order->number);
		else
			return false;
		break;
	case ORDER_MARK:
		w->mark = w->offset;
		break;
	case ORDER_ADOPT:
		aof_copy_begin(&w->copy, order, w->mark);
		break;
	case ORDER_STOP:
		if (w->fd != -1 && w->synced != w->offset)
			(void)sync_file(w);
		close_file(w);
		if (w->copy.fd != -1)
			end_copy(w, ECANCELED);
		w->next.error = 0;
		w->offset = w->synced = 0;
		w->is_changed = true;
		break;
	case ORDER_END:
		w->is_ending = true;
		break;
	case ORDER_BATCH:
	case ORDER_RENAME:
	case ORDER_WAKE:
		break;
	}
	TAILQ_REMOVE(&w->queue, order, next);
	order_free(order);
	return true;
}

static void
work(struct aof_writer *w)
{
	struct order *order;
	bool ok = true;

	if (w->next.error != 0 && !w->is_ending && clock_mono_us() < w->retry_us)
		return;
	if (is_gathering(w))
		return;
	while (ok && (order = TAILQ_FIRST(&w->queue)) != NULL)
		ok = do_order(w, order);
	/* Also where it failed: what was written before is acknowledged. */
	if (!sync_if_due(w) || !ok)
		return;
	if (w->next.error != 0) {
		w->next.error = 0;
		w->is_changed = true;
	}
	if (w->copy.fd != -1)
		copy_step(w);
}

/* Has nothing to do with what is in the queue, which may stand for want of room. */
static void
rename_file(struct aof_writer *w, const struct order *order)
{
	bool ok = rename(order->temp_path, order->path) == 0 && sync_folder_of(order->path);

	w->next.rename_error = ok ? 0 : errno;
	w->next.renames++;
	w->is_changed = true;
}

static void
take_orders(struct aof_writer *w)
{
	struct mail *mail = mailbox_take(&w->orders);

	while (mail != NULL) {
		struct order *order = (struct order *)(void *)mail;

		mail = mail->next;
		if (order->kind == ORDER_STOP || order->kind == ORDER_END)
			w->retry_us = 0;
		if (order->kind == ORDER_STOP && w->next.error != 0) {
			atomic_fetch_sub_explicit(
			    &w->waiting, orders_bytes(&w->queue), memory_order_relaxed);
			orders_free(&w->queue);
		}
		if (order->kind == ORDER_RENAME)
			rename_file(w, order);
		if (order->kind == ORDER_WAKE || order->kind == ORDER_RENAME)
			order_free(order);
		else
			TAILQ_INSERT_TAIL(&w->queue, order, next);
	}
}

/* Until there is something to do. */
static void
rest(struct aof_writer *w)
{
	struct pollfd order = {.fd = w->order_fd, .events = POLLIN};
	uint64_t until_us = UINT64_MAX, now_us, left_us;
	struct timespec left;
	eventfd_t count;

	if (w->next.error != 0)
		until_us = w->retry_us;
	else if (!TAILQ_EMPTY(&w->queue))
		until_us = w->gather_until_us; /* by now it may be over */
	else if (w->copy.fd != -1)
		until_us = 0;
	else if (w->fd != -1 && w->synced != w->offset && is_everysec(w))
		until_us = w->synced_us + SYNC_EVERY_US;
	now_us = clock_mono_us();
	left_us = until_us > now_us ? until_us - now_us : 0;
	left = (struct timespec){(time_t)(left_us / 1000000), (long)(left_us % 1000000) * 1000};
	(void)ppoll(&order, 1, until_us == UINT64_MAX ? NULL : &left, NULL);
	if ((order.revents & POLLIN) != 0)
		(void)!eventfd_read(w->order_fd, &count);
}

static void *
run(void *arg)
{
	struct aof_writer *w = arg;

	for (;;) {
		take_orders(w);
		work(w);
		publish(w);
		if (w->is_ending && w->copy.fd == -1)
			break;
		if (w->next.error != 0 && !TAILQ_EMPTY(&w->queue) &&
		    TAILQ_LAST(&w->queue, aof_orders)->kind == ORDER_END)
			break;
		rest(w);
	}
	close_file(w);
	orders_free(&w->queue);
	return NULL;
}

static void
give(struct aof_writer *w, struct order *order)
{
	if (mailbox_put(&w->orders, &order->mail))
		(void)!eventfd_write(w->order_fd, 1);
}

/* No signal is this thread's. */
static int
start(struct aof_writer *w)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		(void)pthread_setname_np(w->thread, "fanfared-aof");
	return error;
}

struct aof_writer *
aof_writer_new(enum aof_sync sync)
{
	struct aof_writer *w = xcalloc(1, sizeof(*w));
	int error;

	w->fd = -1;
	w->copy.fd = -1;
	atomic_init(&w->sync, (int)sync);
	pthread_mutex_init(&w->lock, NULL);
	TAILQ_INIT(&w->queue);
	TAILQ_INIT(&w->unsynced);
	w->order_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = w->order_fd == -1 || w->wake_fd == -1 ? errno : start(w);
	if (error == 0)
		return w;
	if (w->order_fd != -1)
		close(w->order_fd);
	if (w->wake_fd != -1)
		close(w->wake_fd);
	xfree(w);
	errno = error;
	return NULL;
}

bool
aof_writer_free(struct aof_writer *w)
{
	bool ok;

	if (w == NULL)
		return true;
	give(w, order_new(ORDER_END));
	pthread_join(w->thread, NULL);
	ok = w->next.error == 0;
	pthread_mutex_destroy(&w->lock);
	close(w->order_fd);
	close(w->wake_fd);
	xfree(w->unsynced_path);
	xfree(w);
	return ok;
}

void
aof_writer_open(struct aof_writer *w, int fd, uint64_t offset)
{
	struct order *order = order_new(ORDER_OPEN);

	order->fd = fd;
	order->number = offset;
	give(w, order);
}

void
aof_writer_append(struct aof_writer *w, uint64_t number, struct buffer *batch)
{
	struct order *order = order_new(ORDER_BATCH);

	order->number = number;
	order->batch = *batch;
	*batch = (struct buffer){0};
	atomic_fetch_add_explicit(&w->waiting, order->batch.len, memory_order_relaxed);
	give(w, order);
}

void
aof_writer_set_sync(struct aof_writer *w, enum aof_sync sync)
{
	atomic_store_explicit(&w->sync, (int)sync, memory_order_relaxed);
	give(w, order_new(ORDER_WAKE));
}

void
aof_writer_spare_disk(struct aof_writer *w, bool spare)
{
	atomic_store(&w->spare, spare);
}

void
aof_writer_mark(struct aof_writer *w)
{
	give(w, order_new(ORDER_MARK));
}

void
aof_writer_adopt(struct aof_writer *w, int fd, const char *temp_path, const char *path)
{
	struct order *order = order_new(ORDER_ADOPT);

	order->fd = fd;
	order->temp_path = xstrdup(temp_path);
	order->path = xstrdup(path);
	give(w, order);
}

void
aof_writer_rename(struct aof_writer *w, const char *temp_path, const char *path)
{
	struct order *order = order_new(ORDER_RENAME);

	order->temp_path = xstrdup(temp_path);
	order->path = xstrdup(path);
	give(w, order);
}

uint64_t
aof_writer_waiting(const struct aof_writer *w)
{
	return atomic_load_explicit(&w->waiting, memory_order_relaxed);
}

void
aof_writer_stop(struct aof_writer *w)
{
	give(w, order_new(ORDER_STOP));
}

int
aof_writer_wake_fd(const struct aof_writer *w)
{
	return w->wake_fd;
}

void
aof_writer_report(struct aof_writer *w, struct aof_report *report)
{
	eventfd_t count;

	(void)!eventfd_read(w->wake_fd, &count);
	pthread_mutex_lock(&w->lock);
	*report = w->report;
	pthread_mutex_unlock(&w->lock);
	report->waiting = aof_writer_waiting(w);
}
