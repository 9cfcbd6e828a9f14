#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include <stddef.h>

/*
 * Memory of the keyspace, counted separately: `maxmemory` limits it. Each block counts as what the
 * allocator reserved for it. For one thread only.
 */

/* Returns owned (kv_release). These do not fail, as xmalloc. */
void *kv_malloc(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *kv_calloc(size_t count, size_t len)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *kv_realloc(void *ptr, size_t len) __attribute__((returns_nonnull, warn_unused_result));
void kv_release(void *ptr); /* NULL is allowed */

/* The usable bytes of the block, at least as many as were requested. */
size_t kv_block_bytes(const void *ptr);

/* Bytes that the keyspace holds now. */
size_t kv_used_bytes(void);

#endif
