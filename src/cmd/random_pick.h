#ifndef CMD_RANDOM_PICK_H
#define CMD_RANDOM_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/request.h"

/*
 * Draws: what HRANDFIELD, SRANDMEMBER and ZRANDMEMBER share. A negative count asks for that many
 * elements, with repetitions, so a short request could cause an endless reply. A reply that would
 * grow beyond DRAW_REPLY_MAX is refused.
 */
#define DRAW_REPLY_MAX ((size_t)64 << 20)

/*
 * Reads the count; in_pairs: each draw puts two elements. Returns false after replying with an
 * error if it is not an integer, or out of range.
 */
bool draw_count(struct request *rq, struct slice arg, bool in_pairs, int64_t *count)
    __attribute__((warn_unused_result));

/*
 * False if so many elements exceed the limit even if all are empty; the caller then calls
 * draw_refuse.
 */
bool draw_fits(uint64_t count) __attribute__((warn_unused_result));

/*
 * Called before each element; the first one may be of any length. False: the caller then calls
 * draw_refuse.
 */
bool draw_may_go_on(const struct request *rq);

/*
 * Cuts the reply to from_len bytes, its length before the draw, and replies with an error instead.
 */
void draw_refuse(struct request *rq, size_t from_len);

#endif
