#include "config.h"

#include <math.h>

#include "base/float_text.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* Hashes: numeric fields. */

/*
 * Finds the hash and the value of the field; *has: the field exists. Returns false after replying
 * with an error if the key is of another type.
 */
static bool
find_field(struct request *rq, void **hash, struct slice *text, bool *has)
{
	struct kv_key *key;

	if (!key_write_value(rq, rq->argv[1], KV_HASH, &key, hash))
		return false;
	*has = *hash != NULL && kv_hash_get(*hash, rq->argv[2], text);
	return true;
}

static void
set_field(struct request *rq, struct kv_hash *hash, struct slice text, const char *event)
{
	if (hash == NULL) {
		hash = kv_hash_new();
		key_add(rq, rq->argv[1], KV_HASH, hash);
	}
	kv_hash_set(hash, rq->argv[2], text, &rq->server->config->kv);
	key_changed(rq, rq->argv[1], KEY_HASH, event);
}

enum command_result
cmd_hincrby(struct request *rq)
{
	char digits[BYTES_I64_MAX];
	int64_t step, v = 0;
	struct slice text;
	void *hash;
	bool has;

	if (!args_i64(rq, rq->argv[3], &step) || !find_field(rq, &hash, &text, &has))
		return COMMAND_DONE;
	if (has && !slice_to_i64(text, &v)) {
		request_error(rq, "ERR hash value is not an integer");
		return COMMAND_DONE;
	}
	if (__builtin_add_overflow(v, step, &v)) {
		request_error(rq, "ERR increment or decrement would overflow");
		return COMMAND_DONE;
	}
	set_field(rq, hash, (struct slice){digits, bytes_from_i64(digits, v)}, "hincrby");
	resp_put_int(rq->reply, v);
	return COMMAND_DONE;
}

/* Logged as HSET with the sum, because another machine's long double may add differently. */
enum command_result
cmd_hincrbyfloat(struct request *rq)
{
	char digits[FLOAT_TEXT_MAX];
	long double step, v = 0;
	struct slice text;
	void *hash;
	bool has;

	if (!float_text_parse(rq->argv[3], &step)) {
		request_error(rq, "ERR value is not a valid float");
		return COMMAND_DONE;
	}
	if (isinf(step)) {
		request_error(rq, "ERR value is NaN or Infinity");
		return COMMAND_DONE;
	}
	if (!find_field(rq, &hash, &text, &has))
		return COMMAND_DONE;
	if (has && !float_text_parse(text, &v)) {
		request_error(rq, "ERR hash value is not a float");
		return COMMAND_DONE;
	}
	v += step;
	if (isnan(v) || isinf(v)) {
		request_error(rq, "ERR increment would produce NaN or Infinity");
		return COMMAND_DONE;
	}
	text = (struct slice){digits, float_text_put(digits, v)};
	set_field(rq, hash, text, "hincrbyfloat");
	request_propagate(
	    rq, (const struct slice[]){SLICE("HSET"), rq->argv[1], rq->argv[2], text}, 4);
	resp_put_bulk(rq->reply, text);
	return COMMAND_DONE;
}
