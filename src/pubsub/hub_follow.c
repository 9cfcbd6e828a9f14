#include "config.h"

#include "pubsub/hub_follow.h"

#include "pubsub/hub_history.h"
#include "pubsub/hub_image.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

void
hub_follow(struct hub *hub)
{
	history_follow(hub_history(hub));
}

void
hub_follow_from(struct hub *hub, struct hub_position position)
{
	hub_image_forget(hub, position.epoch);
	history_advance(hub_history(hub), position.seq);
	history_begin_keeping(hub_history(hub)); /* also of patterns nothing older can be resumed */
}

void
hub_follow_to(struct hub *hub, uint64_t seq)
{
	history_advance(hub_history(hub), seq);
}

/* The first message that the options allow, with all behind it. */
static size_t
first_allowed(const struct hub_loaded *loaded, const struct channel_options *options)
{
	uint64_t ttl_us = (uint64_t)options->history_ttl * 1000000;
	size_t i = loaded->count;

	while (i > 0 && loaded->messages[i - 1].age_us < ttl_us &&
	       loaded->messages[i - 1].payload.len <= options->history_message_bytes &&
	       loaded->messages[i - 1].payload.len <= RING_PAYLOAD_MAX)
		i--;
	return i;
}

/* The ages of messages from `first` on do not increase. */
static void
restore(struct hub *hub, struct ring *ring, const struct hub_loaded *loaded, size_t first,
    uint64_t now_us)
{
	bool is_single = loaded->count - first == 1;
	uint64_t age_us = 0;

	for (size_t i = first; i < loaded->count; i++)
		if (loaded->messages[i].age_us > age_us)
			age_us = loaded->messages[i].age_us;
	for (size_t i = first; i < loaded->count; i++) {
		const struct hub_loaded_message *m = &loaded->messages[i];

		age_us = m->age_us < age_us ? m->age_us : age_us;
		history_restore_message(ring, m->seq, age_us, m->payload, is_single, now_us);
	}
	history_load_end(hub_history(hub), ring);
}

void
hub_load_history(struct hub *hub, const struct hub_loaded *loaded, uint64_t now_us)
{
	const struct channel_options *options = hub_kept_options(hub, loaded->channel);
	struct history *history = hub_history(hub);
	struct history_restored_ring fields = {.appended = (uint32_t)loaded->number,
	    .trimmed_seq = loaded->trimmed_seq,
	    .newest_seq = loaded->newest_seq};
	struct topic *topic = channel_tree_find(hub->channels, false, loaded->channel);
	struct ring *ring;
	size_t first;

	if (options == NULL || (topic != NULL && topic->ring != 0))
		return;
	fields.ttl_s = (uint32_t)options->history_ttl;
	first = first_allowed(loaded, options);
	if (first > 0)
		fields.trimmed_seq = loaded->messages[first - 1].seq;
	for (size_t i = first; i < loaded->count; i++)
		if (i == first || loaded->messages[i].age_us < fields.touched_age_us)
			fields.touched_age_us = loaded->messages[i].age_us;
	hub_set_time(hub, now_us);
	topic = hub_hold_channel(hub, HUB_CHANNEL, loaded->channel);
	history_load_begin(history);
	ring = history_restore_ring(history, topic, &topic->ring, &fields, now_us);
	restore(hub, ring, loaded, first, now_us);
	hub_replay_raised(hub, topic, 0, fields.newest_seq, fields.appended);
	hub_history_follow(hub, topic);
	history_enforce(history);
}

/* A replay counts in the ring what is missing, unless there is no ring or no number. */
static void
note(const struct topic *topic, const struct topic_member *member, uint64_t count)
{
	struct subscriber *s = member->subscriber;

	if (s->is_queue)
		hub_queue_note_gap(s);
	else if (topic->ring == 0 || !hub_is_replayed(member) || count == WIRE_MISSED_UNKNOWN)
		outbox_note_missed(&s->outbox, count);
}

void
hub_miss_history(struct hub *hub, struct slice channel, uint64_t seq, uint64_t count)
{
	struct topic *topic = channel_tree_find(hub->channels, false, channel);
	struct history *history = hub_history(hub);
	const struct ring *ring;
	uint64_t before_seq;
	uint32_t appended;

	for (uint32_t i = 0; topic != NULL && i < topic->count; i++)
		note(topic, &topic->members[i], count);
	ring = topic != NULL ? history_peek(history, topic->ring) : NULL;
	if (ring == NULL) { /* the next ring begins behind it */
		history_begin_keeping(history);
		return;
	}
	before_seq = ring->newest_seq;
	appended = ring->appended;
	history_miss(history, topic->ring, seq, count == WIRE_MISSED_UNKNOWN ? 1 : count);
	hub_replay_raised(hub, topic, before_seq, before_seq, appended);
}
