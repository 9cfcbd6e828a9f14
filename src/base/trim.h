#ifndef BASE_TRIM_H
#define BASE_TRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decides when to trim a heap, that is, to have the allocator return free memory to the system.
 *
 * A trim takes time in proportion to the memory freed since the last one, and blocks the loop. So a
 * trim is due each time 4 MiB were freed, or after a second if less was freed. The next trim is
 * delayed by twenty times the duration of the last one, unless 16 MiB are freed meanwhile: a later
 * trim would then take too long. It reads no clock and no heap: both are arguments. A zeroed struct
 * is the initial state.
 */
struct trim {
	size_t most_bytes; /* the most memory in use since the last trim */
	uint64_t not_before_us;
	uint64_t freed_since_us; /* when enough was freed for a trim; 0: not enough yet */
};

/* True if the heap must be trimmed now. used_bytes is the memory in use, now_us is monotonic. */
bool trim_is_due(struct trim *trim, size_t used_bytes, uint64_t now_us)
    __attribute__((warn_unused_result));

/* The heap was trimmed, which took took_us. */
void trim_is_done(struct trim *trim, size_t used_bytes, uint64_t now_us, uint64_t took_us);

/* The time in us after which to call trim_is_due again if nothing more is freed meanwhile;
 * UINT64_MAX if that is not needed. */
uint64_t trim_wait_us(const struct trim *trim, size_t used_bytes, uint64_t now_us);

#endif
