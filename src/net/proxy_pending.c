#include "config.h"

#include "net/proxy_pending.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/admission.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/proxy_header.h"

/* Bytes peeked at a time; a longer header is read in several steps. */
#define PEEK_BYTES 536

struct proxy_pending {
	struct net *net;
	TAILQ_ENTRY(proxy_pending) link;
	struct event *event;
	uint64_t until_us;
	struct net_peer peer;
	struct proxy_header header;
};

static void
free_pending(struct proxy_pending *pending)
{
	TAILQ_REMOVE(&pending->net->proxy_pending, pending, link);
	pending->net->proxy_pending_count--;
	if (pending->peer.is_tls) {
		pending->net->proxy_pending_tls_count--;
		net_accept_tls_resume(pending->net);
	}
	if (pending->event != NULL)
		event_free(pending->event);
	xfree(pending);
}

/* Closes the connection too. */
static void
fail(struct proxy_pending *pending, const char *why)
{
	struct net *net = pending->net;

	net->figures.refused_proxy++;
	if (rate_limit_take(&net->refusal_logs, clock_mono_us()))
		log_notice(
		    "closing connection of balancer addr=%s: %s", pending->peer.address, why);
	close(pending->peer.fd);
	free_pending(pending);
}

static void
finish(struct proxy_pending *pending)
{
	struct net *net = pending->net;
	struct net_peer peer = pending->peer;
	const struct proxy_header *header = &pending->header;

	if (header->has_addresses) {
		const struct sockaddr *source = (const void *)&header->source;

		peer.is_proxied = true;
		peer.key = address_key(source);
		peer.is_loopback = address_is_loopback(source);
		address_format(source, peer.address, sizeof(peer.address));
		address_format((const void *)&header->destination, peer.local_address,
		    sizeof(peer.local_address));
	}
	free_pending(pending);
	admission_admit(net, peer.fd, &peer);
}

/* True if the header is still incomplete; otherwise pending was freed. */
static bool
read_header(struct proxy_pending *pending)
{
	char bytes[PEEK_BYTES];
	enum proxy_result result;
	size_t taken;
	ssize_t n = recv(pending->peer.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		fail(pending, "it ended before its PROXY header");
		return false;
	}
	result = proxy_header_feed(&pending->header, (struct slice){bytes, (size_t)n}, &taken);
	if (result == PROXY_BAD) {
		fail(pending, pending->header.error);
		return false;
	}
	if (recv(pending->peer.fd, bytes, taken, MSG_DONTWAIT) != (ssize_t)taken) {
		fail(pending, "its PROXY header cannot be read");
		return false;
	}
	if (result == PROXY_MORE)
		return true;
	finish(pending);
	return false;
}

/* False if the socket cannot be watched. */
static bool
await(struct proxy_pending *pending, uint64_t now_us)
{
	uint64_t left_us = pending->until_us > now_us ? pending->until_us - now_us : 1;
	struct timeval timeout = {(time_t)(left_us / 1000000), (suseconds_t)(left_us % 1000000)};

	return event_add(pending->event, &timeout) == 0;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct proxy_pending *pending = arg;

	(void)fd;
	net_wake(pending->net);
	if ((what & EV_READ) == 0)
		fail(pending, "its PROXY header did not come in time");
	else if (read_header(pending) && !await(pending, clock_mono_us()))
		fail(pending, "it cannot be watched");
}

void
proxy_pending_open(struct net *net, int fd, const struct net_peer *peer)
{
	struct proxy_pending *pending = xcalloc(1, sizeof(*pending));
	uint64_t now_us = clock_mono_us();

	pending->net = net;
	pending->peer = *peer;
	pending->until_us = now_us + (uint64_t)PROXY_PENDING_S * 1000000;
	proxy_header_init(&pending->header);
	TAILQ_INSERT_TAIL(&net->proxy_pending, pending, link);
	net->proxy_pending_count++;
	net->proxy_pending_tls_count += peer->is_tls;
	if (net->proxy_pending_count > PROXY_PENDING_MAX) {
		fail(pending, "too many others have not sent their PROXY header");
		return;
	}
	pending->event = event_new(net->base, fd, EV_READ, on_event, pending);
	if (pending->event == NULL || !await(pending, now_us))
		fail(pending, "it cannot be watched");
}

void
proxy_pending_close(struct net *net)
{
	struct proxy_pending *pending;

	while ((pending = TAILQ_FIRST(&net->proxy_pending)) != NULL) {
		close(pending->peer.fd);
		free_pending(pending);
	}
}
