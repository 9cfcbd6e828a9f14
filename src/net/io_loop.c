#include "config.h"

#include "net/io_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/task.h"
#include "net/io_link.h"

/* The time for orders before sockets are served again. */
#define PART_US 1000

static void
wake(int fd)
{
	/* It fails only if the counter is full, and then fd is readable anyway. */
	(void)!eventfd_write(fd, 1);
}

static void
send_reports(struct io_loop *loop)
{
	struct io_reports *reports = loop->reports;

	if (reports == NULL)
		return;
	loop->reports = NULL;
	if (mailbox_put(&loop->inbox->box, &reports->mail))
		wake(loop->inbox->wake_fd);
}

static struct io_report *
add_report(struct io_loop *loop, void *owner, enum io_what what)
{
	struct io_report *report;

	if (loop->reports != NULL && loop->reports->count == IO_REPORTS_MAX)
		send_reports(loop);
	if (loop->reports == NULL) {
		loop->reports = xmalloc(sizeof(*loop->reports));
		loop->reports->count = 0;
	}
	report = &loop->reports->items[loop->reports->count++];
	*report = (struct io_report){.owner = owner, .what = what};
	return report;
}

struct io_report *
io_report(struct io_link *link, enum io_what what)
{
	return add_report(link->loop, link->owner, what);
}

/* The loop's thread. */

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t count;

	(void)what;
	(void)arg;
	(void)!eventfd_read(fd, &count);
}

static void
take_orders(struct io_loop *loop)
{
	struct mail *mail = mailbox_take(&loop->orders);

	*loop->todo_end = mail;
	while (*loop->todo_end != NULL)
		loop->todo_end = &(*loop->todo_end)->next;
}

static void
add_task(struct io_loop *loop, struct task *task)
{
	task->next = NULL;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

static void
carry_out(struct io_loop *loop, const struct io_order *order)
{
	switch (order->what) {
	case IO_ORDER_LIMITS:
		loop->limits = *(const struct io_limits *)order->ptr;
		xfree((void *)(uintptr_t)order->ptr);
		break;
	case IO_ORDER_TASK:
		add_task(loop, (struct task *)(uintptr_t)order->ptr);
		break;
	case IO_ORDER_QUIT:
		loop->quits = true;
		break;
	default:
		io_link_do(order->link, order);
		break;
	}
}

static void
carry_out_some(struct io_loop *loop)
{
	uint64_t start_us = clock_mono_us();
	unsigned n = 0;

	while (loop->todo != NULL) {
		struct io_orders *orders = (struct io_orders *)(void *)loop->todo;

		while (loop->todo_at < orders->count) {
			carry_out(loop, &orders->items[loop->todo_at++]);
			if (++n % 16 == 0 && clock_mono_us() - start_us >= PART_US)
				return;
		}
		loop->todo_at = 0;
		loop->todo = orders->mail.next;
		if (loop->todo == NULL)
			loop->todo_end = &loop->todo;
		xfree(orders);
	}
}

/* A task takes as long as many reads and writes, so there is one in each round. */
static void
run_a_task(struct io_loop *loop)
{
	struct task *task = loop->tasks;

	if (task == NULL)
		return;
	loop->tasks = task->next;
	if (loop->tasks == NULL)
		loop->tasks_end = &loop->tasks;
	task->run(task);
	(void)add_report(loop, task, IO_RAN);
}

static void *
run(void *arg)
{
	struct io_loop *loop = arg;

	while (!loop->quits || loop->tasks != NULL) {
		bool is_busy = loop->todo != NULL || loop->tasks != NULL;

		loop->handshake_us = 0;
		event_base_loop(loop->base, EVLOOP_ONCE | (is_busy ? EVLOOP_NONBLOCK : 0));
		take_orders(loop);
		carry_out_some(loop);
		run_a_task(loop);
		send_reports(loop);
	}
	return NULL;
}

/* The main thread. */

static struct io_order *
add_order(struct io_loop *loop, enum io_order_what what)
{
	struct io_order *order;

	if (loop->given != NULL && loop->given->count == IO_ORDERS_MAX) {
		loop->must_wake |= mailbox_put(&loop->orders, &loop->given->mail);
		loop->given = NULL;
	}
	if (loop->given == NULL) {
		loop->given = xmalloc(sizeof(*loop->given));
		loop->given->count = 0;
	}
	order = &loop->given->items[loop->given->count++];
	*order = (struct io_order){.what = (uint8_t)what};
	return order;
}

static struct io_order *
add_link_order(struct io_link *link, enum io_order_what what)
{
	struct io_order *order = add_order(link->loop, what);

	order->link = link;
	return order;
}

void
io_loop_send(struct io_loop *loop)
{
	if (loop->given != NULL)
		loop->must_wake |= mailbox_put(&loop->orders, &loop->given->mail);
	loop->given = NULL;
	if (loop->must_wake)
		wake(loop->wake_fd);
	loop->must_wake = false;
}

static bool
start_thread(struct io_loop *loop)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&loop->thread, NULL, run, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0) {
		(void)pthread_getcpuclockid(loop->thread, &loop->cpu_clock);
		(void)pthread_setname_np(loop->thread, "fanfared-io");
	}
	errno = error;
	return error == 0;
}

static void
release(struct io_loop *loop)
{
	if (loop->wake != NULL)
		event_free(loop->wake);
	if (loop->base != NULL)
		event_base_free(loop->base);
	if (loop->wake_fd != -1)
		close(loop->wake_fd);
	buffer_release(&loop->argc);
	buffer_release(&loop->args);
	parser_pool_release(&loop->parsers);
	xfree(loop);
}

struct io_loop *
io_loop_new(
    struct io_inbox *inbox, const struct protocol *const *protocols, const struct io_limits *limits)
{
	struct io_loop *loop = xcalloc(1, sizeof(*loop));
	struct event_config *options = event_config_new();

	loop->inbox = inbox;
	loop->limits = *limits;
	loop->parsers =
	    (struct parser_pool){.protocols = protocols, .limits = loop->limits.services};
	loop->todo_end = &loop->todo;
	loop->tasks_end = &loop->tasks;
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (options != NULL) {
		event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
		loop->base = event_base_new_with_config(options);
		event_config_free(options);
	}
	if (loop->base != NULL && loop->wake_fd != -1)
		loop->wake =
		    event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	if (loop->wake == NULL || event_add(loop->wake, NULL) != 0 || !start_thread(loop)) {
		int error = errno;

		release(loop);
		errno = error;
		return NULL;
	}
	return loop;
}

void
io_loop_free(struct io_loop *loop)
{
	add_order(loop, IO_ORDER_QUIT);
	io_loop_send(loop);
	pthread_join(loop->thread, NULL);
	xfree(loop->todo); /* the batch that contains the order to quit */
	xfree(loop->reports);
	release(loop);
}

void
io_loop_set_limits(struct io_loop *loop, const struct io_limits *limits)
{
	struct io_limits *copy = xmalloc(sizeof(*copy));

	*copy = *limits;
	add_order(loop, IO_ORDER_LIMITS)->ptr = copy;
}

void
io_loop_run(struct io_loop *loop, struct task *task)
{
	add_order(loop, IO_ORDER_TASK)->ptr = task;
}

uint64_t
io_loop_cpu_us(const struct io_loop *loop)
{
	struct timespec used;

	if (clock_gettime(loop->cpu_clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

struct io_link *
io_link_open(struct io_loop *loop, int fd, struct tls_stream *tls, unsigned service, void *owner)
{
	struct io_link *link = xcalloc(1, sizeof(*link));

	link->loop = loop;
	link->owner = owner;
	link->service = (uint8_t)service;
	stream_open(&link->stream, loop->base, fd, tls, &io_link_handler);
	link->securing = tls != NULL;
	return link;
}

void
io_link_start(struct io_link *link, bool unauthenticated)
{
	add_link_order(link, IO_ORDER_START)->flag = unauthenticated;
}

void
io_link_resume(struct io_link *link, struct io_requests *requests, unsigned service,
    const struct io_terms *terms)
{
	struct io_order *order = add_link_order(link, IO_ORDER_RESUME);

	order->ptr = requests;
	order->service = (uint8_t)service;
	order->flag = terms->unauthenticated;
	order->discards = terms->discards;
}

void
io_link_write(struct io_link *link, const struct iovec *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct io_order *order =
		    add_link_order(link, i + 1 < count ? IO_ORDER_PIECE : IO_ORDER_WRITE);

		order->ptr = pieces[i].iov_base;
		order->len = (uint32_t)pieces[i].iov_len;
	}
}

void
io_link_linger(struct io_link *link, bool discarded)
{
	add_link_order(link, IO_ORDER_LINGER)->flag = discarded;
}

void
io_link_stop(struct io_link *link)
{
	add_link_order(link, IO_ORDER_STOP);
}

void
io_link_close(struct io_link *link)
{
	add_link_order(link, IO_ORDER_CLOSE);
}
