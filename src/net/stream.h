#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/tls_stream.h"

/* The most bytes of one read, and the most that are gathered for one write. */
#define STREAM_ROOM_BYTES 65536

/*
 * Stream: the bytes of one connection, plain or over TLS, and the events of its socket.
 *
 * An event only reports that the socket is readable; the caller decides when to read, and how much.
 * Bytes are copied between the socket and the caller's memory; the stream has no buffer of its own.
 * It does not know requests or outboxes. For this layer only.
 */
struct stream;

struct stream_handler {
	/*
	 * Called in each iteration of the loop until the bytes are read or reading is switched off.
	 * ending: the system has reported that the peer has sent its last byte; it may not do so
	 * before stream_read() returns 0.
	 */
	void (*readable)(struct stream *s, bool ending);
	void (*writable)(struct stream *s); /* once after each stream_await_writable */
};

struct stream {
	struct event event;                   /* readable */
	struct event *writable;               /* NULL until it is needed */
	const struct stream_handler *handler; /* borrowed */
	struct tls_stream *tls;               /* NULL: plain */
	int fd;
	bool reading;
	bool awaits_writable;
};

/* Borrows base and handler, takes fd and tls; not reading yet. */
void stream_open(struct stream *s, struct event_base *base, int fd, struct tls_stream *tls,
    const struct stream_handler *handler);
void stream_close(struct stream *s); /* closes fd */

/* False if the system cannot watch the socket; the stream is then unusable. */
bool stream_watch(struct stream *s, bool on) __attribute__((warn_unused_result));
bool stream_await_writable(struct stream *s) __attribute__((warn_unused_result));
void stream_stop(struct stream *s); /* no callback is called any more */

/* Reads at most len bytes. 0: the peer has sent its last byte; -1 with errno (EAGAIN: nothing to
 * read now; EPROTO: see stream_reason). */
ssize_t stream_read(struct stream *s, void *room, size_t len);
bool stream_has_unread(const struct stream *s);
const char *stream_reason(const struct stream *s); /* why TLS failed; NULL: it has not failed */

/* Shuts our side of the connection. */
void stream_shut(struct stream *s);

/*
 * Writes as much as the socket takes now; returns the number of bytes, or -1 with errno (EAGAIN:
 * the socket is full). Many small pieces are copied together into room (STREAM_ROOM_BYTES), which
 * costs less than a long iovec. Changes pieces. With TLS all bytes may be taken although the socket
 * is full (stream_is_full): then encrypted bytes wait here, and further writes must wait.
 */
ssize_t stream_write(struct stream *s, struct iovec *pieces, size_t count, char *room);
bool stream_is_full(const struct stream *s);

#endif
