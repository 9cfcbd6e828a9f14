#include "config.h"

#include "app/listening.h"

#include <errno.h>
#include <stdio.h>
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

/* The listeners of one directive. */
struct port {
	unsigned service;
	int number; /* 0: none */
	bool is_tls;
	const struct setting_list *addresses;
};

static const char *
kind_of(const struct port *port)
{
	if (port->service == SERVICE_HTTP)
		return port->is_tls ? " (HTTPS)" : " (HTTP)";
	return port->is_tls ? " (TLS)" : "";
}

static bool
open_address(struct net *net, const char *host, const struct port *port, struct buffer *opened,
    struct buffer *error)
{
	bool optional = host[0] == '-';
	char text[256] = "";

	if (optional)
		host++;
	errno = 0;
	if (net_listen_tcp(
		net, port->service, host, port->number, port->is_tls, text, sizeof(text))) {
		buffer_appendf(opened, "%s%s port %d%s", opened->len > 0 ? ", " : "", host,
		    port->number, kind_of(port));
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
open_port(struct net *net, const struct port *port, struct buffer *opened, struct buffer *error)
{
	if (port->number == 0)
		return true;
	for (size_t i = 0; i < port->addresses->count; i++)
		if (!open_address(net, port->addresses->items[i], port, opened, error))
			return false;
	return true;
}

static bool
open_tcp(struct net *net, const struct settings *s, struct buffer *opened, struct buffer *error)
{
	const struct setting_list *for_http = s->http_bind.count > 0 ? &s->http_bind : &s->bind;
	const struct port ports[] = {
	    {.service = SERVICE_RESP, .number = s->server.port, .addresses = &s->bind},
	    {.service = SERVICE_RESP, .number = s->tls_port, .is_tls = true, .addresses = &s->bind},
	    {.service = SERVICE_HTTP, .number = s->http_port, .addresses = for_http},
	    {.service = SERVICE_HTTP,
		.number = s->https_port,
		.is_tls = true,
		.addresses = for_http},
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		if (!open_port(net, &ports[i], opened, error))
			return false;
	return true;
}

bool
listening_has_tls(const struct settings *s)
{
	return s->tls_port != 0 || s->https_port != 0;
}

struct tls *
listening_make_tls(
    const struct settings *s, const struct tls_settings *files, char *error, size_t error_len)
{
	struct tls_settings settings = *files;

	/* Without tls-port there is nobody to present a certificate, and no authority is needed. */
	if (s->tls_port == 0)
		settings.auth_clients = TLS_AUTH_NO;
	if (settings.cert_file[0] == '\0' && s->tls_port == 0) {
		snprintf(
		    error, error_len, "https-port needs a certificate: tls-cert-file is not set");
		return NULL;
	}
	return tls_new(&settings, error, error_len);
}

static struct tls *
make_tls(const struct settings *s, struct buffer *error)
{
	char text[512] = "";
	struct tls *tls = listening_make_tls(s, &s->net_tls, text, sizeof(text));

	if (tls == NULL)
		buffer_appendf(error, "TLS: %s", text);
	return tls;
}

static bool
prepare_tls(struct net *net, const struct settings *s, struct buffer *error)
{
	struct tls *tls;

	if (!listening_has_tls(s))
		return true;
	tls = make_tls(s, error);
	if (tls != NULL)
		net_take_tls(net, tls);
	return tls != NULL;
}

bool
listening_check(const struct settings *s, struct buffer *error)
{
	struct tls *tls;

	if (!listening_has_tls(s))
		return true;
	tls = make_tls(s, error);
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

/* The name of the next socket. Of a supervisor's names only these have a meaning
 * here. */
static struct slice
next_name(const struct systemd_sockets *passed, const char **names)
{
	static const struct {
		const char *name, *listener;
	} meant[] = {{"tls", "tls-passed"}, {"http", "http-passed"}, {"https", "https-passed"}};
	struct slice name = {*names, strcspn(*names, ":")};

	*names += name.len + ((*names)[name.len] == ':');
	if (passed->by_predecessor)
		return name;
	for (size_t i = 0; i < sizeof(meant) / sizeof(*meant); i++)
		if (slice_is(name, meant[i].name))
			return slice_of(meant[i].listener);
	return SLICE("resp-passed");
}

/* What else a listener needs, such as a certificate or edge-user, depends on whether the settings
 * have a port of its kind. */
static bool
has_port(const struct settings *s, struct slice name, struct buffer *error)
{
	const struct {
		const char *name, *passed, *text;
		int port;
	} needs[] = {
	    {"tls", "tls-passed", "TLS, and there is no tls-port", s->tls_port},
	    {"http", "http-passed", "HTTP, and there is no http-port", s->http_port},
	    {"https", "https-passed", "HTTPS, and there is no https-port", s->https_port},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
		if (needs[i].port != 0 ||
		    (!slice_is(name, needs[i].name) && !slice_is(name, needs[i].passed)))
			continue;
		buffer_appendf(error, "a socket is for %s", needs[i].text);
		return false;
	}
	return true;
}

static bool
take_sockets(struct net *net, const struct settings *s, const struct systemd_sockets *passed,
    struct buffer *opened, struct buffer *error)
{
	const char *names = passed->names != NULL ? passed->names : "",
		   *from = passed->by_predecessor ? "the process before" : "socket activation";
	char text[256] = "";
	size_t i;

	for (i = 0; i < passed->count; i++) {
		struct slice name = next_name(passed, &names);

		if (!has_port(s, name, error))
			return false;
		if (!net_listen_named(net, SYSTEMD_FIRST_FD + (int)i, name, text, sizeof(text))) {
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
		return take_sockets(net, s, passed, opened, error);
	if (!open_tcp(net, s, opened, error) || !open_unix(net, s, opened, error))
		return false;
	if (opened->len == 0)
		buffer_append_str(error,
		    "nothing to listen on: a port, tls-port, http-port or https-port other than 0 "
		    "with an address to bind, or a unixsocket is needed");
	return opened->len > 0;
}
