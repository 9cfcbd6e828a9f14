#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Writes responses of HTTP/1.1 (RFC 9112 4). The status line says 1.1 also to clients of 1.0, as
 * RFC 9110 6.2 wants it. There is no Date field: an origin server needs a clock for it, and only
 * caches use it.
 */

/* A phrase for a status code; "Unknown" if it has none here. */
const char *http_reason(unsigned status);

void http_put_status(struct buffer *out, unsigned status); /* the status line, with CR LF */

/* A line "name: value". Control characters in the value are replaced by blanks, so that no value
 * can add a line. */
void http_put_header(struct buffer *out, const char *name, struct slice value);

void http_put_connection(struct buffer *out, bool keep_alive); /* the field Connection */
void http_put_head_end(struct buffer *out);

struct http_response {
	unsigned status;
	bool is_head;             /* the request was HEAD: the head only, with the body's length */
	bool keep_alive;          /* false: "Connection: close" */
	struct slice extra;       /* more header lines, each with CR LF */
	const char *content_type; /* NULL: none */
	struct slice body;        /* must be empty for 204 and 304 */
};

void http_put_response(struct buffer *out, const struct http_response *response);

/* The response to an invalid request: error is that of the protocol, "400 text". The text is the
 * body. The connection has to be closed. */
void http_put_error(struct buffer *out, const char *error);

#endif
