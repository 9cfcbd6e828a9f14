#ifndef EDGE_SOCKET_H
#define EDGE_SOCKET_H

#include <stdint.h>

#include "base/bytes.h"

/*
 * Socket: a WebSocket, from the 101 response to its close frame. For this layer only.
 *
 * The codes of close frames are those of Centrifugo's protocol: clients come back after 3000 to
 * 3499 and stop after 3500 to 3999.
 */
struct buffer;
struct edge_session;

enum edge_close {
	EDGE_CLOSE_SHUTDOWN = 3001,
	EDGE_CLOSE_INTERNAL = 3004,
	EDGE_CLOSE_EXPIRED = 3005,
	EDGE_CLOSE_SLOW = 3008,
	EDGE_CLOSE_INSUFFICIENT = 3010,
	EDGE_CLOSE_MAX_AGE = 3011,
	EDGE_CLOSE_NO_PONG = 3012,
	EDGE_CLOSE_TOO_MANY = 3013,
	EDGE_CLOSE_NOT_JOINED = 3015,
	EDGE_CLOSE_TOKEN = 3500,
	EDGE_CLOSE_BAD_REQUEST = 3501,
	EDGE_CLOSE_KICKED = 3503,
	EDGE_CLOSE_CHANNELS = 3505,
	EDGE_CLOSE_DENIED = 3507,
};

/* The text of a close code, for the frame's reason. */
const char *edge_close_text(unsigned code);

/* Queues a close frame and ends the connection. */
void edge_socket_close(struct edge_session *s, unsigned code);

/* Queues a text message outside of a request. */
void edge_socket_send(struct edge_session *s, struct slice text);

/* The 101 response is queued. */
void edge_socket_began(struct edge_session *s, uint64_t now_us);

#endif
