#ifndef KV_PACKED_H
#define KV_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Packed: a short run of byte strings in one block, each with its length as a varint in front. It
 * is searched from its start and moved to be changed, so its owner keeps it short (struct
 * kv_limits), and in any case asks kv_packed_has_room.
 *
 * Entries are named by their place, an offset that stands until the block changes before it. What
 * is put in must not lie in the block itself.
 */
struct kv_packed {
	uint32_t len; /* bytes of data that are used */
	uint32_t count;
	unsigned char data[];
};

#define KV_PACKED_NONE SIZE_MAX /* no place */

struct kv_packed *kv_packed_new(void); /* returns owned (kv_release) */
struct kv_packed *kv_packed_copy(const struct kv_packed *p);

/* False if one or two more entries of len bytes in all would make it longer than a block may be,
 * 16 MiB. To be asked before they are put in. */
bool kv_packed_has_room(const struct kv_packed *p, size_t len);

/* The entry at a place that is below p->len, the first being at 0; returns the place after it. */
size_t kv_packed_get(const struct kv_packed *p, size_t at, struct slice *entry);

/* The place of entry number `index`, which is below p->count. */
size_t kv_packed_place(const struct kv_packed *p, size_t index);

/* The place of the first of the entries 0, stride, 2 * stride ... that is equal, or KV_PACKED_NONE.
 */
size_t kv_packed_find(const struct kv_packed *p, struct slice entry, size_t stride);

/* These change, may move the block, and return where it is now. */
struct kv_packed *kv_packed_append(struct kv_packed *p, struct slice entry);
struct kv_packed *kv_packed_replace(struct kv_packed *p, size_t at, struct slice entry);
struct kv_packed *kv_packed_remove(struct kv_packed *p, size_t at, size_t count);

#endif
