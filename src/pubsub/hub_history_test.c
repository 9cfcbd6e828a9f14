#include "config.h"

#include "pubsub/hub_history.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/testing_form.h"

/* What the hub keeps of channels, and when. */

#define SUBS 3
#define S UINT64_C(1000000)

static struct hub *hub;
static struct hub_limits limits;
static struct history_limits history_limits;
static struct subscriber subs[SUBS];
static struct hub_append_hook hook;
static struct hub_position hooked[8];
static size_t hooked_count, queued_at_hook;

static void
nothing(struct subscriber *s)
{
	(void)s;
}

static const struct subscriber_ops ops = {nothing, nothing, nothing, nothing};

static void
setup(void)
{
	struct hub_config config = {.limits = &limits,
	    .history = &history_limits,
	    .epoch = 9,
	    .forms = &testing_form,
	    .form_count = 1,
	    .segment_bytes = 4096};
	struct outbox_limits none = {.bytes = 0};

	limits = (struct hub_limits){.subscriptions = 1000, .subscribers = 30, .name_bytes = 100};
	history_limits = (struct history_limits){.channels = 1000};
	hub = hub_new(&config);
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &none, 0, NULL);
	hooked_count = 0;
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
keep(const char *glob, const char *size)
{
	struct slice words[4] = {
	    SLICE("history-size"), slice_of(size), SLICE("history-ttl"), SLICE("60")};
	struct channel_error error;

	ck_assert(hub_set_channel_line(hub, slice_of(glob), words, 4, &error));
}

static void
reclassify(void)
{
	while (!hub_reclassify(hub, 1))
		;
}

static size_t
publish_kind(enum hub_kind kind, const char *channel, const char *payload, uint64_t now_us)
{
	struct hub_publication p = {0};
	size_t receivers;

	ck_assert_int_eq(
	    hub_publish(hub, kind, slice_of(channel), slice_of(payload), now_us, &p, &receivers),
	    HUB_OK);
	return receivers;
}

static size_t
publish(const char *channel, const char *payload)
{
	return publish_kind(HUB_CHANNEL, channel, payload, 1);
}

static size_t
len(const char *channel)
{
	const struct ring *ring = hub_ring(hub, slice_of(channel), 1);

	return ring != NULL ? ring->count : 0;
}

static uint64_t
top(void)
{
	return history_position(hub_history(hub)).seq;
}

static bool
resumes(const char *channel, uint64_t seq)
{
	return history_can_resume(
	    hub_history(hub), hub_ring(hub, slice_of(channel), 1), (struct hub_position){9, seq});
}

START_TEST(a_message_is_kept_once_whoever_subscribes)
{
	keep("a*", "10");
	ck_assert_uint_eq(publish("a", "unheard"), 0);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[1], HUB_PATTERN, SLICE("*")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[1], HUB_PATTERN, SLICE("a*")), HUB_OK);
	ck_assert_uint_eq(publish("a", "heard"), 3);
	ck_assert_uint_eq(publish("ab", "by patterns"), 2);
	ck_assert_uint_eq(len("a"), 2);
	ck_assert_uint_eq(len("ab"), 1);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	ck_assert_uint_eq(publish("a", "unheard"), 2);
	ck_assert_uint_eq(len("a"), 3);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(nothing_is_kept_without_options)
{
	uint64_t before;

	(void)publish("a", "no lines");
	keep("a*", "10");
	before = top();
	(void)publish("b", "another channel");
	(void)publish_kind(HUB_SHARD, "a", "a shard channel", 1);
	ck_assert_uint_eq(top(), before);
	ck_assert_uint_eq(len("a") + len("b"), 0);
	ck_assert(hub_keeps(hub, SLICE("a")));
	ck_assert(!hub_keeps(hub, SLICE("b")));
}
END_TEST

START_TEST(a_size_without_a_ttl_keeps_nothing)
{
	set("a", "history-size", "10");
	(void)publish("a", "x");
	ck_assert(!hub_keeps(hub, SLICE("a")));
	ck_assert_uint_eq(len("a"), 0);
}
END_TEST

START_TEST(a_refused_message_is_not_kept)
{
	struct outbox_limits block = {.messages = 1, .policy = OUTBOX_BLOCK};
	struct hub_publication p = {0};
	uint64_t before;
	size_t receivers;

	keep("a", "10");
	before = top();
	hub_set_limits(&subs[0], &block);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	(void)publish("a", "1");
	ck_assert_int_eq(
	    hub_publish(hub, HUB_CHANNEL, SLICE("a"), SLICE("2"), 1, &p, &receivers), HUB_BLOCKED);
	hub_end_publication(hub, &p);
	limits.memory_bytes = 1;
	ck_assert_int_eq(hub_publish(hub, HUB_CHANNEL, SLICE("a"), SLICE("22"), 1, &p, &receivers),
	    HUB_TOO_LARGE);
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("a"), SLICE("22"),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_TOO_LARGE);
	hub_end_publication(hub, &p);
	ck_assert_uint_eq(top(), before + 1);
	ck_assert_uint_eq(len("a"), 1);
}
END_TEST

START_TEST(messages_of_transactions_and_key_events_are_kept)
{
	size_t receivers;

	keep("a", "10");
	hub_set_time(hub, 5 * S);
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("a"), SLICE("1"),
			     HUB_IGNORE_LIMITS, &receivers),
	    HUB_OK);
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("a"), SLICE("2"),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_OK);
	ck_assert_uint_eq(len("a"), 2);
	/* They expire at the time that the hub was told. */
	ck_assert_ptr_nonnull(hub_ring(hub, SLICE("a"), 65 * S - 1));
	ck_assert_ptr_null(hub_ring(hub, SLICE("a"), 65 * S));
}
END_TEST

/* It is copied in several turns, and kept when it is delivered. */
START_TEST(a_large_message_is_kept_once)
{
	size_t large = (size_t)5 << 20, receivers, turns = 0;
	struct hub_publication p = {0};
	struct slice payload = {xcalloc(1, large), large};
	uint64_t before;

	keep("a", "10");
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	before = top();
	while (hub_publish(hub, HUB_CHANNEL, SLICE("a"), payload, 1, &p, &receivers) ==
	       HUB_PREPARING) {
		ck_assert_uint_eq(top(), before);
		turns++;
	}
	hub_end_publication(hub, &p);
	ck_assert_uint_gt(turns, 0);
	/* It has a position, but is longer than history-message-bytes. */
	ck_assert_uint_eq(top(), before + 1);
	ck_assert_uint_eq(len("a"), 0);
	ck_assert(!resumes("a", before));
	ck_assert(resumes("a", before + 1));
	xfree((char *)(uintptr_t)payload.ptr);
}
END_TEST

START_TEST(a_channel_exists_as_long_as_it_has_a_ring)
{
	keep("*", "10");
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%d", i);
		(void)publish(name, "x");
	}
	ck_assert_ptr_nonnull(hub_next_channel(hub, HUB_CHANNEL, (struct slice){NULL, 0}));
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 0);
	while (!history_work(hub_history(hub), 61 * S, 7))
		;
	ck_assert_ptr_null(hub_next_channel(hub, HUB_CHANNEL, (struct slice){NULL, 0}));
	ck_assert_uint_eq(hub_options_figures(hub).classes, 0);
}
END_TEST

START_TEST(limits_of_the_history_apply_after_each_message)
{
	keep("*", "10");
	history_limits.channels = 2;
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("b")), HUB_OK);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(publish(i % 2 == 0 ? "a" : "c", "x"), 0);
		ck_assert_uint_eq(publish("b", "x"), 1);
		ck_assert_uint_le(history_figures(hub_history(hub)).rings, 2);
	}
	history_limits.memory_bytes = 1;
	(void)publish("a", "x");
	ck_assert_uint_eq(publish("b", "x"), 1);
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 0);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("b")), 1);
}
END_TEST

START_TEST(changed_options_apply_to_rings)
{
	keep("*", "10");
	for (int i = 0; i < 10; i++) {
		(void)publish("a", "x");
		(void)publish("b", "x");
	}
	keep("a", "3");
	ck_assert_uint_eq(len("a"), 10);
	reclassify();
	ck_assert_uint_eq(len("a"), 3);
	ck_assert_uint_eq(len("b"), 10);
	keep("b", "0");
	reclassify();
	ck_assert_uint_eq(len("b"), 0);
	ck_assert(!hub_keeps(hub, SLICE("b")));
	set("a", "history-message-bytes", "1");
	reclassify();
	ck_assert_uint_eq(len("a"), 3);
	(void)publish("a", "xx");
	ck_assert_uint_eq(len("a"), 0);
	keep("a", "0");
	reclassify();
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 0);
}
END_TEST

/* A message that was not kept has no seq; positions from before it must not count as complete. */
START_TEST(positions_from_before_a_channel_is_kept_are_lost)
{
	uint64_t before;

	keep("other", "10");
	before = top();
	(void)publish("a", "not kept");
	keep("a", "10");
	ck_assert(!resumes("a", before));
	ck_assert(resumes("a", top()));
	/* A channel with a topic is not kept before it is visited. */
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("b")), HUB_OK);
	keep("b", "10");
	before = top();
	(void)publish("b", "not kept");
	ck_assert_uint_eq(top(), before);
	reclassify();
	ck_assert(!resumes("b", before));
	ck_assert(resumes("b", top()));
	(void)publish("b", "kept");
	ck_assert_uint_eq(len("b"), 1);
}
END_TEST

START_TEST(a_change_of_other_options_makes_no_position_lost)
{
	uint64_t before;

	keep("*", "10");
	reclassify();
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	before = top();
	set("*", "max-subscribers", "5");
	set("b", "history-bytes", "1mb");
	reclassify();
	ck_assert_uint_eq(top(), before);
	ck_assert(resumes("a", before) && resumes("other", before));
	/* Another change before the first one is applied to all topics. */
	keep("c", "5");
	set("*", "max-subscribers", "6");
	reclassify();
	ck_assert(!resumes("a", before) && !resumes("other", before));
	before = top();
	set("*", "max-subscribers", "7");
	reclassify();
	ck_assert_uint_eq(top(), before);
	ck_assert(resumes("a", before));
}
END_TEST

static void
on_append(struct hub_append_hook *its, const struct topic *topic, struct hub_position position)
{
	ck_assert_ptr_eq(its, &hook);
	ck_assert(slice_is(topic_name(topic), "a"));
	hooked[hooked_count++] = position;
	queued_at_hook = hub_figures(hub).queued_messages;
}

START_TEST(hooks_are_told_of_each_kept_message_before_its_delivery)
{
	uint64_t before;

	keep("a", "10");
	before = top();
	hook.appended = on_append;
	hub_add_append_hook(hub, &hook);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	(void)publish("a", "1");
	ck_assert_uint_eq(queued_at_hook, 0);
	(void)publish("b", "not kept");
	(void)publish("a", "2");
	ck_assert_uint_eq(queued_at_hook, 1);
	ck_assert_uint_eq(hooked_count, 2);
	ck_assert_uint_eq(hooked[0].epoch, 9);
	ck_assert_uint_eq(hooked[0].seq, before + 1);
	ck_assert_uint_eq(hooked[1].seq, before + 2);
	hub_remove_append_hook(&hook);
	(void)publish("a", "3");
	ck_assert_uint_eq(hooked_count, 2);
}
END_TEST

START_TEST(deleting_the_history_of_a_channel_leaves_its_subscribers)
{
	keep("*", "10");
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("a")), HUB_OK);
	(void)publish("a", "1");
	(void)publish("b", "1");
	ck_assert_uint_eq(hub_delete_history(hub, SLICE("a"), 1), 1);
	ck_assert_uint_eq(hub_delete_history(hub, SLICE("a"), 1), 0);
	ck_assert_uint_eq(hub_delete_history(hub, SLICE("none"), 1), 0);
	ck_assert_uint_eq(len("b"), 1);
	ck_assert_uint_eq(publish("a", "2"), 1);
	ck_assert_uint_eq(len("a"), 1);
}
END_TEST

START_TEST(a_sealed_history_gives_no_position_and_messages_are_still_delivered)
{
	struct hub_position at;

	keep("a", "10");
	reclassify();
	publish_kind(HUB_CHANNEL, "a", "x", S);
	at = history_position(hub_history(hub));
	hub_seal_history(hub);
	publish_kind(HUB_CHANNEL, "a", "y", S);
	ck_assert_int_eq(position_compare(history_position(hub_history(hub)), at), 0);
	ck_assert_uint_eq(hub_ring(hub, SLICE("a"), S)->count, 1);
}
END_TEST

static struct hub_resumption
judge(const char *channel, enum position_kind kind, uint64_t n)
{
	const struct position_since since = {.kind = kind, .at = {9, n}, .count = n};

	return hub_judge(&subs[0], slice_of(channel), &since, 1);
}

static void
ck_judged(struct hub_resumption is, enum hub_verdict verdict, uint64_t seq, uint64_t count)
{
	ck_assert_int_eq(is.verdict, verdict);
	ck_assert_uint_eq(is.position.seq, seq);
	ck_assert_uint_eq(is.count, count);
}

START_TEST(no_position_of_before_is_resumed_after_forgetting)
{
	static const char *const channels[] = {"a", "b", "none"};
	uint64_t before, forgotten;

	keep("*", "10");
	reclassify();
	(void)publish("a", "1");
	(void)publish("b", "1");
	before = top();
	ck_judged(judge("a", POSITION_AT, before), HUB_RESUMED, before, 0);
	hub_forget_history(hub);
	forgotten = top();
	ck_assert_uint_eq(forgotten, before + 1);
	(void)publish("a", "2");
	(void)publish("a", "3");
	for (int i = 0; i < 3; i++) {
		ck_assert(!hub_can_resume(hub, slice_of(channels[i]), before, 1));
		ck_assert(hub_can_resume(hub, slice_of(channels[i]), forgotten, 1));
	}
	ck_judged(judge("a", POSITION_AT, before), HUB_LOST, forgotten, 2);
	ck_judged(judge("b", POSITION_AT, before), HUB_LOST, forgotten, 0);
	ck_judged(judge("a", POSITION_AT, forgotten), HUB_RESUMED, forgotten, 2);
	ck_judged(judge("a", POSITION_ALL, 0), HUB_NEW, forgotten, 2);
	ck_judged(judge("a", POSITION_LAST, 5), HUB_NEW, forgotten, 2);
	ck_judged(judge("a", POSITION_LAST, 1), HUB_NEW, forgotten + 1, 1);
	ck_judged(judge("b", POSITION_LAST, 1), HUB_NEW, forgotten, 0);
}
END_TEST

START_TEST(a_sealed_history_is_not_forgotten)
{
	uint64_t before;

	keep("*", "10");
	reclassify();
	(void)publish("a", "1");
	before = top();
	hub_seal_history(hub);
	hub_forget_history(hub);
	ck_assert_uint_eq(top(), before);
}
END_TEST

/* The walk that applies options to topics has not come to the channel yet. */
START_TEST(no_message_is_left_out_silently_while_options_change)
{
	struct hub_position at = {.epoch = 9};
	struct channel_error error;

	keep("a", "10");
	reclassify();
	publish("a", "1");
	at.seq = history_position(hub_history(hub)).seq;
	ck_assert(hub_unset_channel_line(hub, SLICE("a"), NULL, 0, &error));
	publish("a", "2");
	keep("a", "10");
	publish("a", "3");
	if (history_can_resume(hub_history(hub), hub_ring(hub, SLICE("a"), 1), at))
		ck_assert_uint_eq(ring_count_after(hub_ring(hub, SLICE("a"), 1), at.seq), 2);
	reclassify();
	ck_assert_uint_ne(hub_options_in_use(hub), 0);
	ck_assert(hub_unset_channel_line(hub, SLICE("a"), NULL, 0, &error));
	reclassify();
	ck_assert_uint_eq(hub_options_in_use(hub), 0);
	ck_assert_uint_eq(len("a"), 0);
}
END_TEST

START_TEST(a_message_for_patterns_only_is_not_kept)
{
	struct hub_post post = {.kind = HUB_CHANNEL,
	    .channel = SLICE("a"),
	    .payload = SLICE("x"),
	    .only_patterns = true};
	struct hub_outcome out;
	uint64_t before;

	keep("a", "10");
	publish("a", "kept");
	ck_assert_uint_eq(len("a"), 1);
	before = top();
	ck_assert_int_eq(hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &out), HUB_OK);
	ck_assert_uint_eq(top(), before);
	ck_assert_uint_eq(len("a"), 1);
	ck_assert_uint_eq(out.position.seq, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_history", setup, teardown,
	    (const TTest *[]){a_message_is_kept_once_whoever_subscribes,
		nothing_is_kept_without_options, a_size_without_a_ttl_keeps_nothing,
		a_refused_message_is_not_kept, messages_of_transactions_and_key_events_are_kept,
		a_large_message_is_kept_once, a_channel_exists_as_long_as_it_has_a_ring,
		limits_of_the_history_apply_after_each_message, changed_options_apply_to_rings,
		positions_from_before_a_channel_is_kept_are_lost,
		a_change_of_other_options_makes_no_position_lost,
		hooks_are_told_of_each_kept_message_before_its_delivery,
		deleting_the_history_of_a_channel_leaves_its_subscribers,
		a_sealed_history_gives_no_position_and_messages_are_still_delivered,
		no_position_of_before_is_resumed_after_forgetting,
		a_sealed_history_is_not_forgotten,
		no_message_is_left_out_silently_while_options_change,
		a_message_for_patterns_only_is_not_kept, NULL});
}
