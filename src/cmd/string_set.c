#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/*
 * Commands that set and read whole strings, except GET and SET: SETNX SETEX GETSET GETDEL GETEX
 * MGET MSET and similar ones.
 */

/* Sets as SET without options does: an old value of any type, and its expiry, are removed. */
static struct kv_key *
set_plainly(struct request *rq, struct kv_key *old, struct slice name, struct slice value)
{
	struct kv_db *db = request_db(rq);
	struct kv_key *key = key_put_string(rq, old, name, value);

	if (old != NULL)
		key = kv_set_expiry(db, key, KV_NEVER);
	key_changed(rq, name, KEY_STRING, "set");
	return key;
}

static void
put_string(struct request *rq, const struct kv_key *key)
{
	if (key == NULL)
		resp_put_null(rq->reply, rq->proto);
	else
		resp_put_bulk(rq->reply, kv_string(key));
}

enum command_result
cmd_setnx(struct request *rq)
{
	struct kv_key *old = key_write(rq, rq->argv[1]);

	if (old == NULL)
		set_plainly(rq, NULL, rq->argv[1], rq->argv[2]);
	resp_put_int(rq->reply, old == NULL);
	return COMMAND_DONE;
}

/* Logs the expiry as an absolute time, so that a key that is loaded later does not live longer. */
static enum command_result
set_with_end(struct request *rq, int64_t unit_ms)
{
	char digits[BYTES_I64_MAX];
	struct slice log[] = {SLICE("SET"), rq->argv[1], rq->argv[3], SLICE("PXAT"), {digits, 0}};
	struct kv_key *key;
	int64_t end_ms;

	if (!args_expiry(rq, rq->argv[2], unit_ms, request_now_ms(rq), true, &end_ms))
		return COMMAND_DONE;
	key = key_put_string(rq, key_write(rq, rq->argv[1]), rq->argv[1], rq->argv[3]);
	kv_set_expiry(request_db(rq), key, end_ms);
	key_changed(rq, rq->argv[1], KEY_STRING, "set");
	key_changed(rq, rq->argv[1], KEY_GENERIC, "expire");
	log[4].len = bytes_from_i64(digits, end_ms);
	request_propagate(rq, log, sizeof(log) / sizeof(log[0]));
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_setex(struct request *rq)
{
	return set_with_end(rq, 1000);
}

enum command_result
cmd_psetex(struct request *rq)
{
	return set_with_end(rq, 1);
}

enum command_result
cmd_getset(struct request *rq)
{
	struct slice log[] = {SLICE("SET"), rq->argv[1], rq->argv[2]};
	struct kv_key *old = key_read(rq, rq->argv[1]);

	if (!key_is_of(rq, old, KV_STRING))
		return COMMAND_DONE;
	put_string(rq, old);
	set_plainly(rq, old, rq->argv[1], rq->argv[2]);
	request_propagate(rq, log, sizeof(log) / sizeof(log[0]));
	return COMMAND_DONE;
}

static void
remove_logged(struct request *rq, struct kv_key *key)
{
	struct slice log[] = {SLICE("DEL"), rq->argv[1]};

	key_remove(rq, key, "del");
	request_propagate(rq, log, sizeof(log) / sizeof(log[0]));
}

enum command_result
cmd_getdel(struct request *rq)
{
	struct kv_key *key = key_read(rq, rq->argv[1]);

	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	put_string(rq, key);
	if (key != NULL)
		remove_logged(rq, key);
	return COMMAND_DONE;
}

/* The options of GETEX. */
struct getex {
	bool persist;
	const struct args_unit *unit; /* unit of end; NULL: no expiry option */
	struct slice end;
};

/* The same option may be repeated, as in Redis; options cannot be combined. */
static bool
parse_getex(struct request *rq, struct getex *words)
{
	size_t i;

	for (i = 2; i < rq->argc; i++) {
		const struct args_unit *unit = args_unit(rq->argv[i]);

		if (slice_is_nocase(rq->argv[i], "persist") && words->unit == NULL) {
			words->persist = true;
		} else if (unit != NULL && i + 1 < rq->argc && !words->persist &&
			   (words->unit == NULL || words->unit == unit)) {
			words->unit = unit;
			words->end = rq->argv[++i];
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

static void
set_end(struct request *rq, struct kv_key *key, int64_t end_ms)
{
	char digits[BYTES_I64_MAX];
	struct slice log[] = {SLICE("PEXPIREAT"), rq->argv[1], {digits, 0}};

	if (key_is_over(rq, end_ms)) {
		remove_logged(rq, key);
		return;
	}
	kv_set_expiry(request_db(rq), key, end_ms);
	key_changed(rq, rq->argv[1], KEY_GENERIC, "expire");
	log[2].len = bytes_from_i64(digits, end_ms);
	request_propagate(rq, log, sizeof(log) / sizeof(log[0]));
}

enum command_result
cmd_getex(struct request *rq)
{
	struct slice log[] = {SLICE("PERSIST"), rq->argv[1]};
	struct getex words = {0};
	struct kv_key *key;
	int64_t end_ms = KV_NEVER;

	if (!parse_getex(rq, &words))
		return COMMAND_DONE;
	key = key_read(rq, rq->argv[1]);
	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	if (key != NULL && words.unit != NULL &&
	    !args_expiry(rq, words.end, words.unit->ms,
		words.unit->is_relative ? request_now_ms(rq) : 0, true, &end_ms))
		return COMMAND_DONE;
	put_string(rq, key);
	if (key == NULL)
		return COMMAND_DONE;
	if (words.unit != NULL) {
		set_end(rq, key, end_ms);
	} else if (words.persist && kv_expiry(request_db(rq), key) != KV_NEVER) {
		kv_set_expiry(request_db(rq), key, KV_NEVER);
		key_changed(rq, rq->argv[1], KEY_GENERIC, "persist");
		request_propagate(rq, log, sizeof(log) / sizeof(log[0]));
	}
	return COMMAND_DONE;
}

enum command_result
cmd_mget(struct request *rq)
{
	size_t i;

	resp_put_array(rq->reply, rq->argc - 1);
	for (i = 1; i < rq->argc; i++) {
		const struct kv_key *key = key_read(rq, rq->argv[i]);

		put_string(rq, key != NULL && kv_type_of(key) == KV_STRING ? key : NULL);
	}
	return COMMAND_DONE;
}

/* Returns false after replying with an error if a value is missing. */
static bool
are_pairs(struct request *rq)
{
	char name[COMMAND_NAME_MAX];

	if (rq->argc % 2 == 1)
		return true;
	request_error(rq, "ERR wrong number of arguments for '%s' command",
	    command_full_name(rq->command, name));
	return false;
}

static void
set_pairs(struct request *rq)
{
	size_t i;

	for (i = 1; i < rq->argc; i += 2)
		set_plainly(rq, key_write(rq, rq->argv[i]), rq->argv[i], rq->argv[i + 1]);
}

enum command_result
cmd_mset(struct request *rq)
{
	if (!are_pairs(rq))
		return COMMAND_DONE;
	set_pairs(rq);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_msetnx(struct request *rq)
{
	size_t i;

	if (!are_pairs(rq))
		return COMMAND_DONE;
	for (i = 1; i < rq->argc; i += 2) {
		if (key_write(rq, rq->argv[i]) != NULL) {
			resp_put_int(rq->reply, 0);
			return COMMAND_DONE;
		}
	}
	set_pairs(rq);
	resp_put_int(rq->reply, 1);
	return COMMAND_DONE;
}
