#include "config.h"

#include "base/trim.h"

/* A trim takes about 0.15 ms for a MiB. */
#define SLICE_BYTES ((size_t)4 << 20)
#define MUCH_BYTES ((size_t)16 << 20)
#define LITTLE_BYTES ((size_t)256 << 10)
#define LITTLE_US 1000000

/* Trims take at most one part in SHARE of the time. */
#define SHARE 20

static size_t
freed_bytes(const struct trim *trim, size_t used_bytes)
{
	return trim->most_bytes > used_bytes ? trim->most_bytes - used_bytes : 0;
}

static uint64_t
due_at_us(const struct trim *trim, size_t used_bytes)
{
	size_t freed = freed_bytes(trim, used_bytes);
	uint64_t at_us = trim->freed_since_us;

	if (freed >= MUCH_BYTES)
		return at_us;
	if (freed < SLICE_BYTES)
		at_us += LITTLE_US;
	return at_us > trim->not_before_us ? at_us : trim->not_before_us;
}

bool
trim_is_due(struct trim *trim, size_t used_bytes, uint64_t now_us)
{
	if (used_bytes > trim->most_bytes)
		trim->most_bytes = used_bytes;
	if (freed_bytes(trim, used_bytes) < LITTLE_BYTES) {
		trim->freed_since_us = 0;
		return false;
	}
	if (trim->freed_since_us == 0)
		trim->freed_since_us = now_us;
	return now_us >= due_at_us(trim, used_bytes);
}

void
trim_is_done(struct trim *trim, size_t used_bytes, uint64_t now_us, uint64_t took_us)
{
	*trim = (struct trim){
	    .most_bytes = used_bytes,
	    .not_before_us = now_us + took_us * SHARE,
	};
}

uint64_t
trim_wait_us(const struct trim *trim, size_t used_bytes, uint64_t now_us)
{
	uint64_t at_us = due_at_us(trim, used_bytes);

	if (trim->freed_since_us == 0)
		return UINT64_MAX;
	return at_us > now_us ? at_us - now_us : 0;
}
