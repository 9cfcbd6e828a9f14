#include "config.h"

#include "base/backoff.h"

static uint64_t
delay_us(unsigned attempt, uint64_t cap_us, uint64_t random)
{
	uint64_t span_us = BACKOFF_FIRST_US;

	while (attempt-- > 0 && span_us < cap_us)
		span_us *= 2;
	if (span_us > cap_us)
		span_us = cap_us;
	return span_us / 2 + random % (span_us / 2 + 1);
}

uint64_t
backoff_delay_us(unsigned attempt, uint64_t random)
{
	return delay_us(attempt, BACKOFF_CAP_US, random);
}

uint64_t
backoff_hurried_us(unsigned attempt, uint64_t down_us, uint64_t random)
{
	return delay_us(
	    attempt, down_us < BACKOFF_HURRY_US ? BACKOFF_HURRY_CAP_US : BACKOFF_CAP_US, random);
}
