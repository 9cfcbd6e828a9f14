#include "config.h"

#include "net/conn.h"

#include <assert.h>
#include <errno.h>

void
conn_is_writable(struct conn *conn)
{
	if (conn->output != OUTPUT_FULL)
		return;
	conn->output = OUTPUT_FREE;
	conn_ready(conn);
}

/* The first bytes queued, NET_FLUSH_BYTES of them at most; returns the number of pieces. */
static size_t
peek(struct conn *conn, struct iovec *pieces, size_t *offered)
{
	size_t count = outbox_peek(conn->outbox, pieces, IO_PIECES_MAX);

	*offered = 0;
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].iov_len >= NET_FLUSH_BYTES - *offered) {
			pieces[i].iov_len = NET_FLUSH_BYTES - *offered;
			count = i + 1;
		}
		*offered += pieces[i].iov_len;
	}
	return count;
}

static void
kill_for_write(struct conn *conn, int error)
{
	conn_kill(conn, error == EPIPE || error == ECONNRESET ? "closed by peer" : "write error");
}

static void
count_written(struct conn *conn, size_t len)
{
	struct net *net = conn->net;

	if (len == 0)
		return;
	conn->active_us = net->now_us;
	conn->written_bytes += len;
	net->figures.written_bytes += len;
	conn->stuck_ms = 0;
}

/* The socket is full: from now on the peer causes the delay, not this loop. */
static void
await_writable(struct conn *conn)
{
	conn->output = OUTPUT_FULL;
	if (conn->stuck_ms == 0)
		conn->stuck_ms = conn_mark_ms(conn->net->now_us);
	conn->queued_us = 0;
}

/* Writes from the front of the outbox. False when the socket took less than was offered. */
static bool
write_some(struct conn *conn)
{
	struct iovec pieces[IO_PIECES_MAX];
	size_t offered, count = peek(conn, pieces, &offered);
	ssize_t sent;

	if (offered == 0)
		return !stream_is_full(&conn->here.stream);
	sent = stream_write(&conn->here.stream, pieces, count, conn->net->scratch);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			kill_for_write(conn, errno);
		return false;
	}
	outbox_consume(conn->outbox, (size_t)sent);
	count_written(conn, (size_t)sent);
	return (size_t)sent == offered && !stream_is_full(&conn->here.stream);
}

/* Writes as much as the socket takes and its share of the turn allows. False if the connection is
 * dead. */
static bool
write_here(struct conn *conn)
{
	size_t before = conn->written_bytes;

	conn->output = OUTPUT_FREE;
	while (!outbox_is_empty(conn->outbox) || stream_is_full(&conn->here.stream)) {
		if (!write_some(conn)) {
			if (conn->state >= CONN_DEAD)
				return false;
			await_writable(conn);
			if (!stream_await_writable(&conn->here.stream)) {
				conn_kill(conn, "cannot be watched");
				return false;
			}
			break;
		}
		/* The other connections also get their share of the turn. */
		if (conn->written_bytes - before >= NET_FLUSH_BYTES) {
			if (!outbox_is_empty(conn->outbox))
				conn_ready(conn);
			break;
		}
	}
	return true;
}

/* Orders the link to write. */
static void
write_there(struct conn *conn)
{
	struct iovec pieces[IO_PIECES_MAX];
	size_t offered, count;

	/* Bytes in flight do not count towards the outbox's limits, so nothing is given to the link
	 * while its socket is full. */
	if (outbox_is_empty(conn->outbox) || conn->output == OUTPUT_FULL)
		return;
	count = peek(conn, pieces, &offered);
	if (count == 0)
		return;
	outbox_begin_write(conn->outbox, pieces, count);
	io_link_write(conn->there.link, pieces, count);
	conn->output = OUTPUT_IN_FLIGHT;
	conn_flush_move(
	    conn, conn->subscriber ? FLUSH_MESSAGES_IN_FLIGHT : FLUSH_REPLIES_IN_FLIGHT);
}

/* Called after each write. */
static void
settle(struct conn *conn)
{
	if (outbox_is_empty(conn->outbox) && conn->output != OUTPUT_FULL) {
		conn->stuck_ms = 0;
		conn->queued_us = 0;
		outbox_flushed(conn->outbox);
		if (conn->state == CONN_FINISHING && !conn->expects_output)
			conn_end(conn);
	}
	if (conn->state == CONN_PAUSED)
		conn_work_add(conn, WORK_READY);
}

void
conn_flush(struct conn *conn)
{
	conn_flush_move(conn, FLUSH_NONE);
	/* Nothing may be queued behind the last reply: otherwise messages of a busy channel would
	 * keep the connection open forever. */
	if (conn->state == CONN_FINISHING && !conn->expects_output)
		outbox_seal(conn->outbox);
	if (conn->has_link)
		write_there(conn);
	else if (!write_here(conn))
		return;
	settle(conn);
}

void
conn_was_written(struct conn *conn, const struct io_report *report)
{
	size_t len = report->what == IO_WRITTEN ? report->len : 0;

	outbox_end_write(conn->outbox, len);
	conn->output = OUTPUT_FREE;
	if (conn->client == NULL)
		conn->outbox = NULL; /* it was kept only for this write */
	count_written(conn, len);
	conn_loop(conn)->figures.written_bytes += len;
	if (conn->state >= CONN_DEAD)
		return;
	assert(conn->flush_queue == FLUSH_REPLIES_IN_FLIGHT ||
	       conn->flush_queue == FLUSH_MESSAGES_IN_FLIGHT);
	conn_flush_move(conn, FLUSH_NONE);
	if (report->what == IO_FAILED) {
		kill_for_write(conn, report->error);
		return;
	}
	if (report->is_full)
		await_writable(conn);
	else if (!outbox_is_empty(conn->outbox) || conn->state == CONN_FINISHING)
		conn_ready(conn); /* clients end in the flush, which limits its time */
	if (conn->flush_queue == FLUSH_NONE)
		settle(conn);
}
