#include "config.h"

#include "pubsub/hub_gather.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_replay.h"

/* Channels k* keep 100 messages for 60 s: testing_replay.h. Positions are numbers of messages. */

static struct hub_gather *gather;
static struct hub_start start;

static void
setup(void)
{
	replay_setup();
	gather = NULL;
}

static void
teardown(void)
{
	hub_gather_free(gather);
	replay_teardown();
}

static struct hub_start
start_at(uint64_t after, uint64_t whole)
{
	return (struct hub_start){replays.base + after, replays.base + whole};
}

static void
begin(const char *pattern, uint64_t after)
{
	hub_gather_free(gather);
	gather = hub_gather_new(replays.hub, 1000);
	ck_assert_uint_eq(hub_gather_add(gather, slice_of(pattern), start_at(after, after)), 0);
}

static enum hub_gather_result
step(size_t budget)
{
	return hub_gather_step(gather, REPLAY_NOW_US, budget);
}

/* The channels of a pattern with their positions, in the order in which they were visited. */
static const char *
channels(uint32_t number)
{
	static char text[1024];
	size_t count, len = 0;
	const struct hub_matched *matched = hub_gather_matched(gather, number, &count);

	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s+%d",
		    i > 0 ? " " : "", (int)matched[i].topic->name_len, matched[i].topic->name,
		    (int)(matched[i].after_seq - replays.base));
	return text;
}

static struct hub_resumption
judge(const char *pattern, enum position_kind kind, uint64_t n)
{
	const struct position_since since = {.kind = kind,
	    .at = {TESTING_EPOCH, kind == POSITION_AT ? replays.base + n : 0},
	    .count = n};
	struct hub_resumption out;
	enum hub_gather_result result;

	hub_gather_free(gather);
	gather = hub_gather_since(&replays.subs[0], slice_of(pattern), &since, 1000, &out);
	if (gather == NULL)
		return out;
	while ((result = step(1)) == HUB_GATHER_MORE)
		continue;
	return hub_gather_judge(gather, result, &start);
}

static void
ck_judged(const char *pattern, enum position_kind kind, uint64_t n, enum hub_verdict verdict,
    uint64_t position, uint64_t count)
{
	struct hub_resumption r = judge(pattern, kind, n);

	ck_assert_int_eq(r.verdict, verdict);
	ck_assert_uint_eq(r.position.epoch, TESTING_EPOCH);
	ck_assert_uint_eq(r.position.seq, position);
	ck_assert_uint_eq(r.count, count);
}

START_TEST(channels_with_messages_behind_the_position_are_gathered)
{
	replay_publish_numbers("k1", 0, 2);
	replay_publish("k2", "x");
	replay_publish("other", "x");
	replay_publish("k3", "x");
	begin("k*", 2);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k3+2 k2+2");
	begin("k1", 1);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k1+1");
	begin("k*", 4);
	ck_assert_int_eq(step(1), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "");
}
END_TEST

START_TEST(only_rings_behind_the_position_take_of_the_budget)
{
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%d", i);
		replay_publish(name, "x");
	}
	begin("k*", 48);
	ck_assert_int_eq(step(2), HUB_GATHER_MORE);
	ck_assert_int_eq(step(1), HUB_GATHER_DONE); /* the third is not behind it */
	ck_assert_str_eq(channels(0), "k49+48 k48+48");
	begin("k*", 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(step(5), HUB_GATHER_MORE);
	ck_assert_int_eq(step(5), HUB_GATHER_DONE);
}
END_TEST

START_TEST(several_patterns_are_gathered_in_one_walk)
{
	replay_publish("k1", "x");
	replay_publish("k2", "x");
	replay_publish("k12", "x");
	gather = hub_gather_new(replays.hub, 1000);
	ck_assert_uint_eq(hub_gather_add(gather, SLICE("k1*"), start_at(0, 0)), 0);
	ck_assert_uint_eq(hub_gather_add(gather, SLICE("*2"), start_at(1, 1)), 1);
	ck_assert_uint_eq(hub_gather_add(gather, SLICE("x*"), start_at(0, 0)), 2);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k12+0 k1+0");
	ck_assert_str_eq(channels(1), "k12+1 k2+1");
	ck_assert_str_eq(channels(2), "");
	ck_assert_uint_eq(hub_gather_channels(gather), 4);
}
END_TEST

START_TEST(rings_that_are_written_to_between_steps_are_visited_again)
{
	replay_publish("k1", "x");
	replay_publish("k2", "x");
	replay_publish("k3", "x");
	begin("k*", 0);
	ck_assert_int_eq(step(2), HUB_GATHER_MORE);
	replay_publish("k1", "y");
	replay_publish("k4", "y");
	replay_publish("k3", "y");
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k3+0 k2+0 k4+0 k1+0");
	/* It is done for this turn only. */
	replay_publish("k5", "y");
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k3+0 k2+0 k4+0 k1+0 k5+0");
}
END_TEST

START_TEST(a_ring_that_is_freed_between_steps_loses_the_pattern)
{
	for (int visited = 0; visited <= 1; visited++) {
		begin("k*", history_position(hub_history(replays.hub)).seq - replays.base);
		replay_publish("k1", "x");
		replay_publish("k2", "x");
		ck_assert_int_eq(step(1), HUB_GATHER_MORE); /* k2 */
		testing_history_limits.channels = 1;
		while (!history_work(hub_history(replays.hub), REPLAY_NOW_US, 100))
			continue;
		testing_history_limits.channels = 1000;
		ck_assert_int_eq(step(100), HUB_GATHER_LOST);
		ck_assert_uint_eq(hub_gather_lost(gather), 0);
	}
}
END_TEST

START_TEST(a_ring_that_is_trimmed_between_steps_loses_the_pattern)
{
	testing_set_line(replays.hub, "k1", "history-size 2");
	begin("k*", history_position(hub_history(replays.hub)).seq - replays.base);
	replay_publish_numbers("k1", 0, 2);
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	replay_publish("k1", "x");
	ck_assert_int_eq(step(100), HUB_GATHER_LOST);
}
END_TEST

START_TEST(expired_messages_are_lost)
{
	uint64_t expired_us = REPLAY_NOW_US + 60 * REPLAY_NOW_US;

	replay_publish("k1", "x");
	for (int early = 1; early >= 0; early--) {
		begin("k*", 0);
		ck_assert_int_eq(hub_gather_step(gather, expired_us - (uint64_t)early, 9),
		    early ? HUB_GATHER_DONE : HUB_GATHER_LOST);
	}
}
END_TEST

START_TEST(without_a_whole_part_what_is_kept_is_gathered)
{
	testing_set_line(replays.hub, "k1", "history-size 2");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replay_publish_numbers("k1", 0, 5);
	replay_publish("k2", "x");
	gather = hub_gather_new(replays.hub, 1000);
	(void)hub_gather_add(gather, SLICE("k*"), start_at(0, 6));
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	ck_assert_int_eq(step(2), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k2+0 k1+3");
	replay_publish_numbers("k1", 0, 2);
	ck_assert_int_eq(step(9), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k2+0 k1+5");
	replay_publish("k1", "x");
	ck_assert_int_eq(step(9), HUB_GATHER_LOST);
}
END_TEST

START_TEST(too_many_channels_end_the_gather)
{
	replay_publish("k1", "x");
	replay_publish("k2", "x");
	for (uint32_t most = 0; most <= 2; most++) {
		hub_gather_free(gather);
		gather = hub_gather_new(replays.hub, most);
		(void)hub_gather_add(gather, SLICE("k*"), start_at(0, 0));
		ck_assert_int_eq(step(9), most < 2 ? HUB_GATHER_TOO_MANY : HUB_GATHER_DONE);
	}
}
END_TEST

START_TEST(partial_patterns_go_on_nowhere)
{
	hub_set_partial_patterns(replays.hub, true);
	ck_assert_int_eq(judge("k*", POSITION_AT, 1).verdict, HUB_LOST);
	ck_assert_int_eq(judge("k*", POSITION_LAST, 1).verdict, HUB_NO_HISTORY);
	ck_assert_int_eq(judge("k*", POSITION_NEW, 0).verdict, HUB_NO_HISTORY);
}
END_TEST

START_TEST(verdicts_are_those_of_channels)
{
	struct position_since other = {.kind = POSITION_AT, .at = {TESTING_EPOCH + 1, 0}};
	struct hub_resumption out;
	uint64_t base = replays.base;

	replay_publish_numbers("k1", 0, 3);
	replay_publish_numbers("k2", 0, 2);
	ck_judged("k*", POSITION_AT, 2, HUB_RESUMED, base + 2, 3);
	ck_assert_uint_eq(start.whole_seq, base + 2);
	ck_judged("k*", POSITION_AT, 5, HUB_RESUMED, base + 5, 0);
	ck_judged("k*", POSITION_AT, 6, HUB_LOST, base + 5, 0);
	ck_judged("x*", POSITION_AT, 0, HUB_RESUMED, base, 0);
	ck_judged("k*", POSITION_NEW, 0, HUB_NEW, base + 5, 0);
	ck_assert_ptr_null(gather); /* no ring has to be looked at */
	ck_judged("k*", POSITION_ALL, 0, HUB_NEW, 0, 5);
	ck_assert_uint_eq(start.whole_seq, base + 5);
	ck_assert_ptr_null(hub_gather_since(&replays.subs[0], SLICE("k*"), &other, 9, &out));
	ck_assert_int_eq(out.verdict, HUB_LOST);
	ck_assert_int_eq(hub_subscribe(&replays.subs[0], HUB_PATTERN, SLICE("k*")), HUB_OK);
	ck_judged("k*", POSITION_AT, 2, HUB_SUBSCRIBED, base + 5, 0);
}
END_TEST

START_TEST(the_last_messages_of_all_channels_are_counted_together)
{
	uint64_t base = replays.base;

	replay_publish_numbers("k1", 0, 3);
	replay_publish("k2", "x");
	replay_publish("other", "x");
	replay_publish("k1", "x");
	replay_publish("k3", "x");
	ck_judged("k*", POSITION_LAST, 1, HUB_NEW, base + 5, 1);
	ck_judged("k*", POSITION_LAST, 3, HUB_NEW, base + 3, 3);
	ck_judged("k1", POSITION_LAST, 2, HUB_NEW, base + 2, 3 - 1);
	ck_judged("k*", POSITION_LAST, 6, HUB_NEW, base, 6);
	ck_judged("k*", POSITION_LAST, 7, HUB_NEW, 0, 6);
	ck_judged("k*", POSITION_LAST, UINT64_MAX, HUB_NEW, 0, 6);
	ck_judged("x*", POSITION_LAST, 3, HUB_NEW, 0, 0);
}
END_TEST

START_TEST(what_was_forgotten_is_not_gathered)
{
	uint64_t base = replays.base;

	replay_publish_numbers("k1", 0, 3);
	replay_publish("k2", "x");
	hub_forget_history(replays.hub);
	ck_judged("k*", POSITION_AT, 4, HUB_LOST, base + 5, 0);
	ck_judged("k*", POSITION_AT, 5, HUB_RESUMED, base + 5, 0);
	ck_judged("k*", POSITION_ALL, 0, HUB_NEW, base + 5, 0);
	replay_publish("k1", "x");
	replay_publish("k3", "x");
	ck_judged("k*", POSITION_AT, 4, HUB_LOST, base + 7, 0);
	ck_judged("k*", POSITION_AT, 5, HUB_RESUMED, base + 5, 2);
	ck_judged("k*", POSITION_ALL, 0, HUB_NEW, base + 5, 2);
	ck_assert_str_eq(channels(0), "k3+5 k1+5");
	ck_assert_uint_eq(start.after_seq, base + 5);
	ck_judged("k*", POSITION_LAST, 1, HUB_NEW, base + 6, 1);
	ck_judged("k*", POSITION_LAST, 4, HUB_NEW, base + 5, 2);
	hub_gather_free(gather);
	gather = hub_gather_new(replays.hub, 1000);
	(void)hub_gather_add(gather, SLICE("k*"), start_at(1, 6));
	ck_assert_int_eq(step(99), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k3+5 k1+5"); /* k2 is not among them */
	ck_assert_uint_eq(hub_gather_start(gather, 0).after_seq, base + 5);
	ck_assert_uint_eq(hub_gather_start(gather, 0).whole_seq, base + 6);
}
END_TEST

START_TEST(a_history_that_is_forgotten_between_steps_loses_the_pattern)
{
	const struct position_since since = {.kind = POSITION_ALL};
	struct hub_resumption out;

	replay_publish_numbers("k1", 0, 3);
	replay_publish("k2", "x");
	begin("k*", 1);
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	hub_forget_history(replays.hub);
	ck_assert_int_eq(step(9), HUB_GATHER_LOST);
	/* Without a position nothing is lost, and the replay begins behind it. */
	hub_gather_free(gather);
	gather = hub_gather_since(&replays.subs[0], SLICE("k*"), &since, 1000, &out);
	replay_publish("k3", "x");
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	hub_forget_history(replays.hub);
	replay_publish("k1", "x");
	ck_assert_int_eq(step(99), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(0), "k1+7");
	out = hub_gather_judge(gather, HUB_GATHER_DONE, &start);
	ck_assert_uint_eq(out.position.seq, replays.base + 7);
	ck_assert_uint_eq(out.count, 1);
}
END_TEST

START_TEST(messages_that_come_while_the_last_are_counted_come_besides)
{
	const struct position_since since = {.kind = POSITION_LAST, .count = 2};
	struct hub_resumption out;

	replay_publish_numbers("k1", 0, 3);
	replay_publish("k2", "x");
	gather = hub_gather_since(&replays.subs[0], SLICE("k*"), &since, 1000, &out);
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	replay_publish("k2", "y");
	ck_assert_int_eq(step(99), HUB_GATHER_DONE);
	out = hub_gather_judge(gather, HUB_GATHER_DONE, &start);
	ck_assert_uint_eq(out.position.seq, replays.base + 2);
	ck_assert_uint_eq(out.count, 3);
}
END_TEST

START_TEST(nothing_is_judged_while_no_channel_keeps_messages)
{
	struct channel_error error;
	const struct position_since since = {.kind = POSITION_ALL};
	struct hub_resumption out;

	ck_assert(hub_unset_channel_line(replays.hub, SLICE("k*"), NULL, 0, &error));
	while (!hub_reclassify(replays.hub, 100))
		continue;
	ck_assert_ptr_null(hub_gather_since(&replays.subs[0], SLICE("k*"), &since, 9, &out));
	ck_assert_int_eq(out.verdict, HUB_NO_HISTORY);
	ck_assert_uint_eq(out.position.seq, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_gather", setup, teardown,
	    (const TTest *[]){channels_with_messages_behind_the_position_are_gathered,
		only_rings_behind_the_position_take_of_the_budget,
		several_patterns_are_gathered_in_one_walk,
		rings_that_are_written_to_between_steps_are_visited_again,
		a_ring_that_is_freed_between_steps_loses_the_pattern,
		a_ring_that_is_trimmed_between_steps_loses_the_pattern, expired_messages_are_lost,
		without_a_whole_part_what_is_kept_is_gathered, too_many_channels_end_the_gather,
		verdicts_are_those_of_channels, partial_patterns_go_on_nowhere,
		the_last_messages_of_all_channels_are_counted_together,
		what_was_forgotten_is_not_gathered,
		a_history_that_is_forgotten_between_steps_loses_the_pattern,
		messages_that_come_while_the_last_are_counted_come_besides,
		nothing_is_judged_while_no_channel_keeps_messages, NULL});
}
