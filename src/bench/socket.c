#include "config.h"

#include "bench/socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cli/target.h"
#include "cli/tls.h"

struct bench_dialer {
	struct addrinfo *found;      /* addresses of the name; NULL for a Unix socket */
	struct addrinfo unix_socket; /* as a single address */
	struct sockaddr_un path;
	const struct addrinfo *address; /* the first that accepted a connection, or the first */
	uint64_t connect_timeout_us;
	struct tls_client *tls; /* or NULL */
};

static bool
look_up(struct bench_dialer *d, const struct target *target, struct buffer *error)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char port[8];
	int status;

	if (target->socket_path != NULL) {
		if (strlen(target->socket_path) >= sizeof(d->path.sun_path)) {
			buffer_appendf(error, "%s: the path is too long", target->socket_path);
			return false;
		}
		d->path.sun_family = AF_UNIX;
		memcpy(d->path.sun_path, target->socket_path, strlen(target->socket_path) + 1);
		d->unix_socket = (struct addrinfo){.ai_family = AF_UNIX,
		    .ai_addr = (struct sockaddr *)&d->path,
		    .ai_addrlen = sizeof(d->path)};
		d->address = &d->unix_socket;
		return true;
	}
	snprintf(port, sizeof(port), "%u", target->port);
	status = getaddrinfo(target->host, port, &hints, &d->found);
	if (status != 0) {
		buffer_appendf(error, "%s: %s", target->host, gai_strerror(status));
		return false;
	}
	d->address = d->found;
	return true;
}

struct bench_dialer *
bench_dialer_new(const struct target *target, struct tls_client *tls, uint64_t connect_timeout_us,
    struct buffer *error)
{
	struct bench_dialer *d = xcalloc(1, sizeof(*d));

	d->connect_timeout_us = connect_timeout_us;
	d->tls = tls;
	if (!look_up(d, target, error)) {
		bench_dialer_free(d);
		return NULL;
	}
	return d;
}

void
bench_dialer_free(struct bench_dialer *d)
{
	if (d->found != NULL)
		freeaddrinfo(d->found);
	xfree(d);
}

/* Waits for a connect() in progress; returns 0 or an errno. */
static int
await_connect(int fd, uint64_t timeout_us)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	uint64_t timeout_ms = timeout_us / 1000 + 1;
	int error = 0;
	int n = poll(&wait, 1, timeout_ms > 86400000 ? 86400000 : (int)timeout_ms);

	if (n == 0)
		return ETIMEDOUT;
	if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) != 0)
		return errno;
	return error;
}

static int
dial(const struct bench_dialer *d, const struct addrinfo *to, int receive_bytes, int *fd)
{
	int error = 0;

	*fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return errno;
	/* Before connect(), because the TCP window depends on it. */
	if (receive_bytes > 0)
		setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (to->ai_family != AF_UNIX)
		setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(*fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	error = errno;
	/* A Unix socket with a full backlog gives EAGAIN and cannot be polled. */
	for (int i = 0; error == EAGAIN && i < 1000; i++) {
		poll(NULL, 0, 1);
		error = connect(*fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
	}
	return error == EINPROGRESS ? await_connect(*fd, d->connect_timeout_us) : error;
}

static void
start_tls(struct bench_socket *s, const struct bench_dialer *d)
{
	int ok;

	s->tls = tls_client_start(d->tls);
	ok = SSL_set_fd(s->tls, s->fd);
	assert(ok == 1);
}

bool
bench_socket_open(
    struct bench_socket *s, struct bench_dialer *d, int receive_bytes, struct buffer *error)
{
	int fault = 0;

	*s = (struct bench_socket){.fd = -1};
	for (const struct addrinfo *to = d->address; to != NULL; to = to->ai_next) {
		fault = dial(d, to, receive_bytes, &s->fd);
		if (fault == 0) {
			d->address = to;
			break;
		}
		bench_socket_close(s);
	}
	if (fault != 0) {
		buffer_appendf(error, "cannot connect: %s", strerror(fault));
		return false;
	}
	if (d->tls != NULL)
		start_tls(s, d);
	return true;
}

void
bench_socket_close(struct bench_socket *s)
{
	if (s->tls != NULL)
		tls_say_goodbye(s->tls);
	SSL_free(s->tls);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct bench_socket){.fd = -1};
}

static char fault_text[300] = "closed by the server";

static ssize_t
tls_result(struct bench_socket *s, int n)
{
	int system_error = errno;
	struct buffer text = {0};
	int why;

	if (n > 0)
		return n;
	why = SSL_get_error(s->tls, n);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return BENCH_SOCKET_LATER;
	tls_explain(s->tls, ERR_get_error(), system_error, &text);
	snprintf(fault_text, sizeof(fault_text), "%.*s", (int)text.len, text.ptr);
	buffer_release(&text);
	return BENCH_SOCKET_ENDED;
}

static ssize_t
plain_result(ssize_t n)
{
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return BENCH_SOCKET_LATER;
	snprintf(fault_text, sizeof(fault_text), "%s",
	    n == 0 ? "closed by the server" : strerror(errno));
	return BENCH_SOCKET_ENDED;
}

ssize_t
bench_socket_read(struct bench_socket *s, char *ptr, size_t len)
{
	if (s->tls == NULL)
		return plain_result(recv(s->fd, ptr, len, 0));
	errno = 0;
	return tls_result(s, SSL_read(s->tls, ptr, len > INT32_MAX ? INT32_MAX : (int)len));
}

ssize_t
bench_socket_write(struct bench_socket *s, const char *ptr, size_t len)
{
	if (s->tls == NULL)
		return plain_result(send(s->fd, ptr, len, MSG_NOSIGNAL));
	errno = 0;
	return tls_result(s, SSL_write(s->tls, ptr, len > INT32_MAX ? INT32_MAX : (int)len));
}

const char *
bench_socket_fault(void)
{
	return fault_text;
}
