#ifndef NET_CONN_TIME_H
#define NET_CONN_TIME_H

#include <stdint.h>

/* The times of struct conn in milliseconds, which wrap around. For the net layer only. */

static inline uint32_t
conn_ms(uint64_t now_us)
{
	return (uint32_t)(now_us / 1000);
}

/* For stuck_ms and partial_ms, where 0 is no time: it may be a millisecond ahead. */
static inline uint32_t
conn_mark_ms(uint64_t now_us)
{
	return conn_ms(now_us) | 1;
}

static inline uint32_t
conn_ms_since(uint32_t mark_ms, uint64_t now_us)
{
	return conn_mark_ms(now_us) - mark_ms;
}

#endif
