#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * Stream: the bytes of one connection, over a bufferevent.
 *
 * Input comes through the bufferevent's buffer. Output goes from the caller's memory to the socket
 * at once; the bufferevent only tells when there is room again. A stream that has nothing to read
 * can rest: its bufferevent, a kilobyte, is given back, and a bare event waits in its place until
 * the peer sends something; most subscribers never do. It knows nothing of requests and outboxes.
 * For this layer only.
 */
struct evbuffer;
struct event_base;

struct stream_handler {
	void (*readable)(void *arg); /* stream_input() has more */
	void (*writable)(void *arg); /* after stream_await_writable */
	void (*ended)(
	    void *arg, const char *error); /* error: a literal; NULL: the peer will send no more */
};

struct stream {
	struct event_base *base;
	const struct stream_handler *handler; /* borrowed */
	void *arg;
	struct bufferevent *bev; /* NULL while it rests */
	struct event *rest;      /* NULL unless it rests */
	int fd;
	bool reading;
};

/* Borrows base and handler, takes fd; not reading yet. False, and fd is closed, where libevent
 * fails. */
bool stream_open(struct stream *s, struct event_base *base, int fd,
    const struct stream_handler *handler, void *arg) __attribute__((warn_unused_result));
void stream_close(struct stream *s); /* closes fd */

void stream_read(struct stream *s, bool on);
void stream_await_writable(struct stream *s);
void stream_stop(struct stream *s); /* nothing is told any more */

/* What was read and not yet drained. NULL while it rests. */
struct evbuffer *stream_input(const struct stream *s);
size_t stream_input_len(const struct stream *s);
bool stream_has_unread(const struct stream *s); /* in the buffer, or still in the kernel */

/* Writes what the socket takes now; how much, or -1 with errno (EAGAIN: nothing now). */
ssize_t stream_write(struct stream *s, struct iovec *pieces, size_t count);

/* Nothing came for a while. Does nothing unless it reads and has no input. */
void stream_rest(struct stream *s);

#endif
