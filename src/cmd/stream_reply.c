#include "config.h"

#include "cmd/stream_reply.h"

#include <string.h>

#include "resp/writer.h"

/* Room for "*" and a number and "\r\n". */
#define HEADER_MAX (BYTES_U64_MAX + 3)

struct slice
stream_id_text(struct stream_id id, char text[STREAM_ID_TEXT_MAX])
{
	size_t len = bytes_from_u64(text, id.ms);

	text[len++] = '-';
	len += bytes_from_u64(text + len, id.seq);
	return (struct slice){text, len};
}

void
stream_put_id(struct buffer *out, struct stream_id id)
{
	char text[STREAM_ID_TEXT_MAX];

	resp_put_bulk(out, stream_id_text(id, text));
}

void
stream_put_entry(struct buffer *out, struct stream_entry *entry)
{
	struct slice name, value;

	resp_put_array(out, 2);
	stream_put_id(out, entry->id);
	resp_put_array(out, 2 * entry->field_count);
	for (size_t i = 0; i < entry->field_count; i++) {
		stream_entry_next(entry, &name, &value);
		resp_put_bulk(out, name);
		resp_put_bulk(out, value);
	}
}

size_t
stream_array_begin(const struct buffer *out)
{
	return out->len;
}

void
stream_insert(struct buffer *out, size_t at, struct slice bytes)
{
	(void)buffer_reserve(out, bytes.len);
	memmove(out->ptr + at + bytes.len, out->ptr + at, out->len - at);
	memcpy(out->ptr + at, bytes.ptr, bytes.len);
	out->len += bytes.len;
}

void
stream_array_end(struct buffer *out, size_t begin, char type, size_t count)
{
	char header[HEADER_MAX];
	size_t len = (size_t)(resp_write_header(header, type, count) - header);

	stream_insert(out, begin, (struct slice){header, len});
}

void
stream_put_range(struct buffer *out, const struct kv_stream *stream, struct stream_id first,
    struct stream_id last, uint64_t count, bool reverse)
{
	size_t begin = stream_array_begin(out), put = 0;
	struct stream_cursor cursor;
	struct stream_entry entry;

	kv_stream_seek(stream, reverse ? last : first, reverse, &cursor);
	while ((count == 0 || put < count) && (reverse ? stream_cursor_prev(&cursor, &entry)
						       : stream_cursor_next(&cursor, &entry))) {
		if (stream_id_compare(entry.id, reverse ? first : last) * (reverse ? -1 : 1) > 0)
			break;
		stream_put_entry(out, &entry);
		put++;
	}
	stream_array_end(out, begin, '*', put);
}
