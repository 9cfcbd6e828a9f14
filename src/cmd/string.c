#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/* GET and SET. */
struct set_options {
	bool nx, xx, get, keep_ttl;
	const struct slice *expiry; /* the argument of `unit`, or NULL */
	const struct args_unit *unit;
};

enum command_result
cmd_get(struct request *rq)
{
	struct kv_key *key = key_read(rq, rq->argv[1]);

	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	if (key == NULL)
		resp_put_null(rq->reply, rq->proto);
	else
		resp_put_bulk(rq->reply, kv_string(key));
	return COMMAND_DONE;
}

/*
 * Reads one of EX, PX, EXAT and PXAT, and its argument. The same option may be repeated, as in
 * Redis.
 */
static bool
parse_expiry(struct request *rq, size_t *at, struct set_options *options)
{
	const struct args_unit *unit = args_unit(rq->argv[*at]);

	if (unit == NULL || options->keep_ttl || *at + 1 >= rq->argc ||
	    (options->expiry != NULL && options->unit != unit))
		return false;
	options->unit = unit;
	options->expiry = &rq->argv[++*at];
	return true;
}

static bool
parse_set(struct request *rq, struct set_options *options)
{
	size_t i;

	for (i = 3; i < rq->argc; i++) {
		struct slice word = rq->argv[i];

		if (slice_is_nocase(word, "nx") && !options->xx)
			options->nx = true;
		else if (slice_is_nocase(word, "xx") && !options->nx)
			options->xx = true;
		else if (slice_is_nocase(word, "get"))
			options->get = true;
		else if (slice_is_nocase(word, "keepttl") && options->expiry == NULL)
			options->keep_ttl = true;
		else if (!parse_expiry(rq, &i, options))
			return false;
	}
	return true;
}

/* Logs the SET that a restart repeats, with the expiry as an absolute time. */
static void
log_set(struct request *rq, const struct set_options *options, int64_t at_ms)
{
	struct slice argv[5] = {SLICE("SET"), rq->argv[1], rq->argv[2]};
	char time[BYTES_I64_MAX];
	size_t argc = 3;

	if (rq->argc == 3)
		return;
	if (at_ms != KV_NEVER) {
		argv[argc++] = SLICE("PXAT");
		argv[argc++] = (struct slice){time, bytes_from_i64(time, at_ms)};
	} else if (options->keep_ttl) {
		argv[argc++] = SLICE("KEEPTTL");
	}
	request_propagate(rq, argv, argc);
}

static void
set(struct request *rq, struct kv_key *old, const struct set_options *options, int64_t at_ms)
{
	struct slice name = rq->argv[1];
	struct kv_key *key = key_put_string(rq, old, name, rq->argv[2]);

	if (!options->keep_ttl || at_ms != KV_NEVER)
		kv_set_expiry(request_db(rq), key, at_ms);
	key_changed(rq, name, KEY_STRING, "set");
	if (at_ms != KV_NEVER)
		key_changed(rq, name, KEY_GENERIC, "expire");
	log_set(rq, options, at_ms);
}

enum command_result
cmd_set(struct request *rq)
{
	struct set_options options = {0};
	int64_t at_ms = KV_NEVER;
	struct kv_key *old;

	if (!parse_set(rq, &options)) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (options.expiry != NULL &&
	    !args_expiry(rq, *options.expiry, options.unit->ms,
		options.unit->is_relative ? request_now_ms(rq) : 0, true, &at_ms))
		return COMMAND_DONE;
	old = options.get ? key_read(rq, rq->argv[1]) : key_write(rq, rq->argv[1]);
	if (options.get) {
		if (!key_is_of(rq, old, KV_STRING))
			return COMMAND_DONE;
		if (old != NULL)
			resp_put_bulk(rq->reply, kv_string(old));
		else
			resp_put_null(rq->reply, rq->proto);
	}
	if ((options.nx && old != NULL) || (options.xx && old == NULL)) {
		if (!options.get)
			resp_put_null(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	set(rq, old, &options, at_ms);
	if (!options.get)
		request_ok(rq);
	return COMMAND_DONE;
}
