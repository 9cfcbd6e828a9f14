#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before connecting again: the span doubles with each attempt up to a cap, and
 * the delay is drawn from its upper half, so that clients that lost one server together do not
 * come back together. It reads no clock and no randomness of its own.
 */
#define BACKOFF_FIRST_US 200000
#define BACKOFF_CAP_US 10000000

/* attempt counts from 0; random is any 64 random bits. At least half a span, at most a span. */
uint64_t backoff_delay_us(unsigned attempt, uint64_t random);

#endif
