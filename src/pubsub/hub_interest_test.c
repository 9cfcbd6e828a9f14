#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_form.h"

/* Channels that are held without subscribers, and the callbacks of struct hub_interest. */

#define SUBS 12
#define NAMES 6

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static const char *const names[NAMES] = {"a", "b", "ab", "a*", "?b", "abc"};

/* A record of the calls of changed(). */
struct watcher {
	struct hub_interest interest;
	bool wanted[HUB_KINDS][NAMES];
	int changes;
};
static struct watcher watcher, second;

static int
number_of(struct slice name)
{
	for (int n = 0; n < NAMES; n++)
		if (slice_eq(name, slice_of(names[n])))
			return n;
	ck_abort_msg("unknown name");
}

static void
on_changed(struct hub_interest *interest, enum hub_kind kind, struct slice name, bool is_wanted)
{
	struct watcher *w = (struct watcher *)interest;
	int n = number_of(name);

	ck_assert(w->wanted[kind][n] != is_wanted);
	w->wanted[kind][n] = is_wanted;
	w->changes++;
	if (kind != HUB_PATTERN)
		ck_assert_uint_eq(hub_numsub(hub, kind, name), is_wanted);
}

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static const struct subscriber_ops ops = {ignore, ignore, ignore, ignore};

static const struct outbox_limits one = {.messages = 1, .policy = OUTBOX_DISCONNECT};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};

	limits = (struct hub_limits){.subscriptions = 100, .subscribers = 100, .name_bytes = 10};
	hub = hub_new(&config);
	watcher = second = (struct watcher){.interest.changed = on_changed};
	hub_add_interest(hub, &watcher.interest);
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &one, 0, NULL);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static void
subscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static void
unsubscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_unsubscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static size_t
publish(enum hub_kind kind, const char *channel)
{
	struct hub_publication its = {0};
	size_t receivers;

	ck_assert_int_eq(
	    hub_publish(hub, kind, slice_of(channel), SLICE("m"), 1, &its, &receivers), HUB_OK);
	return receivers;
}

START_TEST(the_first_and_the_last_subscription_are_told_of_and_none_between)
{
	subscribe(0, HUB_CHANNEL, "a");
	ck_assert(watcher.wanted[HUB_CHANNEL][0]);
	subscribe(1, HUB_CHANNEL, "a");
	ck_assert_int_eq(hub_subscribe(&subs[1], HUB_CHANNEL, SLICE("a")), HUB_ALREADY);
	unsubscribe(0, HUB_CHANNEL, "a");
	ck_assert_int_eq(watcher.changes, 1);
	unsubscribe(1, HUB_CHANNEL, "a");
	ck_assert_int_eq(watcher.changes, 2);
	ck_assert(!watcher.wanted[HUB_CHANNEL][0]);
}
END_TEST

START_TEST(a_channel_a_shard_channel_and_a_pattern_of_one_name_are_told_apart)
{
	subscribe(0, HUB_CHANNEL, "a*");
	subscribe(0, HUB_PATTERN, "a*");
	subscribe(0, HUB_SHARD, "a*");
	ck_assert_int_eq(watcher.changes, 3);
	unsubscribe(0, HUB_PATTERN, "a*");
	ck_assert(watcher.wanted[HUB_CHANNEL][3] && watcher.wanted[HUB_SHARD][3]);
	ck_assert(!watcher.wanted[HUB_PATTERN][3]);
}
END_TEST

START_TEST(each_of_two_watchers_is_told_until_it_is_removed)
{
	hub_add_interest(hub, &second.interest);
	subscribe(0, HUB_CHANNEL, "a");
	hub_remove_interest(&second.interest);
	unsubscribe(0, HUB_CHANNEL, "a");
	ck_assert_int_eq(watcher.changes, 2);
	ck_assert_int_eq(second.changes, 1);
}
END_TEST

START_TEST(a_held_channel_stays_without_subscribers_and_nobody_takes_it_for_one_that_has_some)
{
	struct topic *topic = hub_hold_channel(hub, HUB_CHANNEL, SLICE("ab")), *walked;

	ck_assert_ptr_eq(hub_hold_channel(hub, HUB_CHANNEL, SLICE("ab")), topic);
	subscribe(0, HUB_CHANNEL, "a");
	ck_assert_int_eq(watcher.changes, 1);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 1);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("ab")), 0);
	ck_assert_uint_eq(publish(HUB_CHANNEL, "ab"), 0);
	walked = hub_next_channel(hub, HUB_CHANNEL, SLICE("a"));
	ck_assert_ptr_eq(walked, topic);
	ck_assert_uint_eq(walked->count, 0);
	hub_release_channel(hub, HUB_CHANNEL, topic);
	ck_assert_ptr_eq(hub_next_channel(hub, HUB_CHANNEL, SLICE("a")), topic);
	hub_release_channel(hub, HUB_CHANNEL, topic);
	ck_assert_ptr_null(hub_next_channel(hub, HUB_CHANNEL, SLICE("a")));
}
END_TEST

START_TEST(subscribers_come_to_a_held_channel_and_leave_it)
{
	struct topic *topic = hub_hold_channel(hub, HUB_SHARD, SLICE("ab"));

	subscribe(0, HUB_SHARD, "ab");
	ck_assert_uint_eq(topic->count, 1);
	ck_assert_uint_eq(publish(HUB_SHARD, "ab"), 1);
	ck_assert_uint_eq(hub_channels(hub, HUB_SHARD), 1);
	unsubscribe(0, HUB_SHARD, "ab");
	ck_assert_int_eq(watcher.changes, 2);
	ck_assert_uint_eq(hub_channels(hub, HUB_SHARD), 0);
	ck_assert_uint_eq(publish(HUB_SHARD, "ab"), 0);
	subscribe(0, HUB_SHARD, "ab");
	hub_release_channel(hub, HUB_SHARD, topic);
	ck_assert_uint_eq(hub_channels(hub, HUB_SHARD), 1);
	ck_assert_uint_eq(publish(HUB_SHARD, "ab"), 1);
	unsubscribe(0, HUB_SHARD, "ab");
	ck_assert_ptr_null(hub_next_channel(hub, HUB_SHARD, (struct slice){NULL, 0}));
}
END_TEST

START_TEST(a_message_to_a_held_channel_without_subscribers_waits_for_no_memory)
{
	struct hub_publication its = {0};
	struct topic *topic = hub_hold_channel(hub, HUB_CHANNEL, SLICE("a"));
	size_t receivers;

	subscribe(0, HUB_CHANNEL, "b");
	(void)publish(HUB_CHANNEL, "b");
	limits.memory_bytes = 1;
	ck_assert_int_eq(
	    hub_publish(hub, HUB_CHANNEL, SLICE("a"), SLICE(""), 1, &its, &receivers), HUB_OK);
	hub_release_channel(hub, HUB_CHANNEL, topic);
}
END_TEST

/* The model: the subscriptions of each subscriber, by kind, in the order in which they
 * were made. */
static struct {
	int names[HUB_KINDS][NAMES];
	int count[HUB_KINDS];
	bool leaves; /* being detached in slices */
} model[SUBS];
static int members[HUB_KINDS][NAMES], changes;
static struct topic *held[HUB_KINDS][NAMES][2];

static void
model_remove(int i, int kind, int at)
{
	int n = model[i].names[kind][at];

	model[i].count[kind]--;
	memmove(&model[i].names[kind][at], &model[i].names[kind][at + 1],
	    (size_t)(model[i].count[kind] - at) * sizeof(int));
	if (--members[kind][n] == 0)
		changes++;
}

static int
model_find(int i, int kind, int n)
{
	for (int at = 0; at < model[i].count[kind]; at++)
		if (model[i].names[kind][at] == n)
			return at;
	return -1;
}

static void
toggle(int i, int kind, int n)
{
	int at = model_find(i, kind, n);

	if (model[i].leaves)
		return;
	if (at >= 0) {
		unsubscribe(i, (enum hub_kind)kind, names[n]);
		model_remove(i, kind, at);
		return;
	}
	subscribe(i, (enum hub_kind)kind, names[n]);
	model[i].names[kind][model[i].count[kind]++] = n;
	if (members[kind][n]++ == 0)
		changes++;
}

/* Unsubscribes in steps, as UNSUBSCRIBE without arguments does; it may be interrupted at
 * any time. */
static void
unsubscribe_some(int i, int kind, int budget)
{
	struct subscription *s;

	while (!model[i].leaves && budget-- > 0 &&
	       (s = hub_first_subscription(&subs[i], (enum hub_kind)kind)) != NULL) {
		ck_assert_int_eq(
		    hub_unsubscribe(&subs[i], (enum hub_kind)kind, topic_name(s->topic)), HUB_OK);
		model_remove(i, kind, 0);
	}
}

static void
leave_some(int i, int budget)
{
	bool is_gone = hub_detach(&subs[i], (size_t)budget);

	for (int kind = 0; kind < HUB_KINDS; kind++)
		while (model[i].count[kind] > 0 && budget > 0) {
			model_remove(i, kind, 0);
			budget--;
		}
	model[i].leaves = !is_gone;
	if (is_gone)
		hub_attach(hub, &subs[i], &ops, &one, 0, NULL);
}

static void
toggle_hold(enum hub_kind kind, int n, int which)
{
	struct topic **hold = &held[kind][n][which];

	if (kind == HUB_PATTERN)
		return;
	if (*hold != NULL)
		hub_release_channel(hub, kind, *hold);
	*hold = *hold != NULL ? NULL : hub_hold_channel(hub, kind, slice_of(names[n]));
}

/* Subscribers that have a message already overflow. */
static void
publish_model(enum hub_kind kind, int n)
{
	if (kind == HUB_PATTERN)
		return;
	(void)publish(kind, names[n]);
	for (int i = 0; i < SUBS; i++)
		model[i].leaves |= subs[i].outbox.sealed;
}

static void
check(void)
{
	size_t channels[HUB_KINDS] = {0}, walked = 0;
	struct slice after = {NULL, 0};
	struct topic *topic;

	ck_assert_int_eq(watcher.changes, changes);
	for (int kind = 0; kind < HUB_KINDS; kind++)
		for (int n = 0; n < NAMES; n++) {
			ck_assert_int_eq(watcher.wanted[kind][n], members[kind][n] > 0);
			channels[kind] += members[kind][n] > 0;
			if (kind != HUB_PATTERN)
				ck_assert_uint_eq(
				    hub_numsub(hub, (enum hub_kind)kind, slice_of(names[n])),
				    (unsigned)members[kind][n]);
		}
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), channels[HUB_CHANNEL]);
	ck_assert_uint_eq(hub_channels(hub, HUB_SHARD), channels[HUB_SHARD]);
	ck_assert_uint_eq(hub_numpat(hub), channels[HUB_PATTERN]);
	while ((topic = hub_next_channel(hub, HUB_CHANNEL, after)) != NULL) {
		int n = number_of(topic_name(topic));

		after = topic_name(topic);
		ck_assert_uint_eq(topic->count, (unsigned)members[HUB_CHANNEL][n]);
		ck_assert(topic->count > 0 || held[HUB_CHANNEL][n][0] != NULL ||
			  held[HUB_CHANNEL][n][1] != NULL);
		walked += topic->count > 0;
	}
	ck_assert_uint_eq(walked, channels[HUB_CHANNEL]);
}

static void
step(uint64_t r)
{
	int i = (int)((r >> 8 & 0xff) % SUBS), n = (int)((r >> 16 & 0xff) % NAMES);
	int kind = (int)((r >> 24 & 0xff) % HUB_KINDS), budget = (int)(r >> 32 & 7);

	switch (r & 15) {
	case 0:
		unsubscribe_some(i, kind, budget);
		break;
	case 1:
		leave_some(i, budget);
		break;
	case 2:
	case 3:
		toggle_hold((enum hub_kind)kind, n, (int)(r >> 40 & 1));
		break;
	case 4:
		publish_model((enum hub_kind)kind, n);
		break;
	case 5:
		outbox_consume(&subs[i].outbox, model[i].leaves ? 0 : subs[i].outbox.bytes);
		break;
	default:
		if (model[i].leaves && budget > 5)
			leave_some(i, budget);
		else
			toggle(i, kind, n);
	}
}

START_TEST(three_hundred_thousand_random_steps_tell_of_each_change_once)
{
	uint64_t seed = 11;

	memset(model, 0, sizeof(model));
	memset(members, 0, sizeof(members));
	memset(held, 0, sizeof(held));
	changes = 0;
	for (int at = 0; at < testing_steps(300000); at++) {
		step(testing_random(&seed));
		if (at % 8 == 0)
			check();
	}
	ck_assert_int_gt(changes, testing_steps(10000));
	for (int i = 0; i < SUBS; i++)
		leave_some(i, 1 << 20);
	check();
	for (int n = 0; n < NAMES; n++)
		for (int which = 0; which < 4; which++)
			if (held[which & 2][n][which & 1] != NULL)
				toggle_hold((enum hub_kind)(which & 2), n, which & 1);
	ck_assert_ptr_null(hub_next_channel(hub, HUB_CHANNEL, (struct slice){NULL, 0}));
	ck_assert_ptr_null(hub_next_channel(hub, HUB_SHARD, (struct slice){NULL, 0}));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_interest", setup, teardown,
	    (const TTest *[]){the_first_and_the_last_subscription_are_told_of_and_none_between,
		a_channel_a_shard_channel_and_a_pattern_of_one_name_are_told_apart,
		each_of_two_watchers_is_told_until_it_is_removed,
		a_held_channel_stays_without_subscribers_and_nobody_takes_it_for_one_that_has_some,
		subscribers_come_to_a_held_channel_and_leave_it,
		a_message_to_a_held_channel_without_subscribers_waits_for_no_memory,
		three_hundred_thousand_random_steps_tell_of_each_change_once, NULL});
}
