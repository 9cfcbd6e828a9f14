#include "config.h"

#include "cmd/zset_args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/args.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/*
 * strtod on a copy, because a slice has no NUL at its end. *used: how many bytes it read. Blank or
 * empty text gives 0, which ranges of Redis rely on.
 */
static double
number_of(struct slice arg, size_t *used, bool *out_of_range)
{
	char small[64], *text = arg.len < sizeof(small) ? small : xmalloc(arg.len + 1), *end;
	double value;

	if (arg.len > 0)
		memcpy(text, arg.ptr, arg.len);
	text[arg.len] = '\0';
	errno = 0;
	value = strtod(text, &end);
	*used = (size_t)(end - text);
	*out_of_range = errno == ERANGE && (isinf(value) || fpclassify(value) == FP_ZERO);
	if (text != small)
		xfree(text);
	return value;
}

bool
zset_parse_score(struct request *rq, struct slice arg, const char *error, double *score)
{
	bool out_of_range;
	size_t used;
	double value = number_of(arg, &used, &out_of_range);

	if (arg.len == 0 || isspace((unsigned char)arg.ptr[0]) || used != arg.len || out_of_range ||
	    isnan(value)) {
		request_error(rq, "ERR %s", error != NULL ? error : "value is not a valid float");
		return false;
	}
	*score = value;
	return true;
}

/* Reads "(1.5" or "-inf". As in Redis, text after a NUL is ignored and empty text is 0. */
static bool
parse_score_limit(struct slice arg, bool is_max, struct zset_limit *limit)
{
	bool exclusive = arg.len > 0 && arg.ptr[0] == '(', out_of_range;
	size_t used;

	if (exclusive)
		arg = (struct slice){arg.ptr + 1, arg.len - 1};
	*limit = (struct zset_limit){.place = ZSET_LIMIT_BOUND};
	limit->bound.by = RANK_BY_SCORE;
	limit->bound.score = number_of(arg, &used, &out_of_range);
	limit->bound.after = exclusive != is_max;
	return (used == arg.len || arg.ptr[used] == '\0') && !isnan(limit->bound.score);
}

/* Reads "[a", "(a", "-" or "+". */
static bool
parse_lex_limit(struct slice arg, bool is_max, struct zset_limit *limit)
{
	bool single = arg.len == 1 || (arg.len > 1 && arg.ptr[1] == '\0');

	if (arg.len == 0)
		return false;
	switch (arg.ptr[0]) {
	case '-':
		*limit = (struct zset_limit){.place = ZSET_LIMIT_FIRST};
		return single;
	case '+':
		*limit = (struct zset_limit){.place = ZSET_LIMIT_LAST};
		return single;
	case '(':
	case '[':
		*limit = (struct zset_limit){.place = ZSET_LIMIT_BOUND};
		limit->bound.by = RANK_BY_KEY;
		limit->bound.key = (struct slice){arg.ptr + 1, arg.len - 1};
		limit->bound.after = (arg.ptr[0] == '(') != is_max;
		return true;
	default:
		return false;
	}
}

bool
zset_parse_range(struct request *rq, enum zset_range_kind kind, struct slice min, struct slice max,
    struct zset_range *range)
{
	*range = (struct zset_range){.kind = kind};
	switch (kind) {
	case ZSET_BY_RANK:
		return args_i64(rq, min, &range->min.rank) && args_i64(rq, max, &range->max.rank);
	case ZSET_BY_SCORE:
		if (parse_score_limit(min, false, &range->min) &&
		    parse_score_limit(max, true, &range->max))
			return true;
		request_error(rq, "ERR min or max is not a float");
		return false;
	case ZSET_BY_LEX:
		break;
	}
	if (parse_lex_limit(min, false, &range->min) && parse_lex_limit(max, true, &range->max))
		return true;
	request_error(rq, "ERR min or max not valid string range item");
	return false;
}

static size_t
rank_of(const struct kv_zset *z, const struct zset_limit *limit)
{
	switch (limit->place) {
	case ZSET_LIMIT_FIRST:
		return 0;
	case ZSET_LIMIT_LAST:
		return kv_zset_count(z);
	case ZSET_LIMIT_BOUND:
		break;
	}
	return kv_zset_count_before(z, &limit->bound);
}

void
zset_range_ranks(
    const struct kv_zset *z, const struct zset_range *range, bool reverse, size_t *from, size_t *to)
{
	int64_t count = (int64_t)kv_zset_count(z), first = range->min.rank, last = range->max.rank;

	*from = *to = 0;
	if (range->kind != ZSET_BY_RANK) {
		*from = rank_of(z, &range->min);
		*to = rank_of(z, &range->max);
		if (*to < *from)
			*to = *from;
		return;
	}
	first += first < 0 ? count : 0;
	last += last < 0 ? count : 0;
	if (first < 0)
		first = 0;
	if (first > last || first >= count)
		return;
	if (last >= count)
		last = count - 1;
	*from = (size_t)(reverse ? count - 1 - last : first);
	*to = (size_t)(reverse ? count - first : last + 1);
}

void
zset_store(struct request *rq, struct slice name, struct kv_zset *result, const char *event)
{
	size_t count = kv_zset_count(result);

	resp_put_int(rq->reply, (int64_t)count);
	if (count > 0) {
		key_put_value(rq, name, KV_ZSET, result);
		key_changed(rq, name, KEY_ZSET, event);
	} else {
		struct kv_key *key = key_write(rq, name);

		kv_zset_free(result);
		if (key != NULL)
			key_remove(rq, key, "del");
	}
}
