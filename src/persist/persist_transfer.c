#include "config.h"

#include "persist/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "persist/key_stream.h"
#include "persist/keyspace.h"
#include "persist/persist_state.h"

/* The predecessor's side of a transfer. */

/* Memory kept for further changes. */
#define KEEP_BYTES ((size_t)1 << 20)

void
persist_transfer_reserve(struct persist *p)
{
	p->transfer.phase = TRANSFER_RESERVED;
	p->transfer.fault = NULL;
}

bool
persist_transfer_may_copy(struct persist *p)
{
	return p->machine.dump == DUMP_IDLE &&
	       (p->machine.log == PHASE_OFF || p->machine.log == PHASE_ON) &&
	       dump_child_reap(&p->child) && dump_child_reap(&p->transfer.child);
}

static void
on_copied(void *arg)
{
	struct persist *p = arg;
	struct persist_transfer *t = &p->transfer;
	int error = dump_child_result(&t->child);

	p->host.unwatch(p->host.arg, t->watch);
	t->watch = NULL;
	if (t->copy.done != NULL)
		t->copy.done(t->copy.arg, error);
}

struct copy_work {
	const struct persist_keyspace *keyspace;
	const struct transfer_copy *copy;
};

static int
send_keys(void *arg)
{
	const struct copy_work *work = arg;

	return key_stream_write(work->keyspace, work->copy->send, work->copy->arg) ? 0 : errno;
}

bool
persist_transfer_copy(struct persist *p, const struct transfer_copy *copy, struct buffer *error)
{
	struct persist_transfer *t = &p->transfer;
	struct copy_work keys = {p->host.keyspace, copy};
	const struct dump_work work = {.run = send_keys, .arg = &keys, .fd = copy->fd};

	persist_flush(p);
	persist_set_journal(p, true);
	p->host.journal_forget_database(p->host.arg);
	t->phase = TRANSFER_COLLECTS;
	t->offset = 0;
	if (!dump_child_start(&t->child, p->disk, &work)) {
		buffer_appendf(error, "fork: %s", strerror(errno));
		return false;
	}
	p->fork_us = t->child.fork_us;
	t->watch = p->host.watch(p->host.arg, t->child.result_fd, on_copied, p);
	if (t->watch != NULL) {
		t->copy = *copy;
		return true;
	}
	(void)dump_child_end(&t->child, 0);
	buffer_append_str(error, "the event loop cannot watch the child process");
	return false;
}

bool
persist_transfer_collects(const struct persist *p)
{
	return p->transfer.phase >= TRANSFER_COLLECTS;
}

void
persist_transfer_add(struct persist *p, struct slice commands)
{
	struct persist_transfer *t = &p->transfer;

	if (!persist_transfer_collects(p))
		return;
	if (t->phase == TRANSFER_SEALED)
		t->fault = "a key changed after the last change was sent";
	else
		key_stream_put(&t->queue, &t->offset, commands);
}

struct slice
persist_transfer_queue(const struct persist *p)
{
	const struct persist_transfer *t = &p->transfer;

	return (struct slice){t->queue.ptr + t->sent, t->queue.len - t->sent};
}

void
persist_transfer_sent(struct persist *p, size_t len)
{
	struct persist_transfer *t = &p->transfer;
	size_t left;

	t->sent += len;
	left = t->queue.len - t->sent;
	/* Moved when at least as much was sent, so that each byte is moved once on average. */
	if (left <= t->sent) {
		if (left > 0)
			memmove(t->queue.ptr, t->queue.ptr + t->sent, left);
		t->queue.len = left;
		t->sent = 0;
		buffer_shrink(&t->queue, KEEP_BYTES);
	}
	persist_end_crowd(p);
}

uint64_t
persist_transfer_queued_total(const struct persist *p)
{
	return p->transfer.offset;
}

void
persist_transfer_sync(struct persist *p)
{
	p->transfer.phase = TRANSFER_SYNCS;
	persist_configure_writer(p);
}

bool
persist_transfer_is_synced(const struct persist *p)
{
	if (p->machine.log == PHASE_OFF)
		return true;
	return p->report.generation == p->generation && p->report.fault.error == 0 &&
	       p->report.kept >= p->last_number && aof_writer_unsynced(p->writer) == 0;
}

void
persist_transfer_seal(struct persist *p)
{
	p->transfer.phase = TRANSFER_SEALED;
}

const char *
persist_transfer_fault(struct persist *p)
{
	persist_flush(p);
	return p->transfer.fault;
}

void
persist_transfer_files(const struct persist *p, struct transfer_files *files)
{
	*files = (struct transfer_files){
	    .lock_fd = p->lock_fd,
	    .log_is_on = p->machine.log == PHASE_ON,
	    .log_size = p->report.size,
	    .base_size = p->base_bytes,
	    .changes = p->host.changes(p->host.arg),
	    .save_time = p->save_time,
	};
	snprintf(files->log_name, sizeof(files->log_name), "%s", p->config.log_name);
	snprintf(files->snapshot_name, sizeof(files->snapshot_name), "%s", p->config.snapshot_name);
}

/* The child is only killed: its result comes later. */
static void
end_transfer(struct persist *p)
{
	struct persist_transfer *t = &p->transfer;

	t->phase = TRANSFER_NONE;
	t->copy = (struct transfer_copy){.fd = -1};
	t->fault = NULL;
	t->sent = 0;
	buffer_release(&t->queue);
	if (t->child.result_fd != -1)
		dump_child_kill(&t->child);
}

void
persist_transfer_cancel(struct persist *p)
{
	bool collected = persist_transfer_collects(p);

	if (p->transfer.phase == TRANSFER_NONE)
		return;
	persist_flush(p);
	end_transfer(p);
	if (collected && p->machine.log == PHASE_OFF)
		persist_set_journal(p, false);
	persist_configure_writer(p);
	persist_end_crowd(p);
}

void
persist_hand_over(struct persist *p)
{
	p->handed_over = true;
	end_transfer(p);
	/* A scheduled snapshot has ended for the clients that wait for it. */
	if ((p->scheduled & 1U << DUMP_SNAPSHOT) != 0) {
		p->records[DUMP_SNAPSHOT].outcome = DUMP_WAS_CANCELLED;
		p->records[DUMP_SNAPSHOT].ended++;
	}
	p->scheduled = 0;
	p->keeps_starting = false;
	snprintf(p->start_error, sizeof(p->start_error), "another process has taken over");
	/* All batches are synced, so nothing is written any more. */
	if (p->machine.log != PHASE_CLOSED)
		(void)persist_event(p, EVENT_LOG_OFF);
	persist_set_journal(p, false);
	if (p->lock_fd != -1)
		close(p->lock_fd);
	p->lock_fd = -1;
	persist_end_crowd(p);
	persist_derive_refusal(p);
	p->host.ended(p->host.arg);
}
