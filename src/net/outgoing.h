#ifndef NET_OUTGOING_H
#define NET_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "net/outgoing_tls.h"

/*
 * Outgoing: a connection to a server that is made again whenever it is lost.
 *
 * It looks the host up (net/lookup.h: in a thread of its own), tries its addresses in their order,
 * does the TLS handshake, and is then open until either end closes it. After every loss it waits,
 * longer each time (base/backoff.h), and begins anew with the lookup. A connection that was open
 * for BACKOFF_CAP_US makes it forget the losses before. Everything happens on the main loop. It
 * knows no protocol: bytes come in as they are read.
 */
struct net;
struct outgoing;

enum outgoing_state {
	OUTGOING_RESOLVING,
	OUTGOING_CONNECTING,
	OUTGOING_SECURING, /* in the TLS handshake */
	OUTGOING_OPEN,
	OUTGOING_WAITING, /* until it tries again */
};

struct outgoing_config {
	const char *host; /* a name, or a numeric address without brackets */
	int port;
	const struct outgoing_tls_settings *tls; /* NULL: plain */
	uint32_t connect_timeout_ms;             /* lookup, connect and handshake together */
};

/* In all of them outgoing_send() and outgoing_drop() may be called, but not outgoing_free(). */
struct outgoing_handler {
	void (*opened)(void *arg);
	void (*received)(void *arg, struct slice bytes); /* borrowed until it returns */
	/* What was queued by outgoing_send() has been handed to the system. */
	void (*drained)(void *arg);
	/* It was open, or could not be opened. why: one line, borrowed until it returns. Bytes that
	 * were queued are lost. It tries again in retry_us. */
	void (*lost)(void *arg, const char *why, uint64_t retry_us);
};

/*
 * Begins to connect when the loop turns next. Borrows net and handler, copies the config. Returns
 * owned (outgoing_free), or NULL with one line in error where the files of TLS cannot be used.
 */
struct outgoing *outgoing_new(struct net *net, const struct outgoing_config *config,
    const struct outgoing_handler *handler, void *arg, char *error, size_t error_len);
void outgoing_free(struct outgoing *o); /* in any state; before net_free(). Or NULL */

enum outgoing_state outgoing_state(const struct outgoing *o);

/* Copies what the socket does not take now: the caller bounds outgoing_queued_bytes(). False, and
 * nothing is sent, unless it is open. */
bool outgoing_send(struct outgoing *o, struct slice bytes) __attribute__((warn_unused_result));
size_t outgoing_queued_bytes(const struct outgoing *o);

/* Closes the open connection, which is lost for this reason, a literal: it speaks nonsense. */
void outgoing_drop(struct outgoing *o, const char *why);

#endif
