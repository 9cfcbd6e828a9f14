#include "config.h"

#include "base/durations.h"

const uint32_t duration_bounds_us[DURATION_BOUNDS] = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000};

void
durations_add(struct durations *d, uint64_t us)
{
	size_t i = 0;

	while (i < DURATION_BOUNDS && us > duration_bounds_us[i])
		i++;
	d->counts[i]++;
	d->sum_us += us;
}
