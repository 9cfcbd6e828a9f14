#include "config.h"

#include "pubsub/queue_claims.h"

#include <assert.h>

#include "base/hash_map.h"
#include "pubsub/hub_queue_state.h"

void
hub_set_queue_claims(struct hub *hub, const struct queue_claims_ops *ops, void *arg)
{
	assert(hub->queue_groups == 0 || ops == NULL);
	hub->claims = ops;
	hub->claims_arg = arg;
}

static struct queue_claims_group
described(const struct queue_group *g)
{
	return (struct queue_claims_group){
	    .id = g->id, .group = g->group, .name = g->name, .kind = g->kind, .members = g->count};
}

void
hub_queue_changed(struct hub *hub, const struct queue_group *g)
{
	struct queue_claims_group group;

	if (hub->claims == NULL)
		return;
	group = described(g);
	hub->claims->changed(hub->claims_arg, &group);
}

bool
hub_queue_keeps_back(struct hub *hub, const struct hub_delivery *d, struct subscriber *queue)
{
	struct queue_claims_message message = {.channel = d->message.channel,
	    .payload = d->message.payload,
	    .position = d->message.position};
	struct queue_claims_group group = described((const struct queue_group *)queue);

	switch (hub->claims->message(hub->claims_arg, &group, &message)) {
	case QUEUE_CLAIMS_NOT:
		return false;
	case QUEUE_CLAIMS_MISSED:
		hub_queue_note_gap(queue);
		break;
	case QUEUE_CLAIMS_LATER:
		break;
	}
	return true;
}

static struct queue_group *
find(const struct hub *hub, uint64_t id)
{
	return hub->queues != NULL ? hash_map_get(hub->queues->ids, hub_queue_id_key(&id)) : NULL;
}

/* Queues the message, which has the policy of its channel in d, for this member. */
static void
push(struct hub *hub, const struct hub_delivery *d, struct subscriber *s,
    const struct hub_taken *taken, uint32_t tag)
{
	struct hub_message message = d->message;
	enum outbox_policy policy = hub_policy_for(d, s);
	struct frame frame;

	if (taken->name.len > 0)
		*hub_name_in(&message) = taken->name;
	if (!hub_encode_message(hub, &message, s->outbox.form, tag, &frame)) {
		outbox_refuse(&s->outbox, tag);
		return;
	}
	if (policy == OUTBOX_BLOCK && outbox_would_block(&s->outbox, frame.len)) {
		outbox_refuse(&s->outbox, tag);
		hub_overflow(s);
		return;
	}
	if (policy == OUTBOX_CATCH_UP) /* as for all members of groups */
		policy = OUTBOX_DISCONNECT;
	switch (outbox_push_queued(&s->outbox, &frame, policy, taken->id)) {
	case OUTBOX_QUEUED:
		hub->delivered++;
		break;
	case OUTBOX_OVERFLOW:
		hub_overflow(s);
		break;
	default:
		break;
	}
}

bool
hub_queue_deliver(struct hub *hub, uint64_t id, const struct queue_claims_message *message)
{
	struct queue_group *g = find(hub, id);
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = message->channel, .payload = message->payload};
	struct hub_taken taken = {0};
	struct hub_delivery d;
	struct subscriber *s;
	struct topic *topic;
	size_t wanted;

	if (g == NULL)
		return false;
	hub_match(hub, &post, &d);
	topic = hub_first_subscription(&g->subscriber, g->kind)->topic;
	d.topics = &topic;
	d.count = 1;
	(void)hub_address(&d, 0);
	d.message.position = message->position;
	if (hub->limits->memory_bytes > 0 && hub_check_memory(hub, &d, NULL, &wanted) != HUB_OK)
		return false;
	s = hub_queue_choose(hub, &d, &g->subscriber, &taken);
	if (s == NULL)
		return false;
	push(hub, &d, s, &taken, topic_tags_of(hub->tags, topic));
	return true;
}

static size_t
room_in(const struct outbox *outbox, size_t len)
{
	const struct outbox_limits *limits = &outbox->limits;
	size_t messages = outbox->messages - outbox->in_flight_messages;
	size_t bytes = outbox->message_bytes - outbox->in_flight_bytes;
	size_t room = UINT32_MAX;

	if (outbox->sealed || !outbox_has_room(outbox, len))
		return 0;
	if (limits->messages > 0)
		room = limits->messages - messages;
	if (limits->bytes > 0 && (limits->bytes - bytes) / len < room)
		room = (limits->bytes - bytes) / len;
	return room;
}

size_t
hub_queue_room(struct hub *hub, uint64_t id, size_t len)
{
	const struct queue_group *g = find(hub, id);
	size_t room = 0;

	assert(len > 0);
	for (uint32_t i = 0; g != NULL && i < g->count; i++)
		room += room_in(&g->members[i]->subscriber->outbox, len);
	return room;
}

void
hub_queue_miss(struct hub *hub, uint64_t id)
{
	struct queue_group *g = find(hub, id);

	if (g != NULL)
		hub_queue_note_gap(&g->subscriber);
}
