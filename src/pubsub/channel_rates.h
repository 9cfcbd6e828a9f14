#ifndef PUBSUB_CHANNEL_RATES_H
#define PUBSUB_CHANNEL_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Channel rates: the recent use of the limits publish-rate and publish-bytes, by channel.
 *
 * A channel has a record only while its recent use matters, which is for a second or two unless a
 * message was larger than publish-bytes. So channels without a rate cost nothing, and the records
 * need neither topics nor subscribers. A record has the keyed hash of the name, 64 bits, instead of
 * the name: its size does not depend on the peer. The number of records is bounded by the caller's
 * max; when it is reached, channels without a record have to wait until another record expires. It
 * reads no clock: now_us is monotonic.
 */
struct channel_rates;

/* The limits of a channel, a second; 0: none. */
struct channel_rate {
	uint32_t messages; /* at most a million */
	uint64_t bytes;
};

enum channel_rate_verdict {
	CHANNEL_RATE_OPEN,
	CHANNEL_RATE_REACHED,
	CHANNEL_RATE_NO_ROOM, /* it has no record, and there are max records */
};

struct channel_rates *channel_rates_new(void); /* returns owned (channel_rates_free) */
void channel_rates_free(struct channel_rates *rates);

/* Whether one more message may be published now; changes nothing. */
enum channel_rate_verdict channel_rates_check(const struct channel_rates *rates, struct slice name,
    const struct channel_rate *limit, size_t max, uint64_t now_us)
    __attribute__((warn_unused_result));

/* Counts a message of len bytes, unless that needs a record more than max. */
void channel_rates_count(struct channel_rates *rates, struct slice name,
    const struct channel_rate *limit, size_t max, size_t len, uint64_t now_us);

/* To be called regularly: frees at most `budget` records that do not matter any more. True if more
 * of them may be left. */
bool channel_rates_expire(struct channel_rates *rates, uint64_t now_us, size_t budget);

size_t channel_rates_records(const struct channel_rates *rates);

#endif
