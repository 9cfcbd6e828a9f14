#ifndef BASE_DURATIONS_H
#define BASE_DURATIONS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Durations: a histogram of short times, with fixed bounds from 50 us to 1 s. Adding one costs a
 * few comparisons. A zeroed struct is empty.
 */
#define DURATION_BOUNDS 14

struct durations {
	uint64_t counts[DURATION_BOUNDS + 1]; /* [i]: at most bound i, more than bound i - 1 */
	uint64_t sum_us;
};

/* Ascending. */
extern const uint32_t duration_bounds_us[DURATION_BOUNDS];

void durations_add(struct durations *d, uint64_t us);

#endif
