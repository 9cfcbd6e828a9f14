#ifndef BASE_LOG_BUCKETS_H
#define BASE_LOG_BUCKETS_H

#include <stdint.h>

/*
 * Buckets of a histogram: 128 for each power of two, so that a bucket is at most 0.8 % wide. A
 * value below 128 has its own bucket. For larger values the number of dropped low bits selects a
 * group of 128 buckets, and the eight leading bits a bucket in it. The numbering has no gaps.
 */
#define LOG_BUCKETS_BITS 7
#define LOG_BUCKETS_STEPS (1u << LOG_BUCKETS_BITS)

static inline unsigned
log_bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < LOG_BUCKETS_STEPS)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - LOG_BUCKETS_BITS;
	return shift * LOG_BUCKETS_STEPS + (unsigned)(value >> shift);
}

/* The smallest and the largest value of the bucket. */
static inline uint64_t
log_bucket_begin(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * LOG_BUCKETS_STEPS)
		return bucket;
	shift = bucket / LOG_BUCKETS_STEPS - 1;
	return (uint64_t)(bucket - shift * LOG_BUCKETS_STEPS) << shift;
}

static inline uint64_t
log_bucket_end(unsigned bucket)
{
	if (bucket < 2 * LOG_BUCKETS_STEPS)
		return bucket;
	return log_bucket_begin(bucket) + ((UINT64_C(1) << (bucket / LOG_BUCKETS_STEPS - 1)) - 1);
}

#endif
