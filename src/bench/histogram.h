#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#include "base/log_buckets.h"

/*
 * A histogram of latencies with 128 buckets for each power of two: a quantile is at most 0.8 %
 * above the exact value, over the whole range of uint64_t, in a fixed 58 KiB. Recording costs a few
 * instructions. It knows neither unit nor clock.
 */
#define BENCH_HISTOGRAM_BUCKETS (LOG_BUCKETS_STEPS * 58)

struct bench_histogram {
	uint64_t total;
	uint64_t max;
	uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
};

void bench_histogram_clear(struct bench_histogram *h);
void bench_histogram_record(struct bench_histogram *h, uint64_t value);

/*
 * The smallest recorded value such that `permille` of all values are not above it, rounded up to
 * the end of its bucket, but never above the largest recorded value. 0 if nothing was recorded.
 * permille is 1 to 1000.
 */
uint64_t bench_histogram_quantile(const struct bench_histogram *h, unsigned permille);

#endif
