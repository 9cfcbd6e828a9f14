#ifndef NET_IO_LOOP_H
#define NET_IO_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mailbox.h"
#include "base/protocol.h"
#include "net/net.h"
#include "net/tls_stream.h"

/*
 * I/O loops: event loops in other threads, which read, parse and write for the main loop.
 *
 * A loop has the sockets of its connections, each as a link, and nothing else: no client, no
 * outbox, no hub. The main loop sends orders, an I/O loop answers with reports; both are sent in
 * batches, with at most one wake-up for each batch. Bytes that an order points to (to be written)
 * belong to the main loop, which must not change them before the report. Requests in a report
 * belong to the main loop until it gives them back. So no memory is used by two threads at once,
 * and nothing is locked.
 *
 * Orders for a link are carried out in the order in which they were given, and the reports on it
 * come in that order. After requests were reported nothing more is read until io_link_resume()
 * gives them back: so while a request waits in the main loop, nothing is read from its peer. A
 * batch holds the bytes of one read of at most STREAM_ROOM_BYTES, and about as much memory beside
 * them; only an argument that came in several reads may be larger.
 *
 * All functions are for the main thread. For the net layer only.
 */
struct io_loop;
struct io_link;
struct task;

/* Requests read from one link, in order. */
struct io_requests {
	size_t count;
	size_t next;        /* used by the main loop: number of requests that are done */
	size_t bytes;       /* memory of the whole struct */
	bool ends_batch;    /* the last request ends the batch: nothing behind it was parsed */
	char *error;        /* the protocol error behind them, or NULL */
	size_t *argc;       /* number of arguments of each request */
	struct slice *args; /* arguments of all; the next request's begin here */
	struct arena arena; /* memory of some of the arguments */
};

enum io_what {
	IO_READ,     /* bytes were read; requests (taken) or NULL */
	IO_END,      /* the peer has sent its last byte */
	IO_WRITTEN,  /* len bytes of the pieces were written; is_full: the socket took fewer than
			offered, and IO_WRITABLE will follow */
	IO_WRITABLE, /* the socket is writable again */
	IO_FAILED,   /* error is an errno; nothing more is read or written */
	IO_SECURED,  /* the TLS handshake is done; text (taken): the client's user, or NULL */
	IO_STOPPED,  /* the last report on this link */
	IO_RAN,      /* not of a link: owner is the task (struct task) that was run */
};

struct io_report {
	void *owner; /* the link's owner, as given to io_link_open(); IO_RAN: the task */
	struct io_requests *requests;
	size_t len;        /* bytes read or written */
	size_t held_bytes; /* IO_READ: bytes of an incomplete request */
	size_t room_bytes; /* IO_READ: memory allocated for it */
	enum io_what what;
	const char *reason; /* IO_FAILED: why the input is invalid, a literal; or NULL */
	char *text;
	int error;
	bool is_resumed; /* IO_SECURED: an earlier session was resumed */
	bool is_full;
	bool is_writing; /* IO_FAILED: a write failed, not a read */
};

/* Few, because a report makes room for more orders. */
#define IO_REPORTS_MAX 8

/*
 * The most subscribers for which one loop writes at a time. The output of its other subscribers
 * grows meanwhile, and many messages in one write cost the kernel hardly more than one. The loop is
 * given more writes when it has reported the first half, so that it never runs out of them.
 */
#define IO_WRITES_MAX (2 * IO_REPORTS_MAX)

struct io_reports {
	struct mail mail;
	size_t count;
	struct io_report items[IO_REPORTS_MAX];
};

/* Limits that may change at any time: each loop has its own copy. */
struct io_limits {
	struct protocol_limits services[NET_SERVICES_MAX];
	size_t read_share_bytes;
};

/* The main loop's inbox for reports. */
struct io_inbox {
	struct mailbox box;
	int wake_fd; /* an eventfd, readable when reports have arrived */
};

/* Borrows inbox and protocols, one for each service. Starts a thread, in which all signals are
 * blocked. Returns owned (io_loop_free), or NULL with errno. */
struct io_loop *io_loop_new(struct io_inbox *inbox, const struct protocol *const *protocols,
    const struct io_limits *limits);
void io_loop_free(struct io_loop *loop); /* all links are closed; ends the thread */
void io_loop_set_limits(struct io_loop *loop, const struct io_limits *limits); /* copies */

/* Borrows task until IO_RAN, which comes in any case. One task is run in each round of the loop. */
void io_loop_run(struct io_loop *loop, struct task *task);

/* Sends the orders given since the last time. Call it at the end of each turn. */
void io_loop_send(struct io_loop *loop);
uint64_t io_loop_cpu_us(const struct io_loop *loop); /* CPU time of its thread */

/* Takes fd and tls (NULL: plain). Nothing is read before io_link_start(). Before authentication one
 * request at a time is reported. */
struct io_link *io_link_open(
    struct io_loop *loop, int fd, struct tls_stream *tls, unsigned service, void *owner);
void io_link_start(struct io_link *link, bool unauthenticated);

/* How a link goes on. */
struct io_terms {
	bool unauthenticated;
	bool discards; /* input is discarded: after the last request, for good */
};

/* Takes the requests back, and goes on reading, for this service. */
void io_link_resume(struct io_link *link, struct io_requests *requests, unsigned service,
    const struct io_terms *terms);
void io_requests_free(struct io_requests *requests); /* if the link must not be resumed */

/* Borrows the bytes until IO_WRITTEN or IO_FAILED. count is 1 to IO_PIECES_MAX. */
#define IO_PIECES_MAX 64
void io_link_write(struct io_link *link, const struct iovec *pieces, size_t count);

/* Shuts our side of the connection, and discards further input until IO_END. If there is no unread
 * input and none was discarded before (discarded is false), IO_END is reported at once. */
void io_link_linger(struct io_link *link, bool discarded);

void io_link_stop(struct io_link *link);  /* IO_STOPPED will be the last report */
void io_link_close(struct io_link *link); /* after IO_STOPPED; closes the socket, frees the link */

#endif
