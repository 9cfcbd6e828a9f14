#ifndef KV_LIST_CHUNK_H
#define KV_LIST_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Chunk of a list: entries in a row, in one block, with room at both ends of them. For the files of
 * the list only.
 *
 * An entry is its length as a varint, its bytes, and its length again with the bytes of that varint
 * in reverse, so that it can be read from either end.
 *
 * A change that makes or removes entries may move the chunk in memory: those functions return it
 * anew, and whoever points at it has to be told. Offsets count from data, not from begin; those of
 * entries that stay are shifted as each function says.
 */
struct list_chunk {
	struct list_chunk *prev, *next; /* the list's */
	size_t count;
	size_t begin, end; /* of the entries in data */
	size_t room;       /* of data */
	unsigned char data[];
};

/* Empty, not linked, with room for an entry of this value. Returns owned (kv_release). */
struct list_chunk *list_chunk_new(struct slice value);
struct list_chunk *list_chunk_copy(const struct list_chunk *chunk);

static inline size_t
list_chunk_used(const struct list_chunk *chunk)
{
	return chunk->end - chunk->begin;
}

/* What the entry of a value takes. */
size_t list_entry_bytes(size_t value_len);

/* The value of the entry at an offset, whose end is then in *end. Borrows. */
struct slice list_chunk_value(const struct list_chunk *chunk, size_t at, size_t *end);

/* Where the entry begins that ends at `end`, which is not begin. */
size_t list_chunk_prev_at(const struct list_chunk *chunk, size_t end);

/*
 * A new first or last entry, or one at an offset: entries behind it may move, and those before it;
 * its offset is then in *at. max_room: no more is reserved for what may come, but it may be twice
 * as much.
 */
struct list_chunk *list_chunk_push(
    struct list_chunk *chunk, bool at_head, struct slice value, size_t max_room);
struct list_chunk *list_chunk_insert(
    struct list_chunk *chunk, size_t *at, struct slice value, size_t max_room);

/* Removes `count` entries from offset `from` to offset `to`; returns where the entry behind them is
 * now. */
size_t list_chunk_remove(struct list_chunk *chunk, size_t from, size_t to, size_t count);

/* Moves the entries from an offset on, `count` of them, to a new chunk. Returns owned. */
struct list_chunk *list_chunk_split(struct list_chunk *chunk, size_t at, size_t count);

/* Gives back room where most is not used. *at is an offset that is wanted then, too; or NULL. */
struct list_chunk *list_chunk_shrink(struct list_chunk *chunk, size_t *at);

#endif
