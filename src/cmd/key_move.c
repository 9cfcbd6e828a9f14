#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* Keys that change their name or database: RENAME RENAMENX COPY MOVE SWAPDB. */

static enum command_result
rename_key(struct request *rq, bool only_new)
{
	struct slice from = rq->argv[1], to = rq->argv[2];
	struct kv_db *db = request_db(rq);
	struct kv_key *key = key_write(rq, from), *old;

	if (key == NULL) {
		request_error(rq, "ERR no such key");
		return COMMAND_DONE;
	}
	old = slice_eq(from, to) ? key : key_write(rq, to);
	if (old != NULL && only_new) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	if (old != key) {
		/* Removing a key may move other keys in memory: `key` is looked up again. */
		if (old != NULL)
			kv_remove(db, old);
		key_announce_new(rq, db, kv_move(db, kv_find(db, from), db, to));
		blocked_key_gone(rq->server, db, from);
		blocked_key_gone(rq->server, db, to);
		key_changed(rq, from, KEY_GENERIC, "rename_from");
		key_changed(rq, to, KEY_GENERIC, "rename_to");
	}
	if (only_new)
		resp_put_int(rq->reply, 1);
	else
		request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_rename(struct request *rq)
{
	return rename_key(rq, false);
}

enum command_result
cmd_renamenx(struct request *rq)
{
	return rename_key(rq, true);
}

/*
 * Reads a number, and does not check yet that the database exists: SWAPDB reads both numbers before
 * it checks either. Returns false after replying with the error.
 */
static bool
arg_to_number(struct request *rq, struct slice arg, const char *error, int64_t *number)
{
	if (slice_to_i64(arg, number) && *number >= INT32_MIN && *number <= INT32_MAX)
		return true;
	request_error(rq, "ERR %s", error);
	return false;
}

static bool
number_to_db(struct request *rq, int64_t number, uint32_t *db)
{
	if (number < 0 || number >= rq->server->config->databases) {
		request_error(rq, "ERR DB index is out of range");
		return false;
	}
	*db = (uint32_t)number;
	return true;
}

static bool
arg_to_db(struct request *rq, struct slice arg, uint32_t *db)
{
	int64_t number;

	return args_i32(rq, arg, &number) && number_to_db(rq, number, db);
}

static void
same_object(struct request *rq)
{
	request_error(rq, "ERR source and destination objects are the same");
}

enum command_result
cmd_move(struct request *rq)
{
	struct slice name = rq->argv[1];
	struct kv_db *from = request_db(rq), *to;
	uint32_t db;

	if (!arg_to_db(rq, rq->argv[2], &db))
		return COMMAND_DONE;
	to = kv_database(rq->server->kv, db);
	if (to == from) {
		same_object(rq);
		return COMMAND_DONE;
	}
	if (key_write(rq, name) == NULL || key_peek(rq, to, name) != NULL) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	key_announce_new(rq, to, kv_move(from, kv_find(from, name), to, name));
	blocked_key_gone(rq->server, from, name);
	key_changed(rq, name, KEY_GENERIC, "move_from");
	key_changed_in(rq, to, name, KEY_GENERIC, "move_to");
	resp_put_int(rq->reply, 1);
	return COMMAND_DONE;
}

static bool
parse_copy(struct request *rq, uint32_t *db, bool *replace)
{
	size_t i;

	for (i = 3; i < rq->argc; i++) {
		if (slice_is_nocase(rq->argv[i], "replace")) {
			*replace = true;
		} else if (slice_is_nocase(rq->argv[i], "db") && i + 1 < rq->argc) {
			if (!arg_to_db(rq, rq->argv[++i], db))
				return false;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

enum command_result
cmd_copy(struct request *rq)
{
	struct slice name = rq->argv[1], other = rq->argv[2];
	struct kv_db *from = request_db(rq), *to;
	uint32_t db = rq->client->db;
	struct kv_key *key, *old;
	bool replace = false;

	if (!parse_copy(rq, &db, &replace))
		return COMMAND_DONE;
	to = kv_database(rq->server->kv, db);
	if (to == from && slice_eq(name, other)) {
		same_object(rq);
		return COMMAND_DONE;
	}
	key = key_read(rq, name);
	old = key != NULL ? key_peek(rq, to, other) : NULL;
	if (key == NULL || (old != NULL && !replace)) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	if (old != NULL)
		kv_remove(to, old);
	key_announce_new(rq, to, kv_copy(from, kv_find(from, name), to, other));
	blocked_key_gone(rq->server, to, other);
	key_changed_in(rq, to, other, KEY_GENERIC, "copy_to");
	resp_put_int(rq->reply, 1);
	return COMMAND_DONE;
}

enum command_result
cmd_swapdb(struct request *rq)
{
	int64_t x, y;
	uint32_t a, b;

	if (arg_to_number(rq, rq->argv[1], "invalid first DB index", &x) &&
	    arg_to_number(rq, rq->argv[2], "invalid second DB index", &y) &&
	    number_to_db(rq, x, &a) && number_to_db(rq, y, &b)) {
		keys_swap(rq, a, b);
		request_ok(rq);
	}
	return COMMAND_DONE;
}
