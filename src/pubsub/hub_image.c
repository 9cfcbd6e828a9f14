#include "config.h"

#include "pubsub/hub_image.h"

#include "base/alloc.h"
#include "pubsub/channel_tree.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_state.h"
#include "pubsub/ring.h"

static bool
write_messages(
    const struct ring *ring, uint64_t after_seq, const struct hub_image_sink *sink, uint64_t now_us)
{
	struct ring_iterator it;
	struct ring_message message;

	ring_after(ring, after_seq, &it);
	while (ring_next(&it, &message)) {
		const struct hub_image_message out = {.seq = message.seq,
		    .age_us = history_age_us(message.appended_us, now_us),
		    .payload = message.payload};

		if (!sink->message(sink->arg, &out))
			return false;
	}
	return true;
}

bool
hub_image_write(struct hub *hub, const struct hub_image_sink *sink, uint64_t now_us)
{
	struct history *history = hub_history(hub);
	size_t count = history_figures(history).rings;
	struct hub_image_head head;

	/* Channels that did not follow their new options yet do so in the other hub at once. */
	if (!hub_is_reclassified(hub))
		history_begin_keeping(history);
	head = (struct hub_image_head){history_position(history), history_forgotten_seq(history)};
	if (!sink->head(sink->arg, &head))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct ring *ring = history_ring_at(history, i);
		const struct hub_image_ring out = {.channel = topic_name(ring->owner),
		    .ttl_s = ring->ttl_s,
		    .appended = ring->appended,
		    .messages = (uint32_t)history_count(history, ring),
		    .trimmed_seq = history_complete_seq(history, ring),
		    .newest_seq = ring->newest_seq,
		    .touched_age_us = history_age_us(ring->touched_us, now_us)};

		if (!sink->ring(sink->arg, &out) ||
		    !write_messages(ring, out.trimmed_seq, sink, now_us))
			return false;
	}
	return true;
}

bool
hub_image_begin(struct hub_image_reader *r, struct hub *hub, const struct hub_image_head *head,
    uint64_t now_us, uint64_t elapsed_us)
{
	*r = (struct hub_image_reader){.hub = hub, .now_us = now_us, .elapsed_us = elapsed_us};
	if (head->newest.epoch == 0 || head->forgotten_seq > head->newest.seq ||
	    head->newest.seq >= UINT64_MAX / 2 || history_figures(hub_history(hub)).rings > 0)
		return false;
	history_restore_begin(hub_history(hub), head->newest, head->forgotten_seq);
	return true;
}

static uint64_t
later_age(const struct hub_image_reader *r, uint64_t age_us)
{
	return age_us < UINT64_MAX - r->elapsed_us ? age_us + r->elapsed_us : UINT64_MAX;
}

bool
hub_image_ring(struct hub_image_reader *r, const struct hub_image_ring *ring)
{
	struct history *history = hub_history(r->hub);
	const struct history_restored_ring fields = {.ttl_s = ring->ttl_s,
	    .appended = ring->appended,
	    .trimmed_seq = ring->trimmed_seq,
	    .newest_seq = ring->newest_seq,
	    .touched_age_us = later_age(r, ring->touched_age_us)};
	struct topic *topic;

	if (r->left > 0 || ring->channel.len == 0 ||
	    ring->channel.len > r->hub->limits->name_bytes || ring->ttl_s == 0 ||
	    ring->newest_seq > history_position(history).seq ||
	    ring->trimmed_seq > history_position(history).seq ||
	    (ring->messages > 0 && ring->trimmed_seq >= ring->newest_seq))
		return false;
	topic = channel_tree_find(r->hub->channels, false, ring->channel);
	if (topic != NULL && topic->ring != 0)
		return false;
	topic = hub_hold_channel(r->hub, HUB_CHANNEL, ring->channel);
	r->ring = history_restore_ring(history, topic, &topic->ring, &fields, r->now_us);
	r->last_seq = ring->trimmed_seq;
	r->last_age_us = UINT64_MAX;
	r->left = ring->messages;
	r->is_single = ring->messages == 1;
	return true;
}

bool
hub_image_message(struct hub_image_reader *r, const struct hub_image_message *message)
{
	uint64_t age_us = later_age(r, message->age_us);

	if (r->left == 0 || message->seq <= r->last_seq || message->seq > r->ring->newest_seq ||
	    age_us > r->last_age_us || message->payload.len > RING_PAYLOAD_MAX)
		return false;
	/* The newest message of a ring has the newest seq. */
	if (--r->left == 0 && message->seq != r->ring->newest_seq)
		return false;
	history_restore_message(
	    r->ring, message->seq, age_us, message->payload, r->is_single, r->now_us);
	r->last_seq = message->seq;
	r->last_age_us = age_us;
	return true;
}

/* The rings' owners: options and limits may free rings, which changes the order. Returns owned. */
static struct topic **
owners(struct hub *hub, size_t *count)
{
	struct history *history = hub_history(hub);
	struct topic **all;

	*count = history_figures(history).rings;
	all = xcalloc(*count + 1, sizeof(struct topic *));
	for (size_t i = 0; i < *count; i++)
		all[i] = history_ring_at(history, i)->owner;
	return all;
}

bool
hub_image_end(struct hub_image_reader *r, bool options_differ)
{
	struct history *history = hub_history(r->hub);
	size_t count;
	struct topic **all = owners(r->hub, &count);
	bool is_whole = r->left == 0;

	history_restore_end(history);
	if (options_differ)
		history_begin_keeping(history);
	r->hub->now_us = r->now_us;
	for (size_t i = 0; i < count; i++)
		hub_history_follow(r->hub, all[i]);
	xfree(all);
	history_enforce(history);
	return is_whole;
}

void
hub_image_forget(struct hub *hub, uint64_t epoch)
{
	struct history *history = hub_history(hub);
	const struct history_rules nothing = {0};
	size_t count;
	struct topic **all = owners(hub, &count);

	for (size_t i = 0; i < count; i++)
		if (all[i]->ring != 0)
			history_set_rules(history, all[i]->ring, &nothing, 0);
	xfree(all);
	history_restore_begin(history, (struct hub_position){.epoch = epoch}, 0);
}
