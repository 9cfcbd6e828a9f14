#include "config.h"

#include "pubsub/hub_replay.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/cursor.h"
#include "pubsub/testing_replay.h"

/* Subscribers that fall behind: OUTBOX_CATCH_UP, and what else they are subscribed to. */

START_TEST(under_catch_up_a_slow_reader_reads_on_from_the_history)
{
	char text[16];

	replay_attach(3, 30, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	for (int i = 10; i < 60; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_uint_eq(replay_publish(i % 2 == 0 ? "k1" : "k2", text), 1);
	}
	ck_assert_uint_eq(replays.subs[3].outbox.messages, 10);
	ck_assert_uint_eq(
	    hub_replay_figures(replays.hub).fell_behind, 1); /* the other one joined */
	for (int i = 10; i < 60; i++) {
		snprintf(text, sizeof(text), "%d.", i);
		ck_assert_str_eq(replay_take(3, 3), text);
		replay_run();
	}
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 0);
	replay_publish("k1", "live");
	ck_assert_str_eq(replay_take(3, 100), "live.");
	replay_detach(3);
}
END_TEST

START_TEST(messages_of_all_channels_come_in_the_order_of_their_positions)
{
	replay_attach(3, 20, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	replay_publish("k1", "0123456789abc");
	replay_publish("k1", "later than there is room for");
	ck_assert_uint_eq(replay_publish("k2", "a"), 1); /* there is room for it */
	ck_assert_str_eq(replay_take(3, 100), "0123456789abc.");
	ck_assert_uint_eq(replay_publish("k2", "b"), 1);
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "later than there is room for.");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "a.b.");
	replay_detach(3);
}
END_TEST

START_TEST(a_live_channel_joins_a_replay_and_one_without_history_does_not)
{
	replay_publish_numbers("k1", 0, 3);
	ck_assert_int_eq(hub_subscribe(&replays.subs[0], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&replays.subs[0], HUB_CHANNEL, SLICE("n")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&replays.subs[0], HUB_PATTERN, SLICE("k[2]")), HUB_OK);
	replay_resume(0, "k1", 0);
	ck_assert_uint_eq(replay_publish("k2", "x"), 2);
	replay_publish("n", "y");
	ck_assert_str_eq(replay_take(0, 100), "y.");
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "0.1.2.x.x."); /* the last one is the pattern's */
	replay_publish("k2", "z");
	ck_assert_str_eq(replay_take(0, 100), "z.z.");
}
END_TEST

START_TEST(a_subscriber_with_too_many_replays_overflows)
{
	char name[16];

	testing_hub_limits.subscriptions = CURSOR_ENTRIES_MAX + 2;
	testing_history_limits.channels = UINT32_MAX;
	for (int i = 0; i < CURSOR_ENTRIES_MAX + 1; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_int_eq(
		    hub_subscribe(&replays.subs[0], HUB_CHANNEL, slice_of(name)), HUB_OK);
	}
	replay_resume(0, "k", 0);
	for (int i = 0; i < CURSOR_ENTRIES_MAX + 1; i++) {
		ck_assert(!replays.subs[0].outbox.sealed);
		snprintf(name, sizeof(name), "k%d", i);
		replay_publish(name, "x");
	}
	ck_assert(replays.subs[0].outbox.sealed);
}
END_TEST

#define MANY 5000

static uint32_t
replayed_channels(int i)
{
	return replays.subs[i].outbox.has_cursor ? hub_replay_progress(&replays.subs[i]).channels
						 : 0;
}

/* Resumes very many channels, each with one message. */
static void
resume_many(void)
{
	char name[16];

	testing_hub_limits.subscriptions = UINT32_MAX;
	testing_history_limits.channels = UINT32_MAX;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		replay_publish(name, "x");
		replay_subscribe_after(0, name, 0);
	}
	hub_start_replay(&replays.subs[0]);
	ck_assert_uint_eq(replayed_channels(0), MANY);
}

START_TEST(very_many_channels_become_live_in_steps_and_miss_nothing)
{
	uint32_t left = MANY, steps = 0;
	char name[16];

	resume_many();
	for (; left > 0; left = replayed_channels(0), steps++) {
		ck_assert_uint_le(left - replayed_channels(0), MANY / 4);
		hub_replay(replays.hub, REPLAY_NOW_US);
		replay_take(0, 60000);
		if (replayed_channels(0) == left || steps % 2 == 0)
			continue;
		/* Some are live, and get this in the same order as the others. */
		replay_publish("k0", "a");
		snprintf(name, sizeof(name), "k%d", MANY - 1);
		replay_publish(name, "b");
		hub_replay(replays.hub, REPLAY_NOW_US);
		ck_assert_str_eq(replay_take(0, 100), "a.b.");
	}
	ck_assert_uint_gt(steps, MANY / 512);
	replay_publish("k0", "c");
	ck_assert_str_eq(replay_take(0, 100), "c.");
}
END_TEST

START_TEST(a_subscriber_that_leaves_ends_its_replays_in_steps)
{
	uint32_t left;

	resume_many();
	for (int i = 0; i < 30 && replayed_channels(0) > 0; i++) {
		left = replayed_channels(0);
		ck_assert(!hub_detach(&replays.subs[0], 100));
		ck_assert_uint_le(left - replayed_channels(0), 100);
		left = replayed_channels(0);
		hub_replay(replays.hub, REPLAY_NOW_US);
		ck_assert_uint_le(left - replayed_channels(0), 1024);
	}
}
END_TEST

START_TEST(under_catch_up_a_message_larger_than_the_outbox_is_replayed)
{
	replay_attach(3, 10, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k")), HUB_OK);
	replay_publish("k", "longer than ten bytes");
	replay_publish("k", "x");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "longer than ten bytes.");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "x.");
	replay_detach(3);
}
END_TEST

START_TEST(under_catch_up_what_is_too_long_to_be_kept_is_missed)
{
	testing_set_line(
	    replays.hub, "k*", "history-size 100 history-ttl 60 history-message-bytes 5");
	replay_attach(3, 4, 0, OUTBOX_CATCH_UP, true);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k")), HUB_OK);
	ck_assert_uint_eq(replay_publish("k", "toolong"), 1);
	replay_publish("k", "x");
	replay_run();
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 1);
	ck_assert_str_eq(replay_take(3, 100), "x.");
	replay_detach(3);
}
END_TEST

START_TEST(under_catch_up_a_channel_without_history_overflows)
{
	replay_attach(3, 4, 0, OUTBOX_CATCH_UP, true);
	ck_assert_int_eq(hub_subscribe(&replays.subs[3], HUB_CHANNEL, SLICE("other")), HUB_OK);
	ck_assert_uint_eq(replay_publish("other", "too long"), 1);
	ck_assert(replays.subs[3].outbox.sealed);
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 1);
	replay_detach(3);
}
END_TEST

START_TEST(progress_says_how_far_a_replay_is)
{
	struct hub_replay_progress progress;

	replay_publish_numbers("k", 10, 50);
	progress = hub_replay_progress(&replays.subs[0]);
	ck_assert_uint_eq(progress.channels, 0);
	ck_assert_uint_eq(progress.position.seq, replays.base + 40);
	replay_attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	replay_resume(3, "k", 4);
	progress = hub_replay_progress(&replays.subs[3]);
	ck_assert_uint_eq(progress.channels, 1);
	ck_assert_uint_eq(progress.behind, 36);
	ck_assert_uint_eq(progress.position.seq, replays.base + 4);
	replay_run();
	progress = hub_replay_progress(&replays.subs[3]);
	ck_assert_uint_eq(
	    progress.position.seq, replays.base + 4 + replays.subs[3].outbox.messages);
	ck_assert_uint_eq(progress.behind, 36 - replays.subs[3].outbox.messages);
	replay_detach(3);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_catch_up", replay_setup, replay_teardown,
	    (const TTest *[]){under_catch_up_a_slow_reader_reads_on_from_the_history,
		messages_of_all_channels_come_in_the_order_of_their_positions,
		a_live_channel_joins_a_replay_and_one_without_history_does_not,
		a_subscriber_with_too_many_replays_overflows,
		very_many_channels_become_live_in_steps_and_miss_nothing,
		a_subscriber_that_leaves_ends_its_replays_in_steps,
		under_catch_up_a_message_larger_than_the_outbox_is_replayed,
		under_catch_up_what_is_too_long_to_be_kept_is_missed,
		under_catch_up_a_channel_without_history_overflows,
		progress_says_how_far_a_replay_is, NULL});
}
