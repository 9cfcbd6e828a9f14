#ifndef HTTP_WS_FRAME_H
#define HTTP_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Writes the frames of a WebSocket server (RFC 6455, section 5): whole messages, unmasked.
 */
enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

enum {
	WS_HEAD_MAX = 10,     /* bytes of the longest head that a server writes */
	WS_CONTROL_MAX = 125, /* bytes of payload of a close, ping or pong */
	WS_REASON_MAX = WS_CONTROL_MAX - 2,
};

/* Bytes of the head of a frame with len bytes of payload. */
size_t ws_head_len(size_t len);

/* Writes the head to out, which has room for it, and returns its length. is_compressed sets RSV1
 * (RFC 7692). */
size_t ws_write_head(char *out, enum ws_opcode opcode, bool is_compressed, size_t len);

/* Appends a frame. The payload of a close, ping or pong has at most WS_CONTROL_MAX bytes. */
void ws_put_frame(struct buffer *out, enum ws_opcode opcode, struct slice payload);

/*
 * Appends a close frame: code is 1000 to 4999; 0 stands for no code and no reason. A reason longer
 * than WS_REASON_MAX bytes is cut between two characters; it is valid UTF-8.
 */
void ws_put_close(struct buffer *out, unsigned code, struct slice reason);

#endif
