#ifndef HTTP_WS_HANDSHAKE_H
#define HTTP_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The opening handshake of a WebSocket (RFC 6455, section 4.2) and the negotiation of
 * permessage-deflate (RFC 7692, section 7.1). It does not look at the target, Origin or rights.
 *
 * If compression is agreed on, neither side keeps a context, and the server's window has 32 KiB, so
 * that compressed bytes can be shared by all connections (http/ws_deflate.h). An offer that does
 * not allow this is declined: the connection then has no compression, or that of a later offer.
 */
enum ws_handshake_fault {
	WS_HANDSHAKE_OK,
	WS_HANDSHAKE_METHOD,  /* not GET */
	WS_HANDSHAKE_PLAIN,   /* not a request for an upgrade to WebSocket */
	WS_HANDSHAKE_VERSION, /* of the WebSocket protocol */
	WS_HANDSHAKE_KEY,
};

struct ws_handshake {
	struct slice key;         /* of the request */
	struct slice subprotocol; /* the one that was chosen, or empty */
	bool deflates;            /* use ws_deflate_protocol */
	bool names_window;        /* the offer has server_max_window_bits */
};

/*
 * Judges a request (its args: see http/protocol.h). Compression is agreed on only if may_deflate.
 * subprotocol (NULL: none) is chosen if the client offers it. *result is valid while the arguments
 * are.
 */
enum ws_handshake_fault ws_handshake_judge(const struct slice *args, size_t count, bool may_deflate,
    const char *subprotocol, struct ws_handshake *result) __attribute__((warn_unused_result));

/* Appends the response to a valid request: status 101. */
void ws_handshake_put(struct buffer *out, const struct ws_handshake *handshake);

/* For the response to another one: its status, the header lines that it must have, and a text. */
unsigned ws_handshake_status(enum ws_handshake_fault fault);
struct slice ws_handshake_headers(enum ws_handshake_fault fault);
const char *ws_handshake_text(enum ws_handshake_fault fault);

#endif
