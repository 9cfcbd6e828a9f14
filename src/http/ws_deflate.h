#ifndef HTTP_WS_DEFLATE_H
#define HTTP_WS_DEFLATE_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Compressed WebSocket messages that share a compressed part (RFC 7692 and RFC 1951, without
 * context takeover).
 *
 * The payload of a message of a channel is compressed once; each text that surrounds it is stored
 * beside it, uncompressed. The payload of a frame is these blocks, in this order:
 *
 *	ws_write_stored(): the text before
 *	ws_deflate():      the compressed payload; ends at a byte boundary
 *	ws_write_stored(): the text behind
 *	ws_deflate_end():  the end of the message
 *
 * Any sequence of stored and compressed blocks is valid. Peers must accept a window of 32 KiB
 * (http/ws_handshake.h declines other offers).
 */
struct ws_deflater;

struct ws_deflater *ws_deflater_new(void);           /* returns owned (ws_deflater_free) */
void ws_deflater_free(struct ws_deflater *deflater); /* NULL is allowed */

/* Appends payload, compressed. An empty payload gives nothing. */
void ws_deflate(struct ws_deflater *deflater, struct slice payload, struct buffer *out);

/* Bytes that a stored text of len bytes takes; 0 for none. */
size_t ws_stored_len(size_t len);

/* Writes text to out, which has room for it, and returns ws_stored_len(text.len). */
size_t ws_write_stored(char *out, struct slice text);

enum { WS_DEFLATE_END_LEN = 1 };

/* Writes the end of a message to out, which has room for it, and returns WS_DEFLATE_END_LEN. */
size_t ws_deflate_end(char *out);

#endif
