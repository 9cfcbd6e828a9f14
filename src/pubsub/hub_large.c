#include "config.h"

#include <assert.h>

#include "pubsub/hub_history.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"

/*
 * Large messages: their frames are prepared in steps, one for each topic and form, and one for each
 * queue group under a name of its own.
 */

/* Payloads of at least this length are copied in steps, and transformed ones of HUB_LARGE_BYTES. */
#define LARGE_BYTES ((size_t)2 << 20)

/*
 * Frames of queue groups are prepared under the last ids: those of topics are the first ones. If a
 * group changes in between, the frame that was prepared has another length, and is not used, or it
 * has the same and fits as well.
 */
uint64_t
hub_next_named_draft(struct hub_delivery *d)
{
	size_t i = d->named++;

	return d->drafts > 0 && d->count + i < HUB_DRAFTS_MAX ? d->drafts + HUB_DRAFTS_MAX - 1 - i
							      : 0;
}

/* One step of preparing a frame. False if more steps follow. */
static bool
prepare_frame(struct hub *hub, struct hub_delivery *d, uint8_t form, uint64_t id)
{
	const struct wire_form *f = hub->forms[form];
	struct hub_plan plan;
	size_t *done;
	char *out;

	if (!hub_make_plan(hub, d, form, &plan))
		return true;
	if (f->transform == NULL)
		return frame_log_prepare(
		    hub->logs[form], id, plan.len, plan.ends.head, d->message.payload);
	out = frame_log_draft(hub->logs[form], id, plan.len, plan.ends.head, &done);
	if (out == NULL || *done == plan.body->len)
		return true;
	f->transform(&d->message, plan.body, out);
	*done = plan.body->len;
	return false;
}

static bool
prepare_named(struct hub *hub, struct hub_delivery *d, uint8_t form, struct slice name)
{
	uint64_t id = hub_next_named_draft(d);
	struct slice was = hub_rename(&d->message, name);
	bool is_done = id == 0 || prepare_frame(hub, d, form, id);

	hub_rename(&d->message, was);
	return is_done;
}

/* One step for the topic to which the message is addressed. */
static bool
prepare(struct hub *hub, struct hub_delivery *d, const struct topic *topic, uint64_t id)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < topic->count; i++) {
		const struct subscriber *s = topic->members[i].subscriber;
		struct slice name = hub_name_of(s);
		uint8_t form = hub_form_of(s);

		if (name.len > 0) {
			if (!prepare_named(hub, d, form, name))
				return false;
			continue;
		}
		if (s->outbox.sealed || hub_is_left_to_replay(hub, d, &topic->members[i]) ||
		    (done >> form & 1) != 0)
			continue;
		if (!prepare_frame(hub, d, form, id))
			return false;
		done |= 1U << form;
	}
	return true;
}

void
hub_drop_drafts(struct hub *hub, struct hub_publication *p)
{
	if (p->drafts == 0)
		return;
	for (size_t i = 0; i < hub->form_count; i++)
		frame_log_forget(hub->logs[i], p->drafts * HUB_DRAFTS_MAX, HUB_DRAFTS_MAX);
	p->drafts = 0;
	hub->preparing--;
	hub->prepared_bytes -= p->bytes;
}

static void
begin_large(struct hub *hub, const struct hub_delivery *d, struct hub_publication *p, size_t bytes)
{
	p->drafts = d->message.serial;
	p->bytes = bytes;
	hub->preparing++;
	hub->prepared_bytes += bytes;
}

/*
 * The position that the message gets if no other one is kept before it: the length of a large frame
 * that is being prepared depends on it. If it becomes wrong the frame is written anew.
 */
static void
foresee_position(struct hub *hub, struct hub_delivery *d)
{
	if (d->is_shard || !hub_keeps(hub, d->message.channel))
		return;
	d->message.position = history_position(hub_history(hub));
	d->message.position.seq++;
}

/* True if copying or transforming the payload for all topics takes too long for one turn. */
bool
hub_is_large(const struct hub *hub, const struct hub_delivery *d)
{
	if (d->message.payload.len >= LARGE_BYTES)
		return d->count > 0;
	if (d->message.payload.len < HUB_LARGE_BYTES || !hub->transforms)
		return false;
	for (size_t i = 0; i < d->count; i++)
		for (uint32_t m = 0; m < d->topics[i]->count; m++)
			if (hub->forms[hub_form_of(d->topics[i]->members[m].subscriber)]
				->transform != NULL)
				return true;
	return false;
}

/* One step of preparing a large message. False if more steps follow. */
bool
hub_prepare(struct hub *hub, struct hub_delivery *d, uint64_t now_us, struct hub_publication *p)
{
	foresee_position(hub, d);
	if (p->drafts == 0) {
		begin_large(hub, d, p, hub_memory_needed(hub, d));
		if (d->may_block)
			hub_reserve(hub, d, now_us, p);
	}
	hub_begin_named_drafts(d, p->drafts * HUB_DRAFTS_MAX);
	for (size_t i = 0; i < d->count && i < HUB_DRAFTS_MAX; i++)
		if (!prepare(hub, d, hub_address(d, i), p->drafts * HUB_DRAFTS_MAX + i))
			return false;
	d->message.position = (struct hub_position){0, 0};
	return true;
}
