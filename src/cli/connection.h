#ifndef CLI_CONNECTION_H
#define CLI_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct cli;
struct resp_value;

/*
 * One connection to a server: looks the name up, tries each address in turn, makes it TLS where
 * that is asked for, authenticates, and then sends commands and hands over what comes back, in
 * order. It does not match replies to commands, and it does not connect again by itself: whoever
 * owns it may open it again.
 */
struct connection;

enum connection_end {
	CONNECTION_FAILED,  /* it was never made */
	CONNECTION_DENIED,  /* the server answered the greeting with an error */
	CONNECTION_LOST,    /* it was made and ended */
	CONNECTION_GARBLED, /* what came is no RESP, or is larger than any reply should be */
};

/* Each may close or open the connection again, but not free it. */
struct connection_events {
	/* Connected and authenticated. */
	void (*ready)(void *arg);
	/* A reply or a push; borrows the value. */
	void (*reply)(const struct resp_value *value, void *arg);
	/* All that had arrived was handed over: the time to flush what was made of it. Or NULL. */
	void (*pause)(void *arg);
	/* Little is left to send. Or NULL. */
	void (*drained)(void *arg);
	/* It ended and not by connection_close(). text is for a person. */
	void (*closed)(enum connection_end end, const char *text, void *arg);
};

/* To the target of cli. proto is 2 or 3. Borrows all pointers. Returns owned (connection_free). */
struct connection *connection_new(
    const struct cli *cli, int proto, const struct connection_events *events, void *arg);
void connection_free(struct connection *c);

/* Blocks while the name is looked up; then works in the loop. May call closed() at once. */
void connection_open(struct connection *c);
void connection_close(struct connection *c);

/* Once ready. Copies the arguments, sends in the loop. */
void connection_send(struct connection *c, const struct slice *args, size_t count);

/* Bytes that wait to be sent: what bounds how much a caller may queue. */
size_t connection_unsent_bytes(const struct connection *c);

/* The exit status that stands for an end. */
int connection_end_status(enum connection_end end);

#endif
