#include "config.h"

#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A huge page, as the common processors have them; a wrong guess costs nothing. */
#define HUGE_BYTES ((uintptr_t)2 << 20)

/* Blocks that are never grown ask for huge pages from this size on. */
#define LARGE_BYTES (2 * HUGE_BYTES)

/* Blocks from this size on are mappings of their own. */
#define MAPPED_BYTES (1 << 20)

/* Relaxed: they are figures, and order nothing. */
static atomic_size_t used_bytes;
static atomic_size_t peak_bytes;

void
alloc_init(void)
{
#ifdef M_MXFAST
	mallopt(M_MXFAST, 0);
#endif
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

/* Writes with no allocation and no stdio buffer, because neither can be relied on here. */
static _Noreturn void
die_of_memory(size_t len)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "out of memory (%zu bytes wanted)\n", len);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		abort();
	abort();
}

static void
count_in(void *ptr)
{
	size_t len = malloc_usable_size(ptr);
	size_t used = atomic_fetch_add_explicit(&used_bytes, len, memory_order_relaxed) + len;
	size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);

	while (used > peak && !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, used,
				  memory_order_relaxed, memory_order_relaxed))
		continue;
}

static void
count_out(void *ptr)
{
	atomic_fetch_sub_explicit(&used_bytes, malloc_usable_size(ptr), memory_order_relaxed);
}

void *
xmalloc(size_t len)
{
	void *ptr = malloc(len > 0 ? len : 1);

	if (ptr == NULL)
		die_of_memory(len);
	count_in(ptr);
	return ptr;
}

void *
xmalloc_fixed(size_t len)
{
	void *ptr = xmalloc(len);
#ifdef MADV_HUGEPAGE
	uintptr_t from = ((uintptr_t)ptr + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	uintptr_t to = ((uintptr_t)ptr + len) & ~(HUGE_BYTES - 1);

	if (len >= LARGE_BYTES)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#endif
	return ptr;
}

void *
xcalloc(size_t count, size_t len)
{
	void *ptr = count > 0 && len > 0 ? calloc(count, len) : calloc(1, 1);

	if (ptr == NULL)
		die_of_memory(len > 0 && count > SIZE_MAX / len ? SIZE_MAX : count * len);
	count_in(ptr);
	return ptr;
}

void *
xrealloc(void *ptr, size_t len)
{
	void *grown;

	if (ptr == NULL)
		return xmalloc(len);
	count_out(ptr);
	grown = realloc(ptr, len > 0 ? len : 1);
	if (grown == NULL)
		die_of_memory(len);
	count_in(grown);
	return grown;
}

void *
xmemdup(const void *ptr, size_t len)
{
	void *copy = xmalloc(len);

	if (len > 0)
		memcpy(copy, ptr, len);
	return copy;
}

char *
xstrdup(const char *str)
{
	return xmemdup(str, strlen(str) + 1);
}

char *
xasprintf(const char *format, ...)
{
	va_list args, again;
	char *out;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		abort();
	out = xmalloc((size_t)len + 1);
	vsnprintf(out, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return out;
}

void
xfree(void *ptr)
{
	if (ptr == NULL)
		return;
	count_out(ptr);
	free(ptr);
}

size_t
alloc_used_bytes(void)
{
	return atomic_load_explicit(&used_bytes, memory_order_relaxed);
}

size_t
alloc_peak_bytes(void)
{
	return atomic_load_explicit(&peak_bytes, memory_order_relaxed);
}
