#ifndef CMD_RANDOM_PICK_H
#define CMD_RANDOM_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/request.h"

/*
 * Draws: what HRANDFIELD, SRANDMEMBER and ZRANDMEMBER have in common. A negative count asks for so
 * many choices, each of all, so that a short request could ask for a reply without end: one that
 * would grow past DRAW_REPLY_MAX is refused.
 */
#define DRAW_REPLY_MAX ((size_t)64 << 20)

/* Reads the count; in_pairs: two elements each. False: it is none, or out of range, and answered.
 */
bool draw_count(struct request *rq, struct slice arg, bool in_pairs, int64_t *count)
    __attribute__((warn_unused_result));

/* False: whatever they are, so many elements would be too long; draw_refuse is due. */
bool draw_fits(uint64_t count) __attribute__((warn_unused_result));

/* To be asked before each element; the first one may be of any length. False: draw_refuse is due.
 */
bool draw_may_go_on(const struct request *rq);

/* An error in place of what was written to the reply since it was from_len long. */
void draw_refuse(struct request *rq, size_t from_len);

#endif
