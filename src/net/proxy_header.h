#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"

/*
 * The header in which a load balancer names the client of a connection: the PROXY protocol,
 * versions 1 and 2 (haproxy's doc/proxy-protocol.txt).
 *
 * It is fed in any pieces, and never takes a byte behind the header. It keeps at most PROXY_V1_MAX
 * bytes; parts of version 2 other than addresses are skipped, up to PROXY_V2_MAX bytes in all. It
 * opens no socket.
 */
#define PROXY_V1_MAX 107
#define PROXY_V2_MAX 4096

enum proxy_result {
	PROXY_MORE,
	PROXY_DONE,
	PROXY_BAD, /* invalid header; see error */
};

struct proxy_header {
	unsigned char head[PROXY_V1_MAX];
	uint32_t len;       /* bytes taken */
	uint32_t full_len;  /* of version 2, once known; 0 before */
	bool has_addresses; /* false for LOCAL, UNKNOWN, a Unix socket: use the socket's own
			       addresses */
	struct sockaddr_storage source; /* the client */
	struct sockaddr_storage destination;
	const char *error; /* a literal */
};

void proxy_header_init(struct proxy_header *header);

/* *taken of the bytes belong to the header; with PROXY_MORE, all of them. Must not be called again
 * after another result. */
enum proxy_result proxy_header_feed(struct proxy_header *header, struct slice bytes, size_t *taken)
    __attribute__((warn_unused_result));

#endif
