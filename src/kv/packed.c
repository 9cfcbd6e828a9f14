#include "config.h"

#include "kv/packed.h"

#include <assert.h>
#include <string.h>

#include "kv/item.h"
#include "kv/memory.h"

/* A bound that no setting exceeds: searching or moving more would block the loop. */
#define LEN_MAX ((size_t)16 << 20)

/* The bytes of two entries' lengths: an owner adds up to two entries at once. */
#define LENGTHS_MAX ((size_t)2 * KV_VARINT_MAX)

struct kv_packed *
kv_packed_new(void)
{
	struct kv_packed *p = kv_malloc(sizeof(*p));

	p->len = 0;
	p->count = 0;
	return p;
}

struct kv_packed *
kv_packed_copy(const struct kv_packed *p)
{
	struct kv_packed *copy = kv_malloc(sizeof(*p) + p->len);

	memcpy(copy, p, sizeof(*p) + p->len);
	return copy;
}

bool
kv_packed_has_room(const struct kv_packed *p, size_t len)
{
	return len < LEN_MAX && p->len + len + LENGTHS_MAX <= LEN_MAX;
}

size_t
kv_packed_get(const struct kv_packed *p, size_t at, struct slice *entry)
{
	uint64_t len;
	const unsigned char *text = kv_varint_get(p->data + at, &len);

	entry->ptr = (const char *)text;
	entry->len = (size_t)len;
	return (size_t)(text - p->data) + entry->len;
}

size_t
kv_packed_place(const struct kv_packed *p, size_t index)
{
	struct slice entry;
	size_t at = 0;

	while (index-- > 0)
		at = kv_packed_get(p, at, &entry);
	return at;
}

/* Reads the length, which is nearly always one byte; returns where the text begins. */
static inline const unsigned char *
read_len(const unsigned char *at, size_t *len)
{
	uint64_t long_len;

	*len = *at;
	if (*at < 128)
		return at + 1;
	at = kv_varint_get(at, &long_len);
	*len = (size_t)long_len;
	return at;
}

/* Entries of one block often differ only near the end, so the last byte is compared first. */
size_t
kv_packed_find(const struct kv_packed *p, struct slice wanted, size_t stride)
{
	const unsigned char *at = p->data, *end = p->data + p->len, *text;
	const unsigned char *bytes = (const unsigned char *)wanted.ptr;
	size_t len, i;

	while (at < end) {
		text = read_len(at, &len);
		if (len == wanted.len && (len == 0 || (text[len - 1] == bytes[len - 1] &&
							  memcmp(text, bytes, len - 1) == 0)))
			return (size_t)(at - p->data);
		at = text + len;
		for (i = 1; i < stride && at < end; i++) {
			at = read_len(at, &len);
			at += len;
		}
	}
	return KV_PACKED_NONE;
}

/* Replaces the `old_len` bytes at a place by `new_len` bytes; the bytes behind them are moved. */
static struct kv_packed *
make_room(struct kv_packed *p, size_t at, size_t old_len, size_t new_len)
{
	size_t tail = p->len - at - old_len;
	size_t len = sizeof(*p) + p->len - old_len + new_len;

	if (new_len > old_len && kv_block_bytes(p) < len)
		p = kv_realloc(p, len);
	memmove(p->data + at + new_len, p->data + at + old_len, tail);
	p->len = (uint32_t)(p->len - old_len + new_len);
	/* More than half of the block is unused: shrink it. */
	if (new_len < old_len && kv_block_bytes(p) > 2 * len + 64)
		p = kv_realloc(p, len);
	return p;
}

static void
put_entry(struct kv_packed *p, size_t at, struct slice entry)
{
	unsigned char *text = kv_varint_put(p->data + at, entry.len);

	if (entry.len > 0)
		memcpy(text, entry.ptr, entry.len);
}

struct kv_packed *
kv_packed_append(struct kv_packed *p, struct slice entry)
{
	size_t at = p->len;

	assert(p->len + entry.len < LEN_MAX);
	p = make_room(p, at, 0, kv_varint_len(entry.len) + entry.len);
	put_entry(p, at, entry);
	p->count++;
	return p;
}

struct kv_packed *
kv_packed_replace(struct kv_packed *p, size_t at, struct slice entry)
{
	struct slice old;
	size_t old_len = kv_packed_get(p, at, &old) - at;
	size_t new_len = kv_varint_len(entry.len) + entry.len;

	assert(p->len - old_len + new_len < LEN_MAX);
	if (new_len != old_len)
		p = make_room(p, at, old_len, new_len);
	put_entry(p, at, entry);
	return p;
}

struct kv_packed *
kv_packed_remove(struct kv_packed *p, size_t at, size_t count)
{
	struct slice entry;
	size_t end = at, i;

	for (i = 0; i < count; i++)
		end = kv_packed_get(p, end, &entry);
	p->count -= (uint32_t)count;
	return make_room(p, at, end - at, 0);
}
