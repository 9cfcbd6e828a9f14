#ifndef NET_OUTGOING_H
#define NET_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "net/outgoing_tls.h"

/*
 * Outgoing: a connection to a server that is reconnected whenever it is lost.
 *
 * It looks the host up (net/lookup.h: in a thread of its own), tries its addresses in order, does
 * the TLS handshake, and is then open until either end closes it. After every loss it waits, longer
 * each time (base/backoff.h), and starts again with the lookup. After a connection that was open
 * for BACKOFF_CAP_US the delay starts from its smallest value again, and stays short for a while,
 * so that a server that restarts is soon connected to. All callbacks are called in
 * the main loop. It does not know the protocol: received() gets the bytes as they are read.
 */
struct net;
struct outgoing;

enum outgoing_state {
	OUTGOING_RESOLVING,
	OUTGOING_CONNECTING,
	OUTGOING_SECURING, /* in the TLS handshake */
	OUTGOING_OPEN,
	OUTGOING_WAITING, /* waiting for the next attempt */
};

struct outgoing_config {
	const char *host; /* a name, or a numeric address without brackets */
	int port;
	const struct outgoing_tls_settings *tls; /* NULL: plain */
	uint32_t connect_timeout_ms;             /* lookup, connect and handshake together */
};

/* All of them may call outgoing_send() and outgoing_drop(), but not outgoing_free(). */
struct outgoing_handler {
	void (*opened)(void *arg);
	void (*received)(void *arg, struct slice bytes); /* borrowed until it returns */
	/* All bytes of outgoing_send() were given to the system. */
	void (*drained)(void *arg);
	/* The connection was closed, or could not be opened. why: one line, borrowed until it
	 * returns. Queued bytes are lost. The next attempt is in retry_us. */
	void (*lost)(void *arg, const char *why, uint64_t retry_us);
};

/* Begins to connect in the next turn. Borrows net and handler, copies the config. Returns owned
 * (outgoing_free), or NULL with one line in error if the TLS files cannot be used. */
struct outgoing *outgoing_new(struct net *net, const struct outgoing_config *config,
    const struct outgoing_handler *handler, void *arg, char *error, size_t error_len);

/* In any state; before net_free(). NULL is allowed. What the socket takes at once of the queued
 * bytes is still sent. */
void outgoing_free(struct outgoing *o);

enum outgoing_state outgoing_state(const struct outgoing *o);

/* Copies the bytes that the socket does not take now: the caller must limit
 * outgoing_queued_bytes(). False if the connection is not open; then nothing is sent. */
bool outgoing_send(struct outgoing *o, struct slice bytes) __attribute__((warn_unused_result));
size_t outgoing_queued_bytes(const struct outgoing *o);

/* Resets the open connection, for example after invalid input: bytes on their way to the server are
 * lost. lost() is called with this reason, a string literal. */
void outgoing_drop(struct outgoing *o, const char *why);

#endif
