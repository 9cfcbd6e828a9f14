#ifndef BASE_PROTOCOL_H
#define BASE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Protocol: what the network layer must know of a protocol, as a table of operations.
 *
 * A protocol turns bytes into requests, in a state for each connection that is in the middle of
 * one. It takes bytes as arguments, opens nothing and reads no clock, so the same table serves the
 * main loop and the loops of other threads; a state is used by one thread at a time. What a request
 * means is not its affair: net hands it to the service that the connection belongs to
 * (net/net.h), which may switch the connection to another protocol where a request ends.
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
	PROTOCOL_ERROR,   /* the bytes cannot be followed any more: error() says why */
};

struct protocol_request {
	const struct slice *args;
	size_t count; /* at least 1 */
	/*
	 * How the bytes behind it are to be read depends on the answer to this request: no byte of
	 * them is fed before it was handled, which may have switched the protocol.
	 */
	bool ends_batch;
};

/* Why a connection is closed, where something may be said to the peer in its own language. */
enum protocol_notice {
	PROTOCOL_ADDRESS_COUNT,         /* refused: the peer's address has too many connections */
	PROTOCOL_ADDRESS_RATE,          /* refused: its address opens connections too fast */
	PROTOCOL_UNAUTHENTICATED_COUNT, /* refused: too many unauthenticated connections */
	PROTOCOL_REQUEST_TIMEOUT,       /* it did not complete its first request in time */
	PROTOCOL_LOGIN_TIMEOUT,         /* it did not authenticate in time */
	PROTOCOL_IDLE_TIMEOUT,
	PROTOCOL_NOTICES
};

struct protocol {
	/* Listeners are known by these names when they are handed to another process. Words without
	 * colon, blank and '-'. */
	const char *name;
	const char *tls_name;

	/* Borrows limits. Returns owned (close). */
	void *(*open)(const struct protocol_limits *limits);
	void (*close)(void *state);

	/*
	 * Takes bytes until a request is complete or none are left; *taken says how many.
	 * request->args stand until the next call of feed() or settle(), and as long as the bytes
	 * at ptr. Before authentication a protocol may set lower limits. Every call after
	 * PROTOCOL_ERROR gives PROTOCOL_ERROR.
	 */
	enum protocol_status (*feed)(void *state, const char *ptr, size_t len, bool unauthenticated,
	    size_t *taken, struct protocol_request *request);

	/* The request that feed() gave last, again; it no longer needs the bytes that were fed. */
	struct protocol_request (*keep)(void *state);

	/* What its arguments need beside the bytes that were fed is added to *arena, and stands
	 * until that is released. */
	void (*give_arena)(void *state, struct arena *arena);

	/*
	 * The requests so far were handled: frees their memory, if no request is incomplete. True
	 * if nothing of the connection is left in the state, which may then go on with another
	 * connection.
	 */
	bool (*settle)(void *state);

	const char *(*error)(const void *state); /* after PROTOCOL_ERROR; borrowed from the state */
	size_t (*held_bytes)(const void *state); /* of an incomplete request */
	size_t (*room_bytes)(const void *state); /* memory reserved for requests */

	/* NULL, or: why a connection that begins with these bytes speaks another protocol, as a
	 * literal for the log. It is closed without an answer. NULL: nothing is wrong, or not yet.
	 */
	const char *(*foreign)(const char *ptr, size_t len);

	/* Sent before the connection is closed; empty: nothing. Literals of less than 1 KiB. */
	struct slice notices[PROTOCOL_NOTICES];
};

#endif
