#include "config.h"

#include "net/conn.h"

/*
 * The queues that connections wait in, each connection in one for its work and in one for its
 * output at a time.
 */

static struct conns *
work_queue(const struct conn *conn)
{
	struct net *net = conn->net;

	switch ((enum conn_work)conn->work_queue) {
	case WORK_READY:
		return &net->ready;
	case WORK_LATER:
		return &net->later;
	case WORK_CLOSING:
		return &net->closing;
	case WORK_NONE:
		break;
	}
	return NULL;
}

void
conn_work_add(struct conn *conn, enum conn_work queue)
{
	if (conn->work_queue != WORK_NONE)
		return;
	conn->work_queue = (uint8_t)queue;
	TAILQ_INSERT_TAIL(work_queue(conn), conn, work);
}

void
conn_work_remove(struct conn *conn)
{
	if (conn->work_queue == WORK_NONE)
		return;
	TAILQ_REMOVE(work_queue(conn), conn, work);
	conn->work_queue = WORK_NONE;
}

/* The list of its flush_queue, which is not FLUSH_NONE. */
static struct conns *
flush_queue(const struct conn *conn)
{
	struct net *net = conn->net;

	switch ((enum conn_flush)conn->flush_queue) {
	case FLUSH_MESSAGES:
		return conn->has_link ? &net->loops[conn->loop].messages : &net->messages;
	case FLUSH_FIRST:
		return &net->first;
	case FLUSH_REPLIES_IN_FLIGHT:
		return &net->replies_in_flight;
	case FLUSH_MESSAGES_IN_FLIGHT:
		return &net->loops[conn->loop].in_flight;
	default:
		return &net->replies;
	}
}

void
conn_flush_move(struct conn *conn, enum conn_flush queue)
{
	if (conn->flush_queue != FLUSH_NONE) {
		TAILQ_REMOVE(flush_queue(conn), conn, flush);
		if (conn->flush_queue == FLUSH_MESSAGES_IN_FLIGHT)
			conn_loop(conn)->in_flight_count--;
	}
	conn->flush_queue = (uint8_t)queue;
	if (queue == FLUSH_NONE)
		return;
	TAILQ_INSERT_TAIL(flush_queue(conn), conn, flush);
	if (queue == FLUSH_MESSAGES_IN_FLIGHT)
		conn_loop(conn)->in_flight_count++;
}

/*
 * Thousands may subscribe at once, with messages of the history each: the established subscribers
 * do not wait for them.
 */
static enum conn_flush
queue_of_output(const struct conn *conn)
{
	if (!conn->subscriber)
		return FLUSH_REPLIES;
	return conn->written_bytes == 0 && !conn->has_link ? FLUSH_FIRST : FLUSH_MESSAGES;
}

void
conn_ready(struct conn *conn)
{
	if (conn->flush_queue != FLUSH_NONE || conn->state >= CONN_LINGERING)
		return;
	conn_flush_move(conn, queue_of_output(conn));
	if (conn->queued_us == 0)
		conn->queued_us = (uint32_t)conn->net->now_us | 1;
}
