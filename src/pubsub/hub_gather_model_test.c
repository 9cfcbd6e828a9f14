#include "config.h"

#include "pubsub/hub_gather.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/glob.h"
#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_replay.h"

/*
 * Gathers against the truth: a list of all messages of each channel, from the beginning. Between
 * the steps of several gathers, channels are published to, expire, are evicted and deleted, and
 * change their options. A gather that is done must have each channel with a message behind the
 * position, and no message behind it may be gone; one that is lost must have a reason.
 */

#define CHANNELS 36
#define GATHERS 4
#define PATTERNS 3
#define STEPS 1000000
#define S UINT64_C(1000000)

static struct {
	uint64_t *seqs; /* of messages that were to be kept */
	size_t count, room;
	uint64_t unkept_to; /* a message was not kept when this was the newest seq */
	bool missed;        /* unkept_to is set */
	char name[8];
} channels[CHANNELS];

static const char *const globs[] = {"a*", "b?", "*1", "*", "c[0-4]", "a1", "?[5-9]", "x*"};
#define GLOBS (sizeof(globs) / sizeof(*globs))

static struct {
	struct hub_gather *gather;
	size_t globs[PATTERNS], count;
	struct hub_start starts[PATTERNS];
	struct position_since since;
	bool judges; /* hub_gather_since() */
	bool has_paused;
	uint32_t channels_max;
} gathers[GATHERS];

static struct hub *hub;
static struct subscriber subscriber;
static uint64_t seed, now_us, floor_seq;
static uint64_t done, lost, too_many, judged[HUB_VERDICTS];

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static struct slice
name_of(size_t i)
{
	return slice_of(channels[i].name);
}

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
setup(void)
{
	static const struct subscriber_ops ops = {ignore, ignore, ignore, ignore};
	static const struct outbox_limits limits = {.policy = OUTBOX_DISCONNECT};

	hub = testing_replay_hub(&testing_form);
	hub_attach(hub, &subscriber, &ops, &limits, 0, NULL);
	for (int i = 0; i < CHANNELS; i++)
		snprintf(
		    channels[i].name, sizeof(channels[i].name), "%c%d", "abcd"[i / 10], i % 10);
	testing_set_line(hub, "a*", "history-size 4 history-ttl 600");
	testing_set_line(hub, "b*", "history-size 50 history-ttl 20 history-message-bytes 40");
}

static void
teardown(void)
{
	while (!hub_detach(&subscriber, 100))
		continue;
	hub_free(hub);
	for (int i = 0; i < CHANNELS; i++)
		xfree(channels[i].seqs);
}

static void
publish(void)
{
	static const char payload[64] = "";
	size_t i = below(CHANNELS) * below(CHANNELS) / CHANNELS, receivers;
	struct hub_publication publication = {0};
	uint64_t before = history_position(hub_history(hub)).seq;

	ck_assert_int_eq(hub_publish(hub, HUB_CHANNEL, name_of(i),
			     (struct slice){payload, below(20) == 0 ? 60 : 10}, now_us,
			     &publication, &receivers),
	    HUB_OK);
	if (history_position(hub_history(hub)).seq == before) {
		channels[i].unkept_to = before;
		channels[i].missed = true;
		return;
	}
	if (channels[i].count == channels[i].room) {
		channels[i].room = channels[i].room > 0 ? channels[i].room * 2 : 64;
		channels[i].seqs =
		    xrealloc(channels[i].seqs, channels[i].room * sizeof(*channels[i].seqs));
	}
	channels[i].seqs[channels[i].count++] = before + 1;
}

static void
change_options(void)
{
	static const char *const lines[] = {"history-size 0", "history-size 2 history-ttl 30",
	    "history-size 30 history-ttl 5", "history-size 200 history-ttl 300"};
	static const char *const names[] = {"a*", "b*", "c*", "a1", "d*", "b[0-3]"};

	testing_set_line(hub, names[below(6)], lines[below(4)]);
}

static void
change_limits(void)
{
	testing_history_limits.channels = below(2) == 0 ? 1000 : 5 + (uint32_t)below(CHANNELS);
	testing_history_limits.memory_bytes = below(2) == 0 ? 0 : 3000 + below(30000);
}

/* Messages were missed in every channel. */
static void
forget(void)
{
	for (size_t i = 0; i < CHANNELS; i++) {
		channels[i].unkept_to = history_position(hub_history(hub)).seq;
		channels[i].missed = true;
	}
	hub_forget_history(hub);
	floor_seq = history_position(hub_history(hub)).seq;
}

/* Behind which a reader gets messages that wants those behind that seq. */
static uint64_t
above_floor(uint64_t seq)
{
	return seq > floor_seq ? seq : floor_seq;
}

/* True if all messages behind the seq that were to be kept are in the ring. */
static bool
is_whole(size_t i, const struct ring *ring, uint64_t seq)
{
	size_t missing = 0;

	for (size_t n = channels[i].count; n > 0 && channels[i].seqs[n - 1] > seq; n--)
		missing++;
	return (ring != NULL ? ring_count_after(ring, seq) : 0) == missing &&
	       !(channels[i].missed && channels[i].unkept_to >= seq && hub_keeps(hub, name_of(i)));
}

static const struct hub_matched *
find(const struct hub_matched *matched, size_t count, size_t i)
{
	const struct hub_matched *found = NULL;

	for (size_t n = 0; n < count; n++) {
		if (!slice_eq(topic_name(matched[n].topic), name_of(i)))
			continue;
		ck_assert_ptr_null(found);
		found = &matched[n];
	}
	return found;
}

/* Checks the channels of a pattern; returns the number of their messages. */
static uint64_t
check_pattern(size_t glob, struct hub_start start, const struct hub_matched *matched, size_t count)
{
	uint64_t messages = 0, after_seq = above_floor(start.after_seq);
	size_t found = 0;

	for (size_t i = 0; i < CHANNELS; i++) {
		const struct ring *ring = hub_ring(hub, name_of(i), now_us);
		const struct hub_matched *m;

		if (!glob_match(slice_of(globs[glob]), name_of(i), false))
			continue;
		ck_assert(is_whole(i, ring, start.whole_seq));
		m = find(matched, count, i);
		ck_assert_int_eq(m != NULL, ring != NULL && ring->newest_seq > after_seq);
		if (m == NULL)
			continue;
		found++;
		ck_assert_uint_ge(m->after_seq, after_seq);
		ck_assert(!ring_overtook(ring, m->after_seq));
		ck_assert_uint_eq(
		    ring_count_after(ring, m->after_seq), ring_count_after(ring, after_seq));
		ck_assert_uint_eq(
		    m->number + (uint32_t)ring_count_after(ring, m->after_seq), ring->appended);
		messages += ring_count_after(ring, m->after_seq);
	}
	ck_assert_uint_eq(found, count);
	return messages;
}

static size_t
channels_of(size_t glob, uint64_t after_seq)
{
	size_t count = 0;

	for (size_t i = 0; i < CHANNELS; i++) {
		const struct ring *ring = hub_ring(hub, name_of(i), now_us);

		count += ring != NULL && ring->newest_seq > after_seq &&
			 glob_match(slice_of(globs[glob]), name_of(i), false);
	}
	return count;
}

static uint64_t
messages_of(size_t glob, uint64_t after_seq)
{
	uint64_t count = 0;

	for (size_t i = 0; i < CHANNELS; i++) {
		const struct ring *ring = hub_ring(hub, name_of(i), now_us);

		if (ring != NULL && glob_match(slice_of(globs[glob]), name_of(i), false))
			count += ring_count_after(ring, after_seq);
	}
	return count;
}

/* The pattern may be lost only if something is missing, or was forgotten. */
static void
check_lost(size_t glob, uint64_t whole_seq)
{
	bool is_lost = history_forgotten_seq(hub_history(hub)) > whole_seq;

	for (size_t i = 0; i < CHANNELS; i++)
		if (glob_match(slice_of(globs[glob]), name_of(i), false))
			is_lost =
			    is_lost || !is_whole(i, hub_ring(hub, name_of(i), now_us), whole_seq);
	ck_assert(is_lost);
}

static void
check_judgement(size_t g, enum hub_gather_result result)
{
	const struct position_since *since = &gathers[g].since;
	struct hub_start start = {0, 0};
	struct hub_resumption r = hub_gather_judge(gathers[g].gather, result, &start);
	uint64_t newest = history_position(hub_history(hub)).seq, all;
	const struct hub_matched *matched;
	size_t count;

	judged[r.verdict]++;
	if (r.verdict == HUB_LOST) {
		ck_assert_uint_eq(r.position.seq, newest);
		ck_assert_uint_eq(r.count, 0);
		return;
	}
	ck_assert_int_eq(r.verdict, since->kind == POSITION_AT ? HUB_RESUMED : HUB_NEW);
	ck_assert_uint_eq(r.position.seq, start.after_seq);
	ck_assert_uint_eq(start.whole_seq, since->kind == POSITION_AT ? since->at.seq : newest);
	matched = hub_gather_matched(gathers[g].gather, 0, &count);
	ck_assert_uint_eq(check_pattern(gathers[g].globs[0], start, matched, count), r.count);
	all = messages_of(gathers[g].globs[0], floor_seq);
	if (since->kind == POSITION_ALL)
		ck_assert_uint_eq(r.count, all);
	else if (since->kind == POSITION_LAST && !gathers[g].has_paused)
		ck_assert_uint_eq(r.count, all < since->count ? all : since->count);
}

static void
check_ended(size_t g, enum hub_gather_result result)
{
	struct hub_gather *gather = gathers[g].gather;
	size_t total = 0, count;

	if (result == HUB_GATHER_LOST)
		check_lost(gathers[g].globs[hub_gather_lost(gather)],
		    gathers[g].starts[hub_gather_lost(gather)].whole_seq);
	for (size_t p = 0; p < gathers[g].count; p++) {
		if (result == HUB_GATHER_DONE && !gathers[g].judges) {
			const struct hub_matched *matched =
			    hub_gather_matched(gather, (uint32_t)p, &count);

			(void)check_pattern(
			    gathers[g].globs[p], gathers[g].starts[p], matched, count);
		}
		total +=
		    channels_of(gathers[g].globs[p], above_floor(gathers[g].starts[p].after_seq));
	}
	/* Between steps, channels that were gathered may have gone. */
	if (result == HUB_GATHER_TOO_MANY && !gathers[g].has_paused)
		ck_assert_uint_gt(total, gathers[g].channels_max);
}

static void
leave(size_t g)
{
	hub_gather_free(gathers[g].gather);
	memset(&gathers[g], 0, sizeof(gathers[g]));
}

static void
go_on(size_t g)
{
	enum hub_gather_result result =
	    hub_gather_step(gathers[g].gather, now_us, 1 + below(below(3) == 0 ? 100 : 8));

	if (result != HUB_GATHER_MORE)
		check_ended(g, result);
	if (result != HUB_GATHER_MORE && gathers[g].judges)
		check_judgement(g, result);
	done += result == HUB_GATHER_DONE;
	lost += result == HUB_GATHER_LOST;
	too_many += result == HUB_GATHER_TOO_MANY;
	gathers[g].has_paused = true;
	/* What is done is sometimes brought up to date later. */
	if (result == HUB_GATHER_LOST || result == HUB_GATHER_TOO_MANY ||
	    (result == HUB_GATHER_DONE && (gathers[g].judges || below(3) > 0)))
		leave(g);
}

static uint64_t
random_seq(void)
{
	uint64_t newest = history_position(hub_history(hub)).seq;
	uint64_t back = below(1 + below(below(2) == 0 ? 30 : 1000));

	return newest > back ? newest - back : 0;
}

static void
begin_judging(size_t g)
{
	struct position_since *since = &gathers[g].since;
	struct hub_resumption out;

	since->kind = (enum position_kind)below(4);
	since->at = (struct hub_position){TESTING_EPOCH + (below(20) == 0), random_seq()};
	if (below(20) == 0)
		since->at.seq = history_position(hub_history(hub)).seq + 1;
	since->count = 1 + below(below(2) == 0 ? 10 : 100);
	gathers[g].globs[0] = below(GLOBS);
	gathers[g].count = 1;
	gathers[g].judges = true;
	gathers[g].starts[0] = (struct hub_start){since->at.seq, since->at.seq};
	if (since->kind != POSITION_AT)
		gathers[g].starts[0] = (struct hub_start){0, 0};
	gathers[g].gather = hub_gather_since(&subscriber, slice_of(globs[gathers[g].globs[0]]),
	    since, gathers[g].channels_max, &out);
	if (gathers[g].gather != NULL)
		return;
	judged[out.verdict]++;
	if (out.verdict == HUB_LOST)
		ck_assert(since->at.epoch != TESTING_EPOCH ||
			  since->at.seq > history_position(hub_history(hub)).seq);
	else if (out.verdict == HUB_NEW)
		ck_assert(since->kind == POSITION_NEW &&
			  out.position.seq == history_position(hub_history(hub)).seq);
	else
		ck_assert_int_eq(out.verdict, HUB_NO_HISTORY);
	leave(g);
}

static void
begin(size_t g)
{
	gathers[g].channels_max = below(5) == 0 ? 1 + (uint32_t)below(20) : 1000;
	if (below(2) == 0) {
		begin_judging(g);
		return;
	}
	gathers[g].gather = hub_gather_new(hub, gathers[g].channels_max);
	gathers[g].count = 1 + below(PATTERNS);
	for (size_t p = 0; p < gathers[g].count; p++) {
		uint64_t first = random_seq(), second = random_seq();
		uint32_t number;

		/* Different patterns, of which GLOBS is not a multiple of the distance. */
		gathers[g].globs[p] = (gathers[g].globs[0] + p * 3) % GLOBS;
		gathers[g].starts[p] = first < second ? (struct hub_start){first, second}
						      : (struct hub_start){first, first};
		number = hub_gather_add(
		    gathers[g].gather, slice_of(globs[gathers[g].globs[p]]), gathers[g].starts[p]);
		ck_assert_uint_eq(number, p);
	}
}

static bool
is_any_paused(void)
{
	bool is_paused = false;

	for (size_t g = 0; g < GATHERS; g++)
		is_paused = is_paused || gathers[g].has_paused;
	return is_paused;
}

static void
step(void)
{
	uint64_t what = below(1000);
	size_t g = below(GATHERS);

	if (what < 500) {
		publish();
	} else if (what < 960) {
		if (gathers[g].gather != NULL)
			go_on(g);
		else
			begin(g);
	} else if (what < 975) {
		now_us += below(S);
		/* What has expired is removed before a visited ring is looked at again. */
		while (is_any_paused() && !history_work(hub_history(hub), now_us, 1000))
			continue;
	} else if (what < 990) {
		(void)!history_work(hub_history(hub), now_us, below(50));
	} else if (what < 994) {
		(void)hub_delete_history(hub, name_of(below(CHANNELS)), now_us);
	} else if (what < 995) {
		change_options();
	} else if (what < 996) {
		change_limits();
	} else if (what < 998 && gathers[g].gather != NULL) {
		leave(g);
	} else if (what == 999 && below(5) == 0) {
		forget();
	}
}

START_TEST(gathers_equal_the_truth_over_random_operations)
{
	seed = 20261129;
	now_us = S;
	for (int i = 0; i < testing_steps(STEPS); i++)
		step();
	for (size_t g = 0; g < GATHERS; g++)
		leave(g);
	ck_assert_uint_gt(done, 1000);
	ck_assert_uint_gt(lost, 500);
	ck_assert_uint_gt(too_many, 100);
	ck_assert_uint_gt(judged[HUB_RESUMED], 100);
	ck_assert_uint_gt(judged[HUB_NEW], 300);
	ck_assert_uint_gt(judged[HUB_LOST], 100);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_gather_model", setup, teardown,
	    (const TTest *[]){gathers_equal_the_truth_over_random_operations, NULL});
}
