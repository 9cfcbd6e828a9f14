#include "config.h"

#include "pubsub/hub_options.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub.h"
#include "pubsub/testing_form.h"

/* The options of the hub's channels, and max-subscribers. */

#define SUBS 4

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];

static void
nothing(struct subscriber *s)
{
	(void)s;
}

static const struct subscriber_ops ops = {nothing, nothing, nothing, nothing};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};
	struct outbox_limits none = {.bytes = 0};

	limits = (struct hub_limits){.subscriptions = 1000, .subscribers = 3, .name_bytes = 100};
	hub = hub_new(&config);
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &none, 0, NULL);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static void
set(const char *glob, const char *option, const char *value)
{
	struct slice words[2] = {slice_of(option), slice_of(value)};
	struct channel_error error;

	ck_assert(hub_set_channel_line(hub, slice_of(glob), words, 2, &error));
}

static void
unset(const char *glob)
{
	struct channel_error error;

	ck_assert(hub_unset_channel_line(hub, slice_of(glob), NULL, 0, &error));
}

static struct topic *
hold(const char *name)
{
	return hub_hold_channel(hub, HUB_CHANNEL, slice_of(name));
}

static void
release(struct topic *topic)
{
	hub_release_channel(hub, HUB_CHANNEL, topic);
}

static enum hub_result
subscribe(int i, const char *name)
{
	return hub_subscribe(&subs[i], HUB_CHANNEL, slice_of(name));
}

static uint64_t
replay_of(const struct topic *topic)
{
	return hub_channel_options(hub, topic)->replay;
}

START_TEST(a_topic_has_the_options_of_its_name_from_its_creation_on)
{
	struct topic *held, *other;

	set("a*", "replay", "1");
	ck_assert_uint_eq(hub_options_in_use(hub), CHANNEL_BIT(replay));
	held = hold("a1");
	other = hold("b");
	ck_assert_uint_eq(replay_of(held), 1);
	ck_assert_uint_eq(replay_of(other), 0);
	ck_assert_int_eq(subscribe(0, "a2"), HUB_OK);
	ck_assert_uint_eq(replay_of(hold("a2")), 1);
	ck_assert_uint_eq(hub_options_of(hub, SLICE("a3"))->replay, 1);
	ck_assert_uint_eq(hub_options_of(hub, SLICE("b3"))->replay, 0);
	ck_assert_uint_eq(hub_options_figures(hub).classes, 1);
	release(held);
	release(hold("a2"));
	release(other);
}
END_TEST

START_TEST(a_class_is_free_when_its_last_topic_is_gone)
{
	struct topic *held;

	set("a*", "replay", "1");
	held = hold("a1");
	ck_assert_int_eq(subscribe(0, "a1"), HUB_OK);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("a1")), HUB_OK);
	ck_assert_uint_eq(hub_options_figures(hub).classes, 1);
	release(held);
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
	ck_assert_int_eq(subscribe(0, "a1"), HUB_OK);
	ck_assert_uint_eq(hub_options_figures(hub).classes, 1);
	ck_assert(hub_detach(&subs[0], SIZE_MAX));
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
}
END_TEST

START_TEST(patterns_and_shard_channels_have_no_options)
{
	struct topic *shard;

	set("*", "replay", "1");
	set("*", "max-subscribers", "1");
	shard = hub_hold_channel(hub, HUB_SHARD, SLICE("s"));
	ck_assert_uint_eq(replay_of(shard), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hub_subscribe(&subs[i], HUB_SHARD, SLICE("s")), HUB_OK);
		ck_assert_int_eq(hub_subscribe(&subs[i], HUB_PATTERN, SLICE("p*")), HUB_OK);
	}
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
	hub_release_channel(hub, HUB_SHARD, shard);
}
END_TEST

START_TEST(existing_topics_follow_a_change_in_slices)
{
	struct topic *topics[10];
	size_t followed = 0;
	char name[16];

	set("c*", "replay", "1");
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		topics[i] = hold(name);
	}
	ck_assert(!hub_is_reclassified(hub));
	ck_assert(hub_reclassify(hub, 100));
	ck_assert(hub_is_reclassified(hub));
	set("c*", "replay", "2");
	ck_assert_uint_eq(replay_of(topics[0]), 1);
	ck_assert_uint_eq(hub_options_of(hub, SLICE("c0"))->replay, 2);
	ck_assert(!hub_reclassify(hub, 4));
	for (int i = 0; i < 10; i++)
		followed += replay_of(topics[i]) == 2;
	ck_assert_uint_eq(followed, 4);
	unset("c*");
	ck_assert_uint_eq(hub_options_in_use(hub), 0);
	/* The walk goes on to its end, and begins once more for the topics that it had passed. */
	ck_assert(!hub_reclassify(hub, 12));
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(replay_of(topics[i]), 0);
		release(topics[i]);
	}
}
END_TEST

START_TEST(a_topic_that_hundreds_of_lines_match_takes_more_of_a_slice)
{
	struct topic *topics[10];
	char name[40], glob[16];
	size_t followed = 0;

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "abcdefghijklmnopqrstuvwxyz%d", i);
		topics[i] = hold(name);
	}
	for (char a = 'a'; a < 'z'; a++)
		for (char b = (char)(a + 1); b <= 'z'; b++) {
			snprintf(glob, sizeof(glob), "*%c*%c*", a, b);
			set(glob, "replay", "1");
		}
	ck_assert(!hub_reclassify(hub, 64));
	for (int i = 0; i < 10; i++)
		followed += replay_of(topics[i]) == 1;
	ck_assert_uint_eq(followed, 4);
	ck_assert(hub_reclassify(hub, SIZE_MAX));
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(replay_of(topics[i]), 1);
		release(topics[i]);
	}
}
END_TEST

START_TEST(a_channel_with_an_empty_name_is_visited_once)
{
	struct topic *empty = hold(""), *other = hold("x");

	set("?", "replay", "1");
	ck_assert(!hub_reclassify(hub, 2));
	ck_assert(hub_reclassify(hub, 1));
	ck_assert_uint_eq(replay_of(empty), 0);
	ck_assert_uint_eq(replay_of(other), 1);
	release(empty);
	release(other);
}
END_TEST

START_TEST(all_lines_can_be_replaced)
{
	struct slice words[2] = {SLICE("replay"), SLICE("7")};
	struct channel_lines *lines = channel_lines_new();
	struct channel_error error;
	struct topic *topic;

	set("a", "replay", "1");
	topic = hold("a");
	ck_assert(channel_lines_add(lines, SLICE("b*"), words, 2, NULL, &error));
	hub_replace_channel_lines(hub, lines);
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_uint_eq(replay_of(topic), 0);
	ck_assert_uint_eq(hub_options_of(hub, SLICE("b1"))->replay, 7);
	ck_assert_uint_eq(channel_lines_count(hub_channel_lines(hub)), 1);
	release(topic);
}
END_TEST

START_TEST(topics_without_a_free_class_have_their_options_by_name)
{
	struct topic *topics[260];
	char name[16], value[16];

	for (int i = 0; i < 260; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(value, sizeof(value), "%d", i + 1);
		set(name, "replay", value);
		topics[i] = hold(name);
	}
	ck_assert_uint_eq(hub_options_figures(hub).classes, 254);
	for (int i = 0; i < 260; i++)
		ck_assert_uint_eq(replay_of(topics[i]), (uint64_t)i + 1);
	for (int i = 0; i < 260; i++)
		release(topics[i]);
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
}
END_TEST

/* A module that holds the channels that keep messages, as a history does. */
static struct module {
	struct hub_options_watch watch;
	int line_changes, channel_changes;
	struct topic *held;
} module;

static void
on_lines_changed(struct hub_options_watch *watch)
{
	ck_assert_ptr_eq(watch, &module.watch);
	module.line_changes++;
}

static void
on_channel_changed(
    struct hub_options_watch *watch, struct topic *topic, const struct channel_options *options)
{
	ck_assert_ptr_eq(watch, &module.watch);
	ck_assert_ptr_eq(options, hub_channel_options(hub, topic));
	module.channel_changes++;
	if (channel_options_keep(options) && module.held == NULL) {
		module.held = hub_hold_channel(hub, HUB_CHANNEL, topic_name(topic));
	} else if (!channel_options_keep(options) && module.held == topic) {
		release(topic);
		module.held = NULL;
	}
}

START_TEST(a_module_is_told_of_changes_and_may_hold_and_release)
{
	struct hub_options_watch deaf = {NULL};

	module = (struct module){.watch = {on_lines_changed, on_channel_changed, .link = {NULL}}};
	hub_watch_options(hub, &module.watch);
	hub_watch_options(hub, &deaf);
	ck_assert_int_eq(subscribe(0, "a"), HUB_OK);
	ck_assert_int_eq(subscribe(0, "b"), HUB_OK);
	set("a", "history-ttl", "60");
	set("a", "history-size", "5");
	ck_assert_int_eq(module.line_changes, 2);
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_int_eq(module.channel_changes, 1); /* of b nothing changed */
	ck_assert_ptr_nonnull(module.held);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 1);
	unset("a");
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_int_eq(module.channel_changes, 2);
	ck_assert_ptr_null(module.held);
	ck_assert(slice_is(topic_name(hub_next_channel(hub, HUB_CHANNEL, (struct slice){0})), "b"));
	hub_unwatch_options(&deaf);
	hub_unwatch_options(&module.watch);
	set("a", "history-size", "5");
	ck_assert_int_eq(module.line_changes, 3);
}
END_TEST

START_TEST(a_channel_may_have_fewer_subscribers_than_the_limit_of_all)
{
	set("two", "max-subscribers", "2");
	set("many", "max-subscribers", "100");
	ck_assert_int_eq(subscribe(0, "two"), HUB_OK);
	ck_assert_int_eq(subscribe(1, "two"), HUB_OK);
	ck_assert_int_eq(subscribe(2, "two"), HUB_TOO_MANY_SUBSCRIBERS);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("two")), 2);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("two")), HUB_OK);
	ck_assert_int_eq(subscribe(2, "two"), HUB_OK);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(subscribe(i, "many"), HUB_OK);
	ck_assert_int_eq(subscribe(3, "many"), HUB_TOO_MANY_SUBSCRIBERS);
	/* A new limit closes nobody. */
	set("many", "max-subscribers", "1");
	ck_assert(hub_reclassify(hub, 100));
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("many")), 3);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("many")), HUB_OK);
	ck_assert_int_eq(subscribe(0, "many"), HUB_TOO_MANY_SUBSCRIBERS);
}
END_TEST

START_TEST(an_explanation_names_the_lines)
{
	struct channel_explanation explanation;

	set("*", "replay", "1");
	hub_explain_channel(hub, SLICE("x"), &explanation);
	ck_assert_uint_eq(explanation.options.replay, 1);
	ck_assert(slice_is(explanation.from[CHANNEL_HAS_replay]->glob, "*"));
	ck_assert_ptr_null(explanation.from[CHANNEL_HAS_presence]);
}
END_TEST

START_TEST(a_bad_line_changes_nothing)
{
	struct slice words[2] = {SLICE("replay"), SLICE("many")};
	struct channel_error error;

	ck_assert(!hub_set_channel_line(hub, SLICE("x"), words, 2, &error));
	ck_assert_int_eq(error.fault, CHANNEL_BAD_VALUE);
	ck_assert(!hub_unset_channel_line(hub, SLICE("x"), NULL, 0, &error));
	ck_assert_int_eq(error.fault, CHANNEL_UNKNOWN_GLOB);
	ck_assert_uint_eq(hub_options_figures(hub).lines, 0);
	ck_assert(hub_is_reclassified(hub));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_options", setup, teardown,
	    (const TTest *[]){a_topic_has_the_options_of_its_name_from_its_creation_on,
		a_class_is_free_when_its_last_topic_is_gone,
		patterns_and_shard_channels_have_no_options,
		existing_topics_follow_a_change_in_slices,
		a_topic_that_hundreds_of_lines_match_takes_more_of_a_slice,
		a_channel_with_an_empty_name_is_visited_once, all_lines_can_be_replaced,
		topics_without_a_free_class_have_their_options_by_name,
		a_module_is_told_of_changes_and_may_hold_and_release,
		a_channel_may_have_fewer_subscribers_than_the_limit_of_all,
		an_explanation_names_the_lines, a_bad_line_changes_nothing, NULL});
}
