#ifndef KV_KEY_H
#define KV_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/item.h"
#include "kv/keyspace.h"

/*
 * The layout of a key in its item. For the keyspace's own files only.
 *
 *     meta      access (24 bits), type, flags
 *     payload   if the key has an expiry time, its place in the time queue (4 bytes); then the
 *               value: a short string (varint length, bytes), or a pointer (8 bytes)
 */
struct kv_key {
	struct kv_item item;
};

#define KEY_ACCESS_MASK 0xffffffu
#define KEY_TYPE_SHIFT 24
#define KEY_TYPE_MASK (7u << KEY_TYPE_SHIFT)
#define KEY_EXPIRES (1u << 27)
#define KEY_EMBEDDED (1u << 28)
#define KEY_GROWN (1u << 29)

#define KEY_PLACE_LEN sizeof(uint32_t)

/* Strings up to this length are stored in the item. */
#define KEY_EMBED_MAX 192

/* A longer string, in a block of its own. */
struct kv_text {
	size_t len, cap;
	char bytes[];
};

static inline unsigned char *
key_value_at(const struct kv_key *key)
{
	union {
		const struct kv_item *from;
		struct kv_item *to;
	} item = {.from = &key->item};

	return kv_item_payload(item.to) + ((key->item.meta & KEY_EXPIRES) != 0 ? KEY_PLACE_LEN : 0);
}

static inline void *
key_pointer(const struct kv_key *key)
{
	void *value;

	memcpy(&value, key_value_at(key), sizeof(value));
	return value;
}

#endif
