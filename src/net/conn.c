#include "config.h"

#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define LINGER_US 2000000

static void on_readable(void *arg);
static void on_writable(void *arg);
static void on_ended(void *arg, const char *error);

static const struct stream_handler stream_handler = {
    .readable = on_readable, .writable = on_writable, .ended = on_ended};

static void
enqueue_ready(struct conn *conn)
{
	if (conn->in_ready || conn->state == CONN_DEAD)
		return;
	conn->in_ready = true;
	TAILQ_INSERT_TAIL(&conn->net->ready, conn, ready);
}

void
conn_open(struct net *net, int fd, const struct net_peer *peer)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->net = net;
	conn->is_unix = peer->is_unix;
	conn->active_us = net->now_us;
	if (!stream_open(&conn->stream, net->base, fd, &stream_handler, conn)) {
		log_error("no bufferevent for a new connection: %s", strerror(errno));
		xfree(conn);
		return;
	}
	conn->parser = resp_parser_new(&net->config->resp);
	TAILQ_INSERT_TAIL(&net->all, conn, all);
	net->figures.connections++;
	conn->client = net->handler.open(net->arg, conn, peer, &conn->outbox);
	if (conn->state == CONN_OPEN)
		stream_read(&conn->stream, true);
}

/* The client is gone before the peer can see its connection end. */
static void
part_from_client(struct conn *conn, const char *reason)
{
	if (conn->client == NULL)
		return;
	conn->net->handler.closed(conn->client, reason);
	conn->client = NULL;
	conn->outbox = NULL;
}

void
conn_free(struct conn *conn)
{
	struct net *net = conn->net;

	part_from_client(conn, conn->reason);
	if (net->sweep_at == conn)
		net->sweep_at = TAILQ_NEXT(conn, all);
	TAILQ_REMOVE(&net->all, conn, all);
	net->figures.connections--;
	stream_close(&conn->stream);
	resp_parser_free(conn->parser);
	xfree(conn);
}

void
conn_kill(struct conn *conn, const char *reason)
{
	struct net *net = conn->net;

	if (conn->state == CONN_DEAD)
		return;
	conn->state = CONN_DEAD;
	conn->reason = reason;
	/* It takes no message from now on, though its burial may wait for another turn. */
	if (conn->outbox != NULL)
		outbox_seal(conn->outbox);
	stream_stop(&conn->stream);
	if (conn->queue != NULL)
		TAILQ_REMOVE(conn->queue, conn, flush);
	if (conn->in_ready)
		TAILQ_REMOVE(&net->ready, conn, ready);
	TAILQ_INSERT_TAIL(&net->closing, conn, ready);
}

/* Nothing is owed any more. */
static void
conn_end(struct conn *conn)
{
	struct evbuffer *input;

	if (conn->eof || !(conn->discarded || stream_has_unread(&conn->stream))) {
		conn_kill(conn, conn->eof ? "closed by peer" : "finished");
		return;
	}
	part_from_client(conn, "finished");
	conn->state = CONN_LINGERING;
	conn->stuck_us = conn->net->now_us;
	input = stream_input(&conn->stream);
	if (input != NULL)
		evbuffer_drain(input, evbuffer_get_length(input));
	shutdown(conn->stream.fd, SHUT_WR);
	stream_read(&conn->stream, true);
}

void
conn_finish(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_FINISHING;
	conn->held = false;
	stream_read(&conn->stream, false);
	conn_ready(conn);
}

void
conn_ready(struct conn *conn)
{
	if (conn->queue != NULL || conn->state >= CONN_LINGERING)
		return;
	conn->queue = conn->subscriber ? &conn->net->dirty : &conn->net->answers;
	TAILQ_INSERT_TAIL(conn->queue, conn, flush);
	if (conn->queued_us == 0)
		conn->queued_us = conn->net->now_us;
}

void
conn_resume(struct conn *conn)
{
	if (!conn->held || conn->state != CONN_OPEN)
		return;
	conn->resumed = true;
	enqueue_ready(conn);
}

void
conn_set_unauthenticated(struct conn *conn, bool unauthenticated)
{
	resp_parser_set_unauthenticated(conn->parser, unauthenticated);
}

static void
tune_user_timeout(const struct conn *conn)
{
	unsigned ms = conn->subscriber ? conn->net->config->tcp_user_timeout_ms : 0;

	if (!conn->is_unix)
		(void)setsockopt(conn->stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void
conn_set_subscriber(struct conn *conn, bool subscriber)
{
	if (conn->subscriber == subscriber)
		return;
	conn->subscriber = subscriber;
	conn->rests_soon = subscriber;
	tune_user_timeout(conn);
}

/* Too much is owed in replies: its requests wait until it reads them. */
static bool
check_choked(struct conn *conn)
{
	size_t limit = conn->net->config->reply_pause_bytes;

	if (outbox_reply_bytes(conn->outbox) < limit)
		return false;
	conn->choked = true;
	return true;
}

/* Hands over requests from the bytes at ptr; how many of them are done with. */
static size_t
process_chunk(struct conn *conn, const char *ptr, size_t len, uint64_t deadline_us)
{
	struct net *net = conn->net;
	size_t at = 0, taken, count;
	const struct slice *args;

	while (at < len) {
		size_t start = at;

		switch (resp_parser_feed(conn->parser, ptr + at, len - at, &taken)) {
		case RESP_MORE:
			return len;
		case RESP_ERROR:
			net->handler.broken(conn->client, resp_parser_error(conn->parser));
			conn->discarded = true;
			conn_finish(conn);
			return len;
		case RESP_REQUEST:
			at += taken;
			args = resp_parser_args(conn->parser, &count);
			if (net->handler.request(conn->client, args, count) == NET_LATER &&
			    conn->state == CONN_OPEN) {
				conn->held = true;
				conn->held_len = at - start;
				return start;
			}
		}
		if (conn->state != CONN_OPEN)
			return at;
		if (check_choked(conn) || clock_mono_us() >= deadline_us)
			return at;
	}
	return at;
}

/* The request that waited is tried again, if it was resumed. */
static void
retry_held(struct conn *conn)
{
	const struct slice *args;
	size_t count;

	if (!conn->resumed)
		return;
	conn->resumed = false;
	args = resp_parser_args(conn->parser, &count);
	if (conn->net->handler.request(conn->client, args, count) == NET_LATER &&
	    conn->state == CONN_OPEN)
		return;
	conn->held = false;
	evbuffer_drain(stream_input(&conn->stream), conn->held_len);
	/* Where each request of a pipeline has to wait first, it is asked nowhere else. */
	if (conn->state == CONN_OPEN)
		(void)check_choked(conn);
}

/*
 * A share of the connection's requests. What is left waits in the input buffer for the next turn,
 * and the socket is not read meanwhile, so that the peer feels it.
 */
void
conn_process(struct conn *conn)
{
	struct evbuffer *input;
	size_t share = conn->net->config->read_share_bytes, done = 0;
	uint64_t deadline_us = clock_mono_us() + conn->net->share_us;
	struct evbuffer_iovec piece;

	if (conn->state != CONN_OPEN)
		return;
	if (conn->held)
		retry_held(conn);
	if (conn->held)
		return;
	input = stream_input(&conn->stream);
	if (input == NULL)
		return;
	if (conn->choked &&
	    outbox_reply_bytes(conn->outbox) < conn->net->config->reply_pause_bytes / 2 + 1)
		conn->choked = false;
	while (conn->state == CONN_OPEN && done < share && !conn->choked &&
	       evbuffer_peek(input, -1, NULL, &piece, 1) > 0 && piece.iov_len > 0) {
		size_t taken = process_chunk(conn, piece.iov_base, piece.iov_len, deadline_us);

		evbuffer_drain(input, taken);
		done += taken;
		if (taken < piece.iov_len)
			break;
	}
	/* A large request's memory must not stay until the next one comes. */
	if (!conn->held)
		resp_parser_reset(conn->parser);
	if (conn->state == CONN_DEAD)
		return;
	if (conn->state != CONN_OPEN) {
		if (evbuffer_get_length(input) > 0)
			conn->discarded = true;
		return;
	}
	if (conn->held || conn->choked) {
		stream_read(&conn->stream, false);
	} else if (evbuffer_get_length(input) > 0) {
		stream_read(&conn->stream, false);
		enqueue_ready(conn);
	} else if (conn->eof) {
		conn_finish(conn);
	} else {
		stream_read(&conn->stream, true);
	}
}

static void
on_readable(void *arg)
{
	struct conn *conn = arg;
	struct net *net = conn->net;
	struct evbuffer *input = stream_input(&conn->stream);
	size_t len = evbuffer_get_length(input);

	net_wake(net);
	if (conn->state == CONN_LINGERING)
		evbuffer_drain(input, len);
	if (conn->state != CONN_OPEN)
		return;
	conn->read_bytes += len;
	net->figures.read_bytes += len;
	conn->active_us = net->now_us;
	conn_process(conn);
	if (net_turn_is_long(net))
		event_base_loopbreak(net->base);
}

static void
on_writable(void *arg)
{
	struct conn *conn = arg;

	net_wake(conn->net);
	if (!conn->waits_writable)
		return;
	conn->waits_writable = false;
	conn_ready(conn);
}

static void
on_ended(void *arg, const char *error)
{
	struct conn *conn = arg;

	net_wake(conn->net);
	if (error != NULL) {
		conn_kill(conn, error);
	} else {
		conn->eof = true;
		if (conn->state == CONN_LINGERING)
			conn_kill(conn, "finished");
		else
			conn_process(conn);
	}
	if (net_turn_is_long(conn->net))
		event_base_loopbreak(conn->net->base);
}

/* Many small pieces cost more as an iovec than copied together. How many pieces there are then. */
static size_t
gather(struct net *net, struct iovec *pieces, size_t count, size_t len)
{
	size_t gathered = 0;

	if (count < 2 || len / count >= 2048 || len > sizeof(net->scratch))
		return count;
	for (size_t i = 0; i < count; i++) {
		memcpy(net->scratch + gathered, pieces[i].iov_base, pieces[i].iov_len);
		gathered += pieces[i].iov_len;
	}
	pieces[0] = (struct iovec){net->scratch, gathered};
	return 1;
}

/* Writes from the front of the outbox. False when the socket took less than was offered. */
static bool
write_some(struct conn *conn)
{
	struct net *net = conn->net;
	struct iovec pieces[64];
	size_t count, offered = 0;
	ssize_t sent;

	count = outbox_peek(conn->outbox, pieces, 64);
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].iov_len >= NET_FLUSH_BYTES - offered) {
			pieces[i].iov_len = NET_FLUSH_BYTES - offered;
			count = i + 1;
		}
		offered += pieces[i].iov_len;
	}
	if (offered == 0)
		return true;
	count = gather(net, pieces, count, offered);
	sent = stream_write(&conn->stream, pieces, count);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			conn_kill(conn, errno == EPIPE || errno == ECONNRESET ? "closed by peer"
									      : "write error");
		return false;
	}
	outbox_consume(conn->outbox, (size_t)sent);
	conn->active_us = net->now_us;
	conn->written_bytes += (size_t)sent;
	net->figures.written_bytes += (size_t)sent;
	conn->stuck_us = 0;
	return (size_t)sent == offered;
}

static void
rest(struct conn *conn)
{
	conn->rests_soon = false;
	if (conn->state == CONN_OPEN && !conn->in_ready && !conn->waits_writable)
		stream_rest(&conn->stream);
}

void
conn_flush(struct conn *conn)
{
	size_t before = conn->written_bytes;

	TAILQ_REMOVE(conn->queue, conn, flush);
	conn->queue = NULL;
	/* From here on nothing comes behind the last reply; a busy channel would never let it end.
	 */
	if (conn->state == CONN_FINISHING)
		outbox_seal(conn->outbox);
	while (!outbox_is_empty(conn->outbox)) {
		if (!write_some(conn)) {
			if (conn->state == CONN_DEAD)
				return;
			conn->waits_writable = true;
			if (conn->stuck_us == 0)
				conn->stuck_us = conn->net->now_us;
			conn->queued_us = 0; /* it is the peer that is late */
			stream_await_writable(&conn->stream);
			break;
		}
		/* Others wait for their share of the turn. */
		if (conn->written_bytes - before >= NET_FLUSH_BYTES) {
			if (!outbox_is_empty(conn->outbox))
				conn_ready(conn);
			break;
		}
	}
	if (outbox_is_empty(conn->outbox)) {
		conn->stuck_us = 0;
		conn->queued_us = 0;
		outbox_flushed(conn->outbox);
		if (conn->state == CONN_FINISHING)
			conn_end(conn);
		/* Most subscribers say nothing after they subscribed. Resting at once, not when the
		 * sweep comes round, lets the next connection have the memory. */
		else if (conn->rests_soon)
			rest(conn);
	}
	if (conn->choked && conn->state == CONN_OPEN)
		enqueue_ready(conn);
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
	if (conn->read_bytes == conn->swept_bytes)
		rest(conn); /* quiet since the last look */
	conn->swept_bytes = conn->read_bytes;
	if (conn->stuck_us > 0 && (conn->choked || conn->state == CONN_FINISHING) &&
	    now_us - conn->stuck_us >= stall_us) {
		conn->net->figures.closed_stalled++;
		conn_kill(conn, "does not read its replies");
	} else if (config->idle_timeout_s > 0 && !conn->subscriber && !conn->held &&
		   now_us - conn->active_us >= (uint64_t)config->idle_timeout_s * 1000000) {
		conn->net->figures.closed_idle++;
		conn_kill(conn, "idle");
	}
}

struct conn_figures
conn_figures(const struct conn *conn)
{
	struct conn_figures figures = {
	    .input_bytes = resp_parser_held_bytes(conn->parser),
	    .input_room_bytes = resp_parser_room_bytes(conn->parser),
	    .read_bytes = conn->read_bytes,
	    .written_bytes = conn->written_bytes,
	    .readable = conn->stream.reading,
	    .writable = conn->waits_writable,
	    .fd = conn->stream.fd,
	};

	if (conn->state != CONN_DEAD)
		figures.input_bytes += stream_input_len(&conn->stream);
	return figures;
}
