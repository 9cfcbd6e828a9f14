#include "config.h"

#include "pubsub/hub_follow.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_follow.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_reader.h"
#include "pubsub/testing_replay.h"

/*
 * Two nodes that follow one source, against the truth: the list of all messages that the source has
 * published. Each node has some of the channels, is late, misses messages, evicts and expires rings
 * and loads them again; the positions begin anew at times. Subscribers with small outboxes read now
 * and then, and go on at either node where they were. What a subscriber reads of a channel must be
 * the truth without a gap and without a message twice, or notices say how many are missing.
 */

#define SUBS 8
#define PATTERNS_FROM 6 /* the others have channels */

static struct sub {
	struct testing_reader reader; /* the first member */
	struct follow_node *node;
	bool has_pattern;
	struct {
		bool is_subscribed, was_before;
		size_t read; /* messages up to this one were read, or are known to be missing */
		size_t seen; /* the last message that was read, or the one to go on behind */
		struct hub_position at; /* of that one */
	} channels[FOLLOW_CHANNELS];
	uint64_t missing, marked;
	bool is_inexact; /* more or less is marked than is missing */
} subs[SUBS];

static bool has_limits;
static uint64_t reads, resumed, lost, marks, unknown, moves, gathered;

static bool
is_wanted(const struct follow_node *node, size_t channel)
{
	bool wanted = false;

	for (size_t i = 0; i < SUBS; i++)
		wanted |= subs[i].node == node && subs[i].channels[channel].is_subscribed &&
			  !subs[i].has_pattern;
	return wanted;
}

/* Subscribers */

static void
attach(size_t i)
{
	struct outbox_limits limits = {
	    .bytes = 100 + follow_random(2000),
	    .messages = (uint32_t)(1 + follow_random(40)),
	};

	subs[i].node = &follow.nodes[follow_random(FOLLOW_NODES)];
	testing_reader_attach(&subs[i].reader, subs[i].node->hub, limits, follow_random(16));
	subs[i].missing = subs[i].marked = 0;
	subs[i].is_inexact = false;
}

/* One frame: "<missing", or "seq name c:number xxx". */
static void
read_frame(struct testing_reader *reader, const char *frame)
{
	struct sub *sub = (struct sub *)(void *)reader;
	unsigned long long seq, number;
	const struct follow_message *m;
	char name[8], letter;
	size_t channel;

	if (frame[0] == '<') {
		sub->is_inexact |= frame[1] == '?';
		unknown += frame[1] == '?';
		sub->marked += strtoull(frame + 1, NULL, 10);
		marks++;
		return;
	}
	ck_assert_int_eq(sscanf(frame, "%llu %7s %c:%llu", &seq, name, &letter, &number), 4);
	channel = (size_t)(letter - 'a');
	ck_assert(sub->channels[channel].is_subscribed);
	ck_assert(name[0] == (sub->has_pattern ? '*' : letter));
	ck_assert_uint_gt(number, sub->channels[channel].read);
	m = &follow.truth[channel].messages[number - 1];
	ck_assert(seq == 0 || seq == m->at.seq);
	sub->missing += number - sub->channels[channel].read - 1;
	sub->channels[channel].read = sub->channels[channel].seen = number;
	sub->channels[channel].at = m->at;
	reads++;
}

static bool
read_some(struct sub *sub, size_t max)
{
	return testing_reader_read(&sub->reader, max, read_frame);
}

static bool
is_replayed(const struct sub *sub)
{
	return hub_replay_progress(&sub->reader.subscriber).channels > 0;
}

/* Reads everything, replays included; then marks and missing messages must agree. */
static void
settle(struct sub *sub)
{
	hub_start_replay(&sub->reader.subscriber);
	do {
		while (read_some(sub, SIZE_MAX))
			continue;
		while (hub_replay(sub->node->hub, follow.now_us) == HUB_REPLAY_MORE)
			continue;
	} while (!sub->reader.is_closed && !outbox_is_empty(&sub->reader.subscriber.outbox));
	if (sub->reader.is_closed)
		return;
	ck_assert(!is_replayed(sub));
	for (size_t c = 0; c < FOLLOW_CHANNELS; c++) {
		if (!sub->channels[c].is_subscribed)
			continue;
		ck_assert_uint_le(sub->channels[c].read, sub->node->count[c]);
		sub->missing += sub->node->count[c] - sub->channels[c].read;
		sub->channels[c].read = sub->node->count[c];
	}
	if (sub->reader.subscriber.outbox.limits.notify && !sub->is_inexact)
		ck_assert_uint_eq(sub->missing, sub->marked);
	sub->missing = sub->marked = 0;
	sub->is_inexact = false;
}

/* What was read up to `from` is to be continued with `count` messages. */
static void
set_read(struct sub *sub, size_t channel, struct hub_position from, uint64_t count)
{
	size_t seen = follow_count_upto(channel, from);

	ck_assert_uint_le(seen, sub->node->count[channel]);
	ck_assert_uint_eq(sub->node->count[channel] - seen, count);
	sub->channels[channel].read = sub->channels[channel].seen = seen;
	sub->channels[channel].at = from;
}

static void
subscribe(struct sub *sub, size_t channel)
{
	struct subscriber *s = &sub->reader.subscriber;
	struct position_since since = {
	    .kind = (enum position_kind)follow_random(4), .count = 1 + follow_random(10)};
	bool is_whole =
	    !has_limits && hub_ring(sub->node->hub, follow_name(channel), follow.now_us) == NULL;
	struct hub_resumption r;

	if (sub->channels[channel].was_before && follow_random(4) > 0) {
		since.kind = POSITION_AT;
		since.at = sub->channels[channel].at;
		/* As the upstream would be asked first. */
		while (position_compare(since.at, sub->node->at) > 0)
			follow_take(sub->node);
	} else if (since.kind == POSITION_AT) {
		since.kind = POSITION_NEW;
	}
	follow_join(sub->node, channel);
	r = hub_judge(s, follow_name(channel), &since, follow.now_us);
	sub->channels[channel].is_subscribed = sub->channels[channel].was_before = true;
	if (r.verdict == HUB_NO_HISTORY) {
		ck_assert_int_eq(hub_subscribe(s, HUB_CHANNEL, follow_name(channel)), HUB_OK);
		set_read(sub, channel, sub->node->at, 0);
		return;
	}
	resumed += r.verdict == HUB_RESUMED;
	lost += r.verdict == HUB_LOST;
	ck_assert_uint_eq(r.position.epoch, sub->node->at.epoch);
	ck_assert(r.verdict != HUB_RESUMED || position_compare(r.position, since.at) == 0);
	/* It has just loaded all that the source keeps. */
	if (is_whole && since.kind == POSITION_AT && r.verdict == HUB_LOST)
		ck_assert(position_compare(since.at, r.position) < 0);
	if (!history_can_resume(hub_history(sub->node->hub),
		hub_ring(sub->node->hub, follow_name(channel), follow.now_us), r.position))
		ck_assert_ptr_null(hub_ring(sub->node->hub, follow_name(channel), follow.now_us));
	ck_assert_int_eq(
	    hub_subscribe_after(s, follow_name(channel), r.position.seq, follow.now_us), HUB_OK);
	set_read(sub, channel, r.position, r.count);
	if (follow_random(3) > 0)
		hub_start_replay(s);
}

/* Subscribes to all channels with a pattern. */
static void
psubscribe(struct sub *sub)
{
	struct position_since since = {.kind = follow_random(2) > 0 ? POSITION_ALL : POSITION_LAST,
	    .count = 1 + follow_random(50)};
	struct hub_resumption r;
	struct hub_start start = {0, 0};
	struct hub_gather *gather =
	    hub_gather_since(&sub->reader.subscriber, SLICE("*"), &since, 100, &r);
	const struct hub_matched *matched;
	enum hub_gather_result result;
	size_t count;

	for (size_t c = 0; c < FOLLOW_CHANNELS; c++) {
		sub->channels[c].is_subscribed = true;
		sub->channels[c].read = sub->channels[c].seen = sub->node->count[c];
	}
	if (gather == NULL) {
		ck_assert_int_eq(
		    hub_subscribe(&sub->reader.subscriber, HUB_PATTERN, SLICE("*")), HUB_OK);
		return;
	}
	while ((result = hub_gather_step(gather, follow.now_us, 1 + follow_random(3))) ==
	       HUB_GATHER_MORE) {
		if (follow_random(3) == 0)
			follow_join(sub->node, follow_random(FOLLOW_CHANNELS));
		else if (follow_is_late(sub->node) &&
			 follow.events[sub->node->next].channel < FOLLOW_CHANNELS)
			follow_take(sub->node);
	}
	ck_assert_int_eq(result, HUB_GATHER_DONE);
	r = hub_gather_judge(gather, result, &start);
	matched = hub_gather_matched(gather, 0, &count);
	for (size_t c = 0; c < FOLLOW_CHANNELS; c++)
		sub->channels[c].read = sub->channels[c].seen = sub->node->count[c];
	for (size_t i = 0; i < count; i++) {
		size_t c = (size_t)(topic_name(matched[i].topic).ptr[0] - 'a');
		const struct ring *ring = hub_ring(sub->node->hub, follow_name(c), follow.now_us);

		sub->channels[c].read -= ring_count_after(ring, matched[i].after_seq);
		r.count -= ring_count_after(ring, matched[i].after_seq);
	}
	ck_assert_uint_eq(r.count, 0);
	ck_assert_int_eq(hub_psubscribe_after(
			     &sub->reader.subscriber, SLICE("*"), start.after_seq, matched, count),
	    HUB_OK);
	hub_gather_free(gather);
	if (follow_random(3) > 0)
		hub_start_replay(&sub->reader.subscriber);
	gathered++;
}

static void
leave(struct sub *sub, size_t channel)
{
	while (read_some(sub, SIZE_MAX))
		continue;
	if (is_replayed(sub))
		sub->is_inexact = true;
	else
		settle(sub);
	if (sub->reader.is_closed)
		return;
	sub->channels[channel].is_subscribed = false;
	ck_assert_int_eq(
	    hub_unsubscribe(&sub->reader.subscriber, HUB_CHANNEL, follow_name(channel)), HUB_OK);
}

/* The connection ends, and the next one, at any node, goes on where this one was. */
static void
come_back(size_t i)
{
	const struct follow_node *before = subs[i].node;
	bool was_subscribed[FOLLOW_CHANNELS];

	while (!hub_detach(&subs[i].reader.subscriber, 1 + follow_random(3)))
		continue;
	attach(i);
	moves += subs[i].node != before;
	for (size_t c = 0; c < FOLLOW_CHANNELS; c++) {
		was_subscribed[c] = subs[i].channels[c].is_subscribed;
		subs[i].channels[c].is_subscribed = false;
	}
	if (subs[i].has_pattern)
		psubscribe(&subs[i]);
	for (size_t c = 0; c < FOLLOW_CHANNELS && !subs[i].has_pattern; c++)
		if (was_subscribed[c])
			subscribe(&subs[i], c);
	hub_start_replay(&subs[i].reader.subscriber);
}

static void
change_options(void)
{
	static const char *const lines[] = {
	    "history-size 5 history-ttl 1 history-bytes 1kb history-message-bytes 60",
	    "history-size 40 history-ttl 1 history-bytes 4kb history-message-bytes 60",
	    "history-size 300 history-ttl 3 history-bytes 20kb history-message-bytes 60",
	    "history-size 0",
	};

	testing_set_line(follow.nodes[follow_random(FOLLOW_NODES)].hub, "*",
	    lines[follow_random(sizeof(lines) / sizeof(*lines))]);
	has_limits = follow_random(3) == 0;
	testing_history_limits.memory_bytes = has_limits ? 8000 : 0;
	testing_history_limits.channels = has_limits ? 4 : 1000;
}

static void
step_node(struct follow_node *node, size_t what)
{
	size_t channel = follow_random(FOLLOW_CHANNELS);

	if (what < 60) {
		follow_trim(channel);
	} else if (what < 160) {
		for (size_t i = PATTERNS_FROM; i < SUBS; i++)
			subs[i].is_inexact |= subs[i].node == node; /* see hub_follow.h */
		follow_miss(node);
	} else if (what < 240) {
		if (!is_wanted(node, channel))
			follow_leave(node, channel);
	} else if (what < 300) {
		(void)hub_delete_history(node->hub, follow_name(channel), follow.now_us);
	} else if (what < 330) {
		hub_shrink(node->hub);
	} else if (what < 340) {
		change_options();
	} else if (what < 343) {
		follow_begin_anew();
	} else if (what < 443) {
		follow_join(node, channel);
	} else if (what < 500) {
		(void)!history_work(hub_history(node->hub), follow.now_us, 1 + follow_random(10));
	}
	hub_tidy(node->hub);
}

static void
step(void)
{
	size_t what = follow_random(10000), i = follow_random(SUBS);
	struct follow_node *node = &follow.nodes[follow_random(FOLLOW_NODES)];
	size_t channel = follow_random(FOLLOW_CHANNELS);

	if (what < 2500)
		follow_publish();
	else if (what < 5000 && follow_is_late(node))
		follow_take(node);
	else if (what < 7000)
		(void)(subs[i].reader.is_closed || read_some(&subs[i], 1 + follow_random(300)));
	else if (what < 8500)
		(void)hub_replay(node->hub, follow.now_us);
	else if (what < 8700)
		follow.now_us += follow_random(100000);
	else if (what < 9200)
		step_node(node, what - 8700);
	else if (subs[i].reader.is_closed || what < 9300)
		come_back(i);
	else if (what < 9400)
		hub_start_replay(&subs[i].reader.subscriber);
	else if (what < 9900 && !subs[i].has_pattern && subs[i].channels[channel].is_subscribed)
		leave(&subs[i], channel);
	else if (what < 9900 && !subs[i].has_pattern)
		subscribe(&subs[i], channel);
	else
		settle(&subs[i]);
}

static void
run(int steps)
{
	for (size_t i = 0; i < SUBS; i++) {
		memset(&subs[i], 0, sizeof(subs[i]));
		subs[i].has_pattern = i >= PATTERNS_FROM;
		attach(i);
		come_back(i);
	}
	for (int i = 0; i < 4; i++)
		change_options();
	for (int n = 0; n < testing_steps(steps); n++)
		step();
	for (size_t i = 0; i < SUBS; i++) {
		if (!subs[i].reader.is_closed)
			settle(&subs[i]);
		while (!hub_detach(&subs[i].reader.subscriber, 10))
			continue;
	}
}

START_TEST(every_subscriber_reads_the_truth_or_a_notice_of_the_right_size_at_each_node)
{
	uint64_t loads = 0, misses = 0, anew = 0;

	for (uint64_t n = 1; n <= 6; n++) {
		follow_begin(n);
		for (size_t i = 0; i < FOLLOW_NODES; i++) {
			follow.nodes[i].hub = testing_replay_hub(&testing_name_form);
			hub_follow(follow.nodes[i].hub);
			hub_follow_from(follow.nodes[i].hub, follow.top);
		}
		run(100000);
		for (size_t i = 0; i < FOLLOW_NODES; i++) {
			ck_assert_uint_eq(hub_replay_figures(follow.nodes[i].hub).cursors, 0);
			hub_free(follow.nodes[i].hub);
		}
		loads += follow.loads;
		misses += follow.misses;
		anew += follow.anew;
		follow_end();
	}
	/* Each of these was reached. */
	ck_assert_uint_gt(reads, 0);
	ck_assert_uint_gt(resumed, 0);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_gt(testing_readers.overtaken, 0);
	ck_assert_uint_gt(testing_readers.closed, testing_readers.overtaken);
	ck_assert_uint_gt(marks, 0);
	ck_assert_uint_gt(unknown, 0);
	ck_assert_uint_gt(moves, 0);
	ck_assert_uint_gt(gathered, 0);
	ck_assert_uint_gt(misses, 0);
	ck_assert_uint_gt(anew, 0);
	printf("read %llu, resumed %llu, lost %llu, loads %llu, misses %llu, marks %llu\n",
	    (unsigned long long)reads, (unsigned long long)resumed, (unsigned long long)lost,
	    (unsigned long long)loads, (unsigned long long)misses, (unsigned long long)marks);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_follow_model", NULL, NULL,
	    (const TTest *[]){
		every_subscriber_reads_the_truth_or_a_notice_of_the_right_size_at_each_node, NULL});
}
