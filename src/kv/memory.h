#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include <stddef.h>

/*
 * Memory of the keyspace, counted by itself: what `maxmemory` bounds. Each block counts as what the
 * allocator reserved for it. Used by one thread only.
 */

/* Returns owned (kv_free). As xmalloc and its family: they do not fail. */
void *kv_malloc(size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *kv_calloc(size_t count, size_t len)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *kv_realloc(void *ptr, size_t len) __attribute__((returns_nonnull, warn_unused_result));
void kv_release(void *ptr); /* NULL is allowed */

/* Bytes that can be used of the block; at least what was asked for. */
size_t kv_block_bytes(const void *ptr);

/* Bytes held now by all of the keyspace. */
size_t kv_used_bytes(void);

#endif
