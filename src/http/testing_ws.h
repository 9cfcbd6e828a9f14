#ifndef HTTP_TESTING_WS_H
#define HTTP_TESTING_WS_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/protocol.h"

/*
 * A WebSocket client for tests: it writes any frame, valid or not, and notes the requests that a
 * protocol makes of its bytes.
 */

/* The first byte of a frame is a sum of these and the opcode. */
enum { TESTING_FIN = 0x80, TESTING_RSV1 = 0x40, TESTING_RSV2 = 0x20, TESTING_RSV3 = 0x10 };

/* Appends a masked frame. */
void testing_ws_frame(struct buffer *out, unsigned first, struct slice payload);

/*
 * Feeds the bytes in pieces of at most piece_len bytes (0: all at once), each in memory of its own
 * that is freed afterwards, and appends "letter:payload;" to *heard for each request. Stops at an
 * error and appends "!" and the error; appends "+" if the state cannot be shared afterwards. Calls
 * settle() after each piece.
 */
void testing_ws_feed(const struct protocol *protocol, const struct protocol_limits *limits,
    struct slice bytes, size_t piece_len, struct buffer *heard);

#endif
