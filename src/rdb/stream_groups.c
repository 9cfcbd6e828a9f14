#include "config.h"

#include "base/alloc.h"
#include "rdb/input.h"
#include "rdb/stream.h"
#include "rdb/string.h"

static int
compare_ids(struct rdb_id a, struct rdb_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static bool
take_id(struct rdb_input *in, struct rdb_id *id)
{
	unsigned char bytes[16];

	if (!rdb_input_take(in, bytes, sizeof(bytes)))
		return false;
	*id = rdb_id_of_bytes(bytes);
	return true;
}

bool
rdb_stream_group(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	stream->left--;
	stream->state = RDB_STREAM_GROUP;
	event->kind = RDB_EVENT_GROUP;
	event->has_figures = stream->version >= 2;
	if (!rdb_string(in, &stream->text) || !rdb_id_lengths(in, &event->id))
		return false;
	event->first = buffer_slice(&stream->text);
	return !event->has_figures || rdb_length(in, &event->number);
}

static void
add_pending(struct rdb_stream *stream, const struct rdb_pending *pending)
{
	if (stream->pending_count == stream->pending_room) {
		stream->pending_room = stream->pending_room > 0 ? 2 * stream->pending_room : 16;
		stream->pending =
		    xrealloc(stream->pending, stream->pending_room * sizeof(*stream->pending));
	}
	stream->pending[stream->pending_count++] = *pending;
}

bool
rdb_stream_group_pending(struct rdb_stream *stream, struct rdb_input *in)
{
	struct rdb_pending pending;
	uint64_t count;

	stream->pending_count = 0;
	if (!rdb_length(in, &count))
		return false;
	while (count-- > 0) {
		uint64_t offset = rdb_input_offset(in);
		size_t before = stream->pending_count;

		if (!take_id(in, &pending.id) || !rdb_u64(in, &pending.time_ms) ||
		    !rdb_length(in, &pending.deliveries))
			return false;
		if (before > 0 && compare_ids(stream->pending[before - 1].id, pending.id) >= 0)
			return rdb_input_fail(
			    in, offset, "the pending entries of a group are not in order");
		add_pending(stream, &pending);
	}
	stream->state = RDB_STREAM_CONSUMERS;
	return rdb_length(in, &stream->consumers_left);
}

bool
rdb_stream_consumer(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	uint64_t time_ms;

	stream->consumers_left--;
	stream->state = RDB_STREAM_PENDING;
	event->kind = RDB_EVENT_CONSUMER;
	if (!rdb_string(in, &stream->text) || !rdb_u64(in, &time_ms) ||
	    (stream->version >= 3 && !rdb_u64(in, &time_ms)))
		return false;
	event->first = buffer_slice(&stream->text);
	return rdb_length(in, &stream->consumer_pending_left);
}

/* The pending entry of the group with this id, or NULL. */
static const struct rdb_pending *
find_pending(const struct rdb_stream *stream, struct rdb_id id)
{
	size_t from = 0, to = stream->pending_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = compare_ids(stream->pending[middle].id, id);

		if (order == 0)
			return &stream->pending[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

bool
rdb_stream_pending(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
{
	uint64_t offset = rdb_input_offset(in);
	const struct rdb_pending *pending;

	stream->consumer_pending_left--;
	event->kind = RDB_EVENT_PENDING;
	if (!take_id(in, &event->id))
		return false;
	pending = find_pending(stream, event->id);
	if (pending == NULL)
		return rdb_input_fail(
		    in, offset, "an entry is pending for a consumer, and not for its group");
	event->time_ms = (int64_t)pending->time_ms;
	event->number = pending->deliveries;
	return true;
}
