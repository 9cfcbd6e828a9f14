#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/*
 * Allocation that does not fail, and its accounting.
 *
 * Out of memory aborts the process with a line on stderr. So a size that a peer chooses is checked
 * against a limit before it is allocated. Every block counts as what the allocator reserved for it
 * (malloc_usable_size), so that alloc_used_bytes() is what the daemon holds.
 */

/*
 * Call it once, when a daemon starts. It turns off glibc's fastbins, which collect freed blocks and
 * merge all of them at once: after a million small frees that took 7 ms. It also makes each large
 * block a mapping of its own, which grows without being copied; by default glibc stops doing so
 * after the first such block is freed.
 */
void alloc_init(void);

/*
 * Memory from elsewhere, for programs that embed a part of Fanfare: these functions are called
 * instead of malloc and its kin, with a len above 0, and nothing is counted. out_of_memory, if it
 * is not NULL, is called before the process is aborted.
 */
struct alloc_functions {
	void *(*allocate)(void *arg, size_t len); /* all three are given, or none */
	void *(*reallocate)(void *arg, void *ptr, size_t len);
	void (*release)(void *arg, void *ptr);
	void *arg;
	void (*out_of_memory)(void *arg, size_t len);
	void *out_of_memory_arg;
};

/* Copies. Call it before anything is allocated and before there are threads. */
void alloc_set_functions(const struct alloc_functions *functions);

/* Returns owned (xfree). len 0 is allowed and gives a block that may be freed. */
void *xmalloc(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* The same, for a block that is never grown: a large one is backed by huge pages. A block in huge
 * pages could not grow without being copied. */
void *xmalloc_fixed(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t len)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *ptr, size_t len) __attribute__((returns_nonnull, warn_unused_result));
/*
 * For a block that grows to many MiB step by step, and whose owner knows its size: a large block is
 * a mapping of its own, which the system moves without copying it. old_len is the length so far, 0
 * if ptr is NULL; len is at least 1. Returns owned (xgrow_free, not xfree).
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
