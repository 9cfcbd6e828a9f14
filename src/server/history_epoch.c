#include "config.h"

#include "server/history_epoch.h"

#include "base/clock.h"
#include "base/random.h"

#define RANDOM_BITS 20

uint64_t
history_epoch_new(struct random *random)
{
	return clock_wall_us() / 1000000 << RANDOM_BITS |
	       random_below(random, UINT64_C(1) << RANDOM_BITS);
}
