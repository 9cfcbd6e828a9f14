#include "config.h"

#include "pubsub/hub_reach.h"

#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_state.h"

/* Messages that are not published here: which subscribers one would reach, and which do not have
 * it. */

/* As in a delivery: if d->dedup, the subscriber is marked with its first copy. */
static bool
would_get(struct hub *hub, const struct hub_delivery *d, struct subscriber *s)
{
	if (s->is_queue)
		return hub_queue_has_taker(d, s);
	return !s->outbox.sealed && !(d->dedup && hub_has_copy(hub, s));
}

size_t
hub_receivers(struct hub *hub, enum hub_kind kind, struct slice channel)
{
	const struct hub_post post = {.kind = kind, .channel = channel};
	struct hub_delivery d;
	size_t receivers = 0;

	hub_match(hub, &post, &d);
	for (size_t i = 0; i < d.count; i++)
		for (uint32_t k = 0; k < d.topics[i]->count; k++)
			receivers += would_get(hub, &d, d.topics[i]->members[k].subscriber);
	if (d.dedup)
		hub_end_copies(hub);
	return receivers;
}

static void
mark_gap(const struct topic *topic)
{
	for (uint32_t i = 0; i < topic->count; i++) {
		struct subscriber *s = topic->members[i].subscriber;

		if (s->is_queue)
			hub_queue_note_gap(s);
		else
			outbox_note_gap(&s->outbox);
	}
}

void
hub_mark_gap(struct hub *hub, enum hub_kind kind, struct slice name)
{
	struct channel_tree *tree = kind == HUB_SHARD ? hub->shards : hub->channels;
	const struct topic *topic = channel_tree_find(tree, kind == HUB_PATTERN, name);

	if (topic != NULL)
		mark_gap(topic);
}

void
hub_mark_gaps(struct hub *hub, enum hub_kind kind, struct slice channel,
    bool (*misses)(void *arg, enum hub_kind kind, struct slice name), void *arg)
{
	const struct hub_post post = {.kind = kind, .channel = channel};
	struct hub_delivery d;

	hub_match(hub, &post, &d);
	for (size_t i = 0; i < d.count; i++) {
		const struct topic *topic = d.topics[i];

		if (misses == NULL ||
		    misses(arg, topic->is_pattern ? HUB_PATTERN : kind, topic_name(topic)))
			mark_gap(topic);
	}
}
