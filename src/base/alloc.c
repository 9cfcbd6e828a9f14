#include "config.h"

#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The size of a huge page on common processors. A wrong guess costs nothing. */
#define HUGE_BYTES ((uintptr_t)2 << 20)

/* Blocks of at least this size that are never grown use huge pages. jemalloc keeps blocks of this
 * size apart from others, so that small blocks never get memory of huge pages. */
#define LARGE_BYTES (4 * HUGE_BYTES)

/* Blocks from this size on are mappings of their own. */
#define MAPPED_BYTES (1 << 20)
#define MAPPED_ROUND ((size_t)64 << 10) /* a multiple of all sizes of pages */

/* Relaxed, because they are figures: no other memory access is ordered by them. */
static atomic_size_t used_bytes;
static atomic_size_t peak_bytes;

static struct alloc_functions functions;
static bool is_foreign; /* functions.allocate is set */

void
alloc_set_functions(const struct alloc_functions *given)
{
	functions = *given;
	is_foreign = functions.allocate != NULL;
}

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

/* Neither allocates nor uses a stdio buffer: neither works reliably when memory has run out. */
static _Noreturn void
die_of_memory(size_t len)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "out of memory (%zu bytes wanted)\n", len);

	if (functions.out_of_memory != NULL)
		functions.out_of_memory(functions.out_of_memory_arg, len);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		abort();
	abort();
}

static void
count_bytes_in(size_t len)
{
	size_t used = atomic_fetch_add_explicit(&used_bytes, len, memory_order_relaxed) + len;
	size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);

	while (used > peak && !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, used,
				  memory_order_relaxed, memory_order_relaxed))
		continue;
}

/* Of malloc; foreign blocks are not counted. */
static void
count_in(void *ptr)
{
	count_bytes_in(malloc_usable_size(ptr));
}

static void
count_out(void *ptr)
{
	atomic_fetch_sub_explicit(&used_bytes, malloc_usable_size(ptr), memory_order_relaxed);
}

/* The daemon's own case is malloc, so each function asks once, at its beginning. */
static inline bool
has_foreign(void)
{
	return __builtin_expect(is_foreign, 0);
}

static void *
foreign_allocate(size_t len)
{
	void *ptr = functions.allocate(functions.arg, len > 0 ? len : 1);

	if (ptr == NULL)
		die_of_memory(len);
	return ptr;
}

static void *
foreign_zeros(size_t count, size_t len)
{
	void *ptr;

	if (len > 0 && count > SIZE_MAX / len)
		die_of_memory(SIZE_MAX);
	ptr = foreign_allocate(count * len);
	memset(ptr, 0, count * len);
	return ptr;
}

void *
xmalloc(size_t len)
{
	void *ptr;

	if (has_foreign())
		return foreign_allocate(len);
	ptr = malloc(len > 0 ? len : 1);
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

	if (len >= LARGE_BYTES && !has_foreign())
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#endif
	return ptr;
}

void *
xcalloc(size_t count, size_t len)
{
	void *ptr;

	if (has_foreign())
		return foreign_zeros(count, len);
	ptr = count > 0 && len > 0 ? calloc(count, len) : calloc(1, 1);
	if (ptr == NULL)
		die_of_memory(len > 0 && count > SIZE_MAX / len ? SIZE_MAX : count * len);
	count_in(ptr);
	return ptr;
}

static void *
foreign_reallocate(void *ptr, size_t len)
{
	void *grown = functions.reallocate(functions.arg, ptr, len > 0 ? len : 1);

	if (grown == NULL)
		die_of_memory(len);
	return grown;
}

void *
xrealloc(void *ptr, size_t len)
{
	void *grown;

	if (ptr == NULL)
		return xmalloc(len);
	if (has_foreign())
		return foreign_reallocate(ptr, len);
	count_out(ptr);
	grown = realloc(ptr, len > 0 ? len : 1);
	if (grown == NULL)
		die_of_memory(len);
	count_in(grown);
	return grown;
}

#if HAVE_JEMALLOC

/* jemalloc would copy a block that grows, so large ones are mappings of their own. */
static size_t
mapping_len(size_t len)
{
	return len < MAPPED_BYTES || has_foreign()
		   ? 0
		   : (len + MAPPED_ROUND - 1) & ~(size_t)(MAPPED_ROUND - 1);
}

static void *
map(size_t len)
{
	void *ptr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ptr == MAP_FAILED)
		die_of_memory(len);
	count_bytes_in(len);
	return ptr;
}

static void
unmap(void *ptr, size_t len)
{
	if (munmap(ptr, len) == 0)
		atomic_fetch_sub_explicit(&used_bytes, len, memory_order_relaxed);
}

static void *
remap(void *ptr, size_t had, size_t len)
{
	void *moved = had != len ? mremap(ptr, had, len, MREMAP_MAYMOVE) : ptr;

	if (moved == MAP_FAILED)
		die_of_memory(len);
	atomic_fetch_sub_explicit(&used_bytes, had, memory_order_relaxed);
	count_bytes_in(len);
	return moved;
}

void *
xgrow(void *ptr, size_t old_len, size_t len)
{
	size_t had = mapping_len(old_len), want = mapping_len(len);
	void *grown;

	if (had == 0 && want == 0)
		return xrealloc(ptr, len);
	if (had > 0 && want > 0)
		return remap(ptr, had, want);
	grown = want > 0 ? map(want) : xmalloc(len);
	if (ptr != NULL)
		memcpy(grown, ptr, old_len < len ? old_len : len);
	xgrow_free(ptr, old_len);
	return grown;
}

void
xgrow_free(void *ptr, size_t len)
{
	size_t had = mapping_len(len);

	if (had == 0)
		xfree(ptr);
	else if (ptr != NULL)
		unmap(ptr, had);
}

#else

/* glibc's realloc moves large blocks without copying them; with sanitizers speed does not matter.
 */
void *
xgrow(void *ptr, size_t old_len, size_t len)
{
	(void)old_len;
	return xrealloc(ptr, len);
}

void
xgrow_free(void *ptr, size_t len)
{
	(void)len;
	xfree(ptr);
}

#endif

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
	if (has_foreign()) {
		functions.release(functions.arg, ptr);
		return;
	}
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
