#include "config.h"

#include <math.h>

#include "base/float_text.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/* Numeric strings: INCR DECR INCRBY DECRBY INCRBYFLOAT. */

static void
add(struct request *rq, int64_t by)
{
	struct slice name = rq->argv[1];
	struct kv_key *key = key_write(rq, name);
	char digits[BYTES_I64_MAX];
	int64_t v = 0;

	if (!key_is_of(rq, key, KV_STRING))
		return;
	if (key != NULL && !args_i64(rq, kv_string(key), &v))
		return;
	if (__builtin_add_overflow(v, by, &v)) {
		request_error(rq, "ERR increment or decrement would overflow");
		return;
	}
	key_put_string(rq, key, name, (struct slice){digits, bytes_from_i64(digits, v)});
	key_changed(rq, name, KEY_STRING, "incrby");
	resp_put_int(rq->reply, v);
}

enum command_result
cmd_incr(struct request *rq)
{
	add(rq, 1);
	return COMMAND_DONE;
}

enum command_result
cmd_decr(struct request *rq)
{
	add(rq, -1);
	return COMMAND_DONE;
}

enum command_result
cmd_incrby(struct request *rq)
{
	int64_t by;

	if (args_i64(rq, rq->argv[2], &by))
		add(rq, by);
	return COMMAND_DONE;
}

enum command_result
cmd_decrby(struct request *rq)
{
	int64_t by;

	if (!args_i64(rq, rq->argv[2], &by))
		return COMMAND_DONE;
	if (by == INT64_MIN)
		request_error(rq, "ERR decrement would overflow");
	else
		add(rq, -by);
	return COMMAND_DONE;
}

static bool
arg_to_float(struct request *rq, struct slice arg, long double *out)
{
	if (float_text_parse(arg, out))
		return true;
	request_error(rq, "ERR value is not a valid float");
	return false;
}

/* The sum is logged, because another machine may round differently. */
enum command_result
cmd_incrbyfloat(struct request *rq)
{
	struct slice name = rq->argv[1];
	struct kv_key *key = key_write(rq, name);
	char digits[FLOAT_TEXT_MAX];
	long double v = 0, by;
	struct slice sum;

	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	if ((key != NULL && !arg_to_float(rq, kv_string(key), &v)) ||
	    !arg_to_float(rq, rq->argv[2], &by))
		return COMMAND_DONE;
	v += by;
	if (!isfinite(v)) {
		request_error(rq, "ERR increment would produce NaN or Infinity");
		return COMMAND_DONE;
	}
	sum = (struct slice){digits, float_text_put(digits, v)};
	key_put_string(rq, key, name, sum);
	key_changed(rq, name, KEY_STRING, "incrbyfloat");
	request_propagate(rq, (const struct slice[]){SLICE("SET"), name, sum, SLICE("KEEPTTL")}, 4);
	resp_put_bulk(rq->reply, sum);
	return COMMAND_DONE;
}
