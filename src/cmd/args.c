#include "config.h"

#include "cmd/args.h"

bool
args_i64(struct request *rq, struct slice arg, int64_t *out)
{
	if (slice_to_i64(arg, out))
		return true;
	request_error(rq, "ERR value is not an integer or out of range");
	return false;
}

bool
args_i32(struct request *rq, struct slice arg, int64_t *out)
{
	if (!args_i64(rq, arg, out))
		return false;
	if (*out >= INT32_MIN && *out <= INT32_MAX)
		return true;
	request_error(
	    rq, "ERR value is out of range, value must between -2147483648 and 2147483647");
	return false;
}

bool
args_range_clamp(int64_t len, int64_t *start, int64_t *end)
{
	if (*start < 0)
		*start = *start + len > 0 ? *start + len : 0;
	if (*end < 0)
		*end = *end + len > 0 ? *end + len : 0;
	if (*end >= len)
		*end = len - 1;
	return *start <= *end;
}

const struct args_unit *
args_unit(struct slice word)
{
	static const struct args_unit units[] = {
	    {"ex", 1000, true}, {"px", 1, true}, {"exat", 1000, false}, {"pxat", 1, false}};
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (slice_is_nocase(word, units[i].word))
			return &units[i];
	}
	return NULL;
}

bool
args_expiry(struct request *rq, struct slice arg, int64_t unit_ms, int64_t base_ms, bool positive,
    int64_t *at_ms)
{
	char name[COMMAND_NAME_MAX];
	int64_t value;

	if (!args_i64(rq, arg, &value))
		return false;
	if ((!positive || value > 0) && !__builtin_mul_overflow(value, unit_ms, at_ms) &&
	    !__builtin_add_overflow(*at_ms, base_ms, at_ms))
		return true;
	request_error(
	    rq, "ERR invalid expire time in '%s' command", command_full_name(rq->command, name));
	return false;
}

bool
args_at_least(struct request *rq, struct slice arg, int64_t min, const char *error, int64_t *out)
{
	if (slice_to_i64(arg, out) && *out >= min)
		return true;
	request_error(rq, "ERR %s", error);
	return false;
}
