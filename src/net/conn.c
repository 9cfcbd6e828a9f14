#include "config.h"

#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define LINGER_US 2000000

/* From here on it takes a millisecond or more to give memory back. */
#define LARGE_BYTES ((size_t)4 << 20)

static void on_readable(void *arg, bool ending);
static void on_writable(void *arg);

static const struct stream_handler stream_handler = {
    .readable = on_readable, .writable = on_writable};

static void
enqueue(struct conn *conn, struct conns *queue)
{
	if (conn->work_queue != NULL)
		return;
	conn->work_queue = queue;
	TAILQ_INSERT_TAIL(queue, conn, work);
}

static void
dequeue(struct conn *conn)
{
	if (conn->work_queue == NULL)
		return;
	TAILQ_REMOVE(conn->work_queue, conn, work);
	conn->work_queue = NULL;
}

static void
watch(struct conn *conn, bool on)
{
	if (!stream_watch(&conn->stream, on))
		conn_kill(conn, "cannot be watched");
}

void
conn_open(struct net *net, int fd, const struct net_peer *peer)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->net = net;
	conn->is_unix = peer->is_unix;
	conn->active_us = net->now_us;
	stream_open(&conn->stream, net->base, fd, &stream_handler, conn);
	conn->parser = resp_parser_new(&net->config->resp);
	TAILQ_INSERT_TAIL(&net->all, conn, all);
	net->figures.connections++;
	conn->client = net->handler.open(net->arg, conn, peer, &conn->outbox);
	if (conn->state == CONN_OPEN)
		watch(conn, true);
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
	buffer_release(&conn->input);
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
	conn->queue = NULL;
	dequeue(conn);
	enqueue(conn, &net->closing);
}

/* What was read, when no request of it is to be answered any more. */
static void
drop_input(struct conn *conn)
{
	if (conn->input_at < conn->input.len)
		conn->discarded = true;
	buffer_release(&conn->input);
	conn->input_at = 0;
}

/* Nothing is owed any more. */
static void
conn_end(struct conn *conn)
{
	drop_input(conn);
	if (conn->eof || !(conn->discarded || stream_has_unread(&conn->stream))) {
		conn_kill(conn, conn->eof ? "closed by peer" : "finished");
		return;
	}
	part_from_client(conn, "finished");
	conn->state = CONN_LINGERING;
	conn->stuck_us = conn->net->now_us;
	shutdown(conn->stream.fd, SHUT_WR);
	watch(conn, true);
}

void
conn_finish(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_FINISHING;
	conn->held = false;
	dequeue(conn);
	watch(conn, false);
	if (conn->state == CONN_FINISHING)
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
	enqueue(conn, &conn->net->ready);
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
				resp_parser_keep(conn->parser);
			}
		}
		if (conn->state != CONN_OPEN || conn->held)
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
	/* Where each request of a pipeline has to wait first, it is asked nowhere else. */
	if (conn->state == CONN_OPEN)
		(void)check_choked(conn);
}

/* Hands over what was read before. False if not all of it now. */
static bool
process_input(struct conn *conn, uint64_t deadline_us)
{
	struct buffer *input = &conn->input;
	size_t taken;

	if (input->len == 0)
		return true;
	taken = process_chunk(
	    conn, input->ptr + conn->input_at, input->len - conn->input_at, deadline_us);
	conn->input_at += taken;
	if (conn->state != CONN_OPEN || conn->input_at < input->len)
		return false;
	buffer_release(input);
	conn->input_at = 0;
	return true;
}

/* What stream_read gave: true if these are bytes, and the connection goes on. */
static bool
check_read(struct conn *conn, ssize_t n)
{
	if (n > 0) {
		conn->read_bytes += (size_t)n;
		conn->net->figures.read_bytes += (size_t)n;
		conn->active_us = conn->net->now_us;
		return true;
	}
	if (n == 0)
		conn->eof = true;
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		conn_kill(conn, errno == ECONNRESET ? "reset by peer" : "read error");
	return false;
}

/* Reads the socket, a share of it at most. False if it has been emptied. */
static bool
process_socket(struct conn *conn, uint64_t deadline_us)
{
	struct net *net = conn->net;
	size_t share = net->config->read_share_bytes;

	while (conn->state == CONN_OPEN && !conn->held && !conn->choked && share > 0) {
		size_t len = share < sizeof(net->scratch) ? share : sizeof(net->scratch), taken;
		ssize_t n = stream_read(&conn->stream, net->scratch, len);

		if (!check_read(conn, n))
			return false;
		taken = process_chunk(conn, net->scratch, (size_t)n, deadline_us);
		if (taken < (size_t)n) {
			buffer_append(&conn->input, net->scratch + taken, (size_t)n - taken);
			return true;
		}
		if ((size_t)n < len)
			return false;
		share -= (size_t)n;
	}
	return true;
}

/* What still comes while it lingers is thrown away. */
static void
process_lingering(struct conn *conn)
{
	ssize_t n = stream_read(&conn->stream, conn->net->scratch, sizeof(conn->net->scratch));

	if (!check_read(conn, n) && conn->eof)
		conn_kill(conn, "finished");
	if (conn->state == CONN_LINGERING)
		watch(conn, true);
}

/*
 * A share of the connection's requests. What is left waits for the next turn; while a request is
 * held or replies are not read, the socket is not read either, so that the peer feels it.
 */
void
conn_process(struct conn *conn)
{
	uint64_t deadline_us = clock_mono_us() + conn->net->share_us;
	bool more;

	dequeue(conn);
	if (conn->state == CONN_LINGERING)
		process_lingering(conn);
	if (conn->state != CONN_OPEN)
		return;
	if (conn->held) {
		retry_held(conn);
		if (conn->held)
			return;
		/* It took its time, and so does letting go of what it held: in the next turn, when
		 * others have been answered. */
		if (conn->state == CONN_OPEN &&
		    resp_parser_room_bytes(conn->parser) >= LARGE_BYTES) {
			enqueue(conn, &conn->net->later);
			return;
		}
	}
	if (conn->choked &&
	    outbox_reply_bytes(conn->outbox) < conn->net->config->reply_pause_bytes / 2 + 1)
		conn->choked = false;
	more = conn->state != CONN_OPEN || conn->choked || !process_input(conn, deadline_us) ||
	       (!conn->eof && process_socket(conn, deadline_us));
	/* A large request's memory must not stay until the next one comes. */
	if (!conn->held)
		resp_parser_reset(conn->parser);
	if (conn->state != CONN_OPEN) {
		drop_input(conn);
		return;
	}
	watch(conn, !conn->held && !conn->choked && !conn->eof);
	if (conn->state != CONN_OPEN || conn->held || conn->choked)
		return;
	if (more)
		enqueue(conn, &conn->net->ready);
	else if (conn->eof)
		conn_finish(conn);
}

/*
 * Newcomers and leavers wait for those who are there and ask for something: thousands of them may
 * come at once, and each costs as much as many requests. Being told of each again in every turn
 * would hold up the others as well.
 */
static void
on_readable(void *arg, bool ending)
{
	struct conn *conn = arg;
	struct net *net = conn->net;

	net_wake(net);
	if (ending || conn->read_bytes == 0) {
		enqueue(conn, &net->later);
		watch(conn, false);
	} else {
		enqueue(conn, &net->ready);
	}
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
			if (!stream_await_writable(&conn->stream)) {
				conn_kill(conn, "cannot be watched");
				return;
			}
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
	}
	if (conn->choked && conn->state == CONN_OPEN)
		enqueue(conn, &conn->net->ready);
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
	} else if (config->idle_timeout_s > 0 && !conn->subscriber && !conn->held &&
		   now_us - conn->active_us >= (uint64_t)config->idle_timeout_s * 1000000) {
		conn->net->figures.closed_idle++;
		conn_kill(conn, "idle");
	}
}

struct conn_figures
conn_figures(const struct conn *conn)
{
	return (struct conn_figures){
	    .input_bytes = resp_parser_held_bytes(conn->parser) + conn->input.len - conn->input_at,
	    .input_room_bytes = resp_parser_room_bytes(conn->parser),
	    .read_bytes = conn->read_bytes,
	    .written_bytes = conn->written_bytes,
	    .readable = conn->stream.reading,
	    .writable = conn->waits_writable,
	    .fd = conn->stream.fd,
	};
}
