#ifndef PUBSUB_HUB_GATHER_H
#define PUBSUB_HUB_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/hub_replay.h"
#include "pubsub/position.h"

/*
 * Gather: the channels with which replays of patterns begin.
 *
 * A channel matters to a reader only if its ring was written to behind the reader's position. These
 * rings are visited, from the one that was written to last, in steps of bounded cost, because there
 * may be a million of them. Between the steps the hub may change: rings that are written to are
 * visited again, and a ring that is freed raises forgotten_seq (history.h). What is gathered is
 * right in the turn of HUB_GATHER_DONE; in a later turn another step brings it up to date.
 *
 * It does not know clients, nor who may read which channel.
 */
struct hub_gather;

/* The most messages that `-N` asks for; a higher number means as many. */
#define HUB_GATHER_LAST_MAX 8192

/* Where a pattern's replay begins: with all kept messages behind after_seq. Those behind whole_seq,
 * which is not less, must all be kept. */
struct hub_start {
	uint64_t after_seq;
	uint64_t whole_seq;
};

/*
 * False while there are as many gathers as there should be at a time: each may take a hundred bytes
 * for each of its channels. Whoever cannot wait may begin one nevertheless.
 */
#define HUB_GATHERS_MAX 64
bool hub_gather_may_begin(const struct hub *hub) __attribute__((warn_unused_result));

/* channels_max: as many channels may be gathered for all patterns together. Borrows hub. Returns
 * owned (hub_gather_free). */
struct hub_gather *hub_gather_new(struct hub *hub, uint32_t channels_max);
void hub_gather_free(struct hub_gather *gather); /* NULL is allowed; before hub_free() */

/* Adds a pattern, before the first step, and returns its number, from 0 on. Each pattern is added
 * once. */
uint32_t hub_gather_add(struct hub_gather *gather, struct slice pattern, struct hub_start start);

/* False if the pattern was not added. */
bool hub_gather_find(const struct hub_gather *gather, struct slice pattern, uint32_t *number)
    __attribute__((warn_unused_result));

enum hub_gather_result {
	HUB_GATHER_MORE,
	HUB_GATHER_DONE,
	HUB_GATHER_LOST,     /* messages of a pattern are gone: hub_gather_lost() */
	HUB_GATHER_TOO_MANY, /* a pattern has more channels than channels_max leaves it */
};

/* One step of about `budget` rings, at least 1. No step follows HUB_GATHER_LOST and
 * HUB_GATHER_TOO_MANY. */
enum hub_gather_result hub_gather_step(struct hub_gather *gather, uint64_t now_us, size_t budget)
    __attribute__((warn_unused_result));

/* The number of the pattern that ended the gather; the first one of several that are lost. */
uint32_t hub_gather_lost(const struct hub_gather *gather);

/* After HUB_GATHER_DONE, in the same turn: the channels of a pattern. Borrows until the next
 * step. */
const struct hub_matched *hub_gather_matched(
    const struct hub_gather *gather, uint32_t number, size_t *count);

/* Where its replay begins: as it was added, or behind what was forgotten (history_forget) before.
 */
struct hub_start hub_gather_start(const struct hub_gather *gather, uint32_t number);

/* The pattern of that number; borrows from the gather. */
struct slice hub_gather_pattern(const struct hub_gather *gather, uint32_t number);

/* The number of channels of all patterns. */
uint32_t hub_gather_channels(const struct hub_gather *gather);

/*
 * What becomes of a subscriber that goes on with the pattern at `since`. Returns NULL if *out says
 * it; a replay then begins at its position. Otherwise returns a gather (owned) of the pattern,
 * which ends with hub_gather_judge() after its last step. A lost position is replaced with that of
 * the newest message. HUB_NO_HISTORY: no channel at all keeps messages.
 */
struct hub_gather *hub_gather_since(struct subscriber *s, struct slice pattern,
    const struct position_since *since, uint32_t channels_max, struct hub_resumption *out);

/* The messages of a pattern's channels are not all seen here (post.only_patterns): no pattern goes
 * on at a position, and none begins with kept messages. */
void hub_set_partial_patterns(struct hub *hub, bool are_partial);

/* result is that of the last step. *start: where the pattern's replay begins, if it is HUB_RESUMED
 * or HUB_NEW. */
struct hub_resumption hub_gather_judge(
    const struct hub_gather *gather, enum hub_gather_result result, struct hub_start *start);

#endif
