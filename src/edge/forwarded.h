#ifndef EDGE_FORWARDED_H
#define EDGE_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Forwarded: who the client of a request is, if the connection is one of a proxy.
 *
 * A proxy in http-forwarded-from appends the address from which it got the request to the header
 * X-Forwarded-For. What stands in front of it came with that request, and is believed only if that
 * address is one of a proxy too. The header of any other peer has no meaning but that its client is
 * unknown, and so no administrator.
 */
struct edge_address;
struct edge_io;
struct edge_session;
struct request;

enum edge_forwarded {
	EDGE_FORWARDED_NOT,     /* there is no such header */
	EDGE_FORWARDED_KNOWN,   /* *address is that of the client */
	EDGE_FORWARDED_UNKNOWN, /* the place of the client's address has something else */
};

/* args are those of a request (http/protocol.h) that came from a proxy. */
enum edge_forwarded edge_forwarded_find(
    const struct slice *args, size_t count, const struct edge_io *io, struct edge_address *address);

/*
 * Gives the session's client the address of the request's client, until the next request; a stream
 * or WebSocket keeps it. False: it has that of the proxy, because the client's address cannot be
 * read, or the peer is not known as a proxy. Such a client has no privileges by its address.
 */
bool edge_forwarded_apply(struct edge_session *s, const struct request *rq)
    __attribute__((warn_unused_result));

/* A stream or WebSocket begins: counts it for the address of its client, if that is behind a proxy,
 * until edge_forwarded_leave(). False: the limits by address do not allow one more. */
bool edge_forwarded_admit(struct edge_session *s) __attribute__((warn_unused_result));

/* It has ended, or has not begun after all. Call it while the client has its peer. */
void edge_forwarded_leave(struct edge_session *s);

/* The text for the peer, after edge_forwarded_admit(). */
#define EDGE_FORWARDED_REFUSAL "too many connections of this address"

#endif
