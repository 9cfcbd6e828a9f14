#include "config.h"

#include "pubsub/idempotency.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buckets.h"
#include "base/siphash.h"
#include "base/time_queue.h"

struct entry {
	struct bucket_node node; /* first */
	uint64_t hash;
	struct hub_outcome outcome;
	uint32_t place; /* in the queue */
	uint16_t channel_len;
	uint16_t key_len;
	char bytes[]; /* of the channel, then of the key */
};

struct idempotency {
	struct buckets entries;
	struct time_queue queue; /* by the end of their windows */
	size_t units;
	const uint64_t *hash_key;
};

static uint64_t
hash_of(const struct bucket_node *node)
{
	return ((const struct entry *)node)->hash;
}

static const struct buckets_ops entry_ops = {.hash = hash_of, .calloc = xcalloc, .free = xfree};

static void
set_place(void *thing, uint32_t place)
{
	((struct entry *)thing)->place = place;
}

static const struct time_queue_ops queue_ops = {
    .moved = set_place, .realloc = xrealloc, .free = xfree};

struct idempotency *
idempotency_new(void)
{
	struct idempotency *keys = xcalloc(1, sizeof(*keys));

	time_queue_init(&keys->queue, &queue_ops);
	keys->hash_key = siphash_process_key();
	return keys;
}

static size_t
free_entry(struct bucket_node *node, void *arg)
{
	(void)arg;
	xfree((struct entry *)node);
	return 1;
}

void
idempotency_free(struct idempotency *keys)
{
	size_t budget = SIZE_MAX;
	bool done = buckets_drain(&keys->entries, &entry_ops, free_entry, NULL, &budget);

	assert(done);
	time_queue_release(&keys->queue);
	xfree(keys);
}

static size_t
units_of(size_t channel_len, size_t key_len)
{
	size_t len = channel_len + key_len;

	return len == 0 ? 1 : (len + IDEMPOTENCY_UNIT - 1) / IDEMPOTENCY_UNIT;
}

static uint64_t
hash_both(const struct idempotency *keys, struct slice channel, struct slice key)
{
	uint64_t parts[2] = {siphash(keys->hash_key, channel.ptr, channel.len),
	    siphash(keys->hash_key, key.ptr, key.len)};

	return siphash(keys->hash_key, parts, sizeof(parts));
}

static bool
is_entry(const struct entry *e, uint64_t hash, struct slice channel, struct slice key)
{
	return e->hash == hash && slice_eq((struct slice){e->bytes, e->channel_len}, channel) &&
	       slice_eq((struct slice){e->bytes + e->channel_len, e->key_len}, key);
}

/* Its window may have ended. */
static struct entry *
find(const struct idempotency *keys, struct slice channel, struct slice key, uint64_t hash)
{
	struct bucket_node **link =
	    keys->entries.count > 0 ? buckets_chain(&keys->entries, hash) : NULL;
	struct bucket_node *node = link != NULL ? *link : NULL;

	while (node != NULL && !is_entry((struct entry *)node, hash, channel, key))
		node = node->next;
	return (struct entry *)node;
}

const struct hub_outcome *
idempotency_find(
    const struct idempotency *keys, struct slice channel, struct slice key, uint64_t now_us)
{
	const struct entry *e;

	if (keys->entries.count == 0)
		return NULL;
	e = find(keys, channel, key, hash_both(keys, channel, key));
	if (e == NULL || (uint64_t)time_queue_at(&keys->queue, e->place)->at <= now_us)
		return NULL;
	return &e->outcome;
}

bool
idempotency_has_room(
    struct idempotency *keys, struct slice channel, struct slice key, size_t max, uint64_t now_us)
{
	size_t units = units_of(channel.len, key.len);

	if (units <= max && keys->units <= max - units)
		return true;
	(void)idempotency_expire(keys, now_us, units);
	return units <= max && keys->units <= max - units;
}

static struct entry *
new_entry(struct slice channel, struct slice key, uint64_t hash)
{
	struct entry *e = xmalloc(sizeof(*e) + channel.len + key.len);

	e->hash = hash;
	e->channel_len = (uint16_t)channel.len;
	e->key_len = (uint16_t)key.len;
	if (channel.len > 0)
		memcpy(e->bytes, channel.ptr, channel.len);
	if (key.len > 0)
		memcpy(e->bytes + channel.len, key.ptr, key.len);
	return e;
}

void
idempotency_add(struct idempotency *keys, struct slice channel, struct slice key,
    const struct hub_outcome *outcome, uint64_t now_us, uint64_t window_us)
{
	uint64_t hash = hash_both(keys, channel, key);
	int64_t end = (int64_t)(now_us + window_us);
	struct entry *e = find(keys, channel, key, hash);

	assert(channel.len <= UINT16_MAX && key.len <= IDEMPOTENCY_KEY_MAX);
	if (e == NULL) {
		e = new_entry(channel, key, hash);
		buckets_add(&keys->entries, &e->node, hash, &entry_ops);
		time_queue_add(&keys->queue, e, end);
		keys->units += units_of(channel.len, key.len);
	} else { /* its window has ended, and it is not freed yet */
		time_queue_change(&keys->queue, e->place, end);
	}
	e->outcome = *outcome;
}

void
idempotency_set_position(struct idempotency *keys, struct slice channel, struct slice key,
    uint64_t sent, struct hub_position position)
{
	struct entry *e = find(keys, channel, key, hash_both(keys, channel, key));

	if (e != NULL && e->outcome.sent == sent)
		e->outcome.position = position;
}

bool
idempotency_each(const struct idempotency *keys, uint64_t now_us,
    bool (*visit)(void *arg, const struct idempotency_record *record), void *arg)
{
	for (size_t i = 0; i < keys->queue.count; i++) {
		const struct time_queue_entry *queued = time_queue_at(&keys->queue, (uint32_t)i);
		const struct entry *e = queued->thing;
		const struct idempotency_record record = {
		    .channel = {e->bytes, e->channel_len},
		    .key = {e->bytes + e->channel_len, e->key_len},
		    .outcome = &e->outcome,
		    .end_us = (uint64_t)queued->at,
		};

		if (record.end_us > now_us && !visit(arg, &record))
			return false;
	}
	return true;
}

static void
forget(struct idempotency *keys, struct entry *e)
{
	struct bucket_node **link = buckets_chain(&keys->entries, e->hash);

	while (link != NULL && *link != NULL && *link != &e->node)
		link = &(*link)->next;
	assert(link != NULL && *link != NULL);
	(void)buckets_unlink(&keys->entries, link);
	time_queue_remove(&keys->queue, e->place);
	keys->units -= units_of(e->channel_len, e->key_len);
	xfree(e);
	if (keys->entries.count > 0)
		buckets_keep_size(&keys->entries, &entry_ops);
	else
		buckets_release(&keys->entries, &entry_ops);
}

bool
idempotency_expire(struct idempotency *keys, uint64_t now_us, size_t budget)
{
	const struct time_queue_entry *first;

	while ((first = time_queue_first(&keys->queue)) != NULL && (uint64_t)first->at <= now_us) {
		if (budget-- == 0)
			return true;
		forget(keys, first->thing);
	}
	return false;
}

size_t
idempotency_count(const struct idempotency *keys)
{
	return keys->units;
}
