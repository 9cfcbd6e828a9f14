#ifndef SERVER_RATES_H
#define SERVER_RATES_H

#include <stdint.h>

/*
 * Rates for INFO: commands, bytes read and bytes written a second, as means over the last 16
 * samples, as in Redis. It reads no clock.
 */
struct server;

struct rate {
	uint64_t last_us, last_count;
	uint64_t samples[16];
	uint32_t at;
};

struct rates {
	struct rate ops, input, output;
};

#define RATES_INTERVAL_US 100000

/*
 * Called once a turn: takes a sample of each if RATES_INTERVAL_US have passed since the last one.
 */
void rates_sample(struct server *server, uint64_t now_us);

/* Counts a second. */
uint64_t rate_per_second(const struct rate *rate);

/* The counts start from zero again (CONFIG RESETSTAT). */
void rates_reset(struct rates *rates);

#endif
