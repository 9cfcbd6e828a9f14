#include "config.h"

#include "net/net.h"

#include <assert.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/proxy_pending.h"

/* The parts of a turn stop after about this long and go on in the next. */
#define PART_US 2000

/* The same for the parts that open and close connections: accepting, first and last
 * bytes, freeing. */
#define CROWD_US 500

/*
 * The time that a turn flushes before it reads again. Messages that are published meanwhile are
 * added to the output of the subscribers that are left in the queue: a busy server then writes many
 * messages at once, which costs the kernel hardly more than one. If a subscriber has waited for
 * PART_US, the flush goes on for as long as the turn's requests took, so that publishers cannot
 * outrun it.
 */
#define FLUSH_US 100

/* A turn that has taken this long skips or shortens its remaining parts. */
#define LONG_TURN_US 5000

/* See set_share. */
#define SHARE_US 500
#define SHARE_MIN_US 20
#define QUEUED_BYTES 65536

/* How often certificates are checked, and how long before their end a warning is logged. */
#define EXPIRY_CHECK_US (UINT64_C(86400) * 1000000)
#define EXPIRY_WARN_S (INT64_C(14) * 86400)

#define SWEEP_US 1000000
#define SWEPT_A_TURN 1024

/* The rate at which refused connections get a notice and a log line; the others are only
 * counted. */
#define REFUSED_A_SECOND 100
#define REFUSED_AT_ONCE 100
#define LOGS_A_SECOND 5
#define LOGS_AT_ONCE 20

/* The loop wakes at least this often, whatever the handler asks for. */
#define TICK_MAX_US (UINT64_C(3600) * 1000000)

/* The same while requests wait for the writes of other loops. */
#define OVERTAKEN_US 1000

void
net_wake(struct net *net)
{
	if (net->awake)
		return;
	net->awake = true;
	net->now_us = clock_mono_us();
}

bool
net_accepts_long(const struct net *net)
{
	return clock_mono_us() - net->now_us >= CROWD_US;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	(void)what;
	net_wake(net);
	net->tick_at_us = 0;
}

static void
on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct net *net = arg;

	(void)what;
	net_wake(net);
	net->handler.signalled(net->arg, (int)signal);
}

struct net *
net_new(const struct net_config *config, const struct net_service *services, unsigned service_count,
    const struct net_handler *handler, void *arg)
{
	struct net *net = xcalloc(1, sizeof(*net));
	struct event_config *options = event_config_new();

	net->config = config;
	assert(service_count >= 1 && service_count <= NET_SERVICES_MAX);
	net->services = services;
	net->service_count = service_count;
	for (unsigned i = 0; i < service_count; i++)
		net->protocols[i] = services[i].protocol;
	net->parsers = (struct parser_pool){.protocols = net->protocols, .limits = config->limits};
	net->handler = *handler;
	net->arg = arg;
	if (options != NULL) {
		event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
		net->base = event_base_new_with_config(options);
		event_config_free(options);
	}
	if (net->base != NULL)
		net->tick = event_new(net->base, -1, 0, on_tick, net);
	if (net->tick != NULL)
		net->ends = end_watch_new(net->base, conn_peer_ended);
	if (net->ends == NULL) {
		log_error("no event loop: libevent found no usable method");
		if (net->tick != NULL)
			event_free(net->tick);
		if (net->base != NULL)
			event_base_free(net->base);
		xfree(net);
		return NULL;
	}
	TAILQ_INIT(&net->all);
	TAILQ_INIT(&net->replies);
	TAILQ_INIT(&net->messages);
	TAILQ_INIT(&net->first);
	TAILQ_INIT(&net->ready);
	TAILQ_INIT(&net->later);
	TAILQ_INIT(&net->closing);
	TAILQ_INIT(&net->replies_in_flight);
	TAILQ_INIT(&net->handshaking);
	TAILQ_INIT(&net->listeners);
	TAILQ_INIT(&net->proxy_pending);
	net->addresses = address_limits_new();
	rate_limit_init(&net->refusal_lines, REFUSED_A_SECOND, REFUSED_AT_ONCE);
	rate_limit_init(&net->refusal_logs, LOGS_A_SECOND, LOGS_AT_ONCE);
	net->now_us = clock_mono_us();
	net->share_us = SHARE_US;
	return net;
}

/* Frees dead connections, for at most about CROWD_US unless all is set. */
static void
reap(struct net *net, bool all)
{
	uint64_t start_us = clock_mono_us();
	struct conn *conn;
	unsigned n = 0;

	while ((conn = TAILQ_FIRST(&net->closing)) != NULL) {
		conn_reap(conn);
		net_accept_resume(net);
		if (!all && ++n % 16 == 0 && clock_mono_us() - start_us >= CROWD_US)
			break;
	}
}

void
net_free(struct net *net)
{
	struct conn *conn;

	net_close_listeners(net);
	proxy_pending_close(net);
	TAILQ_FOREACH (conn, &net->all, all)
		conn_kill(conn, "shutdown");
	reap(net, true);
	while (!TAILQ_EMPTY(&net->all)) {
		net_loops_settle(net);
		reap(net, true);
	}
	net_loops_close(net);
	for (unsigned i = 0; i < net->signal_count; i++)
		event_free(net->signals[i]);
	if (net->relisten != NULL)
		event_free(net->relisten);
	tls_unref(net->tls);
	end_watch_free(net->ends);
	event_free(net->tick);
	event_base_free(net->base);
	address_limits_free(net->addresses);
	parser_pool_release(&net->parsers);
	xfree(net);
}

void
net_watch_signal(struct net *net, int signal)
{
	struct event *event = evsignal_new(net->base, signal, on_signal, net);

	assert(net->signal_count < sizeof(net->signals) / sizeof(*net->signals));
	if (event == NULL || event_add(event, NULL) != 0) {
		log_error("signal %d cannot be watched", signal);
		if (event != NULL)
			event_free(event);
		return;
	}
	net->signals[net->signal_count++] = event;
}

/* Handles each connection of the queue once, for about part_us. */
static void
process_queue(struct conns *queue, unsigned part_us)
{
	struct conn *last = TAILQ_LAST(queue, conns), *conn;
	uint64_t start_us = clock_mono_us();

	while (last != NULL && (conn = TAILQ_FIRST(queue)) != NULL) {
		conn_process(conn);
		if (conn == last || clock_mono_us() - start_us >= part_us)
			break;
	}
}

/* A turn that is already long skips this, but not two turns in a row. True if there was any: what
 * its requests leave for the handler's turn() must not wait for the next event. */
static bool
process_later(struct net *net)
{
	bool has_any = !TAILQ_EMPTY(&net->later);

	net->put_off = !net->put_off && clock_mono_us() - net->now_us >= LONG_TURN_US;
	if (!net->put_off)
		process_queue(&net->later, CROWD_US);
	return has_any;
}

static uint64_t
flush_for_us(uint64_t worked_us)
{
	if (worked_us < FLUSH_US || worked_us >= LONG_TURN_US)
		return FLUSH_US;
	return worked_us < PART_US ? worked_us : PART_US;
}

/* Flushes the queue for about least_us, or for most_us if a connection in it has waited long. */
static void
flush_queue(struct net *net, struct conns *queue, uint64_t least_us, uint64_t most_us)
{
	struct conn *last = TAILQ_LAST(queue, conns), *conn;
	uint64_t start_us = clock_mono_us(), looked_at_bytes = net->figures.written_bytes;
	unsigned n = 0;

	while (last != NULL && (conn = TAILQ_FIRST(queue)) != NULL) {
		uint64_t now_us;

		conn_flush(conn);
		if (conn == last)
			break;
		/* The clock is read after 8 small writes of some microseconds each, or after many
		 * bytes. */
		if (++n % 8 != 0 && net->figures.written_bytes - looked_at_bytes < NET_FLUSH_BYTES)
			continue;
		looked_at_bytes = net->figures.written_bytes;
		now_us = clock_mono_us();
		conn = TAILQ_FIRST(queue);
		if (now_us - start_us >= most_us ||
		    (now_us - start_us >= least_us && conn != NULL &&
			(uint32_t)now_us - conn->queued_us < PART_US))
			break;
	}
}

/* Replies, then messages, then what new subscribers get first. */
static void
flush(struct net *net)
{
	flush_queue(net, &net->replies, FLUSH_US, flush_for_us(clock_mono_us() - net->now_us));
	flush_queue(net, &net->messages, FLUSH_US, flush_for_us(clock_mono_us() - net->now_us));
	if (!TAILQ_EMPTY(&net->first))
		flush_queue(net, &net->first, FLUSH_US, CROWD_US);
}

/* Orders the other loops to write, for about PART_US, because clients that finish are
 * ended here. */
static void
flush_loops(struct net *net)
{
	uint64_t start_us = clock_mono_us();
	unsigned n = 0;

	for (unsigned i = 0; i < net->loop_count; i++) {
		struct net_loop *loop = &net->loops[i];
		struct conn *conn;

		while (loop->in_flight_count < IO_WRITES_MAX &&
		       (conn = TAILQ_FIRST(&loop->messages)) != NULL) {
			conn_flush(conn);
			if (++n % 8 == 0 && clock_mono_us() - start_us >= PART_US)
				break;
		}
	}
}

/* Raises *most to the queued bytes of the first connection, which has waited the longest. */
static void
look_at_queued(const struct conns *queue, uint64_t *most)
{
	const struct conn *conn = TAILQ_FIRST(queue);

	if (conn != NULL && conn->outbox->bytes > *most)
		*most = conn->outbox->bytes;
}

/*
 * Publishers must not be faster than the writing to subscribers. Up to QUEUED_BYTES, larger writes
 * cost less per byte. Above that, the time share of each connection's requests shrinks with the
 * square of the queued bytes, so that reading and writing balance soon, but not below SHARE_MIN_US,
 * because other requests must proceed. A subscriber whose socket is full is not in the queue: it is
 * slow itself, and must not slow down the publishers.
 */
static void
set_share(struct net *net)
{
	uint64_t queued = 0;

	look_at_queued(&net->messages, &queued);
	for (unsigned i = 0; i < net->loop_count; i++) {
		look_at_queued(&net->loops[i].messages, &queued);
		look_at_queued(&net->loops[i].in_flight, &queued);
	}
	net->share_us = SHARE_US;
	if (queued <= QUEUED_BYTES)
		return;
	queued /= QUEUED_BYTES / 64; /* prevents an overflow below */
	net->share_us = queued > UINT64_C(64) * 8
			    ? SHARE_MIN_US
			    : (unsigned)(UINT64_C(64) * 64 * SHARE_US / (queued * queued));
	if (net->share_us < SHARE_MIN_US)
		net->share_us = SHARE_MIN_US;
}

bool
net_set_tls(struct net *net, const struct tls_settings *settings, char *error, size_t error_len)
{
	struct tls *tls = tls_new(settings, error, error_len);

	if (tls != NULL)
		net_take_tls(net, tls);
	return tls != NULL;
}

void
net_take_tls(struct net *net, struct tls *tls)
{
	tls_unref(net->tls);
	net->tls = tls;
	net->expiry_check_us = 0; /* check soon */
}

/* Called once a day: warns of certificates that expire soon. */
static void
check_expiry(struct net *net)
{
	const char *what;
	int64_t left_s;

	if (net->tls == NULL || net->now_us < net->expiry_check_us)
		return;
	net->expiry_check_us = net->now_us + EXPIRY_CHECK_US;
	left_s = (int64_t)(tls_expires(net->tls, &what) - time(NULL));
	if (left_s <= 0)
		log_error("TLS: %s has expired", what);
	else if (left_s < EXPIRY_WARN_S)
		log_warn("TLS: %s expires in %d days", what, (int)(left_s / 86400));
}

static void
sweep(struct net *net)
{
	struct conn *conn;

	if (net->sweep_at == NULL) {
		check_expiry(net);
		conn_check_handshakes(net);
		if (net->now_us < net->next_sweep_us)
			return;
		net->next_sweep_us = net->now_us + SWEEP_US;
		net->sweep_at = TAILQ_FIRST(&net->all);
		address_limits_expire(net->addresses, net->now_us);
	}
	for (unsigned n = 0; n < SWEPT_A_TURN && (conn = net->sweep_at) != NULL; n++) {
		net->sweep_at = TAILQ_NEXT(conn, all);
		conn_sweep(conn, net->now_us);
	}
}

/* Wakes the loop in delay_us at the latest. */
static void
set_tick(struct net *net, uint64_t delay_us)
{
	uint64_t at_us;
	struct timeval delay;

	if (delay_us > TICK_MAX_US)
		delay_us = TICK_MAX_US;
	at_us = net->now_us + delay_us;
	if (net->tick_at_us != 0 && net->tick_at_us <= at_us)
		return;
	net->tick_at_us = at_us;
	delay.tv_sec = (time_t)(delay_us / 1000000);
	delay.tv_usec = (suseconds_t)(delay_us % 1000000);
	evtimer_add(net->tick, &delay);
}

/* True if another loop is writing: its report will wake this loop. */
static bool
loops_write(const struct net *net)
{
	for (unsigned i = 0; i < net->loop_count; i++)
		if (!TAILQ_EMPTY(&net->loops[i].in_flight))
			return true;
	return false;
}

/* True if a loop could be given more to write. */
static bool
loops_want(const struct net *net)
{
	for (unsigned i = 0; i < net->loop_count; i++)
		if (!TAILQ_EMPTY(&net->loops[i].messages) &&
		    net->loops[i].in_flight_count < IO_WRITES_MAX)
			return true;
	return false;
}

/* The parts of a turn after the events. True if there is more to do at once. */
static bool
turn(struct net *net)
{
	uint64_t delay_us, worked_us;
	bool had_later, waits;

	process_queue(&net->ready, PART_US);
	delay_us = net->handler.turn(net->arg, net->now_us, PART_US);
	flush(net);
	had_later = process_later(net);
	flush_loops(net); /* after process_later, whose new subscribers may have output by now */
	set_share(net);
	sweep(net);
	reap(net, false);
	net->handler.flushed(net->arg);
	net_loops_send(net);

	net->figures.turns++;
	worked_us = clock_mono_us() - net->now_us;
	durations_add(&net->figures.turn_durations, worked_us);
	if (worked_us > net->figures.longest_turn_us)
		net->figures.longest_turn_us = worked_us;

	if (net->drain_until_us > 0 &&
	    (TAILQ_EMPTY(&net->all) || net->now_us >= net->drain_until_us))
		net->stopped = true;
	/* Another turn does not make other loops write sooner; their next report wakes this loop.
	 */
	waits = net->share_us == SHARE_MIN_US && loops_write(net);
	if (delay_us == 0 || (!waits && !TAILQ_EMPTY(&net->ready)) || had_later ||
	    !TAILQ_EMPTY(&net->replies) || !TAILQ_EMPTY(&net->messages) ||
	    !TAILQ_EMPTY(&net->first) || !TAILQ_EMPTY(&net->closing) || net->sweep_at != NULL ||
	    loops_want(net))
		return true;
	/* If there are connections, their time limits are checked once a second. */
	if (!TAILQ_EMPTY(&net->all) && delay_us > SWEEP_US)
		delay_us = SWEEP_US;
	if (net->drain_until_us > 0 && delay_us > 10000)
		delay_us = 10000;
	if (!TAILQ_EMPTY(&net->ready) && delay_us > OVERTAKEN_US)
		delay_us = OVERTAKEN_US;
	set_tick(net, delay_us);
	return false;
}

void
net_run(struct net *net)
{
	bool more = true;

	net_loops_open(net);
	while (!net->stopped) {
		net->awake = false;
		event_base_loop(net->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
		net_wake(net);
		more = turn(net);
	}
	reap(net, true);
	net->stopped = false;
}

void
net_stop(struct net *net)
{
	net->stopped = true;
	event_base_loopbreak(net->base);
}

void
net_drain(struct net *net, uint32_t timeout_ms)
{
	struct conn *conn;

	if (net->drain_until_us > 0)
		return;
	net->drain_until_us = clock_mono_us() + (uint64_t)timeout_ms * 1000 + 1;
	net_close_listeners(net);
	proxy_pending_close(net);
	TAILQ_FOREACH (conn, &net->all, all)
		conn_finish(conn);
	event_base_loopbreak(net->base);
}

struct net_figures
net_figures(const struct net *net)
{
	struct net_figures figures = net->figures;
	const char *what;

	figures.addresses = address_limits_count(net->addresses);
	figures.proxy_pending = net->proxy_pending_count;
	figures.tls_handshaking = net->handshaking_count;
	if (net->tls != NULL)
		figures.tls_expires = (int64_t)tls_expires(net->tls, &what);
	return figures;
}

void
net_reset_figures(struct net *net)
{
	size_t connections = net->figures.connections,
	       unauthenticated = net->figures.unauthenticated;

	memset(&net->figures, 0, sizeof(net->figures));
	net->figures.connections = connections;
	net->figures.unauthenticated = unauthenticated;
	for (unsigned i = 0; i < net->loop_count; i++)
		net->loops[i].figures.read_bytes = net->loops[i].figures.written_bytes = 0;
}
