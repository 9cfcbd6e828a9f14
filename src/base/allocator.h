#ifndef BASE_ALLOCATOR_H
#define BASE_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The allocator behind malloc: what it holds of the system's memory, and how that goes back.
 *
 * With jemalloc a thread of its own gives back, within about three seconds, what is no longer used.
 * glibc does so only at the end of its heap; there allocator_turn() trims, a slice at a time. Which
 * of the two it is was decided by configure (HAVE_JEMALLOC). What the daemon itself holds is
 * counted elsewhere, see base/alloc.h.
 */

/* As INFO shows it: "jemalloc-5.3.0", or "libc". */
const char *allocator_name(void);

/*
 * Once, after the last fork that goes on as the daemon, and after privileges were dropped: starts
 * the thread, where there is one. False with errno: then memory goes back more slowly, as others
 * are freed.
 */
bool allocator_start(void) __attribute__((warn_unused_result));

/* In bytes. */
struct allocator_figures {
	size_t allocated; /* by all, libraries included */
	size_t active;    /* in pages that hold something of it */
	size_t resident;  /* in memory: these, the allocator's own, and free pages not given back */
};

/* False where the allocator cannot say that without a long walk: libc. */
bool allocator_figures(struct allocator_figures *figures) __attribute__((warn_unused_result));

/* Appends what the allocator says of itself; libc says nothing. */
void allocator_describe(struct buffer *out);

/*
 * Gives memory back, if there is some that is due, for a few milliseconds at the most. used_bytes
 * is what the daemon holds, now_us monotonic. Returns in how many us it wants to be called again.
 */
uint64_t allocator_turn(size_t used_bytes, uint64_t now_us);

/*
 * Gives back all that can be, in a thread of its own: it may take a millisecond for some MiB.
 * Returns owned (allocator_purge_free, which may be called before it is over, and does not wait).
 */
struct allocator_purge;
struct allocator_purge *allocator_purge_start(void);
bool allocator_purge_is_over(const struct allocator_purge *purge);
void allocator_purge_free(struct allocator_purge *purge);

#endif
