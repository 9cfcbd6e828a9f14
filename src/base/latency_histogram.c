#include "config.h"

#include "base/latency_histogram.h"

#include <assert.h>

/* The first step is the bucket with 1024 ns, the last one ends beyond a second. */
#define FIRST_STEP_BITS 10

uint64_t
latency_histogram_total(const struct latency_histogram *h)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < LATENCY_HISTOGRAM_BUCKETS; i++)
		total += h->counts[i];
	return total;
}

double
latency_histogram_percentile(const struct latency_histogram *h, double percent)
{
	uint64_t total = latency_histogram_total(h), rank, seen = 0;
	unsigned i;

	assert(percent >= 0 && percent <= 100);
	if (total == 0)
		return 0;
	rank = (uint64_t)(percent / 100 * (double)total + 0.5);
	if (rank == 0)
		rank = 1;
	for (i = 0; i < LATENCY_HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->counts[i];
		if (seen >= rank)
			break;
	}
	return (double)(percent > 0 ? log_bucket_end(i) : log_bucket_begin(i)) / 1000;
}

size_t
latency_histogram_steps(
    const struct latency_histogram *h, struct latency_step steps[LATENCY_STEPS_MAX])
{
	uint64_t seen = 0;
	size_t count = 0;
	unsigned i = 0, last;

	for (unsigned bits = 0; bits < LATENCY_STEPS_MAX; bits++) {
		uint64_t before = seen;

		last = log_bucket_of(UINT64_C(1) << (FIRST_STEP_BITS + bits));
		if (last >= LATENCY_HISTOGRAM_BUCKETS)
			last = LATENCY_HISTOGRAM_BUCKETS - 1;
		for (; i <= last; i++)
			seen += h->counts[i];
		if (seen > before)
			steps[count++] = (struct latency_step){log_bucket_end(last) / 1000, seen};
	}
	return count;
}
