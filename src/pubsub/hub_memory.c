#include "config.h"

#include "pubsub/hub_state.h"

static size_t
draft_bytes(const struct hub *hub)
{
	size_t bytes = 0;

	if (hub->preparing == 0)
		return 0;
	for (size_t i = 0; i < hub->config.form_count; i++)
		bytes += frame_log_draft_bytes(hub->logs[i]);
	return bytes;
}

/* Drafts are owed to nobody yet. */
size_t
hub_memory(const struct hub *hub)
{
	size_t bytes = hub->pool.item_bytes + frame_log_held_bytes(hub->replies) -
		       frame_log_spare_bytes(hub->replies);

	for (size_t i = 0; i < hub->config.form_count; i++)
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

/* One frame for each topic and form of its members. */
size_t
hub_memory_needed(struct hub *hub, struct topic **topics, size_t count, enum hub_kind kind,
    struct slice channel, struct slice payload)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		struct hub_message message = hub_message_for(kind, topics[i], channel, payload);
		bool used[FORMS_MAX] = {false};
		size_t forms = 0;

		for (uint32_t m = 0; m < topics[i]->count && forms < hub->config.form_count; m++) {
			uint8_t form = topics[i]->members[m].subscriber->outbox.form;

			if (used[form])
				continue;
			used[form] = true;
			forms++;
			bytes += hub_frame_len(&hub->config.forms[form], &message);
		}
	}
	return bytes;
}

enum hub_result
hub_check_memory(struct hub *hub, struct topic **topics, size_t count, enum hub_kind kind,
    struct slice channel, struct slice payload, size_t *before, size_t *wanted)
{
	size_t limit = hub->config.limits->memory_bytes, asked = before != NULL ? *before : 0,
	       needed;
	size_t held = hub_memory_claimed(hub) + asked;
	bool can_shrink = hub_memory_can_shrink(hub);

	/* The usual answer costs no look at the members; what is too large must not wait in vain.
	 */
	if (held > limit && can_shrink && payload.len <= limit / 64 && count > 0 &&
	    before == NULL) {
		*wanted = payload.len;
		return HUB_FULL;
	}
	needed = hub_memory_needed(hub, topics, count, kind, channel, payload);
	if (needed > limit || asked > limit - needed)
		return HUB_TOO_LARGE;
	if (before != NULL)
		*before += needed;
	if (held + needed <= limit || !can_shrink || count == 0)
		return HUB_OK;
	*wanted = asked + needed;
	return HUB_FULL;
}

void
hub_shrink(struct hub *hub)
{
	for (size_t i = 0; i < hub->config.form_count; i++)
		frame_log_shrink(hub->logs[i]);
	frame_log_shrink(hub->replies);
	outbox_pool_shrink(&hub->pool);
}

bool
hub_drop_owed(struct subscriber *s, size_t budget)
{
	outbox_close(&s->outbox);
	return s->outbox.lifted == 0 && outbox_discard(&s->outbox, &budget);
}
