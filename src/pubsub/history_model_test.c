#include "config.h"

#include "pubsub/history.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

/*
 * History against the truth: a list of every message of each channel, from the beginning. The
 * verdict must never promise a message that is gone, and says that one is gone only if it is, or if
 * forgotten_seq says so. No position before the last history_forget() is good. What is kept is the
 * end of the list that size, bytes and time leave, unless it was evicted, which is counted.
 */

#define CHANNELS 40
#define STEPS 700000
#define EPOCH 5
#define S UINT64_C(1000000)

struct truth {
	uint64_t seq;
	uint64_t us;
	uint32_t len;
};

struct channel {
	struct truth *log;
	size_t room, end;
	size_t first;       /* log[first] to log[end - 1] should be kept, if none were evicted */
	uint64_t unkept_to; /* readers at this seq or before missed a message that was not kept */
	bool missed;        /* unkept_to is set */
	uint32_t ring;
	const struct history_rules *rules;
};

static const struct history_rules all_rules[] = {
    {.size = 0},
    {.size = 1, .ttl_s = 50, .bytes = 100000, .message_bytes = 300},
    {.size = 100, .ttl_s = 20, .bytes = 100000, .message_bytes = 500},
    {.size = 3000, .ttl_s = 5, .bytes = 3000, .message_bytes = 500},
    {.size = 3000, .ttl_s = 300, .bytes = 100000, .message_bytes = 480},
};

static struct history_limits limits;
static struct history *history;
static struct channel channels[CHANNELS];
static char bytes[1024];
static uint64_t seed, now_us, evicted, floor_seq;

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static void
on_forgotten(void *arg, void *owner, uint32_t appended)
{
	(void)appended;
	(void)arg;
	ck_assert_uint_ne(((struct channel *)owner)->ring, 0);
	((struct channel *)owner)->ring = 0;
}

static void
setup(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 11 + i / 256);
	limits = (struct history_limits){.channels = CHANNELS};
	history = history_new(
	    &(struct history_config){.limits = &limits, .epoch = EPOCH, .forgotten = on_forgotten});
	for (int i = 0; i < CHANNELS; i++)
		channels[i] = (struct channel){.rules = &all_rules[i % 5]};
}

static void
teardown(void)
{
	history_free(history);
	for (int i = 0; i < CHANNELS; i++)
		xfree(channels[i].log);
}

static struct slice
payload_of(const struct truth *m)
{
	return (struct slice){bytes + m->seq % 400, m->len};
}

/* Takes off the model what the channel's rules do not keep. */
static void
apply_rules(struct channel *c)
{
	uint64_t held = 0, count = 0;

	for (size_t i = c->end; i > c->first; i--) {
		held += c->log[i - 1].len;
		count++;
		if (held > c->rules->bytes || count > c->rules->size ||
		    c->log[i - 1].us + c->rules->ttl_s * S <= now_us) {
			c->first = i;
			return;
		}
	}
}

static void
publish(struct channel *c)
{
	struct truth m = {.us = now_us, .len = (uint32_t)below(below(10) == 0 ? 600 : 100)};

	if (c->rules->size == 0) {
		c->unkept_to = history_position(history).seq;
		c->missed = true;
		return;
	}
	m.seq = history_position(history).seq + 1;
	ck_assert_uint_eq(
	    history_append(history, c, &c->ring, c->rules, payload_of(&m), now_us), m.seq);
	if (c->end == c->room) {
		c->room = c->room > 0 ? c->room * 2 : 64;
		c->log = xrealloc(c->log, c->room * sizeof(*c->log));
	}
	c->log[c->end++] = m;
	if (m.len > c->rules->message_bytes)
		c->first = c->end;
	else
		apply_rules(c);
	history_enforce(history);
}

static void
change_rules(struct channel *c)
{
	const struct history_rules *before = c->rules;

	c->rules = &all_rules[below(5)];
	history_set_rules(history, c->ring, c->rules, now_us);
	/* With the old time to live first: what had expired before stays away. */
	for (; c->first < c->end && c->log[c->first].us + before->ttl_s * S <= now_us; c->first++)
		;
	if (c->rules->size == 0)
		c->first = c->end;
	else if (before->size == 0)
		history_begin_keeping(history);
	else
		apply_rules(c);
}

/* The channel's ring; the model learns what was evicted. */
static struct ring *
ring_of(struct channel *c)
{
	struct ring *ring = history_ring(history, c->ring, now_us);
	struct ring_message oldest;

	apply_rules(c);
	if (ring == NULL || !ring_oldest(ring, &oldest)) {
		c->first = c->end;
		return ring;
	}
	while (c->first < c->end && c->log[c->first].seq < oldest.seq)
		c->first++;
	return ring;
}

/* The messages of the channel that are kept behind that seq. */
static size_t
count_behind(const struct channel *c, uint64_t seq)
{
	size_t i = c->end;

	while (i > c->first && c->log[i - 1].seq > seq)
		i--;
	return c->end - i;
}

/* What a reader may begin with, of the channel as the model knows it. */
static void
ck_begin(const struct channel *c, const struct ring *ring)
{
	uint64_t complete_seq = history_complete_seq(history, ring);
	uint64_t n = below(10), before;
	size_t count = count_behind(c, floor_seq);

	ck_assert_uint_ge(complete_seq, floor_seq);
	ck_assert_uint_eq(history_count(history, ring), ring != NULL ? count : 0);
	if (ring == NULL)
		return;
	ck_assert_uint_eq(count_behind(c, complete_seq), count);
	before = history_seq_before_last(history, ring, n);
	ck_assert_uint_ge(before, complete_seq);
	ck_assert_uint_eq(count_behind(c, before), n < count ? n : count);
}

/* Without limits the model knows what is kept: checked before it learns. */
static void
ck_kept(struct channel *c)
{
	struct ring *ring = history_ring(history, c->ring, now_us);
	struct ring_iterator it;
	struct ring_message m;
	size_t i, steps = 0;

	apply_rules(c);
	if (evicted == history_figures(history).evicted)
		ck_assert_uint_eq(ring != NULL ? ring->count : 0, c->end - c->first);
	ring = ring_of(c);
	ck_assert_uint_eq(ring != NULL ? ring->count : 0, c->end - c->first);
	ck_begin(c, ring);
	if (ring == NULL)
		return;
	ring_after(ring, 0, &it);
	for (i = c->first; ring_next(&it, &m) && steps++ < 100; i++) {
		ck_assert_uint_eq(m.seq, c->log[i].seq);
		ck_assert(slice_eq(m.payload, payload_of(&c->log[i])));
	}
}

/* True if a message of the channel behind that seq is gone. */
static bool
is_missing_behind(const struct channel *c, uint64_t seq)
{
	return (c->missed && seq <= c->unkept_to) ||
	       (c->first > 0 && c->log[c->first - 1].seq > seq);
}

static void
ck_verdict(struct channel *c)
{
	uint64_t top = history_position(history).seq;
	uint64_t seq = below(2) == 0 || c->end == 0
			   ? below(top + 2)
			   : c->log[c->end - 1 - below(c->end - c->first + 1) % c->end].seq;
	bool can_resume;
	struct ring *ring;

	if (c->rules->size == 0)
		return;
	ring = ring_of(c);
	can_resume = history_can_resume(history, ring, (struct hub_position){EPOCH, seq});
	if (seq > top || seq < floor_seq || is_missing_behind(c, seq))
		ck_assert(!can_resume);
	else if (!can_resume)
		ck_assert_uint_lt(seq, history_forgotten_seq(history));
	if (ring != NULL && can_resume)
		ck_assert(!ring_overtook(ring, seq));
	ck_assert(!history_can_resume(history, ring, (struct hub_position){EPOCH + 1, seq}));
}

static void
change_limits(void)
{
	limits.memory_bytes = below(3) == 0 ? 0 : 2000 + below(2000000);
	limits.channels = below(3) == 0 ? 1 + below(CHANNELS) : CHANNELS;
}

/* After an eviction all channels are learnt anew. What is missing was counted; so were messages
 * that had expired in the meantime. */
static void
learn_evictions(void)
{
	uint64_t missing = 0, total = history_figures(history).evicted;

	if (total == evicted)
		return;
	for (int i = 0; i < CHANNELS; i++) {
		size_t first;

		apply_rules(&channels[i]);
		first = channels[i].first;
		(void)ring_of(&channels[i]);
		missing += channels[i].first - first;
	}
	ck_assert_uint_le(missing, total - evicted);
	evicted = total;
}

static void delete (struct channel *c)
{
	apply_rules(c);
	ck_assert_uint_eq(history_delete(history, c->ring, now_us), count_behind(c, floor_seq));
	c->first = c->end;
}

static void
forget(void)
{
	floor_seq = history_position(history).seq + 1;
	history_forget(history);
	ck_assert_uint_eq(history_position(history).seq, floor_seq);
	ck_assert_uint_eq(history_floor_seq(history), floor_seq);
	ck_assert_uint_eq(history_forgotten_seq(history), floor_seq);
}

static void
step(void)
{
	struct channel *c = &channels[below(CHANNELS) * below(CHANNELS) / CHANNELS];
	uint64_t what = below(10000);

	if (what < 7000) {
		publish(c);
	} else if (what < 7500) {
		now_us += below(S);
	} else if (what < 8000) {
		size_t rings = history_figures(history).rings;

		if (history_work(history, now_us, below(50)))
			ck_assert_uint_gt(history_due_us(history), now_us);
		else
			ck_assert_uint_le(history_figures(history).rings, rings);
	} else if (what < 9000) {
		ck_verdict(c);
	} else if (what < 9900) {
		ck_kept(c);
	} else if (what < 9950) {
		change_rules(c);
	} else if (what < 9980) {
		delete (c);
	} else if (what < 9985) {
		forget();
	} else {
		change_limits();
		while (!history_work(history, now_us, 10))
			;
	}
	learn_evictions();
}

START_TEST(verdicts_and_rings_equal_the_truth_over_random_operations)
{
	seed = 20260202;
	for (int i = 0; i < testing_steps(STEPS); i++)
		step();
	for (int i = 0; i < CHANNELS; i++) {
		channels[i].rules = &all_rules[0];
		history_set_rules(history, channels[i].ring, &all_rules[0], now_us);
	}
	while (!history_work(history, now_us, 100))
		;
	ck_assert_uint_eq(history_figures(history).bytes, 0);
	ck_assert_uint_eq(history_figures(history).messages, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/history_model", setup, teardown,
	    (const TTest *[]){verdicts_and_rings_equal_the_truth_over_random_operations, NULL});
}
