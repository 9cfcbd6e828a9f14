#include "config.h"

#include "pubsub/hub.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"
#include "pubsub/queue_group.h"

static struct subscriber *
subscriber_of(struct outbox *outbox)
{
	return (struct subscriber *)(void *)((char *)outbox - offsetof(struct subscriber, outbox));
}

static struct channel_tree *
tree_of(struct hub *hub, enum hub_kind kind)
{
	return kind == HUB_SHARD ? hub->shards : hub->channels;
}

static void
on_ready(struct outbox *outbox)
{
	struct subscriber *s = subscriber_of(outbox);

	s->ops->ready(s);
}

static void
on_room(struct outbox *outbox)
{
	hub_has_room(subscriber_of(outbox));
}

static void
on_low(struct outbox *outbox)
{
	hub_replay_low(subscriber_of(outbox));
}

static void
on_dropped(void *arg, uint32_t tag, uint64_t count)
{
	struct hub *hub = arg;

	topic_tags_dropped(hub->tags, tag, count);
}

static bool
on_unsent(struct outbox *outbox, uint64_t id, uint8_t form, const struct frame_range *range)
{
	return hub_queue_hand_over(subscriber_of(outbox)->hub, id, form, range);
}

static size_t
write_notice(struct outbox *outbox, uint8_t form, uint64_t missed, char *out)
{
	const struct wire_form *f = subscriber_of(outbox)->hub->forms[form];

	return f->notice(f, missed, out);
}

/* Forms may keep what they find out about a message beyond a hub's life, so the hubs of a process
 * do not share serials: each hub has 2^48 of them. Hubs may be created in several threads. */
static uint64_t
first_serial(void)
{
	static atomic_uint_fast64_t hubs;

	return atomic_fetch_add_explicit(&hubs, 1, memory_order_relaxed) << 48;
}

struct hub *
hub_new(const struct hub_config *config)
{
	struct hub *hub = xcalloc(1, sizeof(*hub));

	hub->last_serial = first_serial();
	hub->limits = config->limits;
	hub->segment_bytes = config->segment_bytes;
	hub->channels = channel_tree_new();
	hub->shards = channel_tree_new();
	hub->table = subscription_table_new();
	hub->tags = topic_tags_new();
	hub->options = hub_options_new();
	hub->history = hub_history_new(hub, config->history, config->epoch);
	for (size_t i = 0; i < config->form_count; i++)
		(void)hub_add_form(hub, &config->forms[i]);
	hub->replies = frame_log_new(config->segment_bytes);
	hub->pool = (struct outbox_pool){
	    .replies = hub->replies,
	    .ready = on_ready,
	    .room = on_room,
	    .low = on_low,
	    .dropped = on_dropped,
	    .unsent = on_unsent,
	    .notice = write_notice,
	    .arg = hub,
	};
	LIST_INIT(&hub->interests);
	TAILQ_INIT(&hub->awaited);
	TAILQ_INIT(&hub->reserved);
	hub_replay_init(hub);
	return hub;
}

uint8_t
hub_add_form(struct hub *hub, const struct wire_form *form)
{
	assert(hub->form_count < HUB_FORMS_MAX);
	assert((form->measure == NULL) == (form->transform == NULL));
	hub->forms[hub->form_count] = form;
	hub->logs[hub->form_count] = frame_log_new(hub->segment_bytes);
	if (form->transform != NULL)
		hub->transforms = true;
	return hub->form_count++;
}

const char *
hub_form_name(const struct hub *hub, uint8_t form)
{
	return form < hub->form_count ? hub->forms[form]->name : NULL;
}

void
hub_free(struct hub *hub)
{
	hub_replay_release(hub);
	for (size_t i = 0; i < hub->form_count; i++)
		frame_log_free(hub->logs[i]);
	frame_log_free(hub->replies);
	outbox_pool_release(&hub->pool);
	channel_tree_free(hub->channels);
	channel_tree_free(hub->shards);
	subscription_table_free(hub->table);
	topic_tags_free(hub->tags);
	hub_history_free(hub->history);
	hub_options_free(hub->options);
	hub_release_dedup(hub);
	hub_queues_release(hub);
	xfree(hub);
}

void
hub_attach(struct hub *hub, struct subscriber *s, const struct subscriber_ops *ops,
    const struct outbox_limits *limits, uint8_t form, void *io)
{
	memset(s, 0, sizeof(*s));
	s->hub = hub;
	s->ops = ops;
	for (int kind = 0; kind < HUB_KINDS; kind++)
		TAILQ_INIT(&s->subscriptions[kind]);
	outbox_init(&s->outbox, &hub->pool, limits, io);
	hub_set_form(s, form);
}

static bool
is_subscribed(const struct subscriber *s)
{
	return s->count[HUB_CHANNEL] + s->count[HUB_PATTERN] + s->count[HUB_SHARD] > 0 ||
	       s->in_queues;
}

/* Called after the subscriber's policy or subscriptions changed. */
void
hub_count_blocking(struct subscriber *s)
{
	bool blocking =
	    s->outbox.limits.policy == OUTBOX_BLOCK && !s->outbox.closed && is_subscribed(s);

	if (blocking == s->blocking)
		return;
	s->blocking = blocking;
	s->hub->blocking += blocking ? 1 : (size_t)-1;
	if (!blocking)
		hub_stop_awaiting(s);
}

static void
tell_interest(struct hub *hub, enum hub_kind kind, const struct topic *topic, bool is_wanted)
{
	struct hub_interest *interest;

	LIST_FOREACH (interest, &hub->interests, link)
		interest->changed(interest, kind, topic_name(topic), is_wanted);
}

/* Adds a topic, which is not there yet. */
static struct topic *
add_topic(struct hub *hub, enum hub_kind kind, struct slice name)
{
	struct topic *topic = channel_tree_add(tree_of(hub, kind), kind == HUB_PATTERN, name);

	if (hub->options_in_use != 0 && kind == HUB_CHANNEL)
		hub_classify(hub, topic);
	return topic;
}

/* Removes a topic that has no members and is not held. */
static void
drop_topic(struct hub *hub, enum hub_kind kind, struct topic *topic)
{
	if (topic->class != CHANNEL_CLASS_DEFAULT)
		hub_declassify(hub, topic);
	topic_tags_release(hub->tags, topic);
	channel_tree_remove(tree_of(hub, kind), topic);
}

static void
got_first_member(struct hub *hub, enum hub_kind kind, const struct topic *topic)
{
	if (topic->holds > 0)
		hub->unheard[kind == HUB_SHARD]--;
	tell_interest(hub, kind, topic, true);
}

static void
lost_last_member(struct hub *hub, enum hub_kind kind, struct topic *topic)
{
	tell_interest(hub, kind, topic, false);
	if (topic->holds > 0)
		hub->unheard[kind == HUB_SHARD]++;
	else
		drop_topic(hub, kind, topic);
}

static void
remove_subscription(struct hub *hub, struct subscription *subscription)
{
	struct subscriber *s = subscription->subscriber;
	struct topic *topic = subscription->topic;
	enum hub_kind kind = (enum hub_kind)subscription->kind;
	struct subscription *moved = topic_remove(topic, subscription->index);

	if (moved != NULL)
		moved->index = subscription->index;
	if (subscription->reader != NULL)
		hub_replay_left(subscription);
	subscription_table_remove(hub->table, subscription);
	TAILQ_REMOVE(&s->subscriptions[kind], subscription, of_subscriber);
	s->count[kind]--;
	xfree(subscription);
	if (topic->count == 0)
		lost_last_member(hub, kind, topic);
	hub_count_blocking(s);
	hub_recheck(s);
}

bool
hub_detach(struct subscriber *s, size_t budget)
{
	outbox_close(&s->outbox);
	hub_count_blocking(s);
	hub_stop_awaiting(s);
	hub_set_dedup(s, false);
	if (!hub_leave_queues(s, &budget) || !hub_replay_detach(s, &budget))
		return false;
	for (int kind = 0; kind < HUB_KINDS; kind++) {
		struct subscription *subscription;

		while ((subscription = TAILQ_FIRST(&s->subscriptions[kind])) != NULL) {
			if (budget-- == 0)
				return false;
			remove_subscription(s->hub, subscription);
		}
	}
	return outbox_discard(&s->outbox, &budget);
}

static struct subscription *
find_subscription(struct subscriber *s, enum hub_kind kind, struct slice name, struct topic **topic)
{
	*topic = channel_tree_find(tree_of(s->hub, kind), kind == HUB_PATTERN, name);
	return *topic != NULL ? subscription_table_find(s->hub->table, s, *topic) : NULL;
}

static uint64_t
max_subscribers(struct hub *hub, const struct topic *topic)
{
	uint64_t most = hub->limits->subscribers, own;

	if (topic->class == CHANNEL_CLASS_DEFAULT)
		return most;
	own = hub_channel_options(hub, topic)->max_subscribers;
	return own > 0 && own < most ? own : most;
}

uint32_t
hub_subscription_count(const struct subscriber *s)
{
	return s->count[HUB_CHANNEL] + s->count[HUB_PATTERN] + s->count[HUB_SHARD] +
	       hub_queues_of(s);
}

bool
hub_is_subscribed(struct subscriber *s, enum hub_kind kind, struct slice name)
{
	struct topic *topic;

	return find_subscription(s, kind, name, &topic) != NULL;
}

enum hub_result
hub_subscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
{
	const struct hub_limits *limits = s->hub->limits;
	struct subscription *subscription;
	struct topic *topic;

	if (name.len > limits->name_bytes)
		return HUB_NAME_TOO_LONG;
	if (find_subscription(s, kind, name, &topic) != NULL)
		return HUB_ALREADY;
	if (hub_subscription_count(s) >= limits->subscriptions)
		return HUB_TOO_MANY_SUBSCRIPTIONS;
	if (topic != NULL && topic->count >= max_subscribers(s->hub, topic))
		return HUB_TOO_MANY_SUBSCRIBERS;
	if (topic == NULL)
		topic = add_topic(s->hub, kind, name);
	subscription = xmalloc(sizeof(*subscription));
	subscription->subscriber = s;
	subscription->topic = topic;
	subscription->kind = (uint32_t)kind;
	subscription->reader = NULL;
	subscription->index = topic_add(topic, s, subscription);
	subscription_table_add(s->hub->table, subscription);
	TAILQ_INSERT_TAIL(&s->subscriptions[kind], subscription, of_subscriber);
	s->count[kind]++;
	hub_count_blocking(s);
	if (topic->count == 1)
		got_first_member(s->hub, kind, topic);
	return HUB_OK;
}

enum hub_result
hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
{
	struct topic *topic;
	struct subscription *subscription = find_subscription(s, kind, name, &topic);

	if (subscription == NULL)
		return HUB_NOT_SUBSCRIBED;
	remove_subscription(s->hub, subscription);
	return HUB_OK;
}

struct topic *
hub_hold_channel(struct hub *hub, enum hub_kind kind, struct slice name)
{
	struct topic *topic = channel_tree_find(tree_of(hub, kind), false, name);

	assert(kind != HUB_PATTERN);
	if (topic == NULL)
		topic = add_topic(hub, kind, name);
	assert(topic->holds < HUB_HOLDS_MAX);
	if (topic->holds++ == 0 && topic->count == 0)
		hub->unheard[kind == HUB_SHARD]++;
	return topic;
}

void
hub_release_channel(struct hub *hub, enum hub_kind kind, struct topic *topic)
{
	assert(topic->holds > 0);
	if (--topic->holds > 0 || topic->count > 0)
		return;
	hub->unheard[kind == HUB_SHARD]--;
	drop_topic(hub, kind, topic);
}

void
hub_add_interest(struct hub *hub, struct hub_interest *interest)
{
	LIST_INSERT_HEAD(&hub->interests, interest, link);
}

void
hub_remove_interest(struct hub_interest *interest)
{
	LIST_REMOVE(interest, link);
}

struct subscription *
hub_first_subscription(struct subscriber *s, enum hub_kind kind)
{
	return TAILQ_FIRST(&s->subscriptions[kind]);
}

void
hub_rotate_subscriptions(struct subscriber *s, enum hub_kind kind)
{
	struct subscription *first = TAILQ_FIRST(&s->subscriptions[kind]);

	if (first == NULL)
		return;
	TAILQ_REMOVE(&s->subscriptions[kind], first, of_subscriber);
	TAILQ_INSERT_TAIL(&s->subscriptions[kind], first, of_subscriber);
}

void
hub_set_limits(struct subscriber *s, const struct outbox_limits *limits)
{
	bool other = s->outbox.limits.policy != limits->policy ||
		     s->outbox.limits.channel_policies != limits->channel_policies;
	bool may_block =
	    limits->policy == OUTBOX_BLOCK || (limits->channel_policies >> OUTBOX_BLOCK & 1) != 0;

	outbox_set_limits(&s->outbox, limits);
	hub_count_blocking(s);
	if (!may_block)
		hub_stop_awaiting(s);
	else if (other)
		hub_recheck(s);
}

void
hub_set_time(struct hub *hub, uint64_t now_us)
{
	if (now_us > hub->now_us)
		hub->now_us = now_us;
}

void
hub_set_form(struct subscriber *s, uint8_t form)
{
	assert(form < s->hub->form_count);
	s->outbox.form = form;
}

void
hub_tidy(struct hub *hub)
{
	for (size_t i = 0; i < hub->form_count; i++)
		frame_log_tidy(hub->logs[i]);
	frame_log_tidy(hub->replies);
}

size_t
hub_numsub(struct hub *hub, enum hub_kind kind, struct slice channel)
{
	struct topic *topic = channel_tree_find(tree_of(hub, kind), false, channel);

	return topic != NULL ? topic->count : 0;
}

size_t
hub_numpat(struct hub *hub)
{
	return channel_tree_patterns(hub->channels);
}

size_t
hub_channels(struct hub *hub, enum hub_kind kind)
{
	return channel_tree_channels(tree_of(hub, kind)) - hub->unheard[kind == HUB_SHARD];
}

struct topic *
hub_next_channel(struct hub *hub, enum hub_kind kind, struct slice after)
{
	return channel_tree_next(tree_of(hub, kind), after);
}

uint64_t
hub_channel_dropped(struct hub *hub, enum hub_kind kind, struct slice name)
{
	struct topic *topic = channel_tree_find(tree_of(hub, kind), kind == HUB_PATTERN, name);

	return topic != NULL ? topic_tags_drops(hub->tags, topic) : 0;
}

struct hub_figures
hub_figures(struct hub *hub)
{
	struct hub_figures figures = {
	    .published = hub->published,
	    .delivered = hub->delivered,
	    .dropped = hub->pool.dropped_total,
	    .subscriptions = subscription_table_count(hub->table),
	    .queued_bytes = hub->pool.bytes,
	    .queued_messages = hub->pool.messages,
	    .log_bytes = frame_log_held_bytes(hub->replies),
	    .tree_bytes = channel_tree_bytes(hub->channels) + channel_tree_bytes(hub->shards) +
			  subscription_table_bytes(hub->table),
	    .blocking = hub->blocking,
	};

	memcpy(figures.dropped_by, hub->pool.dropped_by, sizeof(figures.dropped_by));
	for (size_t i = 0; i < hub->form_count; i++)
		figures.log_bytes += frame_log_held_bytes(hub->logs[i]);
	return figures;
}
