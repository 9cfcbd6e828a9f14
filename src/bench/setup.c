#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "bench/load.h"
#include "bench/wire.h"
#include "cli/cli.h"
#include "cli/tls.h"

#define CONNECTS_AT_ONCE 64 /* below the backlog of every server */
#define NAMES_AT_ONCE 500   /* names in one subscribe request */
#define SETTLE_MS 200       /* before memory is read */
#define SILENCE_MS 30000    /* of a server, while confirmations are outstanding */
#define STUCK_RECEIVES 4096 /* receive buffer of a stuck subscriber, in bytes */

/* Creates the names of consecutive subscriptions in one buffer. */
struct names {
	struct buffer text;
	struct slice slices[NAMES_AT_ONCE];
	size_t ends[NAMES_AT_ONCE];
	size_t count;
};

static void
names_end_one(struct names *n)
{
	n->ends[n->count++] = n->text.len;
}

/* Appends the request and counts its confirmations. */
static void
subscribe(
    struct bench_load *load, struct bench_conn *c, struct names *n, bool patterns, uint32_t *id)
{
	size_t from = 0;
	size_t due;

	for (size_t i = 0; i < n->count; i++) {
		n->slices[i] = (struct slice){n->text.ptr + from, n->ends[i] - from};
		from = n->ends[i];
	}
	due = c->wire->put_subscribe(&c->out, n->slices, n->count, patterns, id);
	c->due += (uint32_t)due;
	load->unconfirmed += (uint32_t)due;
	n->count = 0;
	buffer_clear(&n->text);
}

static void
flush(struct bench_load *load, struct bench_conn *c)
{
	bench_conn_flush(c, &load->reader);
	bench_load_watch(load, c);
}

/* Waits until all requests are confirmed. */
static bool
await_confirmations(struct bench_load *load)
{
	uint32_t left = load->unconfirmed;
	uint64_t since_ns = bench_now_ns();

	while (load->unconfirmed > 0 && !load->stopped) {
		/* After the first reply a server gets more time, for many subscriptions. */
		uint64_t patience_ns =
		    load->answered ? (uint64_t)SILENCE_MS * 1000000 : load->login_ns;

		bench_load_turn(load, 20);
		if (load->unconfirmed != left) {
			left = load->unconfirmed;
			since_ns = bench_now_ns();
		} else if (bench_now_ns() - since_ns > patience_ns) {
			bool silent = load->options->tls && !load->answered;

			bench_load_stop(load, CLI_NO_CONNECTION,
			    "no reply from the server within %g s%s%s", (double)patience_ns / 1e9,
			    silent ? ": " : "", silent ? tls_suspicion(true) : "");
		}
	}
	return !load->stopped;
}

static struct bench_conn *
connect_one(struct bench_load *load, enum bench_role role, uint32_t number)
{
	struct bench_conn *c = &load->conns[load->conn_count];
	struct buffer error = {0};
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
	size_t due;

	if (!bench_socket_open(
		&c->socket, load->dialer, role == BENCH_STUCK ? STUCK_RECEIVES : 0, &error)) {
		bench_load_stop(load, CLI_NO_CONNECTION, "%.*s", (int)error.len, error.ptr);
		buffer_release(&error);
		return NULL;
	}
	load->conn_count++;
	c->role = (unsigned char)role;
	c->number = number;
	c->wire = bench_options_wire(
	    load->options, role == BENCH_SUBSCRIBER || role == BENCH_STUCK ? number : 0);
	load->login->number = (uint32_t)load->conn_count;
	due = c->wire->put_login(&c->out, load->login);
	c->due = (uint32_t)due;
	load->unconfirmed += (uint32_t)due;
	if (epoll_ctl(bench_load_epoll(load, c), EPOLL_CTL_ADD, c->socket.fd, &event) != 0) {
		bench_load_stop(load, CLI_FAILED, "cannot watch a connection: %s", strerror(errno));
		return NULL;
	}
	return c;
}

/* Subscribes a subscriber, stuck or not. */
static void
subscribe_plan(struct bench_load *load, struct bench_conn *c, struct names *n)
{
	const struct bench_plan *plan = &load->plan;
	uint32_t id = 1;
	uint32_t count = c->role == BENCH_STUCK ? 1 : bench_plan_subscriptions(plan, c->number);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t channel =
		    c->role == BENCH_STUCK ? 0 : bench_plan_channel(plan, c->number, i);

		if (plan->pattern)
			c->wire->put_pattern(&n->text, load->options->prefix);
		else
			bench_plan_put_channel(
			    &n->text, load->options->prefix, c->wire->separator, channel);
		names_end_one(n);
		if (n->count == NAMES_AT_ONCE || i == count - 1)
			subscribe(load, c, n, plan->pattern, &id);
	}
}

static void
subscribe_idle(struct bench_load *load, struct bench_conn *c, struct names *n, uint64_t number)
{
	uint32_t id = 1;

	bench_plan_put_idle_channel(&n->text, c->wire->separator, number);
	names_end_one(n);
	subscribe(load, c, n, false, &id);
}

static bool
connect_many(struct bench_load *load, enum bench_role role, uint64_t count, struct names *n)
{
	for (uint32_t i = 0; i < count; i++) {
		struct bench_conn *c = connect_one(load, role, i);

		if (c == NULL)
			return false;
		if (role == BENCH_IDLE)
			subscribe_idle(load, c, n, UINT64_C(100000000) + i);
		else if (role != BENCH_PUBLISHER)
			subscribe_plan(load, c, n);
		else
			load->publishers[i].conn = c;
		flush(load, c);
		if ((i % CONNECTS_AT_ONCE == CONNECTS_AT_ONCE - 1 || i == count - 1) &&
		    !await_confirmations(load))
			return false;
	}
	return true;
}

static void
put_idle_name(
    struct bench_load *load, struct bench_conn *c, struct names *n, bool patterns, uint64_t i)
{
	char word[32];

	(void)load;
	if (!patterns) {
		bench_plan_put_idle_channel(&n->text, c->wire->separator, i);
	} else {
		snprintf(word, sizeof(word), "user%c%" PRIu64, c->wire->separator, i);
		c->wire->put_pattern(&n->text, word);
	}
	names_end_one(n);
}

/* Idle subscriptions, idle_share on each connection. */
static bool
hold_many(struct bench_load *load, bool patterns, uint64_t count, struct names *n)
{
	uint64_t share = load->options->idle_share;
	struct bench_conn *c = NULL;
	uint32_t id = 1;

	for (uint64_t i = 0; i < count; i++) {
		if (i % share == 0) {
			c = connect_one(load, BENCH_HOLDER, (uint32_t)(i / share));
			id = 1;
		}
		if (c == NULL)
			return false;
		put_idle_name(load, c, n, patterns, i);
		if (n->count < NAMES_AT_ONCE && i < count - 1 && i % share < share - 1)
			continue;
		subscribe(load, c, n, patterns, &id);
		flush(load, c);
		if (!await_confirmations(load))
			return false;
	}
	return true;
}

static void
read_memory(struct bench_load *load, uint64_t *bytes)
{
	struct bench_server_cost cost;

	if (load->options->pid == 0)
		return;
	poll(NULL, 0, SETTLE_MS);
	if (bench_server_read(load->options->pid, &cost))
		*bytes = cost.resident_bytes;
	else
		bench_load_stop(load, CLI_FAILED, "--pid: no process %" PRIu64 " on this machine",
		    load->options->pid);
}

/* A stuck subscriber is still told when its connection is closed. */
static void
stop_reading(struct bench_load *load)
{
	for (size_t i = 0; i < load->conn_count; i++) {
		struct bench_conn *c = &load->conns[i];
		struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = c};

		if (c->role == BENCH_STUCK)
			epoll_ctl(load->epoll, EPOLL_CTL_MOD, c->socket.fd, &event);
	}
}

static void
raise_file_limit(uint64_t connections)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > connections + 32)
		return;
	limit.rlim_cur = connections + 32;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur; /* allowed for root */
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	/* As high as allowed; if that is too low, connecting fails with the reason. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool
connect_all(struct bench_load *load, struct names *n)
{
	const struct bench_options *o = load->options;

	read_memory(load, &load->memory.at_start);
	if (load->stopped || !connect_many(load, BENCH_IDLE, o->idle_connections, n))
		return false;
	read_memory(load, &load->memory.with_idle_connections);
	if (!hold_many(load, false, o->idle_channels, n) ||
	    !hold_many(load, true, o->idle_patterns, n))
		return false;
	read_memory(load, &load->memory.with_idle_subscriptions);
	if (!connect_many(load, BENCH_SUBSCRIBER, o->subscribers, n))
		return false;
	read_memory(load, &load->memory.with_subscribers);
	if (!connect_many(load, BENCH_STUCK, o->stuck, n) ||
	    !connect_many(load, BENCH_PUBLISHER, o->publishers, n))
		return false;
	stop_reading(load);
	return !load->stopped;
}

bool
bench_setup(struct bench_load *load)
{
	uint64_t connections = bench_options_connections(load->options);
	struct names *n = xcalloc(1, sizeof(*n));
	bool ok;

	raise_file_limit(connections);
	load->conns = xcalloc(connections, sizeof(*load->conns));
	load->publishers = xcalloc(load->plan.publishers, sizeof(*load->publishers));
	ok = connect_all(load, n);
	buffer_release(&n->text);
	xfree(n);
	return ok;
}
