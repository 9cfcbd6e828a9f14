#ifndef APP_WIRING_H
#define APP_WIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings.h"
#include "net/net.h"
#include "server/server.h"

/*
 * Wiring: connects net and server, which do not know each other: each callback of one calls a
 * function of the other. No decision is made here.
 */
struct wiring {
	struct net *net;                 /* owned */
	struct server *server;           /* owned */
	struct edge *edge;               /* owned */
	struct tokens *tokens;           /* owned; the edge's */
	struct persistence *persistence; /* owned */
	struct uplink *uplink;           /* owned; NULL: no upstream is configured, or not yet */
	const struct settings *settings;
	uint64_t tokens_at_us; /* when results of tokens that have ended are freed next */
	void (*signalled)(void *arg, int signal);
	void (*stopping)(void *arg, bool now);           /* a client sent SHUTDOWN */
	void (*lame_duck)(void *arg, uint32_t window_s); /* ... GRACE */
	bool (*lame_duck_abort)(void *arg, char *error, size_t error_len); /* ... ABORT */
	void (*lame_duck_over)(void *arg);        /* the lame duck has finished */
	void (*turn)(void *arg, uint64_t now_us); /* called at least every 100 ms */
	void (*turn_ends)(void *arg);             /* called at the end of each turn */
	void (*log_accepted)(void *arg);          /* the requested append-only file exists */
	void *arg;
};

/* Borrows settings, whose values may change; w must not move. False: net has logged why. */
bool wiring_init(struct wiring *w, const struct settings *settings,
    const struct server_settings *interface) __attribute__((warn_unused_result));
/* Begins the link to the upstream, if one is configured. False: error says why. */
bool wiring_link(struct wiring *w, struct buffer *error) __attribute__((warn_unused_result));

/* Closes every connection. False: changes are lost, which is logged. */
bool wiring_release(struct wiring *w);

#endif
