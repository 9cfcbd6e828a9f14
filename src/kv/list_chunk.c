#include "config.h"

#include "kv/list_chunk.h"

#include <string.h>

#include "kv/item.h"
#include "kv/memory.h"

/* A block for several entries is not made or shrunk to less than this. */
#define SMALL_BYTES 64

static struct list_chunk *
make(size_t room)
{
	struct list_chunk *chunk = kv_malloc(sizeof(*chunk) + room);

	*chunk = (struct list_chunk){.room = room};
	return chunk;
}

struct list_chunk *
list_chunk_new(struct slice value)
{
	size_t need = list_entry_bytes(value.len);

	return make(need < SMALL_BYTES / 2 ? SMALL_BYTES : need);
}

struct list_chunk *
list_chunk_copy(const struct list_chunk *chunk)
{
	size_t used = list_chunk_used(chunk);
	struct list_chunk *copy = make(used);

	copy->count = chunk->count;
	copy->end = used;
	memcpy(copy->data, chunk->data + chunk->begin, used);
	return copy;
}

size_t
list_entry_bytes(size_t value_len)
{
	return value_len + 2 * kv_varint_len(value_len);
}

/* Writes the entry and returns its end. */
static unsigned char *
put_entry(unsigned char *at, struct slice value)
{
	size_t left = value.len, digits = kv_varint_len(left);

	at = kv_varint_put(at, left);
	if (value.len > 0)
		memcpy(at, value.ptr, value.len);
	at += value.len;
	for (size_t i = digits; i-- > 0; left >>= 7)
		at[i] = (unsigned char)(i > 0 ? left | 128 : left);
	return at + digits;
}

struct slice
list_chunk_value(const struct list_chunk *chunk, size_t at, size_t *end)
{
	const unsigned char *from = chunk->data + at, *bytes;
	uint64_t len;

	bytes = kv_varint_get(from, &len);
	*end = at + (size_t)len + 2 * (size_t)(bytes - from);
	return (struct slice){(const char *)bytes, (size_t)len};
}

size_t
list_chunk_prev_at(const struct list_chunk *chunk, size_t end)
{
	const unsigned char *from = chunk->data + end, *at = from - 1;
	uint64_t len = *at & 127;

	for (unsigned shift = 7; (*at & 128) != 0; shift += 7)
		len |= (uint64_t)(*--at & 127) << shift;
	return end - (size_t)len - 2 * (size_t)(from - at);
}

/* Resizes the chunk to `room` bytes, with its entries at `begin`. */
static struct list_chunk *
reroom(struct list_chunk *chunk, size_t room, size_t begin)
{
	struct list_chunk *to = make(room);
	size_t used = list_chunk_used(chunk);

	memcpy(to->data + begin, chunk->data + chunk->begin, used);
	to->prev = chunk->prev;
	to->next = chunk->next;
	to->count = chunk->count;
	to->begin = begin;
	to->end = begin + used;
	kv_release(chunk);
	return to;
}

/*
 * Makes room for `need` bytes at one end. Entries are moved to the other end only if that makes at
 * least as much room as the bytes moved. So a queue, with pushes at one end and pops at the other,
 * costs a constant for each byte, however full the chunk is.
 */
static struct list_chunk *
make_room(struct list_chunk *chunk, bool at_head, size_t need, size_t max_room)
{
	size_t used = list_chunk_used(chunk), room = chunk->room, begin;

	if (room - used < need || room < 2 * used) {
		if (room >= max_room && room - used >= need)
			room = 2 * room; /* the free room is at the other end */
		else
			room = 2 * (used + need) < max_room ? 2 * (used + need) : max_room;
		if (room < used + need)
			room = used + need;
		return reroom(chunk, room, at_head ? room - used : 0);
	}
	begin = at_head ? room - used : 0;
	memmove(chunk->data + begin, chunk->data + chunk->begin, used);
	chunk->begin = begin;
	chunk->end = begin + used;
	return chunk;
}

struct list_chunk *
list_chunk_push(struct list_chunk *chunk, bool at_head, struct slice value, size_t max_room)
{
	size_t need = list_entry_bytes(value.len);

	if ((at_head ? chunk->begin : chunk->room - chunk->end) < need)
		chunk = make_room(chunk, at_head, need, max_room);
	if (at_head) {
		chunk->begin -= need;
		put_entry(chunk->data + chunk->begin, value);
	} else {
		put_entry(chunk->data + chunk->end, value);
		chunk->end += need;
	}
	chunk->count++;
	return chunk;
}

struct list_chunk *
list_chunk_insert(struct list_chunk *chunk, size_t *at, struct slice value, size_t max_room)
{
	size_t need = list_entry_bytes(value.len), before = *at - chunk->begin;
	bool at_head = before < chunk->end - *at; /* fewer bytes are moved */

	if ((at_head ? chunk->begin : chunk->room - chunk->end) < need)
		chunk = make_room(chunk, at_head, need, max_room);
	if (at_head) {
		memmove(chunk->data + chunk->begin - need, chunk->data + chunk->begin, before);
		chunk->begin -= need;
	} else {
		memmove(chunk->data + chunk->begin + before + need,
		    chunk->data + chunk->begin + before, list_chunk_used(chunk) - before);
		chunk->end += need;
	}
	*at = chunk->begin + before;
	put_entry(chunk->data + *at, value);
	chunk->count++;
	return chunk;
}

size_t
list_chunk_remove(struct list_chunk *chunk, size_t from, size_t to, size_t count)
{
	size_t before = from - chunk->begin, behind = chunk->end - to;

	chunk->count -= count;
	if (before < behind) {
		chunk->begin += to - from;
		memmove(
		    chunk->data + chunk->begin, chunk->data + chunk->begin - (to - from), before);
		return to;
	}
	memmove(chunk->data + from, chunk->data + to, behind);
	chunk->end -= to - from;
	return from;
}

struct list_chunk *
list_chunk_split(struct list_chunk *chunk, size_t at, size_t count)
{
	size_t used = chunk->end - at;
	struct list_chunk *to = make(used);

	memcpy(to->data, chunk->data + at, used);
	to->end = used;
	to->count = count;
	chunk->end = at;
	chunk->count -= count;
	return to;
}

/* Afterwards half of the block is free, at both ends: a following push or pop does not resize it
 * again. */
struct list_chunk *
list_chunk_shrink(struct list_chunk *chunk, size_t *at)
{
	size_t used = list_chunk_used(chunk), before = at != NULL ? *at - chunk->begin : 0;

	if (chunk->room <= SMALL_BYTES || used >= chunk->room / 4)
		return chunk;
	chunk = reroom(chunk, 2 * used < SMALL_BYTES ? SMALL_BYTES : 2 * used, used / 2);
	if (at != NULL)
		*at = chunk->begin + before;
	return chunk;
}
