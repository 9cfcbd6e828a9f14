#include "config.h"

#include "cli/connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/loop.h"
#include "cli/target.h"
#include "cli/tls.h"
#include "resp/reply.h"
#include "resp/writer.h"

/* Twice Redis's largest value, so that no reply of a correct server is refused. */
#define REPLY_MAX_BYTES ((size_t)1 << 30)
#define REPLY_MAX_DEPTH 128
#define READ_BYTES ((size_t)64 * 1024)
#define DRAINED_BYTES ((size_t)256 * 1024)
/* The first byte of a TLS alert, which a TLS server sends to a plain client. Not a RESP type. */
#define TLS_ALERT 0x15

enum state { CLOSED, CONNECTING, SECURING, GREETING, READY };

struct connection {
	struct event_base *base;
	const struct target *target;
	struct tls_client *tls; /* or NULL */
	const struct connection_events *events;
	void *arg;
	int proto;
	uint64_t connect_timeout_us;
	enum state state;
	uint64_t opened; /* number of opens, by which callbacks detect a reopen */
	struct addrinfo *addresses;
	struct addrinfo *untried;
	struct bufferevent *bev;
	struct event *deadline; /* for each address, including the greeting */
	struct resp_reader *reader;
	bool heard; /* the server has sent data on this stream */
	struct buffer request;
	unsigned replies_to_greeting;
	int last_errno;
};

static void on_event(struct bufferevent *bev, short what, void *arg);
static void try_next(struct connection *c);

int
connection_end_status(enum connection_end end)
{
	switch (end) {
	case CONNECTION_DENIED:
		return CLI_ERROR_REPLY;
	case CONNECTION_GARBLED:
		return CLI_FAILED;
	case CONNECTION_FAILED:
	case CONNECTION_LOST:
		break;
	}
	return CLI_NO_CONNECTION;
}

static void
drop_stream(struct connection *c)
{
	SSL *ssl = c->bev == NULL ? NULL : bufferevent_openssl_get_ssl(c->bev);

	evtimer_del(c->deadline);
	if (ssl != NULL)
		tls_say_goodbye(ssl);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	c->bev = NULL;
	resp_reader_free(c->reader);
	c->reader = NULL;
}

void
connection_close(struct connection *c)
{
	if (c->state == CLOSED)
		return;
	drop_stream(c);
	if (c->addresses != NULL)
		freeaddrinfo(c->addresses);
	c->addresses = NULL;
	c->untried = NULL;
	c->state = CLOSED;
}

static void
end(struct connection *c, enum connection_end why, const char *text)
{
	/* text may point into the reader. */
	char *copy = xstrdup(text);

	connection_close(c);
	c->events->closed(why, copy, c->arg);
	xfree(copy);
}

static void
end_failed(struct connection *c, const char *reason)
{
	struct buffer text = {0};

	buffer_append_str(&text, "cannot connect to ");
	target_describe(c->target, &text);
	buffer_appendf(&text, ": %s", reason);
	buffer_append(&text, "", 1);
	end(c, CONNECTION_FAILED, text.ptr);
	buffer_release(&text);
}

static void
end_denied(struct connection *c, struct slice error)
{
	struct buffer text = {0};

	buffer_append_escaped(&text, error);
	buffer_append(&text, "", 1);
	end(c, CONNECTION_DENIED, text.ptr);
	buffer_release(&text);
}

/* A server that closes the connection before it sends anything may have expected TLS. */
static void
end_lost(struct connection *c, const char *reason)
{
	struct buffer text = {0};

	buffer_append_str(&text, reason);
	if (!c->heard && c->tls == NULL)
		buffer_appendf(&text, ": %s", tls_suspicion(false));
	buffer_append(&text, "", 1);
	end(c, CONNECTION_LOST, text.ptr);
	buffer_release(&text);
}

static void
become_ready(struct connection *c)
{
	c->state = READY;
	evtimer_del(c->deadline);
	c->events->ready(c->arg);
}

static void
take_greeting_reply(struct connection *c, const struct resp_value *value)
{
	if (value->type == RESP_TYPE_ERROR)
		end_denied(c, value->text);
	else if (--c->replies_to_greeting == 0)
		become_ready(c);
}

/* A callback may close or reopen the connection; both end this stream. */
static void
take_values(struct connection *c)
{
	uint64_t opened = c->opened;

	while (c->state != CLOSED && c->opened == opened) {
		struct resp_value *value;
		int got = resp_reader_next(c->reader, &value);

		if (got == 0)
			return;
		if (got < 0) {
			end(c, CONNECTION_GARBLED,
			    "invalid RESP from the server, or a reply that is too large");
			return;
		}
		if (c->state == GREETING)
			take_greeting_reply(c, value);
		else
			c->events->reply(value, c->arg);
		resp_value_free(value);
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;

	while (c->bev == bev && evbuffer_peek(input, -1, NULL, &piece, 1) > 0) {
		if (!c->heard && c->tls == NULL && *(const char *)piece.iov_base == TLS_ALERT) {
			end_lost(c, "the server does not speak RESP");
			break;
		}
		c->heard = true;
		resp_reader_feed(c->reader, piece.iov_base, piece.iov_len);
		evbuffer_drain(input, piece.iov_len);
		take_values(c);
	}
	if (c->events->pause != NULL)
		c->events->pause(c->arg);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	if (c->state == READY && c->events->drained != NULL)
		c->events->drained(c->arg);
}

/* The greeting is sent at once; each of its commands has one reply. */
static void
greet(struct connection *c)
{
	const struct target *t = c->target;
	struct slice args[5];
	char number[BYTES_I64_MAX];
	size_t count = 0;

	c->state = GREETING;
	c->replies_to_greeting = 0;
	if (c->proto == 3) {
		args[count++] = SLICE("HELLO");
		args[count++] = SLICE("3");
	}
	if (t->password != NULL) {
		args[count++] = SLICE("AUTH");
		if (t->user != NULL || c->proto == 3)
			args[count++] = slice_of(t->user != NULL ? t->user : "default");
		args[count++] = slice_of(t->password);
	}
	if (count > 0) {
		connection_send(c, args, count);
		c->replies_to_greeting++;
	}
	if (t->database != 0) {
		args[0] = SLICE("SELECT");
		args[1] = (struct slice){number, bytes_from_i64(number, t->database)};
		connection_send(c, args, 2);
		c->replies_to_greeting++;
	}
	if (c->replies_to_greeting == 0)
		become_ready(c);
}

static void
watch(struct connection *c)
{
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_WRITE, DRAINED_BYTES, 0);
	bufferevent_set_max_single_read(c->bev, READ_BYTES);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* The socket moves to a bufferevent that starts with the TLS handshake. */
static void
start_tls(struct connection *c)
{
	evutil_socket_t fd = bufferevent_getfd(c->bev);

	c->state = SECURING;
	bufferevent_setfd(c->bev, -1);
	bufferevent_free(c->bev);
	c->bev = bufferevent_openssl_socket_new(c->base, fd, tls_client_start(c->tls),
	    BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	assert(c->bev != NULL);
	watch(c);
}

/* With TLS 1.3 a server may refuse the client's certificate after the handshake. */
static void
end_tls(struct connection *c, int error)
{
	struct buffer text = {0};
	unsigned long code = 0;
	unsigned long next;

	/* libevent returns the errors in reverse order. Some are libevent's own. */
	while ((next = bufferevent_get_openssl_error(c->bev)) != 0)
		if (ERR_GET_LIB(next) != 0)
			code = next;
	tls_explain(bufferevent_openssl_get_ssl(c->bev), code, error, &text);
	buffer_append(&text, "", 1);
	if (c->heard)
		end(c, CONNECTION_LOST, text.ptr);
	else
		end_failed(c, text.ptr);
	buffer_release(&text);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;
	int error = EVUTIL_SOCKET_ERROR();

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		if (c->state == CONNECTING && c->tls != NULL)
			start_tls(c);
		else
			greet(c);
	} else if (c->state == CONNECTING) {
		c->last_errno = error;
		try_next(c);
	} else if (c->tls != NULL && (c->state == SECURING || !(what & BEV_EVENT_EOF))) {
		end_tls(c, what & BEV_EVENT_EOF ? 0 : error);
	} else if (what & BEV_EVENT_EOF) {
		end_lost(c, "the server closed the connection");
	} else {
		end_lost(c, evutil_socket_error_to_string(error));
	}
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	(void)what;
	c->last_errno = ETIMEDOUT;
	if (c->state == CONNECTING)
		try_next(c);
	else if (c->state == SECURING)
		end_failed(c, "no reply to the TLS handshake: the port may not use TLS");
	else
		end_failed(c, "no reply to the greeting");
}

/* Starts the stream on a connecting socket. False with errno. */
static bool
start_stream(struct connection *c, int family, const struct sockaddr *addr, socklen_t len)
{
	struct timeval timeout = loop_timeval(c->connect_timeout_us);
	evutil_socket_t fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (connect(fd, addr, len) != 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return false;
	}
	if (family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	}
	c->bev = bufferevent_socket_new(c->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		close(fd);
		errno = ENOMEM;
		return false;
	}
	c->reader = resp_reader_new(REPLY_MAX_BYTES, REPLY_MAX_DEPTH);
	c->heard = false;
	watch(c);
	evtimer_add(c->deadline, &timeout);
	return bufferevent_socket_connect(c->bev, NULL, 0) == 0;
}

static void
try_next(struct connection *c)
{
	drop_stream(c);
	while (c->untried != NULL) {
		const struct addrinfo *a = c->untried;

		c->untried = a->ai_next;
		if (start_stream(c, a->ai_family, a->ai_addr, a->ai_addrlen))
			return;
		c->last_errno = errno;
		drop_stream(c);
	}
	end_failed(c, strerror(c->last_errno));
}

static void
open_unix(struct connection *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(c->target->socket_path) >= sizeof(addr.sun_path)) {
		end_failed(c, strerror(ENAMETOOLONG));
		return;
	}
	memcpy(addr.sun_path, c->target->socket_path, strlen(c->target->socket_path) + 1);
	if (!start_stream(c, AF_UNIX, (const struct sockaddr *)&addr, sizeof(addr)))
		end_failed(c, strerror(errno));
}

void
connection_open(struct connection *c)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	char port[BYTES_I64_MAX + 1];
	int error;

	assert(c->state == CLOSED);
	c->state = CONNECTING;
	c->opened++;
	if (c->target->socket_path != NULL) {
		open_unix(c);
		return;
	}
	snprintf(port, sizeof(port), "%u", c->target->port);
	error = getaddrinfo(c->target->host, port, &hints, &c->addresses);
	if (error != 0) {
		c->addresses = NULL;
		end_failed(c, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return;
	}
	c->untried = c->addresses;
	try_next(c);
}

void
connection_send(struct connection *c, const struct slice *args, size_t count)
{
	assert(c->state == GREETING || c->state == READY);
	resp_put_array(&c->request, count);
	for (size_t i = 0; i < count; i++)
		resp_put_bulk(&c->request, args[i]);
	bufferevent_write(c->bev, c->request.ptr, c->request.len);
	buffer_clear(&c->request);
	buffer_shrink(&c->request, READ_BYTES);
}

size_t
connection_unsent_bytes(const struct connection *c)
{
	return c->bev == NULL ? 0 : evbuffer_get_length(bufferevent_get_output(c->bev));
}

struct connection *
connection_new(const struct cli *cli, int proto, const struct connection_events *events, void *arg)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	*c = (struct connection){.base = loop_base(cli->loop),
	    .target = cli->target,
	    .tls = cli->tls,
	    .proto = proto,
	    .connect_timeout_us = cli->connect_timeout_us,
	    .events = events,
	    .arg = arg};
	c->deadline = evtimer_new(c->base, on_deadline, c);
	assert(c->deadline != NULL);
	return c;
}

void
connection_free(struct connection *c)
{
	connection_close(c);
	event_free(c->deadline);
	buffer_release(&c->request);
	xfree(c);
}
