#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/*
 * Allocation that does not fail, and its accounting.
 *
 * Out of memory aborts the process with a line on stderr; so whoever lets a peer choose a size
 * checks it against a limit before it comes here. Every block is counted by what the allocator
 * really reserved for it (malloc_usable_size), so that alloc_used_bytes() is what the daemon holds.
 */

/*
 * Once, at the start of a daemon. Turns off glibc's fastbins, which pile up freed blocks and merge
 * them all at once: after a million small frees that held the process for 7 ms. Keeps large blocks
 * mappings of their own, which grow without being copied; glibc else stops that after the first one
 * is freed.
 */
void alloc_init(void);

/* Returns owned (xfree). len 0 is allowed and gives a block that may be freed. */
void *xmalloc(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* The same, for a block that is never grown: a large one is handed out by the system in huge pages,
 * which would keep it from being grown without being copied. */
void *xmalloc_fixed(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t len)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *ptr, size_t len) __attribute__((returns_nonnull, warn_unused_result));
/*
 * For a block that grows to many MiB, a step at a time, and whose owner knows its size: a large one
 * is a mapping of its own, and the system moves it without copying it. old_len is what it has had
 * so far, 0 where ptr is NULL; len is at least 1. Returns owned (xgrow_free, not xfree).
 */
void *xgrow(void *ptr, size_t old_len, size_t len)
    __attribute__((returns_nonnull, warn_unused_result));
void xgrow_free(void *ptr, size_t len); /* NULL is allowed */

void *xmemdup(const void *ptr, size_t len) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *str) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), nonnull, returns_nonnull, warn_unused_result));

/* NULL is allowed. */
void xfree(void *ptr);

/* Bytes held now, and the most that were ever held at once. */
size_t alloc_used_bytes(void);
size_t alloc_peak_bytes(void);

#endif
