#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The lines of a request's head: RFC 9112 2 to 6, as strict as http/protocol.h says. A line is
 * given with its LF. All functions return NULL, or why the request is invalid: a literal that
 * begins with the status code of the response, "400 text". It knows nothing of how lines arrive.
 */

/* Cuts the CR LF from a line. */
const char *http_cut_line_end(struct slice *line) __attribute__((warn_unused_result));

struct http_request_line {
	struct slice method;
	struct slice target;
	bool is_1_0;
};

/* The line is without its end. */
const char *http_read_request_line(struct slice line, struct http_request_line *out)
    __attribute__((warn_unused_result));

/* The line is without its end, and not empty. */
const char *http_read_field(struct slice line, struct slice *name, struct slice *value)
    __attribute__((warn_unused_result));

/* What the fields say about the body, and whether each of them may be there. */
struct http_framing {
	bool is_1_0;
	bool has_host;
	bool has_length;
	bool is_chunked;
	bool expects_continue;
	uint64_t length; /* of the body; UINT64_MAX also if it is larger */
};

const char *http_frame_field(struct http_framing *framing, struct slice name, struct slice value)
    __attribute__((warn_unused_result));
const char *http_frame_end(const struct http_framing *framing) __attribute__((warn_unused_result));

#endif
