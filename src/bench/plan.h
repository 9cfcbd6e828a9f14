#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Which subscriber has which channels, where each message goes, and how many deliveries are due.
 *
 * Channels and subscribers are assigned in turn: with more subscribers than channels, each
 * subscriber has one channel; with more channels, each channel has one subscriber. With `pattern`
 * each subscriber has all channels by one pattern. Message n of publisher p goes to channel (p + n)
 * mod channels, so the messages of one publisher to one channel (a flow) are numbered without gaps.
 * Arithmetic only: it knows neither connections nor protocols.
 */
struct bench_plan {
	uint32_t subscribers;
	uint32_t channels; /* 1 to BENCH_PLAN_MAX */
	uint32_t publishers;
	bool pattern;
};

#define BENCH_PLAN_MAX                                                                             \
	65536 /* of channels and of publishers: their numbers have 16 bits in a stamp */

/* Number of subscriptions of a subscriber, and the channel of the i-th (not with `pattern`). */
uint32_t bench_plan_subscriptions(const struct bench_plan *plan, uint32_t subscriber);
uint32_t bench_plan_channel(const struct bench_plan *plan, uint32_t subscriber, uint32_t i);

/* Number of subscribers that receive a message to the channel. */
uint32_t bench_plan_fanout(const struct bench_plan *plan, uint32_t channel);

/*
 * Each channel that a subscriber receives has its own slot, below the number of slots. UINT32_MAX
 * if the subscriber does not receive the channel.
 */
uint32_t bench_plan_slots(const struct bench_plan *plan);
uint32_t bench_plan_slot(const struct bench_plan *plan, uint32_t subscriber, uint32_t channel);

/* Channel of message n of a publisher, and its number in its flow. */
uint32_t bench_plan_target(const struct bench_plan *plan, uint32_t publisher, uint64_t n);
uint32_t bench_plan_sequence(const struct bench_plan *plan, uint64_t n);

/*
 * The first bytes of each payload: when it was due, its number, its publisher and channel. In
 * native byte order, because only the generator reads it.
 */
struct bench_stamp {
	uint64_t meant_ns;
	uint32_t sequence;
	uint16_t publisher;
	uint16_t channel;
};

#define BENCH_STAMP_BYTES sizeof(struct bench_stamp)

_Static_assert(BENCH_STAMP_BYTES == 16, "a stamp has no padding");

/* Names of fixed length, so that all frames of a run have the same length. */
void bench_plan_put_channel(struct buffer *out, const char *prefix, char separator, uint32_t i);

/* An idle channel has 20 bytes: "idle" and a number. */
void bench_plan_put_idle_channel(struct buffer *out, char separator, uint64_t i);

#endif
