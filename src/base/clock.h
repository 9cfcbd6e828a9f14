#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* The only place that reads a clock. Pure layers (pubsub, kv, resp) take time as an argument. */
uint64_t clock_mono_us(void); /* monotonic, from an arbitrary start */
uint64_t clock_wall_us(void); /* since the epoch */

/* What clock_mono_us() returned last in this thread; it reads the clock only if there was no call
 * yet. For work that begins right after a reading: a reading costs as much as a lookup. */
uint64_t clock_recent_us(void);

#endif
