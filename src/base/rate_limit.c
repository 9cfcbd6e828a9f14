#include "config.h"

#include "base/rate_limit.h"

#include <assert.h>

void
rate_limit_init(struct rate_limit *rl, uint32_t per_second, uint32_t burst)
{
	assert(per_second > 0 && per_second <= 1000000 && burst > 0);
	*rl = (struct rate_limit){.per_second = per_second, .burst = burst};
}

/*
 * One number represents the level of the bucket: each event moves the time at which the bucket is
 * full again further into the future, and an event may pass while that time is near enough. Nothing
 * has to be refilled, and an idle limiter needs no timer.
 */
bool
rate_limit_take(struct rate_limit *rl, uint64_t now_us)
{
	uint64_t cost_us = 1000000 / rl->per_second;
	uint64_t full_at_us = rl->full_at_us > now_us ? rl->full_at_us : now_us;

	if (full_at_us - now_us > cost_us * (rl->burst - 1))
		return false;
	rl->full_at_us = full_at_us + cost_us;
	return true;
}
