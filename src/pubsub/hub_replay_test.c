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

#define SUBS 100

static struct hub *hub;
static struct subscriber subs[SUBS];
static int overtakens;
static uint64_t base; /* the seq before the first message */
static const uint64_t now_us = 1000000;

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_overtaken(struct subscriber *s)
{
	ck_assert(s->outbox.closed);
	overtakens++;
}

static const struct subscriber_ops ops = {ignore, ignore, ignore, on_overtaken};

static void
attach(int i, size_t bytes, uint32_t messages, enum outbox_policy policy, bool notify)
{
	struct outbox_limits limits = {
	    .bytes = bytes, .messages = messages, .policy = policy, .notify = notify};

	hub_attach(hub, &subs[i], &ops, &limits, 0, NULL);
}

static void
detach(int i)
{
	while (!hub_detach(&subs[i], 100))
		continue;
}

static void
setup(void)
{
	hub = testing_replay_hub(&testing_form);
	testing_set_line(hub, "k*", "history-size 100 history-ttl 60");
	base = history_position(hub_history(hub)).seq;
	overtakens = 0;
	for (int i = 0; i < 3; i++)
		attach(i, 0, 0, OUTBOX_DISCONNECT, false);
}

static void
teardown(void)
{
	for (int i = 0; i < 3; i++)
		detach(i);
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	hub_free(hub);
}

static size_t
publish(const char *channel, const char *payload)
{
	struct hub_publication publication = {0};
	size_t receivers;

	ck_assert_int_eq(hub_publish(hub, HUB_CHANNEL, slice_of(channel), slice_of(payload), now_us,
			     &publication, &receivers),
	    HUB_OK);
	return receivers;
}

static void
publish_numbers(const char *channel, int from, int to)
{
	char text[12];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "%d", i);
		publish(channel, text);
	}
}

/* after: so many messages of all channels are before it. */
static void
subscribe_after(int i, const char *channel, uint64_t after)
{
	uint64_t after_seq = base + after;

	ck_assert(hub_can_resume(hub, slice_of(channel), after_seq, now_us));
	ck_assert_int_eq(
	    hub_subscribe_after(&subs[i], slice_of(channel), after_seq, now_us), HUB_OK);
}

static void
resume(int i, const char *channel, uint64_t after)
{
	subscribe_after(i, channel, after);
	hub_start_replay(&subs[i]);
}

static enum hub_replay_result
replay_all(void)
{
	enum hub_replay_result result;

	while ((result = hub_replay(hub, now_us)) == HUB_REPLAY_MORE)
		continue;
	return result;
}

/* Reads what is queued, at most max bytes. */
static const char *
take(int i, size_t max)
{
	static char text[65536];
	struct iovec piece;
	size_t len = 0;

	while (len < max && outbox_peek(&subs[i].outbox, &piece, 1) > 0) {
		size_t n = piece.iov_len < max - len ? piece.iov_len : max - len;

		ck_assert_uint_lt(len + n, sizeof(text));
		memcpy(text + len, piece.iov_base, n);
		len += n;
		outbox_consume(&subs[i].outbox, n);
	}
	text[len] = '\0';
	return text;
}

START_TEST(kept_messages_come_first_and_live_ones_behind_them)
{
	publish_numbers("k", 0, 3);
	resume(0, "k", 1);
	ck_assert_uint_eq(publish("k", "3"), 1); /* it counts, though it goes to the ring only */
	ck_assert_str_eq(take(0, 100), "");
	ck_assert_int_eq(replay_all(), HUB_REPLAY_IDLE);
	ck_assert_str_eq(take(0, 100), "1.2.3.");
	ck_assert_uint_eq(publish("k", "4"), 1);
	ck_assert_str_eq(take(0, 100), "4.");
	ck_assert_uint_eq(hub_replay_figures(hub).replayed, 3);
}
END_TEST

START_TEST(nothing_is_replayed_before_it_is_started)
{
	publish_numbers("k", 0, 2);
	subscribe_after(0, "k", 0);
	ck_assert_int_eq(hub_replay(hub, now_us), HUB_REPLAY_IDLE);
	ck_assert_str_eq(take(0, 100), "");
	hub_start_replay(&subs[0]);
	replay_all();
	ck_assert_str_eq(take(0, 100), "0.1.");
}
END_TEST

START_TEST(the_channels_of_a_subscriber_are_merged)
{
	publish("k1", "a");
	publish("k2", "b");
	publish("k1", "c");
	subscribe_after(0, "k1", 0);
	subscribe_after(0, "k2", 0);
	subscribe_after(0, "k3", 3);
	hub_start_replay(&subs[0]);
	publish("k3", "d");
	publish("k2", "e");
	replay_all();
	publish("k3", "f");
	ck_assert_str_eq(take(0, 100), "a.b.c.d.e.f.");
}
END_TEST

START_TEST(a_replay_goes_on_when_the_outbox_is_low)
{
	publish_numbers("k", 10, 100);
	attach(3, 60, 0, OUTBOX_DISCONNECT, false); /* a portion is 15 bytes of payload */
	resume(3, "k", 0);
	ck_assert_int_eq(replay_all(), HUB_REPLAY_IDLE);
	ck_assert_uint_gt(subs[3].outbox.message_bytes, 30);
	ck_assert_uint_le(subs[3].outbox.message_bytes, 60);
	for (int n = 10; n < 100; n++) {
		char text[8];

		snprintf(text, sizeof(text), "%d.", n);
		ck_assert_str_eq(take(3, 3), text);
		replay_all();
		ck_assert_uint_le(subs[3].outbox.message_bytes, 60);
	}
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	publish("k", "live");
	ck_assert_str_eq(take(3, 100), "live.");
	detach(3);
}
END_TEST

START_TEST(unsubscribing_ends_a_replay)
{
	publish_numbers("k1", 10, 50);
	publish("k2", "x");
	attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	subscribe_after(3, "k1", 0);
	subscribe_after(3, "k2", 0);
	hub_start_replay(&subs[3]);
	replay_all();
	ck_assert_int_eq(hub_unsubscribe(&subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_uint_eq(hub_replay_progress(&subs[3]).channels, 1);
	take(3, 100);
	replay_all();
	ck_assert_str_eq(take(3, 100), "x.");
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	ck_assert_int_eq(hub_unsubscribe(&subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	resume(3, "k2", 0);
	ck_assert_int_eq(hub_unsubscribe(&subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	detach(3);
}
END_TEST

START_TEST(a_subscriber_may_leave_in_each_state_of_its_replay)
{
	publish_numbers("k", 10, 50);
	for (int state = 0; state < 3; state++) {
		attach(3, 40, 0, OUTBOX_DISCONNECT, false);
		subscribe_after(3, "k", 0);
		if (state > 0)
			hub_start_replay(&subs[3]);
		if (state > 1)
			replay_all();
		ck_assert_uint_eq(hub_replay_figures(hub).cursors, 1);
		detach(3);
		ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
		ck_assert_int_eq(hub_replay(hub, now_us), HUB_REPLAY_IDLE);
	}
}
END_TEST

START_TEST(a_closed_outbox_ends_its_replay)
{
	publish_numbers("k", 10, 50);
	resume(0, "k", 0);
	outbox_close(&subs[0].outbox);
	replay_all();
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
}
END_TEST

START_TEST(a_subscriber_that_is_overtaken_is_told_how_many_it_missed)
{
	publish_numbers("k", 10, 60);
	attach(3, 40, 0, OUTBOX_DROP_NEWEST, true);
	resume(3, "k", 0);
	replay_all();
	ck_assert_uint_eq(subs[3].outbox.messages, 10); /* two portions */
	publish_numbers("k", 60, 160);                  /* all that is kept now */
	ck_assert_str_eq(take(3, 100), "10.11.12.13.14.15.16.17.18.19.");
	replay_all();
	ck_assert_uint_eq(subs[3].outbox.dropped, 40);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("k")), 40);
	ck_assert_uint_eq(hub_replay_figures(hub).overtaken, 40);
	ck_assert_str_eq(take(3, 6), "60.61.");
	ck_assert_int_eq(overtakens, 0);
	detach(3);
}
END_TEST

START_TEST(without_notify_a_subscriber_that_is_overtaken_is_closed)
{
	publish_numbers("k", 10, 60);
	attach(3, 40, 0, OUTBOX_DROP_NEWEST, false);
	resume(3, "k", 0);
	replay_all();
	publish_numbers("k", 60, 160);
	ck_assert_int_eq(overtakens, 0);
	take(3, 100);
	replay_all();
	ck_assert_int_eq(overtakens, 1);
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	ck_assert_uint_eq(publish("k", "x"), 0);
	detach(3);
}
END_TEST

START_TEST(when_a_history_ends_its_subscribers_are_live)
{
	publish_numbers("k", 0, 5);
	attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	resume(3, "k", 2);
	testing_set_line(hub, "k*", "history-size 0");
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	ck_assert_uint_eq(subs[3].outbox.dropped, 3);
	ck_assert_uint_eq(publish("k", "live"), 1);
	ck_assert_str_eq(take(3, 100), "live.");
	detach(3);
}
END_TEST

START_TEST(who_has_read_all_misses_nothing_when_a_history_ends)
{
	publish_numbers("k", 0, 5);
	resume(0, "k", 5);
	testing_set_line(hub, "k*", "history-size 0");
	ck_assert_uint_eq(subs[0].outbox.dropped, 0);
	ck_assert_int_eq(overtakens, 0);
	publish("k", "live");
	ck_assert_str_eq(take(0, 100), "live.");
}
END_TEST

START_TEST(a_channel_that_keeps_nothing_any_more_before_its_first_message_is_live)
{
	resume(0, "k", 0);
	testing_set_line(hub, "k*", "history-size 0");
	ck_assert_uint_eq(publish("k", "live"), 1);
	ck_assert_str_eq(take(0, 100), "live.");
	replay_all();
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
}
END_TEST

START_TEST(deleted_messages_are_missed)
{
	publish_numbers("k", 0, 5);
	attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	resume(3, "k", 1);
	ck_assert_uint_eq(hub_delete_history(hub, SLICE("k"), now_us), 5);
	publish("k", "5");
	replay_all();
	ck_assert_uint_eq(subs[3].outbox.dropped, 4);
	ck_assert_str_eq(take(3, 100), "5.");
	detach(3);
}
END_TEST

START_TEST(expired_messages_are_missed)
{
	publish_numbers("k", 0, 5);
	attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	resume(3, "k", 1);
	ck_assert_int_eq(hub_replay(hub, now_us + 60000000), HUB_REPLAY_MORE);
	ck_assert_uint_eq(subs[3].outbox.dropped, 4);
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	detach(3);
}
END_TEST

START_TEST(a_message_too_long_to_be_kept_is_missed_with_those_before_it)
{
	testing_set_line(hub, "k*", "history-size 100 history-ttl 60 history-message-bytes 5");
	base = history_position(hub_history(hub)).seq;
	publish_numbers("k", 0, 3);
	attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	resume(3, "k", 1);
	ck_assert_uint_eq(publish("k", "toolong"), 1);
	publish("k", "4");
	replay_all();
	ck_assert_uint_eq(subs[3].outbox.dropped, 3);
	ck_assert_str_eq(take(3, 100), "4.");
	detach(3);
}
END_TEST

START_TEST(subscribers_that_resume_from_one_position_share_one_encoding)
{
	struct hub_figures before, after;
	char payload[1001];

	memset(payload, 'x', 1000);
	payload[1000] = '\0';
	for (int i = 0; i < 50; i++)
		publish("k", payload);
	before = hub_figures(hub);
	for (int i = 3; i < SUBS; i++) {
		attach(i, 0, 0, OUTBOX_DISCONNECT, false);
		resume(i, "k", 10);
	}
	replay_all();
	after = hub_figures(hub);
	ck_assert_uint_eq(after.queued_messages, 40 * (SUBS - 3));
	ck_assert_uint_le(after.log_bytes - before.log_bytes, 3 * 65536);
	for (int i = 3; i < SUBS; i++)
		detach(i);
	ck_assert_uint_gt(hub_replay_figures(hub).bytes, 0);
	hub_shrink(hub);
	hub_shrink(hub);
	ck_assert_uint_eq(hub_replay_figures(hub).bytes, 0);
}
END_TEST

START_TEST(publishers_never_wait_for_a_subscriber_that_is_replayed)
{
	publish_numbers("k", 10, 50);
	attach(3, 20, 0, OUTBOX_BLOCK, false);
	resume(3, "k", 0);
	replay_all();
	ck_assert_uint_eq(publish("k", "a message that does not fit"), 1);
	detach(3);
}
END_TEST

START_TEST(a_replay_waits_for_memory_and_goes_on)
{
	char payload[1001];

	memset(payload, 'x', 1000);
	payload[1000] = '\0';
	for (int i = 0; i < 80; i++)
		publish("k", payload);
	ck_assert_int_eq(hub_subscribe(&subs[1], HUB_CHANNEL, SLICE("other")), HUB_OK);
	publish("other", payload);
	testing_hub_limits.memory_bytes = hub_memory(hub) + 20000;
	resume(0, "k", 0);
	ck_assert_int_eq(replay_all(), HUB_REPLAY_FULL);
	ck_assert_str_eq(take(0, 100), "");
	testing_hub_limits.memory_bytes = 0;
	ck_assert_int_eq(replay_all(), HUB_REPLAY_IDLE);
	ck_assert_uint_eq(strlen(take(0, 65535)), 65535);
}
END_TEST

START_TEST(under_catch_up_a_slow_reader_reads_on_from_the_history)
{
	char text[12];

	attach(3, 30, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	for (int i = 10; i < 60; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_uint_eq(publish(i % 2 == 0 ? "k1" : "k2", text), 1);
	}
	ck_assert_uint_eq(subs[3].outbox.messages, 10);
	ck_assert_uint_eq(hub_replay_figures(hub).fell_behind, 1); /* the other one joined */
	for (int i = 10; i < 60; i++) {
		snprintf(text, sizeof(text), "%d.", i);
		ck_assert_str_eq(take(3, 3), text);
		replay_all();
	}
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	ck_assert_uint_eq(subs[3].outbox.dropped, 0);
	publish("k1", "live");
	ck_assert_str_eq(take(3, 100), "live.");
	detach(3);
}
END_TEST

START_TEST(messages_of_all_channels_come_in_the_order_of_their_positions)
{
	attach(3, 20, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	publish("k1", "0123456789abc");
	publish("k1", "later than there is room for");
	ck_assert_uint_eq(publish("k2", "a"), 1); /* there is room for it */
	ck_assert_str_eq(take(3, 100), "0123456789abc.");
	ck_assert_uint_eq(publish("k2", "b"), 1);
	replay_all();
	ck_assert_str_eq(take(3, 100), "later than there is room for.");
	replay_all();
	ck_assert_str_eq(take(3, 100), "a.b.");
	detach(3);
}
END_TEST

START_TEST(a_live_channel_joins_a_replay_and_one_without_history_does_not)
{
	publish_numbers("k1", 0, 3);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("n")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_PATTERN, SLICE("k[2]")), HUB_OK);
	resume(0, "k1", 0);
	ck_assert_uint_eq(publish("k2", "x"), 2);
	publish("n", "y");
	ck_assert_str_eq(take(0, 100), "x.y."); /* the pattern's copy, and that without history */
	replay_all();
	ck_assert_str_eq(take(0, 100), "0.1.2.x.");
	publish("k2", "z");
	ck_assert_str_eq(take(0, 100), "z.z.");
}
END_TEST

START_TEST(a_subscriber_with_too_many_replays_overflows)
{
	char name[16];

	testing_hub_limits.subscriptions = CURSOR_ENTRIES_MAX + 2;
	testing_history_limits.channels = UINT32_MAX;
	for (int i = 0; i < CURSOR_ENTRIES_MAX + 1; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, slice_of(name)), HUB_OK);
	}
	resume(0, "k", 0);
	for (int i = 0; i < CURSOR_ENTRIES_MAX; i++) {
		ck_assert(!subs[0].outbox.closed);
		snprintf(name, sizeof(name), "k%d", i);
		publish(name, "x");
	}
	ck_assert(subs[0].outbox.closed);
}
END_TEST

START_TEST(under_catch_up_a_message_larger_than_the_outbox_is_replayed)
{
	attach(3, 10, 0, OUTBOX_CATCH_UP, false);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k")), HUB_OK);
	publish("k", "longer than ten bytes");
	publish("k", "x");
	replay_all();
	ck_assert_str_eq(take(3, 100), "longer than ten bytes.");
	replay_all();
	ck_assert_str_eq(take(3, 100), "x.");
	detach(3);
}
END_TEST

START_TEST(under_catch_up_what_is_too_long_to_be_kept_is_missed)
{
	testing_set_line(hub, "k*", "history-size 100 history-ttl 60 history-message-bytes 5");
	attach(3, 4, 0, OUTBOX_CATCH_UP, true);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("k")), HUB_OK);
	ck_assert_uint_eq(publish("k", "toolong"), 1);
	publish("k", "x");
	replay_all();
	ck_assert_uint_eq(subs[3].outbox.dropped, 1);
	ck_assert_str_eq(take(3, 100), "x.");
	detach(3);
}
END_TEST

START_TEST(under_catch_up_a_channel_without_history_overflows)
{
	attach(3, 4, 0, OUTBOX_CATCH_UP, true);
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("other")), HUB_OK);
	ck_assert_uint_eq(publish("other", "too long"), 1);
	ck_assert(subs[3].outbox.closed);
	ck_assert_uint_eq(subs[3].outbox.dropped, 1);
	detach(3);
}
END_TEST

START_TEST(progress_says_how_far_a_replay_is)
{
	struct hub_replay_progress progress;

	publish_numbers("k", 10, 50);
	progress = hub_replay_progress(&subs[0]);
	ck_assert_uint_eq(progress.channels, 0);
	ck_assert_uint_eq(progress.position.seq, base + 40);
	attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	resume(3, "k", 4);
	progress = hub_replay_progress(&subs[3]);
	ck_assert_uint_eq(progress.channels, 1);
	ck_assert_uint_eq(progress.behind, 36);
	ck_assert_uint_eq(progress.position.seq, base + 4);
	replay_all();
	progress = hub_replay_progress(&subs[3]);
	ck_assert_uint_eq(progress.position.seq, base + 4 + subs[3].outbox.messages);
	ck_assert_uint_eq(progress.behind, 36 - subs[3].outbox.messages);
	detach(3);
}
END_TEST

static void
assert_judged(const char *channel, const char *since_text, enum hub_verdict verdict, uint64_t seq,
    uint64_t count)
{
	struct position_since since;
	struct hub_resumption resumption;

	ck_assert(position_parse_since(slice_of(since_text), &since));
	resumption = hub_judge(&subs[0], slice_of(channel), &since, now_us);
	ck_assert_int_eq(resumption.verdict, verdict);
	ck_assert_uint_eq(resumption.position.seq, verdict != HUB_NO_HISTORY ? base + seq : 0);
	ck_assert_uint_eq(resumption.count, count);
}

START_TEST(the_verdict_says_from_where_a_channel_can_be_resumed)
{
	char position[32];

	testing_set_line(hub, "k*", "history-size 3 history-ttl 60");
	base = history_position(hub_history(hub)).seq;
	publish_numbers("k", 0, 5);
	publish("kother", "x");
	assert_judged("k", "0", HUB_NEW, 2, 3);
	assert_judged("k", "-2", HUB_NEW, 3, 2);
	assert_judged("k", "-9", HUB_NEW, 2, 3);
	assert_judged("k", "$", HUB_NEW, 6, 0);
	assert_judged("knone", "0", HUB_NEW, 6, 0);
	assert_judged("none", "0", HUB_NO_HISTORY, 0, 0);
	assert_judged("k", "7-3", HUB_LOST, 2, 3);
	for (uint64_t seq = 0; seq < 8; seq++) {
		snprintf(position, sizeof(position), "%llu-%llu",
		    (unsigned long long)history_position(hub_history(hub)).epoch,
		    (unsigned long long)(base + seq));
		if (seq < 2 || seq > 6)
			assert_judged("k", position, HUB_LOST, 2, 3);
		else
			assert_judged("k", position, HUB_RESUMED, seq, seq < 5 ? 5 - seq : 0);
	}
	resume(0, "k", 3);
	assert_judged("k", "0", HUB_SUBSCRIBED, 3, 0);
	replay_all();
	assert_judged("k", "0", HUB_SUBSCRIBED, 6, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_replay", setup, teardown,
	    (const TTest *[]){kept_messages_come_first_and_live_ones_behind_them,
		nothing_is_replayed_before_it_is_started, the_channels_of_a_subscriber_are_merged,
		a_replay_goes_on_when_the_outbox_is_low, unsubscribing_ends_a_replay,
		a_subscriber_may_leave_in_each_state_of_its_replay, a_closed_outbox_ends_its_replay,
		a_subscriber_that_is_overtaken_is_told_how_many_it_missed,
		without_notify_a_subscriber_that_is_overtaken_is_closed,
		when_a_history_ends_its_subscribers_are_live,
		who_has_read_all_misses_nothing_when_a_history_ends,
		a_channel_that_keeps_nothing_any_more_before_its_first_message_is_live,
		deleted_messages_are_missed, expired_messages_are_missed,
		a_message_too_long_to_be_kept_is_missed_with_those_before_it,
		subscribers_that_resume_from_one_position_share_one_encoding,
		publishers_never_wait_for_a_subscriber_that_is_replayed,
		under_catch_up_a_slow_reader_reads_on_from_the_history,
		messages_of_all_channels_come_in_the_order_of_their_positions,
		a_live_channel_joins_a_replay_and_one_without_history_does_not,
		a_subscriber_with_too_many_replays_overflows,
		under_catch_up_a_message_larger_than_the_outbox_is_replayed,
		under_catch_up_what_is_too_long_to_be_kept_is_missed,
		under_catch_up_a_channel_without_history_overflows,
		a_replay_waits_for_memory_and_goes_on, progress_says_how_far_a_replay_is,
		the_verdict_says_from_where_a_channel_can_be_resumed, NULL});
}
