#include "config.h"

#include "app/listening.h"

#include <errno.h>
#include <string.h>

#include "app/systemd.h"
#include "base/log.h"
#include "net/tls.h"

/* Errors for which an address with a leading - is skipped: this machine does not have it. */
static bool
is_unavailable(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPFNOSUPPORT ||
	       error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT || error == ENOPROTOOPT;
}

static bool
open_address(struct net *net, const char *host, int port, bool tls, struct buffer *opened,
    struct buffer *error)
{
	bool optional = host[0] == '-';
	char text[256] = "";

	if (optional)
		host++;
	errno = 0;
	if (net_listen_tcp(net, SERVICE_RESP, host, port, tls, text, sizeof(text))) {
		buffer_appendf(opened, "%s%s port %d%s", opened->len > 0 ? ", " : "", host, port,
		    tls ? " (TLS)" : "");
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
open_tcp(struct net *net, const struct settings *s, int port, bool tls, struct buffer *opened,
    struct buffer *error)
{
	size_t i;

	if (port == 0)
		return true;
	for (i = 0; i < s->bind.count; i++)
		if (!open_address(net, s->bind.items[i], port, tls, opened, error))
			return false;
	return true;
}

static bool
prepare_tls(struct net *net, const struct settings *s, struct buffer *error)
{
	char text[512] = "";

	if (s->tls_port == 0 || net_set_tls(net, &s->net_tls, text, sizeof(text)))
		return true;
	buffer_appendf(error, "TLS: %s", text);
	return false;
}

bool
listening_check(const struct settings *s, struct buffer *error)
{
	char text[512] = "";
	struct tls *tls;

	if (s->tls_port == 0)
		return true;
	tls = tls_new(&s->net_tls, text, sizeof(text));
	if (tls == NULL)
		buffer_appendf(error, "TLS: %s", text);
	tls_unref(tls);
	return tls != NULL;
}

static bool
open_unix(struct net *net, const struct settings *s, struct buffer *opened, struct buffer *error)
{
	char text[256] = "";

	if (s->unixsocket[0] == '\0')
		return true;
	if (!net_listen_unix(
		net, SERVICE_RESP, s->unixsocket, (mode_t)s->unixsocketperm, text, sizeof(text))) {
		buffer_append_str(error, text);
		return false;
	}
	buffer_appendf(opened, "%s%s", opened->len > 0 ? ", " : "", s->unixsocket);
	return true;
}

/* The name of the next socket. Of a supervisor's names only "tls" has a meaning here. */
static struct slice
next_name(const struct systemd_sockets *passed, const char **names)
{
	struct slice name = {*names, strcspn(*names, ":")};

	*names += name.len + ((*names)[name.len] == ':');
	if (passed->by_predecessor)
		return name;
	return slice_is(name, "tls") ? SLICE("tls-passed") : SLICE("resp-passed");
}

static bool
take_sockets(struct net *net, const struct systemd_sockets *passed, struct buffer *opened,
    struct buffer *error)
{
	const char *names = passed->names != NULL ? passed->names : "",
		   *from = passed->by_predecessor ? "the process before" : "socket activation";
	char text[256] = "";
	size_t i;

	for (i = 0; i < passed->count; i++) {
		if (!net_listen_named(net, SYSTEMD_FIRST_FD + (int)i, next_name(passed, &names),
			text, sizeof(text))) {
			buffer_appendf(error, "sockets of %s: %s", from, text);
			return false;
		}
	}
	buffer_appendf(
	    opened, "what %s passed (%zu), not on bind, port and unixsocket", from, passed->count);
	return true;
}

bool
listening_open(struct net *net, const struct settings *s, const struct systemd_sockets *passed,
    struct buffer *opened, struct buffer *error)
{
	if (!prepare_tls(net, s, error))
		return false;
	if (passed->count > 0)
		return take_sockets(net, passed, opened, error);
	if (!open_tcp(net, s, s->server.port, false, opened, error) ||
	    !open_tcp(net, s, s->tls_port, true, opened, error) ||
	    !open_unix(net, s, opened, error))
		return false;
	if (opened->len == 0)
		buffer_append_str(error,
		    "nothing to listen on: a port or tls-port other than 0 with an address to "
		    "bind, or a unixsocket is needed");
	return opened->len > 0;
}
