#ifndef NET_IO_LINK_H
#define NET_IO_LINK_H

#include <pthread.h>

#include "base/buffer.h"
#include "net/io_loop.h"
#include "net/parser_pool.h"
#include "net/stream.h"
#include "net/unparsed.h"

/* Shared by io_loop.c and io_link.c only: the bodies of struct io_loop and struct io_link, and the
 * execution of orders by the loop's thread. */
enum io_order_what {
	IO_ORDER_START,
	IO_ORDER_RESUME,
	IO_ORDER_PIECE,
	IO_ORDER_WRITE, /* the last piece */
	IO_ORDER_LINGER,
	IO_ORDER_STOP,
	IO_ORDER_CLOSE,
	IO_ORDER_LIMITS,
	IO_ORDER_TASK,
	IO_ORDER_QUIT,
};

struct io_order {
	struct io_link *link;
	const void *ptr; /* the piece (borrowed), requests or limits (taken), or a
			  task (borrowed) */
	uint32_t len;
	uint8_t what; /* enum io_order_what */
	uint8_t service;
	bool flag; /* unauthenticated, or discarded */
	bool discards;
};

#define IO_ORDERS_MAX 256

struct io_orders {
	struct mail mail;
	size_t count;
	struct io_order items[IO_ORDERS_MAX];
};

struct io_loop {
	/* Used by the main thread */
	struct io_orders *given; /* not sent yet; NULL: none */
	bool must_wake;          /* orders were sent to an empty mailbox */
	pthread_t thread;
	clockid_t cpu_clock;

	char padding[64]; /* so that neither thread writes to a cache line that the other reads */

	/* Used by both threads */
	struct mailbox orders;
	int wake_fd;
	struct io_inbox *inbox;

	char more_padding[64];

	/* Used by the loop's thread */
	struct event_base *base;
	struct event *wake;
	struct mail *todo; /* orders taken, the oldest first */
	struct mail **todo_end;
	size_t todo_at;     /* index of the next order in the first of them */
	struct task *tasks; /* to be run, the oldest first */
	struct task **tasks_end;
	struct io_reports *reports;
	struct io_limits limits;
	struct parser_pool parsers;
	struct iovec pieces[IO_PIECES_MAX];
	size_t piece_count;
	struct buffer argc, args; /* of the requests that are being parsed */
	uint64_t handshake_us;    /* spent on handshakes in this round */
	bool quits;
	char scratch[STREAM_ROOM_BYTES];
};

struct io_link {
	struct io_loop *loop;
	void *owner;
	struct stream stream;
	void *parser;              /* NULL: between requests */
	struct unparsed *unparsed; /* the bytes behind the last batch */
	uint8_t service;
	bool unauthenticated;
	bool securing; /* in the TLS handshake */
	bool first_bytes_seen;
	bool reported;  /* the main loop has requests of this link */
	bool unwatched; /* meanwhile the socket is not watched, because it has more bytes or has
			   ended */
	bool lingers;
	bool discards;      /* input is discarded, until its end */
	bool reading_ended; /* nothing is read from it any more */
};

/* A new report to the main loop, zeroed except for what and owner. */
struct io_report *io_report(struct io_link *link, enum io_what what);

void io_link_do(struct io_link *link, const struct io_order *order);
extern const struct stream_handler io_link_handler;

#endif
