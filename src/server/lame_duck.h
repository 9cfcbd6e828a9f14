#ifndef SERVER_LAME_DUCK_H
#define SERVER_LAME_DUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lame duck: the end of a server that lets its clients go one after the other, spread evenly over a
 * window of time, so that they do not all come back elsewhere in the same second.
 *
 * Who asked for it is told first. Then clients are finished, the oldest first: what is owed to one
 * is sent, and its connection closed; until then it is served as ever. Invariant: at any time of
 * the window no more clients are open than lame_duck_may_stay() says. server_lame_duck() begins it.
 */
struct client;
struct server;

enum lame_duck_state {
	LAME_DUCK_NOT,
	LAME_DUCK_TELLS,  /* who asked is told */
	LAME_DUCK_CLOSES, /* ... and clients are closed as they are due */
	LAME_DUCK_OVER,   /* io was told: it closes what is left */
};

struct lame_duck {
	uint8_t state; /* enum lame_duck_state */
	uint32_t window_s;
	uint64_t begun_us;
	size_t total;        /* clients that were open when it began to close */
	struct client *next; /* to be told or closed; NULL: at the end */
};

/* How many of total clients may be open elapsed_us after the beginning. */
size_t lame_duck_may_stay(size_t total, uint64_t elapsed_us, uint64_t window_us);

/* When that is fewer than open, which is 1 to total: us after the beginning. */
uint64_t lame_duck_next_us(size_t total, size_t open, uint64_t window_us);

/* Once a turn. Returns in how many us it wants to be called again; 0: at once. */
uint64_t lame_duck_run(struct server *server, uint64_t now_us);

/* The client goes; before it is taken off the list. */
void lame_duck_part(struct client *c);

/* How long until the window ends; 0 where there is none. */
uint64_t lame_duck_left_us(const struct server *server, uint64_t now_us);

/*
 * From now on clients are closed, spread evenly over window_s, which is not 0; who asked for it is
 * told before. Then, or as soon as there are none, io.lame_duck_over is called. Where it goes on
 * already, it begins anew with the clients that are left.
 */
void server_lame_duck(struct server *server, uint32_t window_s);

/* The clients that are left stay. False if there is none to cancel. */
bool server_lame_duck_cancel(struct server *server);

#endif
