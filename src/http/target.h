#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Request targets, queries and forms: RFC 3986, and application/x-www-form-urlencoded of the WHATWG
 * URL standard. Results are slices of the input, still encoded; http_unescape() decodes each part
 * after it was cut out.
 */
struct http_target {
	struct slice path;  /* without the '?' */
	struct slice query; /* "" if there is none */
};

struct http_target http_split_target(struct slice target);

/* Takes the next "name=value" from a query or form. Without '=' the value is ""; empty pairs are
 * skipped. False at the end. */
bool http_next_pair(struct slice *rest, struct slice *name, struct slice *value);

/* Takes the next segment of a path: "b" of "/b/c"; it may be empty. The path has to begin with '/',
 * or is at its end: false. */
bool http_next_segment(struct slice *path, struct slice *segment);

enum http_escapes {
	HTTP_PATH = 0,
	HTTP_FORM = 1 << 0,       /* of a query or form: '+' is a blank */
	HTTP_ONE_SEGMENT = 1 << 1 /* an escaped '/' is refused: not every proxy keeps it apart */
};

/*
 * Decodes %XX. Writes to out, which has room for s.len bytes, and sets *len. False, with out and
 * *len undefined, for an incomplete or invalid escape, for an escaped NUL, and for what the flags
 * refuse. The decoded bytes need not be UTF-8.
 */
bool http_unescape(struct slice s, unsigned flags, char *out, size_t *len)
    __attribute__((warn_unused_result));

#endif
