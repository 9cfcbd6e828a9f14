#include "config.h"

#include "pubsub/hub_replay.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_replay.h"

/* testing_form: a message is its payload and a dot. */

START_TEST(kept_messages_come_first_and_live_ones_behind_them)
{
	replay_publish_numbers("k", 0, 3);
	replay_resume(0, "k", 1);
	ck_assert_uint_eq(
	    replay_publish("k", "3"), 1); /* it counts, though it goes to the ring only */
	ck_assert_str_eq(replay_take(0, 100), "");
	ck_assert_int_eq(replay_run(), HUB_REPLAY_IDLE);
	ck_assert_str_eq(replay_take(0, 100), "1.2.3.");
	ck_assert_uint_eq(replay_publish("k", "4"), 1);
	ck_assert_str_eq(replay_take(0, 100), "4.");
	ck_assert_uint_eq(hub_replay_figures(replays.hub).replayed, 3);
}
END_TEST

START_TEST(a_replay_goes_on_when_the_history_is_forgotten)
{
	struct hub_position queued;

	replay_publish_numbers("k1", 0, 2);
	replay_publish_numbers("k2", 2, 4);
	replay_resume(0, "k1", 0);
	replay_presume(1, "k*", 1);
	queued = hub_queued_position(&replays.subs[0]);
	hub_forget_history(replays.hub);
	replay_publish("k1", "4");
	replay_publish("k3", "5");
	ck_assert(!hub_can_resume(replays.hub, SLICE("k1"), queued.seq, REPLAY_NOW_US));
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "0.1.4.");
	ck_assert_str_eq(replay_take(1, 100), "1.2.3.4.5.");
	replay_publish("k1", "6");
	ck_assert_str_eq(replay_take(0, 100), "6.");
	ck_assert_str_eq(replay_take(1, 100), "6.");
	ck_assert_uint_eq(hub_replay_figures(replays.hub).overtaken, 0);
}
END_TEST

START_TEST(nothing_is_replayed_before_it_is_started)
{
	replay_publish_numbers("k", 0, 2);
	replay_subscribe_after(0, "k", 0);
	ck_assert_int_eq(hub_replay(replays.hub, REPLAY_NOW_US), HUB_REPLAY_IDLE);
	ck_assert_str_eq(replay_take(0, 100), "");
	hub_start_replay(&replays.subs[0]);
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "0.1.");
}
END_TEST

START_TEST(the_channels_of_a_subscriber_are_merged)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_publish("k1", "c");
	replay_subscribe_after(0, "k1", 0);
	replay_subscribe_after(0, "k2", 0);
	replay_subscribe_after(0, "k3", 3);
	hub_start_replay(&replays.subs[0]);
	replay_publish("k3", "d");
	replay_publish("k2", "e");
	replay_run();
	replay_publish("k3", "f");
	ck_assert_str_eq(replay_take(0, 100), "a.b.c.d.e.f.");
}
END_TEST

START_TEST(a_replay_goes_on_when_the_outbox_is_low)
{
	replay_publish_numbers("k", 10, 100);
	replay_attach(3, 60, 0, OUTBOX_DISCONNECT, false); /* a portion is 15 bytes of payload */
	replay_resume(3, "k", 0);
	ck_assert_int_eq(replay_run(), HUB_REPLAY_IDLE);
	ck_assert_uint_gt(replays.subs[3].outbox.message_bytes, 30);
	ck_assert_uint_le(replays.subs[3].outbox.message_bytes, 60);
	for (int n = 10; n < 100; n++) {
		char text[16];

		snprintf(text, sizeof(text), "%d.", n);
		ck_assert_str_eq(replay_take(3, 3), text);
		replay_run();
		ck_assert_uint_le(replays.subs[3].outbox.message_bytes, 60);
	}
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	replay_publish("k", "live");
	ck_assert_str_eq(replay_take(3, 100), "live.");
	replay_detach(3);
}
END_TEST

START_TEST(unsubscribing_ends_a_replay)
{
	replay_publish_numbers("k1", 10, 50);
	replay_publish("k2", "x");
	replay_attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	replay_subscribe_after(3, "k1", 0);
	replay_subscribe_after(3, "k2", 0);
	hub_start_replay(&replays.subs[3]);
	replay_run();
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[3]).channels, 1);
	replay_take(3, 100);
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "x.");
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	replay_resume(3, "k2", 0);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	replay_detach(3);
}
END_TEST

START_TEST(a_subscriber_may_leave_in_each_state_of_its_replay)
{
	replay_publish_numbers("k", 10, 50);
	for (int state = 0; state < 3; state++) {
		replay_attach(3, 40, 0, OUTBOX_DISCONNECT, false);
		replay_subscribe_after(3, "k", 0);
		if (state > 0)
			hub_start_replay(&replays.subs[3]);
		if (state > 1)
			replay_run();
		ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 1);
		replay_detach(3);
		ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
		ck_assert_int_eq(hub_replay(replays.hub, REPLAY_NOW_US), HUB_REPLAY_IDLE);
	}
}
END_TEST

START_TEST(a_closed_outbox_ends_its_replay)
{
	replay_publish_numbers("k", 10, 50);
	replay_resume(0, "k", 0);
	outbox_close(&replays.subs[0].outbox);
	replay_run();
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
}
END_TEST

START_TEST(a_subscriber_that_is_overtaken_is_told_how_many_it_missed)
{
	replay_publish_numbers("k", 10, 60);
	replay_attach(3, 40, 0, OUTBOX_DROP_NEWEST, true);
	replay_resume(3, "k", 0);
	replay_run();
	ck_assert_uint_eq(replays.subs[3].outbox.messages, 10); /* two portions */
	replay_publish_numbers("k", 60, 160);                   /* all that is kept now */
	ck_assert_str_eq(replay_take(3, 100), "10.11.12.13.14.15.16.17.18.19.");
	replay_run();
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 40);
	ck_assert_uint_eq(hub_channel_dropped(replays.hub, HUB_CHANNEL, SLICE("k")), 40);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).overtaken, 40);
	ck_assert_str_eq(replay_take(3, 6), "60.61.");
	ck_assert_int_eq(replays.overtakens, 0);
	replay_detach(3);
}
END_TEST

START_TEST(without_notify_a_subscriber_that_is_overtaken_is_closed)
{
	replay_publish_numbers("k", 10, 60);
	replay_attach(3, 40, 0, OUTBOX_DROP_NEWEST, false);
	replay_resume(3, "k", 0);
	replay_run();
	replay_publish_numbers("k", 60, 160);
	ck_assert_int_eq(replays.overtakens, 0);
	replay_take(3, 100);
	replay_run();
	ck_assert_int_eq(replays.overtakens, 1);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	ck_assert_uint_eq(replay_publish("k", "x"), 0);
	replay_detach(3);
}
END_TEST

START_TEST(when_a_history_ends_its_subscribers_are_live)
{
	replay_publish_numbers("k", 0, 5);
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_resume(3, "k", 2);
	testing_set_line(replays.hub, "k*", "history-size 0");
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 3);
	ck_assert_uint_eq(replay_publish("k", "live"), 1);
	ck_assert_str_eq(replay_take(3, 100), "live.");
	replay_detach(3);
}
END_TEST

static int
dropped_of(int from, int to)
{
	int dropped = 0;

	for (int i = from; i < to; i++)
		dropped += (int)replays.subs[i].outbox.dropped;
	return dropped;
}

START_TEST(many_subscribers_notice_in_slices_that_a_history_ends)
{
	replay_publish_numbers("k", 0, 5);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		replay_attach(i, 0, 0, OUTBOX_DROP_NEWEST, true);
		replay_resume(i, "k", 2);
	}
	testing_set_line(replays.hub, "k*", "history-size 0");
	ck_assert(hub_replay_is_forgetting(replays.hub));
	ck_assert_int_lt(dropped_of(3, REPLAY_SUBSCRIBERS), 3 * 50);
	/* Those that have not noticed are not live, may leave, and miss what a new history has not.
	 */
	ck_assert_uint_gt(hub_replay_progress(&replays.subs[3]).behind, 0);
	replay_detach(4);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[5], HUB_CHANNEL, SLICE("k")), HUB_OK);
	testing_set_line(replays.hub, "k*", "history-size 5 history-ttl 60");
	ck_assert_uint_eq(replay_publish("k", "new"), REPLAY_SUBSCRIBERS - 5);
	while (hub_replay_is_forgetting(replays.hub))
		ck_assert_int_eq(hub_replay(replays.hub, REPLAY_NOW_US), HUB_REPLAY_MORE);
	replay_run();
	for (int i = 6; i < REPLAY_SUBSCRIBERS; i++) {
		ck_assert_uint_eq(replays.subs[i].outbox.dropped, 3);
		ck_assert_str_eq(replay_take(i, 100), "new.");
	}
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++)
		if (i != 4)
			replay_detach(i);
}
END_TEST

START_TEST(a_message_that_nothing_keeps_finds_a_replay_whose_history_has_ended)
{
	replay_publish_numbers("k", 0, 5);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		replay_attach(i, 0, 0, OUTBOX_DROP_NEWEST, true);
		replay_resume(i, "k", 2);
	}
	testing_set_line(replays.hub, "k*", "history-size 0");
	ck_assert(hub_replay_is_forgetting(replays.hub));
	ck_assert_uint_eq(replay_publish("k", "live"), REPLAY_SUBSCRIBERS - 3);
	ck_assert(!hub_replay_is_forgetting(replays.hub));
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		ck_assert_uint_eq(replays.subs[i].outbox.dropped, 3);
		ck_assert_str_eq(replay_take(i, 100), "live.");
		replay_detach(i);
	}
}
END_TEST

START_TEST(a_replay_may_go_on_before_it_has_noticed_that_a_history_ends)
{
	replay_publish_numbers("k1", 0, 5);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		replay_attach(i, 0, 0, OUTBOX_DROP_NEWEST, true);
		replay_resume(i, "k1", 2);
	}
	/* The first portion finds that the ring has expired; the others are after it in the list.
	 */
	ck_assert_int_eq(hub_replay(replays.hub, REPLAY_NOW_US + 60000000), HUB_REPLAY_MORE);
	ck_assert(hub_replay_is_forgetting(replays.hub));
	replay_run();
	ck_assert_int_eq(dropped_of(3, REPLAY_SUBSCRIBERS), 3 * (REPLAY_SUBSCRIBERS - 3));
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++)
		replay_detach(i);
}
END_TEST

START_TEST(who_has_read_all_misses_nothing_when_a_history_ends)
{
	replay_publish_numbers("k", 0, 5);
	replay_resume(0, "k", 5);
	testing_set_line(replays.hub, "k*", "history-size 0");
	ck_assert_uint_eq(replays.subs[0].outbox.dropped, 0);
	ck_assert_int_eq(replays.overtakens, 0);
	replay_publish("k", "live");
	ck_assert_str_eq(replay_take(0, 100), "live.");
}
END_TEST

START_TEST(a_channel_that_keeps_nothing_any_more_before_its_first_message_is_live)
{
	replay_resume(0, "k", 0);
	testing_set_line(replays.hub, "k*", "history-size 0");
	ck_assert_uint_eq(replay_publish("k", "live"), 1);
	ck_assert_str_eq(replay_take(0, 100), "live.");
	replay_run();
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
}
END_TEST

START_TEST(deleted_messages_are_missed)
{
	replay_publish_numbers("k", 0, 5);
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_resume(3, "k", 1);
	ck_assert_uint_eq(hub_delete_history(replays.hub, SLICE("k"), REPLAY_NOW_US), 5);
	replay_publish("k", "5");
	replay_run();
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 4);
	ck_assert_str_eq(replay_take(3, 100), "5.");
	replay_detach(3);
}
END_TEST

START_TEST(expired_messages_are_missed)
{
	replay_publish_numbers("k", 0, 5);
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_resume(3, "k", 1);
	ck_assert_int_eq(hub_replay(replays.hub, REPLAY_NOW_US + 60000000), HUB_REPLAY_MORE);
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 4);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	replay_detach(3);
}
END_TEST

START_TEST(a_message_too_long_to_be_kept_is_missed_with_those_before_it)
{
	testing_set_line(
	    replays.hub, "k*", "history-size 100 history-ttl 60 history-message-bytes 5");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replay_publish_numbers("k", 0, 3);
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_resume(3, "k", 1);
	ck_assert_uint_eq(replay_publish("k", "toolong"), 1);
	replay_publish("k", "4");
	replay_run();
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 3);
	ck_assert_str_eq(replay_take(3, 100), "4.");
	replay_detach(3);
}
END_TEST

START_TEST(subscribers_that_resume_from_one_position_share_one_encoding)
{
	struct hub_figures before, after;
	char payload[1001];

	memset(payload, 'x', 1000);
	payload[1000] = '\0';
	for (int i = 0; i < 50; i++)
		replay_publish("k", payload);
	before = hub_figures(replays.hub);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		replay_attach(i, 0, 0, OUTBOX_DISCONNECT, false);
		replay_resume(i, "k", 10);
	}
	replay_run();
	after = hub_figures(replays.hub);
	ck_assert_uint_eq(after.queued_messages, 40 * (REPLAY_SUBSCRIBERS - 3));
	ck_assert_uint_le(after.log_bytes - before.log_bytes, 3 * 65536);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++)
		replay_detach(i);
	ck_assert_uint_gt(hub_replay_figures(replays.hub).bytes, 0);
	hub_shrink(replays.hub);
	hub_shrink(replays.hub);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).bytes, 0);
}
END_TEST

START_TEST(publishers_never_wait_for_a_subscriber_that_is_replayed)
{
	replay_publish_numbers("k", 10, 50);
	replay_attach(3, 20, 0, OUTBOX_BLOCK, false);
	replay_resume(3, "k", 0);
	replay_run();
	ck_assert_uint_eq(replay_publish("k", "a message that does not fit"), 1);
	replay_detach(3);
}
END_TEST

START_TEST(a_replay_waits_for_memory_and_goes_on)
{
	char payload[1001];

	memset(payload, 'x', 1000);
	payload[1000] = '\0';
	for (int i = 0; i < 80; i++)
		replay_publish("k", payload);
	ck_assert_int_eq(hub_subscribe(&replays.subs[1], HUB_CHANNEL, SLICE("other")), HUB_OK);
	replay_publish("other", payload);
	testing_hub_limits.memory_bytes = hub_memory(replays.hub) + 20000;
	replay_resume(0, "k", 0);
	ck_assert_int_eq(replay_run(), HUB_REPLAY_FULL);
	ck_assert_str_eq(replay_take(0, 100), "");
	testing_hub_limits.memory_bytes = 0;
	ck_assert_int_eq(replay_run(), HUB_REPLAY_IDLE);
	ck_assert_uint_eq(strlen(replay_take(0, 65535)), 65535);
}
END_TEST

static void
assert_judged(const char *channel, const char *since_text, enum hub_verdict verdict, uint64_t seq,
    uint64_t count)
{
	struct position_since since;
	struct hub_resumption resumption;

	ck_assert(position_parse_since(slice_of(since_text), &since));
	resumption = hub_judge(&replays.subs[0], slice_of(channel), &since, REPLAY_NOW_US);
	ck_assert_int_eq(resumption.verdict, verdict);
	ck_assert_uint_eq(
	    resumption.position.seq, verdict != HUB_NO_HISTORY ? replays.base + seq : 0);
	ck_assert_uint_eq(resumption.count, count);
}

START_TEST(the_verdict_says_from_where_a_channel_can_be_resumed)
{
	char position[32];

	testing_set_line(replays.hub, "k*", "history-size 3 history-ttl 60");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replay_publish_numbers("k", 0, 5);
	replay_publish("kother", "x");
	assert_judged("k", "0", HUB_NEW, 2, 3);
	assert_judged("k", "-2", HUB_NEW, 3, 2);
	assert_judged("k", "-9", HUB_NEW, 2, 3);
	assert_judged("k", "$", HUB_NEW, 6, 0);
	assert_judged("knone", "0", HUB_NEW, 6, 0);
	assert_judged("none", "0", HUB_NO_HISTORY, 0, 0);
	assert_judged("k", "7-3", HUB_LOST, 2, 3);
	for (uint64_t seq = 0; seq < 8; seq++) {
		snprintf(position, sizeof(position), "%llu-%llu",
		    (unsigned long long)history_position(hub_history(replays.hub)).epoch,
		    (unsigned long long)(replays.base + seq));
		if (seq < 2 || seq > 6)
			assert_judged("k", position, HUB_LOST, 2, 3);
		else
			assert_judged("k", position, HUB_RESUMED, seq, seq < 5 ? 5 - seq : 0);
	}
	replay_resume(0, "k", 3);
	assert_judged("k", "0", HUB_SUBSCRIBED, 3, 0);
	replay_run();
	assert_judged("k", "0", HUB_SUBSCRIBED, 6, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_replay", replay_setup, replay_teardown,
	    (const TTest *[]){kept_messages_come_first_and_live_ones_behind_them,
		a_replay_goes_on_when_the_history_is_forgotten,
		nothing_is_replayed_before_it_is_started, the_channels_of_a_subscriber_are_merged,
		a_replay_goes_on_when_the_outbox_is_low, unsubscribing_ends_a_replay,
		a_subscriber_may_leave_in_each_state_of_its_replay, a_closed_outbox_ends_its_replay,
		a_subscriber_that_is_overtaken_is_told_how_many_it_missed,
		without_notify_a_subscriber_that_is_overtaken_is_closed,
		when_a_history_ends_its_subscribers_are_live,
		many_subscribers_notice_in_slices_that_a_history_ends,
		a_message_that_nothing_keeps_finds_a_replay_whose_history_has_ended,
		a_replay_may_go_on_before_it_has_noticed_that_a_history_ends,
		who_has_read_all_misses_nothing_when_a_history_ends,
		a_channel_that_keeps_nothing_any_more_before_its_first_message_is_live,
		deleted_messages_are_missed, expired_messages_are_missed,
		a_message_too_long_to_be_kept_is_missed_with_those_before_it,
		subscribers_that_resume_from_one_position_share_one_encoding,
		publishers_never_wait_for_a_subscriber_that_is_replayed,
		a_replay_waits_for_memory_and_goes_on,
		the_verdict_says_from_where_a_channel_can_be_resumed, NULL});
}
