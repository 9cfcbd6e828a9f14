#ifndef SERVER_LAME_DUCK_H
#define SERVER_LAME_DUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lame duck: closes all clients one after the other, spread evenly over a window of time, so that
 * they do not all reconnect elsewhere in the same second.
 *
 * First the clients that asked for it (OUTBOX SET GOING-AWAY) are notified. Then clients are
 * finished, the oldest first: queued output is sent and the connection is closed; until then a
 * client is served normally. Invariant: at any time of the window at most lame_duck_may_stay()
 * clients are open. server_lame_duck() begins it.
 */
struct client;
struct server;

enum lame_duck_state {
	LAME_DUCK_NOT,
	LAME_DUCK_TELLS,  /* notifies the clients that asked for it */
	LAME_DUCK_CLOSES, /* closes clients as they are due */
	LAME_DUCK_OVER,   /* io closes the remaining clients */
};

struct lame_duck {
	uint8_t state; /* enum lame_duck_state */
	uint32_t window_s;
	uint64_t begun_us;
	size_t total;        /* clients that were open when it began to close */
	struct client *next; /* next to be notified or closed; NULL: at the end */
};

/* How many of total clients may be open elapsed_us after the beginning. */
size_t lame_duck_may_stay(size_t total, uint64_t elapsed_us, uint64_t window_us);

/* The time, in us after the beginning, when fewer than open may be open; open is 1 to total. */
uint64_t lame_duck_next_us(size_t total, size_t open, uint64_t window_us);

/* Called once a turn. Returns the time until the next call, in us; 0: call again at once. */
uint64_t lame_duck_run(struct server *server, uint64_t now_us);

/* The client leaves; called before it is removed from the list. */
void lame_duck_part(struct client *c);

/* The time until the window ends; 0 if there is none. */
uint64_t lame_duck_left_us(const struct server *server, uint64_t now_us);

/*
 * Closes all clients, spread evenly over window_s, which is not 0; clients that asked for it are
 * notified first. Then, or as soon as no client is left, io.lame_duck_over is called. If a window
 * is open already, a new one begins with the remaining clients.
 */
void server_lame_duck(struct server *server, uint32_t window_s);

/* Keeps the remaining clients. False if there is nothing to cancel. */
bool server_lame_duck_cancel(struct server *server);

#endif
