#ifndef PUBSUB_IDEMPOTENCY_H
#define PUBSUB_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/post.h"

/*
 * Idempotency: the keys of messages that were published lately, and what became of each message, so
 * that a message that its publisher sends again is not published again.
 *
 * A key belongs to a channel and is kept for a window of time, which begins when the message is
 * published. Nothing else ends it: repeats do not extend it, and no key is removed to make room for
 * another. It reads no clock: now_us is monotonic and does not go backwards.
 */
struct idempotency;

/* The longest key. A channel and a key that are together longer than IDEMPOTENCY_UNIT bytes count
 * as several keys, so that the number of keys bounds the memory. */
#define IDEMPOTENCY_KEY_MAX 256
#define IDEMPOTENCY_UNIT 256

struct idempotency *idempotency_new(void); /* returns owned (idempotency_free) */
void idempotency_free(struct idempotency *keys);

/* What became of the message with this key, if its window has not ended; otherwise NULL. Valid
 * until the next call that may change something. */
const struct hub_outcome *idempotency_find(
    const struct idempotency *keys, struct slice channel, struct slice key, uint64_t now_us);

/* True if there is room for this key among max keys. May free keys whose window has ended. */
bool idempotency_has_room(struct idempotency *keys, struct slice channel, struct slice key,
    size_t max, uint64_t now_us) __attribute__((warn_unused_result));

/* Adds a key that idempotency_find() does not find. Copies; channel.len is at most 65535, key.len
 * IDEMPOTENCY_KEY_MAX. */
void idempotency_add(struct idempotency *keys, struct slice channel, struct slice key,
    const struct hub_outcome *outcome, uint64_t now_us, uint64_t window_us);

/* The message with this key, whose outcome has the number `sent`, was given a position. */
void idempotency_set_position(struct idempotency *keys, struct slice channel, struct slice key,
    uint64_t sent, struct hub_position position);

/* For the successor of an upgrade, which adds the keys again: calls visit for each key whose window
 * has not ended. False: visit returned false. */
struct idempotency_record {
	struct slice channel, key;
	const struct hub_outcome *outcome;
	uint64_t end_us; /* of its window */
};
bool idempotency_each(const struct idempotency *keys, uint64_t now_us,
    bool (*visit)(void *arg, const struct idempotency_record *record), void *arg)
    __attribute__((warn_unused_result));

/* To be called regularly: frees at most `budget` keys whose window has ended. True if more of them
 * may be left. */
bool idempotency_expire(struct idempotency *keys, uint64_t now_us, size_t budget);

/* The number of keys, as idempotency_has_room() counts them; those whose window has ended count
 * until they are freed. */
size_t idempotency_count(const struct idempotency *keys);

#endif
