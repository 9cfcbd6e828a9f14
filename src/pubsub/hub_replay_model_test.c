#include "config.h"

#include "pubsub/hub_replay.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_reader.h"
#include "pubsub/testing_replay.h"

/*
 * Replays against the truth: a list of all messages of each channel. Subscribers with small
 * outboxes read now and then, leave, are closed, and come back where they were, while channels keep
 * few messages for a short time, are evicted and change their options. What a subscriber reads of a
 * subscription must be the truth without a gap and without a message twice, or marks say how many
 * are missing.
 */

#define SUBS 8
#define CHANNELS 6
#define LENGTH_MAX 90
#define KEPT_LENGTH_MAX 60 /* a longer message is not kept */

/* The truth: message n of a channel is n-th published there, from 1 on; its seq, or that of the
 * newest kept message then, if it was not kept. */
static struct {
	uint64_t *seqs;
	size_t count, room;
} truth[CHANNELS];

static struct sub {
	struct testing_reader reader; /* the first member */
	struct {
		bool is_subscribed;
		bool was_before;
		size_t read;  /* messages up to this one were read, or are known to be missing */
		size_t seen;  /* the last message that was read, or the one to go on behind */
		uint64_t seq; /* of that one */
	} channels[CHANNELS];
	/* Messages that are missing between those that were read, and those that marks announced.
	 */
	uint64_t missing, marked;
	bool is_inexact; /* a subscription with a mark was left: more is marked than is missing */
} subs[SUBS];

static struct hub *hub;
static uint64_t seed, now_us;
static uint64_t reads, resumed, lost, marks, fell_behind;

static size_t
random_below(size_t n)
{
	return (size_t)(testing_random(&seed) % n);
}

static struct slice
name_of(size_t channel)
{
	static const char *const names[CHANNELS] = {"a", "b", "c", "d", "e", "f"};

	return slice_of(names[channel]);
}

/* A message is "seq payload;", a notice "<missing;". */
static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	char text[24];

	(void)body;
	return (struct wire_ends){.head = (size_t)snprintf(text, sizeof(text), "%llu ",
				      (unsigned long long)m->position.seq),
	    .tail = 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu ", (unsigned long long)m->position.seq);
	memcpy(out, text, its.head);
	out[its.head + body->len] = ';';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu;", (unsigned long long)missed);
}

static const struct wire_form form = {
    .name = "positions", .ends = ends, .write_ends = write_ends, .notice = notice};

static void
set_line(const char *words)
{
	testing_set_line(hub, "*", words);
}

static void
attach(size_t i)
{
	struct outbox_limits limits = {
	    .bytes = 100 + random_below(2000),
	    .messages = (uint32_t)(1 + random_below(40)),
	};

	testing_reader_attach(&subs[i].reader, hub, limits, random_below(16));
	subs[i].missing = subs[i].marked = 0;
	subs[i].is_inexact = false;
}

/* One frame: "<missing>", or "seq channel:number xxx". */
static void
read_frame(struct testing_reader *reader, const char *frame)
{
	size_t i = (size_t)((struct sub *)(void *)reader - subs);
	unsigned long long seq, number;
	char name;
	size_t channel;

	if (frame[0] == '<') {
		subs[i].marked += strtoull(frame + 1, NULL, 10);
		marks++;
		return;
	}
	ck_assert_int_eq(sscanf(frame, "%llu %c:%llu", &seq, &name, &number), 3);
	channel = (size_t)(name - 'a');
	ck_assert(subs[i].channels[channel].is_subscribed);
	ck_assert_uint_gt(number, subs[i].channels[channel].read);
	if (seq != 0)
		ck_assert_uint_eq(seq, truth[channel].seqs[number - 1]);
	subs[i].missing += number - subs[i].channels[channel].read - 1;
	subs[i].channels[channel].read = subs[i].channels[channel].seen = number;
	subs[i].channels[channel].seq = truth[channel].seqs[number - 1];
	reads++;
}

static bool
read_some(size_t i, size_t max)
{
	return testing_reader_read(&subs[i].reader, max, read_frame);
}

static bool
is_replayed(size_t i)
{
	return hub_replay_progress(&subs[i].reader.subscriber).channels > 0;
}

/* Reads everything, replays included; then marks and missing messages must agree. */
static void
settle(size_t i)
{
	hub_start_replay(&subs[i].reader.subscriber);
	do {
		while (read_some(i, SIZE_MAX))
			continue;
		while (hub_replay(hub, now_us) == HUB_REPLAY_MORE)
			continue;
	} while (!subs[i].reader.is_closed && !outbox_is_empty(&subs[i].reader.subscriber.outbox));
	if (subs[i].reader.is_closed)
		return;
	ck_assert(!is_replayed(i));
	for (size_t c = 0; c < CHANNELS; c++)
		if (subs[i].channels[c].is_subscribed)
			subs[i].missing += truth[c].count - subs[i].channels[c].read;
	if (subs[i].reader.subscriber.outbox.limits.notify && !subs[i].is_inexact)
		ck_assert_uint_eq(subs[i].missing, subs[i].marked);
	else if (subs[i].reader.subscriber.outbox.limits.notify)
		ck_assert_uint_le(subs[i].missing, subs[i].marked);
	for (size_t c = 0; c < CHANNELS; c++)
		subs[i].channels[c].read = truth[c].count;
	subs[i].missing = subs[i].marked = 0;
	subs[i].is_inexact = false;
}

/* The number of messages of the channel up to that seq. */
static size_t
count_upto(size_t channel, uint64_t seq)
{
	size_t count = truth[channel].count;

	while (count > 0 && truth[channel].seqs[count - 1] > seq)
		count--;
	return count;
}

static void
subscribe(size_t i, size_t channel)
{
	struct subscriber *s = &subs[i].reader.subscriber;
	struct position_since since = {.kind = (enum position_kind)random_below(4)};
	struct hub_resumption resumption;

	if (subs[i].channels[channel].was_before && random_below(4) > 0) {
		since.kind = POSITION_AT;
		since.at = history_position(hub_history(hub));
		since.at.seq = subs[i].channels[channel].seq;
	} else if (since.kind == POSITION_AT) {
		since.kind = POSITION_NEW;
	}
	since.count = 1 + random_below(10);
	resumption = hub_judge(s, name_of(channel), &since, now_us);
	subs[i].channels[channel].is_subscribed = true;
	subs[i].channels[channel].was_before = true;
	if (resumption.verdict == HUB_NO_HISTORY) {
		ck_assert_int_eq(hub_subscribe(s, HUB_CHANNEL, name_of(channel)), HUB_OK);
		subs[i].channels[channel].read = subs[i].channels[channel].seen =
		    truth[channel].count;
		subs[i].channels[channel].seq = history_position(hub_history(hub)).seq;
		return;
	}
	resumed += resumption.verdict == HUB_RESUMED;
	lost += resumption.verdict == HUB_LOST;
	ck_assert(hub_can_resume(hub, name_of(channel), resumption.position.seq, now_us));
	ck_assert_int_eq(
	    hub_subscribe_after(s, name_of(channel), resumption.position.seq, now_us), HUB_OK);
	/* Resumed: behind the very message that it read last. */
	if (resumption.verdict != HUB_RESUMED)
		subs[i].channels[channel].seen = count_upto(channel, resumption.position.seq);
	subs[i].channels[channel].read = subs[i].channels[channel].seen;
	subs[i].channels[channel].seq = resumption.position.seq;
	ck_assert_uint_eq(truth[channel].count - subs[i].channels[channel].read, resumption.count);
	if (random_below(3) > 0)
		hub_start_replay(s);
}

static void
leave(size_t i, size_t channel)
{
	while (read_some(i, SIZE_MAX))
		continue;
	if (is_replayed(i))
		subs[i].is_inexact = true;
	else
		settle(i);
	if (subs[i].reader.is_closed)
		return;
	subs[i].channels[channel].is_subscribed = false;
	ck_assert_int_eq(
	    hub_unsubscribe(&subs[i].reader.subscriber, HUB_CHANNEL, name_of(channel)), HUB_OK);
}

/* The connection ends, and the next one resumes where this one was. */
static void
come_back(size_t i)
{
	bool was_subscribed[CHANNELS];

	while (!hub_detach(&subs[i].reader.subscriber, 1 + random_below(3)))
		continue;
	attach(i);
	for (size_t c = 0; c < CHANNELS; c++) {
		was_subscribed[c] = subs[i].channels[c].is_subscribed;
		subs[i].channels[c].is_subscribed = false;
	}
	for (size_t c = 0; c < CHANNELS; c++)
		if (was_subscribed[c])
			subscribe(i, c);
	hub_start_replay(&subs[i].reader.subscriber);
}

static void
publish(void)
{
	size_t channel = random_below(CHANNELS), expected = 0, receivers, len;
	struct hub_publication publication = {0};
	char text[LENGTH_MAX + 1];

	memset(text, 'x', sizeof(text));
	len = (size_t)snprintf(
	    text, sizeof(text), "%c:%zu ", (char)('a' + channel), truth[channel].count + 1);
	text[len] = 'x';
	if (random_below(20) == 0)
		len = LENGTH_MAX;
	else
		len += random_below(KEPT_LENGTH_MAX - len);
	for (size_t i = 0; i < SUBS; i++)
		expected += !subs[i].reader.is_closed && subs[i].channels[channel].is_subscribed;
	ck_assert_int_eq(hub_publish(hub, HUB_CHANNEL, name_of(channel), (struct slice){text, len},
			     now_us, &publication, &receivers),
	    HUB_OK);
	ck_assert_uint_eq(receivers, expected);
	if (truth[channel].count == truth[channel].room) {
		truth[channel].room = truth[channel].room > 0 ? truth[channel].room * 2 : 1024;
		truth[channel].seqs = xrealloc(
		    truth[channel].seqs, truth[channel].room * sizeof(*truth[channel].seqs));
	}
	truth[channel].seqs[truth[channel].count++] = history_position(hub_history(hub)).seq;
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

	set_line(lines[random_below(sizeof(lines) / sizeof(*lines))]);
	testing_history_limits.memory_bytes = random_below(3) > 0 ? 0 : 8000;
}

static void
step(void)
{
	size_t what = random_below(10000), i = random_below(SUBS);

	if (what < 4000)
		publish();
	else if (what < 7500)
		(void)(subs[i].reader.is_closed || read_some(i, 1 + random_below(300)));
	else if (what < 9000)
		(void)hub_replay(hub, now_us);
	else if (what < 9200)
		now_us += random_below(100000);
	else if (what < 9300)
		(void)!history_work(hub_history(hub), now_us, 1 + random_below(10));
	else if (what < 9900 && subs[i].reader.is_closed)
		come_back(i);
	else if (what < 9400)
		hub_start_replay(&subs[i].reader.subscriber);
	else if (what < 9500)
		come_back(i);
	else if (what < 9900) {
		size_t channel = random_below(CHANNELS);

		if (subs[i].channels[channel].is_subscribed)
			leave(i, channel);
		else
			subscribe(i, channel);
	} else if (what < 9980 && !subs[i].reader.is_closed)
		settle(i);
	else if (what < 9983)
		change_options();
	else if (what < 9986)
		(void)hub_delete_history(hub, name_of(random_below(CHANNELS)), now_us);
	else if (what < 9990)
		hub_shrink(hub);
	else if (what < 9992)
		hub_forget_history(hub);
	hub_tidy(hub);
}

static void
run(int steps)
{
	for (size_t i = 0; i < SUBS; i++) {
		memset(&subs[i], 0, sizeof(subs[i]));
		attach(i);
	}
	change_options();
	for (int n = 0; n < testing_steps(steps); n++)
		step();
	fell_behind += hub_replay_figures(hub).fell_behind;
	for (size_t i = 0; i < SUBS; i++) {
		if (!subs[i].reader.is_closed)
			settle(i);
		while (!hub_detach(&subs[i].reader.subscriber, 10))
			continue;
	}
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
}

static void
run_seed(uint64_t first_seed)
{
	seed = first_seed;
	now_us = 1;
	hub = testing_replay_hub(&form);
	run(100000);
	hub_free(hub);
	for (size_t c = 0; c < CHANNELS; c++) {
		xfree(truth[c].seqs);
		memset(&truth[c], 0, sizeof(truth[c]));
	}
}

START_TEST(every_subscriber_reads_the_truth_or_a_mark_of_the_right_size)
{
	for (uint64_t n = 1; n <= 10; n++)
		run_seed(n);
	/* Each of these was reached. */
	ck_assert_uint_gt(reads, 0);
	ck_assert_uint_gt(resumed, 0);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_gt(testing_readers.overtaken, 0);
	ck_assert_uint_gt(testing_readers.closed, testing_readers.overtaken);
	ck_assert_uint_gt(marks, 0);
	ck_assert_uint_gt(fell_behind, 0);
	printf("read %llu, resumed %llu, lost %llu, overtaken %llu, closed %llu, marks %llu\n",
	    (unsigned long long)reads, (unsigned long long)resumed, (unsigned long long)lost,
	    (unsigned long long)testing_readers.overtaken,
	    (unsigned long long)testing_readers.closed, (unsigned long long)marks);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_replay_model", NULL, NULL,
	    (const TTest *[]){every_subscriber_reads_the_truth_or_a_mark_of_the_right_size, NULL});
}
