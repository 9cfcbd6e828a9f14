#include "config.h"

#include "pubsub/hub_history.h"

#include "base/alloc.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

struct hub_history {
	struct history *history;
	struct hub_options_watch watch;
	struct hub *hub;
	bool is_sealed;
	LIST_HEAD(, hub_append_hook) hooks;
	uint64_t lines; /* a hash of the lines that say which channels keep messages */
	bool begins;    /* these lines changed, and topics do not have their new options yet */
};

static void
on_forgotten(void *arg, void *owner, uint32_t appended)
{
	struct topic *topic = owner;

	topic->ring = 0;
	hub_replay_forgotten(arg, topic, appended);
	hub_release_channel(arg, HUB_CHANNEL, topic);
}

static struct history_rules
rules_of(const struct channel_options *options)
{
	struct history_rules rules = {0};

	if (!channel_options_keep(options))
		return rules;
	rules.size = (uint32_t)options->history_size;
	rules.ttl_s = (uint32_t)options->history_ttl;
	rules.bytes = options->history_bytes;
	rules.message_bytes = options->history_message_bytes;
	return rules;
}

static bool
is_in_use(const struct hub *hub)
{
	return (hub_options_in_use(hub) & CHANNEL_BIT(history_size)) != 0;
}

static struct hub_history *
history_of(struct hub_options_watch *watch)
{
	return (struct hub_history *)(void *)((char *)watch - offsetof(struct hub_history, watch));
}

static uint64_t
mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3; /* FNV-1a */
}

/* A change of other options leaves it as it is: nobody's position is lost because of them. */
static uint64_t
hash_of_lines(const struct channel_lines *lines)
{
	const struct channel_line *line;
	uint64_t hash = 0xcbf29ce484222325;

	for (line = channel_lines_first(lines); line != NULL; line = channel_lines_next(line)) {
		uint32_t set = line->set & (CHANNEL_BIT(history_size) | CHANNEL_BIT(history_ttl));

		if (set == 0)
			continue;
		for (size_t i = 0; i < line->glob.len; i++)
			hash = mix(hash, (unsigned char)line->glob.ptr[i]);
		hash = mix(hash, set);
		hash = mix(hash, line->values.history_size);
		hash = mix(hash, line->values.history_ttl);
	}
	return hash;
}

/* Channels without a topic have their new options now, and may begin to keep messages. */
static void
lines_changed(struct hub_options_watch *watch)
{
	struct hub_history *h = history_of(watch);
	uint64_t lines = hash_of_lines(hub_channel_lines(h->hub));

	if (hub_is_reclassified(h->hub))
		h->begins = false;
	if (lines == h->lines)
		return;
	h->lines = lines;
	h->begins = true;
	if ((channel_lines_options(hub_channel_lines(h->hub)) & CHANNEL_BIT(history_size)) != 0)
		history_begin_keeping(h->history);
}

/* The topic has its new options now. */
static void
channel_changed(
    struct hub_options_watch *watch, struct topic *topic, const struct channel_options *options)
{
	struct hub_history *h = history_of(watch);
	struct history_rules rules = rules_of(options);

	if (topic->ring != 0)
		history_set_rules(h->history, topic->ring, &rules, h->hub->now_us);
	else if (rules.size > 0 && h->begins)
		history_begin_keeping(h->history);
}

void
hub_history_follow(struct hub *hub, struct topic *topic)
{
	struct history_rules rules = rules_of(hub_channel_options(hub, topic));

	if (topic->ring != 0)
		history_set_rules(hub->history->history, topic->ring, &rules, hub->now_us);
}

struct hub_history *
hub_history_new(struct hub *hub, const struct history_limits *limits, uint64_t epoch)
{
	static const struct history_limits none = {.channels = UINT32_MAX};
	struct hub_history *h = xcalloc(1, sizeof(*h));
	const struct history_config config = {.limits = limits != NULL ? limits : &none,
	    .epoch = epoch,
	    .forgotten = on_forgotten,
	    .arg = hub};

	h->history = history_new(&config);
	h->hub = hub;
	h->watch.lines_changed = lines_changed;
	h->watch.channel_changed = channel_changed;
	hub_watch_options(hub, &h->watch);
	LIST_INIT(&h->hooks);
	return h;
}

void
hub_history_free(struct hub_history *h)
{
	hub_unwatch_options(&h->watch);
	history_free(h->history);
	xfree(h);
}

struct history *
hub_history(struct hub *hub)
{
	return hub->history->history;
}

struct topic *
hub_channel_of(const struct hub_delivery *d)
{
	if (d->unheard != NULL || d->count == 0 || d->topics[0]->is_pattern)
		return d->unheard;
	return d->topics[0];
}

/* 0: it has no ring yet. */
static uint64_t
newest_seq(const struct hub_history *h, const struct topic *topic)
{
	const struct ring *ring = history_peek(h->history, topic->ring);

	return ring != NULL ? ring->newest_seq : 0;
}

void
hub_keep(struct hub *hub, struct hub_delivery *d)
{
	struct hub_history *h = hub->history;
	struct topic *topic = hub_channel_of(d);
	struct hub_append_hook *hook;
	struct history_rules rules;

	if (h->is_sealed || (d->seq == 0 && history_follows(h->history)))
		return;
	rules = rules_of(topic != NULL ? hub_channel_options(hub, topic)
				       : hub_options_of(hub, d->message.channel));
	if (rules.size == 0 && (topic == NULL || topic->ring == 0))
		return;
	if (topic == NULL || topic->ring == 0)
		topic = hub_hold_channel(hub, HUB_CHANNEL, d->message.channel);
	d->kept = topic;
	if (d->seq != 0)
		history_advance(h->history, d->seq - 1);
	if (hub->replays > 0)
		d->before_seq = newest_seq(h, topic);
	d->message.position.seq = rules.size > 0
				      ? history_append(h->history, topic, &topic->ring, &rules,
					    d->message.payload, hub->now_us)
				      : history_skip(h->history, topic->ring, hub->now_us);
	d->message.position.epoch = history_position(h->history).epoch;
	LIST_FOREACH (hook, &h->hooks, link)
		hook->appended(hook, topic, d->message.position);
}

bool
hub_will_keep(struct hub *hub, const struct hub_delivery *d)
{
	const struct topic *topic = hub_channel_of(d);

	if (!is_in_use(hub) || d->is_shard || hub->history->is_sealed ||
	    (d->seq == 0 && history_follows(hub->history->history)))
		return false;
	return (topic != NULL && topic->ring != 0) || hub_keeps(hub, d->message.channel);
}

const struct channel_options *
hub_kept_options(struct hub *hub, struct slice channel)
{
	const struct channel_options *options;
	const struct topic *topic;

	if (!is_in_use(hub))
		return NULL;
	topic = channel_tree_find(hub->channels, false, channel);
	options = topic != NULL ? hub_channel_options(hub, topic) : hub_options_of(hub, channel);
	return channel_options_keep(options) ? options : NULL;
}

bool
hub_keeps(struct hub *hub, struct slice channel)
{
	return hub_kept_options(hub, channel) != NULL;
}

void
hub_seal_history(struct hub *hub)
{
	/* A hub that follows goes on: the other process has the same positions. */
	hub->history->is_sealed = !history_follows(hub->history->history);
}

void
hub_forget_history(struct hub *hub)
{
	if (!hub->history->is_sealed)
		history_forget(hub->history->history);
}

struct ring *
hub_ring(struct hub *hub, struct slice channel, uint64_t now_us)
{
	const struct topic *topic = channel_tree_find(hub->channels, false, channel);

	return topic != NULL ? history_ring(hub_history(hub), topic->ring, now_us) : NULL;
}

uint64_t
hub_delete_history(struct hub *hub, struct slice channel, uint64_t now_us)
{
	const struct topic *topic = channel_tree_find(hub->channels, false, channel);

	return topic != NULL ? history_delete(hub_history(hub), topic->ring, now_us) : 0;
}

void
hub_drop_history(struct hub *hub, struct slice channel, uint64_t now_us)
{
	static const struct history_rules nothing;
	const struct topic *topic = channel_tree_find(hub->channels, false, channel);

	if (topic != NULL && topic->ring != 0)
		history_set_rules(hub_history(hub), topic->ring, &nothing, now_us);
	else if (!history_follows(hub_history(hub)))
		return;
	history_begin_keeping(hub_history(hub)); /* not even its newest position is good */
}

void
hub_add_append_hook(struct hub *hub, struct hub_append_hook *hook)
{
	LIST_INSERT_HEAD(&hub->history->hooks, hook, link);
}

void
hub_remove_append_hook(struct hub_append_hook *hook)
{
	LIST_REMOVE(hook, link);
}
