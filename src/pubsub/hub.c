#include "config.h"

#include "pubsub/hub.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/hub_state.h"

/* From here on a message is copied in steps, for so many of the topics that it matches. */
#define LARGE_BYTES ((size_t)2 << 20)
#define TOPICS_PREPARED 1024

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
on_dropped(void *arg, uint32_t tag)
{
	struct hub *hub = arg;

	topic_tags_dropped(hub->tags, tag);
}

static size_t
write_notice(struct outbox *outbox, uint8_t form, uint64_t missed, char *out)
{
	return subscriber_of(outbox)->hub->config.forms[form].lagged(missed, out);
}

struct hub *
hub_new(const struct hub_config *config)
{
	struct hub *hub = xcalloc(1, sizeof(*hub));

	assert(config->form_count >= 1 && config->form_count <= FORMS_MAX);
	hub->config = *config;
	hub->channels = channel_tree_new();
	hub->shards = channel_tree_new();
	hub->table = subscription_table_new();
	hub->tags = topic_tags_new();
	for (size_t i = 0; i < config->form_count; i++)
		hub->logs[i] = frame_log_new(config->segment_bytes);
	hub->replies = frame_log_new(config->segment_bytes);
	hub->pool = (struct outbox_pool){
	    .replies = hub->replies,
	    .ready = on_ready,
	    .room = on_room,
	    .dropped = on_dropped,
	    .notice = write_notice,
	    .arg = hub,
	};
	TAILQ_INIT(&hub->awaited);
	TAILQ_INIT(&hub->reserved);
	return hub;
}

void
hub_free(struct hub *hub)
{
	for (size_t i = 0; i < hub->config.form_count; i++)
		frame_log_free(hub->logs[i]);
	frame_log_free(hub->replies);
	outbox_pool_release(&hub->pool);
	channel_tree_free(hub->channels);
	channel_tree_free(hub->shards);
	subscription_table_free(hub->table);
	topic_tags_free(hub->tags);
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
	return s->count[HUB_CHANNEL] + s->count[HUB_PATTERN] + s->count[HUB_SHARD] > 0;
}

/* To be called where its policy or its subscriptions changed. */
static void
count_blocking(struct subscriber *s)
{
	bool blocking =
	    s->outbox.limits.policy == OUTBOX_BLOCK && !s->outbox.closed && is_subscribed(s);

	if (blocking == s->blocking)
		return;
	s->blocking = blocking;
	s->hub->blocking += blocking ? 1 : (size_t)-1;
	if (!blocking)
		hub_let_go(s);
}

static void
remove_subscription(struct hub *hub, struct subscription *subscription)
{
	struct subscriber *s = subscription->subscriber;
	struct topic *topic = subscription->topic;
	struct subscription *moved = topic_remove(topic, subscription->index);

	if (moved != NULL)
		moved->index = subscription->index;
	subscription_table_remove(hub->table, subscription);
	TAILQ_REMOVE(&s->subscriptions[subscription->kind], subscription, of_subscriber);
	s->count[subscription->kind]--;
	if (topic->count == 0) {
		topic_tags_release(hub->tags, topic);
		channel_tree_remove(tree_of(hub, subscription->kind), topic);
	}
	xfree(subscription);
	count_blocking(s);
	if (s->awaited != HUB_NOT_AWAITED)
		hub_hears_less(s);
}

bool
hub_detach(struct subscriber *s, size_t budget)
{
	outbox_close(&s->outbox);
	count_blocking(s);
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

enum hub_result
hub_subscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
{
	const struct hub_limits *limits = s->hub->config.limits;
	struct subscription *subscription;
	struct topic *topic;

	if (name.len > limits->name_bytes)
		return HUB_NAME_TOO_LONG;
	if (find_subscription(s, kind, name, &topic) != NULL)
		return HUB_ALREADY;
	if (s->count[HUB_CHANNEL] + s->count[HUB_PATTERN] + s->count[HUB_SHARD] >=
	    limits->subscriptions)
		return HUB_TOO_MANY_SUBSCRIPTIONS;
	if (topic != NULL && topic->count >= limits->subscribers)
		return HUB_TOO_MANY_SUBSCRIBERS;
	if (topic == NULL)
		topic = channel_tree_add(tree_of(s->hub, kind), kind == HUB_PATTERN, name);
	subscription = xmalloc(sizeof(*subscription));
	subscription->subscriber = s;
	subscription->topic = topic;
	subscription->kind = kind;
	subscription->index = topic_add(topic, s, subscription);
	subscription_table_add(s->hub->table, subscription);
	TAILQ_INSERT_TAIL(&s->subscriptions[kind], subscription, of_subscriber);
	s->count[kind]++;
	count_blocking(s);
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

/* What a matching topic's subscribers get. */
struct hub_message
hub_message_for(
    enum hub_kind kind, const struct topic *topic, struct slice channel, struct slice payload)
{
	struct hub_message message = {.kind = kind, .channel = channel, .payload = payload};

	if (topic->is_pattern) {
		message.kind = HUB_PATTERN;
		message.pattern = topic_name(topic);
	}
	return message;
}

size_t
hub_frame_len(const struct wire_form *form, const struct hub_message *message)
{
	return form->head_len(message) + message->payload.len + form->tail.len;
}

static struct frame
encode(struct hub *hub, uint8_t form, const struct hub_message *message, uint32_t tag, uint64_t id)
{
	const struct wire_form *f = &hub->config.forms[form];
	struct slice payload = message->payload;
	size_t head_len = f->head_len(message), len = hub_frame_len(f, message);
	struct frame frame;

	if (id == 0 || !frame_log_write_prepared(hub->logs[form], id, len, head_len, tag, &frame)) {
		frame = frame_log_write(hub->logs[form], len, tag);
		if (payload.len > 0)
			memcpy(frame.ptr + head_len, payload.ptr, payload.len);
	}
	f->head_write(message, frame.ptr);
	memcpy(frame.ptr + head_len + payload.len, f->tail.ptr, f->tail.len);
	return frame;
}

/* A step of the copying of a large message, for one topic. False if there is more of it. */
static bool
prepare(struct hub *hub, const struct topic *topic, const struct hub_message *message, uint64_t id)
{
	bool done[FORMS_MAX] = {false};

	for (uint32_t i = 0; i < topic->count; i++) {
		const struct subscriber *s = topic->members[i].subscriber;
		const struct wire_form *f = &hub->config.forms[s->outbox.form];

		if (done[s->outbox.form] || s->outbox.sealed)
			continue;
		if (!frame_log_prepare(hub->logs[s->outbox.form], id, hub_frame_len(f, message),
			f->head_len(message), message->payload))
			return false;
		done[s->outbox.form] = true;
	}
	return true;
}

typedef enum outbox_result push_message(struct outbox *outbox, const struct frame *frame);

/* One encoding per wire form in use, then a few words per member. */
static size_t
deliver(struct hub *hub, struct topic *topic, const struct hub_message *message, uint64_t id,
    push_message *push)
{
	struct frame frames[FORMS_MAX];
	bool written[FORMS_MAX] = {false};
	uint32_t tag = topic_tags_of(hub->tags, topic);
	size_t receivers = 0;

	for (uint32_t i = 0; i < topic->count; i++) {
		struct subscriber *s = topic->members[i].subscriber;

		if (s->outbox.sealed)
			continue;
		if (!written[s->outbox.form]) {
			frames[s->outbox.form] = encode(hub, s->outbox.form, message, tag, id);
			written[s->outbox.form] = true;
		}
		receivers++;
		switch (push(&s->outbox, &frames[s->outbox.form])) {
		case OUTBOX_QUEUED:
			hub->delivered++;
			break;
		case OUTBOX_OVERFLOW:
			outbox_close(&s->outbox);
			s->ops->overflow(s);
			break;
		case OUTBOX_DROPPED:
		case OUTBOX_CLOSED:
			break;
		}
	}
	return receivers;
}

void
hub_drop_drafts(struct hub *hub, struct hub_publication *p)
{
	if (p->drafts == 0)
		return;
	for (size_t i = 0; i < hub->config.form_count; i++)
		frame_log_forget(hub->logs[i], p->drafts * TOPICS_PREPARED, TOPICS_PREPARED);
	p->drafts = 0;
	hub->preparing--;
	hub->prepared_bytes -= p->bytes;
}

static void
begin_large(struct hub *hub, struct hub_publication *p, size_t bytes)
{
	p->drafts = ++hub->last_drafts;
	p->bytes = bytes;
	hub->preparing++;
	hub->prepared_bytes += bytes;
}

/* What a message goes to. *shard is room for one. */
static struct topic **
find_topics(
    struct hub *hub, enum hub_kind kind, struct slice channel, struct topic **shard, size_t *count)
{
	assert(kind != HUB_PATTERN);
	if (kind != HUB_SHARD)
		return channel_tree_match(hub->channels, channel, count);
	*shard = channel_tree_find(hub->shards, false, channel);
	*count = *shard != NULL;
	return shard;
}

enum hub_result
hub_may_publish(struct hub *hub, enum hub_kind kind, struct slice channel, struct slice payload,
    uint64_t now_us, struct hub_publication *p, size_t *bytes)
{
	struct topic *shard, **topics;
	size_t count;

	if (hub->config.limits->memory_bytes == 0 && hub->blocking == 0)
		return HUB_OK;
	topics = find_topics(hub, kind, channel, &shard, &count);
	if (hub->config.limits->memory_bytes > 0) {
		enum hub_result room =
		    hub_check_memory(hub, topics, count, kind, channel, payload, bytes, &p->bytes);

		if (room != HUB_OK)
			return room;
	}
	return hub->blocking > 0 &&
		       hub_must_wait(hub, topics, count, kind, channel, payload, now_us, p)
		   ? HUB_BLOCKED
		   : HUB_OK;
}

enum hub_result
hub_publish_now(struct hub *hub, enum hub_kind kind, struct slice channel, struct slice payload,
    enum hub_urgency urgency, size_t *receivers)
{
	struct topic *shard, **topics;
	size_t count, wanted;

	*receivers = 0;
	topics = find_topics(hub, kind, channel, &shard, &count);
	if (hub->config.limits->memory_bytes > 0) {
		enum hub_result room =
		    hub_check_memory(hub, topics, count, kind, channel, payload, NULL, &wanted);

		if (room == HUB_TOO_LARGE || (room == HUB_FULL && urgency == HUB_IF_ROOM))
			return room;
	}
	for (size_t i = 0; i < count; i++) {
		struct hub_message message = hub_message_for(kind, topics[i], channel, payload);

		*receivers += deliver(hub, topics[i], &message, 0,
		    urgency == HUB_IF_ROOM ? outbox_push_unasked : outbox_push_message);
	}
	hub->published++;
	return HUB_OK;
}

/* Copies a part of a large message. False if there is more of it. */
static bool
prepare_all(struct hub *hub, struct topic **topics, size_t count, enum hub_kind kind,
    struct slice channel, struct slice payload, uint64_t now_us, struct hub_publication *p)
{
	if (p->drafts == 0) {
		begin_large(hub, p, hub_memory_needed(hub, topics, count, kind, channel, payload));
		if (hub->blocking > 0)
			hub_reserve(hub, topics, count, now_us, p);
	}
	for (size_t i = 0; i < count && i < TOPICS_PREPARED; i++) {
		struct hub_message message = hub_message_for(kind, topics[i], channel, payload);

		if (!prepare(hub, topics[i], &message, p->drafts * TOPICS_PREPARED + i))
			return false;
	}
	return true;
}

/* May it be written, as far as memory goes? */
static enum hub_result
ask_for_memory(struct hub *hub, struct topic **topics, size_t count, enum hub_kind kind,
    struct slice channel, struct slice payload, struct hub_publication *p)
{
	size_t limit = hub->config.limits->memory_bytes;

	if (p->drafts != 0) /* it was asked for */
		return p->bytes <= limit ? HUB_OK : HUB_TOO_LARGE;
	return hub_check_memory(hub, topics, count, kind, channel, payload, NULL, &p->bytes);
}

enum hub_result
hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel, struct slice payload,
    uint64_t now_us, struct hub_publication *p, size_t *receivers)
{
	struct topic *shard, **topics;
	uint64_t id = 0;
	size_t count;

	*receivers = 0;
	topics = find_topics(hub, kind, channel, &shard, &count);
	if (hub->config.limits->memory_bytes > 0) {
		enum hub_result room =
		    ask_for_memory(hub, topics, count, kind, channel, payload, p);

		if (room != HUB_OK)
			return room;
	}
	if (hub->blocking > 0 &&
	    hub_must_wait(hub, topics, count, kind, channel, payload, now_us, p)) {
		hub_drop_drafts(hub, p);
		return HUB_BLOCKED;
	}
	if (payload.len >= LARGE_BYTES && count > 0) {
		if (!prepare_all(hub, topics, count, kind, channel, payload, now_us, p))
			return HUB_PREPARING;
		id = p->drafts * TOPICS_PREPARED;
	}
	for (size_t i = 0; i < count; i++) {
		struct hub_message message = hub_message_for(kind, topics[i], channel, payload);

		*receivers += deliver(hub, topics[i], &message,
		    i < TOPICS_PREPARED && id > 0 ? id + i : 0, outbox_push_message);
	}
	hub_drop_drafts(hub, p); /* a topic may have lost its last member */
	if (p->ticket != 0)
		hub_delivered(hub, topics, count, p);
	hub->published++;
	return HUB_OK;
}

void
hub_set_limits(struct subscriber *s, const struct outbox_limits *limits)
{
	outbox_set_limits(&s->outbox, limits);
	count_blocking(s);
}

void
hub_set_form(struct subscriber *s, uint8_t form)
{
	assert(form < s->hub->config.form_count);
	s->outbox.form = form;
}

void
hub_tidy(struct hub *hub)
{
	for (size_t i = 0; i < hub->config.form_count; i++)
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
	return channel_tree_channels(tree_of(hub, kind));
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

	for (size_t i = 0; i < hub->config.form_count; i++)
		figures.log_bytes += frame_log_held_bytes(hub->logs[i]);
	return figures;
}
