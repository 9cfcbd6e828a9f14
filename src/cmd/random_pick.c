#include "config.h"

#include "cmd/random_pick.h"

#include "cmd/args.h"

bool
draw_count(struct request *rq, struct slice arg, bool in_pairs, int64_t *count)
{
	if (!args_i64(rq, arg, count))
		return false;
	if (*count < -INT64_MAX) {
		request_error(rq, "ERR value is out of range, value must between %lld and %lld",
		    (long long)-INT64_MAX, (long long)INT64_MAX);
		return false;
	}
	if (in_pairs && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
		request_error(rq, "ERR value is out of range");
		return false;
	}
	return true;
}

/* "$0\r\n\r\n" */
#define ELEMENT_MIN 6

bool
draw_fits(uint64_t count)
{
	return count <= DRAW_REPLY_MAX / ELEMENT_MIN;
}

bool
draw_may_go_on(const struct request *rq)
{
	return rq->reply->len < DRAW_REPLY_MAX;
}

void
draw_refuse(struct request *rq, size_t from_len)
{
	rq->reply->len = from_len;
	request_error(rq, "ERR the reply would be longer than %zu MiB", DRAW_REPLY_MAX >> 20);
}
