#ifndef SERVER_IO_H
#define SERVER_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/net_figures.h"
#include "base/request_verdict.h"

/* What the bytes of a connection are from now on. */
enum server_protocol {
	SERVER_PROTOCOL_WS,         /* WebSocket */
	SERVER_PROTOCOL_WS_DEFLATE, /* ... with permessage-deflate */
	SERVER_PROTOCOL_NONE, /* an event stream: input is discarded, only the peer's end is noticed
			       */
};

/*
 * The interface of the layer that has the clients' connections; filled in by app, or by a test.
 * `conn` is the pointer that server_open got.
 */
struct server_io {
	void (*ready)(void *conn);
	void (*resume)(void *conn);
	void (*finish)(void *conn);
	void (*kill)(void *conn, const char *reason);
	void (*set_unauthenticated)(void *conn, bool unauthenticated);
	void (*set_subscriber)(void *conn, bool subscriber);
	void (*set_expects_output)(
	    void *conn, bool expects_output); /* expects_output: more output will follow, and the
			       connection must not end before it */
	/* Of the bytes behind the current request. Called by a door's handler, whose request is
	 * then done. */
	void (*switch_protocol)(void *conn, enum server_protocol which);
	void (*conn_figures)(void *conn, struct conn_figures *figures);
	void (*figures)(void *arg, struct net_figures *figures);
	/* False if there is no such loop; without I/O threads there is none. */
	bool (*loop_figures)(void *arg, unsigned loop, struct net_loop_figures *figures);
	void (*reset_figures)(void *arg);
	void (*shutdown)(void *arg, bool now); /* now: queued output is dropped */
	/*
	 * SHUTDOWN GRACE and SHUTDOWN ABORT: io stops accepting and calls server_lame_duck, or
	 * accepts again and calls server_lame_duck_cancel. False: error has the reason, without
	 * "ERR "; nothing changed.
	 */
	void (*lame_duck)(void *arg, uint32_t window_s);
	bool (*lame_duck_abort)(void *arg, char *error, size_t error_len);
	void (*lame_duck_over)(void *arg); /* its window has ended: closes the remaining clients */
	void *arg;
};

#define SERVER_ORIGIN_MAX 16

struct server_peer {
	const char *address;       /* copied */
	const char *local_address; /* copied */
	struct slice origin; /* equal for peers that count as one; copied, SERVER_ORIGIN_MAX */
	bool is_loopback;
	bool is_unix;
};

#endif
