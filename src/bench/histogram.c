#include "config.h"

#include "bench/histogram.h"

#include <assert.h>

#define STEP_BITS 7

void
bench_histogram_clear(struct bench_histogram *h)
{
	*h = (struct bench_histogram){0};
}

/*
 * A value below 128 has its own bucket. For larger values the number of dropped low bits selects a
 * group of 128 buckets, and the eight leading bits a bucket in it. The numbering has no gaps.
 */
static unsigned
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < BENCH_HISTOGRAM_STEPS)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - STEP_BITS;
	return shift * BENCH_HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

/* The largest value of the bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * BENCH_HISTOGRAM_STEPS)
		return bucket;
	shift = bucket / BENCH_HISTOGRAM_STEPS - 1;
	return ((uint64_t)(bucket - shift * BENCH_HISTOGRAM_STEPS) << shift) +
	       ((UINT64_C(1) << shift) - 1);
}

void
bench_histogram_record(struct bench_histogram *h, uint64_t value)
{
	h->total++;
	h->counts[bucket_of(value)]++;
	if (value > h->max)
		h->max = value;
}

uint64_t
bench_histogram_quantile(const struct bench_histogram *h, unsigned permille)
{
	/* Avoids total * permille, which could overflow. */
	uint64_t rank = h->total / 1000 * permille + (h->total % 1000 * permille + 999) / 1000;
	uint64_t seen = 0;

	assert(permille >= 1 && permille <= 1000);
	for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS && h->total > 0; i++) {
		seen += h->counts[i];
		if (seen >= rank)
			return bucket_end(i) < h->max ? bucket_end(i) : h->max;
	}
	return h->max;
}
