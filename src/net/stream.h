#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/tls_stream.h"

/* One read of a busy connection, and the most that is gathered for one write. */
#define STREAM_ROOM_BYTES 65536

/*
 * Stream: the bytes of one connection, plain or over TLS, and the events of its socket.
 *
 * An event only says that there is something to read; when to read, and how much, is the caller's
 * decision. Bytes go between the socket and the caller's memory, through no buffer of
 * the stream's own. It knows nothing of requests and outboxes. For this layer only.
 */
struct stream;

struct stream_handler {
	/* Told again each time round until it is read, or reading is switched off. ending: the peer
	 * has sent its last byte, if the system says so early; reading tells in any case. */
	void (*readable)(struct stream *s, bool ending);
	void (*writable)(struct stream *s); /* once after each stream_await_writable */
};

struct stream {
	struct event event;                   /* there is something to read */
	struct event *writable;               /* NULL until it has to be waited for */
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

/* False where the system cannot watch one more; the stream is then unusable. */
bool stream_watch(struct stream *s, bool on) __attribute__((warn_unused_result));
bool stream_await_writable(struct stream *s) __attribute__((warn_unused_result));
void stream_stop(struct stream *s); /* nothing is told any more */

/* What the socket has now, at most len bytes; 0: the peer will send no more; -1 with errno (EAGAIN:
 * nothing now; EPROTO: see stream_reason). */
ssize_t stream_read(struct stream *s, void *room, size_t len);
bool stream_has_unread(const struct stream *s);
const char *stream_reason(const struct stream *s); /* why TLS failed; NULL: it has not */

/* Our side sends no more. */
void stream_shut(struct stream *s);

/*
 * Writes what the socket takes now; how much, or -1 with errno (EAGAIN: nothing now). Many small
 * pieces cost more as an iovec than copied together, for which there is room (STREAM_ROOM_BYTES).
 * Changes pieces. All of it may have been taken, and the socket be full (stream_is_full): then some
 * of it waits here, and what comes next has to.
 */
ssize_t stream_write(struct stream *s, struct iovec *pieces, size_t count, char *room);
bool stream_is_full(const struct stream *s);

#endif
