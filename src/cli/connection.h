#ifndef CLI_CONNECTION_H
#define CLI_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct cli;
struct resp_value;

/*
 * One connection to a server: looks up the name, tries each address in turn, starts TLS if
 * configured, authenticates, and then sends commands and passes on replies and pushes in order. It
 * does not match replies to commands and does not reconnect by itself; its owner may reopen it.
 */
struct connection;

enum connection_end {
	CONNECTION_FAILED,  /* could not connect */
	CONNECTION_DENIED,  /* error reply to the greeting */
	CONNECTION_LOST,    /* closed after it was established */
	CONNECTION_GARBLED, /* invalid RESP, or a reply larger than the limit */
};

/* Each callback may close or reopen the connection, but not free it. */
struct connection_events {
	/* Connected and authenticated. */
	void (*ready)(void *arg);
	/* A reply or a push; borrows the value. */
	void (*reply)(const struct resp_value *value, void *arg);
	/* All data that has arrived was passed on: time to flush the output. Or NULL. */
	void (*pause)(void *arg);
	/* The send queue is almost empty. Or NULL. */
	void (*drained)(void *arg);
	/* The connection ended, but not by connection_close(). text is a message for the user. */
	void (*closed)(enum connection_end end, const char *text, void *arg);
};

/* For cli's target. proto is 2 or 3. Borrows all pointers. Returns owned (connection_free). */
struct connection *connection_new(
    const struct cli *cli, int proto, const struct connection_events *events, void *arg);
void connection_free(struct connection *c);

/* Blocks during the name lookup, then works in the event loop. May call closed() at once. */
void connection_open(struct connection *c);
void connection_close(struct connection *c);

/* Allowed after ready(). Copies the arguments and sends them in the event loop. */
void connection_send(struct connection *c, const struct slice *args, size_t count);

/* Bytes in the send queue; callers use it to limit what they queue. */
size_t connection_unsent_bytes(const struct connection *c);

/* The exit status for a reason. */
int connection_end_status(enum connection_end end);

#endif
