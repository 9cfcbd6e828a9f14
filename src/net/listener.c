#include "config.h"

#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/admission.h"
#include "net/conn.h"

/*
 * The most connections accepted in one turn from one listener, so that many new connections at once
 * do not block the loop. ACCEPT_FEW are accepted from each listener, however long the turn has
 * been, so that many connections to one do not lock out the clients of another.
 */
#define ACCEPT_SHARE 32
#define ACCEPT_FEW 4

#define RETRY_US 100000

#define NAME_BYTES 32
#define PASSED "-passed"
#define WARN_EVERY_US 1000000

struct listener {
	struct net *net;
	TAILQ_ENTRY(listener) link;
	struct event *event;
	int fd;
	int port; /* 0: not TCP */
	unsigned service;
	bool is_unix;
	bool is_tls;
	bool is_passed;    /* made by the process that started this one */
	char *unlink_path; /* the socket file, if this process made it, or NULL */
	char name[NAME_BYTES];
};

static void
describe_peer(
    const struct listener *listener, int fd, const struct sockaddr *from, struct net_peer *peer)
{
	struct sockaddr_storage local;
	socklen_t local_len = sizeof(local);

	memset(peer, 0, sizeof(*peer));
	peer->fd = fd;
	peer->is_unix = listener->is_unix;
	peer->is_tls = listener->is_tls;
	peer->service = listener->service;
	if (listener->is_unix) {
		struct sockaddr_un path = {.sun_family = AF_UNIX};
		socklen_t path_len = sizeof(path);

		(void)getsockname(fd, (struct sockaddr *)&path, &path_len);
		snprintf(peer->address, sizeof(peer->address), "%.60s:0", path.sun_path);
		snprintf(
		    peer->local_address, sizeof(peer->local_address), "%.60s:0", path.sun_path);
		peer->is_loopback = true;
		return;
	}
	peer->key = address_key(from);
	address_format(from, peer->address, sizeof(peer->address));
	if (getsockname(fd, (struct sockaddr *)&local, &local_len) == 0)
		address_format((const struct sockaddr *)&local, peer->local_address,
		    sizeof(peer->local_address));
	peer->is_loopback = address_is_loopback(from);
}

static void
tune(const struct net *net, int fd)
{
	int on = 1, idle = (int)net->config->tcp_keepalive_s, interval = idle / 3, count = 3;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (idle == 0)
		return;
	if (interval == 0)
		interval = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void
on_relisten(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	net_wake(arg);
	net_accept_resume(arg);
}

/* Descriptors or memory have run out: the connection stays in the kernel's queue. Trying again
 * before a descriptor is closed would be a busy loop. */
static void
pause_accepting(struct net *net, int error)
{
	static const struct timeval retry = {0, RETRY_US};
	struct listener *listener;
	uint64_t now_us = clock_mono_us();

	net->figures.refused_fds++;
	if (net->accept_warned_us == 0 || now_us - net->accept_warned_us >= WARN_EVERY_US) {
		log_warn("accept: %s: new connections wait until others close", strerror(error));
		net->accept_warned_us = now_us;
	}
	net->accept_paused = true;
	TAILQ_FOREACH (listener, &net->listeners, link)
		event_del(listener->event);
	if (net->relisten == NULL)
		net->relisten = evtimer_new(net->base, on_relisten, net);
	if (net->relisten != NULL)
		evtimer_add(net->relisten, &retry);
}

void
net_accept_resume(struct net *net)
{
	struct listener *listener;

	if (!net->accept_paused)
		return;
	net->accept_paused = false;
	TAILQ_FOREACH (listener, &net->listeners, link)
		event_add(listener->event, NULL);
}

static bool
are_handshakes_full(const struct net *net)
{
	return net->handshaking_count + net->proxy_pending_tls_count >=
	       net->config->tls_max_handshakes;
}

void
net_accept_tls_resume(struct net *net)
{
	struct listener *listener;

	if (!net->handshakes_full || are_handshakes_full(net))
		return;
	net->handshakes_full = false;
	TAILQ_FOREACH (listener, &net->listeners, link)
		if (listener->is_tls)
			event_add(listener->event, NULL);
}

/* Above the limit connections stay in the kernel's queue: beginning all handshakes at once would
 * finish none of them sooner, and would take memory for each. */
static bool
has_to_wait(struct listener *listener)
{
	struct net *net = listener->net;

	if (!listener->is_tls || !are_handshakes_full(net))
		return false;
	net->handshakes_full = true;
	event_del(listener->event);
	return true;
}

static void
on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct net *net = listener->net;

	(void)what;
	net_wake(net);
	for (int i = 0; i < ACCEPT_SHARE; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		struct net_peer peer;
		int fd;

		if (i > 0 && i % ACCEPT_FEW == 0 && net_accepts_long(net))
			return;
		if (has_to_wait(listener))
			return;
		memset(&from, 0, sizeof(from));
		fd = accept4(
		    listen_fd, (struct sockaddr *)&from, &from_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				pause_accepting(net, errno);
			return;
		}
		net->figures.accepted++;
		if (!listener->is_unix)
			tune(net, fd);
		describe_peer(listener, fd, (const struct sockaddr *)&from, &peer);
		admission_accepted(net, fd, &peer, (const struct sockaddr *)&from);
	}
}

/* The protocol of a listener, and which process made it. */
struct kind {
	unsigned service;
	bool is_tls;
	bool is_passed;
};

static void
name_listener(const struct net *net, struct listener *listener)
{
	const struct protocol *protocol = net->protocols[listener->service];

	snprintf(listener->name, sizeof(listener->name), "%s%s",
	    listener->is_tls ? protocol->tls_name : protocol->name,
	    listener->is_passed ? PASSED : "");
}

static bool
add_listener(struct net *net, int fd, const struct kind *kind, char *unlink_path)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	listener->net = net;
	listener->fd = fd;
	listener->service = kind->service;
	listener->is_tls = kind->is_tls;
	listener->is_passed = kind->is_passed;
	listener->unlink_path = unlink_path;
	name_listener(net, listener);
	memset(&address, 0, sizeof(address));
	(void)getsockname(fd, (struct sockaddr *)&address, &len);
	listener->is_unix = address.ss_family == AF_UNIX;
	if (address.ss_family == AF_INET)
		listener->port = ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
	else if (address.ss_family == AF_INET6)
		listener->port = ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
	listener->event = event_new(net->base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
	if (listener->event == NULL || event_add(listener->event, NULL) != 0) {
		if (listener->event != NULL)
			event_free(listener->event);
		xfree(listener);
		return false;
	}
	TAILQ_INSERT_TAIL(&net->listeners, listener, link);
	return true;
}

static bool
fail(char *error, size_t error_len, int fd, const char *what, const char *where, int port)
{
	const char *why = strerror(errno);

	if (fd != -1)
		close(fd);
	if (port >= 0)
		snprintf(error, error_len, "%s %s:%d: %s", what, where, port, why);
	else
		snprintf(error, error_len, "%s %s: %s", what, where, why);
	return false;
}

static bool
listen_address(struct net *net, const struct kind *kind, const struct addrinfo *address,
    const char *host, int port, char *error, size_t error_len)
{
	int on = 1, fd;

	fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(error, error_len, fd, "socket for", host, port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) != 0)
		return fail(error, error_len, fd, "bind", host, port);
	if (listen(fd, net->config->tcp_backlog) != 0)
		return fail(error, error_len, fd, "listen", host, port);
	if (!add_listener(net, fd, kind, NULL))
		return fail(error, error_len, fd, "watch", host, port);
	return true;
}

bool
net_listen_tcp(struct net *net, unsigned service, const char *host, int port, bool tls, char *error,
    size_t error_len)
{
	struct kind kind = {.service = service, .is_tls = tls};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	const char *name = host;
	char port_text[8];
	int result;
	bool ok = true;

	if (strcmp(host, "*") == 0) {
		name = NULL;
		hints.ai_family = AF_INET;
	} else if (strcmp(host, "::*") == 0) {
		name = NULL;
		hints.ai_family = AF_INET6;
	}
	snprintf(port_text, sizeof(port_text), "%d", port);
	result = getaddrinfo(name, port_text, &hints, &list);
	if (result != 0) {
		snprintf(error, error_len, "bind %s:%d: %s", host, port, gai_strerror(result));
		return false;
	}
	for (struct addrinfo *a = list; a != NULL && ok; a = a->ai_next)
		ok = listen_address(net, &kind, a, host, port, error, error_len);
	freeaddrinfo(list);
	return ok;
}

/* Removes a socket file that no process listens on any more, but not one in use. */
static bool
remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;
	bool stale;

	if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return true;
	/* Non-blocking, because connecting to a listener whose queue is full would block. Such a
	 * file is in use. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	stale = fd != -1 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
		errno == ECONNREFUSED;
	if (fd != -1)
		close(fd);
	if (stale)
		unlink(address->sun_path);
	return stale;
}

bool
net_listen_unix(
    struct net *net, unsigned service, const char *path, mode_t mode, char *error, size_t error_len)
{
	struct kind kind = {.service = service};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *made;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, error_len, "unixsocket %s: the path is longer than %zu bytes", path,
		    sizeof(address.sun_path) - 1);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (!remove_stale(&address)) {
		errno = EADDRINUSE;
		return fail(error, error_len, -1, "bind", path, -1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return fail(error, error_len, fd, "bind", path, -1);
	made = xstrdup(path);
	if ((mode != 0 && chmod(path, mode) != 0) || listen(fd, net->config->tcp_backlog) != 0 ||
	    !add_listener(net, fd, &kind, made)) {
		(void)fail(error, error_len, fd, "listen", path, -1);
		unlink(path);
		xfree(made);
		return false;
	}
	return true;
}

/* The path that a listening Unix socket has, if it has one. Returns owned, or NULL. */
static char *
unix_path(int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t len = sizeof(address) - 1; /* so that a NUL follows the longest path */

	if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
	    address.sun_family != AF_UNIX || address.sun_path[0] == '\0')
		return NULL;
	return xstrdup(address.sun_path);
}

/* Takes fd. The file of a passed Unix socket belongs to the process that made it, and is not
 * removed here. */
static bool
take_listener(struct net *net, int fd, const struct kind *kind, char *error, size_t error_len)
{
	char *unlink_path;
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening) {
		snprintf(error, error_len, "descriptor %d: not a listening socket", fd);
		close(fd);
		return false;
	}
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	unlink_path = kind->is_passed ? NULL : unix_path(fd);
	if (!add_listener(net, fd, kind, unlink_path)) {
		snprintf(error, error_len, "descriptor %d: cannot be watched", fd);
		xfree(unlink_path);
		close(fd);
		return false;
	}
	return true;
}

/* False if no listener has this name here. */
static bool
find_kind(const struct net *net, struct slice name, struct kind *kind)
{
	struct slice passed = SLICE(PASSED);

	*kind = (struct kind){.service = 0};
	if (name.len > passed.len &&
	    memcmp(name.ptr + name.len - passed.len, passed.ptr, passed.len) == 0) {
		kind->is_passed = true;
		name.len -= passed.len;
	}
	for (; kind->service < net->service_count; kind->service++) {
		kind->is_tls = slice_is(name, net->protocols[kind->service]->tls_name);
		if (kind->is_tls || slice_is(name, net->protocols[kind->service]->name))
			return true;
	}
	return false;
}

bool
net_listen_named(struct net *net, int fd, struct slice name, char *error, size_t error_len)
{
	struct kind kind;

	if (!find_kind(net, name, &kind)) {
		snprintf(error, error_len, "descriptor %d: no listener is called '%.*s' here", fd,
		    (int)name.len, name.ptr);
		close(fd);
		return false;
	}
	if (kind.is_tls && net->tls == NULL) {
		snprintf(
		    error, error_len, "descriptor %d: it is for TLS, and there is no tls-port", fd);
		close(fd);
		return false;
	}
	return take_listener(net, fd, &kind, error, error_len);
}

size_t
net_listeners(const struct net *net, struct net_listener *out, size_t max)
{
	const struct listener *listener;
	size_t count = 0;

	TAILQ_FOREACH (listener, &net->listeners, link) {
		if (count < max)
			out[count] = (struct net_listener){
			    .fd = listener->fd,
			    .name = listener->name,
			    .is_passed = listener->is_passed,
			};
		count++;
	}
	return count;
}

void
net_leave_listeners(struct net *net)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &net->listeners, link) {
		xfree(listener->unlink_path);
		listener->unlink_path = NULL;
	}
	net_close_listeners(net);
}

void
net_close_listeners(struct net *net)
{
	struct listener *listener;

	while ((listener = TAILQ_FIRST(&net->listeners)) != NULL) {
		TAILQ_REMOVE(&net->listeners, listener, link);
		event_free(listener->event);
		close(listener->fd);
		if (listener->unlink_path != NULL)
			unlink(listener->unlink_path);
		xfree(listener->unlink_path);
		xfree(listener);
	}
}

int
net_port(const struct net *net)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &net->listeners, link)
		if (listener->port != 0 && !listener->is_tls)
			return listener->port;
	return 0;
}
