#ifndef HTTP_PROTOCOL_H
#define HTTP_PROTOCOL_H

#include "base/protocol.h"
#include "http/request.h"

/*
 * HTTP/1.1 as a protocol of the network layer (base/protocol.h): strict requests of RFC 9112.
 *
 * The arguments of a request are the members of enum http_arg, then the name and the value of each
 * header field; values are without the blanks around them. What the service can rely on:
 * - The method is a token. The target is in origin-form ("/path?query", visible ASCII without '#'),
 *   or "*" of OPTIONS.
 * - Names are tokens; values have no control character except HTAB, so no CR, LF or NUL.
 * - There is exactly one Host in a request of HTTP/1.1, and at most one in HTTP/1.0.
 * - The body is complete, with its chunks joined. Trailers are dropped.
 *
 * Every request ends the batch, because it may switch the protocol.
 *
 * A request with an empty method (and nothing else: count is HTTP_FIELDS) announces that the client
 * waits for "100 Continue" before it sends the body. The request itself follows.
 *
 * Whatever two HTTP parsers could read differently is refused: folded lines, a bare CR or LF,
 * blanks before a colon, Content-Length beside Transfer-Encoding, a repeated Content-Length, any
 * transfer coding but "chunked". error() is a status code, a blank and a text: "400 line ends with
 * a bare LF"; the connection cannot be used further. See http_put_error().
 *
 * Limits: line_bytes is for the whole head, and for the trailers; arg_bytes is for the body;
 * arg_count is HTTP_FIELDS + 2 for each header field. They are the same before authentication,
 * because the credentials are in the request.
 */
extern const struct protocol http_protocol;

#endif
