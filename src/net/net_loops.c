#include "config.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/task.h"
#include "net/conn.h"

/* The I/O loops: starts and ends them, and handles their reports. */

static void
on_failed(struct conn *conn, const struct io_report *report)
{
	if (report->is_writing)
		conn_was_written(conn, report);
	else if (report->reason != NULL)
		conn_refuse(conn, report->reason);
	else
		conn_kill(conn, report->error == ECONNRESET ? "reset by peer"
				: report->error == ENOMEM   ? "cannot be watched"
							    : "read error");
}

static void
on_end(struct conn *conn)
{
	conn->eof = true;
	if (conn->state == CONN_LINGERING)
		conn_kill(conn, "finished");
	else if (conn_is_open(conn))
		conn_work_add(conn, WORK_LATER);
}

static void
finish_task(struct task *task)
{
	task->done(task);
}

static void
take_report(const struct io_report *report)
{
	struct conn *conn = report->owner;

	switch (report->what) {
	case IO_READ:
		conn_was_read(conn, report);
		break;
	case IO_END:
		on_end(conn);
		break;
	case IO_WRITTEN:
		conn_was_written(conn, report);
		break;
	case IO_WRITABLE:
		conn_is_writable(conn);
		break;
	case IO_FAILED:
		on_failed(conn, report);
		break;
	case IO_SECURED:
		conn_secured(conn, report->text, report->is_resumed);
		break;
	case IO_STOPPED:
		conn_become(conn, CONN_STOPPED);
		conn_work_add(conn, WORK_CLOSING);
		break;
	case IO_RAN:
		finish_task(report->owner);
		break;
	}
}

static void
take_reports(struct net *net)
{
	struct mail *mail = mailbox_take(&net->inbox.box);

	while (mail != NULL) {
		struct io_reports *reports = (struct io_reports *)(void *)mail;

		mail = mail->next;
		for (size_t i = 0; i < reports->count; i++)
			take_report(&reports->items[i]);
		xfree(reports);
	}
}

static void
on_inbox(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;
	eventfd_t count;

	(void)what;
	net_wake(net);
	(void)!eventfd_read(fd, &count);
	take_reports(net);
}

static struct io_limits
limits_now(const struct net *net)
{
	struct io_limits limits = {.read_share_bytes = net->config->read_share_bytes};

	memcpy(limits.services, net->config->limits, sizeof(limits.services));
	return limits;
}

/* False if the system refuses; then nothing is left open. */
static bool
open_inbox(struct net *net)
{
	net->inbox.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (net->inbox.wake_fd == -1)
		return false;
	net->inbox_event =
	    event_new(net->base, net->inbox.wake_fd, EV_READ | EV_PERSIST, on_inbox, net);
	if (net->inbox_event != NULL && event_add(net->inbox_event, NULL) == 0)
		return true;
	if (net->inbox_event != NULL)
		event_free(net->inbox_event);
	net->inbox_event = NULL;
	close(net->inbox.wake_fd);
	return false;
}

void
net_loops_open(struct net *net)
{
	unsigned wanted = net->config->io_threads;

	if (wanted <= 1 || net->inbox_event != NULL)
		return;
	if (wanted > NET_LOOPS_MAX)
		wanted = NET_LOOPS_MAX;
	net->loop_limits = limits_now(net);
	if (!open_inbox(net)) {
		log_error("io-threads: no eventfd: %s; going on with 1", strerror(errno));
		return;
	}
	for (unsigned i = 0; i < wanted; i++) {
		struct io_loop *loop = io_loop_new(&net->inbox, net->protocols, &net->loop_limits);

		if (loop == NULL) {
			log_error(
			    "io-threads: %s; going on with %u of %u", strerror(errno), i, wanted);
			break;
		}
		net->loops[net->loop_count].io = loop;
		TAILQ_INIT(&net->loops[net->loop_count].messages);
		TAILQ_INIT(&net->loops[net->loop_count].in_flight);
		net->loop_count++;
	}
}

void
net_loops_send(struct net *net)
{
	struct io_limits limits;

	if (net->loop_count == 0)
		return;
	limits = limits_now(net);
	if (memcmp(&limits, &net->loop_limits, sizeof(limits)) != 0) {
		net->loop_limits = limits;
		for (unsigned i = 0; i < net->loop_count; i++)
			io_loop_set_limits(net->loops[i].io, &limits);
	}
	for (unsigned i = 0; i < net->loop_count; i++)
		io_loop_send(net->loops[i].io);
}

void
net_loops_settle(struct net *net)
{
	struct pollfd inbox = {.fd = net->inbox.wake_fd, .events = POLLIN};

	net_loops_send(net);
	(void)poll(&inbox, 1, -1);
	on_inbox(net->inbox.wake_fd, EV_READ, net);
}

void
net_loops_close(struct net *net)
{
	if (net->inbox_event == NULL)
		return;
	for (unsigned i = 0; i < net->loop_count; i++)
		io_loop_free(net->loops[i].io);
	net->loop_count = 0;
	take_reports(net); /* frees reports; there are no connections any more */
	event_free(net->inbox_event);
	net->inbox_event = NULL;
	close(net->inbox.wake_fd);
}

bool
conn_run_task(struct conn *conn, struct task *task)
{
	if (!conn->has_link)
		return false;
	io_loop_run(conn_loop(conn)->io, task);
	return true;
}

unsigned
net_loop_count(const struct net *net)
{
	return net->loop_count;
}

struct net_loop_figures
net_loop_figures(const struct net *net, unsigned loop)
{
	struct net_loop_figures figures;

	assert(loop < net->loop_count);
	figures = net->loops[loop].figures;
	figures.cpu_us = io_loop_cpu_us(net->loops[loop].io);
	return figures;
}
