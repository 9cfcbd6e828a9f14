#ifndef EDGE_EDGE_IO_H
#define EDGE_EDGE_IO_H

#include <stdbool.h>
#include <stdint.h>

/* The interface of whoever has what the edge must not touch: lists of addresses, and the time of
 * day. Filled in by app, or by a test. */
struct edge_io {
	/* Whether an address ("192.0.2.7:50000") is in http-admin-from, in http-forwarded-from. */
	bool (*is_admin)(void *arg, const char *address);
	bool (*is_forwarder)(void *arg, const char *address);
	uint64_t (*wall_s)(void *arg); /* Unix time, for the times in tokens */
	void *arg;
};

#endif
