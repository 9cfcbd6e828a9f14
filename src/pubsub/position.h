#ifndef PUBSUB_POSITION_H
#define PUBSUB_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Position: names one kept message of the hub, for ever. Its text is `EPOCH-SEQ`, both decimal.
 *
 * seq counts the kept messages of all channels together; the first is 1. epoch changes whenever the
 * same (epoch, seq) could otherwise name a second message. Messages are ordered by epoch, then seq.
 */
struct hub_position {
	uint64_t epoch;
	uint64_t seq;
};

/* Negative, 0 or positive, as memcmp. */
static inline int
position_compare(struct hub_position a, struct hub_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return a.seq < b.seq ? -1 : a.seq > b.seq;
}

#define POSITION_TEXT_MAX 41 /* two numbers of 20 digits and the '-' */

/* Writes `EPOCH-SEQ`, without a NUL, and returns the length, which position_len() tells before. */
size_t position_len(struct hub_position position);
size_t position_print(char out[POSITION_TEXT_MAX], struct hub_position position);

/* `EPOCH-SEQ` and nothing else, each number as strict as slice_to_u64. False leaves *out alone. */
bool position_parse(struct slice text, struct hub_position *out)
    __attribute__((warn_unused_result));

/* From where a reader wants to read on: `since` in the commands. */
enum position_kind {
	POSITION_AT,   /* `EPOCH-SEQ`: what comes after this position */
	POSITION_ALL,  /* `0`: everything that is kept */
	POSITION_NEW,  /* `$`: only messages that are published from now on */
	POSITION_LAST, /* `-N`: the last N kept messages, N at least 1 */
};

struct position_since {
	enum position_kind kind;
	struct hub_position at; /* POSITION_AT */
	uint64_t count;         /* POSITION_LAST */
};

/* False leaves *out alone. */
bool position_parse_since(struct slice text, struct position_since *out)
    __attribute__((warn_unused_result));

/*
 * One end of a range, as in XRANGE: `-` and `+` are the least and the greatest position, `(` in
 * front excludes the position, and an EPOCH alone means its first position at the start of a range
 * and its last one at the end. *out is inclusive. False leaves *out alone; also if no position is
 * left on that side, as at the start of a range for the greatest position with `(`.
 */
bool position_parse_bound(struct slice text, bool is_start, struct hub_position *out)
    __attribute__((warn_unused_result));

#endif
