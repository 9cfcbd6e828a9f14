#ifndef KV_STREAM_NODE_H
#define KV_STREAM_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/stream_id.h"

/*
 * Node of a stream: consecutive entries in one block. For the files of the stream only.
 *
 * It has a base, the id of its first entry when it was made, which the stream's index keeps. It
 * begins with the names of that entry's fields; an entry with the same names has only the values.
 *
 *     names     number of fields as a varint, then each name: its length as a varint, its bytes
 *     entry     varint: ms since the base, times 2, plus 1 if it has the node's names;
 *               varint: seq, counted from the base's if the ms are equal;
 *               without the node's names: the number of fields;
 *               the values, each with its name before it if it does not have the node's names;
 *               the length of all this as a varint with its bytes reversed, to read backwards
 */
struct stream_node {
	uint32_t room;    /* of data */
	uint32_t len;     /* bytes of data that are used */
	uint32_t begin;   /* where the entries begin */
	uint32_t count;   /* entries, at least 1 */
	uint32_t deleted; /* entries that were removed from it */
	unsigned char data[];
};

/* The fields of an entry that is to be added: names and values alternate. */
struct stream_fields {
	const struct slice *pairs;
	size_t count;
};

/* An entry in a node. Borrowed until the stream changes. */
struct stream_entry {
	struct stream_id id;
	size_t field_count;
	const unsigned char *names; /* NULL: each is before its value */
	const unsigned char *values;
};

/* A node that has only this entry, whose id is the base. Returns owned (kv_release). */
struct stream_node *stream_node_new(const struct stream_fields *fields);
struct stream_node *stream_node_copy(const struct stream_node *node);

/* True if the id may be added to a node with this base. */
bool stream_node_takes(struct stream_id base, struct stream_id id);

/* Adds an entry behind all others. The node may move: returns its address. Its room grows by
 * doubling, up to max_room or to what it needs. */
struct stream_node *stream_node_append(struct stream_node *node, struct stream_id base,
    struct stream_id id, const struct stream_fields *fields, size_t max_room);

/* Gives back the room that is not used. */
struct stream_node *stream_node_fit(struct stream_node *node);

/* Reads the entry at an offset between begin and len; returns the offset behind it. */
size_t stream_node_read(
    const struct stream_node *node, struct stream_id base, size_t at, struct stream_entry *entry);

/* The offset of the entry that ends at `end`, which is behind begin. */
size_t stream_node_before(const struct stream_node *node, size_t end);

/* The offset of the first entry with this id or a later one; with after, with a later one. */
size_t stream_node_seek(
    const struct stream_node *node, struct stream_id base, struct stream_id id, bool after);

/* Removes `count` entries from offset `from` to offset `to`. */
void stream_node_remove(struct stream_node *node, size_t from, size_t to, uint32_t count);

/* The next of the entry's fields, to be called field_count times. */
void stream_entry_next(struct stream_entry *entry, struct slice *name, struct slice *value);

#endif
