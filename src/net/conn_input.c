#include "config.h"

#include "net/conn.h"

#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/clock.h"

/* From here on it takes a millisecond or more to give memory back. */
#define LARGE_BYTES ((size_t)4 << 20)

static const struct protocol *
parser_protocol(const struct conn *conn)
{
	return conn->net->protocols[conn->parser_service];
}

static void
take_parser(struct conn *conn)
{
	if (conn->parser != NULL)
		return;
	conn->parser_service = conn->service;
	conn->parser = parser_pool_take(&conn->net->parsers, conn->service);
}

void
conn_release_parser(struct conn *conn)
{
	parser_pool_drop(&conn->net->parsers, conn->parser_service, conn->parser);
	conn->parser = NULL;
}

/* The requests that were handed over are done. A large one's memory must not stay until the next
 * one comes. */
static void
settle_parser(struct conn *conn)
{
	if (conn->parser != NULL)
		conn->parser =
		    parser_pool_settle(&conn->net->parsers, conn->parser_service, conn->parser);
}

/* The next request, which was handed over and has to wait. */
static struct protocol_request
held_request(const struct conn *conn)
{
	const struct io_requests *requests = conn->requests;

	if (conn->link == NULL)
		return parser_protocol(conn)->keep(conn->parser);
	return (struct protocol_request){.args = requests->args,
	    .count = requests->argc[requests->next],
	    .ends_batch = requests->ends_batch && requests->next + 1 == requests->count};
}

/* A request to the service. Other than NET_NEXT only where the connection goes on. */
static enum net_verdict
hand_over(struct conn *conn, const struct protocol_request *request)
{
	enum net_verdict verdict;

	conn->may_switch = request->ends_batch;
	verdict = conn_service(conn)->request(conn->client, request->args, request->count);
	conn->may_switch = false;
	if (conn->unproven_us != 0)
		conn_has_asked(conn);
	return conn->state == CONN_OPEN ? verdict : NET_NEXT;
}

static void
request_done(struct conn *conn)
{
	struct io_requests *requests = conn->requests;

	if (conn->link != NULL) {
		requests->args += requests->argc[requests->next++];
	} else if (conn->parser_service != conn->service) {
		conn_release_parser(conn);
		take_parser(conn);
	}
}

static void
give_up_on_input(struct conn *conn, const char *error)
{
	conn_service(conn)->broken(conn->client, error);
	conn->discarded = true;
	conn_finish(conn);
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
	size_t at = 0, taken;
	struct protocol_request request;
	enum net_verdict verdict;

	take_parser(conn);
	while (at < len) {
		switch (parser_protocol(conn)->feed(
		    conn->parser, ptr + at, len - at, conn->unauthenticated, &taken, &request)) {
		case PROTOCOL_MORE:
			return len;
		case PROTOCOL_ERROR:
			give_up_on_input(conn, parser_protocol(conn)->error(conn->parser));
			return len;
		case PROTOCOL_REQUEST:
			at += taken;
			verdict = hand_over(conn, &request);
			if (verdict == NET_NEXT) {
				request_done(conn);
			} else {
				conn_hold(conn, verdict);
				(void)parser_protocol(conn)->keep(conn->parser);
			}
		}
		if (conn->state != CONN_OPEN || conn->held)
			return at;
		if (check_choked(conn) || clock_mono_us() >= deadline_us)
			return at;
	}
	return at;
}

/* Hands over requests that the link has read. False if not all of them now. */
static bool
process_requests(struct conn *conn, uint64_t deadline_us)
{
	struct io_requests *requests = conn->requests;

	while (requests->next < requests->count) {
		struct protocol_request request = held_request(conn);
		enum net_verdict verdict = hand_over(conn, &request);

		if (verdict != NET_NEXT) {
			conn_hold(conn, verdict);
			return false;
		}
		request_done(conn);
		if (conn->state != CONN_OPEN || check_choked(conn) ||
		    clock_mono_us() >= deadline_us)
			return false;
	}
	if (requests->error != NULL) {
		give_up_on_input(conn, requests->error);
		return false;
	}
	conn->requests = NULL;
	io_link_resume(conn->link, requests, conn->service, conn->unauthenticated);
	return true;
}

/* The request that waited is tried again, if it was resumed. */
static void
retry_held(struct conn *conn)
{
	struct protocol_request request;
	enum net_verdict verdict;

	if (!conn->resumed)
		return;
	conn->resumed = false;
	request = held_request(conn);
	verdict = hand_over(conn, &request);
	if (verdict != NET_NEXT) {
		conn_hold(conn, verdict);
		return;
	}
	conn->held = false;
	request_done(conn);
	/* A connection whose request is held is spared by the sweep, and there may be more such
	 * requests behind this one. */
	conn_check_proof(conn, conn->net->now_us);
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
	int error = errno;

	if (conn->securing && conn->stream.tls->secured)
		conn_secured(conn, tls_user_of(conn->stream.tls->tls, conn->stream.tls->ssl),
		    tls_stream_is_resumed(conn->stream.tls));
	if (n > 0) {
		conn->read_bytes += (size_t)n;
		conn->net->figures.read_bytes += (size_t)n;
		conn->active_us = conn->net->now_us;
		return true;
	}
	if (n == 0)
		conn->eof = true;
	else if (error == EPROTO && stream_reason(&conn->stream) != NULL)
		conn_refuse(conn, stream_reason(&conn->stream));
	else if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR)
		conn_kill(conn, error == ECONNRESET ? "reset by peer" : "read error");
	return false;
}

/* False if these first bytes are of another protocol. */
static bool
check_first_bytes(struct conn *conn, const char *ptr, size_t len)
{
	const struct protocol *protocol = conn->net->protocols[conn->service];
	const char *fault = protocol->foreign != NULL ? protocol->foreign(ptr, len) : NULL;

	if (fault == NULL)
		return true;
	conn_refuse(conn, fault);
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

		if (!check_read(conn, n) || conn->state != CONN_OPEN)
			return false; /* its user may not be wanted */
		if (conn->read_bytes == (size_t)n &&
		    !check_first_bytes(conn, net->scratch, (size_t)n))
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
		conn_watch(conn, true);
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

	conn_dequeue(conn);
	if (conn->state == CONN_LINGERING && conn->link == NULL)
		process_lingering(conn);
	if (conn->state != CONN_OPEN)
		return;
	if (conn->held) {
		retry_held(conn);
		if (conn->held)
			return;
		/* It took its time, and so does letting go of what it held: in the next turn, when
		 * others have been answered. */
		if (conn->state == CONN_OPEN && conn->link == NULL &&
		    parser_protocol(conn)->room_bytes(conn->parser) >= LARGE_BYTES) {
			conn_enqueue(conn, &conn->net->later);
			return;
		}
	}
	if (conn->choked &&
	    outbox_reply_bytes(conn->outbox) < conn->net->config->reply_pause_bytes / 2 + 1)
		conn->choked = false;
	if (conn->state != CONN_OPEN || conn->choked)
		more = true;
	else if (conn->link != NULL)
		more = conn->requests != NULL && !process_requests(conn, deadline_us);
	else
		more = !process_input(conn, deadline_us) ||
		       (!conn->eof && process_socket(conn, deadline_us));
	if (!conn->held)
		settle_parser(conn);
	if (conn->state != CONN_OPEN) {
		conn_drop_input(conn);
		return;
	}
	conn_watch(conn, !conn->held && !conn->choked && !conn->eof);
	if (conn->state != CONN_OPEN || conn->held || conn->choked)
		return;
	if (more)
		conn_enqueue(conn, &conn->net->ready);
	else if (conn->eof)
		conn_finish(conn);
}

void
conn_drop_input(struct conn *conn)
{
	if (conn->input_at < conn->input.len)
		conn->discarded = true;
	buffer_release(&conn->input);
	conn->input_at = 0;
	if (conn->requests != NULL && conn->requests->next < conn->requests->count)
		conn->discarded = true;
	io_requests_free(conn->requests);
	conn->requests = NULL;
}

size_t
conn_input_bytes(const struct conn *conn)
{
	if (conn->link != NULL)
		return conn->held_bytes + (conn->requests != NULL ? conn->requests->bytes : 0);
	return (conn->parser != NULL ? parser_protocol(conn)->held_bytes(conn->parser) : 0) +
	       conn->input.len - conn->input_at;
}

size_t
conn_input_room_bytes(const struct conn *conn)
{
	if (conn->link != NULL)
		return conn->room_bytes + (conn->requests != NULL ? conn->requests->bytes : 0);
	return (conn->parser != NULL ? parser_protocol(conn)->room_bytes(conn->parser) : 0) +
	       conn->input.cap;
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
		conn_enqueue(conn, &net->later);
		conn_watch(conn, false);
	} else {
		conn_enqueue(conn, &net->ready);
	}
}

static void
on_writable(void *arg)
{
	struct conn *conn = arg;

	net_wake(conn->net);
	conn_is_writable(conn);
}

const struct stream_handler conn_stream_handler = {
    .readable = on_readable, .writable = on_writable};

void
conn_was_read(struct conn *conn, const struct io_report *report)
{
	struct net *net = conn->net;
	bool is_newcomer = conn->read_bytes == 0;

	conn->read_bytes += report->len;
	net->figures.read_bytes += report->len;
	conn_loop(conn)->figures.read_bytes += report->len;
	conn->active_us = net->now_us;
	conn->held_bytes = report->held_bytes;
	conn->room_bytes = report->room_bytes;
	if (report->requests == NULL)
		return;
	assert(conn->requests == NULL);
	conn->requests = report->requests;
	if (conn->state == CONN_OPEN)
		conn_enqueue(conn, is_newcomer ? &net->later : &net->ready);
	else
		conn_drop_input(conn);
}
