#include "config.h"

#include "net/io_loop.h"

#include <check.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/task.h"
#include "base/testing.h"
#include "net/testing_certificates.h"
#include "resp/protocol.h"

#define REPORTS_MAX 4096

static const struct protocol *const protocols[NET_SERVICES_MAX] = {&resp_protocol};
static const struct io_limits limits = {.services = {{.arg_bytes = 64 << 20,
					    .arg_count = 1024,
					    .line_bytes = 65536,
					    .request_bytes = 128 << 20}},
    .read_share_bytes = 65536};

static struct io_inbox inbox;
static struct io_loop *loop;
static struct io_link *link_;
static int peer, owner;
static struct io_report reports[REPORTS_MAX]; /* taken; from `next` on, not checked yet */
static size_t taken, next;

static void
setup(void)
{
	int fds[2];

	memset(&inbox, 0, sizeof(inbox));
	taken = next = 0;
	inbox.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop = io_loop_new(&inbox, protocols, &limits);
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	peer = fds[1];
	link_ = io_link_open(loop, fds[0], NULL, 0, &owner);
}

/* Waits for the next report. */
static struct io_report
any_report(void)
{
	while (next == taken) {
		struct pollfd wake = {.fd = inbox.wake_fd, .events = POLLIN};
		eventfd_t times;
		struct mail *mail;

		ck_assert_int_eq(poll(&wake, 1, 20000), 1);
		ck_assert_int_eq(eventfd_read(inbox.wake_fd, &times), 0);
		for (mail = mailbox_take(&inbox.box); mail != NULL;) {
			struct io_reports *batch = (struct io_reports *)(void *)mail;

			mail = mail->next;
			ck_assert_uint_le(taken + batch->count, REPORTS_MAX);
			memcpy(reports + taken, batch->items, batch->count * sizeof(*reports));
			taken += batch->count;
			xfree(batch);
		}
	}
	return reports[next++];
}

/* The next report must be of this kind. */
static struct io_report
report_of(enum io_what what, const void *expected)
{
	struct io_report r = any_report();

	ck_assert_int_eq(r.what, what);
	ck_assert_ptr_eq(r.owner, expected);
	return r;
}

static struct io_report
report(enum io_what what)
{
	return report_of(what, &owner);
}

static void
teardown(void)
{
	if (link_ != NULL) {
		io_link_stop(link_);
		io_loop_send(loop);
		report(IO_STOPPED);
		io_link_close(link_);
	}
	close(peer);
	io_loop_free(loop);
	close(inbox.wake_fd);
}

static void
start(bool unauthenticated)
{
	io_link_start(link_, unauthenticated);
	io_loop_send(loop);
}

static void
say(const char *text)
{
	ck_assert_int_eq(write(peer, text, strlen(text)), strlen(text));
}

/* The requests of a report as text, "PING|ECHO a|"; gives them back. */
static const char *
requests_of(struct io_report r, bool unauthenticated)
{
	static char text[1024];
	const struct slice *arg;

	text[0] = '\0';
	if (r.requests == NULL)
		return text;
	arg = r.requests->args;
	for (size_t i = 0; i < r.requests->count; i++)
		for (size_t n = r.requests->argc[i]; n > 0; n--, arg++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s%s",
			    (int)arg->len, arg->ptr, n > 1 ? " " : "|");
	if (r.requests->error != NULL)
		snprintf(
		    text + strlen(text), sizeof(text) - strlen(text), "(%s)", r.requests->error);
	io_link_resume(
	    link_, r.requests, 0, &(struct io_terms){.unauthenticated = unauthenticated});
	io_loop_send(loop);
	return text;
}

START_TEST(requests_come_in_batches_and_the_next_when_they_are_given_back)
{
	struct io_report first;

	start(false);
	say("PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nECHO \"in quotes\" 1\r\n*2\r\n$4\r\nEC");
	first = report(IO_READ);
	ck_assert_uint_eq(first.len, strlen("PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nECHO \"in "
					    "quotes\" 1\r\n*2\r\n$4\r\nEC"));
	ck_assert_uint_eq(first.requests->count, 3);
	ck_assert_uint_gt(first.held_bytes, 0);
	say("HO\r\n$2\r\nhi\r\nECHO more\r\n");
	ck_assert_str_eq(requests_of(first, false), "PING|ECHO abc|ECHO in quotes 1|");
	ck_assert_str_eq(requests_of(report(IO_READ), false), "ECHO hi|ECHO more|");
}
END_TEST

START_TEST(before_a_login_requests_come_one_at_a_time)
{
	struct io_report r;

	start(true);
	say("AUTH x\r\nECHO 1\r\n*11\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n"
	    "$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$1\r\na\r\n$1\r\nb\r\n");
	ck_assert_str_eq(requests_of(report(IO_READ), true), "AUTH x|");
	r = report(IO_READ);
	ck_assert_uint_eq(r.len, 0); /* they were counted with the first */
	ck_assert_str_eq(requests_of(r, false), "ECHO 1|");
	ck_assert_str_eq(requests_of(report(IO_READ), false), "1 2 3 4 5 6 7 8 9 a b|");
}
END_TEST

START_TEST(invalid_resp_is_reported_behind_the_requests_before_it)
{
	start(false);
	say("PING\r\n*1\r\n!oops\r\nPING\r\n");
	ck_assert_str_eq(
	    requests_of(report(IO_READ), false), "PING|(Protocol error: expected '$', got '!')");
	/* Nothing is read from it any more. */
	say("PING\r\n");
}
END_TEST

START_TEST(a_large_argument_is_handed_over_whole)
{
	size_t len = 3 << 20, at = 0;
	char *big = xmalloc(len);
	struct io_report r;

	memset(big, 'b', len);
	start(false);
	say("*2\r\n$4\r\nECHO\r\n$3145728\r\n");
	while (at < len) {
		ssize_t n = send(peer, big + at, len - at, MSG_DONTWAIT);

		if (n > 0)
			at += (size_t)n;
		if (next == taken && n < 0)
			ck_assert_ptr_null(report(IO_READ).requests);
	}
	say("\r\n");
	do
		r = report(IO_READ);
	while (r.requests == NULL);
	ck_assert_uint_eq(r.requests->argc[0], 2);
	ck_assert_uint_eq(r.requests->args[1].len, len);
	ck_assert_mem_eq(r.requests->args[1].ptr, big, len);
	ck_assert_uint_ge(r.requests->bytes, len);
	ck_assert_uint_eq(r.held_bytes, 0);
	io_link_resume(link_, r.requests, 0, &(struct io_terms){0});
	xfree(big);
}
END_TEST

/* Each of the smallest inline requests takes memory of its own, many times its length. */
START_TEST(what_a_batch_holds_is_bounded_by_what_was_read)
{
	enum { REQUESTS = 30000 };
	char text[2 * REQUESTS];
	size_t count = 0, batches = 0;

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "a\n", 2);
	ck_assert_int_eq(write(peer, text, sizeof(text)), sizeof(text));
	start(false);
	while (count < REQUESTS) {
		struct io_report r = report(IO_READ);

		ck_assert_ptr_nonnull(r.requests);
		ck_assert_uint_le(r.requests->bytes, 4 * 65536);
		for (size_t i = 0; i < r.requests->count; i++)
			ck_assert(slice_is(r.requests->args[i], "a"));
		count += r.requests->count;
		batches++;
		io_link_resume(link_, r.requests, 0, &(struct io_terms){0});
		io_loop_send(loop);
	}
	ck_assert_uint_eq(count, REQUESTS);
	ck_assert_uint_gt(batches, 10);
}
END_TEST

START_TEST(pieces_are_written_in_order_and_the_rest_is_told)
{
	static char fill[1 << 20];
	struct iovec pieces[] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cde", 3}};
	struct iovec much = {fill, sizeof(fill)};
	struct io_report r;
	size_t written = 0;
	char got[8];

	start(false);
	io_link_write(link_, pieces, 2);
	io_loop_send(loop);
	r = report(IO_WRITTEN);
	ck_assert_uint_eq(r.len, 5);
	ck_assert(!r.is_full);
	ck_assert_int_eq(read(peer, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "abcde", 5);
	do {
		io_link_write(link_, &much, 1);
		io_loop_send(loop);
		r = report(IO_WRITTEN);
		written += r.len;
	} while (!r.is_full);
	while (written > 0) {
		ssize_t n = read(peer, fill, sizeof(fill));

		ck_assert_int_gt(n, 0);
		written -= (size_t)n;
	}
	report(IO_WRITABLE);
}
END_TEST

START_TEST(the_end_of_the_peer_is_told_behind_its_requests)
{
	start(false);
	say("PING\r\n");
	shutdown(peer, SHUT_WR);
	ck_assert_str_eq(requests_of(report(IO_READ), false), "PING|");
	report(IO_END);
}
END_TEST

START_TEST(a_failed_write_is_told_as_such)
{
	struct iovec piece = {(void *)(uintptr_t) "x", 1};
	struct io_report r;

	start(false);
	close(peer);
	peer = -1;
	report(IO_END);
	io_link_write(link_, &piece, 1);
	io_loop_send(loop);
	r = report(IO_FAILED);
	ck_assert(r.is_writing);
	ck_assert_int_eq(r.error, EPIPE);
}
END_TEST

START_TEST(lingering_throws_away_what_comes_until_the_end)
{
	char byte;

	start(false);
	say("PING\r\n");
	(void)requests_of(report(IO_READ), false);
	io_link_linger(link_, true);
	io_loop_send(loop);
	ck_assert_int_eq(read(peer, &byte, 1), 0); /* the link lingers now */
	say("never\r\n");
	close(peer);
	peer = -1;
	report(IO_END);
}
END_TEST

START_TEST(there_is_nothing_to_linger_for_where_nothing_comes)
{
	start(false);
	io_link_linger(link_, false);
	io_loop_send(loop);
	report(IO_END);
}
END_TEST

START_TEST(new_limits_hold_for_the_next_request)
{
	struct io_limits less = limits;

	less.services[0].arg_count = 2;
	io_loop_set_limits(loop, &less);
	start(false);
	say("*3\r\n");
	ck_assert_str_eq(
	    requests_of(report(IO_READ), false), "(Protocol error: invalid multibulk length)");
}
END_TEST

#define PRODUCERS 4
#define MAILS 100000

struct numbered {
	struct mail mail;
	unsigned producer, number;
};

static struct mailbox box;
static struct numbered mails[PRODUCERS][MAILS];

static void *
produce(void *arg)
{
	struct numbered *mine = arg;

	for (int i = 0; i < testing_steps(MAILS); i++)
		(void)mailbox_put(&box, &mine[i].mail);
	return NULL;
}

START_TEST(a_mailbox_loses_nothing_and_keeps_the_order_of_each_producer)
{
	pthread_t threads[PRODUCERS];
	unsigned seen[PRODUCERS] = {0}, count = (unsigned)testing_steps(MAILS);
	unsigned left = PRODUCERS * count;

	for (unsigned p = 0; p < PRODUCERS; p++) {
		for (unsigned i = 0; i < count; i++)
			mails[p][i] = (struct numbered){.producer = p, .number = i};
		ck_assert_int_eq(pthread_create(&threads[p], NULL, produce, mails[p]), 0);
	}
	while (left > 0) {
		struct mail *mail = mailbox_take(&box);

		for (; mail != NULL; mail = mail->next, left--) {
			struct numbered *n = (struct numbered *)(void *)mail;

			ck_assert_uint_eq(n->number, seen[n->producer]++);
		}
	}
	for (unsigned p = 0; p < PRODUCERS; p++)
		pthread_join(threads[p], NULL);
	ck_assert_ptr_null(mailbox_take(&box));
	ck_assert(mailbox_put(&box, &mails[0][0].mail));
	ck_assert(!mailbox_put(&box, &mails[0][1].mail));
}
END_TEST

#define CROWD 150

static int
is_readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms);
}

/* A link that has received the first bytes of a handshake. */
static struct io_link *
open_newcomer(struct tls *tls, int *client_fd)
{
	SSL *client = testing_tls_client(0, NULL);
	struct io_link *newcomer;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	newcomer = io_link_open(loop, fds[0], tls_stream_new(tls, fds[0]), 0, &owner);
	SSL_set_wfd(client, fds[1]);
	SSL_set0_rbio(client, BIO_new(BIO_s_mem())); /* it receives nothing */
	ck_assert_int_eq(SSL_do_handshake(client), -1);
	SSL_free(client);
	*client_fd = fds[1];
	return newcomer;
}

START_TEST(a_crowd_of_handshakes_does_not_hold_up_the_others)
{
	struct io_link *crowd[CROWD];
	struct tls_settings settings;
	int fds[CROWD], answered = 0;
	struct tls *tls;

	testing_certificates_setup();
	settings = testing_tls_settings();
	tls = testing_tls(&settings);
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = open_newcomer(tls, &fds[i]);
		io_link_start(crowd[i], false);
	}
	say("PING\r\n");
	start(false);
	ck_assert_str_eq(requests_of(report(IO_READ), false), "PING|");
	for (int i = 0; i < CROWD; i++)
		answered += is_readable(fds[i], 0);
	ck_assert_int_lt(answered, CROWD / 2);
	for (int i = 0; i < CROWD; i++) {
		ck_assert_int_eq(is_readable(fds[i], 20000), 1);
		io_link_stop(crowd[i]);
		io_loop_send(loop);
		report(IO_STOPPED);
		io_link_close(crowd[i]);
		close(fds[i]);
	}
	tls_unref(tls);
	testing_certificates_teardown();
}
END_TEST

struct counting_task {
	struct task task; /* first */
	pthread_t thread;
	unsigned runs;
};

static void
count_run(struct task *task)
{
	struct counting_task *counting = (struct counting_task *)(void *)task;

	counting->thread = pthread_self();
	counting->runs++;
}

START_TEST(tasks_are_run_in_the_thread_in_their_order)
{
	struct counting_task counting[100] = {{.runs = 0}};

	for (int i = 0; i < 100; i++) {
		counting[i].task.run = count_run;
		io_loop_run(loop, &counting[i].task);
	}
	io_loop_send(loop);
	for (int i = 0; i < 100; i++) {
		ck_assert_ptr_eq(report_of(IO_RAN, &counting[i]).requests, NULL);
		ck_assert_uint_eq(counting[i].runs, 1);
		ck_assert(!pthread_equal(counting[i].thread, pthread_self()));
	}
}
END_TEST

START_TEST(requests_are_read_between_tasks)
{
	static struct counting_task counting[1000];

	start(false);
	memset(counting, 0, sizeof(counting));
	say("PING\r\n");
	for (int i = 0; i < 1000; i++) {
		counting[i].task.run = count_run;
		io_loop_run(loop, &counting[i].task);
	}
	io_loop_send(loop);
	for (int i = 0, read = 0; i + read < 1001;) {
		struct io_report r = any_report();

		if (r.what == IO_READ) {
			ck_assert_int_lt(i, 1000);
			ck_assert_str_eq(requests_of(r, false), "PING|");
			read++;
		} else {
			ck_assert_ptr_eq(r.owner, &counting[i++]);
		}
	}
}
END_TEST

START_TEST(a_loop_ends_behind_its_last_task)
{
	static struct counting_task counting[50];
	struct io_loop *other = io_loop_new(&inbox, protocols, &limits);

	ck_assert_ptr_nonnull(other);
	memset(counting, 0, sizeof(counting));
	for (int i = 0; i < 50; i++) {
		counting[i].task.run = count_run;
		io_loop_run(other, &counting[i].task);
	}
	io_loop_free(other);
	for (int i = 0; i < 50; i++)
		(void)report_of(IO_RAN, &counting[i]);
}
END_TEST

int
main(void)
{
	return testing_main("net/io_loop", setup, teardown,
	    (const TTest *[]){requests_come_in_batches_and_the_next_when_they_are_given_back,
		before_a_login_requests_come_one_at_a_time,
		invalid_resp_is_reported_behind_the_requests_before_it,
		a_large_argument_is_handed_over_whole,
		what_a_batch_holds_is_bounded_by_what_was_read,
		pieces_are_written_in_order_and_the_rest_is_told,
		the_end_of_the_peer_is_told_behind_its_requests, a_failed_write_is_told_as_such,
		lingering_throws_away_what_comes_until_the_end,
		there_is_nothing_to_linger_for_where_nothing_comes,
		new_limits_hold_for_the_next_request,
		a_mailbox_loses_nothing_and_keeps_the_order_of_each_producer,
		a_crowd_of_handshakes_does_not_hold_up_the_others,
		tasks_are_run_in_the_thread_in_their_order, requests_are_read_between_tasks,
		a_loop_ends_behind_its_last_task, NULL});
}
