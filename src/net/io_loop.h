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
 * Loops of other threads, which read, parse and write for the main one.
 *
 * A loop has the sockets of its connections, each as a link, and nothing else: no client, no
 * outbox, no hub. The main loop gives orders, a loop answers with reports; both travel in batches,
 * one wake-up for each batch at most. What an order points to (bytes to write) belongs to the main
 * loop and stands until the report; what a report hands over (requests) belongs to the main loop
 * until it is given back. So no memory is ever used by two threads at once, and nothing is locked.
 *
 * Orders for a link are carried out in the order in which they were given, and the reports on it
 * come in that order. After requests were reported nothing more is read until they are given back
 * by io_link_resume(): a request that waits on the main loop also stops the reading of its peer. A
 * batch holds what one read of at most STREAM_ROOM_BYTES gave, and about as much beside it; only an
 * argument that came in several reads may be larger.
 *
 * All functions are for the main thread. For the net layer only.
 */
struct io_loop;
struct io_link;

/* Requests read from one link, in order. */
struct io_requests {
	size_t count;
	size_t next;        /* the main loop's: how many of them are done */
	size_t bytes;       /* memory of all of it */
	bool ends_batch;    /* the last of them has it: nothing behind it was parsed */
	char *error;        /* after them came bytes that cannot be followed; or NULL */
	size_t *argc;       /* of each */
	struct slice *args; /* of all; those of the next one begin here */
	struct arena arena; /* where some of the arguments lie */
};

enum io_what {
	IO_READ,     /* bytes were read; requests (taken) or NULL */
	IO_END,      /* the peer has sent its last byte */
	IO_WRITTEN,  /* len bytes of the pieces given; is_full: the socket took less than offered,
			and  IO_WRITABLE will follow */
	IO_WRITABLE, /* the socket takes bytes again */
	IO_FAILED,   /* error is an errno; nothing more will be read, or be written */
	IO_SECURED,  /* the TLS handshake is done; text (taken): the client's user, or NULL */
	IO_STOPPED,  /* the last report on this link */
};

struct io_report {
	void *owner; /* of the link, as given to io_link_open() */
	struct io_requests *requests;
	size_t len;        /* bytes read or written */
	size_t held_bytes; /* IO_READ: of a request that is not complete */
	size_t room_bytes; /* ... and the room reserved for it */
	enum io_what what;
	const char *reason; /* IO_FAILED: what is wrong with what came, a literal, or NULL */
	char *text;
	int error;
	bool is_resumed; /* IO_SECURED: with a session from before */
	bool is_full;
	bool is_writing; /* IO_FAILED: it was a write */
};

/* Few, because a report makes room for more orders. */
#define IO_REPORTS_MAX 8

/*
 * Subscribers that one loop writes for at a time. The output of its other subscribers grows
 * meanwhile, and many messages in one write cost the kernel hardly more than one. The loop is given
 * more writes when it has reported the first half, so that it never runs out of them.
 */
#define IO_WRITES_MAX (2 * IO_REPORTS_MAX)

struct io_reports {
	struct mail mail;
	size_t count;
	struct io_report items[IO_REPORTS_MAX];
};

/* What the loops may be told at any time: each has its own copy. */
struct io_limits {
	struct protocol_limits services[NET_SERVICES_MAX];
	size_t read_share_bytes;
};

/* The main loop's end: where reports come in. */
struct io_inbox {
	struct mailbox box;
	int wake_fd; /* an eventfd: readable when reports have come */
};

/* Borrows inbox and protocols, one of each service. Starts a thread, in which all signals are
 * blocked. Returns owned (io_loop_free), or NULL with errno. */
struct io_loop *io_loop_new(struct io_inbox *inbox, const struct protocol *const *protocols,
    const struct io_limits *limits);
void io_loop_free(struct io_loop *loop); /* all links are closed; ends the thread */
void io_loop_set_limits(struct io_loop *loop, const struct io_limits *limits); /* copies */

/* Sends the orders given since the last time. To be called at the end of each turn. */
void io_loop_send(struct io_loop *loop);
uint64_t io_loop_cpu_us(const struct io_loop *loop); /* of its thread */

/* Takes fd and tls (NULL: plain). Reads at once; before authentication one request at a time is
 * reported. */
struct io_link *io_link_open(
    struct io_loop *loop, int fd, struct tls_stream *tls, unsigned service, void *owner);
void io_link_start(struct io_link *link, bool unauthenticated);

/* Takes requests back, and lets the next be read, for this service. */
void io_link_resume(
    struct io_link *link, struct io_requests *requests, unsigned service, bool unauthenticated);
void io_requests_free(struct io_requests *requests); /* where no more are wanted */

/* Borrows the bytes until IO_WRITTEN or IO_FAILED. count is 1 to IO_PIECES_MAX. */
#define IO_PIECES_MAX 64
void io_link_write(struct io_link *link, const struct iovec *pieces, size_t count);

/*
 * Our side is shut; what still comes is thrown away until IO_END. If there is nothing to come and
 * nothing was thrown away (discarded), IO_END comes at once.
 */
void io_link_linger(struct io_link *link, bool discarded);

void io_link_stop(struct io_link *link);  /* IO_STOPPED will be the last report */
void io_link_close(struct io_link *link); /* after IO_STOPPED; closes the socket, frees the link */

#endif
