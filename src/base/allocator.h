#ifndef BASE_ALLOCATOR_H
#define BASE_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The allocator behind malloc: how much memory it holds, and how unused memory returns to the
 * system.
 *
 * With jemalloc, a background thread returns unused memory within about three seconds. glibc
 * returns memory only from the end of its heap; there allocator_turn() trims the heap step by step.
 * configure decides which of the two is used (HAVE_JEMALLOC). What the daemon itself holds is
 * counted in base/alloc.h.
 */

/* As INFO shows it: "jemalloc-5.3.0", or "libc". */
const char *allocator_name(void);

/*
 * Called once, after the last fork of the daemon and after privileges are dropped: starts
 * jemalloc's background thread. False with errno: memory then returns to the system more slowly,
 * only when other blocks are freed.
 */
bool allocator_start(void) __attribute__((warn_unused_result));

/* In bytes. */
struct allocator_figures {
	size_t allocated; /* by the whole process, libraries included */
	size_t active;    /* in pages that hold at least one allocated block */
	size_t resident;  /* physical memory: active pages, the allocator's own data, and free pages
			     not returned yet */
};

/* False if the allocator cannot tell without walking its heap (glibc). */
bool allocator_figures(struct allocator_figures *figures) __attribute__((warn_unused_result));

/* Appends jemalloc's statistics as text; with glibc, nothing. */
void allocator_describe(struct buffer *out);

/*
 * Returns memory to the system if a trim is due (base/trim.h); takes a few milliseconds at most.
 * used_bytes is what the daemon holds, now_us is monotonic. Returns the time in us after which to
 * call it again.
 */
uint64_t allocator_turn(size_t used_bytes, uint64_t now_us);

/*
 * Returns all unused memory to the system, in a thread of its own, because that takes about a
 * millisecond for each few MiB. Returns owned (allocator_purge_free, which does not wait for the
 * thread and may be called while it runs).
 */
struct allocator_purge;
struct allocator_purge *allocator_purge_start(void);
bool allocator_purge_is_over(const struct allocator_purge *purge);
void allocator_purge_free(struct allocator_purge *purge);

#endif
