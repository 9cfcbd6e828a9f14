#ifndef KV_ITEM_H
#define KV_ITEM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buckets.h"
#include "base/bytes.h"

/*
 * Item: a key with a payload in one block, for a kv_table. The keys of the keyspace, the fields of
 * a hash and the members of a set or sorted set are items; their owner defines the payload and
 * meta. The payload is not aligned: use memcpy.
 *
 * In the block: next, meta, the length of the key as a varint (LEB128), the key, the payload.
 */
struct kv_item {
	struct bucket_node node; /* the table's */
	uint32_t meta;           /* the owner's; initially 0 */
	unsigned char data[];
};

#define KV_VARINT_MAX 10

/* The number of bytes that v takes. */
static inline size_t
kv_varint_len(uint64_t v)
{
	size_t len = 1;

	for (; v >= 128; v >>= 7)
		len++;
	return len;
}

/* Writes v and returns the end. */
static inline unsigned char *
kv_varint_put(unsigned char *at, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*at++ = (unsigned char)(v | 128);
	*at++ = (unsigned char)v;
	return at;
}

/* Reads v, which was written by kv_varint_put, and returns the end. */
static inline const unsigned char *
kv_varint_get(const unsigned char *at, uint64_t *v)
{
	unsigned shift;

	*v = *at & 127;
	for (shift = 7; (*at++ & 128) != 0; shift += 7)
		*v |= (uint64_t)(*at & 127) << shift;
	return at;
}

/* Copies key. The payload is not initialised. Returns owned (kv_release). */
struct kv_item *kv_item_new(struct slice key, size_t payload_len)
    __attribute__((returns_nonnull, warn_unused_result));

/* Resizes the payload to payload_len bytes; the bytes that fit are preserved. The item may move:
 * its owner updates all pointers to it, also the table's (kv_table_link). */
struct kv_item *kv_item_resize(struct kv_item *item, size_t payload_len)
    __attribute__((returns_nonnull, warn_unused_result));

/* The largest payload that fits into its block. */
size_t kv_item_room(const struct kv_item *item);

/* The item that this node is part of. */
static inline struct kv_item *
kv_item_of(struct bucket_node *node)
{
	return (struct kv_item *)node;
}

/* Borrows. */
static inline struct slice
kv_item_key(const struct kv_item *item)
{
	uint64_t len;
	const unsigned char *at = kv_varint_get(item->data, &len);

	return (struct slice){(const char *)at, (size_t)len};
}

static inline unsigned char *
kv_item_payload(struct kv_item *item)
{
	struct slice key = kv_item_key(item);

	return (unsigned char *)item->data + ((const unsigned char *)key.ptr - item->data) +
	       key.len;
}

#endif
