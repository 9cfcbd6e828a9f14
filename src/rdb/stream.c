#include "config.h"

#include "rdb/stream.h"

#include "base/alloc.h"
#include "rdb/input.h"
#include "rdb/string.h"

enum { ENTRY_DELETED = 1, ENTRY_SAME_FIELDS = 2 };

struct rdb_id
rdb_id_of_bytes(const unsigned char bytes[16])
{
	struct rdb_id id = {0, 0};

	for (size_t i = 0; i < 8; i++) {
		id.ms = id.ms << 8 | bytes[i];
		id.seq = id.seq << 8 | bytes[8 + i];
	}
	return id;
}

bool
rdb_id_lengths(struct rdb_input *in, struct rdb_id *id)
{
	return rdb_length(in, &id->ms) && rdb_length(in, &id->seq);
}

bool
rdb_stream_begin(struct rdb_stream *stream, struct rdb_input *in, unsigned int version)
{
	stream->version = version;
	stream->state = RDB_STREAM_NODES;
	return rdb_length(in, &stream->left);
}

void
rdb_stream_release(struct rdb_stream *stream)
{
	buffer_release(&stream->text);
	xfree(stream->pending);
	stream->pending = NULL;
}

static bool
fail(const struct rdb_stream *stream, struct rdb_input *in, const char *reason)
{
	return rdb_input_fail(in, stream->node_offset, reason);
}

/* The next element of the node; its end is a fault. */
static bool
take(struct rdb_stream *stream, struct rdb_input *in, struct rdb_element *element)
{
	switch (rdb_packed_next(&stream->packed, element)) {
	case RDB_PACKED_ELEMENT:
		return true;
	case RDB_PACKED_END:
		return fail(stream, in, "a stream's node ends within an entry");
	default:
		return fail(stream, in, stream->packed.fault);
	}
}

static bool
take_number(struct rdb_stream *stream, struct rdb_input *in, int64_t *number)
{
	struct rdb_element element;

	if (!take(stream, in, &element))
		return false;
	*number = element.number;
	return element.is_number || fail(stream, in, "text in place of a number in a stream");
}

/* A number of things that follow. */
static bool
take_count(struct rdb_stream *stream, struct rdb_input *in, uint64_t *count)
{
	int64_t number;

	if (!take_number(stream, in, &number))
		return false;
	*count = (uint64_t)number;
	return number >= 0 || fail(stream, in, "a negative count in a stream");
}

static bool
skip_elements(struct rdb_stream *stream, struct rdb_input *in, uint64_t count)
{
	struct rdb_element element;

	while (count-- > 0)
		if (!take(stream, in, &element))
			return false;
	return true;
}

/* The first entry of a node: numbers of entries, and the names of their fields. */
static bool
begin_entries(struct rdb_stream *stream, struct rdb_input *in)
{
	uint64_t count, deleted;
	int64_t end;

	if (!take_count(stream, in, &count) || !take_count(stream, in, &deleted) ||
	    !take_count(stream, in, &stream->node_fields))
		return false;
	stream->entries = count + deleted;
	stream->names = stream->packed;
	if (!skip_elements(stream, in, stream->node_fields) || !take_number(stream, in, &end))
		return false;
	stream->state = RDB_STREAM_ENTRIES;
	return end == 0 || fail(stream, in, "the names of a stream's fields have no end");
}

static bool
take_node(struct rdb_stream *stream, struct rdb_input *in)
{
	uint64_t offset = rdb_input_offset(in);

	if (!rdb_string(in, &stream->text))
		return false;
	if (stream->text.len != 16)
		return rdb_input_fail(in, offset, "a stream's node has no identifier");
	stream->node_id = rdb_id_of_bytes((const unsigned char *)stream->text.ptr);
	stream->node_offset = rdb_input_offset(in);
	stream->left--;
	if (!rdb_string(in, &stream->text))
		return false;
	if (rdb_packed_init(&stream->packed, RDB_LISTPACK, buffer_slice(&stream->text)) ==
	    RDB_PACKED_BAD)
		return fail(stream, in, stream->packed.fault);
	return begin_entries(stream, in);
}

static bool
end_node(struct rdb_stream *stream, struct rdb_input *in)
{
	struct rdb_element element;

	stream->state = RDB_STREAM_NODES;
	switch (rdb_packed_next(&stream->packed, &element)) {
	case RDB_PACKED_END:
		return true;
	case RDB_PACKED_ELEMENT:
		return fail(stream, in, "a stream's node has more entries than it says");
	default:
		return fail(stream, in, stream->packed.fault);
	}
}

/* The head of an entry. A deleted one is skipped, and *is_event is false. */
static bool
take_entry(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event, bool *is_event)
{
	int64_t flags, ms, seq, back;
	uint64_t fields = stream->node_fields;

	if (!take_number(stream, in, &flags) || !take_number(stream, in, &ms) ||
	    !take_number(stream, in, &seq))
		return false;
	stream->entries--;
	stream->has_node_fields = (flags & ENTRY_SAME_FIELDS) != 0;
	if (!stream->has_node_fields && !take_count(stream, in, &fields))
		return false;
	*is_event = (flags & ENTRY_DELETED) == 0;
	if (!*is_event) {
		if (!stream->has_node_fields && !skip_elements(stream, in, fields))
			return false;
		return skip_elements(stream, in, fields) && take_number(stream, in, &back);
	}
	event->kind = RDB_EVENT_ENTRY;
	event->id =
	    (struct rdb_id){stream->node_id.ms + (uint64_t)ms, stream->node_id.seq + (uint64_t)seq};
	event->number = stream->fields_left = fields;
	stream->name_at = stream->names;
	stream->state = RDB_STREAM_FIELDS;
	return fields > 0 || fail(stream, in, "an entry of a stream has no fields");
}

static bool
take_field(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	stream->fields_left--;
	if (!stream->has_node_fields) {
		if (!take(stream, in, &stream->name))
			return false;
	} else if (rdb_packed_next(&stream->name_at, &stream->name) != RDB_PACKED_ELEMENT) {
		return fail(stream, in, "the names of a stream's fields have no end");
	}
	if (!take(stream, in, &stream->value))
		return false;
	event->kind = RDB_EVENT_ELEMENT;
	event->first = stream->name.text;
	event->second = stream->value.text;
	return true;
}

/* What follows the entries. */
static bool
take_figures(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	struct rdb_id first;

	event->kind = RDB_EVENT_STREAM;
	if (!rdb_length(in, &event->count) || !rdb_id_lengths(in, &event->id))
		return false;
	event->has_figures = stream->version >= 2;
	if (event->has_figures &&
	    (!rdb_id_lengths(in, &first) || !rdb_id_lengths(in, &event->deleted_id) ||
		!rdb_length(in, &event->number)))
		return false;
	stream->state = RDB_STREAM_GROUPS;
	return rdb_length(in, &stream->left);
}

/* One step. *is_event: it gave an event. */
static bool
step(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event, bool *is_event)
{
	int64_t back;

	*is_event = true;
	switch (stream->state) {
	case RDB_STREAM_NODES:
		if (stream->left == 0)
			return take_figures(stream, in, event);
		*is_event = false;
		return take_node(stream, in);
	case RDB_STREAM_ENTRIES:
		if (stream->entries > 0)
			return take_entry(stream, in, event, is_event);
		*is_event = false;
		return end_node(stream, in);
	case RDB_STREAM_FIELDS:
		if (stream->fields_left > 0)
			return take_field(stream, in, event);
		*is_event = false;
		stream->state = RDB_STREAM_ENTRIES;
		return take_number(stream, in, &back);
	case RDB_STREAM_GROUPS:
		return rdb_stream_group(stream, in, event);
	case RDB_STREAM_GROUP:
		*is_event = false;
		return rdb_stream_group_pending(stream, in);
	case RDB_STREAM_CONSUMERS:
		*is_event = stream->consumers_left > 0;
		if (*is_event)
			return rdb_stream_consumer(stream, in, event);
		stream->state = RDB_STREAM_GROUPS;
		return true;
	default:
		*is_event = stream->consumer_pending_left > 0;
		if (*is_event)
			return rdb_stream_pending(stream, in, event);
		stream->state = RDB_STREAM_CONSUMERS;
		return true;
	}
}

enum rdb_stream_result
rdb_stream_next(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	bool is_event = false;

	while (!is_event) {
		if (stream->state == RDB_STREAM_GROUPS && stream->left == 0)
			return RDB_STREAM_DONE;
		if (!step(stream, in, event, &is_event))
			return RDB_STREAM_BAD;
	}
	return RDB_STREAM_EVENT;
}
