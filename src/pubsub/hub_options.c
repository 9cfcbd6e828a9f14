#include "config.h"

#include "pubsub/hub_options.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/hub_state.h"

struct hub_options {
	struct channel_classes *classes;
	LIST_HEAD(, hub_options_watch) watches;
	struct buffer after; /* the name of the topic that was visited last */
	bool is_walking;     /* topics are being visited: see hub_reclassify() */
	bool is_begun;       /* ... and one was visited */
	bool again;          /* the lines changed since: visit all once more */
};

struct hub_options *
hub_options_new(void)
{
	struct hub_options *options = xcalloc(1, sizeof(*options));

	options->classes = channel_classes_new();
	LIST_INIT(&options->watches);
	return options;
}

void
hub_options_free(struct hub_options *options)
{
	channel_classes_free(options->classes);
	buffer_release(&options->after);
	xfree(options);
}

const struct channel_lines *
hub_channel_lines(const struct hub *hub)
{
	return channel_classes_lines(hub->options->classes);
}

static void
lines_changed(struct hub *hub)
{
	struct hub_options *options = hub->options;
	struct hub_options_watch *watch;

	/* Rings follow their options in the walk; until then a publish must look at them. */
	hub->options_in_use = channel_lines_options(hub_channel_lines(hub)) |
			      (hub->options_in_use & CHANNEL_BIT(history_size));
	LIST_FOREACH (watch, &options->watches, link)
		if (watch->lines_changed != NULL)
			watch->lines_changed(watch);
	if (options->is_walking)
		options->again = true;
	options->is_walking = true;
}

bool
hub_set_channel_line(struct hub *hub, struct slice glob, const struct slice *words, size_t count,
    struct channel_error *error)
{
	if (!channel_classes_set(hub->options->classes, glob, words, count, error))
		return false;
	lines_changed(hub);
	return true;
}

bool
hub_unset_channel_line(struct hub *hub, struct slice glob, const struct slice *names, size_t count,
    struct channel_error *error)
{
	if (!channel_classes_unset(hub->options->classes, glob, names, count, error))
		return false;
	lines_changed(hub);
	return true;
}

void
hub_replace_channel_lines(struct hub *hub, struct channel_lines *lines)
{
	channel_classes_replace(hub->options->classes, lines);
	lines_changed(hub);
}

uint32_t
hub_options_in_use(const struct hub *hub)
{
	return hub->options_in_use;
}

const struct channel_options *
hub_channel_options(struct hub *hub, const struct topic *topic)
{
	if (topic->class == CHANNEL_CLASS_BY_NAME)
		return hub_options_of(hub, topic_name(topic));
	return channel_classes_options(hub->options->classes, topic->class);
}

const struct channel_options *
hub_options_of(struct hub *hub, struct slice name)
{
	return channel_classes_of_name(hub->options->classes, name);
}

void
hub_explain_channel(struct hub *hub, struct slice name, struct channel_explanation *out)
{
	channel_classes_explain(hub->options->classes, name, out);
}

void
hub_classify(struct hub *hub, struct topic *topic)
{
	topic->class = channel_classes_ref(hub->options->classes, topic_name(topic));
}

void
hub_declassify(struct hub *hub, struct topic *topic)
{
	channel_classes_unref(hub->options->classes, topic->class);
}

void
hub_find_policy(struct hub *hub, struct hub_delivery *d)
{
	const struct channel_options *options;

	if (d->is_shard)
		return;
	options = d->topics[0]->is_pattern ? hub_options_of(hub, d->message.channel)
					   : hub_channel_options(hub, d->topics[0]);
	d->policy = (uint8_t)options->outbox_policy;
	d->by_channel = d->policy != CHANNEL_POLICY_GLOBAL;
	if (d->policy == OUTBOX_BLOCK + CHANNEL_POLICY_FIRST)
		d->may_block = true;
}

/* Matching lines that take about as long as a topic. */
#define LINES_A_TOPIC 16

/* A class whose options are looked up by name may have the same number and other options. */
static void
classify_again(struct hub *hub, struct topic *topic)
{
	struct hub_options_watch *watch, *next;
	uint8_t before = topic->class;

	hub_classify(hub, topic);
	channel_classes_unref(hub->options->classes, before);
	if (topic->class == before && before != CHANNEL_CLASS_BY_NAME)
		return;
	/* A hold keeps the topic while the watches release theirs. */
	topic = hub_hold_channel(hub, HUB_CHANNEL, topic_name(topic));
	for (watch = LIST_FIRST(&hub->options->watches); watch != NULL; watch = next) {
		next = LIST_NEXT(watch, link);
		if (watch->channel_changed != NULL)
			watch->channel_changed(watch, topic, hub_channel_options(hub, topic));
	}
	hub_release_channel(hub, HUB_CHANNEL, topic);
}

/* All topics were visited. */
static void
end_walk(struct hub *hub)
{
	struct hub_options *options = hub->options;

	options->is_walking = options->again;
	options->again = false;
	if (!options->is_walking)
		hub->options_in_use = channel_lines_options(hub_channel_lines(hub));
	hub_recheck_waiting(hub);
}

bool
hub_reclassify(struct hub *hub, size_t budget)
{
	struct hub_options *options = hub->options;

	while (options->is_walking) {
		struct slice none = {NULL, 0};
		struct topic *topic;
		uint64_t matched = channel_classes_matched(options->classes), cost;

		if (budget == 0)
			return false;
		topic = hub_next_channel(
		    hub, HUB_CHANNEL, options->is_begun ? buffer_slice(&options->after) : none);
		options->is_begun = topic != NULL;
		if (topic == NULL) {
			end_walk(hub);
			budget--;
			continue;
		}
		buffer_clear(&options->after);
		(void)buffer_reserve(&options->after, 1); /* the name may be empty */
		buffer_append_slice(&options->after, topic_name(topic));
		classify_again(hub, topic);
		matched = channel_classes_matched(options->classes) - matched;
		cost = 1 + matched / LINES_A_TOPIC;
		budget -= cost < budget ? (size_t)cost : budget;
	}
	buffer_release(&options->after);
	return true;
}

bool
hub_is_reclassified(const struct hub *hub)
{
	return !hub->options->is_walking;
}

void
hub_watch_options(struct hub *hub, struct hub_options_watch *watch)
{
	LIST_INSERT_HEAD(&hub->options->watches, watch, link);
}

void
hub_unwatch_options(struct hub_options_watch *watch)
{
	LIST_REMOVE(watch, link);
}

struct hub_options_figures
hub_options_figures(const struct hub *hub)
{
	const struct channel_classes *classes = hub->options->classes;

	return (struct hub_options_figures){
	    .lines = channel_lines_count(channel_classes_lines(classes)),
	    .classes = channel_classes_count(classes),
	    .bytes = channel_classes_bytes(classes),
	};
}
