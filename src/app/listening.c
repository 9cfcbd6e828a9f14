#include "config.h"

#include "app/listening.h"

#include <errno.h>
#include <string.h>

#include "app/systemd.h"
#include "base/log.h"

/* What makes an address with a - before it be passed over: this machine does not have it. */
static bool
is_unavailable(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPFNOSUPPORT ||
	       error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT || error == ENOPROTOOPT;
}

static bool
open_address(struct net *net, const char *host, int port, bool *opened, struct buffer *error)
{
	bool optional = host[0] == '-';
	char text[256] = "";

	if (optional)
		host++;
	errno = 0;
	*opened = net_listen_tcp(net, host, port, text, sizeof(text));
	if (*opened) {
		log_notice("listening on %s port %d", host, port);
		return true;
	}
	if (optional && is_unavailable(errno)) {
		log_info("not listening on %s: %s", host, text);
		return true;
	}
	buffer_append_str(error, text);
	return false;
}

static bool
open_tcp(struct net *net, const struct settings *s, size_t *count, struct buffer *error)
{
	bool opened = false;
	size_t i;

	if (s->server.port == 0)
		return true;
	for (i = 0; i < s->bind.count; i++) {
		if (!open_address(net, s->bind.items[i], s->server.port, &opened, error))
			return false;
		*count += opened;
	}
	return true;
}

static bool
open_unix(struct net *net, const struct settings *s, size_t *count, struct buffer *error)
{
	char text[256] = "";

	if (s->unixsocket[0] == '\0')
		return true;
	if (!net_listen_unix(net, s->unixsocket, (mode_t)s->unixsocketperm, text, sizeof(text))) {
		buffer_append_str(error, text);
		return false;
	}
	log_notice("listening on %s", s->unixsocket);
	++*count;
	return true;
}

static bool
take_sockets(struct net *net, size_t socket_count, struct buffer *error)
{
	char text[256] = "";
	size_t i;

	for (i = 0; i < socket_count; i++) {
		if (!net_listen_fd(net, SYSTEMD_FIRST_FD + (int)i, text, sizeof(text))) {
			buffer_appendf(error, "socket activation: %s", text);
			return false;
		}
	}
	log_notice("listening on %zu sockets from socket activation; bind, port and unixsocket are "
		   "not used",
	    socket_count);
	return true;
}

bool
listening_open(struct net *net, const struct settings *s, size_t socket_count, struct buffer *error)
{
	size_t count = 0;

	if (socket_count > 0)
		return take_sockets(net, socket_count, error);
	if (!open_tcp(net, s, &count, error) || !open_unix(net, s, &count, error))
		return false;
	if (count == 0)
		buffer_append_str(error, "nothing to listen on: a port other than 0 with an "
					 "address to bind, or a unixsocket is needed");
	return count > 0;
}
