#include "config.h"

#include "cmd/handlers.h"
#include "cmd/scan.h"
#include "kv/keyspace.h"
#include "kv/set.h"
#include "resp/writer.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* Sets: adding, testing and removing members. */

/* The set of this name, which is created if `set` is NULL. The caller has checked the type. */
static struct kv_set *
set_to_add_to(struct request *rq, struct slice name, void *set)
{
	if (set == NULL) {
		set = kv_set_new();
		key_add(rq, name, KV_SET, set);
	}
	return set;
}

enum command_result
cmd_sadd(struct request *rq)
{
	struct kv_key *key;
	int64_t added = 0;
	void *set;
	size_t i;

	if (!key_write_value(rq, rq->argv[1], KV_SET, &key, &set))
		return COMMAND_DONE;
	set = set_to_add_to(rq, rq->argv[1], set);
	for (i = 2; i < rq->argc; i++)
		added += kv_set_add(set, rq->argv[i], &rq->server->config->kv);
	if (added > 0)
		key_changed(rq, rq->argv[1], KEY_SET, "sadd");
	resp_put_int(rq->reply, added);
	return COMMAND_DONE;
}

/* Notifies that members were removed from the set, and removes its key if it is empty. */
static void
was_removed_from(struct request *rq, struct kv_key *key, const struct kv_set *set)
{
	key_changed(rq, rq->argv[1], KEY_SET, "srem");
	if (kv_set_count(set) == 0)
		key_remove(rq, key, "del");
}

enum command_result
cmd_srem(struct request *rq)
{
	struct kv_key *key;
	int64_t removed = 0;
	void *set;
	size_t i;

	if (!key_write_value(rq, rq->argv[1], KV_SET, &key, &set))
		return COMMAND_DONE;
	for (i = 2; i < rq->argc && set != NULL && kv_set_count(set) > 0; i++)
		removed += kv_set_remove(set, rq->argv[i]);
	if (removed > 0)
		was_removed_from(rq, key, set);
	resp_put_int(rq->reply, removed);
	return COMMAND_DONE;
}

enum command_result
cmd_smove(struct request *rq)
{
	struct slice member = rq->argv[3];
	struct kv_key *key, *to_key;
	void *set, *to;

	if (!key_write_value(rq, rq->argv[1], KV_SET, &key, &set))
		return COMMAND_DONE;
	if (set != NULL && !key_is_of(rq, key_write(rq, rq->argv[2]), KV_SET))
		return COMMAND_DONE;
	if (set == NULL || !kv_set_has(set, member)) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	resp_put_int(rq->reply, 1);
	if (slice_eq(rq->argv[1], rq->argv[2]))
		return COMMAND_DONE;
	kv_set_remove(set, member);
	was_removed_from(rq, key_write(rq, rq->argv[1]), set);
	to_key = key_write(rq, rq->argv[2]);
	to = set_to_add_to(rq, rq->argv[2], to_key != NULL ? kv_value(to_key) : NULL);
	if (kv_set_add(to, member, &rq->server->config->kv))
		key_changed(rq, rq->argv[2], KEY_SET, "sadd");
	return COMMAND_DONE;
}

enum command_result
cmd_sismember(struct request *rq)
{
	void *set;

	if (key_read_value(rq, rq->argv[1], KV_SET, &set))
		resp_put_int(rq->reply, set != NULL && kv_set_has(set, rq->argv[2]));
	return COMMAND_DONE;
}

enum command_result
cmd_smismember(struct request *rq)
{
	void *set;
	size_t i;

	if (!key_read_value(rq, rq->argv[1], KV_SET, &set))
		return COMMAND_DONE;
	resp_put_array(rq->reply, rq->argc - 2);
	for (i = 2; i < rq->argc; i++)
		resp_put_int(rq->reply, set != NULL && kv_set_has(set, rq->argv[i]));
	return COMMAND_DONE;
}

enum command_result
cmd_scard(struct request *rq)
{
	void *set;

	if (key_read_value(rq, rq->argv[1], KV_SET, &set))
		resp_put_int(rq->reply, set != NULL ? (int64_t)kv_set_count(set) : 0);
	return COMMAND_DONE;
}

static bool
put_member(struct slice member, void *arg)
{
	struct request *rq = arg;

	resp_put_bulk(rq->reply, member);
	return true;
}

enum command_result
cmd_smembers(struct request *rq)
{
	void *set;

	if (!key_read_value(rq, rq->argv[1], KV_SET, &set))
		return COMMAND_DONE;
	resp_put_set(rq->reply, rq->proto, set != NULL ? kv_set_count(set) : 0);
	if (set != NULL)
		kv_set_each(set, put_member, rq);
	return COMMAND_DONE;
}

static bool
scan_member(struct slice member, void *arg)
{
	struct scan *scan = arg;

	if (scan_see(scan, member, 1))
		scan_put(scan, member);
	return true;
}

static uint64_t
scan_step_of_set(const void *set, uint64_t cursor, struct scan *scan)
{
	return kv_set_scan(set, cursor, scan_member, scan);
}

enum command_result
cmd_sscan(struct request *rq)
{
	struct scan scan;
	void *set;

	if (!scan_cursor(rq, 2, &scan) || !key_read_value(rq, rq->argv[1], KV_SET, &set))
		return COMMAND_DONE;
	if (set == NULL)
		scan_reply_empty(rq);
	else if (scan_options(rq, 3, false, &scan))
		scan_run(rq, &scan, scan_step_of_set, set);
	return COMMAND_DONE;
}
