#include "config.h"

#include "net/outgoing.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/random.h"
#include "net/conn.h"
#include "net/lookup.h"

#define WHY_BYTES 256

struct outgoing {
	struct net *net;
	const struct outgoing_handler *handler;
	void *arg;
	struct outgoing_tls *tls; /* NULL: plain */
	struct event *timer;      /* the time limit of the attempt, or the next attempt */
	struct random random;
	struct lookup *lookup;   /* OUTGOING_RESOLVING */
	struct addrinfo *list;   /* OUTGOING_CONNECTING */
	struct addrinfo *next;   /* OUTGOING_CONNECTING: the next address to try */
	struct event *connected; /* OUTGOING_CONNECTING */
	struct stream stream;    /* OUTGOING_SECURING, OUTGOING_OPEN */
	struct buffer out;       /* OUTGOING_OPEN: from out_at on not written to the socket yet */
	size_t out_at;
	uint64_t opened_us;
	uint32_t connect_timeout_ms;
	unsigned attempt;
	uint64_t lost_us; /* since then there was no connection for long */
	int port;
	int fd; /* OUTGOING_CONNECTING; -1: none */
	enum outgoing_state state;
	unsigned in_handler; /* calls of the handler that have not returned */
	char host[];
};

static void
set_timer(struct outgoing *o, uint64_t delay_us)
{
	struct timeval delay = {(time_t)(delay_us / 1000000), (suseconds_t)(delay_us % 1000000)};

	evtimer_add(o->timer, &delay);
}

/* Frees everything that belongs to its state. */
static void
leave_state(struct outgoing *o)
{
	lookup_cancel(o->lookup);
	o->lookup = NULL;
	if (o->list != NULL)
		freeaddrinfo(o->list);
	o->list = o->next = NULL;
	if (o->connected != NULL)
		event_free(o->connected);
	o->connected = NULL;
	if (o->fd != -1)
		close(o->fd);
	o->fd = -1;
	if (o->state == OUTGOING_SECURING || o->state == OUTGOING_OPEN)
		stream_close(&o->stream);
	buffer_release(&o->out);
	o->out_at = 0;
	evtimer_del(o->timer);
}

static void
lose(struct outgoing *o, const char *why)
{
	uint64_t now_us = clock_mono_us(), retry_us;

	if (o->state == OUTGOING_OPEN && now_us - o->opened_us >= BACKOFF_CAP_US) {
		o->attempt = 0;
		o->lost_us = now_us;
	}
	leave_state(o);
	o->state = OUTGOING_WAITING;
	retry_us = backoff_hurried_us(o->attempt++, now_us - o->lost_us, random_next(&o->random));
	set_timer(o, retry_us);
	o->in_handler++;
	o->handler->lost(o->arg, why, retry_us);
	o->in_handler--;
}

static void
lose_for(struct outgoing *o, const char *what, const char *reason)
{
	char why[WHY_BYTES];

	snprintf(why, sizeof(why), "%s %s:%d: %s", what, o->host, o->port, reason);
	lose(o, why);
}

static void
become_open(struct outgoing *o)
{
	o->state = OUTGOING_OPEN;
	o->opened_us = clock_mono_us();
	evtimer_del(o->timer);
	o->in_handler++;
	o->handler->opened(o->arg);
	o->in_handler--;
}

/* Handles a result of stream_read other than bytes. */
static void
check_read(struct outgoing *o, ssize_t n, int error)
{
	const char *what = o->state == OUTGOING_OPEN ? "connection to" : "TLS handshake with";
	const char *reason = stream_reason(&o->stream);

	if (n == 0)
		lose_for(o, what, "closed by the server");
	else if (error == EPROTO && reason != NULL)
		lose_for(o, what, reason);
	else if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR)
		lose_for(o, what, strerror(error));
}

static void
on_readable(struct stream *s, bool ending)
{
	struct outgoing *o =
	    (struct outgoing *)(void *)((char *)s - offsetof(struct outgoing, stream));
	ssize_t n;
	int error;

	(void)ending;
	net_wake(o->net);
	n = stream_read(s, o->net->scratch, sizeof(o->net->scratch));
	error = errno;
	if (o->state == OUTGOING_SECURING && s->tls->secured)
		become_open(o);
	if (o->state != OUTGOING_OPEN && n > 0)
		return; /* dropped by its handler */
	if (n <= 0) {
		if (o->state != OUTGOING_WAITING)
			check_read(o, n, error);
		return;
	}
	o->in_handler++;
	o->handler->received(o->arg, (struct slice){o->net->scratch, (size_t)n});
	o->in_handler--;
}

/* Writes as much of the queue as the socket takes. False if the connection is lost. */
static bool
flush(struct outgoing *o)
{
	while (o->out_at < o->out.len || stream_is_full(&o->stream)) {
		struct iovec piece = {o->out.ptr + o->out_at, o->out.len - o->out_at};
		ssize_t n =
		    piece.iov_len > 0 ? stream_write(&o->stream, &piece, 1, o->net->scratch) : 0;

		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			lose_for(o, "connection to", strerror(errno));
			return false;
		}
		if (n > 0)
			o->out_at += (size_t)n;
		if (n > 0 && !stream_is_full(&o->stream))
			continue;
		if (stream_await_writable(&o->stream))
			return true;
		lose_for(o, "connection to", "cannot be watched");
		return false;
	}
	buffer_release(&o->out);
	o->out_at = 0;
	return true;
}

static void
on_writable(struct stream *s)
{
	struct outgoing *o =
	    (struct outgoing *)(void *)((char *)s - offsetof(struct outgoing, stream));

	net_wake(o->net);
	if (o->state != OUTGOING_OPEN || !flush(o) || o->out.len > 0)
		return;
	o->in_handler++;
	o->handler->drained(o->arg);
	o->in_handler--;
}

static const struct stream_handler stream_handler = {
    .readable = on_readable, .writable = on_writable};

/* The socket is connected. */
static void
begin_stream(struct outgoing *o)
{
	struct tls_stream *tls = NULL;
	int on = 1, fd = o->fd;

	if (o->tls != NULL) {
		tls = tls_stream_new_client(outgoing_tls_start(o->tls), fd);
		if (tls == NULL) {
			lose_for(o, "TLS handshake with", strerror(ENOMEM));
			return;
		}
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	o->fd = -1;
	event_free(o->connected);
	o->connected = NULL;
	freeaddrinfo(o->list);
	o->list = o->next = NULL;
	stream_open(&o->stream, o->net->base, fd, tls, &stream_handler);
	o->state = OUTGOING_SECURING;
	if (!stream_watch(&o->stream, true))
		lose_for(o, "connection to", "cannot be watched");
	else if (tls != NULL)
		on_readable(&o->stream, false); /* sends the client hello */
	else
		become_open(o);
}

static void try_next(struct outgoing *o, int error);

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct outgoing *o = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	net_wake(o->net);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0)
		begin_stream(o);
	else
		try_next(o, error);
}

/* Begins to connect to this address. False with errno. */
static bool
try_address(struct outgoing *o, const struct addrinfo *address)
{
	o->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (o->fd == -1)
		return false;
	if (connect(o->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)
		return false;
	o->connected = event_new(o->net->base, o->fd, EV_WRITE, on_connected, o);
	if (o->connected != NULL && event_add(o->connected, NULL) == 0)
		return true;
	errno = ENOMEM;
	return false;
}

/* Tries the next address. error: the errno of the address before. */
static void
try_next(struct outgoing *o, int error)
{
	o->state = OUTGOING_CONNECTING;
	for (;;) {
		struct addrinfo *address = o->next;

		if (o->connected != NULL)
			event_free(o->connected);
		o->connected = NULL;
		if (o->fd != -1)
			close(o->fd);
		o->fd = -1;
		if (address == NULL) {
			lose_for(o, "connect to", strerror(error));
			return;
		}
		o->next = address->ai_next;
		if (try_address(o, address))
			return;
		error = errno;
	}
}

static void
on_resolved(void *arg, struct addrinfo *list, const char *error)
{
	struct outgoing *o = arg;

	net_wake(o->net);
	o->lookup = NULL;
	if (list == NULL) {
		lose_for(o, "look up", error);
		return;
	}
	o->list = o->next = list;
	try_next(o, 0);
}

static void
attempt(struct outgoing *o)
{
	o->state = OUTGOING_RESOLVING;
	set_timer(o, (uint64_t)o->connect_timeout_ms * 1000);
	o->lookup = lookup_start(o->net->base, o->host, o->port, on_resolved, o);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct outgoing *o = arg;
	char reason[64];

	(void)fd;
	(void)what;
	net_wake(o->net);
	if (o->state == OUTGOING_WAITING) {
		attempt(o);
		return;
	}
	snprintf(reason, sizeof(reason), "not done within %u ms", (unsigned)o->connect_timeout_ms);
	lose_for(o,
	    o->state == OUTGOING_RESOLVING    ? "look up"
	    : o->state == OUTGOING_CONNECTING ? "connect to"
					      : "TLS handshake with",
	    reason);
}

struct outgoing *
outgoing_new(struct net *net, const struct outgoing_config *config,
    const struct outgoing_handler *handler, void *arg, char *error, size_t error_len)
{
	size_t host_len = strlen(config->host);
	struct outgoing *o = xcalloc(1, sizeof(*o) + host_len + 1);

	o->net = net;
	o->handler = handler;
	o->arg = arg;
	o->port = config->port;
	o->connect_timeout_ms = config->connect_timeout_ms;
	o->fd = -1;
	o->state = OUTGOING_WAITING;
	memcpy(o->host, config->host, host_len + 1);
	random_init(&o->random);
	o->lost_us = clock_mono_us();
	if (config->tls != NULL) {
		o->tls = outgoing_tls_new(config->tls, config->host, error, error_len);
		if (o->tls == NULL) {
			xfree(o);
			return NULL;
		}
	}
	o->timer = evtimer_new(net->base, on_timer, o);
	if (o->timer == NULL) {
		snprintf(error, error_len, "%s", strerror(ENOMEM));
		outgoing_tls_free(o->tls);
		xfree(o);
		return NULL;
	}
	set_timer(o, 0);
	return o;
}

/* Errors are of no interest any more. */
static void
write_rest(struct outgoing *o)
{
	while (o->state == OUTGOING_OPEN && o->out_at < o->out.len) {
		struct iovec piece = {o->out.ptr + o->out_at, o->out.len - o->out_at};
		ssize_t n = stream_write(&o->stream, &piece, 1, o->net->scratch);

		if (n <= 0)
			return;
		o->out_at += (size_t)n;
	}
}

void
outgoing_free(struct outgoing *o)
{
	if (o == NULL)
		return;
	assert(o->in_handler == 0);
	write_rest(o);
	leave_state(o);
	event_free(o->timer);
	outgoing_tls_free(o->tls);
	xfree(o);
}

enum outgoing_state
outgoing_state(const struct outgoing *o)
{
	return o->state;
}

/* The bytes are written in the next turn of the loop, so that lost() is never called from here. */
bool
outgoing_send(struct outgoing *o, struct slice bytes)
{
	if (o->state != OUTGOING_OPEN)
		return false;
	if (bytes.len == 0)
		return true;
	if (o->out_at > 0 && o->out_at >= o->out.len / 2) {
		memmove(o->out.ptr, o->out.ptr + o->out_at, o->out.len - o->out_at);
		o->out.len -= o->out_at;
		o->out_at = 0;
	}
	buffer_append_slice(&o->out, bytes);
	return stream_await_writable(&o->stream);
}

size_t
outgoing_queued_bytes(const struct outgoing *o)
{
	return o->out.len - o->out_at;
}

void
outgoing_drop(struct outgoing *o, const char *why)
{
	struct linger reset = {1, 0};

	if (o->state != OUTGOING_OPEN)
		return;
	/* The system discards what the peer has not received yet, instead of sending it behind what
	 * is sent over the next connection. */
	(void)setsockopt(o->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	lose_for(o, "connection to", why);
}
