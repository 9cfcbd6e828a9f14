#ifndef HTTP_WS_PROTOCOL_H
#define HTTP_WS_PROTOCOL_H

#include "base/protocol.h"

/*
 * WebSocket messages (RFC 6455) as requests, for a connection whose handshake is done
 * (http/ws_handshake.h).
 *
 * A request has two arguments: a letter, t text, b binary, i ping, o pong, c close; and the
 * payload: unmasked, of all fragments, inflated. A text is valid UTF-8. The payload of a close is
 * empty, or two bytes of a valid code and a reason in UTF-8; what follows it is discarded.
 *
 * error() begins with the code for the close frame and a blank: "1002 ..." (protocol error), "1007
 * ..." (invalid UTF-8 or deflate data), "1009 ..." (larger than the limit arg_bytes, which also
 * applies while a message is inflated). Invalid UTF-8 is found as soon as it arrives, unless the
 * message is compressed.
 *
 * Before authentication a message has at most 16 KiB.
 */
extern const struct protocol ws_protocol;

/* With permessage-deflate (RFC 7692). The peer has agreed to client_no_context_takeover. */
extern const struct protocol ws_deflate_protocol;

#endif
