#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Pace: a limit of units (messages, bytes) a second, whose recent use is one point in time: the
 * time until which the units counted so far pay for themselves. A burst of one second's worth is
 * allowed. It differs from base/rate_limit.h in that an event may cost many units, known only after
 * it was allowed: an event that costs more than a second's worth is allowed, and delays the next
 * ones. It reads no clock.
 */
#define PACE_SECOND_US UINT64_C(1000000)

/* No event delays the next one for longer. */
#define PACE_DELAY_MAX_US (3600 * PACE_SECOND_US)

/* True if one more unit fits within the amount of one second. per_second is at most a million if
 * events cost one unit; 0: no limit. */
static inline bool
pace_is_open(uint64_t until_us, uint64_t per_second, uint64_t now_us)
{
	return per_second == 0 || until_us + PACE_SECOND_US / per_second <= now_us + PACE_SECOND_US;
}

/* Adds the cost of an event. count is at most 2^44. */
static inline void
pace_count(uint64_t *until_us, uint64_t per_second, uint64_t count, uint64_t now_us)
{
	if (per_second == 0)
		return;
	if (*until_us < now_us)
		*until_us = now_us;
	*until_us += count * PACE_SECOND_US / per_second;
	if (*until_us > now_us + PACE_DELAY_MAX_US)
		*until_us = now_us + PACE_DELAY_MAX_US;
}

#endif
