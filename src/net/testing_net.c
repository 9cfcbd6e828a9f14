#include "config.h"

#include "net/testing_net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "net/conn.h"
#include "net/testing_line.h"
#include "resp/protocol.h"

#define GIVE_UP_US 30000000
#define LOOK_US 500

struct rig rig;

static struct frame_log *replies;
static struct outbox_pool pool;
static bool (*awaited)(void *arg);
static void *awaited_arg;
static uint64_t give_up_us;
static unsigned late_turns; /* turns after give_up_us: a process without CPU time had few before */

static void
reply(struct rig_client *client, struct slice text)
{
	outbox_push_reply(&client->outbox, text);
}

static void
reply_fill(struct rig_client *client, struct slice count)
{
	int64_t len = 0;
	char *fill;

	ck_assert(slice_to_i64(count, &len));
	fill = xmalloc((size_t)len);
	memset(fill, 'x', (size_t)len);
	reply(client, (struct slice){fill, (size_t)len});
	xfree(fill);
}

static void
reply_args(struct rig_client *client, const struct slice *args, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		reply(client, args[i]);
		reply(client, i + 1 < count ? SLICE(" ") : SLICE("\n"));
	}
}

/* Takes at least len_us, so that a connection with a shorter share has one request in a turn. */
static void
spin_us(uint64_t len_us)
{
	uint64_t from_us = clock_mono_us();

	while (clock_mono_us() - from_us < len_us)
		continue;
}

static void
spin(struct slice us)
{
	int64_t len_us = 0;

	ck_assert(slice_to_i64(us, &len_us));
	spin_us((uint64_t)len_us);
}

static void *
on_open(void *arg, struct conn *conn, const struct net_peer *peer, struct outbox **outbox)
{
	static const struct outbox_limits no_limits;
	struct rig_client *client = xcalloc(1, sizeof(*client));

	(void)arg;
	spin_us(rig.open_us);
	ck_assert_uint_lt(rig.client_count, RIG_CLIENTS_MAX);
	if (rig.send_buffer > 0)
		setsockopt(peer->fd, SOL_SOCKET, SO_SNDBUF, &rig.send_buffer, sizeof(int));
	rig.clients[rig.client_count++] = client;
	client->conn = conn;
	client->peer = *peer;
	outbox_init(&client->outbox, &pool, &no_limits, conn);
	*outbox = &client->outbox;
	if (rig.refuse) {
		reply(client, SLICE("-ERR refused\n"));
		reply_fill(client, SLICE("1000000"));
		conn_finish(conn);
	}
	return client;
}

static enum request_verdict
on_request(void *arg, const struct slice *args, size_t count)
{
	struct rig_client *client = arg;
	bool works = slice_is(args[0], "WORK") || slice_is(args[0], "WORKBIG");
	bool waits = works || slice_is(args[0], "LATER");

	ck_assert_ptr_nonnull(client->conn);
	client->last_at = ++rig.requests;
	if (client->handed++ == 0)
		client->first_at = client->last_at;
	if (waits && !client->tried) {
		client->tried = true;
		client->works = works;
		return REQUEST_LATER;
	}
	client->tried = false;
	if (slice_is(args[0], "BIG") || slice_is(args[0], "WORKBIG")) {
		reply_fill(client, args[1]);
	} else if (waits || slice_is(args[0], "ECHO")) {
		reply_args(client, args, count);
	} else if (slice_is(args[0], "SPIN")) {
		spin(args[1]);
		reply_args(client, args, count);
	} else if (slice_is(args[0], "FINISH")) {
		conn_finish(client->conn);
		reply_fill(client, args[1]);
	} else if (slice_is(args[0], "KILL")) {
		conn_kill(client->conn, "told to");
	} else if (slice_is(args[0], "SUBSCRIBE")) {
		conn_set_subscriber(client->conn, true);
		reply(client, SLICE("ok\n"));
	} else {
		ck_abort_msg("what is %.*s?", (int)args[0].len, args[0].ptr);
	}
	return REQUEST_NEXT;
}

static void
on_broken(void *arg, const char *error)
{
	reply(arg, SLICE("-ERR "));
	reply(arg, slice_of(error));
	reply(arg, SLICE("\n"));
}

/* Echoes the line; after "RESP" the connection goes on in RESP, after "LAST" its input is
 * discarded, after "LATER RESP" and "LATER LAST" too, when they have waited once. */
static enum request_verdict
on_line(void *arg, const struct slice *args, size_t count)
{
	struct rig_client *client = arg;
	bool waits = slice_is(args[0], "LATER RESP") || slice_is(args[0], "LATER LAST");

	ck_assert_uint_eq(count, 1);
	client->handed++;
	if (waits && !client->tried) {
		client->tried = true;
		return REQUEST_LATER;
	}
	client->tried = false;
	if (slice_is(args[0], "LATER RESP") || slice_is(args[0], "RESP"))
		conn_switch(client->conn, RIG_RESP);
	if (slice_is(args[0], "LATER LAST") || slice_is(args[0], "LAST"))
		conn_discard_input(client->conn);
	if (slice_is(args[0], "LOGIN"))
		conn_set_unauthenticated(client->conn, true);
	reply(client, args[0]);
	reply(client, SLICE("\n"));
	return REQUEST_NEXT;
}

static void
on_broken_line(void *arg, const char *error)
{
	reply(arg, slice_of(error));
	reply(arg, SLICE("\n"));
}

static void
on_identified(void *arg, const char *user)
{
	struct rig_client *client = arg;

	ck_assert_ptr_nonnull(client->conn);
	ck_assert_str_eq(client->user, "");
	snprintf(client->user, sizeof(client->user), "%s", user);
	client->named_at = client->handed;
	if (rig.kill_named)
		conn_kill(client->conn, "not wanted");
}

static void
on_closed(void *arg, const char *reason)
{
	struct rig_client *client = arg;

	ck_assert_ptr_nonnull(client->conn);
	spin_us(rig.close_us);
	client->conn = NULL;
	client->reason = reason;
	client->closed_at = ++rig.closings;
	outbox_close(&client->outbox);
	/* Checked here, because the loop may not wake up again after this. */
	if (awaited != NULL && awaited(awaited_arg))
		net_stop(rig.net);
}

static uint64_t
on_turn(void *arg, uint64_t now_us, uint64_t budget_us)
{
	(void)arg;
	(void)budget_us;
	ck_assert_msg(now_us < give_up_us || rig.interrupted > 0 || ++late_turns < 5000,
	    "what was waited for never came");
	rig.requests_at_turn = rig.requests;
	if (awaited != NULL && awaited(awaited_arg))
		net_stop(rig.net);
	return rig.wait_us;
}

static void
on_flushed(void *arg)
{
	(void)arg;
	frame_log_tidy(replies);
	if (rig.closings - rig.closings_before > rig.most_closings)
		rig.most_closings = rig.closings - rig.closings_before;
	rig.closings_before = rig.closings;
	for (unsigned i = 0; i < net_loop_count(rig.net); i++)
		if (rig.net->loops[i].in_flight_count > rig.most_writes)
			rig.most_writes = rig.net->loops[i].in_flight_count;
	for (size_t i = 0; i < rig.client_count; i++) {
		struct rig_client *client = rig.clients[i];

		if (!client->works || client->conn == NULL)
			continue;
		client->works = false;
		conn_resume(client->conn);
	}
}

static void
on_signalled(void *arg, int signal)
{
	(void)arg;
	(void)signal;
	rig.interrupted++;
	net_stop(rig.net);
}

static void
ready(struct outbox *outbox)
{
	conn_ready(outbox->io);
}

static void
room(struct outbox *outbox)
{
	(void)outbox;
}

unsigned
rig_loops(void)
{
	const char *loops = getenv("FANFARE_TEST_IO_THREADS");

	return loops != NULL ? (unsigned)strtoul(loops, NULL, 10) : 1;
}

void
rig_setup(void)
{
	static const struct net_service services[RIG_SERVICES] = {
	    [RIG_RESP] = {.protocol = &resp_protocol,
		.open = on_open,
		.request = on_request,
		.broken = on_broken,
		.identified = on_identified,
		.closed = on_closed},
	    [RIG_LINE] = {.protocol = &testing_line_protocol,
		.open = on_open,
		.request = on_line,
		.broken = on_broken_line,
		.closed = on_closed,
		.without_client_certificates = true},
	};
	static const struct net_handler handler = {
	    .turn = on_turn,
	    .flushed = on_flushed,
	    .signalled = on_signalled,
	};
	char error[256];

	replies = frame_log_new(65536);
	pool = (struct outbox_pool){.replies = replies, .ready = ready, .room = room};
	rig = (struct rig){.wait_us = LOOK_US};
	rig.config = (struct net_config){
	    .limits = {[RIG_RESP] = {.arg_bytes = 64 << 20,
			   .arg_count = 1024,
			   .line_bytes = 65536,
			   .request_bytes = 128 << 20},
		[RIG_LINE] = {.line_bytes = 1000}},
	    .read_share_bytes = 16384,
	    .reply_pause_bytes = 65536,
	    .stall_timeout_s = 60,
	    .tcp_backlog = 128,
	    .tls_handshake_timeout_s = 60,
	    .tls_max_handshakes = 1000,
	    .io_threads = rig_loops(),
	};
	rig.net = net_new(&rig.config, services, RIG_SERVICES, &handler, NULL);
	ck_assert_ptr_nonnull(rig.net);
	ck_assert_msg(
	    net_listen_tcp(rig.net, RIG_RESP, "127.0.0.1", 0, false, error, sizeof(error)), "%s",
	    error);
}

/* Another process may take the port meanwhile. */
static int
free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

void
rig_set_tls(const struct tls_settings *settings)
{
	char error[256];

	ck_assert_msg(net_set_tls(rig.net, settings, error, sizeof(error)), "%s", error);
}

static int
listen_at_free_port(unsigned service, bool tls)
{
	char error[256] = "";

	for (int i = 0; i < 20; i++) {
		int port = free_port();

		if (net_listen_tcp(rig.net, service, "127.0.0.1", port, tls, error, sizeof(error)))
			return port;
	}
	ck_abort_msg("%s", error);
}

int
rig_listen_tls(const struct tls_settings *settings)
{
	rig_set_tls(settings);
	return listen_at_free_port(RIG_RESP, true);
}

int
rig_listen_line(void)
{
	return listen_at_free_port(RIG_LINE, false);
}

int
rig_listen_line_tls(void)
{
	return listen_at_free_port(RIG_LINE, true);
}

void
rig_teardown(void)
{
	awaited = NULL; /* it is still set if a wait has failed */
	net_free(rig.net);
	for (size_t i = 0; i < rig.client_count; i++) {
		ck_assert_ptr_null(rig.clients[i]->conn);
		outbox_release(&rig.clients[i]->outbox);
		xfree(rig.clients[i]);
	}
	ck_assert_uint_eq(pool.bytes, 0);
	outbox_pool_release(&pool);
	frame_log_free(replies);
}

void
rig_until(bool (*is_so)(void *arg), void *arg)
{
	awaited = is_so;
	awaited_arg = arg;
	give_up_us = clock_mono_us() + GIVE_UP_US;
	late_turns = 0;
	net_run(rig.net);
	awaited = NULL;
}

static bool
is_past(void *until_us)
{
	return clock_mono_us() >= *(uint64_t *)until_us;
}

void
rig_for_ms(unsigned ms)
{
	uint64_t until_us = clock_mono_us() + (uint64_t)ms * 1000;

	rig_until(is_past, &until_us);
}

void
rig_until_calm(unsigned ms, unsigned turns)
{
	uint64_t begun_us = clock_mono_us(), before;

	do {
		ck_assert_msg(
		    clock_mono_us() - begun_us < GIVE_UP_US, "the loop never sleeps for %u ms", ms);
		before = net_figures(rig.net).turns;
		rig_for_ms(ms);
	} while (net_figures(rig.net).turns - before > turns);
}

static bool
are_clients(void *count)
{
	return rig.client_count >= *(size_t *)count;
}

static bool
has_connections(void *count)
{
	return net_figures(rig.net).connections == *(size_t *)count;
}

void
rig_until_connections(size_t count)
{
	rig_until(has_connections, &count);
}

void
rig_until_clients(size_t count)
{
	rig_until(are_clients, &count);
}

static bool
is_closed(void *client)
{
	return ((struct rig_client *)client)->conn == NULL;
}

void
rig_until_closed(struct rig_client *client)
{
	rig_until(is_closed, client);
}

struct wanted {
	const struct rig_client *client;
	size_t count;
};

static bool
is_handed(void *arg)
{
	const struct wanted *wanted = arg;

	return wanted->client->handed >= wanted->count;
}

void
rig_until_handed(const struct rig_client *client, size_t handed)
{
	struct wanted wanted = {.client = client, .count = handed};

	rig_until(is_handed, &wanted);
}
