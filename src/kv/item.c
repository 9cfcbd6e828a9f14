#include "config.h"

#include "kv/item.h"

#include "kv/memory.h"

static size_t
head_len(size_t key_len)
{
	return offsetof(struct kv_item, data) + kv_varint_len(key_len) + key_len;
}

/* At least sizeof(struct kv_item), because the compiler assumes that a whole struct is there. */
static size_t
block_len(size_t key_len, size_t payload_len)
{
	size_t len = head_len(key_len) + payload_len;

	return len > sizeof(struct kv_item) ? len : sizeof(struct kv_item);
}

struct kv_item *
kv_item_new(struct slice key, size_t payload_len)
{
	struct kv_item *item = kv_malloc(block_len(key.len, payload_len));
	unsigned char *at;

	item->node.next = NULL;
	item->meta = 0;
	at = kv_varint_put(item->data, key.len);
	if (key.len > 0)
		memcpy(at, key.ptr, key.len);
	return item;
}

struct kv_item *
kv_item_resize(struct kv_item *item, size_t payload_len)
{
	return kv_realloc(item, block_len(kv_item_key(item).len, payload_len));
}

size_t
kv_item_room(const struct kv_item *item)
{
	return kv_block_bytes(item) - head_len(kv_item_key(item).len);
}
