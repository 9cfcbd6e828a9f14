#ifndef BASE_PROTOCOL_H
#define BASE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Protocol: the table of operations through which the network layer uses a protocol.
 *
 * A protocol turns bytes into requests. A connection with an incomplete request has a parser state.
 * It takes bytes as arguments, opens nothing and reads no clock, so the same table serves the main
 * loop and the loops of other threads; a state is used by one thread at a time. The protocol does
 * not interpret requests: net passes them to the connection's service (net/net.h), which may switch
 * the connection to another protocol after a request.
 */

/* What one connection may send. The figures may change between calls. */
struct protocol_limits {
	size_t arg_bytes;     /* the largest argument */
	size_t arg_count;     /* the most arguments of a request, 1 to 2^31-1 */
	size_t line_bytes;    /* the longest line: a header, an inline command; at least 32 */
	size_t request_bytes; /* the most memory that one request may take, with sizeof(struct
				 slice) for each argument */
};

enum protocol_status {
	PROTOCOL_MORE,    /* everything given was taken, no request is complete */
	PROTOCOL_REQUEST, /* a request is complete */
	PROTOCOL_ERROR,   /* invalid input: error() gives the reason */
};

struct protocol_request {
	const struct slice *args;
	size_t count; /* at least 1 */
	/* This request may switch the protocol of the bytes that follow it. Those bytes are fed
	 * only after it was handled. */
	bool ends_batch;
};

/* Reasons for closing a connection that are reported to the peer in its protocol. */
enum protocol_notice {
	PROTOCOL_ADDRESS_COUNT,         /* refused: the peer's address has too many connections */
	PROTOCOL_ADDRESS_RATE,          /* refused: its address opens connections too fast */
	PROTOCOL_UNAUTHENTICATED_COUNT, /* refused: too many unauthenticated connections */
	PROTOCOL_REQUEST_TIMEOUT,       /* it did not complete a request in time */
	PROTOCOL_LOGIN_TIMEOUT,         /* it did not authenticate in time */
	PROTOCOL_IDLE_TIMEOUT,
	PROTOCOL_NOTICES
};

struct protocol {
	/* The names of its listeners when they are passed to another process: words without colon,
	 * blank and '-'. */
	const char *name;
	const char *tls_name;

	/* Borrows limits. Returns owned (close). */
	void *(*open)(const struct protocol_limits *limits);
	void (*close)(void *state);

	/*
	 * Takes bytes until a request is complete or none are left; *taken is the number of bytes
	 * taken. request->args are valid until the next call of feed() or settle(), and only while
	 * the bytes at ptr are. Before authentication a protocol may set lower limits. Every call
	 * after PROTOCOL_ERROR gives PROTOCOL_ERROR.
	 */
	enum protocol_status (*feed)(void *state, const char *ptr, size_t len, bool unauthenticated,
	    size_t *taken, struct protocol_request *request);

	/* Returns the last request of feed() once more, as a copy that does not need the bytes that
	 * were fed. */
	struct protocol_request (*keep)(void *state);

	/* Moves the memory of the request's arguments, except the bytes that were fed, to *arena.
	 * It is valid until *arena is released. */
	void (*give_arena)(void *state, struct arena *arena);

	/*
	 * Call it when all complete requests were handled. Frees their memory, unless a request is
	 * incomplete. True if the state holds no data of the connection, so that another connection
	 * may use it.
	 */
	bool (*settle)(void *state);

	const char *(*error)(const void *state); /* after PROTOCOL_ERROR; borrowed from the state */
	size_t (*held_bytes)(const void *state); /* of an incomplete request */
	size_t (*room_bytes)(const void *state); /* memory allocated for requests */

	/*
	 * Optional (may be NULL). If a connection that begins with these bytes uses another
	 * protocol, returns a string literal for the log that names it; the connection is then
	 * closed without a reply. Returns NULL if the bytes may be valid.
	 */
	const char *(*foreign)(const char *ptr, size_t len);

	/* Sent before the connection is closed, unless empty. Literals of less than 1 KiB. */
	struct slice notices[PROTOCOL_NOTICES];
};

#endif
