#include "config.h"

#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net/listener.h"

#define LINGER_US 2000000

/* Where others wait to begin theirs, an honest client's handshake is not given longer. */
#define SLOW_HANDSHAKE_US 1000000

void
conn_enqueue(struct conn *conn, struct conns *queue)
{
	if (conn->work_queue != NULL)
		return;
	conn->work_queue = queue;
	TAILQ_INSERT_TAIL(queue, conn, work);
}

void
conn_dequeue(struct conn *conn)
{
	if (conn->work_queue == NULL)
		return;
	TAILQ_REMOVE(conn->work_queue, conn, work);
	conn->work_queue = NULL;
}

const struct net_service *
conn_service(const struct conn *conn)
{
	return &conn->net->services[conn->service];
}

struct net_loop *
conn_loop(const struct conn *conn)
{
	return conn->link != NULL ? &conn->net->loops[conn->loop] : NULL;
}

void
conn_queue(struct conn *conn, struct conns *queue)
{
	struct net_loop *loop = conn_loop(conn);

	if (conn->queue != NULL) {
		TAILQ_REMOVE(conn->queue, conn, flush);
		if (loop != NULL && conn->queue == &loop->flying)
			loop->flying_count--;
	}
	conn->queue = queue;
	if (queue == NULL)
		return;
	TAILQ_INSERT_TAIL(queue, conn, flush);
	if (loop != NULL && queue == &loop->flying)
		loop->flying_count++;
}

void
conn_watch(struct conn *conn, bool on)
{
	if (conn->link == NULL && !stream_watch(&conn->stream, on))
		conn_kill(conn, "cannot be watched");
}

/* The loop with the fewest connections gets one more, which stays there. */
static void
open_link(struct conn *conn, struct tls_stream *tls)
{
	struct net *net = conn->net;

	for (unsigned i = 1; i < net->loop_count; i++)
		if (net->loops[i].figures.connections < net->loops[conn->loop].figures.connections)
			conn->loop = (uint8_t)i;
	net->loops[conn->loop].figures.connections++;
	conn->link = io_link_open(net->loops[conn->loop].io, conn->fd, tls, conn->service, conn);
}

static void
begin_handshake(struct conn *conn)
{
	conn->securing = true;
	TAILQ_INSERT_TAIL(&conn->net->handshaking, conn, handshake);
	conn->net->handshaking_count++;
}

static void
end_handshake(struct conn *conn)
{
	struct net *net = conn->net;

	conn->securing = false;
	TAILQ_REMOVE(&net->handshaking, conn, handshake);
	net->handshaking_count--;
	net_accept_tls_resume(net);
}

void
conn_secured(struct conn *conn, char *user, bool is_resumed)
{
	struct net *net = conn->net;

	if (conn->securing) {
		end_handshake(conn);
		net->figures.tls_handshakes++;
		net->figures.tls_resumed += is_resumed;
		conn->active_us = net->now_us;
		if (user != NULL && conn->client != NULL)
			conn_service(conn)->identified(conn->client, user);
	}
	xfree(user);
}

/* The peer has no other way to know. */
static void
log_refused(const struct conn *conn, const char *what, const char *reason)
{
	struct net *net = conn->net;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(from);
	const char *address = conn->proxied_address;
	char of_socket[64];

	if (net->drain_until_us > 0 || !rate_limit_take(&net->refusal_logs, net->now_us))
		return;
	if (address == NULL) {
		(void)getpeername(conn->fd, (struct sockaddr *)&from, &len);
		address_format((const struct sockaddr *)&from, of_socket, sizeof(of_socket));
		address = of_socket;
	}
	log_notice("closing %s: %s%s", address, what, reason);
}

void
conn_refuse(struct conn *conn, const char *reason)
{
	if (!conn->securing && conn->state != CONN_DEAD)
		log_refused(conn, "", reason);
	conn_kill(conn, reason);
}

void
conn_check_handshakes(struct net *net)
{
	const struct net_config *config = net->config;
	uint64_t limit_us = (uint64_t)config->tls_handshake_timeout_s * 1000000;
	struct conn *conn;

	net_accept_tls_resume(net); /* the limit may have been raised */
	while ((conn = TAILQ_FIRST(&net->handshaking)) != NULL) {
		uint64_t age_us = net->now_us - conn->opened_us;

		if (age_us >= limit_us)
			conn_kill(conn, "it took longer than tls-handshake-timeout");
		else if (net->handshakes_full && age_us >= SLOW_HANDSHAKE_US)
			conn_kill(conn, "it was the oldest, and tls-max-handshakes is reached");
		else
			break;
	}
}

/* From now on it has so long to prove itself. */
static void
doubt(struct conn *conn)
{
	if (conn->unproven_us != 0)
		return;
	conn->unproven_us = conn->net->now_us > 0 ? conn->net->now_us : 1;
	conn->net->figures.unproven++;
}

static void
trust(struct conn *conn)
{
	if (conn->unproven_us == 0)
		return;
	conn->unproven_us = 0;
	conn->net->figures.unproven--;
}

void
conn_has_asked(struct conn *conn)
{
	conn->asked = true;
	if (!conn->unauthenticated)
		trust(conn);
}

void
conn_open(struct net *net, int fd, const struct net_peer *peer)
{
	struct tls_stream *tls = NULL;
	struct conn *conn;

	if (peer->is_tls) {
		tls = tls_stream_new(net->tls, fd);
		if (tls == NULL) {
			log_error("TLS: %s: no memory for the connection", peer->address);
			close(fd);
			address_limits_leave(net->addresses, &peer->key, net->now_us);
			return;
		}
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->net = net;
	conn->fd = fd;
	conn->is_unix = peer->is_unix;
	conn->service = conn->parser_service = (uint8_t)peer->service;
	conn->opened_us = conn->active_us = net->now_us;
	conn->key = peer->key;
	if (peer->is_proxied)
		conn->proxied_address = xstrdup(peer->address);
	if (tls != NULL)
		begin_handshake(conn);
	doubt(conn);
	if (net->loop_count > 0)
		open_link(conn, tls);
	else
		stream_open(&conn->stream, net->base, fd, tls, &conn_stream_handler, conn);
	TAILQ_INSERT_TAIL(&net->all, conn, all);
	net->figures.connections++;
	conn->client = conn_service(conn)->open(net->arg, conn, peer, &conn->outbox);
	if (conn->state != CONN_OPEN)
		return;
	if (conn->link != NULL)
		io_link_start(conn->link, conn->unauthenticated);
	else
		conn_watch(conn, true);
}

/* The client is gone before the peer can see its connection end. */
static void
part_from_client(struct conn *conn, const char *reason)
{
	if (conn->client == NULL)
		return;
	conn_service(conn)->closed(conn->client, reason);
	conn->client = NULL;
	if (!conn->flying)
		conn->outbox = NULL;
}

static void
conn_free(struct conn *conn)
{
	struct net *net = conn->net;

	part_from_client(conn, conn->reason);
	if (conn->end_was_watched)
		end_watch_remove(net->ends, conn->fd);
	if (net->sweep_at == conn)
		net->sweep_at = TAILQ_NEXT(conn, all);
	TAILQ_REMOVE(&net->all, conn, all);
	net->figures.connections--;
	trust(conn);
	address_limits_leave(net->addresses, &conn->key, net->now_us);
	if (conn->link != NULL) {
		net->loops[conn->loop].figures.connections--;
		io_link_close(conn->link);
	} else {
		stream_close(&conn->stream);
	}
	conn_drop_input(conn);
	conn_release_parser(conn);
	xfree(conn->proxied_address);
	xfree(conn);
}

void
conn_bury(struct conn *conn)
{
	conn_dequeue(conn);
	if (conn->link == NULL || conn->stopped)
		conn_free(conn);
	else
		part_from_client(conn, conn->reason);
}

void
conn_kill(struct conn *conn, const char *reason)
{
	struct net *net = conn->net;

	if (conn->state == CONN_DEAD)
		return;
	conn->state = CONN_DEAD;
	conn->reason = reason;
	if (conn->securing) {
		end_handshake(conn);
		net->figures.tls_failed++;
		log_refused(conn, "TLS handshake failed: ", reason);
	}
	/* It takes no message from now on, though its burial may wait for another turn. */
	if (conn->outbox != NULL)
		outbox_seal(conn->outbox);
	conn_queue(conn, NULL);
	conn_dequeue(conn);
	if (conn->link != NULL)
		io_link_stop(conn->link);
	else
		stream_stop(&conn->stream);
	conn_enqueue(conn, &net->closing);
}

void
conn_hold(struct conn *conn, enum net_verdict verdict)
{
	conn->held = true;
	conn->gives_up = verdict == NET_BLOCKED;
	if (!conn->gives_up || conn->end_is_watched)
		return;
	/* Where it can't be watched its end is seen when it is resumed. */
	conn->end_is_watched = end_watch_add(conn->net->ends, conn->fd, conn);
	conn->end_was_watched |= conn->end_is_watched;
}

/* Its client goes at once: what is given to those who wait is not given to one that has left. */
void
conn_peer_ended(void *arg)
{
	struct conn *conn = arg;

	net_wake(conn->net);
	conn->end_is_watched = false;
	if (conn->state != CONN_OPEN || !conn->held || !conn->gives_up)
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
	    (conn->link == NULL && !conn->discarded && !stream_has_unread(&conn->stream))) {
		conn_kill(conn, conn->eof ? "closed by peer" : end_reason(conn));
		return;
	}
	part_from_client(conn, end_reason(conn));
	conn->state = CONN_LINGERING;
	conn->stuck_us = conn->net->now_us;
	if (conn->link != NULL) {
		io_link_linger(conn->link, conn->discarded);
		return;
	}
	stream_shut(&conn->stream);
	conn_watch(conn, true);
}

void
conn_finish(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	if (conn->securing) {
		/* Nothing can be said to it. */
		conn_kill(conn, conn->eof ? "closed by peer" : "refused");
		return;
	}
	conn->state = CONN_FINISHING;
	conn->held = false;
	conn_dequeue(conn);
	conn_watch(conn, false);
	if (conn->state == CONN_FINISHING)
		conn_ready(conn);
}

void
conn_ready(struct conn *conn)
{
	if (conn->queue != NULL || conn->state >= CONN_LINGERING)
		return;
	if (!conn->subscriber)
		conn_queue(conn, &conn->net->answers);
	else if (conn->link != NULL)
		conn_queue(conn, &conn_loop(conn)->dirty);
	else
		conn_queue(conn, &conn->net->dirty);
	if (conn->queued_us == 0)
		conn->queued_us = conn->net->now_us;
}

void
conn_resume(struct conn *conn)
{
	if (!conn->held || conn->state != CONN_OPEN)
		return;
	conn->resumed = true;
	conn->gives_up = false;
	conn_enqueue(conn, &conn->net->ready);
}

void
conn_switch(struct conn *conn, unsigned service)
{
	assert(service < conn->net->service_count && conn->may_switch);
	conn->service = (uint8_t)service;
}

void
conn_set_unauthenticated(struct conn *conn, bool unauthenticated)
{
	conn->unauthenticated = unauthenticated;
	if (unauthenticated)
		doubt(conn);
	else if (conn->asked)
		trust(conn);
}

void
conn_set_owing(struct conn *conn, bool owing)
{
	conn->owing = owing;
	if (!owing && conn->state == CONN_FINISHING)
		conn_ready(conn); /* it ends with the next flush */
}

static void
tune_user_timeout(const struct conn *conn)
{
	unsigned ms = conn->subscriber ? conn->net->config->tcp_user_timeout_ms : 0;

	if (!conn->is_unix)
		(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void
conn_set_subscriber(struct conn *conn, bool subscriber)
{
	if (conn->subscriber == subscriber)
		return;
	conn->subscriber = subscriber;
	tune_user_timeout(conn);
}

/* What the protocol says to it, if anything and if it may be in the way of nothing else. */
static void
close_with_notice(struct conn *conn, enum protocol_notice why, const char *reason)
{
	struct slice notice = conn->net->protocols[conn->service]->notices[why];

	if (notice.len == 0 || conn->securing || conn->state != CONN_OPEN) {
		conn_kill(conn, reason);
		return;
	}
	outbox_push_reply(conn->outbox, notice);
	conn->reason = reason;
	conn_finish(conn);
}

void
conn_check_proof(struct conn *conn, uint64_t now_us)
{
	uint64_t limit_us = (uint64_t)conn->net->config->auth_timeout_s * 1000000;

	if (limit_us == 0 || conn->unproven_us == 0 || conn->held || conn->state != CONN_OPEN ||
	    now_us - conn->unproven_us < limit_us)
		return;
	conn->net->figures.closed_unproven++;
	if (conn->asked)
		close_with_notice(conn, PROTOCOL_LOGIN_TIMEOUT, "did not authenticate in time");
	else
		close_with_notice(conn, PROTOCOL_REQUEST_TIMEOUT, "sent no request in time");
}

void
conn_sweep(struct conn *conn, uint64_t now_us)
{
	const struct net_config *config = conn->net->config;
	uint64_t stall_us = (uint64_t)config->stall_timeout_s * 1000000;

	if (conn->state == CONN_DEAD)
		return;
	if (conn->state == CONN_LINGERING) {
		if (now_us - conn->stuck_us >= LINGER_US)
			conn_kill(conn, "finished");
		return;
	}
	if (conn->stuck_us > 0 && (conn->choked || conn->state == CONN_FINISHING) &&
	    now_us - conn->stuck_us >= stall_us) {
		conn->net->figures.closed_stalled++;
		conn_kill(conn, "does not read its replies");
		return;
	}
	conn_check_proof(conn, now_us);
	if (conn->state != CONN_DEAD && config->idle_timeout_s > 0 && !conn->subscriber &&
	    !conn->held && now_us - conn->active_us >= (uint64_t)config->idle_timeout_s * 1000000) {
		conn->net->figures.closed_idle++;
		close_with_notice(conn, PROTOCOL_IDLE_TIMEOUT, "idle");
	}
}

struct conn_figures
conn_figures(const struct conn *conn)
{
	return (struct conn_figures){
	    .input_bytes = conn_input_bytes(conn),
	    .input_room_bytes = conn_input_room_bytes(conn),
	    .read_bytes = conn->read_bytes,
	    .written_bytes = conn->written_bytes,
	    .readable = conn->link != NULL ? conn->requests == NULL : conn->stream.reading,
	    .writable = conn->waits_writable,
	    .fd = conn->fd,
	    .loop = conn->loop,
	};
}
