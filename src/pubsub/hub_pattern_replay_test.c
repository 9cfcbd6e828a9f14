#include "config.h"

#include "pubsub/hub_replay.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_replay.h"

/* Replays of patterns. A message is "channel/payload " or "pattern/channel/payload ". */

static int
print_head(const struct hub_message *m, char *out, size_t len)
{
	if (m->kind == HUB_PATTERN)
		return snprintf(out, len, "%.*s/%.*s/", (int)m->pattern.len, m->pattern.ptr,
		    (int)m->channel.len, m->channel.ptr);
	return snprintf(out, len, "%.*s/", (int)m->channel.len, m->channel.ptr);
}

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	char text[64];

	(void)body;
	return (struct wire_ends){(size_t)print_head(m, text, sizeof(text)), 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	char text[64];

	print_head(m, text, sizeof(text));
	memcpy(out, text, its.head);
	out[its.head + body->len] = ' ';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu> ", (unsigned long long)missed);
}

static const struct wire_form form = {
    .name = "names", .ends = ends, .write_ends = write_ends, .notice = notice};

static void
setup(void)
{
	replay_setup_form(&form);
}

static void
psubscribe(int i, const char *pattern)
{
	ck_assert_int_eq(hub_subscribe(&replays.subs[i], HUB_PATTERN, slice_of(pattern)), HUB_OK);
}

static void
subscribe(int i, const char *channel)
{
	ck_assert_int_eq(hub_subscribe(&replays.subs[i], HUB_CHANNEL, slice_of(channel)), HUB_OK);
}

static size_t
cursors(void)
{
	return hub_replay_figures(replays.hub).cursors;
}

START_TEST(the_channels_of_a_pattern_are_merged)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_publish("kx", "c");
	replay_publish("k1", "d");
	replay_presume(0, "k[12]", 1);
	replay_run();
	replay_publish("k2", "live");
	ck_assert_str_eq(replay_take(0, 100), "k[12]/k2/b k[12]/k1/d k[12]/k2/live ");
	ck_assert_uint_eq(cursors(), 0);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).replayed, 2);
}
END_TEST

START_TEST(channels_that_go_on_or_begin_meanwhile_are_merged_too)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(0, "k*", 1);
	ck_assert_uint_eq(replay_publish("k1", "c"), 1); /* has nothing behind the position */
	ck_assert_uint_eq(replay_publish("k3", "d"), 1); /* is new */
	replay_publish("k2", "e");
	replay_publish("k3", "f");
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[0]).behind, 5);
	ck_assert_str_eq(replay_take(0, 100), "");
	replay_run();
	replay_publish("k3", "live");
	ck_assert_str_eq(
	    replay_take(0, 100), "k*/k2/b k*/k1/c k*/k3/d k*/k2/e k*/k3/f k*/k3/live ");
}
END_TEST

START_TEST(a_channel_that_was_read_to_its_end_goes_on_during_the_replay)
{
	replay_attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	replay_publish("k1", "a");
	for (int i = 0; i < 10; i++)
		replay_publish("k2", "bbbbbbbbbb");
	replay_presume(3, "k*", 0);
	replay_run();
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[3]).channels, 1);
	ck_assert_str_eq(replay_take(3, 7), "k*/k1/a");
	replay_publish("k1", "c");
	replay_publish("k1", "d");
	for (int i = 0; i < 10; i++) {
		replay_take(3, 17);
		replay_run();
	}
	replay_take(3, 1);
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "k*/k1/c k*/k1/d ");
	replay_run();
	ck_assert_uint_eq(cursors(), 0);
	replay_detach(3);
}
END_TEST

START_TEST(channels_without_history_are_live_at_once)
{
	replay_publish("k1", "a");
	replay_presume(0, "*", 0);
	ck_assert_uint_eq(replay_publish("other", "x"), 1);
	ck_assert_str_eq(replay_take(0, 100), "*/other/x ");
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "*/k1/a ");
}
END_TEST

START_TEST(channels_and_patterns_of_a_subscriber_are_merged)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_publish("k1", "c");
	replay_subscribe_after(0, "k1", 1);
	replay_presume(0, "k*", 0);
	replay_publish("k1", "d");
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "k*/k1/a k*/k2/b k1/c k*/k1/c k1/d k*/k1/d ");
}
END_TEST

START_TEST(a_pattern_that_resumes_earlier_than_others_loses_nothing)
{
	replay_attach(3, 40, 0, OUTBOX_DISCONNECT, false);
	for (int i = 0; i < 10; i++)
		replay_publish(i % 2 == 0 ? "k1" : "k2", "bbbbbbbbbb");
	replay_presume(3, "k1", 4);
	replay_run();
	replay_presume(3, "k2", 1);
	replay_publish("k1", "last");
	replay_publish("k2", "last");
	for (int i = 0; i < 7; i++)
		for (int n = 0; n < 17; n++) {
			ck_assert_uint_eq(strlen(replay_take(3, 1)), 1);
			replay_run();
		}
	ck_assert_str_eq(replay_take(3, 100), "k2/k2/bbbbbbbbbb k1/k1/last k2/k2/last ");
	ck_assert_uint_eq(cursors(), 0);
	replay_detach(3);
}
END_TEST

START_TEST(encodings_are_shared_by_subscribers_of_one_pattern_only)
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
		replay_presume(i, i % 2 == 0 ? "k*" : "*k", 10);
	}
	replay_run();
	after = hub_figures(replays.hub);
	ck_assert_uint_eq(after.queued_messages, 40 * (REPLAY_SUBSCRIBERS - 3));
	ck_assert_uint_le(after.log_bytes - before.log_bytes, 4 * 65536);
	for (int i = 3; i < REPLAY_SUBSCRIBERS; i++) {
		ck_assert_str_eq(replay_take(i, 4), i % 2 == 0 ? "k*/k" : "*k/k");
		replay_detach(i);
	}
}
END_TEST

START_TEST(who_wants_one_copy_gets_one)
{
	hub_set_dedup(&replays.subs[0], true);
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(0, "k*", 0);
	replay_presume(0, "*", 0);
	replay_subscribe_after(0, "k1", 0);
	hub_start_replay(&replays.subs[0]);
	ck_assert_uint_eq(replay_publish("k1", "c"), 1);
	ck_assert_uint_eq(replay_publish("k3", "d"), 1);
	replay_run();
	replay_publish("k1", "e");
	ck_assert_str_eq(replay_take(0, 100), "k1/a k*/k2/b k1/c k*/k3/d k1/e ");
}
END_TEST

/* The pattern's copy is left out, but the channel has a message behind the pattern's base then. */
START_TEST(copies_that_were_not_wanted_hide_no_later_message)
{
	replay_publish("k1", "a");
	replay_subscribe_after(0, "k2", 1);
	replay_presume(0, "k*", 0);
	hub_set_dedup(&replays.subs[0], true);
	replay_publish("k2", "b");
	hub_set_dedup(&replays.subs[0], false);
	replay_publish("k2", "c");
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "k*/k1/a k2/b k*/k2/b k2/c k*/k2/c ");
}
END_TEST

/* Which copy is left out is decided when the message is read. */
START_TEST(a_copy_is_not_lost_with_the_name_through_which_it_was_to_come)
{
	hub_set_dedup(&replays.subs[0], true);
	replay_publish("k1", "a");
	subscribe(0, "k2");
	psubscribe(0, "k?");
	replay_resume(0, "k1", 0);
	ck_assert_uint_eq(replay_publish("k2", "b"), 1);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[0], HUB_CHANNEL, SLICE("k2")), HUB_OK);
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "k1/a k?/k2/b ");
}
END_TEST

static void
publish_from(int i, const char *channel, size_t others)
{
	struct hub_post post = {.kind = HUB_CHANNEL,
	    .channel = slice_of(channel),
	    .payload = SLICE("own"),
	    .except = &replays.subs[i]};
	struct hub_publication publication = {0};
	struct hub_outcome outcome;

	ck_assert_int_eq(
	    hub_post(replays.hub, &post, REPLAY_NOW_US, &publication, &outcome), HUB_OK);
	ck_assert_uint_eq(outcome.receivers, others);
}

START_TEST(a_publishers_own_messages_hide_no_later_message)
{
	replay_publish("k1", "a");
	replay_presume(0, "k*", 0);
	publish_from(0, "k2", 0);
	replay_publish("k2", "b");
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "k*/k1/a k*/k2/b ");
	replay_presume(1, "*", 3);
	publish_from(1, "k3", 1);
	replay_run();
	ck_assert_uint_eq(cursors(), 0);
	ck_assert_str_eq(replay_take(1, 100), "");
}
END_TEST

START_TEST(a_channel_that_is_forgotten_is_missed_and_others_go_on)
{
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_publish("k1", "c");
	replay_subscribe_after(3, "k1", 1);
	replay_presume(3, "k*", 0);
	testing_set_line(replays.hub, "k1", "history-size 0");
	ck_assert_uint_eq(hub_channel_dropped(replays.hub, HUB_PATTERN, SLICE("k*")), 2);
	ck_assert_uint_eq(hub_channel_dropped(replays.hub, HUB_CHANNEL, SLICE("k1")), 1);
	ck_assert_uint_eq(replay_publish("k1", "live"), 2);
	replay_publish("k2", "d");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "<3> k1/live k*/k1/live k*/k2/b k*/k2/d ");
	testing_set_line(replays.hub, "k1", "history-size 5 history-ttl 60");
	replay_presume(3, "*", history_position(hub_history(replays.hub)).seq - replays.base);
	replay_publish("k1", "e");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "k1/e */k1/e k*/k1/e ");
	replay_detach(3);
}
END_TEST

START_TEST(without_notify_a_subscriber_whose_channel_is_forgotten_is_closed)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(0, "k*", 0);
	testing_set_line(replays.hub, "k1", "history-size 0");
	ck_assert_int_eq(replays.overtakens, 1);
	ck_assert_uint_eq(replay_publish("k2", "c"), 0);
	replay_run();
	ck_assert_uint_eq(cursors(), 0);
}
END_TEST

START_TEST(overtaken_messages_are_missed_in_their_place)
{
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	testing_set_line(replays.hub, "k*", "history-size 2 history-ttl 60");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(3, "k*", 0);
	for (int i = 0; i < 4; i++)
		replay_publish("k1", "c");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "<3> k*/k2/b k*/k1/c k*/k1/c ");
	replay_detach(3);
}
END_TEST

START_TEST(an_expired_channel_is_missed)
{
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(3, "k*", 0);
	while (hub_replay(replays.hub, REPLAY_NOW_US + 60000000) == HUB_REPLAY_MORE)
		continue;
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 2);
	ck_assert_uint_eq(cursors(), 0);
	replay_detach(3);
}
END_TEST

START_TEST(what_no_ring_keeps_any_more_is_live_and_what_was_kept_is_missed)
{
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(3, "k*", 0);
	replay_presume(3, "*", 0);
	hub_seal_history(replays.hub); /* the rings stay */
	ck_assert_uint_eq(replay_publish("k1", "live"), 2);
	ck_assert_uint_eq(replay_publish("k3", "live"), 2);
	replay_run();
	ck_assert_str_eq(
	    replay_take(3, 100), "<2> */k1/live k*/k1/live */k3/live k*/k3/live k*/k2/b */k2/b ");
	replay_detach(3);
}
END_TEST

START_TEST(unsubscribing_a_pattern_ends_its_part_of_the_replay)
{
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_presume(0, "k*", 0);
	replay_presume(0, "k1", 0);
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[0]).channels, 2);
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[0]).behind, 3);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[0], HUB_PATTERN, SLICE("k*")), HUB_OK);
	ck_assert_uint_eq(hub_replay_progress(&replays.subs[0]).behind, 1);
	ck_assert_int_eq(hub_unsubscribe(&replays.subs[0], HUB_PATTERN, SLICE("k1")), HUB_OK);
	ck_assert_uint_eq(cursors(), 0);
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "");
}
END_TEST

START_TEST(a_subscriber_may_be_detached_in_slices)
{
	char name[16];

	replay_attach(3, 0, 0, OUTBOX_DISCONNECT, false);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		replay_publish(name, "x");
	}
	replay_presume(3, "k*", 0);
	replay_presume(3, "*", 0);
	for (int slices = 0; !hub_detach(&replays.subs[3], 7); slices++) {
		ck_assert_int_lt(slices, 40);
		ck_assert_uint_eq(replay_publish("k", "x"), 0);
		ck_assert_uint_eq(replay_publish("k1", "x"), 0);
		(void)hub_delete_history(replays.hub, SLICE("k2"), REPLAY_NOW_US);
	}
	ck_assert_uint_eq(cursors(), 0);
}
END_TEST

START_TEST(a_live_pattern_joins_a_replay)
{
	replay_publish("k1", "a");
	psubscribe(0, "k*");
	replay_resume(0, "k1", 0);
	ck_assert_uint_eq(replay_publish("k2", "b"), 1);
	ck_assert_uint_eq(replay_publish("k3", "c"), 1);
	ck_assert_uint_eq(replay_publish("n", "d"), 0);
	replay_run();
	ck_assert_str_eq(replay_take(0, 100), "k1/a k*/k2/b k*/k3/c ");
}
END_TEST

START_TEST(under_catch_up_a_pattern_reads_on_from_the_history)
{
	char name[16], text[64];

	replay_attach(3, 20, 0, OUTBOX_CATCH_UP, false);
	psubscribe(3, "k*");
	for (int i = 10; i < 60; i++) {
		snprintf(name, sizeof(name), "k%d", i % 4);
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_uint_eq(replay_publish(name, text), 1);
	}
	ck_assert_uint_eq(hub_replay_figures(replays.hub).fell_behind, 1);
	ck_assert(!replays.subs[3].outbox.sealed);
	for (int i = 10; i < 60; i++) {
		snprintf(text, sizeof(text), "k*/k%d/%d ", i % 4, i);
		ck_assert_str_eq(replay_take(3, strlen(text)), text);
		replay_run();
	}
	ck_assert_uint_eq(cursors(), 0);
	ck_assert_uint_eq(replays.subs[3].outbox.dropped, 0);
	replay_publish("k", "live");
	ck_assert_str_eq(replay_take(3, 100), "k*/k/live ");
	replay_detach(3);
}
END_TEST

START_TEST(a_pattern_with_too_many_channels_to_catch_up_overflows)
{
	char name[16];

	testing_history_limits.channels = UINT32_MAX;
	replay_attach(3, 10, 0, OUTBOX_CATCH_UP, false);
	psubscribe(3, "k*");
	subscribe(3, "k");
	replay_publish("k", "longer than ten bytes");
	for (int i = 0; i < CURSOR_ENTRIES_MAX - 1; i++) {
		ck_assert(!replays.subs[3].outbox.sealed);
		snprintf(name, sizeof(name), "k%d", i);
		replay_publish(name, "x");
	}
	ck_assert(replays.subs[3].outbox.sealed);
	replay_detach(3);
}
END_TEST

START_TEST(a_message_too_long_to_be_kept_is_missed)
{
	testing_set_line(
	    replays.hub, "k*", "history-size 100 history-ttl 60 history-message-bytes 5");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replay_publish("k1", "a");
	replay_publish("k2", "b");
	replay_attach(3, 0, 0, OUTBOX_DROP_NEWEST, true);
	replay_presume(3, "k*", 0);
	replay_publish("k1", "toolong");
	replay_publish("k3", "toolong");
	replay_publish("k1", "c");
	replay_run();
	ck_assert_str_eq(replay_take(3, 100), "<3> k*/k2/b k*/k1/c ");
	replay_detach(3);
}
END_TEST

START_TEST(publishers_wait_for_a_replayed_pattern_unless_the_message_is_kept)
{
	struct hub_publication publication = {0};
	size_t receivers;

	for (int i = 0; i < 10; i++)
		replay_publish("k1", "bbbbbbbbbb");
	replay_attach(3, 60, 0, OUTBOX_BLOCK, false);
	replay_presume(3, "*", 0);
	replay_run();
	ck_assert_uint_eq(
	    replay_publish("k2", "a message that does not fit into the outbox, which is small"), 1);
	ck_assert_int_eq(hub_publish(replays.hub, HUB_CHANNEL, SLICE("other"),
			     SLICE("a message that does not fit into the outbox, which is small"),
			     REPLAY_NOW_US, &publication, &receivers),
	    HUB_BLOCKED);
	hub_end_publication(replays.hub, &publication);
	replay_detach(3);
}
END_TEST

START_TEST(progress_says_how_far_a_pattern_is)
{
	struct hub_replay_progress progress;

	for (int i = 0; i < 10; i++)
		replay_publish(i % 2 == 0 ? "k1" : "k2", "bbbbbbbbbb");
	replay_attach(3, 44, 0, OUTBOX_DISCONNECT, false);
	replay_presume(3, "k*", 2);
	progress = hub_replay_progress(&replays.subs[3]);
	ck_assert_uint_eq(progress.channels, 1);
	ck_assert_uint_eq(progress.behind, 8);
	ck_assert_uint_eq(progress.position.seq, replays.base + 2);
	replay_run();
	progress = hub_replay_progress(&replays.subs[3]);
	ck_assert_uint_eq(
	    progress.position.seq, replays.base + 2 + replays.subs[3].outbox.messages);
	ck_assert_uint_eq(progress.behind, 8 - replays.subs[3].outbox.messages);
	replay_detach(3);
}
END_TEST

START_TEST(a_pattern_may_be_subscribed_once_only)
{
	psubscribe(0, "k*");
	ck_assert_int_eq(
	    hub_psubscribe_after(&replays.subs[0], SLICE("k*"), 0, NULL, 0), HUB_ALREADY);
	ck_assert_uint_eq(cursors(), 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_pattern_replay", setup, replay_teardown,
	    (const TTest *[]){the_channels_of_a_pattern_are_merged,
		channels_that_go_on_or_begin_meanwhile_are_merged_too,
		a_channel_that_was_read_to_its_end_goes_on_during_the_replay,
		channels_without_history_are_live_at_once,
		channels_and_patterns_of_a_subscriber_are_merged,
		a_pattern_that_resumes_earlier_than_others_loses_nothing,
		encodings_are_shared_by_subscribers_of_one_pattern_only,
		who_wants_one_copy_gets_one, copies_that_were_not_wanted_hide_no_later_message,
		a_copy_is_not_lost_with_the_name_through_which_it_was_to_come,
		a_publishers_own_messages_hide_no_later_message,
		a_channel_that_is_forgotten_is_missed_and_others_go_on,
		without_notify_a_subscriber_whose_channel_is_forgotten_is_closed,
		overtaken_messages_are_missed_in_their_place, an_expired_channel_is_missed,
		what_no_ring_keeps_any_more_is_live_and_what_was_kept_is_missed,
		unsubscribing_a_pattern_ends_its_part_of_the_replay,
		a_subscriber_may_be_detached_in_slices, a_live_pattern_joins_a_replay,
		under_catch_up_a_pattern_reads_on_from_the_history,
		a_pattern_with_too_many_channels_to_catch_up_overflows,
		a_message_too_long_to_be_kept_is_missed,
		publishers_wait_for_a_replayed_pattern_unless_the_message_is_kept,
		progress_says_how_far_a_pattern_is, a_pattern_may_be_subscribed_once_only, NULL});
}
