#include "config.h"

#include "pubsub/hub_follow.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_history.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_replay.h"

/* Gathers in hubs that follow, whose rings are in no order. */

#define S UINT64_C(1000000)
#define EPOCH 7
#define CHANNELS 60
#define APART 64

static struct hub *hub;
static struct subscriber sub;
static struct hub_gather *gather;
static struct hub_start start;

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static const struct subscriber_ops ops = {ignore, ignore, ignore, ignore};

static void
setup(void)
{
	const struct outbox_limits none = {.bytes = 0};

	hub = testing_replay_hub(&testing_name_form);
	hub_follow(hub);
	hub_follow_from(hub, (struct hub_position){EPOCH, 0});
	testing_set_line(hub, "k*", "history-size 20 history-ttl 60");
	hub_follow_to(hub, 1000);
	hub_attach(hub, &sub, &ops, &none, 0, NULL);
	gather = NULL;
}

static void
teardown(void)
{
	hub_gather_free(gather);
	while (!hub_detach(&sub, 100))
		continue;
	hub_free(hub);
}

static uint64_t
newest(void)
{
	return history_position(hub_history(hub)).seq;
}

static void
post(const char *channel, uint64_t seq)
{
	const struct hub_post message = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = SLICE("x"), .seq = seq};
	struct hub_outcome outcome;

	hub_set_time(hub, S);
	ck_assert_int_eq(hub_post_now(hub, &message, HUB_WITHIN_LIMITS, &outcome), HUB_OK);
}

/* With `count` messages up to newest_seq, one of `every` positions each. */
static void
load_some(const char *channel, uint64_t newest_seq, size_t count, uint64_t every)
{
	struct hub_loaded_message messages[20];
	const struct hub_loaded loaded = {.channel = slice_of(channel),
	    .messages = messages,
	    .newest_seq = newest_seq,
	    .trimmed_seq = newest_seq - count * every,
	    .number = newest_seq,
	    .count = count};

	for (size_t i = 0; i < count; i++)
		messages[i] = (struct hub_loaded_message){
		    .seq = newest_seq - (count - 1 - i) * every, .payload = SLICE("x")};
	hub_load_history(hub, &loaded, S);
}

static void
load(const char *channel, uint64_t newest_seq, size_t count)
{
	load_some(channel, newest_seq, count, 1);
}

static void
begin(const char *pattern, struct position_since since)
{
	struct hub_resumption out;

	hub_gather_free(gather);
	gather = hub_gather_since(&sub, slice_of(pattern), &since, 1000, &out);
	ck_assert_ptr_nonnull(gather);
}

static enum hub_gather_result
step(size_t budget)
{
	return hub_gather_step(gather, S, budget);
}

static struct position_since
all(void)
{
	return (struct position_since){.kind = POSITION_ALL};
}

static struct position_since
last(uint64_t count)
{
	return (struct position_since){.kind = POSITION_LAST, .count = count};
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The channels that were gathered, sorted, with the position behind which each begins. */
static const char *
channels(void)
{
	static char text[8192], parts[200][40];
	char *sorted[200] = {NULL};
	size_t count, len = 0;
	const struct hub_matched *matched = hub_gather_matched(gather, 0, &count);

	ck_assert_uint_lt(count, 200);
	for (size_t i = 0; i < count; i++) {
		snprintf(parts[i], sizeof(parts[i]), "%.*s+%llu", (int)matched[i].topic->name_len,
		    matched[i].topic->name, (unsigned long long)matched[i].after_seq);
		sorted[i] = parts[i];
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "", sorted[i]);
	return text;
}

START_TEST(loaded_rings_are_found_whatever_their_order)
{
	load("k1", 900, 3);
	load("k2", 100, 2);
	post("k3", 1001);
	load("k4", 50, 1);
	load("k5", 950, 0);
	post("k2", 1002);
	load("k6", 1, 1);
	begin("k*", all());
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	/* k5 has no message, but the replay knows how far it is. */
	ck_assert_str_eq(channels(), "k1+897 k2+98 k3+0 k4+49 k5+950 k6+0");
	ck_assert_uint_eq(hub_gather_judge(gather, HUB_GATHER_DONE, &start).count, 9);
	begin("k*", last(4));
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_uint_eq(hub_gather_judge(gather, HUB_GATHER_DONE, &start).count, 4);
	ck_assert_uint_eq(start.after_seq, 898);
	ck_assert_str_eq(channels(), "k1+898 k2+898 k3+898 k5+950");
}
END_TEST

START_TEST(no_pattern_can_be_resumed)
{
	const struct position_since since = {.kind = POSITION_AT, .at = {EPOCH, 1000}};
	const struct position_since new = {.kind = POSITION_NEW};
	struct hub_resumption out;

	load("k1", 900, 3);
	ck_assert_ptr_null(hub_gather_since(&sub, SLICE("k*"), &since, 10, &out));
	ck_assert_int_eq(out.verdict, HUB_LOST);
	ck_assert_uint_eq(out.position.seq, 1000);
	ck_assert_ptr_null(hub_gather_since(&sub, SLICE("k*"), &new, 10, &out));
	ck_assert_int_eq(out.verdict, HUB_NEW);
}
END_TEST

/* No message has come meanwhile. */
START_TEST(rings_that_are_loaded_between_steps_are_found)
{
	load("k1", 900, 3);
	load("k2", 800, 2);
	begin("k*", all());
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	load("k3", 700, 2);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "k1+897 k2+798 k3+698");
	load("k4", 600, 2);
	hub_drop_history(hub, SLICE("k1"), S);
	load("k1", 500, 1);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "k1+499 k2+798 k3+698 k4+598");
	ck_assert_uint_eq(hub_gather_judge(gather, HUB_GATHER_DONE, &start).count, 7);
}
END_TEST

START_TEST(a_gather_ends_while_messages_come)
{
	char name[16];
	int steps = 0;

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		load(name, 900, 1);
	}
	begin("k*", all());
	while (step(10) == HUB_GATHER_MORE) {
		post("k1", newest() + 1);
		hub_follow_to(hub, newest() + 5);
		ck_assert_int_lt(++steps, 70);
	}
	ck_assert_int_gt(steps, 45);
}
END_TEST

START_TEST(behind_the_newest_message_no_ring_is_looked_at)
{
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		load(name, 900, 1);
	}
	gather = hub_gather_new(hub, 1000);
	(void)hub_gather_add(gather, SLICE("k*"), (struct hub_start){newest(), newest()});
	ck_assert_int_eq(step(1), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "");
	post("k7", 1001);
	load("k100", 800, 1);
	post("k100", 1002);
	load("k101", 800, 1);
	ck_assert_int_eq(step(3), HUB_GATHER_MORE);
	ck_assert_int_eq(step(3), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "k100+1000 k7+1000");
}
END_TEST

START_TEST(missing_messages_are_not_gathered)
{
	load("k1", 900, 3);
	load("k2", 800, 2);
	begin("k*", all());
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	hub_follow_to(hub, 1010);
	hub_miss_history(hub, SLICE("k1"), 1010, 3);
	hub_miss_history(hub, SLICE("k2"), 1009, 3);
	post("k2", 1011);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "k1+1010 k2+1009");
	ck_assert_uint_eq(hub_gather_judge(gather, HUB_GATHER_DONE, &start).count, 1);
}
END_TEST

START_TEST(rings_of_a_history_that_begins_anew_are_found)
{
	load("k1", 900, 3);
	load("k2", 800, 2);
	begin("k*", all());
	ck_assert_int_eq(step(1), HUB_GATHER_MORE);
	hub_follow_from(hub, (struct hub_position){EPOCH + 1, 2000});
	load("k1", 1900, 3);
	ck_assert_int_eq(step(100), HUB_GATHER_DONE);
	ck_assert_str_eq(channels(), "k1+1897");
	ck_assert_uint_eq(hub_gather_judge(gather, HUB_GATHER_DONE, &start).count, 3);
}
END_TEST

/* Any change of a random channel. No position is that of two channels: those of messages that are
 * loaded have the channel's number modulo APART. */
static void
change(uint64_t *seed)
{
	size_t what = testing_random(seed) % 10, channel = testing_random(seed) % CHANNELS;
	uint64_t top = newest() / APART - 1;
	char name[16];

	snprintf(name, sizeof(name), "%c%zu", testing_random(seed) % 8 == 0 ? 'o' : 'k', channel);
	if (what < 4) {
		top = top < 40 ? top : 20 + testing_random(seed) % (top - 19);
		load_some(name, top * APART + channel, testing_random(seed) % 20 % top, APART);
	} else if (what < 7) {
		post(name, (newest() / APART + 2) * APART - 1);
	} else if (what < 8) {
		hub_follow_to(hub, newest() + 1);
		hub_miss_history(hub, slice_of(name), newest(), 1);
	} else if (what < 9) {
		hub_drop_history(hub, slice_of(name), S);
	} else {
		testing_history_limits.channels = (uint32_t)(10 + testing_random(seed) % 60);
		(void)!history_work(hub_history(hub), S, 100);
	}
}

/* Exactly the channels whose rings have a newest message behind the start. */
static void
ck_complete(void)
{
	struct hub_resumption r = hub_gather_judge(gather, HUB_GATHER_DONE, &start);
	size_t count, expected = 0;
	const struct hub_matched *matched = hub_gather_matched(gather, 0, &count);
	uint64_t behind = 0;
	char name[16];

	for (int i = 0; i < CHANNELS; i++) {
		const struct ring *ring;
		size_t found = 0;

		snprintf(name, sizeof(name), "k%d", i);
		ring = hub_ring(hub, slice_of(name), S);
		if (ring == NULL || ring->newest_seq <= start.after_seq)
			continue;
		expected++;
		behind += ring_count_after(ring, start.after_seq);
		for (size_t k = 0; k < count; k++)
			if (slice_eq(topic_name(matched[k].topic), slice_of(name))) {
				uint64_t after = matched[k].after_seq;

				found++;
				ck_assert_uint_eq(matched[k].number,
				    ring->appended - (uint32_t)ring_count_after(ring, after));
				ck_assert_uint_eq(ring_count_after(ring, after),
				    ring_count_after(ring, start.after_seq));
			}
		ck_assert_uint_eq(found, 1);
	}
	ck_assert_uint_eq(count, expected);
	ck_assert_uint_eq(r.count, behind);
}

START_TEST(every_ring_is_found_whatever_happens_between_steps)
{
	uint64_t seed = 5, done = 0, with_steps = 0;

	for (int run = 0; run < testing_steps(2000); run++) {
		uint64_t wanted = 1 + testing_random(&seed) % 50, kept = 0;
		bool has_changed = false, is_last = testing_random(&seed) % 2 == 0;
		enum hub_gather_result result;

		for (int i = 0; i < 20; i++)
			change(&seed);
		begin("k*", is_last ? last(wanted) : all());
		while ((result = step(1 + testing_random(&seed) % 40)) == HUB_GATHER_MORE) {
			has_changed = true;
			for (uint64_t i = testing_random(&seed) % 4; i > 0; i--)
				change(&seed);
		}
		ck_assert_int_eq(result, HUB_GATHER_DONE);
		ck_complete();
		done++;
		with_steps += has_changed;
		if (!is_last || has_changed)
			continue;
		for (int i = 0; i < CHANNELS; i++) {
			const struct ring *ring;
			char name[16];

			snprintf(name, sizeof(name), "k%d", i);
			ring = hub_ring(hub, slice_of(name), S);
			kept += ring != NULL ? ring->count : 0;
		}
		ck_assert_uint_eq(
		    hub_gather_judge(gather, result, &start).count, wanted < kept ? wanted : kept);
	}
	ck_assert_uint_gt(done, with_steps);
	ck_assert_uint_gt(with_steps, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_follow_gather", setup, teardown,
	    (const TTest *[]){loaded_rings_are_found_whatever_their_order,
		no_pattern_can_be_resumed, rings_that_are_loaded_between_steps_are_found,
		a_gather_ends_while_messages_come, behind_the_newest_message_no_ring_is_looked_at,
		missing_messages_are_not_gathered, rings_of_a_history_that_begins_anew_are_found,
		every_ring_is_found_whatever_happens_between_steps, NULL});
}
