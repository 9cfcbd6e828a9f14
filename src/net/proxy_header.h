#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"

/*
 * The header with which a balancer says for whom it connects: the PROXY protocol, versions 1 and 2
 * (haproxy's doc/proxy-protocol.txt).
 *
 * Incremental, in any pieces, and it never takes a byte that stands behind the header. Bounded: it
 * keeps at most PROXY_V1_MAX bytes; what version 2 has besides addresses is passed over, up to
 * PROXY_V2_MAX in all. It opens no socket.
 */
#define PROXY_V1_MAX 107
#define PROXY_V2_MAX 4096

enum proxy_result {
	PROXY_MORE,
	PROXY_DONE,
	PROXY_BAD, /* no header; error says why */
};

struct proxy_header {
	unsigned char head[PROXY_V1_MAX];
	uint32_t len;       /* bytes taken */
	uint32_t full_len;  /* of version 2, once known; 0 before */
	bool has_addresses; /* else the connection's own hold: LOCAL, UNKNOWN, a Unix socket */
	struct sockaddr_storage source; /* the client */
	struct sockaddr_storage destination;
	const char *error; /* a literal */
};

void proxy_header_init(struct proxy_header *header);

/* *taken of the bytes belong to the header: all of them where PROXY_MORE is returned. Not to be
 * called again after another result. */
enum proxy_result proxy_header_feed(struct proxy_header *header, struct slice bytes, size_t *taken)
    __attribute__((warn_unused_result));

#endif
