#include "config.h"

#include "pubsub/hub_replay.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_replay_state.h"
#include "pubsub/hub_state.h"

/* Entries of freed rings that end at once; each may close a client. */
#define FORGOTTEN_AT_ONCE 32

/* Readers that are ended at once: a subscriber may have a million. */
#define READERS_A_STEP 1024

void
hub_replay_init(struct hub *hub)
{
	hub->replay = xcalloc(1, sizeof(*hub->replay));
	hub->replay->cursors = hash_map_new();
	hub->replay->topics = hash_map_new();
	TAILQ_INIT(&hub->replay->due);
	LIST_INIT(&hub->replay->forgotten);
	portions_init(&hub->replay->portions);
	cursor_portion_init(&hub->replay->portion);
}

void
hub_replay_release(struct hub *hub)
{
	assert(hub->replays == 0 && hash_map_count(hub->replay->topics) == 0);
	assert(LIST_EMPTY(&hub->replay->forgotten));
	portions_drop_all(&hub->replay->portions);
	cursor_portion_release(&hub->replay->portion);
	buffer_release(&hub->replay->key);
	hash_map_free(hub->replay->cursors);
	hash_map_free(hub->replay->topics);
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

/* The ring of the channel, as it is. */
static const struct ring *
ring_of(struct hub *hub, const struct topic *channel)
{
	return history_peek(hub_history(hub), channel->ring);
}

void
hub_replay_move(struct hub *hub, struct cursor *cursor, enum cursor_event event)
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

/* Removes the last entry of the cursor's queue, which costs least. False: there is none. */
static bool
remove_entry(struct hub *hub, struct cursor *cursor)
{
	size_t count = cursor->queue.count;

	if (count > 0)
		cursor_remove(hub->replay->topics,
		    time_queue_at(&cursor->queue, (uint32_t)(count - 1))->thing);
	return count > 0;
}

/* All subscriptions are live from now on. */
static void
end_cursor(struct hub *hub, struct cursor *cursor)
{
	struct subscriber *s = cursor->subscriber;
	const struct subscriber *key = s;
	struct cursor_reader *reader;

	while (remove_entry(hub, cursor))
		continue;
	while ((reader = TAILQ_FIRST(&cursor->readers)) != NULL)
		cursor_end_reader(reader);
	hub_replay_move(hub, cursor, CURSOR_EVENT_ENDED);
	(void)hash_map_remove(hub->replay->cursors, key_of(&key));
	hub->replays--;
	s->outbox.has_cursor = false;
	cursor_free(cursor);
}

/* With its entries. */
static void
drop_reader(struct hub *hub, struct cursor_reader *reader)
{
	struct cursor_entry *entry;

	while ((entry = LIST_FIRST(&reader->entries)) != NULL)
		cursor_remove(hub->replay->topics, entry);
	cursor_end_reader(reader);
}

bool
hub_replay_end_readers(struct hub *hub, struct cursor *cursor)
{
	for (int i = 0; i < READERS_A_STEP && cursor->reader_count > 0; i++)
		drop_reader(hub, TAILQ_FIRST(&cursor->readers));
	if (cursor->reader_count > 0)
		return false;
	end_cursor(hub, cursor);
	return true;
}

/* Ends the replay if nothing is left to be replayed, and the subscriber does not expect it to
 * begin. */
static void
check_end(struct hub *hub, struct cursor *cursor)
{
	if (cursor->queue.count > 0 || cursor->state == CURSOR_HELD ||
	    cursor == hub->replay->current)
		return;
	if (cursor->reader_count <= READERS_A_STEP)
		end_cursor(hub, cursor);
	else
		hub_replay_move(hub, cursor, CURSOR_EVENT_LOW); /* hub_replay() ends it in steps */
}

/* The subscription is live from now on. */
static void
end_reader(struct hub *hub, struct cursor_reader *reader)
{
	struct cursor *cursor = reader->cursor;

	drop_reader(hub, reader);
	check_end(hub, cursor);
}

void
hub_replay_left(struct subscription *subscription)
{
	end_reader(subscription->subscriber->hub, subscription->reader);
}

bool
hub_replay_detach(struct subscriber *s, size_t *budget)
{
	struct cursor *cursor = cursor_of(s);

	if (cursor == NULL)
		return true;
	do {
		if (*budget == 0)
			return false;
		--*budget;
	} while (remove_entry(s->hub, cursor));
	while (cursor->reader_count > 0) {
		if (*budget == 0)
			return false;
		--*budget;
		cursor_end_reader(TAILQ_FIRST(&cursor->readers));
	}
	end_cursor(s->hub, cursor);
	return true;
}

void
hub_replay_low(struct subscriber *s)
{
	struct cursor *cursor = cursor_of(s);

	if (cursor != NULL)
		hub_replay_move(s->hub, cursor, CURSOR_EVENT_LOW);
}

void
hub_replay_miss(struct subscription *subscription, uint32_t missed)
{
	struct subscriber *s = subscription->subscriber;

	if (missed == 0 || s->outbox.sealed)
		return;
	s->hub->replay->overtaken += missed;
	outbox_miss(&s->outbox, topic_tags_of(s->hub->tags, subscription->topic), missed);
	if (s->outbox.limits.notify)
		return;
	outbox_seal(&s->outbox);
	hub_stop_awaiting(s);
	s->ops->overtaken(s);
}

void
hub_replay_end_forgotten(struct hub *hub, struct cursor_entry *entry)
{
	struct cursor *cursor = entry->reader->cursor;

	hub_replay_miss(entry->reader->subscription, entry->of->appended - entry->number);
	cursor_remove(hub->replay->topics, entry);
	check_end(hub, cursor);
}

void
hub_replay_forget_some(struct hub *hub)
{
	struct cursor_topic *of;

	for (int i = 0; i < FORGOTTEN_AT_ONCE && (of = LIST_FIRST(&hub->replay->forgotten)) != NULL;
	     i++)
		hub_replay_end_forgotten(hub, LIST_FIRST(&of->entries));
}

void
hub_replay_forgotten(struct hub *hub, struct topic *topic, uint32_t appended)
{
	struct cursor_topic *of =
	    hub->replays > 0 ? cursor_topic_of(hub->replay->topics, topic) : NULL;

	if (of == NULL)
		return;
	cursor_forget(hub->replay->topics, of, appended);
	LIST_INSERT_HEAD(&hub->replay->forgotten, of, link);
	hub_replay_forget_some(hub);
}

bool
hub_replay_is_forgetting(const struct hub *hub)
{
	return !LIST_EMPTY(&hub->replay->forgotten);
}

/* The messages that the ring of the entry ever had, modulo 2^32. */
static uint32_t
appended_of(struct hub *hub, const struct cursor_entry *entry)
{
	const struct cursor_topic *of = entry->of;

	return of->topic == NULL ? of->appended : ring_of(hub, of->topic)->appended;
}

/* Messages of the channel that readers of patterns have not queued are missed. */
static void
skip_unkept(struct hub *hub, struct topic *channel)
{
	struct cursor_topic *of =
	    channel != NULL ? cursor_topic_of(hub->replay->topics, channel) : NULL;
	const struct ring *ring = of != NULL ? ring_of(hub, channel) : NULL;
	uint64_t publish = hub->published + 1;
	struct cursor_entry *entry;

	if (ring == NULL || of->checked == publish)
		return;
	of->checked = publish;
	LIST_FOREACH (entry, &of->entries, of_topic)
		if (entry->reader->subscription->kind == HUB_PATTERN)
			hub_replay_miss(entry->reader->subscription, cursor_skip_all(entry, ring));
}

bool
hub_replay_unkept(struct hub *hub, const struct hub_delivery *d, struct subscription *subscription)
{
	struct cursor_reader *reader = subscription->reader;
	const struct cursor_entry *entry;

	if (history_follows(hub_history(hub))) {
		/* Its channel keeps messages nevertheless: this one did not come from where
		 * positions are given. */
	} else if (subscription->kind == HUB_PATTERN) {
		skip_unkept(hub, hub_channel_of(d));
	} else {
		LIST_FOREACH (entry, &reader->entries, of_reader)
			hub_replay_miss(subscription, appended_of(hub, entry) - entry->number);
		end_reader(hub, reader);
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
	s->hub->replays++;
	s->outbox.has_cursor = true;
	return cursor;
}

bool
hub_replay_awaits(
    struct hub *hub, const struct hub_delivery *d, const struct subscription *subscription)
{
	return subscription->kind != HUB_PATTERN || hub_will_keep(hub, d);
}

/* Adds an entry that begins behind that seq, for the channel of the message. */
static void
add_entry(
    struct hub *hub, const struct hub_delivery *d, struct cursor_reader *reader, uint64_t after_seq)
{
	const struct ring *ring = ring_of(hub, d->kept);
	uint32_t wanted = after_seq < d->message.position.seq;

	if (reader->cursor->queue.count >= CURSOR_ENTRIES_MAX)
		hub_overflow(reader->cursor->subscriber);
	else
		cursor_add(
		    hub->replay->topics, reader, d->kept, ring, after_seq, ring->appended - wanted);
}

static void
join(struct hub *hub, const struct hub_delivery *d, struct subscription *subscription)
{
	struct cursor *cursor = need_cursor(subscription->subscriber);
	uint64_t before_seq = d->message.position.seq - 1;

	add_entry(hub, d, cursor_add_reader(cursor, subscription, before_seq), before_seq);
	hub_replay_move(hub, cursor, CURSOR_EVENT_BEHIND);
}

void
hub_replay_keep(struct hub *hub, const struct hub_delivery *d, struct subscription *subscription)
{
	if (subscription->reader == NULL)
		join(hub, d, subscription);
	else if (d->before_seq <= cursor_base(subscription->reader))
		add_entry(hub, d, subscription->reader, d->message.position.seq - 1);
}

bool
hub_replay_fall_behind(
    struct hub *hub, const struct hub_delivery *d, struct subscription *subscription)
{
	if (d->message.position.seq == 0)
		return false;
	join(hub, d, subscription);
	hub->replay->fell_behind++;
	return true;
}

void
hub_replay_pass_over(
    struct hub *hub, const struct hub_delivery *d, struct subscription *subscription)
{
	if (d->before_seq <= cursor_base(subscription->reader))
		add_entry(hub, d, subscription->reader, d->message.position.seq);
}

static void
raise_reader(struct hub *hub, struct cursor_reader *reader, struct topic *topic,
    uint64_t before_seq, uint64_t after_seq, uint32_t number)
{
	const struct ring *ring = ring_of(hub, topic);

	if (reader->cursor->subscriber->outbox.sealed || before_seq > cursor_base(reader) ||
	    ring->newest_seq <= cursor_base(reader))
		return;
	if (reader->cursor->queue.count >= CURSOR_ENTRIES_MAX)
		hub_overflow(reader->cursor->subscriber);
	else
		cursor_add(hub->replay->topics, reader, topic, ring, after_seq, number);
}

void
hub_replay_raised(
    struct hub *hub, struct topic *topic, uint64_t before_seq, uint64_t after_seq, uint32_t number)
{
	const struct hub_post post = {.kind = HUB_CHANNEL, .channel = topic_name(topic)};
	struct hub_delivery d;

	if (hub->replays == 0)
		return;
	hub_match(hub, &post, &d);
	for (size_t i = 0; i < d.count; i++)
		for (uint32_t k = 0; k < d.topics[i]->count; k++) {
			const struct topic_member *member = &d.topics[i]->members[k];

			if (hub_is_replayed(member))
				raise_reader(hub, member->subscription->reader, topic, before_seq,
				    after_seq, number);
		}
}

void
hub_replay_after(struct subscription *subscription, uint64_t after_seq, uint64_t now_us)
{
	struct subscriber *s = subscription->subscriber;
	struct topic *topic = subscription->topic;
	const struct ring *ring = history_ring(hub_history(s->hub), topic->ring, now_us);
	struct cursor_reader *reader = cursor_add_reader(need_cursor(s), subscription, after_seq);

	if (ring != NULL && ring->newest_seq > after_seq)
		cursor_add(s->hub->replay->topics, reader, topic, ring, after_seq,
		    ring->appended - (uint32_t)ring_count_after(ring, after_seq));
	hub_replay_move(s->hub, reader->cursor, CURSOR_EVENT_ADDED);
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

enum hub_result
hub_psubscribe_after(struct subscriber *s, struct slice pattern, uint64_t after_seq,
    const struct hub_matched *matched, size_t count)
{
	enum hub_result result = hub_subscribe(s, HUB_PATTERN, pattern);
	struct cursor_reader *reader;

	if (result != HUB_OK)
		return result;
	reader = cursor_add_reader(
	    need_cursor(s), TAILQ_LAST(&s->subscriptions[HUB_PATTERN], subscriptions), after_seq);
	for (size_t i = 0; i < count; i++)
		cursor_add(s->hub->replay->topics, reader, matched[i].topic,
		    ring_of(s->hub, matched[i].topic), matched[i].after_seq, matched[i].number);
	hub_replay_move(s->hub, reader->cursor, CURSOR_EVENT_ADDED);
	return HUB_OK;
}

void
hub_hold_replay(struct subscriber *s)
{
	struct cursor *cursor = need_cursor(s);
	struct hub_position newest = history_position(hub_history(s->hub));

	if (newest.seq < cursor->queued_seq)
		cursor->queued_seq = newest.seq;
	hub_replay_move(s->hub, cursor, CURSOR_EVENT_ADDED);
}

void
hub_start_replay(struct subscriber *s)
{
	struct cursor *cursor = cursor_of(s);

	if (cursor != NULL)
		hub_replay_move(s->hub, cursor, CURSOR_EVENT_STARTED);
}

size_t
hub_replay_entries(const struct subscriber *s)
{
	const struct cursor *cursor = cursor_of(s);

	return cursor != NULL ? cursor->queue.count : 0;
}

struct hub_position
hub_queued_position(const struct subscriber *s)
{
	const struct cursor *cursor = cursor_of(s);
	struct hub_position position = history_position(hub_history(s->hub));

	if (cursor != NULL)
		position.seq = cursor->queued_seq;
	return position;
}

/* The seq behind which the messages of the channel begin that are wanted. */
static uint64_t
seq_of(const struct history *history, const struct ring *ring, const struct position_since *since)
{
	uint64_t newest_seq = history_position(history).seq;

	switch (since->kind) {
	case POSITION_AT:
		return since->at.seq;
	case POSITION_ALL:
		return ring != NULL ? history_complete_seq(history, ring) : newest_seq;
	case POSITION_LAST:
		return ring != NULL ? history_seq_before_last(history, ring, since->count)
				    : newest_seq;
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
		resumption.position = hub_queued_position(s);
		return resumption;
	}
	ring = hub_ring(s->hub, channel, now_us);
	resumption.verdict = since->kind == POSITION_AT ? HUB_RESUMED : HUB_NEW;
	if (since->kind == POSITION_AT && !history_can_resume(history, ring, since->at)) {
		resumption.verdict = HUB_LOST;
		since = &all;
	}
	resumption.position = history_position(history);
	resumption.position.seq = seq_of(history, ring, since);
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
	struct hub_replay_progress progress = {.position = hub_queued_position(s)};

	if (cursor == NULL)
		return progress;
	progress.channels = cursor->reader_count;
	for (uint32_t i = 0; i < cursor->queue.count; i++) {
		const struct cursor_entry *entry = time_queue_at(&cursor->queue, i)->thing;

		progress.behind += appended_of(s->hub, entry) - entry->number;
	}
	return progress;
}

struct hub_replay_figures
hub_replay_figures(const struct hub *hub)
{
	const struct hub_replay *replay = hub->replay;

	return (struct hub_replay_figures){
	    .cursors = hub->replays,
	    .replayed = replay->replayed,
	    .overtaken = replay->overtaken,
	    .fell_behind = replay->fell_behind,
	    .bytes = replay->portions.bytes,
	};
}
