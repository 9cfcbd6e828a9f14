#include "config.h"

#include <assert.h>

#include "base/hash_map.h"
#include "pubsub/hub_queue_state.h"

/* Queue groups: which member gets a message. */

static struct queue_group *
group_of(struct subscriber *s)
{
	assert(s->is_queue);
	return (struct queue_group *)s;
}

/* The i-th member from the one whose turn it is. */
static struct queue_member *
in_turn(const struct queue_group *g, uint32_t i)
{
	return g->members[(uint32_t)(((uint64_t)g->next + i) % g->count)];
}

/* The name that the member's messages carry instead of its topic's; empty: they carry that one. */
static struct slice
carried_name(const struct queue_member *member)
{
	return member->style == QUEUE_BY_NAME ? member->group->queue_name : (struct slice){NULL, 0};
}

static size_t
frame_len(struct hub *hub, struct hub_delivery *d, const struct queue_member *member)
{
	return hub_frame_len_as(hub, d, member->subscriber->outbox.form, carried_name(member));
}

static bool
may_get(const struct hub_delivery *d, const struct queue_member *member)
{
	return !member->subscriber->outbox.sealed && member->subscriber != d->except;
}

/* NULL: nobody may get it. Otherwise *has_room says whether the member has room for it. */
static struct queue_member *
pick(struct hub *hub, struct hub_delivery *d, const struct queue_group *g, bool *has_room)
{
	struct queue_member *first = NULL;

	*has_room = false;
	for (uint32_t i = 0; i < g->count && !*has_room; i++) {
		struct queue_member *member = in_turn(g, i);

		if (!may_get(d, member))
			continue;
		*has_room = outbox_has_room(&member->subscriber->outbox, frame_len(hub, d, member));
		if (*has_room || first == NULL)
			first = member;
	}
	return first;
}

struct subscriber *
hub_queue_choose(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_taken *taken)
{
	struct queue_group *g = group_of(queue);
	bool has_room;
	struct queue_member *member = pick(hub, d, g, &has_room);

	if (member == NULL)
		return NULL;
	*taken = (struct hub_taken){g->id, carried_name(member)};
	g->next = member->index + 1;
	return member->subscriber;
}

struct subscriber *
hub_queue_take(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_taken *taken)
{
	if (hub->claims != NULL && hub_queue_keeps_back(hub, d, queue))
		return NULL;
	return hub_queue_choose(hub, d, queue, taken);
}

bool
hub_queue_has_taker(const struct hub_delivery *d, const struct subscriber *queue)
{
	const struct queue_group *g = (const struct queue_group *)queue;

	for (uint32_t i = 0; i < g->count; i++)
		if (may_get(d, g->members[i]))
			return true;
	return false;
}

void
hub_queue_note_gap(struct subscriber *queue)
{
	struct queue_group *g = group_of(queue);

	for (uint32_t i = 0; i < g->count; i++)
		outbox_note_gap(&g->members[i]->subscriber->outbox);
}

struct slice
hub_queue_name(const struct subscriber *queue)
{
	return carried_name(in_turn((const struct queue_group *)queue, 0));
}

uint8_t
hub_queue_form(const struct subscriber *queue)
{
	const struct queue_group *g = (const struct queue_group *)queue;

	return in_turn(g, 0)->subscriber->outbox.form;
}

bool
hub_queue_must_wait(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_publication *p)
{
	struct queue_group *g = group_of(queue);
	bool has_room, waits = false;
	struct queue_member *member = pick(hub, d, g, &has_room);

	if (member == NULL || !hub_blocks(d, member->subscriber))
		return false;
	if (has_room)
		return hub_waits_for(hub, member->subscriber, frame_len(hub, d, member), p);
	for (uint32_t i = 0; i < g->count; i++) {
		struct subscriber *s = g->members[i]->subscriber;

		if (s != d->except && hub_blocks(d, s) &&
		    hub_waits_for(hub, s, frame_len(hub, d, g->members[i]), p))
			waits = true;
	}
	return waits;
}

void
hub_queue_delivered(struct subscriber *queue, uint64_t ticket)
{
	struct queue_group *g = group_of(queue);

	for (uint32_t i = 0; i < g->count; i++) {
		struct subscriber *s = g->members[i]->subscriber;

		if (s->wait != NULL && s->wait->ticket == ticket)
			hub_stop_awaiting(s);
	}
}

/* Queues the message in the form of the member, and under the name that it has subscribed to.
 * False: that form cannot carry it. */
static bool
give(struct hub *hub, struct queue_group *g, const struct queue_member *member, uint8_t form,
    const struct frame_range *range)
{
	struct topic *topic = hub_first_subscription(&g->subscriber, g->kind)->topic;
	struct subscriber *s = member->subscriber;
	struct slice name = member->style == QUEUE_BY_NAME ? g->queue_name : g->name;
	bool must_read = form != s->outbox.form || g->had_names;
	struct frame_range translated;
	struct hub_message message;
	struct frame frame;

	if (must_read && (hub->forms[form]->read == NULL ||
			     !hub->forms[form]->read(frame_range_ptr(range), range->len, &message)))
		return false;
	if (form == s->outbox.form && (!must_read || slice_eq(*hub_name_in(&message), name))) {
		outbox_adopt(&s->outbox, range, g->id);
		return true;
	}
	*hub_name_in(&message) = name;
	if (!hub_encode_message(
		hub, &message, s->outbox.form, topic_tags_of(hub->tags, topic), &frame))
		return false;
	frame_range_init(&translated, &frame);
	outbox_adopt(&s->outbox, &translated, g->id);
	frame_range_release(&translated);
	return true;
}

bool
hub_queue_hand_over(struct hub *hub, uint64_t id, uint8_t form, const struct frame_range *range)
{
	struct queue_group *g =
	    hub->queues != NULL ? hash_map_get(hub->queues->ids, hub_queue_id_key(&id)) : NULL;
	struct queue_member *first = NULL;
	bool has_room = false;

	for (uint32_t i = 0; g != NULL && i < g->count && !has_room; i++) {
		struct queue_member *member = in_turn(g, i);
		struct outbox *outbox = &member->subscriber->outbox;

		if (outbox->sealed)
			continue;
		has_room = outbox_has_room(outbox, range->len);
		if (has_room || first == NULL)
			first = member;
	}
	if (first == NULL)
		return false;
	g->next = first->index + 1;
	return give(hub, g, first, form, range);
}
