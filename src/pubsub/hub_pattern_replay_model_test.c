#include "config.h"

#include "pubsub/hub_replay.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/glob.h"
#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_reader.h"
#include "pubsub/testing_replay.h"

/*
 * Replays of channels and patterns that overlap, against the truth: a list of all messages of each
 * channel. Subscribers subscribe, resume, leave, want one copy or all, publish themselves, are
 * closed and come back, while channels lose messages and rings and change their options. Through
 * each subscription a subscriber must read each message once and in order, or marks say how many
 * are missing.
 */

#define SUBS 6
#define CHANNELS 6
#define NAMES 13
#define LENGTH_MAX 90
#define KEPT_LENGTH_MAX 60 /* a longer message is not kept */

/* What can be subscribed to: the channels, and patterns. */
static const char *const names[NAMES] = {
    "a1", "a2", "b1", "b2", "c1", "c2", "a*", "b*", "*1", "[ab]*", "*", "?2", "[c]1"};

struct message {
	uint64_t seq; /* 0: it has none */
	bool is_kept;
	size_t publisher; /* the connection that does not get it; 0: none */
};

static struct {
	struct message *messages; /* message n is the n-th, from 1 on */
	size_t count, room;
} truth[CHANNELS];

static struct sub {
	struct testing_reader reader; /* the first member */
	size_t connection;            /* its number */
	bool is_subscribed[NAMES];
	/* Through this name, messages up to this one were read, or are known to be missing. */
	size_t read[NAMES][CHANNELS];
	uint64_t missing, marked;
	/* More may be marked than is missing: the subscriber left a name, or wanted one copy. */
	bool is_inexact;
	/* A mark may stand for any number: it wanted one copy for a while, or published. */
	bool is_vague;
} subs[SUBS];

static struct hub *hub;
static uint64_t seed, now_us;
static size_t connections;
static size_t reads, resumed, lost, marks, copies_saved, exact, vague;

static size_t
random_below(size_t n)
{
	return (size_t)(testing_random(&seed) % n);
}

static bool
is_pattern(size_t name)
{
	return name >= CHANNELS;
}

static bool
matches(size_t name, size_t channel)
{
	return is_pattern(name) ? glob_match(slice_of(names[name]), slice_of(names[channel]), false)
				: name == channel;
}

static size_t
name_of(const char *text)
{
	size_t name = 0;

	while (name < NAMES && strcmp(names[name], text) != 0)
		name++;
	return name;
}

static void
attach(size_t i)
{
	struct outbox_limits limits = {
	    .bytes = random_below(3) == 0 ? 0 : 100 + random_below(3000),
	    .messages = random_below(3) == 0 ? 0 : (uint32_t)(1 + random_below(40)),
	};

	testing_reader_attach(&subs[i].reader, hub, limits, random_below(16));
	subs[i].connection = ++connections;
	subs[i].missing = subs[i].marked = 0;
	subs[i].is_vague = false;
	subs[i].is_inexact = false;
	if (random_below(3) == 0) {
		hub_set_dedup(&subs[i].reader.subscriber, true);
		subs[i].is_inexact = true;
	}
}

/* The messages from `from` on and before `to` that subscriber i should have got. */
static uint64_t
count_own(size_t i, size_t channel, size_t from, size_t to)
{
	uint64_t count = 0;

	for (size_t n = from; n < to; n++)
		count += truth[channel].messages[n - 1].publisher != subs[i].connection;
	return count;
}

/* Up to which message of the channel the subscriber has read through any name. */
static size_t
read_by_any(size_t i, size_t channel)
{
	size_t most = 0;

	for (size_t n = 0; n < NAMES; n++)
		if (subs[i].is_subscribed[n] && matches(n, channel) &&
		    subs[i].read[n][channel] > most)
			most = subs[i].read[n][channel];
	return most;
}

/* One frame: "<missing", or "seq name channel:number xxx". */
static void
read_frame(struct testing_reader *reader, const char *frame)
{
	size_t i = (size_t)((struct sub *)(void *)reader - subs);
	unsigned long long seq, number;
	char name_text[16], channel_text[16];
	size_t name, channel, before;

	if (frame[0] == '<') {
		subs[i].marked += strtoull(frame + 1, NULL, 10);
		marks++;
		return;
	}
	ck_assert_int_eq(
	    sscanf(frame, "%llu %15s %15[^:]:%llu", &seq, name_text, channel_text, &number), 4);
	name = name_of(name_text);
	channel = name_of(channel_text);
	ck_assert(name < NAMES && channel < CHANNELS && matches(name, channel) &&
		  subs[i].is_subscribed[name]);
	ck_assert_uint_gt(number, subs[i].read[name][channel]);
	ck_assert_uint_eq(seq, truth[channel].messages[number - 1].seq);
	reads++;
	before = subs[i].read[name][channel];
	subs[i].read[name][channel] = number;
	if (!subs[i].reader.subscriber.dedup) {
		subs[i].missing += count_own(i, channel, before + 1, number);
		return;
	}
	subs[i].read[name][channel] = before;
	before = read_by_any(i, channel);
	subs[i].missing += count_own(i, channel, before + 1, number);
	for (size_t n = 0; n < NAMES; n++)
		if (matches(n, channel) && subs[i].read[n][channel] < number) {
			copies_saved += n != name && subs[i].is_subscribed[n];
			subs[i].read[n][channel] = number;
		}
}

static bool
read_some(size_t i, size_t max)
{
	return testing_reader_read(&subs[i].reader, max, read_frame);
}

static void
drain(size_t i)
{
	while (read_some(i, SIZE_MAX))
		continue;
}

static bool
is_replayed(size_t i)
{
	return hub_replay_progress(&subs[i].reader.subscriber).channels > 0;
}

/* Counts what was not read by now as missing. */
static void
count_missing(size_t i, size_t channel)
{
	size_t count = truth[channel].count, any = read_by_any(i, channel);

	for (size_t n = 0; n < NAMES; n++)
		if (subs[i].is_subscribed[n] && matches(n, channel)) {
			if (!subs[i].reader.subscriber.dedup)
				subs[i].missing +=
				    count_own(i, channel, subs[i].read[n][channel] + 1, count + 1);
			else if (any > 0)
				subs[i].missing += count_own(i, channel, any + 1, count + 1);
			any = 0;
			subs[i].read[n][channel] = count;
		}
}

/* Reads everything, replays included; then marks and missing messages must agree. */
static void
settle(size_t i)
{
	bool notify = subs[i].reader.subscriber.outbox.limits.notify;

	hub_start_replay(&subs[i].reader.subscriber);
	do {
		drain(i);
		while (hub_replay(hub, now_us) == HUB_REPLAY_MORE)
			continue;
	} while (!subs[i].reader.is_closed && !outbox_is_empty(&subs[i].reader.subscriber.outbox));
	if (subs[i].reader.is_closed)
		return;
	ck_assert(!is_replayed(i));
	for (size_t c = 0; c < CHANNELS; c++)
		count_missing(i, c);
	if (!subs[i].is_vague && !subs[i].is_inexact && notify) {
		ck_assert_uint_eq(subs[i].missing, subs[i].marked);
		exact++;
	} else if (!subs[i].is_vague && notify) {
		ck_assert_uint_le(subs[i].missing, subs[i].marked);
	} else if (subs[i].reader.subscriber.outbox.dropped == 0) {
		ck_assert_uint_eq(subs[i].missing, 0);
		vague++;
	}
	subs[i].missing = subs[i].marked = 0;
	subs[i].is_vague = false;
	subs[i].is_inexact = subs[i].reader.subscriber.dedup;
}

/* Sets what the subscriber has read when it begins behind that seq: kept messages follow. */
static void
begin_behind(size_t i, size_t name, size_t channel, uint64_t after_seq)
{
	size_t count = truth[channel].count, read = count, kept;

	while (read > 0 && truth[channel].messages[read - 1].is_kept &&
	       truth[channel].messages[read - 1].seq > after_seq)
		read--;
	if (count_own(i, channel, read + 1, count + 1) < count - read)
		subs[i].is_vague = true; /* its own messages are replayed to it */
	/* The last kept message before them: the channel has begun to keep again since. */
	for (kept = read; kept > 0 && !truth[channel].messages[kept - 1].is_kept; kept--)
		continue;
	ck_assert(kept == 0 || truth[channel].messages[kept - 1].seq <= after_seq);
	subs[i].read[name][channel] = read;
}

static void
subscribe_live(size_t i, size_t name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i].reader.subscriber,
			     is_pattern(name) ? HUB_PATTERN : HUB_CHANNEL, slice_of(names[name])),
	    HUB_OK);
	for (size_t c = 0; c < CHANNELS; c++)
		subs[i].read[name][c] = truth[c].count;
}

static void
subscribe(size_t i, size_t name)
{
	struct subscriber *s = &subs[i].reader.subscriber;
	struct slice text = slice_of(names[name]);
	uint64_t newest = history_position(hub_history(hub)).seq, back = random_below(60);
	uint64_t after_seq = newest > back ? newest - back : 0;
	bool can = is_pattern(name) ? testing_can_presume(hub, text, after_seq, now_us)
				    : hub_can_resume(hub, text, after_seq, now_us);

	drain(i);
	if (subs[i].reader.is_closed)
		return;
	subs[i].is_subscribed[name] = true;
	if (random_below(4) == 0 || !can) {
		lost += !can;
		subscribe_live(i, name);
		return;
	}
	if (is_pattern(name))
		testing_psubscribe_after(s, text, after_seq, now_us);
	else
		ck_assert_int_eq(hub_subscribe_after(s, text, after_seq, now_us), HUB_OK);
	resumed++;
	for (size_t c = 0; c < CHANNELS; c++)
		if (matches(name, c))
			begin_behind(i, name, c, after_seq);
	if (random_below(3) > 0)
		hub_start_replay(s);
}

static void
leave(size_t i, size_t name)
{
	drain(i);
	if (is_replayed(i))
		subs[i].is_inexact = true;
	else
		settle(i);
	if (subs[i].reader.is_closed)
		return;
	subs[i].is_subscribed[name] = false;
	ck_assert_int_eq(hub_unsubscribe(&subs[i].reader.subscriber,
			     is_pattern(name) ? HUB_PATTERN : HUB_CHANNEL, slice_of(names[name])),
	    HUB_OK);
}

static void
switch_dedup(size_t i)
{
	drain(i);
	hub_set_dedup(&subs[i].reader.subscriber, !subs[i].reader.subscriber.dedup);
	subs[i].is_vague = true;
}

/* Subscriptions that get a message of the channel. */
static size_t
receivers_of(size_t channel, size_t publisher)
{
	size_t count = 0;

	for (size_t i = 0; i < SUBS; i++) {
		size_t its = 0;

		for (size_t n = 0; n < NAMES; n++)
			its += subs[i].is_subscribed[n] && matches(n, channel);
		if (!subs[i].reader.is_closed && publisher != subs[i].connection)
			count += subs[i].reader.subscriber.dedup && its > 1 ? 1 : its;
	}
	return count;
}

static void
add_truth(size_t channel, struct message message)
{
	if (truth[channel].count == truth[channel].room) {
		truth[channel].room = truth[channel].room > 0 ? truth[channel].room * 2 : 1024;
		truth[channel].messages = xrealloc(truth[channel].messages,
		    truth[channel].room * sizeof(*truth[channel].messages));
	}
	truth[channel].messages[truth[channel].count++] = message;
}

static void
publish(void)
{
	size_t channel = random_below(random_below(2) == 0 ? 2 : CHANNELS), expected, len;
	size_t i = random_below(SUBS), publisher = random_below(20) == 0 ? subs[i].connection : 0;
	struct hub_publication publication = {0};
	struct hub_outcome outcome;
	struct hub_post post = {.kind = HUB_CHANNEL, .channel = slice_of(names[channel])};
	char text[LENGTH_MAX + 1];

	memset(text, 'x', sizeof(text));
	len = (size_t)snprintf(
	    text, sizeof(text), "%s:%zu ", names[channel], truth[channel].count + 1);
	text[len] = 'x';
	len = random_below(40) == 0 ? LENGTH_MAX : len + random_below(KEPT_LENGTH_MAX - len);
	post.payload = (struct slice){text, len};
	if (publisher > 0) {
		post.except = &subs[i].reader.subscriber;
		subs[i].is_vague = true;
	}
	expected = receivers_of(channel, publisher);
	ck_assert_int_eq(hub_post(hub, &post, now_us, &publication, &outcome), HUB_OK);
	/* One that is closed by its first copy gets no second one. */
	ck_assert(
	    outcome.receivers <= expected && outcome.receivers >= receivers_of(channel, publisher));
	add_truth(channel, (struct message){.seq = outcome.position.seq,
			       .is_kept = outcome.position.seq != 0 && len <= KEPT_LENGTH_MAX,
			       .publisher = publisher});
}

/* The connection ends, in slices between which others go on, and the next one resumes. */
static void
come_back(size_t i)
{
	bool was_subscribed[NAMES];

	memcpy(was_subscribed, subs[i].is_subscribed, sizeof(was_subscribed));
	memset(subs[i].is_subscribed, 0, sizeof(subs[i].is_subscribed));
	while (!hub_detach(&subs[i].reader.subscriber, 1 + random_below(3))) {
		subs[i].reader.is_closed = true;
		if (random_below(4) == 0)
			publish();
		if (random_below(4) == 0)
			(void)hub_replay(hub, now_us);
	}
	attach(i);
	for (size_t n = 0; n < NAMES; n++)
		if (was_subscribed[n] && !subs[i].reader.is_closed)
			subscribe(i, n);
	hub_start_replay(&subs[i].reader.subscriber);
}

static void
change_options(void)
{
	static const char *const lines[] = {
	    "history-size 5 history-ttl 1 history-bytes 1kb history-message-bytes 60",
	    "history-size 40 history-ttl 1 history-bytes 4kb history-message-bytes 60",
	    "history-size 300 history-ttl 3 history-bytes 20kb history-message-bytes 60",
	    "history-size 300 history-ttl 3 history-bytes 20kb history-message-bytes 60",
	    "history-size 0",
	};
	static const char *const globs[] = {"*", "*", "a1", "?2"};

	testing_set_line(
	    hub, globs[random_below(4)], lines[random_below(sizeof(lines) / sizeof(*lines))]);
	testing_history_limits.memory_bytes = random_below(3) > 0 ? 0 : 8000;
	testing_history_limits.channels = random_below(3) > 0 ? 100 : 2 + (uint32_t)random_below(4);
}

static void
step(void)
{
	size_t what = random_below(10000), i = random_below(SUBS), name = random_below(NAMES);

	if (what < 4000)
		publish();
	else if (what < 7000)
		(void)(subs[i].reader.is_closed || read_some(i, 1 + random_below(400)));
	else if (what < 8800)
		(void)hub_replay(hub, now_us);
	else if (what < 9000)
		now_us += random_below(100000);
	else if (what < 9100)
		(void)!history_work(hub_history(hub), now_us, 1 + random_below(10));
	else if (what < 9900 && subs[i].reader.is_closed)
		come_back(i);
	else if (what < 9300)
		hub_start_replay(&subs[i].reader.subscriber);
	else if (what < 9350)
		come_back(i);
	else if (what < 9400)
		switch_dedup(i);
	else if (what < 9900 && subs[i].is_subscribed[name])
		leave(i, name);
	else if (what < 9900)
		subscribe(i, name);
	else if (what < 9980 && !subs[i].reader.is_closed)
		settle(i);
	else if (what < 9984)
		change_options();
	else if (what < 9987)
		(void)hub_delete_history(hub, slice_of(names[random_below(CHANNELS)]), now_us);
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
	hub = testing_replay_hub(&testing_name_form);
	run(100000);
	hub_free(hub);
	for (size_t c = 0; c < CHANNELS; c++) {
		xfree(truth[c].messages);
		memset(&truth[c], 0, sizeof(truth[c]));
	}
}

START_TEST(every_subscriber_reads_the_truth_or_a_mark_of_the_right_size)
{
	for (uint64_t n = 1; n <= 10; n++)
		run_seed(n);
	printf("read %llu, resumed %llu, lost %llu, overtaken %llu, closed %llu, marks %llu, "
	       "copies saved %llu, exact %llu, vague %llu\n",
	    (unsigned long long)reads, (unsigned long long)resumed, (unsigned long long)lost,
	    (unsigned long long)testing_readers.overtaken,
	    (unsigned long long)testing_readers.closed, (unsigned long long)marks,
	    (unsigned long long)copies_saved, (unsigned long long)exact, (unsigned long long)vague);
	/* Each of these was reached. */
	ck_assert_uint_gt(reads, 0);
	ck_assert_uint_gt(resumed, 0);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_gt(testing_readers.overtaken, 0);
	ck_assert_uint_gt(testing_readers.closed, testing_readers.overtaken);
	ck_assert_uint_gt(marks, 0);
	ck_assert_uint_gt(copies_saved, 0);
	ck_assert_uint_gt(exact, 0);
	ck_assert_uint_gt(vague, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_pattern_replay_model", NULL, NULL,
	    (const TTest *[]){every_subscriber_reads_the_truth_or_a_mark_of_the_right_size, NULL});
}
