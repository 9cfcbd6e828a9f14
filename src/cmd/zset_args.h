#ifndef CMD_ZSET_ARGS_H
#define CMD_ZSET_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/zset.h"
#include "server/request.h"

/*
 * Arguments of commands for sorted sets: scores, and ranges of them in the three ways that there
 * are, each of which comes down to a range of ranks. False: it is none, and answered in Redis's
 * words.
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

/* A number with a fraction; no NaN. error: what is answered, NULL for Redis's usual words. */
bool zset_parse_score(struct request *rq, struct slice arg, const char *error, double *score)
    __attribute__((warn_unused_result));

/* Borrows both. */
bool zset_parse_range(struct request *rq, enum zset_range_kind kind, struct slice min,
    struct slice max, struct zset_range *range) __attribute__((warn_unused_result));

/* The ranks from *from to *to-1 are in the range; *to is not below *from, and at most the count.
 * reverse: ranks of the range count from the other end. */
void zset_range_ranks(const struct kv_zset *z, const struct zset_range *range, bool reverse,
    size_t *from, size_t *to);

/* What STORE commands end with: the result becomes the value of name, or name is removed where it
 * is empty; replies with how many there are. Takes result. */
void zset_store(struct request *rq, struct slice name, struct kv_zset *result, const char *event);

#endif
