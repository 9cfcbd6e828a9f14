#include "config.h"

#include "server/number_args.h"

#include "server/keys.h"

bool
arg_to_i64(struct request *rq, struct slice arg, int64_t *out)
{
	if (slice_to_i64(arg, out))
		return true;
	request_error(rq, "ERR value is not an integer or out of range");
	return false;
}

bool
arg_to_end(struct request *rq, struct slice arg, enum arg_time unit, int64_t *end_ms)
{
	bool in_seconds = unit == ARG_SECONDS || unit == ARG_UNIX_SECONDS;
	bool is_relative = unit == ARG_SECONDS || unit == ARG_MILLISECONDS;
	int64_t now_ms = request_now_ms(rq), v;
	char name[COMMAND_NAME_MAX];

	if (!arg_to_i64(rq, arg, &v))
		return false;
	if (v > 0 && (!in_seconds || v <= INT64_MAX / 1000)) {
		v *= in_seconds ? 1000 : 1;
		/* INT64_MAX itself is KV_NEVER. */
		if (!is_relative || v < INT64_MAX - now_ms) {
			*end_ms = is_relative ? v + now_ms : v;
			return true;
		}
	}
	request_error(rq, "ERR invalid expire time in '%s' command",
	    command_full_name(rq->command, name));
	return false;
}
