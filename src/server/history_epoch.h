#ifndef SERVER_HISTORY_EPOCH_H
#define SERVER_HISTORY_EPOCH_H

#include <stdint.h>

/* The epoch of positions that begin anew: the time, and random bits, so that no two runs have the
 * same. JavaScript's numbers keep it exactly. */
struct random;

uint64_t history_epoch_new(struct random *random);

#endif
