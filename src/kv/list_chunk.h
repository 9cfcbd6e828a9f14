#ifndef KV_LIST_CHUNK_H
#define KV_LIST_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Chunk of a list: consecutive entries in one block, with room at both ends. For the files of the
 * list only.
 *
 * An entry is its length as a varint, its bytes, and its length again with the bytes of the varint
 * reversed, so that it can be read from either end.
 *
 * A function that adds or removes entries may move the chunk in memory and then returns its new
 * address: the caller updates all pointers to it. Offsets count from data, not from begin; the
 * offsets of remaining entries change as each function says.
 */
struct list_chunk {
	struct list_chunk *prev, *next; /* the list's */
	size_t count;
	size_t begin, end; /* the entries' range in data */
	size_t room;       /* size of data */
	unsigned char data[];
};

/* An empty chunk that is not linked, with room for an entry of this value. Returns owned
 * (kv_release). */
struct list_chunk *list_chunk_new(struct slice value);
struct list_chunk *list_chunk_copy(const struct list_chunk *chunk);

static inline size_t
list_chunk_used(const struct list_chunk *chunk)
{
	return chunk->end - chunk->begin;
}

/* The bytes that the entry of a value takes. */
size_t list_entry_bytes(size_t value_len);

/* The value of the entry at an offset; *end is set to the end of the entry. Borrows. */
struct slice list_chunk_value(const struct list_chunk *chunk, size_t at, size_t *end);

/* The offset of the entry that ends at `end`, which is not begin. */
size_t list_chunk_prev_at(const struct list_chunk *chunk, size_t end);

/*
 * Adds a first or last entry (push), or an entry at an offset (insert). Entries before or behind it
 * may move; *at is then the offset of the new entry. The chunk's room grows to max_room, further
 * only if the entries need more, or once to twice that if all free room is at the other end.
 */
struct list_chunk *list_chunk_push(
    struct list_chunk *chunk, bool at_head, struct slice value, size_t max_room);
struct list_chunk *list_chunk_insert(
    struct list_chunk *chunk, size_t *at, struct slice value, size_t max_room);

/* Removes `count` entries from offset `from` to offset `to`; returns the new offset of the entry
 * behind them. */
size_t list_chunk_remove(struct list_chunk *chunk, size_t from, size_t to, size_t count);

/* Moves the last `count` entries, from an offset on, to a new chunk. Returns owned. */
struct list_chunk *list_chunk_split(struct list_chunk *chunk, size_t at, size_t count);

/* Shrinks the block if most of it is unused. *at is an offset to be updated, or at is NULL. */
struct list_chunk *list_chunk_shrink(struct list_chunk *chunk, size_t *at);

#endif
