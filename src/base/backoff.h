#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

/*
 * The delay before a reconnect: a span that doubles with each attempt up to a maximum, less a
 * random part of at most half, so that clients that lost the same server do not all reconnect at
 * once. It reads neither a clock nor a random source.
 */
#define BACKOFF_FIRST_US 200000
#define BACKOFF_CAP_US 10000000

/* attempt counts from 0; random is 64 random bits. Returns between half a span and a span. */
uint64_t backoff_delay_us(unsigned attempt, uint64_t random);

/* The same for a server that was lost down_us ago: for BACKOFF_HURRY_US the span stays at
 * BACKOFF_HURRY_CAP_US at most, as the server may only be restarting. */
#define BACKOFF_HURRY_US 15000000
#define BACKOFF_HURRY_CAP_US 1600000
uint64_t backoff_hurried_us(unsigned attempt, uint64_t down_us, uint64_t random);

#endif
