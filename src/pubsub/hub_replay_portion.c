#include "config.h"

#include <assert.h>

#include "pubsub/hub_history.h"
#include "pubsub/hub_replay.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_replay_state.h"
#include "pubsub/hub_state.h"

/* The portions of a replay: they are planned, encoded or found, and queued. */

/* The most payload bytes of a portion, unless it is a single message. */
#define PORTION_BYTES ((size_t)256 << 10)

/* A portion takes at most this part of what the outbox may have queued. */
#define PORTION_SHARE 4

/* Encoded portions that are kept for sharing. */
#define SHARED_BYTES ((size_t)4 << 20)
#define SHARED_PART 16 /* of limits.memory_bytes at most */

/* Of the replay of a subscriber that is closed, the entries and readers that are ended at once. */
#define ENDED_A_STEP 1024

/* About what a frame has besides its payload and the name of its channel. */
#define FRAME_OVERHEAD 64

static void
begin(struct cursor_portion *portion, struct cursor *cursor)
{
	const struct outbox_limits *limits = &cursor->subscriber->outbox.limits;
	uint32_t messages = CURSOR_PORTION_MESSAGES;
	size_t bytes = PORTION_BYTES;

	if (limits->messages > 0 && limits->messages / PORTION_SHARE < messages)
		messages = limits->messages / PORTION_SHARE;
	if (limits->bytes > 0 && limits->bytes / PORTION_SHARE < bytes)
		bytes = limits->bytes / PORTION_SHARE;
	cursor_portion_begin(
	    portion, cursor, messages > 0 ? messages : 1, bytes, cursor->subscriber->dedup);
}

/* Reads the entry, unless its ring has expired: then it ends, or is forgotten and ends when it is
 * looked at again. False: the subscriber is closed. */
static bool
look_at(struct hub *hub, struct cursor_entry *entry, uint64_t now_us)
{
	const struct subscriber *s = entry->reader->cursor->subscriber;
	const struct ring *ring;

	if (entry->of->topic == NULL) {
		hub_replay_end_forgotten(hub, entry);
		return !s->outbox.sealed;
	}
	ring = history_ring(hub_history(hub), entry->of->topic->ring, now_us);
	if (ring != NULL) {
		if (ring_overtook(ring, entry->after_seq)) {
			hub_replay_miss(entry->reader->subscription, cursor_overtaken(entry, ring));
			cursor_skip(entry, ring);
		}
		cursor_portion_read(&hub->replay->portion, entry, ring);
	}
	return !s->outbox.sealed;
}

/* False: the subscriber is closed. */
static bool
plan(struct hub *hub, struct cursor *cursor, uint64_t now_us)
{
	struct cursor_portion *portion = &hub->replay->portion;
	struct cursor_entry *entry;
	bool is_open = !cursor->subscriber->outbox.sealed;

	begin(portion, cursor);
	hub->replay->current = cursor;
	do {
		while (is_open && (entry = cursor_portion_wants(portion)) != NULL)
			is_open = look_at(hub, entry, now_us);
	} while (is_open && cursor_portion_take(portion));
	hub->replay->current = NULL;
	return is_open;
}

static struct topic *
pattern_of(const struct cursor_message *message)
{
	struct subscription *subscription = message->reader->subscription;

	return subscription->kind == HUB_PATTERN ? subscription->topic : NULL;
}

/* True if limits.memory_bytes leaves no room for the portion. */
static bool
is_full(struct hub *hub, const struct cursor_portion *portion)
{
	size_t limit = hub->limits->memory_bytes, bytes = 0;

	if (limit == 0)
		return false;
	for (uint32_t i = 0; i < portion->count; i++) {
		const struct cursor_message *message = &portion->messages[i];
		const struct topic *pattern = pattern_of(message);

		bytes += message->kept.payload.len + message->topic->name_len + FRAME_OVERHEAD;
		bytes += pattern != NULL ? pattern->name_len : 0;
	}
	if (hub_memory_claimed(hub) + bytes <= limit)
		return false;
	(void)hub_replay_drop_shared(hub);
	return hub_memory_claimed(hub) + bytes > limit && hub_memory_can_shrink(hub);
}

static size_t
shared_bytes(const struct hub *hub)
{
	size_t limit = hub->limits->memory_bytes;

	return limit > 0 && limit / SHARED_PART < SHARED_BYTES ? limit / SHARED_PART : SHARED_BYTES;
}

/*
 * What the portion contains: of each message the seq and, if it comes through a pattern, the number
 * of the pattern in this portion. The name of a pattern follows its number at the first use.
 */
static struct slice
key_of(struct hub_replay *replay)
{
	const struct cursor_portion *portion = &replay->portion;
	uint64_t names = replay->names;

	buffer_clear(&replay->key);
	for (uint32_t i = 0; i < portion->count; i++) {
		const struct cursor_message *message = &portion->messages[i];
		struct cursor_reader *reader = message->reader;
		const struct topic *pattern = pattern_of(message);
		bool is_new = pattern != NULL && reader->name <= names;
		uint32_t words[4] = {
		    (uint32_t)message->kept.seq, (uint32_t)(message->kept.seq >> 32)};

		if (is_new) {
			reader->name = ++replay->names;
			words[3] = pattern->name_len;
		}
		if (pattern != NULL)
			words[2] = (uint32_t)(reader->name - names);
		buffer_append(&replay->key, words, sizeof(words));
		if (is_new)
			buffer_append_slice(&replay->key, topic_name(pattern));
	}
	return buffer_slice(&replay->key);
}

static const struct portion *
encode(struct hub *hub, uint8_t form)
{
	struct hub_replay *replay = hub->replay;
	struct slice key = key_of(replay);
	struct portion *portion = portions_find(&replay->portions, form, key);

	if (portion != NULL)
		return portion;
	portion = portions_add(&replay->portions, form, key, shared_bytes(hub));
	for (uint32_t i = 0; i < replay->portion.count; i++) {
		const struct cursor_message *message = &replay->portion.messages[i];
		struct topic *topic = message->reader->subscription->topic;
		uint32_t tag = topic_tags_of(hub->tags, topic);
		struct frame frame;
		bool can = hub_encode_kept(
		    hub, message->topic, pattern_of(message), &message->kept, form, tag, &frame);

		portion_add(&replay->portions, portion, can ? &frame : NULL, tag);
	}
	return portion;
}

/* Queues the portion that is planned; the outbox is low. */
static enum hub_replay_result
queue_portion(struct hub *hub, struct cursor *cursor)
{
	struct cursor_portion *portion = &hub->replay->portion;
	struct outbox *outbox = &cursor->subscriber->outbox;

	if (portion->count > 0 && is_full(hub, portion)) {
		cursor_portion_cancel(portion);
		return HUB_REPLAY_FULL;
	}
	if (portion->count > 0)
		portion_push(encode(hub, outbox->form), outbox);
	hub->replay->replayed += portion->count;
	hub->delivered += portion->count;
	cursor_portion_commit(portion, hub->replay->topics);
	/* While readers are left, messages of their channels go on to come from the rings. */
	if (!portion->is_last || !hub_replay_end_readers(hub, cursor)) {
		TAILQ_REMOVE(&hub->replay->due, cursor, link);
		TAILQ_INSERT_TAIL(&hub->replay->due, cursor, link);
	}
	return HUB_REPLAY_MORE;
}

enum hub_replay_result
hub_replay(struct hub *hub, uint64_t now_us)
{
	size_t budget = ENDED_A_STEP;
	struct cursor *cursor;
	const struct outbox *outbox;

	if (hub_replay_is_forgetting(hub)) {
		hub_replay_forget_some(hub);
		return HUB_REPLAY_MORE;
	}
	cursor = TAILQ_FIRST(&hub->replay->due);
	if (cursor == NULL)
		return HUB_REPLAY_IDLE;
	outbox = &cursor->subscriber->outbox;
	if (!outbox->sealed && !outbox_is_low(outbox)) {
		hub_replay_move(hub, cursor, CURSOR_EVENT_FULL);
		return HUB_REPLAY_MORE;
	}
	if (plan(hub, cursor, now_us))
		return queue_portion(hub, cursor);
	cursor_portion_cancel(&hub->replay->portion);
	(void)!hub_replay_detach(cursor->subscriber, &budget);
	return HUB_REPLAY_MORE;
}
