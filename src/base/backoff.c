#include "config.h"

#include "base/backoff.h"

uint64_t
backoff_delay_us(unsigned attempt, uint64_t random)
{
	uint64_t span_us = BACKOFF_FIRST_US;

	while (attempt-- > 0 && span_us < BACKOFF_CAP_US)
		span_us *= 2;
	if (span_us > BACKOFF_CAP_US)
		span_us = BACKOFF_CAP_US;
	return span_us / 2 + random % (span_us / 2 + 1);
}
