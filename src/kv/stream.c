#include "config.h"

#include "kv/stream.h"

#include <assert.h>

#include "kv/memory.h"
#include "kv/stream_group.h"

/* A node without a limit in bytes still ends here. */
#define NODE_BYTES_MAX ((size_t)1 << 30)

struct kv_stream {
	struct id_tree nodes; /* struct stream_node by base */
	uint64_t length;
	size_t node_bytes; /* of their blocks */
	struct stream_past past;
	struct stream_groups groups;
};

struct kv_stream *
kv_stream_new(void)
{
	return kv_calloc(1, sizeof(struct kv_stream));
}

static size_t
release_node(void *node, void *arg)
{
	size_t count = ((struct stream_node *)node)->count;

	(void)arg;
	kv_release(node);
	return count;
}

bool
kv_stream_free_some(void *value, size_t *budget)
{
	struct kv_stream *stream = value;

	if (!id_tree_drain(&stream->nodes, release_node, NULL, budget) ||
	    !stream_groups_free_some(&stream->groups, budget))
		return false;
	kv_release(stream);
	return true;
}

void
kv_stream_free(struct kv_stream *stream)
{
	size_t all = SIZE_MAX;
	bool done = kv_stream_free_some(stream, &all);

	assert(done);
}

size_t
kv_stream_units(const void *value)
{
	const struct kv_stream *stream = value;

	return (size_t)stream->length + stream_groups_units(&stream->groups);
}

void *
kv_stream_copy(const void *value)
{
	const struct kv_stream *stream = value;
	struct kv_stream *copy = kv_stream_new();
	const struct id_entry *entry;
	struct id_cursor c;

	id_tree_seek(&stream->nodes, STREAM_ID_MIN, false, &c);
	while ((entry = id_cursor_next(&c)) != NULL) {
		struct stream_node *node = stream_node_copy(entry->value);

		copy->node_bytes += kv_block_bytes(node);
		id_tree_add(&copy->nodes, entry->id, node);
	}
	copy->length = stream->length;
	copy->past = stream->past;
	stream_groups_copy(&stream->groups, &copy->groups);
	return copy;
}

size_t
kv_stream_bytes(const struct kv_stream *stream)
{
	return kv_block_bytes(stream) + stream->nodes.bytes + stream->node_bytes +
	       stream_groups_bytes(&stream->groups);
}

uint64_t
kv_stream_length(const struct kv_stream *stream)
{
	return stream->length;
}

size_t
kv_stream_node_count(const struct kv_stream *stream)
{
	return stream->nodes.count;
}

struct stream_past
kv_stream_past(const struct kv_stream *stream)
{
	return stream->past;
}

void
kv_stream_set_past(struct kv_stream *stream, const struct stream_past *past)
{
	stream->past = *past;
}

/* The first (at the front) or the last node, with its base. */
static struct stream_node *
edge_node(const struct kv_stream *stream, bool front, struct stream_id *base)
{
	const struct id_entry *entry;
	struct id_cursor c;

	id_tree_seek(&stream->nodes, front ? STREAM_ID_MIN : STREAM_ID_MAX, !front, &c);
	entry = front ? id_cursor_next(&c) : id_cursor_prev(&c);
	if (entry == NULL)
		return NULL;
	*base = entry->id;
	return entry->value;
}

/* The most bytes of a node's data: its block is as large as the limit says. */
static size_t
node_max_bytes(const struct kv_limits *limits)
{
	size_t max = limits->stream_node_bytes;

	if (max == 0 || max > NODE_BYTES_MAX)
		max = NODE_BYTES_MAX;
	return max > sizeof(struct stream_node) ? max - sizeof(struct stream_node) : 0;
}

/* The bytes that an entry adds at most, without the varints of its id. */
static size_t
bytes_of(const struct stream_fields *fields)
{
	size_t bytes = 0;

	for (size_t i = 0; i < 2 * fields->count; i++)
		bytes += fields->pairs[i].len;
	return bytes;
}

static bool
is_full(const struct stream_node *node, const struct stream_fields *fields,
    const struct kv_limits *limits)
{
	if (limits->stream_node_entries > 0 &&
	    (uint64_t)node->count + node->deleted >= limits->stream_node_entries)
		return true;
	return node->len + bytes_of(fields) >= node_max_bytes(limits);
}

/* The node has moved, or its block has changed its size. */
static void
update_node(struct kv_stream *stream, struct stream_id base, struct stream_node *was,
    struct stream_node *now, size_t was_bytes)
{
	stream->node_bytes += kv_block_bytes(now) - was_bytes;
	if (now != was)
		id_tree_replace(&stream->nodes, base, now);
}

static void
add_node(struct kv_stream *stream, struct stream_id id, const struct stream_fields *fields)
{
	struct stream_node *node = stream_node_new(fields);

	stream->node_bytes += kv_block_bytes(node);
	id_tree_add(&stream->nodes, id, node);
}

void
kv_stream_append(struct kv_stream *stream, struct stream_id id, const struct stream_fields *fields,
    const struct kv_limits *limits)
{
	struct stream_id base = STREAM_ID_MIN;
	struct stream_node *node = edge_node(stream, false, &base), *now;
	size_t bytes = node != NULL ? kv_block_bytes(node) : 0;

	assert(stream_id_compare(id, stream->past.last_id) > 0 && fields->count > 0);
	if (node == NULL) {
		add_node(stream, id, fields);
	} else if (!stream_node_takes(base, id) || is_full(node, fields, limits)) {
		now = stream_node_fit(node);
		update_node(stream, base, node, now, bytes);
		add_node(stream, id, fields);
	} else {
		now = stream_node_append(node, base, id, fields, node_max_bytes(limits));
		update_node(stream, base, node, now, bytes);
	}
	stream->length++;
	stream->past.last_id = id;
	if (stream->past.added < INT64_MAX)
		stream->past.added++;
}

static void
drop_node(struct kv_stream *stream, struct stream_id base, struct stream_node *node)
{
	stream->length -= node->count;
	stream->node_bytes -= kv_block_bytes(node);
	(void)id_tree_remove(&stream->nodes, base);
	kv_release(node);
}

/* The node that has the entry with this id, if there is one. */
static struct stream_node *
node_for(const struct kv_stream *stream, struct stream_id id, struct stream_id *base)
{
	const struct id_entry *entry;
	struct id_cursor c;

	id_tree_seek(&stream->nodes, id, true, &c);
	entry = id_cursor_prev(&c);
	if (entry == NULL)
		return NULL;
	*base = entry->id;
	return entry->value;
}

bool
kv_stream_remove(struct kv_stream *stream, struct stream_id id)
{
	struct stream_id base;
	struct stream_node *node = node_for(stream, id, &base);
	struct stream_entry entry;
	size_t at, end;

	if (node == NULL || (at = stream_node_seek(node, base, id, false)) == node->len)
		return false;
	end = stream_node_read(node, base, at, &entry);
	if (stream_id_compare(entry.id, id) != 0)
		return false;
	if (stream_id_compare(id, stream->past.deleted_id) > 0)
		stream->past.deleted_id = id;
	if (node->count == 1) {
		drop_node(stream, base, node);
		return true;
	}
	stream_node_remove(node, at, end, 1);
	stream->length--;
	return true;
}

static struct stream_id
last_id_of(const struct stream_node *node, struct stream_id base)
{
	struct stream_entry entry;

	(void)stream_node_read(node, base, stream_node_before(node, node->len), &entry);
	return entry.id;
}

/* True if the whole node is to be removed. */
static bool
is_beyond(const struct kv_stream *stream, const struct stream_trim *trim,
    const struct stream_node *node, struct stream_id base)
{
	if (trim->by == STREAM_TRIM_LENGTH)
		return stream->length - node->count >= trim->keep;
	return stream_id_compare(last_id_of(node, base), trim->from) < 0;
}

/* Removes the entries in the front of a node of which some stay. */
static uint64_t
trim_node(struct kv_stream *stream, const struct stream_trim *trim, struct stream_node *node,
    struct stream_id base)
{
	size_t at = node->begin;
	uint32_t count = 0;

	while (at < node->len) {
		struct stream_entry entry;
		size_t end = stream_node_read(node, base, at, &entry);

		if (trim->by == STREAM_TRIM_LENGTH ? stream->length - count <= trim->keep
						   : stream_id_compare(entry.id, trim->from) >= 0)
			break;
		count++;
		at = end;
	}
	stream_node_remove(node, node->begin, at, count);
	stream->length -= count;
	return count;
}

uint64_t
kv_stream_trim(struct kv_stream *stream, const struct stream_trim *trim)
{
	uint64_t removed = 0;

	while (
	    stream->length > 0 && (trim->by != STREAM_TRIM_LENGTH || stream->length > trim->keep)) {
		struct stream_id base = {0, 0};
		struct stream_node *node = edge_node(stream, true, &base);

		assert(node != NULL); /* it has entries */
		if (trim->is_rough && trim->most > 0 && removed + node->count > trim->most)
			break;
		if (is_beyond(stream, trim, node, base)) {
			removed += node->count;
			drop_node(stream, base, node);
			continue;
		}
		if (!trim->is_rough)
			removed += trim_node(stream, trim, node, base);
		break;
	}
	return removed;
}

static bool
stand_at(struct stream_cursor *c, const struct id_entry *entry, bool at_end)
{
	if (entry == NULL)
		return false;
	c->node = entry->value;
	c->base = entry->id;
	c->at = at_end ? c->node->len : c->node->begin;
	return true;
}

/* c->nodes is always behind c->node. */
void
kv_stream_seek(
    const struct kv_stream *stream, struct stream_id id, bool after, struct stream_cursor *c)
{
	const struct id_entry *entry;

	c->node = NULL;
	id_tree_seek(&stream->nodes, id, true, &c->nodes);
	entry = id_cursor_prev(&c->nodes);
	if (entry == NULL) {
		(void)stand_at(c, id_cursor_next(&c->nodes), false);
		return;
	}
	(void)id_cursor_next(&c->nodes);
	(void)stand_at(c, entry, false);
	c->at = stream_node_seek(c->node, c->base, id, after);
}

bool
stream_cursor_next(struct stream_cursor *c, struct stream_entry *entry)
{
	if (c->node == NULL)
		return false;
	if (c->at == c->node->len && !stand_at(c, id_cursor_next(&c->nodes), false))
		return false;
	c->at = stream_node_read(c->node, c->base, c->at, entry);
	return true;
}

bool
stream_cursor_prev(struct stream_cursor *c, struct stream_entry *entry)
{
	if (c->node == NULL)
		return false;
	if (c->at == c->node->begin) {
		const struct id_entry *before;

		(void)id_cursor_prev(&c->nodes);
		before = id_cursor_prev(&c->nodes);
		(void)id_cursor_next(&c->nodes);
		if (!stand_at(c, before, true))
			return false;
	}
	c->at = stream_node_before(c->node, c->at);
	(void)stream_node_read(c->node, c->base, c->at, entry);
	return true;
}

bool
kv_stream_find(const struct kv_stream *stream, struct stream_id id, struct stream_entry *entry)
{
	struct stream_id base;
	const struct stream_node *node = node_for(stream, id, &base);
	size_t at;

	if (node == NULL || (at = stream_node_seek(node, base, id, false)) == node->len)
		return false;
	(void)stream_node_read(node, base, at, entry);
	return stream_id_compare(entry->id, id) == 0;
}

struct stream_id
kv_stream_first_id(const struct kv_stream *stream)
{
	struct stream_id base;
	const struct stream_node *node = edge_node(stream, true, &base);
	struct stream_entry entry;

	if (node == NULL)
		return STREAM_ID_MIN;
	(void)stream_node_read(node, base, node->begin, &entry);
	return entry.id;
}

struct stream_id
kv_stream_top_id(const struct kv_stream *stream)
{
	struct stream_id base;
	const struct stream_node *node = edge_node(stream, false, &base);

	return node != NULL ? last_id_of(node, base) : STREAM_ID_MIN;
}

bool
kv_stream_has_gap_from(const struct kv_stream *stream, struct stream_id id)
{
	struct stream_id deleted = stream->past.deleted_id;

	return stream->length > 0 && !stream_id_is_zero(deleted) &&
	       stream_id_compare(id, deleted) <= 0 &&
	       stream_id_compare(kv_stream_first_id(stream), deleted) <= 0;
}

bool
kv_stream_count_upto(const struct kv_stream *stream, struct stream_id id, uint64_t *count)
{
	const struct stream_past *past = &stream->past;
	struct stream_id first = kv_stream_first_id(stream);
	bool is_whole =
	    stream_id_is_zero(past->deleted_id) || stream_id_compare(past->deleted_id, first) < 0;

	*count = past->added;
	if (past->added == 0 || stream_id_compare(id, past->last_id) == 0)
		return true;
	if (stream_id_compare(id, past->last_id) > 0)
		return false;
	if (stream->length == 0)
		return true;
	*count = past->added - stream->length;
	if (is_whole && stream_id_compare(id, first) == 0)
		++*count;
	return is_whole && stream_id_compare(id, first) <= 0;
}

struct stream_groups *
kv_stream_groups(const struct kv_stream *stream)
{
	union {
		const struct kv_stream *from;
		struct kv_stream *to;
	} of = {.from = stream};

	return &of.to->groups;
}

struct kv_stream *
kv_stream_take_group(struct kv_stream *stream, struct stream_group *group)
{
	struct kv_stream *taken = kv_stream_new();

	stream_groups_take(&stream->groups, group);
	stream_groups_give(&taken->groups, group);
	return taken;
}

bool
kv_stream_is_sound(const struct kv_stream *stream)
{
	struct stream_id last = STREAM_ID_MIN;
	struct stream_cursor c;
	struct stream_entry entry;
	uint64_t count = 0;

	kv_stream_seek(stream, STREAM_ID_MIN, false, &c);
	for (; stream_cursor_next(&c, &entry); count++) {
		if (count > 0 && stream_id_compare(entry.id, last) <= 0)
			return false;
		last = entry.id;
	}
	return count == stream->length && id_tree_is_sound(&stream->nodes) &&
	       stream_id_compare(last, stream->past.last_id) <= 0;
}
