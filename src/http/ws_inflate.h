#ifndef HTTP_WS_INFLATE_H
#define HTTP_WS_INFLATE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Inflates the messages of a WebSocket client that uses no context takeover (RFC 7692, section
 * 7.2.2). The length of the result is limited while it is made.
 */
struct ws_inflater;

enum { WS_INFLATER_BYTES = 48 << 10 }; /* about the memory of one, most of it zlib's window */

enum ws_inflate_result {
	WS_INFLATE_DONE,
	WS_INFLATE_INVALID,
	WS_INFLATE_TOO_LARGE, /* the result would be longer than most_len */
};

struct ws_inflater *ws_inflater_new(void);           /* returns owned (ws_inflater_free) */
void ws_inflater_free(struct ws_inflater *inflater); /* NULL is allowed */

/* Appends the inflated message to the open piece of *out, which is empty. If the result is not
 * DONE, a part of the message may be in *out. */
enum ws_inflate_result ws_inflate(struct ws_inflater *inflater, struct slice message,
    size_t most_len, struct arena *out) __attribute__((warn_unused_result));

#endif
