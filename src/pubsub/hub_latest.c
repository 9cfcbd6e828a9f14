#include "config.h"

#include "pubsub/hub_latest.h"

#include <assert.h>

#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

/* At most so much is queued at once; or a quarter of the outbox's limits, if that is less. */
#define MESSAGES_AT_ONCE 512
#define BYTES_AT_ONCE ((size_t)256 << 10)

/* What is added to a list. It must fit, or a subscriber under OUTBOX_CATCH_UP would lose it. */
struct plan {
	uint64_t after_seq;
	uint32_t messages; /* 0: nothing */
	size_t bytes;
	bool is_small; /* few enough to be added */
};

static struct plan
plan(const struct subscriber *s, struct slice channel, const struct ring *ring, uint64_t wanted)
{
	struct plan plan = {.is_small = true};
	struct ring_iterator it;
	struct ring_message m;

	plan.after_seq = history_seq_before_last(hub_history(s->hub), ring, wanted);
	ring_after(ring, plan.after_seq, &it);
	while (ring_next(&it, &m)) {
		if (plan.messages == MESSAGES_AT_ONCE || plan.bytes > BYTES_AT_ONCE) {
			plan.is_small = false;
			break;
		}
		plan.messages++;
		plan.bytes += hub_kept_len(s->hub, channel, &m, s->outbox.form);
	}
	return plan;
}

/* Whether the list may grow by that much. */
static bool
has_room(const struct subscriber *s, const struct hub_latest *latest, const struct plan *plan)
{
	const struct outbox_limits *limits = &s->outbox.limits;
	size_t memory = s->hub->limits->memory_bytes;
	size_t messages = latest->messages + plan->messages, bytes = latest->bytes + plan->bytes;

	return plan->is_small && messages <= MESSAGES_AT_ONCE && bytes <= BYTES_AT_ONCE &&
	       !s->outbox.has_cursor && outbox_is_low(&s->outbox) &&
	       (limits->messages == 0 || messages <= limits->messages / 4) &&
	       (limits->bytes == 0 || bytes <= limits->bytes / 4) &&
	       (memory == 0 || hub_memory_claimed(s->hub) + bytes <= memory / 2);
}

enum hub_result
hub_subscribe_latest(
    struct subscriber *s, struct slice channel, uint64_t now_us, struct hub_latest *latest)
{
	uint64_t wanted = hub_options_of(s->hub, channel)->replay;
	const struct ring *ring = wanted > 0 ? hub_ring(s->hub, channel, now_us) : NULL;
	enum hub_result result;
	struct plan its;

	assert(latest->count < HUB_LATEST_CHANNELS);
	if (history_count(hub_history(s->hub), ring) == 0)
		return hub_subscribe(s, HUB_CHANNEL, channel);
	its = plan(s, channel, ring, wanted);
	if (!has_room(s, latest, &its))
		return hub_subscribe_after(s, channel, its.after_seq, now_us);
	result = hub_subscribe(s, HUB_CHANNEL, channel);
	if (result != HUB_OK)
		return result;
	latest->channels[latest->count] = channel;
	latest->after_seqs[latest->count++] = its.after_seq;
	latest->messages += its.messages;
	latest->bytes += its.bytes;
	return HUB_OK;
}

bool
hub_latest_is_full(const struct hub_latest *latest)
{
	return latest->count == HUB_LATEST_CHANNELS || latest->messages >= MESSAGES_AT_ONCE / 2 ||
	       latest->bytes >= BYTES_AT_ONCE / 2;
}

static void
push(struct subscriber *s, struct topic *topic, const struct ring_message *m)
{
	struct hub *hub = s->hub;
	uint32_t tag = topic_tags_of(hub->tags, topic);
	enum outbox_result result;
	struct frame frame;

	if (!hub_encode_kept(hub, topic, NULL, m, s->outbox.form, tag, &frame)) {
		outbox_refuse(&s->outbox, tag);
		return;
	}
	result = outbox_push_message(&s->outbox, &frame);
	if (result == OUTBOX_QUEUED)
		hub->delivered++;
	else if (result == OUTBOX_OVERFLOW)
		hub_overflow(s);
	else if (result == OUTBOX_BEHIND)
		outbox_refuse(&s->outbox, tag);
}

static struct subscription *
subscription_of(struct subscriber *s, struct slice channel)
{
	struct topic *topic = channel_tree_find(s->hub->channels, false, channel);

	return topic != NULL ? subscription_table_find(s->hub->table, s, topic) : NULL;
}

/* While other channels are replayed, older messages of these may follow. */
static void
replay(struct subscriber *s, const struct hub_latest *latest, uint64_t now_us)
{
	for (uint32_t i = 0; i < latest->count; i++) {
		struct subscription *subscription = subscription_of(s, latest->channels[i]);

		if (subscription != NULL)
			hub_replay_after(subscription, latest->after_seqs[i], now_us);
	}
}

static void
push_all(struct subscriber *s, const struct hub_latest *latest, uint64_t now_us)
{
	struct ring_merge_entry entries[HUB_LATEST_CHANNELS];
	struct topic *topics[HUB_LATEST_CHANNELS];
	struct ring_merge merge;
	struct ring_message m;
	size_t tag;

	ring_merge_init(&merge, entries);
	for (uint32_t i = 0; i < latest->count; i++) {
		const struct ring *ring = hub_ring(s->hub, latest->channels[i], now_us);
		const struct subscription *subscription = subscription_of(s, latest->channels[i]);

		topics[i] = subscription != NULL ? subscription->topic : NULL;
		if (ring != NULL && topics[i] != NULL)
			ring_merge_add(&merge, ring, latest->after_seqs[i], i);
	}
	while (!s->outbox.sealed && ring_merge_next(&merge, &m, &tag))
		push(s, topics[tag], &m);
}

void
hub_push_latest(struct subscriber *s, const struct hub_latest *latest, uint64_t now_us)
{
	if (s->outbox.has_cursor)
		replay(s, latest, now_us);
	else
		push_all(s, latest, now_us);
}
