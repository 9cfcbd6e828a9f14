#include "config.h"

#include "base/clock.h"

#include <assert.h>
#include <time.h>

static _Thread_local uint64_t recent_us; /* 0: none */

/* Not inlined: clock_recent_us() stays a few instructions. */
static __attribute__((noinline)) uint64_t
read_us(clockid_t id)
{
	struct timespec now;
	int failed = clock_gettime(id, &now);

	assert(failed == 0);
	(void)failed;
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
clock_mono_us(void)
{
	recent_us = read_us(CLOCK_MONOTONIC);
	return recent_us;
}

uint64_t
clock_recent_us(void)
{
	return recent_us != 0 ? recent_us : clock_mono_us();
}

uint64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}
