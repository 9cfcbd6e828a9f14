#ifndef EDGE_EDGE_IO_H
#define EDGE_EDGE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct task;

/* The interface of whoever has what the edge must not touch: lists of addresses, the time of day,
 * and threads. Filled in by app, or by a test. */
#define EDGE_ADDRESS_MAX 64
#define EDGE_ORIGIN_MAX 8

struct edge_address {
	char text[EDGE_ADDRESS_MAX];  /* "192.0.2.7:50000" */
	char origin[EDGE_ORIGIN_MAX]; /* see struct server_peer */
	uint8_t origin_len;
	bool is_loopback;
};

struct edge_io {
	/* Whether an address ("192.0.2.7:50000") is in http-admin-from, in http-forwarded-from. */
	bool (*is_admin)(void *arg, const char *address);
	bool (*is_forwarder)(void *arg, const char *address);
	/* Reads an IP address, with or without a port (then 0). False: text is something else. */
	bool (*read_address)(void *arg, struct slice text, struct edge_address *address);
	/*
	 * Counts a stream or WebSocket of a client behind a proxy for the limits by address, until
	 * leave_address(). False: they do not allow one more. origin: that of an edge_address.
	 */
	bool (*admit_address)(void *arg, const char *address, struct slice origin);
	void (*leave_address)(void *arg, struct slice origin);
	uint64_t (*wall_s)(void *arg); /* Unix time, for the times in tokens */
	/* Runs the task in the I/O thread of the connection, see conn_run_task(). False: there is
	 * none. NULL: the same. */
	bool (*run_task)(void *arg, void *conn, struct task *task);
	void *arg;
};

#endif
