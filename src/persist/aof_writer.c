#include "config.h"

#include "persist/aof_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mailbox.h"
#include "persist/disk.h"

/* After its time limit, aof_writer_free waits this long for a system call that does not return. */
#define STUCK_US 500000

enum order_kind {
	ORDER_BATCH,
	ORDER_OPEN,
	ORDER_MARK,
	ORDER_ADOPT,
	ORDER_RENAME,
	ORDER_STOP,
	ORDER_LOOK,
	ORDER_CLOSE,
	ORDER_CONFIGURE,
	ORDER_END,
};

struct order {
	struct mail mail; /* first */
	enum order_kind kind;
	int fd;              /* OPEN, ADOPT, CLOSE */
	uint64_t number;     /* BATCH; OPEN: the file's offset; END: the time to give up, in us */
	uint64_t generation; /* OPEN, ADOPT, RENAME */
	struct buffer batch;
	char *temp_path, *path; /* ADOPT, RENAME; OPEN: path or NULL */
	struct aof_writer_settings settings;
};

struct aof_writer {
	const struct disk *disk;
	bool has_thread;
	pthread_t thread;
	struct mailbox orders;
	int order_fd; /* wakes the thread */
	int wake_fd;  /* wakes the loop */
	/* Used by the loop. */
	uint64_t appended_bytes;
	struct aof_report last; /* the last report */
	uint64_t last_taken;    /* value of appended_bytes when that report was made */
	/* Shared, under the lock. */
	pthread_mutex_t lock;
	struct aof_report report;
	uint64_t report_taken;
	/* Held for a rename, and to refuse older renames. */
	pthread_mutex_t rename_lock;
	uint64_t oldest_rename;
	/* Used by the thread. */
	struct log_file log;
	struct aof_report next; /* to be published if it differs from the last */
	uint64_t taken_bytes;
	uint64_t stops;
	uint64_t end_us; /* time to give up; 0: no end was ordered */
};

static struct order *
order_new(enum order_kind kind)
{
	struct order *order = xcalloc(1, sizeof(*order));

	order->kind = kind;
	order->fd = -1;
	return order;
}

static void
order_free(struct order *order)
{
	buffer_release(&order->batch);
	xfree(order->temp_path);
	xfree(order->path);
	xfree(order);
}

static struct aof_report
report_of(const struct aof_writer *w, bool has_ended)
{
	const struct log_file *log = &w->log;

	return (struct aof_report){
	    .kept = log->synced.number,
	    .generation = log->state == LOG_STOPPED ? 0 : log->generation,
	    .fault = log->fault,
	    .size = log->file_end,
	    .unwritten_bytes = log->unwritten_bytes,
	    .unsynced_bytes = log->unsynced_bytes,
	    .syncs = log->syncs,
	    .slowest_sync_us = log->slowest_sync_us,
	    .placed = log->placed,
	    .place_error = log->place_error,
	    .stops = w->stops,
	    .stop_error = log->stop_error,
	    .has_ended = has_ended,
	};
}

/* unwritten_bytes and unsynced_bytes need no comparison: they shrink only when one of the compared
 * members changes. */
static bool
reports_differ(const struct aof_report *a, const struct aof_report *b)
{
	return a->kept != b->kept || a->generation != b->generation ||
	       a->fault.error != b->fault.error || a->fault.is_sync != b->fault.is_sync ||
	       a->fault.needs_rewrite != b->fault.needs_rewrite || a->size != b->size ||
	       a->syncs != b->syncs || a->placed != b->placed || a->stops != b->stops ||
	       a->has_ended != b->has_ended;
}

static void
publish(struct aof_writer *w, bool has_ended)
{
	struct aof_report now = report_of(w, has_ended);

	if (!reports_differ(&now, &w->next))
		return;
	w->next = now;
	pthread_mutex_lock(&w->lock);
	w->report = now;
	w->report_taken = w->taken_bytes;
	pthread_mutex_unlock(&w->lock);
	(void)!eventfd_write(w->wake_fd, 1);
}

/* Renames even if batches are queued, because they may be waiting for room on the disk. */
static void
rename_file(struct aof_writer *w, const struct order *order)
{
	int error = 0;

	pthread_mutex_lock(&w->rename_lock);
	if (order->generation < w->oldest_rename)
		error = ECANCELED;
	else if (w->disk->rename(w->disk->arg, order->temp_path, order->path) != 0)
		error = errno;
	pthread_mutex_unlock(&w->rename_lock);
	if (error == 0 && !disk_sync_folder_of(w->disk, order->path))
		error = errno;
	w->log.placed++;
	w->log.place_error = error;
}

static void
configure(struct log_file *log, const struct aof_writer_settings *settings)
{
	log_file_set_policy(log, settings->policy);
	log->spares_disk = settings->spares_disk;
	log->unsynced_max_bytes = settings->unsynced_max_bytes;
}

static void
carry_out(struct aof_writer *w, struct order *order)
{
	struct log_file *log = &w->log;

	switch (order->kind) {
	case ORDER_BATCH:
		w->taken_bytes += order->batch.len;
		log_file_append(log, order->number, &order->batch);
		break;
	case ORDER_OPEN:
		log_file_open(log, order->fd, order->number, order->generation, order->path);
		break;
	case ORDER_MARK:
		log_file_mark(log);
		break;
	case ORDER_ADOPT:
		log_file_adopt(log, order->fd, order->temp_path, order->path, order->generation);
		break;
	case ORDER_RENAME:
		rename_file(w, order);
		break;
	case ORDER_STOP:
		log_file_stop(log);
		w->stops++;
		break;
	case ORDER_LOOK:
		log_file_check(log);
		break;
	case ORDER_CLOSE:
		close(order->fd);
		break;
	case ORDER_CONFIGURE:
		configure(log, &order->settings);
		break;
	case ORDER_END:
		log_file_end(log);
		w->end_us = order->number;
		break;
	}
}

static void
take_orders(struct aof_writer *w)
{
	struct mail *mail = mailbox_take(&w->orders);

	while (mail != NULL) {
		struct order *order = (struct order *)(void *)mail;

		mail = mail->next;
		carry_out(w, order);
		order_free(order);
	}
}

/* Waits until there is work. */
static void
wait_for_orders(struct aof_writer *w)
{
	struct pollfd order = {.fd = w->order_fd, .events = POLLIN};
	uint64_t due_us = log_file_due_us(&w->log), now_us = clock_mono_us(), left_us;
	struct timespec left;
	eventfd_t count;

	if (w->end_us != 0 && w->end_us < due_us)
		due_us = w->end_us;
	left_us = due_us > now_us ? due_us - now_us : 0;
	left = (struct timespec){(time_t)(left_us / 1000000), (long)(left_us % 1000000) * 1000};
	(void)ppoll(&order, 1, due_us == UINT64_MAX ? NULL : &left, NULL);
	if ((order.revents & POLLIN) != 0)
		(void)!eventfd_read(w->order_fd, &count);
}

static bool
is_over(const struct aof_writer *w)
{
	return w->end_us != 0 && (log_file_is_settled(&w->log) || w->log.fault.needs_rewrite ||
				     clock_mono_us() >= w->end_us);
}

static void *
run(void *arg)
{
	struct aof_writer *w = arg;

	for (;;) {
		take_orders(w);
		log_file_work(&w->log);
		if (is_over(w))
			break;
		publish(w, false);
		wait_for_orders(w);
	}
	publish(w, true);
	return NULL;
}

void
aof_writer_turn(struct aof_writer *w)
{
	take_orders(w);
	log_file_work(&w->log);
	publish(w, is_over(w));
}

static void
give(struct aof_writer *w, struct order *order)
{
	if (mailbox_put(&w->orders, &order->mail))
		(void)!eventfd_write(w->order_fd, 1);
}

/* Starts the thread with all signals blocked. */
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

static void
release(struct aof_writer *w)
{
	log_file_release(&w->log);
	if (w->order_fd != -1)
		close(w->order_fd);
	if (w->wake_fd != -1)
		close(w->wake_fd);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->rename_lock);
	xfree(w);
}

struct aof_writer *
aof_writer_new(const struct disk *disk, const struct aof_writer_settings *settings, bool has_thread)
{
	struct aof_writer *w = xcalloc(1, sizeof(*w));
	int error = 0;

	w->disk = disk;
	w->has_thread = has_thread;
	log_file_init(&w->log, disk, disk->clock_us);
	configure(&w->log, settings);
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->rename_lock, NULL);
	w->order_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->order_fd == -1 || w->wake_fd == -1)
		error = errno;
	else if (has_thread)
		error = start(w);
	if (error == 0)
		return w;
	release(w);
	errno = error;
	return NULL;
}

/* False: the thread is stuck in a system call. */
static bool
await_end(struct aof_writer *w, uint64_t until_us)
{
	struct pollfd wake = {.fd = w->wake_fd, .events = POLLIN};
	struct aof_report report;

	for (;;) {
		uint64_t now_us = clock_mono_us();

		aof_writer_report(w, &report);
		if (report.has_ended)
			return true;
		if (now_us >= until_us)
			return false;
		(void)poll(&wake, 1, (int)((until_us - now_us) / 1000) + 1);
	}
}

bool
aof_writer_free(struct aof_writer *w, uint64_t limit_us, bool *needs_rewrite)
{
	struct order *order;
	bool ok;

	*needs_rewrite = false;
	if (w == NULL)
		return true;
	order = order_new(ORDER_END);
	order->number = clock_mono_us() + limit_us;
	give(w, order);
	if (w->has_thread) {
		if (!await_end(w, clock_mono_us() + limit_us + STUCK_US)) {
			(void)pthread_detach(w->thread);
			return false;
		}
		pthread_join(w->thread, NULL);
	} else {
		aof_writer_turn(w);
	}
	*needs_rewrite = w->log.fault.needs_rewrite;
	ok = log_file_is_settled(&w->log) && !*needs_rewrite;
	release(w);
	return ok;
}

void
aof_writer_open(
    struct aof_writer *w, int fd, uint64_t offset, uint64_t generation, const char *path)
{
	struct order *order = order_new(ORDER_OPEN);

	order->fd = fd;
	order->number = offset;
	order->generation = generation;
	order->path = path != NULL ? xstrdup(path) : NULL;
	give(w, order);
}

void
aof_writer_append(struct aof_writer *w, uint64_t number, struct buffer *batch)
{
	struct order *order = order_new(ORDER_BATCH);

	order->number = number;
	order->batch = *batch;
	*batch = (struct buffer){0};
	w->appended_bytes += order->batch.len;
	give(w, order);
}

void
aof_writer_configure(struct aof_writer *w, const struct aof_writer_settings *settings)
{
	struct order *order = order_new(ORDER_CONFIGURE);

	order->settings = *settings;
	give(w, order);
}

void
aof_writer_mark(struct aof_writer *w)
{
	give(w, order_new(ORDER_MARK));
}

void
aof_writer_adopt(
    struct aof_writer *w, int fd, const char *temp_path, const char *path, uint64_t generation)
{
	struct order *order = order_new(ORDER_ADOPT);

	order->fd = fd;
	order->temp_path = xstrdup(temp_path);
	order->path = xstrdup(path);
	order->generation = generation;
	give(w, order);
}

void
aof_writer_rename(
    struct aof_writer *w, const char *temp_path, const char *path, uint64_t generation)
{
	struct order *order = order_new(ORDER_RENAME);

	order->temp_path = xstrdup(temp_path);
	order->path = xstrdup(path);
	order->generation = generation;
	give(w, order);
}

void
aof_writer_refuse_renames(struct aof_writer *w, uint64_t older_than)
{
	pthread_mutex_lock(&w->rename_lock);
	w->oldest_rename = older_than;
	pthread_mutex_unlock(&w->rename_lock);
}

void
aof_writer_check_file(struct aof_writer *w)
{
	give(w, order_new(ORDER_LOOK));
}

void
aof_writer_stop(struct aof_writer *w)
{
	give(w, order_new(ORDER_STOP));
}

void
aof_writer_close(struct aof_writer *w, int fd)
{
	struct order *order = order_new(ORDER_CLOSE);

	order->fd = fd;
	give(w, order);
}

uint64_t
aof_writer_unwritten(const struct aof_writer *w)
{
	return w->last.unwritten_bytes + w->appended_bytes - w->last_taken;
}

uint64_t
aof_writer_unsynced(const struct aof_writer *w)
{
	return w->last.unsynced_bytes + w->appended_bytes - w->last_taken;
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
	w->last_taken = w->report_taken;
	pthread_mutex_unlock(&w->lock);
	w->last = *report;
}
