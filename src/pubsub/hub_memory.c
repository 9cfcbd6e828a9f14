#include "config.h"

#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

static size_t
draft_bytes(const struct hub *hub)
{
	size_t bytes = 0;

	if (hub->preparing == 0)
		return 0;
	for (size_t i = 0; i < hub->form_count; i++)
		bytes += frame_log_draft_bytes(hub->logs[i]);
	return bytes;
}

/* Drafts do not count: they are in no outbox yet. */
size_t
hub_memory(const struct hub *hub)
{
	size_t bytes = hub->pool.item_bytes + frame_log_held_bytes(hub->replies) -
		       frame_log_spare_bytes(hub->replies);

	for (size_t i = 0; i < hub->form_count; i++)
		bytes += frame_log_held_bytes(hub->logs[i]) - frame_log_spare_bytes(hub->logs[i]);
	return bytes - draft_bytes(hub);
}

size_t
hub_memory_claimed(const struct hub *hub)
{
	size_t drafts = draft_bytes(hub);

	return hub_memory(hub) + (hub->prepared_bytes > drafts ? hub->prepared_bytes : drafts);
}

bool
hub_memory_can_shrink(const struct hub *hub)
{
	return hub->pool.bytes > 0 || hub->preparing > 0;
}

/* One frame for each topic and form of its members, and one for each queue group with a name of its
 * own. */
size_t
hub_memory_needed(struct hub *hub, struct hub_delivery *d)
{
	size_t bytes = 0;

	for (size_t i = 0; i < d->count; i++) {
		const struct topic *topic = hub_address(d, i);
		uint32_t used = 0;
		unsigned forms = 0;

		for (uint32_t m = 0;
		     m < topic->count && (forms < hub->form_count || hub->queue_groups > 0); m++) {
			const struct subscriber *s = topic->members[m].subscriber;
			struct slice name = hub_name_of(s);
			uint8_t form = hub_form_of(s);

			if (name.len > 0) {
				bytes += hub_frame_len_as(hub, d, form, name);
				continue;
			}
			if ((used >> form & 1) != 0)
				continue;
			used |= 1U << form;
			forms++;
			bytes += hub_frame_len(hub, d, form);
		}
	}
	return bytes;
}

enum hub_result
hub_check_memory(struct hub *hub, struct hub_delivery *d, size_t *before, size_t *wanted)
{
	size_t limit = hub->limits->memory_bytes, asked = before != NULL ? *before : 0, needed;
	size_t held = hub_memory_claimed(hub) + asked;
	bool can_shrink = hub_memory_can_shrink(hub);

	if (held > limit && hub_replay_drop_shared(hub))
		held = hub_memory_claimed(hub) + asked;
	/* The usual answer needs no walk over the members. A message that may be larger than the
	 * limit is always measured, because it would wait forever. */
	if (held > limit && can_shrink && d->message.payload.len <= limit / 64 && d->count > 0 &&
	    before == NULL) {
		*wanted = d->message.payload.len;
		return HUB_FULL;
	}
	needed = hub_memory_needed(hub, d);
	if (needed > limit || asked > limit - needed)
		return HUB_TOO_LARGE;
	if (before != NULL)
		*before += needed;
	if (held + needed <= limit || !can_shrink || d->count == 0)
		return HUB_OK;
	*wanted = asked + needed;
	return HUB_FULL;
}

void
hub_shrink(struct hub *hub)
{
	hub_replay_shrink(hub);
	for (size_t i = 0; i < hub->form_count; i++)
		frame_log_shrink(hub->logs[i]);
	frame_log_shrink(hub->replies);
	outbox_pool_shrink(&hub->pool);
	hub_release_dedup(hub);
}

bool
hub_drop_queue(struct subscriber *s, size_t budget)
{
	outbox_close(&s->outbox);
	if (!hub_leave_queues(s, &budget))
		return false;
	return s->outbox.in_flight == 0 && outbox_discard(&s->outbox, &budget);
}
