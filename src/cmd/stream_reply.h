#ifndef CMD_STREAM_REPLY_H
#define CMD_STREAM_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "kv/stream.h"

/* Ids and entries in replies and in commands for the append-only file. */

#define STREAM_ID_TEXT_MAX (2 * BYTES_U64_MAX + 1)

/* Writes "MS-SEQ" to text and returns it. */
struct slice stream_id_text(struct stream_id id, char text[STREAM_ID_TEXT_MAX]);

void stream_put_id(struct buffer *out, struct stream_id id); /* a bulk string */

/* [id, [field, value, ...]] */
void stream_put_entry(struct buffer *out, struct stream_entry *entry);

/* An array (type '*') or map ('%') whose length is known only when its elements are there: begin
 * before the first, end behind the last. */
size_t stream_array_begin(const struct buffer *out);
void stream_array_end(struct buffer *out, size_t begin, char type, size_t count);

/* Inserts bytes at an offset. */
void stream_insert(struct buffer *out, size_t at, struct slice bytes);

/* The entries from first to last, at most `count` of them (0: all), as an array. */
void stream_put_range(struct buffer *out, const struct kv_stream *stream, struct stream_id first,
    struct stream_id last, uint64_t count, bool reverse);

#endif
