#ifndef EDGE_SESSION_STATE_H
#define EDGE_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* The life of a session. One table says which state each event leads to. */
enum edge_state {
	EDGE_REQUESTS, /* HTTP: between two requests, or in one */
	EDGE_OPENING,  /* an event stream was asked for, and its kept messages are being looked for
			*/
	EDGE_STREAM,   /* an event stream */
	EDGE_JOINING,  /* a WebSocket that has not sent its connect command */
	EDGE_SOCKET,   /* a WebSocket */
	EDGE_ENDED,    /* nothing more is read from it or sent to it but what is queued */
};
#define EDGE_STATES (EDGE_ENDED + 1)

enum edge_event {
	EDGE_EVENT_OPEN,    /* a request for an event stream is valid */
	EDGE_EVENT_REFUSE,  /* the stream cannot be opened: the request has its answer */
	EDGE_EVENT_STREAM,  /* the head of the stream is queued */
	EDGE_EVENT_UPGRADE, /* the 101 response is queued */
	EDGE_EVENT_CONNECT, /* the connect command succeeded */
	EDGE_EVENT_END,
};
#define EDGE_EVENTS (EDGE_EVENT_END + 1)

/* True if the event is possible in *state (an enum edge_state); *state is then the next one. */
bool edge_state_move(uint8_t *state, enum edge_event event);

#endif
