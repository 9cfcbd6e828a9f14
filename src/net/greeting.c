#include "config.h"

#include "net/greeting.h"

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

/* Looked at in one go; longer headers come in several. */
#define PEEK_BYTES 536

struct greeting {
	struct net *net;
	TAILQ_ENTRY(greeting) link;
	struct event *event;
	uint64_t until_us;
	struct net_peer peer;
	struct proxy_header header;
};

static void
free_greeting(struct greeting *greeting)
{
	TAILQ_REMOVE(&greeting->net->greetings, greeting, link);
	greeting->net->greeting_count--;
	if (greeting->peer.is_tls) {
		greeting->net->tls_greeting_count--;
		net_accept_tls_resume(greeting->net);
	}
	if (greeting->event != NULL)
		event_free(greeting->event);
	xfree(greeting);
}

/* Closes the connection too. */
static void
fail(struct greeting *greeting, const char *why)
{
	struct net *net = greeting->net;

	net->figures.refused_proxy++;
	if (rate_limit_take(&net->refusal_logs, clock_mono_us()))
		log_notice(
		    "closing connection of balancer addr=%s: %s", greeting->peer.address, why);
	close(greeting->peer.fd);
	free_greeting(greeting);
}

static void
finish(struct greeting *greeting)
{
	struct net *net = greeting->net;
	struct net_peer peer = greeting->peer;
	const struct proxy_header *header = &greeting->header;

	if (header->has_addresses) {
		const struct sockaddr *source = (const void *)&header->source;

		peer.is_proxied = true;
		peer.key = address_key(source);
		peer.is_loopback = address_is_loopback(source);
		address_format(source, peer.address, sizeof(peer.address));
		address_format((const void *)&header->destination, peer.local_address,
		    sizeof(peer.local_address));
	}
	free_greeting(greeting);
	admission_admit(net, peer.fd, &peer);
}

/* True when there is more to wait for; else the greeting is gone. */
static bool
read_header(struct greeting *greeting)
{
	char bytes[PEEK_BYTES];
	enum proxy_result result;
	size_t taken;
	ssize_t n = recv(greeting->peer.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		fail(greeting, "it ended before its PROXY header");
		return false;
	}
	result = proxy_header_feed(&greeting->header, (struct slice){bytes, (size_t)n}, &taken);
	if (result == PROXY_BAD) {
		fail(greeting, greeting->header.error);
		return false;
	}
	if (recv(greeting->peer.fd, bytes, taken, MSG_DONTWAIT) != (ssize_t)taken) {
		fail(greeting, "its PROXY header cannot be read");
		return false;
	}
	if (result == PROXY_MORE)
		return true;
	finish(greeting);
	return false;
}

/* False if it cannot be watched. */
static bool
await(struct greeting *greeting, uint64_t now_us)
{
	uint64_t left_us = greeting->until_us > now_us ? greeting->until_us - now_us : 1;
	struct timeval timeout = {(time_t)(left_us / 1000000), (suseconds_t)(left_us % 1000000)};

	return event_add(greeting->event, &timeout) == 0;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct greeting *greeting = arg;

	(void)fd;
	net_wake(greeting->net);
	if ((what & EV_READ) == 0)
		fail(greeting, "its PROXY header did not come in time");
	else if (read_header(greeting) && !await(greeting, clock_mono_us()))
		fail(greeting, "it cannot be watched");
}

void
greeting_open(struct net *net, int fd, const struct net_peer *peer)
{
	struct greeting *greeting = xcalloc(1, sizeof(*greeting));
	uint64_t now_us = clock_mono_us();

	greeting->net = net;
	greeting->peer = *peer;
	greeting->until_us = now_us + (uint64_t)GREETING_S * 1000000;
	proxy_header_init(&greeting->header);
	TAILQ_INSERT_TAIL(&net->greetings, greeting, link);
	net->greeting_count++;
	net->tls_greeting_count += peer->is_tls;
	if (net->greeting_count > GREETINGS_MAX) {
		fail(greeting, "too many others have not sent their PROXY header");
		return;
	}
	greeting->event = event_new(net->base, fd, EV_READ, on_event, greeting);
	if (greeting->event == NULL || !await(greeting, now_us))
		fail(greeting, "it cannot be watched");
}

void
greetings_close(struct net *net)
{
	struct greeting *greeting;

	while ((greeting = TAILQ_FIRST(&net->greetings)) != NULL) {
		close(greeting->peer.fd);
		free_greeting(greeting);
	}
}
