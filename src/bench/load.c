#include "config.h"

#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bench/report.h"
#include "bench/wire.h"
#include "cli/cli.h"
#include "cli/loop.h"
#include "cli/target.h"
#include "cli/tls.h"

#define EVENTS_A_TURN 512
#define EVENTS_BETWEEN_PUBLISHERS 4
#define TICK_NS UINT64_C(100000000)     /* interval of memory readings */
#define PROBE_NS UINT64_C(200000000)    /* time for a reset to arrive */
#define SILENCE_NS UINT64_C(5000000000) /* then pending deliveries count as lost */

void
bench_load_stop(struct bench_load *load, int status, const char *format, ...)
{
	va_list args;
	char *text = NULL;

	if (load->stopped || load->closing)
		return;
	load->stopped = true;
	load->status = status;
	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0)
		buffer_append_str(&load->error, text);
	va_end(args);
	free(text);
}

int
bench_load_epoll(const struct bench_load *load, const struct bench_conn *c)
{
	return c->role == BENCH_PUBLISHER ? load->publisher_epoll : load->epoll;
}

void
bench_load_watch(struct bench_load *load, struct bench_conn *c)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};

	if (c->failed || c->wants_write == c->asked_write)
		return;
	if (c->wants_write)
		event.events |= EPOLLOUT;
	epoll_ctl(bench_load_epoll(load, c), EPOLL_CTL_MOD, c->socket.fd, &event);
	c->asked_write = c->wants_write;
}

/* Called for each delivery. */
static void
on_message(struct bench_conn *c, const struct bench_stamp *stamp, void *arg)
{
	struct bench_load *load = arg;
	uint32_t slot = bench_plan_slot(&load->plan, c->number, stamp->channel);
	uint32_t *expected;

	if (c->role != BENCH_SUBSCRIBER || slot == UINT32_MAX ||
	    stamp->publisher >= load->plan.publishers ||
	    load->publishers[stamp->publisher].conn == NULL) {
		load->strays++;
		return;
	}
	expected =
	    &load->expected[(size_t)c->number * load->flows +
			    (size_t)stamp->publisher * (load->flows / load->plan.publishers) +
			    slot];
	if (stamp->sequence < *expected) {
		load->duplicated++;
		return;
	}
	*expected = stamp->sequence + 1;
	load->delivered++;
	load->publishers[stamp->publisher].pending--;
	if (stamp->meant_ns >= load->measure_from_ns && stamp->meant_ns < load->measure_to_ns)
		bench_histogram_record(load->latency, load->reader.now_ns - stamp->meant_ns);
}

static void
on_confirmed(struct bench_conn *c, void *arg)
{
	struct bench_load *load = arg;

	load->answered = true;
	if (c->due > 0)
		c->due--;
	if (load->unconfirmed > 0)
		load->unconfirmed--;
}

static void
on_failed(struct bench_conn *c, bool by_error_reply, const char *text, void *arg)
{
	static const char *const roles[] = {"a subscriber", "a stuck subscriber",
	    "an idle connection", "an idle connection", "a publisher"};
	struct bench_load *load = arg;

	epoll_ctl(bench_load_epoll(load, c), EPOLL_CTL_DEL, c->socket.fd, NULL);
	if (c->role == BENCH_STUCK && load->started_ns != 0) {
		load->stuck_closed++;
		return;
	}
	if (!load->answered && !by_error_reply && !load->options->tls)
		bench_load_stop(load, CLI_NO_CONNECTION, "%s: %s: %s", roles[c->role], text,
		    tls_suspicion(false));
	else
		bench_load_stop(load, by_error_reply ? CLI_ERROR_REPLY : CLI_NO_CONNECTION,
		    "%s: %s", roles[c->role], text);
}

static const struct bench_conn_events conn_events = {
    .message = on_message, .confirmed = on_confirmed, .failed = on_failed};

static void
handle(struct bench_load *load, struct bench_conn *c, uint32_t what)
{
	/* A stuck subscriber is read only after its connection ended, to get the error of the
	 * socket. */
	if (c->role == BENCH_STUCK && load->started_ns != 0) {
		if (!c->failed && (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
			c->failed = true;
			on_failed(c, false, "", load);
		}
		return;
	}
	if ((what & ~(uint32_t)EPOLLOUT) != 0)
		bench_conn_read(c, &load->reader);
	/* TLS may need a read before a write can continue. */
	if (!c->failed && bench_conn_unsent(c) > 0)
		bench_conn_flush(c, &load->reader);
	bench_load_watch(load, c);
}

/*
 * Publishers are served before subscribers, and repeatedly between them, so that their rate depends
 * on the server and not on how fast this thread can read from a thousand subscribers.
 */
static void
serve_publishers(struct bench_load *load)
{
	struct epoll_event events[EVENTS_A_TURN];
	int n = epoll_wait(load->publisher_epoll, events, EVENTS_A_TURN, 0);

	for (int i = 0; i < n && !load->stopped; i++) {
		struct bench_conn *c = events[i].data.ptr;

		handle(load, c, events[i].events);
		if (load->publishing && !c->failed && c->due == 0)
			bench_publish_next(load, c->number, bench_now_ns());
	}
}

void
bench_load_turn(struct bench_load *load, int timeout_ms)
{
	struct epoll_event events[EVENTS_A_TURN];
	uint64_t expirations;
	int n = epoll_wait(load->epoll, events, EVENTS_A_TURN, timeout_ms);

	if (loop_is_interrupted()) {
		bench_load_stop(load, CLI_SIGNALLED, "interrupted");
		return;
	}
	if (load->deadline_ns != 0 && bench_now_ns() > load->deadline_ns) {
		bench_load_stop(load, CLI_TIMEOUT, "%s", "");
		return;
	}
	for (int i = 0; i < n && !load->stopped; i++) {
		void *what = events[i].data.ptr;

		if (i % EVENTS_BETWEEN_PUBLISHERS == 0)
			serve_publishers(load);
		if (what == &load->publisher_epoll)
			continue;
		if (what != NULL)
			handle(load, what, events[i].events);
		else if (read(load->timer, &expirations, sizeof(expirations)) < 0 &&
			 errno != EAGAIN)
			bench_load_stop(load, CLI_FAILED, "timer: %s", strerror(errno));
	}
}

static void
take_cost(struct bench_load *load, struct bench_cost *cost)
{
	*cost = (struct bench_cost){.at_ns = bench_now_ns(),
	    .own_cpu_ns = bench_own_cpu_ns(),
	    .delivered = load->delivered,
	    .sent = load->sent,
	    .bytes = load->reader.bytes};
	if (load->options->pid != 0 && !bench_server_read(load->options->pid, &cost->server))
		bench_load_stop(load, CLI_NO_CONNECTION, "the server has exited");
	if (cost->server.resident_bytes > load->memory.at_peak)
		load->memory.at_peak = cost->server.resident_bytes;
}

/* Every tenth of a second: detects silence, reads the memory, shows progress. */
struct watch {
	uint64_t tick_ns;
	uint64_t delivered;
	uint64_t moved_ns;
	struct bench_progress progress;
};

/* True if deliveries are pending and none arrived for SILENCE_NS. */
static bool
watch_tick(struct watch *w, struct bench_load *load, uint64_t now_ns)
{
	if (load->delivered != w->delivered || load->delivered >= load->due) {
		w->delivered = load->delivered;
		w->moved_ns = now_ns;
	}
	if (now_ns - w->tick_ns >= TICK_NS) {
		struct bench_server_cost cost;

		w->tick_ns = now_ns;
		if (load->options->pid != 0 && bench_server_read(load->options->pid, &cost) &&
		    cost.resident_bytes > load->memory.at_peak)
			load->memory.at_peak = cost.resident_bytes;
		bench_progress_show(&w->progress, load, now_ns);
	}
	return now_ns - w->moved_ns >= SILENCE_NS;
}

static bool
all_arrived(const struct bench_load *load)
{
	return load->delivered >= load->due;
}

/* Publishes until the time is over or all is sent, then waits for pending deliveries. */
static void
publish(struct bench_load *load)
{
	const struct bench_options *o = load->options;
	struct watch w = {0};
	uint64_t now_ns = bench_now_ns();
	bool warm = o->messages > 0;

	load->started_ns = w.tick_ns = w.moved_ns = now_ns;
	load->measure_from_ns = now_ns + (warm ? 0 : o->warmup_us * 1000);
	load->measure_to_ns = warm ? UINT64_MAX : load->measure_from_ns + o->seconds_us * 1000;
	if (warm)
		take_cost(load, &load->from);
	while (!load->stopped) {
		if (!warm && now_ns >= load->measure_from_ns) {
			take_cost(load, &load->from);
			warm = true;
		}
		if (now_ns >= load->measure_to_ns ||
		    (o->messages > 0 && load->sent >= o->messages && all_arrived(load)))
			break;
		bench_publish_turn(load, now_ns);
		load->publishing = true;
		bench_load_turn(load, 20);
		now_ns = bench_now_ns();
		if (watch_tick(&w, load, now_ns)) {
			if (o->messages > 0 && load->sent >= o->messages)
				break;
			bench_publish_give_up(load);
			w.moved_ns = now_ns;
		}
	}
	load->publishing = false;
	take_cost(load, &load->to);
	while (!load->stopped && !all_arrived(load) && !watch_tick(&w, load, now_ns)) {
		bench_load_turn(load, 100);
		now_ns = bench_now_ns();
	}
	load->memory.at_end = load->to.server.resident_bytes;
	bench_progress_clear(&w.progress);
}

/*
 * A stuck subscriber cannot see the end of its connection, because unread data precedes it. A write
 * to a socket that the peer has closed fails at once.
 */
static void
probe_stuck(struct bench_load *load)
{
	uint64_t end_ns = bench_now_ns() + PROBE_NS;

	for (size_t i = 0; i < load->conn_count; i++) {
		struct bench_conn *c = &load->conns[i];

		if (c->role != BENCH_STUCK || c->failed)
			continue;
		c->wire->put_ping(&c->out);
		bench_conn_flush(c, &load->reader);
	}
	while (load->options->stuck > 0 && !load->stopped && bench_now_ns() < end_ns)
		bench_load_turn(load, 20);
}

static bool
open_all(struct bench_load *load, struct cli *cli)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct epoll_event publishers = {.events = EPOLLIN, .data.ptr = &load->publisher_epoll};

	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->publisher_epoll = epoll_create1(EPOLL_CLOEXEC);
	load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	/* Otherwise the kernel may add 50 us to each wait, and so to the latencies. */
	prctl(PR_SET_TIMERSLACK, 1);
	if (load->epoll < 0 || load->timer < 0 || load->publisher_epoll < 0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event) != 0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->publisher_epoll, &publishers) != 0) {
		bench_load_stop(load, CLI_FAILED, "cannot wait for events: %s", strerror(errno));
		return false;
	}
	load->dialer =
	    bench_dialer_new(cli->target, cli->tls, cli->connect_timeout_us, &load->error);
	if (load->dialer == NULL) {
		load->stopped = true;
		load->status = CLI_NO_CONNECTION;
	}
	return load->dialer != NULL;
}

int
bench_load_run(struct bench_load *load, struct cli *cli, const struct bench_options *options)
{
	struct wire_login login = {.user = cli->target->user, .password = cli->target->password};

	*load = (struct bench_load){
	    .options = options, .login = &login, .epoll = -1, .publisher_epoll = -1, .timer = -1};
	load->login_ns = cli->connect_timeout_us * 1000;
	if (cli->timeout_us != 0)
		load->deadline_ns = bench_now_ns() + cli->timeout_us * 1000;
	bench_options_plan(options, &load->plan);
	load->flows = bench_plan_slots(&load->plan) * load->plan.publishers;
	load->expected =
	    xcalloc((size_t)load->plan.subscribers * load->flows + 1, sizeof(*load->expected));
	load->latency = xcalloc(1, sizeof(*load->latency));
	bench_reader_init(&load->reader, &conn_events, load);
	if (open_all(load, cli) && bench_setup(load)) {
		bench_publish_prepare(load);
		publish(load);
		probe_stuck(load);
	}
	load->closing = true;
	load->login = NULL;
	return load->status;
}

void
bench_load_release(struct bench_load *load)
{
	for (size_t i = 0; i < load->conn_count; i++)
		bench_conn_release(&load->conns[i]);
	bench_reader_release(&load->reader);
	if (load->dialer != NULL)
		bench_dialer_free(load->dialer);
	if (load->epoll >= 0)
		close(load->epoll);
	if (load->publisher_epoll >= 0)
		close(load->publisher_epoll);
	if (load->timer >= 0)
		close(load->timer);
	buffer_release(&load->error);
	buffer_release(&load->heads);
	buffer_release(&load->rest);
	xfree(load->conns);
	xfree(load->publishers);
	xfree(load->expected);
	xfree(load->latency);
}

uint64_t
bench_load_lost(const struct bench_load *load)
{
	return load->due > load->delivered ? load->due - load->delivered : 0;
}
