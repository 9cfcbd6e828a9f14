#include "config.h"

#include "pubsub/hub_image.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/testing_form.h"

#define S UINT64_C(1000000)
#define CHANNELS 40

static struct hub *before, *after;
static struct hub_limits limits;
static struct history_limits history_limits;

/* An image in memory. */
#define RECORDS_MAX 4000

struct record {
	enum { HEAD, RING, MESSAGE } kind;
	struct hub_image_head head;
	struct hub_image_ring ring;
	struct hub_image_message message;
	char text[64]; /* of the channel or the payload */
};

static struct record records[RECORDS_MAX];
static size_t record_count, records_wanted;

static struct hub *
make_hub(uint64_t epoch)
{
	const struct hub_config config = {.limits = &limits,
	    .history = &history_limits,
	    .epoch = epoch,
	    .forms = &testing_form,
	    .form_count = 1,
	    .segment_bytes = 4096};

	return hub_new(&config);
}

static void
keep(struct hub *hub, const char *glob, const char *size, const char *ttl)
{
	struct slice words[4] = {
	    SLICE("history-size"), slice_of(size), SLICE("history-ttl"), slice_of(ttl)};
	struct channel_error error;

	ck_assert(hub_set_channel_line(hub, slice_of(glob), words, 4, &error));
	while (!hub_reclassify(hub, 100))
		;
}

static void
setup(void)
{
	limits = (struct hub_limits){.subscriptions = 1000, .subscribers = 30, .name_bytes = 60};
	history_limits = (struct history_limits){.channels = 1000};
	before = make_hub(7);
	after = make_hub(8);
	for (int i = 0; i < 2; i++) {
		keep(i == 0 ? before : after, "c*", "5", "60");
		keep(i == 0 ? before : after, "one*", "1", "60");
	}
	record_count = 0;
	records_wanted = RECORDS_MAX;
}

static void
teardown(void)
{
	hub_free(before);
	hub_free(after);
}

static void
publish(struct hub *hub, const char *channel, const char *payload, uint64_t now_us)
{
	size_t receivers;

	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, slice_of(channel), slice_of(payload),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_OK);
	(void)now_us;
}

static struct record *
add(int kind)
{
	ck_assert_uint_lt(record_count, RECORDS_MAX);
	records[record_count].kind = kind;
	return &records[record_count++];
}

static bool
on_head(void *arg, const struct hub_image_head *head)
{
	(void)arg;
	add(HEAD)->head = *head;
	return record_count < records_wanted;
}

static struct slice
copy(struct record *record, struct slice text)
{
	ck_assert_uint_lt(text.len, sizeof(record->text));
	memcpy(record->text, text.ptr, text.len);
	return (struct slice){record->text, text.len};
}

static bool
on_ring(void *arg, const struct hub_image_ring *ring)
{
	struct record *record = add(RING);

	(void)arg;
	record->ring = *ring;
	record->ring.channel = copy(record, ring->channel);
	return record_count < records_wanted;
}

static bool
on_message(void *arg, const struct hub_image_message *message)
{
	struct record *record = add(MESSAGE);

	(void)arg;
	record->message = *message;
	record->message.payload = copy(record, message->payload);
	return record_count < records_wanted;
}

static const struct hub_image_sink sink = {on_head, on_ring, on_message, NULL};

static bool
restore(uint64_t now_us, uint64_t elapsed_us, bool options_differ)
{
	struct hub_image_reader reader;
	bool ok = hub_image_begin(&reader, after, &records[0].head, now_us, elapsed_us);

	if (!ok)
		return false;
	for (size_t i = 1; i < record_count && ok; i++)
		ok = records[i].kind == RING ? hub_image_ring(&reader, &records[i].ring)
					     : hub_image_message(&reader, &records[i].message);
	return hub_image_end(&reader, options_differ) && ok;
}

/* What a reader sees of a channel: positions, payloads, and from where it can resume. */
static void
describe(struct hub *hub, const char *channel, uint64_t now_us, struct buffer *out)
{
	struct ring *ring = hub_ring(hub, slice_of(channel), now_us);
	struct hub_position at = history_position(hub_history(hub));
	struct ring_iterator it;
	struct ring_message message;

	buffer_appendf(out, "%s:", channel);
	if (ring != NULL)
		ring_after(ring, history_complete_seq(hub_history(hub), ring), &it);
	while (ring != NULL && ring_next(&it, &message))
		buffer_appendf(out, " %llu %.*s", (unsigned long long)message.seq,
		    (int)message.payload.len, message.payload.ptr);
	while (history_can_resume(hub_history(hub), ring, at) && at.seq > 0)
		at.seq--;
	buffer_appendf(out, " from %llu\n", (unsigned long long)at.seq);
}

static void
assert_equal(uint64_t before_us, uint64_t after_us)
{
	struct buffer a = {0}, b = {0};
	char name[16];

	for (int i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), i % 4 == 3 ? "one%d" : "c%d", i);
		describe(before, name, before_us, &a);
		describe(after, name, after_us, &b);
	}
	buffer_append(&a, "", 1);
	buffer_append(&b, "", 1);
	ck_assert_str_eq(a.ptr, b.ptr);
	ck_assert_int_eq(position_compare(history_position(hub_history(before)),
			     history_position(hub_history(after))),
	    0);
	buffer_release(&a);
	buffer_release(&b);
}

/* Publishes at random, so that rings have wrapped, skipped and expired messages. For odd seeds
 * messages were missed in between. */
static uint64_t
fill(struct hub *hub, uint64_t seed, uint64_t now_us)
{
	bool is_odd = seed % 2 > 0;

	for (int i = 0; i < 600; i++) {
		char name[16], payload[64];
		unsigned n = (unsigned)(testing_random(&seed) % CHANNELS);

		now_us += testing_random(&seed) % (S / 4);
		snprintf(name, sizeof(name), n % 4 == 3 ? "one%u" : "c%u", n);
		snprintf(payload, sizeof(payload), "%d %*s", i, (int)(n % 30), "x");
		hub_expire(hub, now_us, 0); /* sets the hub's time */
		publish(hub, name, payload, now_us);
		if (i == 570 && is_odd)
			hub_forget_history(hub);
		if (i % 50 == 0)
			(void)hub_delete_history(hub, slice_of(name), now_us);
		(void)!history_work(hub_history(hub), now_us, 1000);
	}
	return now_us;
}

START_TEST(another_hub_continues_the_positions_of_this_one)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t now_us = fill(before, seed, 100 * S), later_us = 5 * S;

		ck_assert(hub_image_write(before, &sink, now_us));
		/* The other clock is much earlier than the age of the messages. */
		ck_assert(restore(later_us, 2 * S, false));
		now_us += 2 * S;
		assert_equal(now_us, later_us);
		/* Both go on alike: new messages, and what expires when. */
		for (int i = 0; i < 100; i++) {
			char payload[24];

			now_us += S;
			later_us += S;
			hub_expire(before, now_us, 0);
			hub_expire(after, later_us, 0);
			snprintf(payload, sizeof(payload), "later %d", i);
			if (i % 3 == 0) {
				publish(before, "c1", payload, now_us);
				publish(after, "c1", payload, later_us);
			}
			assert_equal(now_us, later_us);
			while (!history_work(hub_history(before), now_us, 100))
				;
			while (!history_work(hub_history(after), later_us, 100))
				;
		}
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_history_that_was_forgotten_is_not_resumed_by_another_hub)
{
	struct hub_position first, last;

	hub_expire(before, 100 * S, 0);
	publish(before, "c1", "1", 100 * S);
	publish(before, "c2", "2", 100 * S);
	first = history_position(hub_history(before));
	hub_forget_history(before);
	last = history_position(hub_history(before));
	publish(before, "c1", "3", 100 * S);
	ck_assert(hub_image_write(before, &sink, 100 * S));
	ck_assert_uint_eq(record_count, 4); /* of c1 the last message, of c2 none */
	ck_assert(restore(S, 0, false));
	assert_equal(100 * S, S);
	for (int i = 1; i <= 3; i++) {
		char name[] = {'c', (char)('0' + i), '\0'};

		ck_assert(!hub_can_resume(after, slice_of(name), first.seq, S));
		ck_assert(hub_can_resume(after, slice_of(name), last.seq, S));
	}
	hub_image_forget(after, 9);
	ck_assert(hub_can_resume(after, SLICE("c1"), 0, S));
}
END_TEST

START_TEST(an_empty_history_keeps_its_position)
{
	hub_expire(before, 100 * S, 0);
	publish(before, "c1", "x", 100 * S);
	(void)hub_delete_history(before, SLICE("c1"), 100 * S);
	ck_assert(hub_image_write(before, &sink, 400 * S));
	ck_assert(restore(S, 0, false));
	ck_assert_uint_eq(history_position(hub_history(after)).epoch, 7);
	ck_assert_int_eq(position_compare(history_position(hub_history(before)),
			     history_position(hub_history(after))),
	    0);
}
END_TEST

START_TEST(the_limit_of_memory_holds_afterwards)
{
	uint64_t now_us = fill(before, 5, 100 * S);

	ck_assert(hub_image_write(before, &sink, now_us));
	ck_assert(restore(now_us, 0, false));
	for (size_t bytes = 12000; bytes > 1000; bytes -= 1000) {
		history_limits.memory_bytes = bytes;
		while (!history_work(hub_history(before), now_us, 100))
			;
		while (!history_work(hub_history(after), now_us, 100))
			;
		/* Chunks differ in size, so only the order is compared: what is left is the newest.
		 */
		ck_assert_uint_le(history_figures(hub_history(after)).bytes, bytes);
	}
}
END_TEST

START_TEST(channels_that_may_keep_messages_from_now_on_cannot_be_resumed_before)
{
	struct hub_position old;

	hub_expire(before, 100 * S, 0);
	publish(before, "c1", "x", 100 * S);
	old = history_position(hub_history(before));
	ck_assert(hub_image_write(before, &sink, 100 * S));
	ck_assert(restore(100 * S, 0, true));
	ck_assert(!history_can_resume(hub_history(after), NULL, old));
	ck_assert(
	    history_can_resume(hub_history(after), hub_ring(after, SLICE("c1"), 100 * S), old));
}
END_TEST

START_TEST(a_channel_that_did_not_follow_its_new_options_yet_cannot_be_resumed_before)
{
	struct topic *topic = hub_hold_channel(before, HUB_CHANNEL, SLICE("d"));
	struct slice words[4] = {
	    SLICE("history-size"), SLICE("5"), SLICE("history-ttl"), SLICE("60")};
	struct channel_error error;
	struct hub_position old;

	hub_expire(before, 100 * S, 0);
	ck_assert(hub_set_channel_line(before, SLICE("d"), words, 4, &error));
	keep(after, "d", "5", "60");
	old = history_position(hub_history(before));
	publish(before, "d", "not kept", 100 * S);
	ck_assert_uint_eq(history_position(hub_history(before)).seq, old.seq);
	ck_assert(hub_image_write(before, &sink, 100 * S));
	ck_assert(restore(100 * S, 0, false));
	ck_assert(!hub_can_resume(after, SLICE("d"), old.seq, 100 * S));
	ck_assert(
	    hub_can_resume(after, SLICE("d"), history_position(hub_history(after)).seq, 100 * S));
	hub_release_channel(before, HUB_CHANNEL, topic);
}
END_TEST

START_TEST(a_channel_that_keeps_nothing_any_more_is_lost)
{
	struct hub_position old = history_position(hub_history(before));

	hub_expire(before, 100 * S, 0);
	publish(before, "c1", "x", 100 * S);
	ck_assert(hub_image_write(before, &sink, 100 * S));
	keep(after, "c1", "0", "0");
	ck_assert(restore(100 * S, 0, true));
	ck_assert_ptr_null(hub_ring(after, SLICE("c1"), 100 * S));
	ck_assert(!history_can_resume(hub_history(after), NULL, old));
}
END_TEST

START_TEST(writing_stops_when_the_sink_says_so)
{
	uint64_t now_us = fill(before, 3, 100 * S);
	size_t all;

	ck_assert(hub_image_write(before, &sink, now_us));
	all = record_count;
	for (records_wanted = 1; records_wanted <= all; records_wanted++) {
		record_count = 0;
		ck_assert(!hub_image_write(before, &sink, now_us));
		ck_assert_uint_eq(record_count, records_wanted);
	}
}
END_TEST

static void
damage(struct record *record, uint64_t *seed)
{
	uint64_t n =
	    testing_random(seed) % 3 == 0 ? testing_random(seed) : testing_random(seed) % 700;

	if (record->kind == HEAD) {
		uint64_t *fields[] = {&record->head.newest.seq, &record->head.forgotten_seq,
		    &record->head.newest.epoch};

		*fields[testing_random(seed) % 3] = n;
	} else if (record->kind == RING) {
		uint64_t *fields[] = {&record->ring.trimmed_seq, &record->ring.newest_seq,
		    &record->ring.touched_age_us};

		if (testing_random(seed) % 2 == 0)
			*fields[testing_random(seed) % 3] = n;
		else if (testing_random(seed) % 2 == 0)
			record->ring.messages = (uint32_t)n;
		else if (testing_random(seed) % 2 == 0)
			record->ring.ttl_s = (uint32_t)n % 100;
		else
			record->ring.channel.len = n % 3 == 0 ? 61 : n % 3;
	} else if (testing_random(seed) % 2 == 0) {
		record->message.seq = n;
	} else {
		record->message.age_us = n;
	}
}

/* A wrong image is refused, or leads to a consistent history. */
START_TEST(no_image_breaks_the_history)
{
	uint64_t seed = 11;

	for (int run = 0; run < testing_steps(400); run++) {
		uint64_t now_us = fill(before, (uint64_t)run, 100 * S);
		struct hub_position at;
		bool ok;

		ck_assert(hub_image_write(before, &sink, now_us));
		for (uint64_t n = testing_random(&seed) % 3; n < 3; n++) {
			size_t i = testing_random(&seed) % record_count;

			if (testing_random(&seed) % 4 == 0)
				records[i] = records[testing_random(&seed) % record_count];
			else if (testing_random(&seed) % 4 == 0)
				record_count = i + 1;
			else
				damage(&records[i], &seed);
		}
		ok = restore(now_us, testing_random(&seed) % (100 * S), false);
		if (!ok)
			hub_image_forget(after, 99);
		at = history_position(hub_history(after));
		ck_assert(ok || (at.epoch == 99 && at.seq == 0));
		ck_assert(ok || history_figures(hub_history(after)).rings == 0);
		fill(after, (uint64_t)run, now_us);
		ck_assert_uint_ge(history_position(hub_history(after)).seq, at.seq + 600);
		teardown();
		setup();
	}
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_image", setup, teardown,
	    (const TTest *[]){another_hub_continues_the_positions_of_this_one,
		a_history_that_was_forgotten_is_not_resumed_by_another_hub,
		an_empty_history_keeps_its_position, the_limit_of_memory_holds_afterwards,
		channels_that_may_keep_messages_from_now_on_cannot_be_resumed_before,
		a_channel_that_did_not_follow_its_new_options_yet_cannot_be_resumed_before,
		a_channel_that_keeps_nothing_any_more_is_lost, writing_stops_when_the_sink_says_so,
		no_image_breaks_the_history, NULL});
}
