#include "config.h"

#include "kv/stream_node.h"

#include <assert.h>
#include <string.h>

#include "kv/item.h"
#include "kv/memory.h"

/* ms since the base are below this, so that twice as many are a number of 64 bits. */
#define SPAN_MS (UINT64_C(1) << 32)

/* The room of a node at first; it doubles. */
#define FIRST_ROOM 64

static size_t
text_len(struct slice text)
{
	return kv_varint_len(text.len) + text.len;
}

static unsigned char *
put_text(unsigned char *at, struct slice text)
{
	at = kv_varint_put(at, text.len);
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	return at + text.len;
}

static const unsigned char *
get_text(const unsigned char *at, struct slice *text)
{
	uint64_t len;

	at = kv_varint_get(at, &len);
	*text = (struct slice){(const char *)at, (size_t)len};
	return at + len;
}

/* The same as kv_varint_put, for a reader that comes from behind. */
static unsigned char *
put_reversed(unsigned char *at, uint64_t v)
{
	unsigned char forward[KV_VARINT_MAX];
	size_t len = (size_t)(kv_varint_put(forward, v) - forward);

	while (len > 0)
		*at++ = forward[--len];
	return at;
}

static size_t
get_reversed(const unsigned char *end, uint64_t *v)
{
	const unsigned char *at = end;
	unsigned shift = 0;

	*v = 0;
	do {
		at--;
		*v |= (uint64_t)(*at & 127) << shift;
		shift += 7;
	} while ((*at & 128) != 0);
	return (size_t)(end - at);
}

bool
stream_node_takes(struct stream_id base, struct stream_id id)
{
	return id.ms - base.ms < SPAN_MS;
}

/* The two numbers that stand for an id. */
static void
deltas_of(struct stream_id base, struct stream_id id, bool shared, uint64_t *ms, uint64_t *seq)
{
	*ms = (id.ms - base.ms) * 2 + shared;
	*seq = id.ms == base.ms ? id.seq - base.seq : id.seq;
}

/* True if the fields have the node's names. */
static bool
has_names(const struct stream_node *node, const struct stream_fields *fields)
{
	uint64_t count;
	const unsigned char *at = kv_varint_get(node->data, &count);
	struct slice name;

	if (count != fields->count)
		return false;
	for (size_t i = 0; i < fields->count; i++) {
		at = get_text(at, &name);
		if (!slice_eq(name, fields->pairs[2 * i]))
			return false;
	}
	return true;
}

static size_t
names_len(const struct stream_fields *fields)
{
	size_t len = kv_varint_len(fields->count);

	for (size_t i = 0; i < fields->count; i++)
		len += text_len(fields->pairs[2 * i]);
	return len;
}

/* The length of an entry, without that of its length. */
static size_t
body_len(
    struct stream_id base, struct stream_id id, const struct stream_fields *fields, bool shared)
{
	uint64_t ms, seq;
	size_t len;

	deltas_of(base, id, shared, &ms, &seq);
	len = kv_varint_len(ms) + kv_varint_len(seq) + (shared ? 0 : names_len(fields));
	for (size_t i = 0; i < fields->count; i++)
		len += text_len(fields->pairs[2 * i + 1]);
	return len;
}

/* Writes an entry of body_len bytes behind the others. */
static void
put_entry(struct stream_node *node, struct stream_id base, struct stream_id id,
    const struct stream_fields *fields, bool shared, size_t len)
{
	unsigned char *at = node->data + node->len;
	uint64_t ms, seq;

	deltas_of(base, id, shared, &ms, &seq);
	at = kv_varint_put(at, ms);
	at = kv_varint_put(at, seq);
	if (!shared)
		at = kv_varint_put(at, fields->count);
	for (size_t i = 0; i < fields->count; i++) {
		if (!shared)
			at = put_text(at, fields->pairs[2 * i]);
		at = put_text(at, fields->pairs[2 * i + 1]);
	}
	at = put_reversed(at, len);
	node->len = (uint32_t)(at - node->data);
	node->count++;
}

struct stream_node *
stream_node_new(const struct stream_fields *fields)
{
	size_t begin = names_len(fields);
	size_t len = body_len(STREAM_ID_MIN, STREAM_ID_MIN, fields, true);
	size_t need = begin + len + kv_varint_len(len),
	       room = need > FIRST_ROOM ? need : FIRST_ROOM;
	struct stream_node *node = kv_malloc(sizeof(*node) + room);
	unsigned char *at;

	assert(room <= UINT32_MAX);
	*node = (struct stream_node){.room = (uint32_t)room, .begin = (uint32_t)begin};
	at = kv_varint_put(node->data, fields->count);
	for (size_t i = 0; i < fields->count; i++)
		at = put_text(at, fields->pairs[2 * i]);
	node->len = node->begin;
	put_entry(node, STREAM_ID_MIN, STREAM_ID_MIN, fields, true, len);
	return node;
}

struct stream_node *
stream_node_copy(const struct stream_node *node)
{
	struct stream_node *copy = kv_malloc(sizeof(*copy) + node->len);

	memcpy(copy, node, sizeof(*copy) + node->len);
	copy->room = copy->len;
	return copy;
}

static struct stream_node *
resize(struct stream_node *node, size_t room)
{
	assert(room <= UINT32_MAX);
	node = kv_realloc(node, sizeof(*node) + room);
	node->room = (uint32_t)room;
	return node;
}

struct stream_node *
stream_node_append(struct stream_node *node, struct stream_id base, struct stream_id id,
    const struct stream_fields *fields, size_t max_room)
{
	bool shared = has_names(node, fields);
	size_t len = body_len(base, id, fields, shared);
	size_t need = node->len + len + kv_varint_len(len), room = 2 * (size_t)node->room;

	if (need > node->room) {
		if (room > max_room)
			room = max_room;
		node = resize(node, room > need ? room : need);
	}
	put_entry(node, base, id, fields, shared, len);
	return node;
}

struct stream_node *
stream_node_fit(struct stream_node *node)
{
	return node->room > node->len ? resize(node, node->len) : node;
}

size_t
stream_node_read(
    const struct stream_node *node, struct stream_id base, size_t at, struct stream_entry *entry)
{
	const unsigned char *from = node->data + at, *to;
	uint64_t ms, seq, count, len;
	struct slice text;

	to = kv_varint_get(kv_varint_get(from, &ms), &seq);
	entry->id.ms = base.ms + ms / 2;
	entry->id.seq = ms / 2 == 0 ? base.seq + seq : seq;
	entry->names = NULL;
	if (ms % 2 != 0)
		entry->names = kv_varint_get(node->data, &count);
	else
		to = kv_varint_get(to, &count);
	entry->field_count = (size_t)count;
	entry->values = to;
	for (count = ms % 2 != 0 ? count : 2 * count; count > 0; count--)
		to = get_text(to, &text);
	len = (uint64_t)(to - from);
	return at + (size_t)len + kv_varint_len(len);
}

size_t
stream_node_before(const struct stream_node *node, size_t end)
{
	uint64_t len;
	size_t digits = get_reversed(node->data + end, &len);

	return end - digits - (size_t)len;
}

size_t
stream_node_seek(
    const struct stream_node *node, struct stream_id base, struct stream_id id, bool after)
{
	struct stream_entry entry;
	size_t at = node->begin;

	while (at < node->len) {
		size_t end = stream_node_read(node, base, at, &entry);

		if (stream_id_compare(entry.id, id) >= (after ? 1 : 0))
			break;
		at = end;
	}
	return at;
}

void
stream_node_remove(struct stream_node *node, size_t from, size_t to, uint32_t count)
{
	memmove(node->data + from, node->data + to, node->len - to);
	node->len -= (uint32_t)(to - from);
	node->count -= count;
	node->deleted += count;
}

void
stream_entry_next(struct stream_entry *entry, struct slice *name, struct slice *value)
{
	if (entry->names != NULL)
		entry->names = get_text(entry->names, name);
	else
		entry->values = get_text(entry->values, name);
	entry->values = get_text(entry->values, value);
}
