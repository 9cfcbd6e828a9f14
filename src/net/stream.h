#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* One read of a busy connection, and the most that is gathered for one write. */
#define STREAM_ROOM_BYTES 65536

/*
 * Stream: the bytes of one connection, and the events of its socket.
 *
 * An event only says that there is something to read; who is asked to read first, and how much, is
 * the caller's business. Bytes go between the socket and the caller's memory, through no buffer of
 * the stream's own. It knows nothing of requests and outboxes. For this layer only.
 */
struct stream_handler {
	/* Told again each time round until it is read, or reading is switched off. ending: the peer
	 * has sent its last byte, if the system says so early; reading tells in any case. */
	void (*readable)(void *arg, bool ending);
	void (*writable)(void *arg); /* once after each stream_await_writable */
};

struct stream {
	struct event event;                   /* there is something to read */
	struct event *writable;               /* NULL until it has to be waited for */
	const struct stream_handler *handler; /* borrowed */
	void *arg;
	int fd;
	bool reading;
};

/* Borrows base and handler, takes fd; not reading yet. */
void stream_open(struct stream *s, struct event_base *base, int fd,
    const struct stream_handler *handler, void *arg);
void stream_close(struct stream *s); /* closes fd */

/* False where the system cannot watch one more; the stream is then of no use any more. */
bool stream_watch(struct stream *s, bool on) __attribute__((warn_unused_result));
bool stream_await_writable(struct stream *s) __attribute__((warn_unused_result));
void stream_stop(struct stream *s); /* nothing is told any more */

/* What the socket has now, at most len bytes; 0: the peer will send no more; -1 with errno (EAGAIN:
 * nothing now). */
ssize_t stream_read(struct stream *s, void *room, size_t len);
bool stream_has_unread(const struct stream *s);

/*
 * Writes what the socket takes now; how much, or -1 with errno (EAGAIN: nothing now). Many small
 * pieces cost more as an iovec than copied together, for which there is room (STREAM_ROOM_BYTES).
 * Changes pieces.
 */
ssize_t stream_write(struct stream *s, struct iovec *pieces, size_t count, char *room);

#endif
