#ifndef CMD_ZSET_ARGS_H
#define CMD_ZSET_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/zset.h"
#include "server/request.h"

/*
 * Arguments of sorted-set commands: scores, and ranges by rank, score or name, each of which is
 * converted to a range of ranks. Functions that return bool return false after replying with
 * Redis's error if the argument is invalid.
 */
enum zset_range_kind { ZSET_BY_RANK, ZSET_BY_SCORE, ZSET_BY_LEX };

/* One end of a range. */
struct zset_limit {
	enum { ZSET_LIMIT_BOUND, ZSET_LIMIT_FIRST, ZSET_LIMIT_LAST } place;
	struct rank_bound bound;
	int64_t rank;
};

struct zset_range {
	enum zset_range_kind kind;
	struct zset_limit min, max;
};

/*
 * Reads a score, which is any number except NaN. error: the reply if it is not one; NULL: Redis's
 * usual text.
 */
bool zset_parse_score(struct request *rq, struct slice arg, const char *error, double *score)
    __attribute__((warn_unused_result));

/* Borrows min and max. */
bool zset_parse_range(struct request *rq, enum zset_range_kind kind, struct slice min,
    struct slice max, struct zset_range *range) __attribute__((warn_unused_result));

/*
 * Finds the ranks in the range: *from to *to-1. *to is at least *from, and at most the count.
 * reverse: ranks in the range count from the end.
 */
void zset_range_ranks(const struct kv_zset *z, const struct zset_range *range, bool reverse,
    size_t *from, size_t *to);

/*
 * The end of each STORE command: the result becomes the value of name, or name is removed if the
 * result is empty. Replies with the number of members. Takes result.
 */
void zset_store(struct request *rq, struct slice name, struct kv_zset *result, const char *event);

#endif
