#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/request.h"

/*
 * Numeric arguments. Each function returns false after replying with Redis's error if the argument
 * is not a number in its range.
 */
bool args_i64(struct request *rq, struct slice arg, int64_t *out)
    __attribute__((warn_unused_result));

bool args_i32(struct request *rq, struct slice arg, int64_t *out)
    __attribute__((warn_unused_result)); /* the range of int32_t */

/*
 * As args_i64, and the number must be at least min. For a smaller one the reply is this error,
 * which is given without its "ERR ".
 */
bool args_at_least(struct request *rq, struct slice arg, int64_t min, const char *error,
    int64_t *out) __attribute__((warn_unused_result));

/*
 * Converts a range of len bytes or bits to indexes from the start, clamped to what exists. Both
 * ends are included; a negative one counts from the end. False: the range is empty.
 */
bool args_range_clamp(int64_t len, int64_t *start, int64_t *end)
    __attribute__((warn_unused_result));

/* The unit of the argument of EX, PX, EXAT or PXAT. */
struct args_unit {
	const char *word;
	int64_t ms;
	bool is_relative;
};

/* NULL: word is none of the four. */
const struct args_unit *args_unit(struct slice word);

/*
 * An expiry: a time to live, or a Unix time, in seconds or ms (unit_ms is 1000 or 1). It counts
 * from base_ms, a Unix time in ms. positive: a value of 0 or less is refused. Returns false after
 * replying "ERR invalid expire time in 'x' command".
 */
bool args_expiry(struct request *rq, struct slice arg, int64_t unit_ms, int64_t base_ms,
    bool positive, int64_t *at_ms) __attribute__((warn_unused_result));

#endif
