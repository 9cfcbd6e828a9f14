#ifndef BASE_RATE_LIMIT_H
#define BASE_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Rate limit: a token bucket.
 *
 * It limits work that a peer can cause (accepting a connection, logging, answering a wrong
 * password). Up to `burst` events pass at once; after that `per_second` of them. It reads no clock:
 * time is an argument, so that the result depends on nothing else.
 */
struct rate_limit {
	uint64_t full_at_us; /* when the bucket is full again, if no event comes before */
	uint32_t per_second;
	uint32_t burst;
};

/* per_second is 1 to 1000000, burst at least 1. The bucket starts full. */
void rate_limit_init(struct rate_limit *rl, uint32_t per_second, uint32_t burst);

/* True if one more event may pass now; false takes nothing. now_us is monotonic. */
bool rate_limit_take(struct rate_limit *rl, uint64_t now_us) __attribute__((warn_unused_result));

#endif
