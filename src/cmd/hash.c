#include "config.h"

#include "cmd/handlers.h"
#include "cmd/scan.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* Hashes: setting, getting and removing fields. */

/*
 * The hash, which is created if the key does not exist. NULL: the key is of another type, and the
 * reply says so.
 */
static struct kv_hash *
hash_to_write(struct request *rq)
{
	struct kv_key *key;
	void *hash;

	if (!key_write_value(rq, rq->argv[1], KV_HASH, &key, &hash))
		return NULL;
	if (hash == NULL) {
		hash = kv_hash_new();
		key_add(rq, rq->argv[1], KV_HASH, hash);
	}
	return hash;
}

/* HSET and HMSET. Returns false after replying with an error. */
static bool
set_fields(struct request *rq, int64_t *added)
{
	struct kv_hash *hash;
	size_t i;

	*added = 0;
	if (rq->argc % 2 == 1) {
		request_error(
		    rq, "ERR wrong number of arguments for '%s' command", rq->command->name);
		return false;
	}
	hash = hash_to_write(rq);
	if (hash == NULL)
		return false;
	for (i = 2; i < rq->argc; i += 2)
		*added += kv_hash_set(hash, rq->argv[i], rq->argv[i + 1], &rq->server->config->kv);
	key_changed(rq, rq->argv[1], KEY_HASH, "hset");
	return true;
}

enum command_result
cmd_hset(struct request *rq)
{
	int64_t added;

	if (set_fields(rq, &added))
		resp_put_int(rq->reply, added);
	return COMMAND_DONE;
}

enum command_result
cmd_hmset(struct request *rq)
{
	int64_t added;

	if (set_fields(rq, &added))
		request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_hsetnx(struct request *rq)
{
	struct kv_hash *hash = hash_to_write(rq);
	struct slice value;

	if (hash == NULL)
		return COMMAND_DONE;
	if (kv_hash_get(hash, rq->argv[2], &value)) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	kv_hash_set(hash, rq->argv[2], rq->argv[3], &rq->server->config->kv);
	key_changed(rq, rq->argv[1], KEY_HASH, "hset");
	resp_put_int(rq->reply, 1);
	return COMMAND_DONE;
}

static void
put_value(struct request *rq, const struct kv_hash *hash, struct slice field)
{
	struct slice value;

	if (hash != NULL && kv_hash_get(hash, field, &value))
		resp_put_bulk(rq->reply, value);
	else
		resp_put_null(rq->reply, rq->proto);
}

enum command_result
cmd_hget(struct request *rq)
{
	void *hash;

	if (key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		put_value(rq, hash, rq->argv[2]);
	return COMMAND_DONE;
}

enum command_result
cmd_hmget(struct request *rq)
{
	void *hash;
	size_t i;

	if (!key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return COMMAND_DONE;
	resp_put_array(rq->reply, rq->argc - 2);
	for (i = 2; i < rq->argc; i++)
		put_value(rq, hash, rq->argv[i]);
	return COMMAND_DONE;
}

enum command_result
cmd_hdel(struct request *rq)
{
	struct kv_key *key;
	void *hash;
	int64_t removed = 0;
	size_t i;

	if (!key_write_value(rq, rq->argv[1], KV_HASH, &key, &hash))
		return COMMAND_DONE;
	for (i = 2; i < rq->argc && hash != NULL && kv_hash_count(hash) > 0; i++)
		removed += kv_hash_remove(hash, rq->argv[i]);
	if (removed > 0) {
		key_changed(rq, rq->argv[1], KEY_HASH, "hdel");
		if (kv_hash_count(hash) == 0)
			key_remove(rq, key, "del");
	}
	resp_put_int(rq->reply, removed);
	return COMMAND_DONE;
}

enum command_result
cmd_hlen(struct request *rq)
{
	void *hash;

	if (key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		resp_put_int(rq->reply, hash != NULL ? (int64_t)kv_hash_count(hash) : 0);
	return COMMAND_DONE;
}

enum command_result
cmd_hexists(struct request *rq)
{
	struct slice value;
	void *hash;

	if (key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		resp_put_int(rq->reply, hash != NULL && kv_hash_get(hash, rq->argv[2], &value));
	return COMMAND_DONE;
}

enum command_result
cmd_hstrlen(struct request *rq)
{
	struct slice value = {0};
	void *hash;

	if (!key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return COMMAND_DONE;
	if (hash == NULL || !kv_hash_get(hash, rq->argv[2], &value))
		value.len = 0;
	resp_put_int(rq->reply, (int64_t)value.len);
	return COMMAND_DONE;
}

static bool
put_field(struct slice field, struct slice value, void *arg)
{
	struct request *rq = arg;

	(void)value;
	resp_put_bulk(rq->reply, field);
	return true;
}

static bool
put_only_value(struct slice field, struct slice value, void *arg)
{
	struct request *rq = arg;

	(void)field;
	resp_put_bulk(rq->reply, value);
	return true;
}

static bool
put_both(struct slice field, struct slice value, void *arg)
{
	return put_field(field, value, arg) && put_only_value(field, value, arg);
}

enum command_result
cmd_hgetall(struct request *rq)
{
	void *hash;

	if (!key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return COMMAND_DONE;
	resp_put_map(rq->reply, rq->proto, hash != NULL ? kv_hash_count(hash) : 0);
	if (hash != NULL)
		kv_hash_each(hash, put_both, rq);
	return COMMAND_DONE;
}

static void
put_each(struct request *rq, kv_hash_visit *put)
{
	void *hash;

	if (!key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return;
	resp_put_array(rq->reply, hash != NULL ? kv_hash_count(hash) : 0);
	if (hash != NULL)
		kv_hash_each(hash, put, rq);
}

enum command_result
cmd_hkeys(struct request *rq)
{
	put_each(rq, put_field);
	return COMMAND_DONE;
}

enum command_result
cmd_hvals(struct request *rq)
{
	put_each(rq, put_only_value);
	return COMMAND_DONE;
}

static bool
scan_field(struct slice field, struct slice value, void *arg)
{
	struct scan *scan = arg;

	if (scan_see(scan, field, 2)) {
		scan_put(scan, field);
		scan_put(scan, value);
	}
	return true;
}

static uint64_t
scan_step_of_hash(const void *hash, uint64_t cursor, struct scan *scan)
{
	return kv_hash_scan(hash, cursor, scan_field, scan);
}

enum command_result
cmd_hscan(struct request *rq)
{
	struct scan scan;
	void *hash;

	if (!scan_cursor(rq, 2, &scan) || !key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return COMMAND_DONE;
	if (hash == NULL)
		scan_reply_empty(rq);
	else if (scan_options(rq, 3, false, &scan))
		scan_run(rq, &scan, scan_step_of_hash, hash);
	return COMMAND_DONE;
}
