#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Who listens where, who publishes what, and how many deliveries are due for it.
 *
 * Channels and subscribers are dealt out to each other like cards: with more subscribers than
 * channels, each has one channel; with more channels, each channel has one subscriber. With
 * `pattern` every subscriber has all channels by one pattern. Message n of publisher p goes to
 * channel (p + n) mod channels, so the messages of one publisher to one channel (a flow) are
 * numbered without a gap. Pure arithmetic: it knows no connection and no protocol.
 */
struct bench_plan {
	uint32_t subscribers;
	uint32_t channels; /* 1 to BENCH_PLAN_MAX */
	uint32_t publishers;
	bool pattern;
};

#define BENCH_PLAN_MAX 65536 /* channels, publishers: their numbers have 16 bits in a stamp */

/* How many subscriptions a subscriber holds, and the channel of the i-th (not with `pattern`). */
uint32_t bench_plan_subscriptions(const struct bench_plan *plan, uint32_t subscriber);
uint32_t bench_plan_channel(const struct bench_plan *plan, uint32_t subscriber, uint32_t i);

/* How many receive a message to the channel. */
uint32_t bench_plan_fanout(const struct bench_plan *plan, uint32_t channel);

/*
 * Every channel that a subscriber can receive has a slot of its own, below the number of slots;
 * UINT32_MAX where this channel is none of the subscriber's.
 */
uint32_t bench_plan_slots(const struct bench_plan *plan);
uint32_t bench_plan_slot(const struct bench_plan *plan, uint32_t subscriber, uint32_t channel);

/* Of message n of a publisher: where it goes, and its number in its flow. */
uint32_t bench_plan_target(const struct bench_plan *plan, uint32_t publisher, uint64_t n);
uint32_t bench_plan_sequence(const struct bench_plan *plan, uint64_t n);

/*
 * The first bytes of each payload: when it was meant to be sent, its number, whose it is. In the
 * order of the machine's own bytes, for the generator alone reads what it wrote.
 */
struct bench_stamp {
	uint64_t meant_ns;
	uint32_t sequence;
	uint16_t publisher;
	uint16_t channel;
};

#define BENCH_STAMP_BYTES sizeof(struct bench_stamp)

_Static_assert(BENCH_STAMP_BYTES == 16, "a stamp has no padding");

/* Names of fixed length, so that all frames of a run are equally long. */
void bench_plan_put_channel(struct buffer *out, const char *prefix, char separator, uint32_t i);

/* An idle channel has 20 bytes: "idle" and a number. */
void bench_plan_put_idle_channel(struct buffer *out, char separator, uint64_t i);

#endif
