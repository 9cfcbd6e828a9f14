#include "config.h"

#include "kv/memory.h"

#include <malloc.h>

#include "base/alloc.h"

static size_t used_bytes;

void *
kv_malloc(size_t len)
{
	void *block = xmalloc(len);

	used_bytes += malloc_usable_size(block);
	return block;
}

void *
kv_calloc(size_t count, size_t len)
{
	void *block = xcalloc(count, len);

	used_bytes += malloc_usable_size(block);
	return block;
}

void *
kv_realloc(void *ptr, size_t len)
{
	used_bytes -= malloc_usable_size(ptr);
	ptr = xrealloc(ptr, len);
	used_bytes += malloc_usable_size(ptr);
	return ptr;
}

void
kv_release(void *ptr)
{
	used_bytes -= malloc_usable_size(ptr);
	xfree(ptr);
}

size_t
kv_block_bytes(const void *ptr)
{
	union {
		const void *from;
		void *to;
	} block = {.from = ptr};

	return malloc_usable_size(block.to);
}

size_t
kv_used_bytes(void)
{
	return used_bytes;
}
