#include "config.h"

#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/clock.h"

/* Freeing a request of this size takes a millisecond or more. */
#define LARGE_BYTES ((size_t)4 << 20)

static const struct protocol *
parser_protocol(const struct conn *conn)
{
	return conn->net->protocols[conn->parser_service];
}

static void
take_parser(struct conn *conn)
{
	if (conn->here.parser != NULL)
		return;
	conn->parser_service = conn->service;
	conn->here.parser = parser_pool_take(&conn->net->parsers, conn->service);
}

void
conn_release_parser(struct conn *conn)
{
	if (conn->has_link)
		return;
	parser_pool_drop(&conn->net->parsers, conn->parser_service, conn->here.parser);
	conn->here.parser = NULL;
}

/* All requests of the parser are done: frees the memory of a large one now, not only when the next
 * request arrives. */
static void
settle_parser(struct conn *conn)
{
	if (conn->discards)
		conn_release_parser(conn);
	else if (!conn->has_link && conn->here.parser != NULL)
		conn->here.parser = parser_pool_settle(
		    &conn->net->parsers, conn->parser_service, conn->here.parser);
}

/* The request that was passed to the service and has to wait. */
static struct protocol_request
held_request(const struct conn *conn)
{
	const struct io_requests *requests;

	if (!conn->has_link)
		return parser_protocol(conn)->keep(conn->here.parser);
	requests = conn->there.requests;
	return (struct protocol_request){.args = requests->args,
	    .count = requests->argc[requests->next],
	    .ends_batch = requests->ends_batch && requests->next + 1 == requests->count};
}

/* Requests after which the clock is read, whatever the service does. */
#define REQUESTS_A_READING 16

/* Whether the time is up, after request number n of this call: most requests have read the clock
 * when they ended. */
static inline bool
is_late(unsigned n, uint64_t deadline_us)
{
	return (n % REQUESTS_A_READING == 0 ? clock_mono_us() : clock_recent_us()) >= deadline_us;
}

/* Passes a request to the service. Returns REQUEST_NEXT if the request has ended the connection. */
static inline enum request_verdict
hand_over(struct conn *conn, const struct protocol_request *request)
{
	enum request_verdict verdict;

	conn->partial_ms = 0;
	conn->may_switch = request->ends_batch;
	verdict = conn_service(conn)->request(conn->client, request->args, request->count);
	conn->may_switch = false;
	if (conn->extra != NULL)
		conn_has_requested(conn);
	return conn_is_open(conn) ? verdict : REQUEST_NEXT;
}

/* The request may have switched the connection to another service. */
static inline void
follow_service(struct conn *conn)
{
	if (conn->parser_service == conn->service)
		return;
	conn_release_parser(conn);
	take_parser(conn);
}

static void
request_done(struct conn *conn)
{
	if (conn->has_link) {
		struct io_requests *requests = conn->there.requests;

		requests->args += requests->argc[requests->next++];
	} else {
		follow_service(conn);
	}
}

static void
give_up_on_input(struct conn *conn, const char *error)
{
	conn_service(conn)->broken(conn->client, error);
	conn->discarded = true;
	conn_finish(conn);
}

/* True if too many bytes of replies are queued: then the connection's requests wait until its peer
 * has read them. The state must be CONN_READING. */
static bool
check_replies(struct conn *conn)
{
	size_t limit = conn->net->config->reply_pause_bytes;

	if (outbox_reply_bytes(conn->outbox) < limit)
		return false;
	conn_become(conn, CONN_PAUSED);
	return true;
}

/* Passes requests from the bytes at ptr to the service; returns the number of bytes that
 * are done. */
static size_t
process_chunk(struct conn *conn, const char *ptr, size_t len, uint64_t deadline_us)
{
	size_t at = 0, taken;
	struct protocol_request request;
	enum request_verdict verdict;
	unsigned count = 0;

	if (conn->discards)
		return len;
	(void)clock_mono_us(); /* for the first request: reading the socket took a while */
	take_parser(conn);
	while (at < len) {
		switch (parser_protocol(conn)->feed(conn->here.parser, ptr + at, len - at,
		    conn->unauthenticated, &taken, &request)) {
		case PROTOCOL_MORE:
			return len;
		case PROTOCOL_ERROR:
			give_up_on_input(conn, parser_protocol(conn)->error(conn->here.parser));
			return len;
		case PROTOCOL_REQUEST:
			at += taken;
			verdict = hand_over(conn, &request);
			if (verdict == REQUEST_NEXT) {
				follow_service(conn);
			} else {
				conn_hold(conn, verdict);
				(void)parser_protocol(conn)->keep(conn->here.parser);
			}
		}
		if (conn->discards)
			return len;
		if (conn->state != CONN_READING)
			return at;
		if (check_replies(conn) || is_late(++count, deadline_us))
			return at;
	}
	return at;
}

/* Passes requests that the link has read to the service. False if some are left. */
static bool
process_requests(struct conn *conn, uint64_t deadline_us)
{
	struct io_requests *requests = conn->there.requests;
	unsigned count = 0;

	while (requests->next < requests->count) {
		struct protocol_request request = held_request(conn);
		enum request_verdict verdict = hand_over(conn, &request);

		if (verdict != REQUEST_NEXT) {
			conn_hold(conn, verdict);
			return false;
		}
		request_done(conn);
		if (conn->state != CONN_READING || check_replies(conn) ||
		    is_late(++count, deadline_us))
			return false;
	}
	if (requests->error != NULL) {
		give_up_on_input(conn, requests->error);
		return false;
	}
	conn->there.requests = NULL;
	if (conn->discards)
		conn->there.held_bytes = conn->there.room_bytes = 0;
	io_link_resume(conn->there.link, requests, conn->service,
	    &(struct io_terms){
		.unauthenticated = conn->unauthenticated, .discards = conn->discards});
	return true;
}

/* Passes the waiting request to the service again, if it was resumed. */
static void
retry_held(struct conn *conn)
{
	struct protocol_request request;
	enum request_verdict verdict;

	if (conn->state != CONN_RESUMED)
		return;
	conn_become(conn, CONN_HELD);
	request = held_request(conn);
	verdict = hand_over(conn, &request);
	if (verdict != REQUEST_NEXT) {
		conn_hold(conn, verdict);
		return;
	}
	if (conn_is_open(conn))
		conn_become(conn, CONN_READING);
	request_done(conn);
	/* The sweep does not check a connection whose request is held, and the next requests may be
	 * held too. */
	conn_check_login(conn, conn->net->now_us);
	/* If each request of a pipeline is held first, this is the only place where the limit is
	 * checked. */
	if (conn->state == CONN_READING)
		(void)check_replies(conn);
}

/* Handles input that was read before. False if some is left. */
static bool
process_input(struct conn *conn, uint64_t deadline_us)
{
	struct slice input = unparsed_bytes(conn->here.unparsed);

	if (input.len == 0)
		return true;
	unparsed_consume(
	    &conn->here.unparsed, process_chunk(conn, input.ptr, input.len, deadline_us));
	return conn_is_open(conn) && conn->here.unparsed == NULL;
}

/* Handles the result of stream_read. True if bytes were read. */
static bool
check_read(struct conn *conn, ssize_t n)
{
	const struct tls_stream *tls = conn->here.stream.tls;
	int error = errno;

	if (conn->state == CONN_SECURING && tls->secured)
		conn_secured(conn, tls_user_of(tls->tls, tls->ssl), tls_stream_is_resumed(tls));
	if (n > 0) {
		conn->read_bytes += (size_t)n;
		conn->net->figures.read_bytes += (size_t)n;
		conn->active_us = conn->net->now_us;
		return true;
	}
	if (n == 0)
		conn->eof = true;
	else if (error == EPROTO && stream_reason(&conn->here.stream) != NULL)
		conn_refuse(conn, stream_reason(&conn->here.stream));
	else if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR)
		conn_kill(conn, error == ECONNRESET ? "reset by peer" : "read error");
	return false;
}

/* False if these first bytes belong to another protocol. */
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

/* Reads at most a share from the socket. False if the socket is empty. */
static bool
process_socket(struct conn *conn, uint64_t deadline_us)
{
	struct net *net = conn->net;
	size_t share = net->config->read_share_bytes;

	while (conn->state <= CONN_READING && share > 0) {
		size_t len = share < sizeof(net->scratch) ? share : sizeof(net->scratch), taken;
		ssize_t n = stream_read(&conn->here.stream, net->scratch, len);

		if (!check_read(conn, n) || !conn_is_open(conn))
			return false; /* identified() may have refused the user of its certificate
				       */
		if (conn->read_bytes == (size_t)n &&
		    !check_first_bytes(conn, net->scratch, (size_t)n))
			return false;
		taken = process_chunk(conn, net->scratch, (size_t)n, deadline_us);
		if (taken < (size_t)n) {
			unparsed_append(
			    &conn->here.unparsed, net->scratch + taken, (size_t)n - taken);
			return true;
		}
		if ((size_t)n < len)
			return false;
		share -= (size_t)n;
	}
	return true;
}

/* Discards input while the connection lingers. */
static void
process_lingering(struct conn *conn)
{
	ssize_t n = stream_read(&conn->here.stream, conn->net->scratch, sizeof(conn->net->scratch));

	if (!check_read(conn, n) && conn->eof)
		conn_kill(conn, "finished");
	if (conn->state == CONN_LINGERING)
		conn_watch(conn, true);
}

/* Retries the waiting request. False if nothing else of the connection is to be done in
 * this turn. */
static bool
process_held(struct conn *conn)
{
	retry_held(conn);
	if (conn_is_held(conn))
		return false;
	/* A large request took long, and freeing its memory does, too: that is done in the next
	 * turn, after other connections were served. */
	if (!conn_is_open(conn) || conn->has_link ||
	    parser_protocol(conn)->room_bytes(conn->here.parser) < LARGE_BYTES)
		return true;
	conn_work_add(conn, WORK_LATER);
	return false;
}

/* True if there may be more to do at once. */
static bool
process_requests_or_input(struct conn *conn, uint64_t deadline_us)
{
	if (!conn_is_open(conn) || conn->state == CONN_PAUSED)
		return true;
	if (conn->has_link)
		return conn->there.requests != NULL && !process_requests(conn, deadline_us);
	return !process_input(conn, deadline_us) ||
	       (!conn->eof && process_socket(conn, deadline_us));
}

/*
 * Handles a share of the connection's requests; the rest waits for the next turn. While a request
 * is held, or the peer does not read its replies, the socket is not read, so that the peer cannot
 * send more.
 */
void
conn_process(struct conn *conn)
{
	uint64_t deadline_us = clock_mono_us() + conn->net->share_us;
	bool more;

	conn_work_remove(conn);
	if (conn->state == CONN_LINGERING && !conn->has_link)
		process_lingering(conn);
	if (!conn_is_open(conn) || (conn_is_held(conn) && !process_held(conn)))
		return;
	if (conn->state == CONN_PAUSED &&
	    outbox_reply_bytes(conn->outbox) < conn->net->config->reply_pause_bytes / 2 + 1)
		conn_become(conn, CONN_READING);
	more = process_requests_or_input(conn, deadline_us);
	if (!conn_is_held(conn))
		settle_parser(conn);
	conn_time_request(conn);
	if (!conn_is_open(conn)) {
		conn_drop_input(conn);
		return;
	}
	conn_watch(conn, conn->state <= CONN_READING && !conn->eof);
	if (conn->state > CONN_READING)
		return;
	if (more)
		conn_work_add(conn, WORK_READY);
	else if (conn->eof)
		conn_finish(conn);
}

static void
drop_requests(struct conn *conn)
{
	struct io_requests *requests = conn->there.requests;

	if (requests != NULL && requests->next < requests->count)
		conn->discarded = true;
	io_requests_free(requests);
	conn->there.requests = NULL;
}

void
conn_drop_input(struct conn *conn)
{
	if (conn->has_link) {
		drop_requests(conn);
		return;
	}
	if (conn->here.unparsed != NULL)
		conn->discarded = true;
	unparsed_drop(&conn->here.unparsed);
}

static size_t
requests_bytes(const struct conn *conn)
{
	return conn->there.requests != NULL ? conn->there.requests->bytes : 0;
}

bool
conn_has_partial_request(const struct conn *conn)
{
	if (conn->state != CONN_READING || conn->discards)
		return false;
	if (conn->has_link)
		return conn->there.requests == NULL && conn->there.held_bytes > 0;
	return conn->here.unparsed == NULL && conn->here.parser != NULL &&
	       parser_protocol(conn)->held_bytes(conn->here.parser) > 0;
}

size_t
conn_input_bytes(const struct conn *conn)
{
	if (conn->has_link)
		return conn->there.held_bytes + requests_bytes(conn);
	return (conn->here.parser != NULL ? parser_protocol(conn)->held_bytes(conn->here.parser)
					  : 0) +
	       unparsed_bytes(conn->here.unparsed).len;
}

size_t
conn_input_room_bytes(const struct conn *conn)
{
	if (conn->has_link)
		return conn->there.room_bytes + requests_bytes(conn);
	return (conn->here.parser != NULL ? parser_protocol(conn)->room_bytes(conn->here.parser)
					  : 0) +
	       unparsed_room_bytes(conn->here.unparsed);
}

static struct conn *
conn_of(struct stream *s)
{
	return (struct conn *)(void *)((char *)s - offsetof(struct conn, here.stream));
}

/*
 * New and closing connections are served after established ones: thousands may be opened or closed
 * at once, and each costs as much as many requests. Meanwhile their sockets are not watched,
 * because reporting all of them in every turn would delay the others as well.
 */
static void
on_readable(struct stream *s, bool ending)
{
	struct conn *conn = conn_of(s);

	net_wake(conn->net);
	if (ending || conn->read_bytes == 0) {
		conn_work_add(conn, WORK_LATER);
		conn_watch(conn, false);
	} else {
		conn_work_add(conn, WORK_READY);
	}
}

static void
on_writable(struct stream *s)
{
	struct conn *conn = conn_of(s);

	net_wake(conn->net);
	conn_is_writable(conn);
}

const struct stream_handler conn_stream_handler = {
    .readable = on_readable, .writable = on_writable};

void
conn_was_read(struct conn *conn, const struct io_report *report)
{
	struct net *net = conn->net;
	bool is_new = conn->read_bytes == 0;

	conn->read_bytes += report->len;
	net->figures.read_bytes += report->len;
	conn_loop(conn)->figures.read_bytes += report->len;
	conn->active_us = net->now_us;
	conn->there.held_bytes = report->held_bytes;
	conn->there.room_bytes = report->room_bytes;
	if (report->requests == NULL) {
		conn_time_request(conn);
		return;
	}
	assert(conn->there.requests == NULL);
	conn->there.requests = report->requests;
	if (conn_is_open(conn))
		conn_work_add(conn, is_new ? WORK_LATER : WORK_READY);
	else
		conn_drop_input(conn);
}
