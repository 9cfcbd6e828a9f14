#include "config.h"

#include "net/conn.h"

#include "base/alloc.h"
#include "net/listener.h"

/* Time limits: for the TLS handshake, for authentication, for reading replies, and for idle
 * connections. */

#define LINGER_US 2000000

/* The time limit of a handshake if others wait to begin theirs; an honest client needs less. */
#define SLOW_HANDSHAKE_US 1000000

static struct conn_extra *
extra_of(struct conn *conn)
{
	if (conn->extra == NULL) {
		conn->extra = xcalloc(1, sizeof(*conn->extra));
		conn->extra->conn = conn;
	}
	return conn->extra;
}

static void
release_extra(struct conn *conn)
{
	struct conn_extra *extra = conn->extra;

	if (extra == NULL || conn->state == CONN_SECURING || extra->unauthenticated_us != 0 ||
	    extra->proxied_address != NULL)
		return;
	xfree(extra);
	conn->extra = NULL;
}

bool
conn_is_unauthenticated(const struct conn *conn)
{
	return conn->extra != NULL && conn->extra->unauthenticated_us != 0;
}

/* Starts the time limit for its first request or its login. */
static void
count_unauthenticated(struct conn *conn)
{
	struct net *net = conn->net;

	if (conn_is_unauthenticated(conn))
		return;
	extra_of(conn)->unauthenticated_us = net->now_us > 0 ? net->now_us : 1;
	net->figures.unauthenticated++;
}

static void
count_authenticated(struct conn *conn)
{
	if (!conn_is_unauthenticated(conn))
		return;
	conn->extra->unauthenticated_us = 0;
	conn->net->figures.unauthenticated--;
	release_extra(conn);
}

void
conn_begin_limits(struct conn *conn, const struct net_peer *peer)
{
	struct net *net = conn->net;

	conn->active_us = net->now_us;
	count_unauthenticated(conn);
	conn->extra->opened_us = net->now_us;
	if (peer->is_proxied)
		conn->extra->proxied_address = xstrdup(peer->address);
	if (conn->state != CONN_SECURING)
		return;
	TAILQ_INSERT_TAIL(&net->handshaking, conn->extra, handshake);
	net->handshaking_count++;
}

void
conn_end_limits(struct conn *conn)
{
	count_authenticated(conn);
	if (conn->extra != NULL)
		xfree(conn->extra->proxied_address);
	xfree(conn->extra);
	conn->extra = NULL;
}

void
conn_has_requested(struct conn *conn)
{
	conn->asked = true;
	if (!conn->unauthenticated)
		count_authenticated(conn);
}

void
conn_set_unauthenticated(struct conn *conn, bool unauthenticated)
{
	conn->unauthenticated = unauthenticated; /* a link gets it by the next io_link_resume() */
	if (unauthenticated)
		count_unauthenticated(conn);
	else if (conn->asked)
		count_authenticated(conn);
}

void
conn_handshake_over(struct conn *conn)
{
	struct net *net = conn->net;

	TAILQ_REMOVE(&net->handshaking, conn->extra, handshake);
	net->handshaking_count--;
	net_accept_tls_resume(net);
}

void
conn_secured(struct conn *conn, char *user, bool is_resumed)
{
	struct net *net = conn->net;

	if (conn->state == CONN_SECURING) {
		conn_handshake_over(conn);
		conn_become(conn, CONN_READING);
		release_extra(conn);
		net->figures.tls_handshakes++;
		net->figures.tls_resumed += is_resumed;
		conn->active_us = net->now_us;
		if (user != NULL && conn->client != NULL && conn_service(conn)->identified != NULL)
			conn_service(conn)->identified(conn->client, user);
	}
	xfree(user);
}

void
conn_check_handshakes(struct net *net)
{
	const struct net_config *config = net->config;
	uint64_t limit_us = (uint64_t)config->tls_handshake_timeout_s * 1000000;
	struct conn_extra *oldest;

	net_accept_tls_resume(net); /* the limit may have been raised */
	while ((oldest = TAILQ_FIRST(&net->handshaking)) != NULL) {
		uint64_t age_us = net->now_us - oldest->opened_us;

		if (age_us >= limit_us)
			conn_kill(oldest->conn, "it took longer than tls-handshake-timeout");
		else if (net->handshakes_full && age_us >= SLOW_HANDSHAKE_US)
			conn_kill(
			    oldest->conn, "it was the oldest, and tls-max-handshakes is reached");
		else
			break;
	}
}

/* Closes the connection after the notice that its protocol has for this reason, if any. */
static void
close_with_notice(struct conn *conn, enum protocol_notice why, const char *reason)
{
	struct slice notice = conn->net->protocols[conn->service]->notices[why];

	/* A browser that connects in advance takes a notice for the answer to a later request. */
	if (why == PROTOCOL_REQUEST_TIMEOUT && conn->read_bytes == 0)
		notice.len = 0;
	if (notice.len == 0 || conn->state == CONN_SECURING || !conn_is_open(conn) ||
	    conn->discards) {
		conn_kill(conn, reason);
		return;
	}
	outbox_push_reply(conn->outbox, notice);
	conn->reason = reason;
	conn_finish(conn);
}

void
conn_check_login(struct conn *conn, uint64_t now_us)
{
	uint64_t limit_us = (uint64_t)conn->net->config->auth_timeout_s * 1000000;

	if (limit_us == 0 || !conn_is_unauthenticated(conn) || conn_is_held(conn) ||
	    !conn_is_open(conn) || now_us - conn->extra->unauthenticated_us < limit_us)
		return;
	conn->net->figures.closed_unauthenticated++;
	if (conn->asked)
		close_with_notice(conn, PROTOCOL_LOGIN_TIMEOUT, "did not authenticate in time");
	else
		close_with_notice(conn, PROTOCOL_REQUEST_TIMEOUT, "sent no request in time");
}

void
conn_time_request(struct conn *conn)
{
	if (!conn_has_partial_request(conn))
		conn->partial_ms = 0;
	else if (conn->partial_ms == 0)
		conn->partial_ms = conn_mark_ms(conn->net->now_us);
}

static void
check_request(struct conn *conn, uint64_t now_us)
{
	uint64_t limit_ms = (uint64_t)conn->net->config->times[conn->service].request_s * 1000;

	if (limit_ms == 0 || conn->partial_ms == 0 || !conn_is_open(conn) ||
	    conn_ms_since(conn->partial_ms, now_us) < limit_ms)
		return;
	conn->net->figures.closed_slow_requests++;
	close_with_notice(conn, PROTOCOL_REQUEST_TIMEOUT, "did not complete a request in time");
}

static void
check_idle(struct conn *conn, uint64_t now_us)
{
	uint64_t limit_us = (uint64_t)conn->net->config->times[conn->service].idle_s * 1000000;

	if (limit_us == 0 || !conn_is_open(conn) || conn->subscriber || conn->discards ||
	    conn_is_held(conn) || conn->expects_output || now_us - conn->active_us < limit_us)
		return;
	conn->net->figures.closed_idle++;
	close_with_notice(conn, PROTOCOL_IDLE_TIMEOUT, "idle");
}

/* True if it has waited for its peer for at least limit_us. */
static bool
is_stuck_for(const struct conn *conn, uint64_t now_us, uint64_t limit_us)
{
	return conn->stuck_ms != 0 && conn_ms_since(conn->stuck_ms, now_us) >= limit_us / 1000;
}

void
conn_sweep(struct conn *conn, uint64_t now_us)
{
	const struct net_config *config = conn->net->config;

	if (conn->state >= CONN_DEAD)
		return;
	if (conn->state == CONN_LINGERING) {
		if (is_stuck_for(conn, now_us, LINGER_US))
			conn_kill(conn, "finished");
		return;
	}
	if ((conn->state == CONN_PAUSED || conn->state == CONN_FINISHING) &&
	    is_stuck_for(conn, now_us, (uint64_t)config->stall_timeout_s * 1000000)) {
		conn->net->figures.closed_stalled++;
		conn_kill(conn, "does not read its replies");
		return;
	}
	conn_check_login(conn, now_us);
	check_request(conn, now_us);
	check_idle(conn, now_us);
}
