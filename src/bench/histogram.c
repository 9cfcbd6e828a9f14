#include "config.h"

#include "bench/histogram.h"

#include <assert.h>

#include "base/log_buckets.h"

void
bench_histogram_clear(struct bench_histogram *h)
{
	*h = (struct bench_histogram){0};
}

void
bench_histogram_record(struct bench_histogram *h, uint64_t value)
{
	h->total++;
	h->counts[log_bucket_of(value)]++;
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
			return log_bucket_end(i) < h->max ? log_bucket_end(i) : h->max;
	}
	return h->max;
}
