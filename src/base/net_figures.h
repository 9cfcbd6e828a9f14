#ifndef BASE_NET_FIGURES_H
#define BASE_NET_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Figures that the network layer counts and INFO, CLIENT LIST and OUTBOX LIST show. They are in
 * base because net and server do not know each other.
 */
struct net_figures {
	uint64_t accepted;
	uint64_t refused_fds; /* accepts that failed for want of descriptors or memory */
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t turns;
	uint64_t longest_turn_us; /* work only, not waiting */
	uint64_t closed_stalled;
	uint64_t closed_idle;
	uint64_t tls_handshakes; /* that were completed */
	uint64_t tls_resumed;    /* ... with a session from before */
	uint64_t tls_failed;
	size_t tls_handshaking;
	int64_t tls_expires; /* Unix time, of the first to expire of all TLS files; 0: no TLS */
	uint64_t closed_unauthenticated; /* auth_timeout_s */
	uint64_t refused_unauthenticated;
	size_t unauthenticated; /* connections that have completed no request, or not logged in */
	uint64_t refused_address_count; /* address_limits_config.connections */
	uint64_t refused_address_rate;  /* ... .rate */
	uint64_t refused_proxy;         /* no good PROXY header, or not in time */
	size_t addresses;               /* known to the limits */
	size_t proxy_pending;           /* whose PROXY header has not come whole */
	size_t connections;
};

/* The share of one of several loops. */
struct net_loop_figures {
	size_t connections;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t cpu_us; /* of its thread */
};

struct conn_figures {
	size_t input_bytes; /* unparsed or of an unfinished request */
	size_t input_room_bytes;
	uint64_t read_bytes;
	uint64_t written_bytes;
	bool readable, writable; /* events it waits for, for CLIENT LIST */
	int fd;
	unsigned loop; /* where there are several */
};

#endif
