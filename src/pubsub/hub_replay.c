#include "config.h"

#include "pubsub/hub_replay.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_state.h"
#include "pubsub/portion.h"

/* The most payload bytes of a portion, unless it is a single message. */
#define PORTION_BYTES ((size_t)256 << 10)

/* A portion takes at most this part of what the outbox may have queued. */
#define PORTION_SHARE 4

/* Encoded portions that are kept for sharing. */
#define SHARED_BYTES ((size_t)4 << 20)
#define SHARED_PART 16 /* of limits.memory_bytes at most */

/* About what a frame has besides its payload and the name of its channel. */
#define FRAME_OVERHEAD 64

struct hub_replay {
	struct hash_map *cursors; /* subscriber -> struct cursor */
	struct cursors due;
	struct portions portions;
	const struct cursor *current; /* the cursor whose portion is being queued, or NULL */
	uint64_t replayed, overtaken, fell_behind;
	/* For planning a portion: */
	struct ring_message messages[CURSOR_PORTION_MESSAGES];
	uint32_t entries[CURSOR_PORTION_MESSAGES];
	uint64_t seqs[CURSOR_PORTION_MESSAGES];
	const struct ring **rings;
	uint32_t rings_room;
};

void
hub_replay_init(struct hub *hub)
{
	hub->replay = xcalloc(1, sizeof(*hub->replay));
	hub->replay->cursors = hash_map_new();
	TAILQ_INIT(&hub->replay->due);
	portions_init(&hub->replay->portions);
}

void
hub_replay_release(struct hub *hub)
{
	assert(hash_map_count(hub->replay->cursors) == 0);
	portions_drop_all(&hub->replay->portions);
	hash_map_free(hub->replay->cursors);
	xfree(hub->replay->rings);
	xfree(hub->replay);
}

void
hub_replay_shrink(struct hub *hub)
{
	portions_shrink(&hub->replay->portions);
}

bool
hub_replay_drop_shared(struct hub *hub)
{
	if (hub->replay->portions.count == 0)
		return false;
	portions_drop_all(&hub->replay->portions);
	return true;
}

/* NULL if the channel has none. Entries end whose ring has expired. */
static struct ring *
ring_of(struct hub *hub, const struct topic *topic, uint64_t now_us)
{
	return history_ring(hub_history(hub), topic->ring, now_us);
}

static struct slice
key_of(const struct subscriber *const *s)
{
	return (struct slice){(const char *)s, sizeof(*s)};
}

/* NULL unless the subscriber has a replay. */
static struct cursor *
cursor_of(const struct subscriber *s)
{
	return s->outbox.has_cursor ? hash_map_get(s->hub->replay->cursors, key_of(&s)) : NULL;
}

static void
move(struct hub *hub, struct cursor *cursor, enum cursor_event event)
{
	enum cursor_state before = cursor->state, after = cursor_state_after(before, event);

	if (after == before)
		return;
	cursor->state = (uint8_t)after;
	if (before == CURSOR_DUE)
		TAILQ_REMOVE(&hub->replay->due, cursor, link);
	if (after == CURSOR_DUE)
		TAILQ_INSERT_TAIL(&hub->replay->due, cursor, link);
	else if (after == CURSOR_WAITING)
		outbox_await_low(&cursor->subscriber->outbox);
}

/* All subscriptions are live from now on. */
static void
end_cursor(struct hub *hub, struct cursor *cursor)
{
	struct subscriber *s = cursor->subscriber;
	const struct subscriber *key = s;

	while (cursor->count > 0)
		cursor_remove(cursor, cursor->entries[cursor->count - 1].subscription);
	move(hub, cursor, CURSOR_EVENT_ENDED);
	(void)hash_map_remove(hub->replay->cursors, key_of(&key));
	s->outbox.has_cursor = false;
	cursor_free(cursor);
}

/* The subscription is live from now on. */
static void
end_entry(struct hub *hub, struct cursor *cursor, struct subscription *subscription)
{
	cursor_remove(cursor, subscription);
	if (cursor->count == 0 && cursor != hub->replay->current)
		end_cursor(hub, cursor);
}

void
hub_replay_left(struct subscription *subscription)
{
	struct subscriber *s = subscription->subscriber;
	struct cursor *cursor = cursor_of(s);

	assert(cursor != NULL);
	end_entry(s->hub, cursor, subscription);
}

void
hub_replay_low(struct subscriber *s)
{
	struct cursor *cursor = cursor_of(s);

	if (cursor != NULL)
		move(s->hub, cursor, CURSOR_EVENT_LOW);
}

/* Messages of the subscription cannot be queued any more. */
static void
miss(struct subscription *subscription, uint32_t missed)
{
	struct subscriber *s = subscription->subscriber;

	if (missed == 0 || s->outbox.sealed)
		return;
	s->hub->replay->overtaken += missed;
	outbox_miss(&s->outbox, topic_tags_of(s->hub->tags, subscription->topic), missed);
	if (s->outbox.limits.notify)
		return;
	outbox_close(&s->outbox);
	hub_stop_awaiting(s);
	s->ops->overtaken(s);
}

static void
end_lost_entry(struct hub *hub, struct subscription *subscription, uint32_t appended)
{
	struct cursor *cursor = cursor_of(subscription->subscriber);

	assert(cursor != NULL);
	miss(subscription, appended - cursor->entries[subscription->entry - 1].number);
	end_entry(hub, cursor, subscription);
}

void
hub_replay_forgotten(struct hub *hub, struct topic *topic, uint32_t appended)
{
	if (hash_map_count(hub->replay->cursors) == 0)
		return;
	for (uint32_t i = 0; i < topic->count; i++)
		if (topic->members[i].subscription->entry != 0)
			end_lost_entry(hub, topic->members[i].subscription, appended);
}

bool
hub_replay_unkept(struct hub *hub, struct subscription *subscription)
{
	const struct ring *ring = ring_of(hub, subscription->topic, hub->now_us);
	struct cursor *cursor = cursor_of(subscription->subscriber);

	if (cursor != NULL && subscription->entry != 0) {
		if (ring != NULL)
			end_lost_entry(hub, subscription, ring->appended);
		else
			end_entry(hub, cursor, subscription);
	}
	return !subscription->subscriber->outbox.sealed;
}

static struct cursor *
need_cursor(struct subscriber *s)
{
	const struct subscriber *key = s;
	struct cursor *cursor = cursor_of(s);

	if (cursor != NULL)
		return cursor;
	cursor = cursor_new(s);
	(void)hash_map_set(s->hub->replay->cursors, key_of(&key), cursor);
	s->outbox.has_cursor = true;
	return cursor;
}

bool
hub_replay_join(struct hub *hub, struct subscription *subscription, uint64_t seq)
{
	const struct ring *ring = seq != 0 && subscription->kind == HUB_CHANNEL
				      ? ring_of(hub, subscription->topic, hub->now_us)
				      : NULL;
	struct cursor *cursor;

	if (ring == NULL)
		return false;
	cursor = need_cursor(subscription->subscriber);
	if (cursor->count >= CURSOR_ENTRIES_MAX) {
		hub_overflow(subscription->subscriber);
		return true;
	}
	cursor_add_behind(cursor, subscription, ring, seq - 1);
	move(hub, cursor, CURSOR_EVENT_BEHIND);
	return true;
}

bool
hub_replay_fall_behind(struct hub *hub, struct subscription *subscription, uint64_t seq)
{
	if (!hub_replay_join(hub, subscription, seq))
		return false;
	hub->replay->fell_behind++;
	return true;
}

void
hub_replay_after(struct subscription *subscription, uint64_t after_seq, uint64_t now_us)
{
	struct subscriber *s = subscription->subscriber;
	struct cursor *cursor = need_cursor(s);

	cursor_add(cursor, subscription, ring_of(s->hub, subscription->topic, now_us), after_seq);
	move(s->hub, cursor, CURSOR_EVENT_ADDED);
}

enum hub_result
hub_subscribe_after(struct subscriber *s, struct slice channel, uint64_t after_seq, uint64_t now_us)
{
	enum hub_result result = hub_subscribe(s, HUB_CHANNEL, channel);

	if (result == HUB_OK)
		hub_replay_after(
		    TAILQ_LAST(&s->subscriptions[HUB_CHANNEL], subscriptions), after_seq, now_us);
	return result;
}

void
hub_start_replay(struct subscriber *s)
{
	struct cursor *cursor = cursor_of(s);

	if (cursor != NULL)
		move(s->hub, cursor, CURSOR_EVENT_STARTED);
}

/* Finds the rings of the entries. Entries whose ring has expired meanwhile end. */
static void
find_rings(struct hub *hub, struct cursor *cursor, uint64_t now_us)
{
	struct hub_replay *replay = hub->replay;

	/* The last entry takes the place of one that ends: it was looked at before. */
	for (uint32_t i = cursor->count; i > 0; i--)
		(void)ring_of(hub, cursor->entries[i - 1].subscription->topic, now_us);
	if (replay->rings_room < cursor->count) {
		replay->rings_room = cursor->room;
		replay->rings =
		    xrealloc(replay->rings, replay->rings_room * sizeof(*replay->rings));
	}
	for (uint32_t i = 0; i < cursor->count; i++)
		replay->rings[i] = ring_of(hub, cursor->entries[i].subscription->topic, now_us);
}

static void
check_overtaken(struct hub *hub, struct cursor *cursor)
{
	for (uint32_t i = 0; i < cursor->count; i++) {
		struct cursor_entry *entry = &cursor->entries[i];
		const struct ring *ring = hub->replay->rings[i];

		if (ring == NULL || !ring_overtook(ring, entry->after_seq))
			continue;
		miss(entry->subscription, cursor_overtaken(entry, ring));
		cursor_skip(entry, ring);
	}
}

static void
plan(struct hub *hub, const struct cursor *cursor, struct cursor_portion *portion)
{
	const struct outbox_limits *limits = &cursor->subscriber->outbox.limits;
	uint32_t messages = CURSOR_PORTION_MESSAGES;
	size_t bytes = PORTION_BYTES;

	if (limits->messages > 0 && limits->messages / PORTION_SHARE < messages)
		messages = limits->messages / PORTION_SHARE;
	if (limits->bytes > 0 && limits->bytes / PORTION_SHARE < bytes)
		bytes = limits->bytes / PORTION_SHARE;
	portion->messages = hub->replay->messages;
	portion->entries = hub->replay->entries;
	cursor_plan(cursor, hub->replay->rings, messages > 0 ? messages : 1, bytes, portion);
}

static const struct topic *
topic_of(const struct cursor *cursor, const struct cursor_portion *portion, uint32_t i)
{
	return cursor->entries[portion->entries[i]].subscription->topic;
}

/* True if limits.memory_bytes leaves no room for the portion. */
static bool
is_full(struct hub *hub, const struct cursor *cursor, const struct cursor_portion *portion)
{
	size_t limit = hub->limits->memory_bytes, bytes = 0;

	if (limit == 0)
		return false;
	for (uint32_t i = 0; i < portion->count; i++)
		bytes += portion->messages[i].payload.len + topic_of(cursor, portion, i)->name_len +
			 FRAME_OVERHEAD;
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

static const struct portion *
encode_portion(struct hub *hub, const struct cursor *cursor, const struct cursor_portion *plan)
{
	struct hub_replay *replay = hub->replay;
	uint8_t form = cursor->subscriber->outbox.form;
	struct portion *portion;

	for (uint32_t i = 0; i < plan->count; i++)
		replay->seqs[i] = plan->messages[i].seq;
	portion = portions_find(&replay->portions, form, replay->seqs, plan->count);
	if (portion != NULL)
		return portion;
	portion =
	    portions_add(&replay->portions, form, replay->seqs, plan->count, shared_bytes(hub));
	for (uint32_t i = 0; i < plan->count; i++) {
		struct topic *topic = cursor->entries[plan->entries[i]].subscription->topic;
		uint32_t tag = topic_tags_of(hub->tags, topic);
		struct frame frame;

		if (hub_encode_kept(hub, topic, &plan->messages[i], form, tag, &frame))
			portion_add(&replay->portions, portion, &frame, tag);
		else
			portion_add(&replay->portions, portion, NULL, tag);
	}
	return portion;
}

/* Queues the next portion; the outbox is low. */
static enum hub_replay_result
queue_portion(struct hub *hub, struct cursor *cursor)
{
	struct subscriber *s = cursor->subscriber;
	struct cursor_portion portion;

	plan(hub, cursor, &portion);
	if (portion.count > 0) {
		if (is_full(hub, cursor, &portion))
			return HUB_REPLAY_FULL;
		portion_push(encode_portion(hub, cursor, &portion), &s->outbox);
		cursor_advance(cursor, &portion);
		hub->replay->replayed += portion.count;
		hub->delivered += portion.count;
	}
	if (portion.is_last) {
		end_cursor(hub, cursor);
	} else {
		TAILQ_REMOVE(&hub->replay->due, cursor, link);
		TAILQ_INSERT_TAIL(&hub->replay->due, cursor, link);
	}
	return HUB_REPLAY_MORE;
}

enum hub_replay_result
hub_replay(struct hub *hub, uint64_t now_us)
{
	struct cursor *cursor = TAILQ_FIRST(&hub->replay->due);
	struct subscriber *s;

	if (cursor == NULL)
		return HUB_REPLAY_IDLE;
	s = cursor->subscriber;
	if (!s->outbox.sealed && !outbox_is_low(&s->outbox)) {
		move(hub, cursor, CURSOR_EVENT_FULL);
		return HUB_REPLAY_MORE;
	}
	hub->replay->current = cursor;
	find_rings(hub, cursor, now_us);
	check_overtaken(hub, cursor);
	hub->replay->current = NULL;
	if (s->outbox.sealed || cursor->count == 0) {
		end_cursor(hub, cursor);
		return HUB_REPLAY_MORE;
	}
	return queue_portion(hub, cursor);
}

/* Up to which messages were queued. */
static struct hub_position
queued_position(const struct subscriber *s)
{
	const struct cursor *cursor = cursor_of(s);
	struct hub_position position = history_position(hub_history(s->hub));

	if (cursor != NULL)
		position.seq = cursor->queued_seq;
	return position;
}

/* The seq behind which the messages of the channel begin that are wanted. */
static uint64_t
seq_of(const struct ring *ring, const struct position_since *since, uint64_t newest_seq)
{
	switch (since->kind) {
	case POSITION_AT:
		return since->at.seq;
	case POSITION_ALL:
		return ring != NULL ? ring->trimmed_seq : newest_seq;
	case POSITION_LAST:
		return ring != NULL ? ring_seq_before_last(ring, since->count) : newest_seq;
	case POSITION_NEW:
		break;
	}
	return newest_seq;
}

struct hub_resumption
hub_judge(
    struct subscriber *s, struct slice channel, const struct position_since *since, uint64_t now_us)
{
	static const struct position_since all = {.kind = POSITION_ALL};
	const struct history *history = hub_history(s->hub);
	struct hub_resumption resumption = {.verdict = HUB_NO_HISTORY};
	const struct ring *ring;

	if (!hub_keeps(s->hub, channel))
		return resumption;
	if (hub_is_subscribed(s, HUB_CHANNEL, channel)) {
		resumption.verdict = HUB_SUBSCRIBED;
		resumption.position = queued_position(s);
		return resumption;
	}
	ring = hub_ring(s->hub, channel, now_us);
	resumption.verdict = since->kind == POSITION_AT ? HUB_RESUMED : HUB_NEW;
	if (since->kind == POSITION_AT && !history_can_resume(history, ring, since->at)) {
		resumption.verdict = HUB_LOST;
		since = &all;
	}
	resumption.position = history_position(history);
	resumption.position.seq = seq_of(ring, since, resumption.position.seq);
	if (ring != NULL)
		resumption.count = ring_count_after(ring, resumption.position.seq);
	return resumption;
}

bool
hub_can_resume(struct hub *hub, struct slice channel, uint64_t after_seq, uint64_t now_us)
{
	struct history *history = hub_history(hub);
	struct hub_position position = {history_position(history).epoch, after_seq};

	return history_can_resume(history, hub_ring(hub, channel, now_us), position);
}

struct hub_replay_progress
hub_replay_progress(const struct subscriber *s)
{
	const struct cursor *cursor = cursor_of(s);
	struct hub_replay_progress progress = {.position = queued_position(s)};

	if (cursor == NULL)
		return progress;
	progress.channels = cursor->count;
	for (uint32_t i = 0; i < cursor->count; i++) {
		const struct cursor_entry *entry = &cursor->entries[i];
		/* At time 0 nothing has expired, so no entry ends here. */
		const struct ring *ring = ring_of(s->hub, entry->subscription->topic, 0);

		if (ring != NULL)
			progress.behind += ring->appended - entry->number;
	}
	return progress;
}

struct hub_replay_figures
hub_replay_figures(const struct hub *hub)
{
	const struct hub_replay *replay = hub->replay;

	return (struct hub_replay_figures){
	    .cursors = hash_map_count(replay->cursors),
	    .replayed = replay->replayed,
	    .overtaken = replay->overtaken,
	    .fell_behind = replay->fell_behind,
	    .bytes = replay->portions.bytes,
	};
}
