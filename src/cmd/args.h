#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/request.h"

/* Arguments of commands that are numbers. False: it is none, and answered in Redis's words. */
bool args_i64(struct request *rq, struct slice arg, int64_t *out)
    __attribute__((warn_unused_result));

bool args_i32(struct request *rq, struct slice arg, int64_t *out)
    __attribute__((warn_unused_result)); /* what an int32_t holds */

/* The same, and min at least; any other is answered with this error, without its "ERR ". */
bool args_at_least(struct request *rq, struct slice arg, int64_t min, const char *error,
    int64_t *out) __attribute__((warn_unused_result));

/*
 * A range among len bytes or bits, both ends included and counted from the end where they are
 * negative, brought to where those are; false: it is empty.
 */
bool args_range_clamp(int64_t len, int64_t *start, int64_t *end)
    __attribute__((warn_unused_result));

/* EX, PX, EXAT, PXAT: what their argument is. NULL: the word is none of them. */
struct args_unit {
	const char *word;
	int64_t ms;
	bool is_relative;
};

const struct args_unit *args_unit(struct slice word);

/*
 * A time to live or a time, in seconds or ms (unit_ms is 1000 or 1), counted from base_ms: the Unix
 * time in ms. positive: 0 and less are refused. "ERR invalid expire time in 'x' command".
 */
bool args_expiry(struct request *rq, struct slice arg, int64_t unit_ms, int64_t base_ms,
    bool positive, int64_t *at_ms) __attribute__((warn_unused_result));

#endif
