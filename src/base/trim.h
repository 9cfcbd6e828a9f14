#ifndef BASE_TRIM_H
#define BASE_TRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * When to trim a heap: to have the allocator give what is free back to the system.
 *
 * A trim takes time in proportion to what was freed since the last one, and nobody is served
 * meanwhile. So it is due after each slice that was freed, and after a second if it was less. The
 * next one is put off by twenty times what a trim took, unless so much is freed meanwhile that it
 * would take too long. It reads no clock and no heap: both are arguments. Zeroed, it is at its
 * beginning.
 */
struct trim {
	size_t most_bytes; /* in use at once since the last trim */
	uint64_t not_before_us;
	uint64_t freed_since_us; /* when it became worth a trim; 0: it is not */
};

/* True if the heap is to be trimmed now. used_bytes is what is in use, now_us monotonic. */
bool trim_is_due(struct trim *trim, size_t used_bytes, uint64_t now_us)
    __attribute__((warn_unused_result));

/* It was, and that took so long. */
void trim_is_done(struct trim *trim, size_t used_bytes, uint64_t now_us, uint64_t took_us);

/* In how many us to ask again, if nothing more is freed meanwhile; UINT64_MAX: no need. */
uint64_t trim_wait_us(const struct trim *trim, size_t used_bytes, uint64_t now_us);

#endif
