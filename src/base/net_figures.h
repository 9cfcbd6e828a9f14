#ifndef BASE_NET_FIGURES_H
#define BASE_NET_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/durations.h"

/*
 * Figures that the network layer counts and INFO, CLIENT LIST and OUTBOX LIST show. They are in
 * base because net and server do not know each other.
 */
struct net_figures {
	uint64_t accepted;
	uint64_t refused_fds; /* accepts that failed because descriptors or memory ran out */
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t turns;
	uint64_t longest_turn_us; /* work only, not waiting */
	struct durations turn_durations;
	uint64_t closed_stalled;
	uint64_t closed_idle;
	uint64_t closed_slow_requests; /* closed because a request took longer than request_s */
	uint64_t tls_handshakes;       /* completed handshakes */
	uint64_t tls_resumed;          /* handshakes among these that resumed a session */
	uint64_t tls_failed;
	size_t tls_handshaking;
	int64_t tls_expires; /* Unix time at which the first of all TLS files expires; 0: no TLS */
	uint64_t closed_unauthenticated; /* closed because auth_timeout_s passed */
	uint64_t refused_unauthenticated;
	size_t unauthenticated; /* connections that have completed no request, or not logged in */
	uint64_t refused_address_count; /* address_limits_config.connections */
	uint64_t refused_address_rate;  /* ... .rate */
	uint64_t refused_proxy;         /* no valid PROXY header in time */
	size_t addresses;               /* that the address limits count */
	size_t proxy_pending;           /* connections whose PROXY header is incomplete */
	size_t connections;
};

/* The figures of one event loop. */
struct net_loop_figures {
	size_t connections;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t cpu_us; /* of its thread */
};

struct conn_figures {
	size_t input_bytes; /* unparsed, or part of an incomplete request */
	size_t input_room_bytes;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t active_us;      /* when the last byte was read or written */
	bool readable, writable; /* events it waits for, for CLIENT LIST */
	int fd;
	unsigned loop; /* number of the event loop that serves the connection */
};

#endif
