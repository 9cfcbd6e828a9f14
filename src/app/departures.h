#ifndef APP_DEPARTURES_H
#define APP_DEPARTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/key_stream.h"

/*
 * Departures: after an upgrade the clients of the old process stay with it until it closes them.
 * The members of channels that they are pass to the successor at once; so it is told, over a socket
 * of its own, when the last connection of such a member has left. The end of the socket means that
 * all have: whatever happens to the old process, no member stays in the successor because of it.
 */
struct net_watch;
struct wiring;

struct departures {
	struct wiring *wiring;   /* borrowed */
	int fd;                  /* owned; -1: closed */
	struct net_watch *watch; /* owned; NULL: none */
	/* The old process: */
	bool sends;
	struct buffer queue; /* of the stream */
	size_t sent;         /* of the queue */
	uint64_t offset;     /* the end of the queue in the stream */
	/* The successor: */
	struct key_stream_reader reader;
};

void departures_init(struct departures *d, struct wiring *wiring);

/* Call it before the event loop is released; closes the socket. */
void departures_release(struct departures *d);

/* Each takes fd; the successor's may be -1: all have left. */
void departures_send(struct departures *d, int fd);
void departures_receive(struct departures *d, int fd);

/* The old process: call it at the end of each turn. */
void departures_turn_ends(struct departures *d);

#endif
