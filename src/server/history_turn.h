#ifndef SERVER_HISTORY_TURN_H
#define SERVER_HISTORY_TURN_H

#include <stdint.h>

struct server;

/* Removes kept messages that have expired or exceed the limits, in slices, until deadline_us.
 * Returns the time until the next call, in us; 0: call again at once. */
uint64_t history_turn(struct server *server, uint64_t deadline_us);

#endif
