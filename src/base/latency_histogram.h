#ifndef BASE_LATENCY_HISTOGRAM_H
#define BASE_LATENCY_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/log_buckets.h"

/*
 * How long the calls of one command took: a histogram in 24 KiB. Its buckets are those of Redis
 * (HdrHistogram, two digits, 1 ns to 1 s), so that the same durations give the same figures.
 * Recording costs a few instructions. It knows no clock.
 */
#define LATENCY_HISTOGRAM_BUCKETS (LOG_BUCKETS_STEPS * 24)

struct latency_histogram {
	uint64_t counts[LATENCY_HISTOGRAM_BUCKETS];
};

/* A duration of more than a second counts as one of a second. */
static inline void
latency_histogram_record(struct latency_histogram *h, uint64_t us)
{
	uint64_t ns = us == 0 ? 1 : us < 1000000 ? us * 1000 : 1000000000;

	h->counts[log_bucket_of(ns)]++;
}

/* The number of calls. */
uint64_t latency_histogram_total(const struct latency_histogram *h);

/*
 * The duration in us that `percent` (0 to 100) of the calls did not exceed, rounded up to the end
 * of its bucket; 0 for an empty histogram. percent 0: the beginning of the shortest one's bucket.
 */
double latency_histogram_percentile(const struct latency_histogram *h, double percent);

/* How many calls took at most so long. */
struct latency_step {
	uint64_t us;
	uint64_t count;
};

#define LATENCY_STEPS_MAX 21

/*
 * The cumulative distribution in powers of two from about 1 us on. Steps without a further call are
 * left out. Returns the number of steps.
 */
size_t latency_histogram_steps(
    const struct latency_histogram *h, struct latency_step steps[LATENCY_STEPS_MAX]);

#endif
