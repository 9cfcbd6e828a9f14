#ifndef KV_PACKED_H
#define KV_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Packed: a short run of byte strings in one block, each preceded by its length as a varint. It is
 * searched from its start, and a change moves the bytes behind it. So its owner keeps it short
 * (struct kv_limits), and always calls kv_packed_has_room before it adds an entry.
 *
 * A place is the offset of an entry. It is valid until the block changes before it. Bytes that are
 * added must not be in the block itself.
 */
struct kv_packed {
	uint32_t len; /* bytes of data that are used */
	uint32_t count;
	unsigned char data[];
};

#define KV_PACKED_NONE SIZE_MAX /* no place */

struct kv_packed *kv_packed_new(void); /* returns owned (kv_release) */
struct kv_packed *kv_packed_copy(const struct kv_packed *p);

/* False if one or two more entries of len bytes in all would make the block longer than its limit
 * of 16 MiB. To be called before they are added. */
bool kv_packed_has_room(const struct kv_packed *p, size_t len);

/* The entry at a place, which is below p->len; the first is at 0. Returns the place of the next
 * entry. */
size_t kv_packed_get(const struct kv_packed *p, size_t at, struct slice *entry);

/* The place of the entry with this index, which is below p->count. */
size_t kv_packed_place(const struct kv_packed *p, size_t index);

/* The place of the first equal entry among those with index 0, stride, 2 * stride ...;
 * KV_PACKED_NONE if there is none. */
size_t kv_packed_find(const struct kv_packed *p, struct slice entry, size_t stride);

/* Each of these may move the block and returns where it is now. */
struct kv_packed *kv_packed_append(struct kv_packed *p, struct slice entry);
struct kv_packed *kv_packed_replace(struct kv_packed *p, size_t at, struct slice entry);
struct kv_packed *kv_packed_remove(struct kv_packed *p, size_t at, size_t count);

#endif
