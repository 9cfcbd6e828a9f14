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

#endif
