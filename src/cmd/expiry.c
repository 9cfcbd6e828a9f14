#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/* Expiry times of keys. */
struct expire_options {
	bool nx, xx, gt, lt;
};

static bool
parse_options(struct request *rq, struct expire_options *options)
{
	size_t i;

	for (i = 3; i < rq->argc; i++) {
		if (slice_is_nocase(rq->argv[i], "nx")) {
			options->nx = true;
		} else if (slice_is_nocase(rq->argv[i], "xx")) {
			options->xx = true;
		} else if (slice_is_nocase(rq->argv[i], "gt")) {
			options->gt = true;
		} else if (slice_is_nocase(rq->argv[i], "lt")) {
			options->lt = true;
		} else {
			request_error(rq, "ERR Unsupported option %.*s",
			    (int)(rq->argv[i].len < 128 ? rq->argv[i].len : 128), rq->argv[i].ptr);
			return false;
		}
	}
	if (options->nx && (options->xx || options->gt || options->lt)) {
		request_error(
		    rq, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if (options->gt && options->lt) {
		request_error(rq, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	return true;
}

/* For GT and LT a key without an expiry counts as expiring later than any other. */
static bool
applies(const struct expire_options *options, int64_t was_ms, int64_t at_ms)
{
	if (options->nx && was_ms != KV_NEVER)
		return false;
	if (options->xx && was_ms == KV_NEVER)
		return false;
	if (options->gt && (was_ms == KV_NEVER || at_ms <= was_ms))
		return false;
	return !options->lt || was_ms == KV_NEVER || at_ms < was_ms;
}

static void
log_expiry(struct request *rq, int64_t at_ms)
{
	char time[BYTES_I64_MAX];
	const struct slice argv[] = {
	    SLICE("PEXPIREAT"), rq->argv[1], {time, bytes_from_i64(time, at_ms)}};

	request_propagate(rq, argv, 3);
}

static void
log_del(struct request *rq)
{
	const struct slice argv[] = {SLICE("DEL"), rq->argv[1]};

	request_propagate(rq, argv, 2);
}

static enum command_result
set_expiry(struct request *rq, int64_t unit_ms, int64_t base_ms)
{
	struct expire_options options = {0};
	struct kv_key *key;
	int64_t at_ms;

	if (!parse_options(rq, &options) ||
	    !args_expiry(rq, rq->argv[2], unit_ms, base_ms, false, &at_ms))
		return COMMAND_DONE;
	key = key_write(rq, rq->argv[1]);
	if (key == NULL || !applies(&options, kv_expiry(request_db(rq), key), at_ms)) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	if (key_is_over(rq, at_ms)) {
		key_remove(rq, key, "del");
		log_del(rq);
	} else {
		kv_set_expiry(request_db(rq), key, at_ms);
		key_changed(rq, rq->argv[1], KEY_GENERIC, "expire");
		log_expiry(rq, at_ms);
	}
	resp_put_int(rq->reply, 1);
	return COMMAND_DONE;
}

enum command_result
cmd_expire(struct request *rq)
{
	return set_expiry(rq, 1000, request_now_ms(rq));
}

enum command_result
cmd_pexpire(struct request *rq)
{
	return set_expiry(rq, 1, request_now_ms(rq));
}

enum command_result
cmd_expireat(struct request *rq)
{
	return set_expiry(rq, 1000, 0);
}

enum command_result
cmd_pexpireat(struct request *rq)
{
	return set_expiry(rq, 1, 0);
}

enum command_result
cmd_persist(struct request *rq)
{
	struct kv_key *key = key_write(rq, rq->argv[1]);
	bool ends = key != NULL && kv_expiry(request_db(rq), key) != KV_NEVER;

	if (ends) {
		kv_set_expiry(request_db(rq), key, KV_NEVER);
		key_changed(rq, rq->argv[1], KEY_GENERIC, "persist");
	}
	resp_put_int(rq->reply, ends);
	return COMMAND_DONE;
}

/* ms may be any int64_t: adding to it could overflow. */
static int64_t
rounded(int64_t ms, int64_t unit_ms)
{
	return ms / unit_ms + (ms % unit_ms * 2 >= unit_ms);
}

/*
 * Replies with the expiry, counted from base_ms, in units, rounded; -2: no such key, -1: the key
 * has no expiry.
 */
static enum command_result
show_expiry(struct request *rq, int64_t base_ms, int64_t unit_ms)
{
	struct kv_key *key = key_look(rq, rq->argv[1]);
	int64_t at_ms = key != NULL ? kv_expiry(request_db(rq), key) : KV_NEVER;

	if (key == NULL)
		resp_put_int(rq->reply, -2);
	else if (at_ms == KV_NEVER)
		resp_put_int(rq->reply, -1);
	else
		resp_put_int(rq->reply, rounded(at_ms - base_ms, unit_ms));
	return COMMAND_DONE;
}

enum command_result
cmd_ttl(struct request *rq)
{
	return show_expiry(rq, request_now_ms(rq), 1000);
}

enum command_result
cmd_pttl(struct request *rq)
{
	return show_expiry(rq, request_now_ms(rq), 1);
}

enum command_result
cmd_expiretime(struct request *rq)
{
	return show_expiry(rq, 0, 1000);
}

enum command_result
cmd_pexpiretime(struct request *rq)
{
	return show_expiry(rq, 0, 1);
}
