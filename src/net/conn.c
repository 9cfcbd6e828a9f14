#include "config.h"

#include "net/conn.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

struct io_link *
conn_link(const struct conn *conn)
{
	return conn->has_link ? conn->there.link : NULL;
}

struct net_loop *
conn_loop(const struct conn *conn)
{
	return conn->has_link ? &conn->net->loops[conn->loop] : NULL;
}

int
conn_fd(const struct conn *conn)
{
	return conn->has_link ? conn->there.fd : conn->here.stream.fd;
}

void
conn_become(struct conn *conn, enum conn_state state)
{
	assert(conn_state_may_follow((enum conn_state)conn->state, state));
	conn->state = (uint8_t)state;
}

void
conn_watch(struct conn *conn, bool on)
{
	if (!conn->has_link && !stream_watch(&conn->here.stream, on))
		conn_kill(conn, "cannot be watched");
}

/* Gives the connection to the loop with the fewest connections, where it stays. */
static void
open_link(struct conn *conn, int fd, struct tls_stream *tls)
{
	struct net *net = conn->net;

	for (unsigned i = 1; i < net->loop_count; i++)
		if (net->loops[i].figures.connections < net->loops[conn->loop].figures.connections)
			conn->loop = (uint8_t)i;
	net->loops[conn->loop].figures.connections++;
	conn->has_link = true;
	conn->there.fd = fd;
	conn->there.link = io_link_open(net->loops[conn->loop].io, fd, tls, conn->service, conn);
}

/* Logs the reason, because the peer gets no notice of it. */
static void
log_refused(const struct conn *conn, const char *what, const char *reason)
{
	struct net *net = conn->net;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(from);
	const char *address = conn->extra != NULL ? conn->extra->proxied_address : NULL;
	char of_socket[64];

	if (net->drain_until_us > 0 || !rate_limit_take(&net->refusal_logs, net->now_us))
		return;
	if (address == NULL) {
		(void)getpeername(conn_fd(conn), (struct sockaddr *)&from, &len);
		address_format((const struct sockaddr *)&from, of_socket, sizeof(of_socket));
		address = of_socket;
	}
	log_notice("closing %s: %s%s", address, what, reason);
}

void
conn_refuse(struct conn *conn, const char *reason)
{
	if (conn->state != CONN_SECURING && conn->state < CONN_DEAD)
		log_refused(conn, "", reason);
	conn_kill(conn, reason);
}

void
conn_open(struct net *net, int fd, const struct net_peer *peer, const struct address_key *counted)
{
	struct tls_stream *tls = NULL;
	struct conn *conn;

	if (peer->is_tls) {
		tls = tls_stream_new(net->tls, fd);
		if (tls == NULL) {
			log_error("TLS: %s: no memory for the connection", peer->address);
			close(fd);
			address_limits_leave(net->addresses, counted, net->now_us);
			return;
		}
		if (net->services[peer->service].without_client_certificates)
			tls_request_no_certificate(tls->ssl);
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->net = net;
	conn->is_unix = peer->is_unix;
	conn->service = conn->parser_service = (uint8_t)peer->service;
	conn->key = *counted;
	conn->state = tls != NULL ? CONN_SECURING : CONN_READING;
	conn_begin_limits(conn, peer);
	if (net->loop_count > 0)
		open_link(conn, fd, tls);
	else
		stream_open(&conn->here.stream, net->base, fd, tls, &conn_stream_handler);
	TAILQ_INSERT_TAIL(&net->all, conn, all);
	net->figures.connections++;
	conn->client = conn_service(conn)->open(net->arg, conn, peer, &conn->outbox);
	if (!conn_is_open(conn))
		return;
	if (conn->has_link)
		io_link_start(conn->there.link, conn->unauthenticated);
	else
		conn_watch(conn, true);
}

/* Releases the client before the socket is closed, so that the client is gone when the peer sees
 * the end. */
static void
part_from_client(struct conn *conn, const char *reason)
{
	if (conn->client == NULL)
		return;
	conn_service(conn)->closed(conn->client, reason);
	conn->client = NULL;
	if (conn->output != OUTPUT_IN_FLIGHT)
		conn->outbox = NULL;
}

static void
conn_free(struct conn *conn)
{
	struct net *net = conn->net;

	part_from_client(conn, conn->reason);
	if (conn->end_watch != END_UNKNOWN)
		end_watch_remove(net->ends, conn_fd(conn));
	if (net->sweep_at == conn)
		net->sweep_at = TAILQ_NEXT(conn, all);
	TAILQ_REMOVE(&net->all, conn, all);
	net->figures.connections--;
	conn_end_limits(conn);
	address_limits_leave(net->addresses, &conn->key, net->now_us);
	conn_drop_input(conn);
	conn_release_parser(conn);
	if (conn->has_link) {
		net->loops[conn->loop].figures.connections--;
		io_link_close(conn->there.link);
	} else {
		stream_close(&conn->here.stream);
	}
	xfree(conn);
}

void
conn_reap(struct conn *conn)
{
	conn_work_remove(conn);
	if (!conn->has_link || conn->state == CONN_STOPPED)
		conn_free(conn);
	else
		part_from_client(conn, conn->reason);
}

void
conn_kill(struct conn *conn, const char *reason)
{
	struct net *net = conn->net;
	bool was_securing = conn->state == CONN_SECURING;

	if (conn->state >= CONN_DEAD)
		return;
	conn_become(conn, CONN_DEAD);
	conn->reason = reason;
	if (was_securing) {
		conn_handshake_over(conn);
		net->figures.tls_failed++;
		log_refused(conn, "TLS handshake failed: ", reason);
	}
	/* It gets no more messages, although it may be freed only in a later turn. */
	if (conn->outbox != NULL)
		outbox_seal(conn->outbox);
	conn_flush_move(conn, FLUSH_NONE);
	conn_work_remove(conn);
	if (conn->has_link)
		io_link_stop(conn->there.link);
	else
		stream_stop(&conn->here.stream);
	conn_work_add(conn, WORK_CLOSING);
}

void
conn_hold(struct conn *conn, enum request_verdict verdict)
{
	if (conn->state == CONN_RESUMED)
		return; /* its own handler has resumed it */
	conn_become(conn, verdict == REQUEST_BLOCKED ? CONN_BLOCKED : CONN_HELD);
	if (conn->state != CONN_BLOCKED || conn->end_watch == END_WATCHED)
		return;
	/* If the socket cannot be watched, its end is noticed when the request is resumed. */
	if (end_watch_add(conn->net->ends, conn_fd(conn), conn))
		conn->end_watch = END_WATCHED;
}

/* The client is released at once, so that an element that several blocked clients wait for is not
 * given to one that has left. */
void
conn_peer_ended(void *arg)
{
	struct conn *conn = arg;

	net_wake(conn->net);
	conn->end_watch = END_REPORTED;
	if (conn->state != CONN_BLOCKED)
		return;
	conn_kill(conn, "closed by peer");
	part_from_client(conn, conn->reason);
}

static const char *
end_reason(const struct conn *conn)
{
	return conn->reason != NULL ? conn->reason : "finished";
}

void
conn_end(struct conn *conn)
{
	conn_drop_input(conn);
	if (conn->eof ||
	    (!conn->has_link && !conn->discarded && !stream_has_unread(&conn->here.stream))) {
		conn_kill(conn, conn->eof ? "closed by peer" : end_reason(conn));
		return;
	}
	part_from_client(conn, end_reason(conn));
	conn_become(conn, CONN_LINGERING);
	conn->stuck_ms = conn_mark_ms(conn->net->now_us);
	if (conn->has_link) {
		io_link_linger(conn->there.link, conn->discarded);
		return;
	}
	stream_shut(&conn->here.stream);
	conn_watch(conn, true);
}

void
conn_finish(struct conn *conn)
{
	if (!conn_is_open(conn))
		return;
	if (conn->state == CONN_SECURING) {
		/* No notice can be sent before the handshake is done. */
		conn_kill(conn, conn->eof ? "closed by peer" : "refused");
		return;
	}
	conn_become(conn, CONN_FINISHING);
	conn_work_remove(conn);
	conn_watch(conn, false);
	if (conn->state == CONN_FINISHING)
		conn_ready(conn);
}

void
conn_resume(struct conn *conn)
{
	if (!conn_is_held(conn))
		return;
	conn_become(conn, CONN_RESUMED);
	conn_work_add(conn, WORK_READY);
}

void
conn_switch(struct conn *conn, unsigned service)
{
	assert(service < conn->net->service_count && conn->may_switch);
	conn->service = (uint8_t)service;
}

void
conn_discard_input(struct conn *conn)
{
	assert(conn->may_switch);
	conn->discards = true;
}

void
conn_set_expects_output(struct conn *conn, bool expects_output)
{
	conn->expects_output = expects_output;
	if (!expects_output && conn->state == CONN_FINISHING)
		conn_ready(conn); /* it ends with the next flush */
}

static void
tune_user_timeout(const struct conn *conn)
{
	unsigned ms = conn->subscriber ? conn->net->config->tcp_user_timeout_ms : 0;

	if (!conn->is_unix)
		(void)setsockopt(conn_fd(conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void
conn_set_subscriber(struct conn *conn, bool subscriber)
{
	if (conn->subscriber == subscriber)
		return;
	conn->subscriber = subscriber;
	tune_user_timeout(conn);
}

struct conn_figures
conn_figures(const struct conn *conn)
{
	return (struct conn_figures){
	    .input_bytes = conn_input_bytes(conn),
	    .input_room_bytes = conn_input_room_bytes(conn),
	    .read_bytes = conn->read_bytes,
	    .written_bytes = conn->written_bytes,
	    .active_us = conn->active_us,
	    .readable = conn->has_link ? conn->there.requests == NULL : conn->here.stream.reading,
	    .writable = conn->output == OUTPUT_FULL,
	    .fd = conn_fd(conn),
	    .loop = conn->loop,
	};
}
