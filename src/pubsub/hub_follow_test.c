#include "config.h"

#include "pubsub/hub_follow.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_image.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_replay.h"

/* Hubs that follow another server: what they load and keep, and which positions they have. */

#define S UINT64_C(1000000)
#define MESSAGES_MAX 700
#define EPOCH 7

static struct hub *hub, *peer; /* peer sees every message that hub loads */
static struct subscriber sub;

/* What the other server keeps of channel k1. */
static struct hub_loaded_message messages[MESSAGES_MAX];
static uint64_t times_us[MESSAGES_MAX];
static struct hub_loaded loaded;
static char bytes[100000];

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static const struct subscriber_ops ops = {ignore, ignore, ignore, ignore};

static struct hub *
make_hub(void)
{
	struct hub *made = testing_replay_hub(&testing_name_form);

	hub_follow(made);
	hub_follow_from(made, (struct hub_position){EPOCH, 0});
	return made;
}

static void
set_lines(const char *words)
{
	testing_set_line(hub, "k*", words);
	testing_set_line(peer, "k*", words);
}

static void
setup(void)
{
	const struct outbox_limits none = {.bytes = 0};

	hub = make_hub();
	peer = make_hub();
	set_lines("history-size 100 history-ttl 60");
	hub_attach(hub, &sub, &ops, &none, 0, NULL);
	loaded = (struct hub_loaded){.channel = SLICE("k1"), .messages = messages};
	memset(bytes, 'x', sizeof(bytes));
}

static void
teardown(void)
{
	while (!hub_detach(&sub, 100))
		continue;
	hub_free(hub);
	hub_free(peer);
}

static struct hub_outcome
post(struct hub *to, const char *channel, struct slice payload, uint64_t seq, uint64_t now_us)
{
	const struct hub_post message = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = payload, .seq = seq};
	struct hub_outcome outcome;

	hub_set_time(to, now_us);
	ck_assert_int_eq(hub_post_now(to, &message, HUB_WITHIN_LIMITS, &outcome), HUB_OK);
	return outcome;
}

/* Another message of k1, which the peer gets. */
static void
add_message(uint64_t seq, size_t len, uint64_t at_us)
{
	struct slice payload = {bytes, len};

	ck_assert_uint_lt(loaded.count, MESSAGES_MAX);
	messages[loaded.count] = (struct hub_loaded_message){.seq = seq, .payload = payload};
	times_us[loaded.count++] = at_us;
	loaded.newest_seq = seq;
	loaded.number++;
	(void)post(peer, "k1", payload, seq, at_us);
}

static void
load(uint64_t now_us)
{
	for (size_t i = 0; i < loaded.count; i++)
		messages[i].age_us = now_us - times_us[i];
	hub_follow_to(hub, loaded.newest_seq);
	hub_load_history(hub, &loaded, now_us);
}

static const struct ring *
ring_of(struct hub *of, const char *channel, uint64_t now_us)
{
	return hub_ring(of, slice_of(channel), now_us);
}

/* The kept messages of the channel: seq and length. */
static void
describe(struct hub *of, const char *channel, uint64_t now_us, struct buffer *out)
{
	const struct ring *ring = ring_of(of, channel, now_us);
	struct ring_iterator it;
	struct ring_message message;

	buffer_clear(out);
	if (ring != NULL)
		ring_after(ring, 0, &it);
	while (ring != NULL && ring_next(&it, &message))
		buffer_appendf(
		    out, "%llu+%zu ", (unsigned long long)message.seq, message.payload.len);
	buffer_append(out, "", 1);
}

static void
ck_kept(const char *channel, uint64_t now_us, const char *expected)
{
	struct buffer text = {0};

	describe(hub, channel, now_us, &text);
	ck_assert_str_eq(text.ptr, expected);
	buffer_release(&text);
}

static void
ck_equal(uint64_t now_us)
{
	const struct ring *a = ring_of(hub, "k1", now_us), *b = ring_of(peer, "k1", now_us);
	struct buffer ours = {0}, theirs = {0};

	if (a != NULL && b != NULL) {
		ck_assert_uint_eq(a->trimmed_seq, b->trimmed_seq);
		ck_assert_uint_eq(a->newest_seq, b->newest_seq);
		ck_assert_uint_eq(a->payload_bytes, b->payload_bytes);
	}
	describe(hub, "k1", now_us, &ours);
	describe(peer, "k1", now_us, &theirs);
	ck_assert_str_eq(ours.ptr, theirs.ptr);
	buffer_release(&ours);
	buffer_release(&theirs);
}

static uint64_t
gap(uint64_t *seed)
{
	static const uint64_t gaps[] = {
	    1, 1, 1, 2, 100, (uint64_t)1 << 20, (uint64_t)1 << 32, (uint64_t)1 << 33};

	return gaps[testing_random(seed) % (sizeof(gaps) / sizeof(*gaps))];
}

static void
set_random_lines(uint64_t *seed)
{
	static const unsigned sizes[] = {1, 2, 7, 100, 1000}, ttls[] = {1, 5, 60, 1000};
	static const unsigned limits[] = {1024, 2000, 20000, 1000000};
	static const unsigned lengths[] = {30, 300, 1500, 1000000};
	char words[200];

	snprintf(words, sizeof(words),
	    "history-size %u history-ttl %u history-bytes %u history-message-bytes %u",
	    sizes[testing_random(seed) % 5], ttls[testing_random(seed) % 4],
	    limits[testing_random(seed) % 4], lengths[testing_random(seed) % 4]);
	set_lines(words);
}

START_TEST(a_loaded_ring_equals_that_of_a_hub_which_has_seen_the_messages)
{
	for (uint64_t n = 1; n <= (uint64_t)testing_steps(400); n++) {
		uint64_t seed = n, now_us = S, seq = 0;
		size_t count = testing_random(&seed) % (n % 4 == 0 ? 600 : 12);
		size_t longest = n % 3 == 0 ? 3000 : 60;

		set_random_lines(&seed);
		for (size_t i = 0; i < count; i++) {
			seq += gap(&seed);
			add_message(seq, testing_random(&seed) % longest, now_us);
			now_us += testing_random(&seed) % (n % 2 == 0 ? S / 50 : S);
		}
		now_us += n % 5 == 0 ? testing_random(&seed) % (70 * S) : 0;
		load(now_us);
		for (int i = 0; i < 20; i++) {
			ck_equal(now_us);
			now_us += testing_random(&seed) % S;
			(void)!history_work(hub_history(hub), now_us, 10);
			(void)!history_work(hub_history(peer), now_us, 10);
			if (i < 10 || ring_of(hub, "k1", now_us) == NULL)
				continue;
			seq += gap(&seed);
			(void)post(hub, "k1", (struct slice){bytes, 40}, seq, now_us);
			(void)post(peer, "k1", (struct slice){bytes, 40}, seq, now_us);
		}
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_channel_that_has_a_ring_is_not_loaded_again)
{
	add_message(5, 1, S);
	load(S);
	add_message(9, 2, S);
	load(S);
	ck_kept("k1", S, "5+1 ");
	ck_assert_uint_eq(history_position(hub_history(hub)).seq, 9);
	hub_drop_history(hub, loaded.channel, S);
	ck_assert(hub_ring(hub, loaded.channel, S) == NULL);
	load(S);
	ck_kept("k1", S, "5+1 9+2 ");
	ck_assert_uint_eq(history_figures(hub_history(hub)).messages, 2);
}
END_TEST

START_TEST(a_channel_without_kept_messages_gets_a_ring_for_its_time_to_live)
{
	for (int expired = 0; expired <= 1; expired++) {
		const struct ring *ring;

		loaded.trimmed_seq = loaded.newest_seq = 3;
		if (expired)
			add_message(4, 1, S);
		load(100 * S);
		ck_kept("k1", 100 * S, "");
		ring = ring_of(hub, "k1", 159 * S);
		ck_assert_ptr_nonnull(ring);
		ck_assert_uint_eq(ring->trimmed_seq, loaded.newest_seq);
		ck_assert(hub_can_resume(hub, SLICE("k1"), loaded.newest_seq, 159 * S));
		ck_assert(!hub_can_resume(hub, SLICE("k1"), loaded.newest_seq - 1, 159 * S));
		ck_assert(hub_ring(hub, SLICE("k1"), 160 * S) == NULL);
		ck_assert(!hub_can_resume(hub, SLICE("k1"), loaded.newest_seq, 160 * S));
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_channel_that_keeps_nothing_is_not_loaded)
{
	add_message(1, 1, S);
	loaded.channel = SLICE("other");
	load(S);
	ck_assert(hub_ring(hub, SLICE("other"), S) == NULL);
	testing_set_line(hub, "other", "history-size 5"); /* and no ttl */
	load(S);
	ck_assert(hub_ring(hub, SLICE("other"), S) == NULL);
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 0);
}
END_TEST

/* The clock of the other server was set back twice. */
START_TEST(a_message_is_not_older_than_the_one_before_it)
{
	static const uint64_t ages_s[] = {5, 3, 10, 3, 6};

	for (size_t i = 0; i < 5; i++)
		add_message(i + 1, i, 100 * S);
	hub_follow_to(hub, 5);
	for (size_t i = 0; i < 5; i++)
		messages[i].age_us = ages_s[i] * S;
	hub_load_history(hub, &loaded, 100 * S);
	ck_kept("k1", 154 * S, "1+0 2+1 3+2 4+3 5+4 ");
	ck_kept("k1", 155 * S, "2+1 3+2 4+3 5+4 ");
	ck_kept("k1", 157 * S - 1, "2+1 3+2 4+3 5+4 ");
	ck_kept("k1", 157 * S, "");
}
END_TEST

/* A channel with a topic follows changed lines later. */
START_TEST(options_that_a_channel_does_not_follow_yet_do_not_matter)
{
	struct slice words[4] = {
	    SLICE("history-size"), SLICE("0"), SLICE("history-ttl"), SLICE("0")};
	struct channel_error error;

	ck_assert_int_eq(hub_subscribe(&sub, HUB_CHANNEL, SLICE("k1")), HUB_OK);
	add_message(1, 1, S);
	ck_assert(hub_set_channel_line(hub, SLICE("k1"), words, 4, &error));
	ck_assert(hub_keeps(hub, SLICE("k1")));
	load(S);
	ck_kept("k1", S, "1+1 ");
	while (!hub_reclassify(hub, 100))
		continue;
	ck_assert(hub_ring(hub, SLICE("k1"), S) == NULL);
}
END_TEST

static const char *
take(void)
{
	static char text[4096];
	struct iovec piece;
	size_t len = 0;

	while (outbox_peek(&sub.outbox, &piece, 1) > 0) {
		ck_assert_uint_lt(len + piece.iov_len, sizeof(text));
		memcpy(text + len, piece.iov_base, piece.iov_len);
		len += piece.iov_len;
		outbox_consume(&sub.outbox, piece.iov_len);
	}
	text[len] = '\0';
	return text;
}

START_TEST(messages_have_the_positions_that_were_given)
{
	struct hub_outcome outcome;

	ck_assert_int_eq(hub_subscribe(&sub, HUB_CHANNEL, SLICE("k1")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&sub, HUB_PATTERN, SLICE("k*")), HUB_OK);
	loaded.newest_seq = 3;
	load(S);
	outcome = post(hub, "k1", SLICE("a"), 7, S);
	ck_assert_uint_eq(outcome.position.seq, 7);
	ck_assert_uint_eq(outcome.position.epoch, EPOCH);
	outcome = post(hub, "k1", SLICE("b"), (uint64_t)1 << 40, S);
	ck_assert_uint_eq(outcome.position.seq, (uint64_t)1 << 40);
	ck_assert_str_eq(take(), "7 k1 a;7 k* a;1099511627776 k1 b;1099511627776 k* b;");
	ck_kept("k1", S, "7+1 1099511627776+1 ");
}
END_TEST

START_TEST(a_message_without_a_position_is_delivered_and_not_kept)
{
	struct hub_outcome outcome;

	ck_assert_int_eq(hub_subscribe(&sub, HUB_CHANNEL, SLICE("k1")), HUB_OK);
	outcome = post(hub, "k1", SLICE("not loaded"), 0, S);
	ck_assert_uint_eq(outcome.receivers, 1);
	ck_assert_uint_eq(outcome.position.seq, 0);
	ck_assert(hub_ring(hub, SLICE("k1"), S) == NULL);
	add_message(2, 1, S);
	load(S);
	(void)post(hub, "k1", SLICE("x"), 0, S);
	ck_kept("k1", S, "2+1 ");
	ck_assert_uint_eq(history_position(hub_history(hub)).seq, 2);
	ck_assert_str_eq(take(), "0 k1 not loaded;0 k1 x;");
}
END_TEST

static bool
on_head(void *arg, const struct hub_image_head *head)
{
	*(struct hub_image_head *)arg = *head;
	return true;
}

static bool
on_ring(void *arg, const struct hub_image_ring *ring)
{
	(void)arg;
	return ring->newest_seq > 0;
}

static bool
on_message(void *arg, const struct hub_image_message *message)
{
	(void)arg;
	return message->seq > 0;
}

START_TEST(nothing_here_takes_a_position)
{
	struct hub_image_head head = {.forgotten_seq = 0};
	const struct hub_image_sink sink = {on_head, on_ring, on_message, &head};
	struct slice words[2] = {SLICE("history-size"), SLICE("7")};
	struct channel_error error;

	add_message(20, 1, S);
	load(S);
	set_lines("history-size 50");
	testing_set_line(hub, "l*", "history-size 50 history-ttl 9");
	hub_forget_history(hub);
	hub_drop_history(hub, SLICE("k1"), S);
	hub_drop_history(hub, SLICE("k2"), S);
	(void)hub_delete_history(hub, SLICE("k1"), S);
	hub_miss_history(hub, SLICE("k1"), 20, 3);
	ck_assert(hub_set_channel_line(hub, SLICE("k*"), words, 2, &error));
	ck_assert(hub_image_write(hub, &sink, S));
	ck_assert_uint_eq(head.newest.seq, 20);
	ck_assert_uint_eq(head.newest.epoch, EPOCH);
	ck_assert_uint_eq(history_position(hub_history(hub)).seq, 20);
	/* Skipped: the channel has a ring, and does not follow its options yet. */
	(void)post(hub, "k1", SLICE("next"), 21, S);
	ck_assert_uint_eq(history_position(hub_history(hub)).seq, 21);
}
END_TEST

/* What was not seen meanwhile is behind the position at which the ring was freed. */
START_TEST(a_ring_that_comes_later_begins_behind_what_was_not_seen)
{
	add_message(5, 1, S);
	for (int missed = 0; missed <= 1; missed++) {
		hub_follow_to(hub, 5);
		/* The channel has no ring: it was silent. */
		hub_follow_to(hub, 8);
		if (missed)
			hub_miss_history(hub, SLICE("k1"), 8, 1);
		else
			hub_drop_history(hub, SLICE("k1"), S);
		(void)post(hub, "k1", SLICE("x"), 9, S);
		ck_kept("k1", S, "9+1 ");
		ck_assert(!hub_can_resume(hub, SLICE("k1"), 7, S));
		ck_assert(hub_can_resume(hub, SLICE("k1"), 8, S));
		teardown();
		setup();
	}
}
END_TEST

static void
load_channel(const char *name, uint64_t newest_seq, size_t count, size_t len)
{
	loaded = (struct hub_loaded){.channel = slice_of(name),
	    .messages = messages,
	    .newest_seq = newest_seq,
	    .trimmed_seq = newest_seq - count,
	    .number = count,
	    .count = count};
	for (size_t i = 0; i < count; i++)
		messages[i] = (struct hub_loaded_message){
		    .seq = newest_seq - count + 1 + i, .payload = {bytes, len}};
	hub_load_history(hub, &loaded, S);
}

START_TEST(at_the_limit_of_channels_the_channel_with_the_oldest_message_goes)
{
	testing_history_limits.channels = 4;
	hub_follow_to(hub, 1000);
	load_channel("k1", 400, 3, 5);
	load_channel("k2", 100, 3, 5);
	load_channel("k3", 300, 3, 5);
	load_channel("k4", 200, 3, 5);
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 4);
	load_channel("k5", 500, 3, 5);
	ck_assert(hub_ring(hub, SLICE("k2"), S) == NULL);
	(void)post(hub, "k4", SLICE("x"), 1001, S);
	load_channel("k6", 600, 3, 5);
	ck_assert(hub_ring(hub, SLICE("k3"), S) == NULL);
	/* But not the one that is loaded. */
	load_channel("k7", 50, 3, 5);
	ck_assert(hub_ring(hub, SLICE("k1"), S) == NULL);
	ck_assert(hub_can_resume(hub, SLICE("k7"), 47, S));
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 4);
	ck_assert_uint_eq(history_figures(hub_history(hub)).evicted, 9);
	ck_assert(!hub_can_resume(hub, SLICE("k2"), 1001, S));
}
END_TEST

START_TEST(at_the_limit_of_memory_what_was_loaded_first_goes)
{
	struct history *history = hub_history(hub);
	char name[16];
	int gone = 0;

	hub_follow_to(hub, 1000000);
	testing_history_limits.memory_bytes = 40000;
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		load_channel(name, 1000000 - 1000 * (uint64_t)i, 50, 100);
		ck_assert_uint_le(history_figures(history).bytes, 40000);
		ck_assert_ptr_nonnull(ring_of(hub, name, S));
		ck_assert_uint_gt(ring_of(hub, name, S)->count, 0);
	}
	while (gone < 30) {
		snprintf(name, sizeof(name), "k%d", gone);
		if (hub_ring(hub, slice_of(name), S) != NULL)
			break;
		gone++;
	}
	ck_assert_int_ge(gone, 10);
	for (int i = gone; i < 30; i++) {
		const struct ring *ring;

		snprintf(name, sizeof(name), "k%d", i);
		ring = ring_of(hub, name, S);
		ck_assert_ptr_nonnull(ring);
		/* It has lost its oldest messages, if any. */
		ck_assert_uint_eq(ring->trimmed_seq, ring->newest_seq - ring->count);
	}
}
END_TEST

START_TEST(a_ring_beyond_the_limit_of_memory_is_cut_soon)
{
	struct history *history = hub_history(hub);

	set_lines("history-size 1000 history-bytes 100mb");
	testing_history_limits.memory_bytes = 100000;
	hub_follow_to(hub, 10000);
	load_channel("k1", 10000, 600, 9000);
	while (!history_work(history, S, 10))
		continue;
	ck_assert_uint_le(history_figures(history).bytes, 100000);
	ck_assert_uint_gt(history_figures(history).messages, 5);
	ck_assert_uint_eq(
	    history_figures(history).messages + history_figures(history).evicted, 600);
	ck_assert(hub_can_resume(hub, SLICE("k1"), 9999, S));
}
END_TEST

START_TEST(the_history_begins_anew_with_no_ring)
{
	const struct hub_position from = {EPOCH + 1, 1050};
	char name[16];

	hub_follow_to(hub, 1000);
	testing_history_limits.channels = 100000;
	for (int i = 0; i < testing_steps(5000); i++) {
		snprintf(name, sizeof(name), "k%d", i);
		load_channel(name, 1000 - (uint64_t)i % 900, (size_t)i % 5, 10);
	}
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, (size_t)testing_steps(5000));
	hub_follow_from(hub, from);
	ck_assert_uint_eq(history_figures(hub_history(hub)).rings, 0);
	ck_assert_uint_eq(history_figures(hub_history(hub)).messages, 0);
	ck_assert_int_eq(position_compare(history_position(hub_history(hub)), from), 0);
	ck_assert_ptr_null(hub_next_channel(hub, HUB_CHANNEL, (struct slice){NULL, 0}));
	load_channel("k1", 1040, 3, 10);
	ck_kept("k1", S, "1038+10 1039+10 1040+10 ");
	(void)post(hub, "k1", SLICE("x"), 1051, S);
	ck_kept("k1", S, "1038+10 1039+10 1040+10 1051+1 ");
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_follow", setup, teardown,
	    (const TTest *[]){a_loaded_ring_equals_that_of_a_hub_which_has_seen_the_messages,
		a_channel_that_has_a_ring_is_not_loaded_again,
		a_channel_without_kept_messages_gets_a_ring_for_its_time_to_live,
		a_channel_that_keeps_nothing_is_not_loaded,
		a_message_is_not_older_than_the_one_before_it,
		options_that_a_channel_does_not_follow_yet_do_not_matter,
		messages_have_the_positions_that_were_given,
		a_message_without_a_position_is_delivered_and_not_kept,
		nothing_here_takes_a_position,
		a_ring_that_comes_later_begins_behind_what_was_not_seen,
		at_the_limit_of_channels_the_channel_with_the_oldest_message_goes,
		at_the_limit_of_memory_what_was_loaded_first_goes,
		a_ring_beyond_the_limit_of_memory_is_cut_soon, the_history_begins_anew_with_no_ring,
		NULL});
}
