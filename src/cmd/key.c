#include "config.h"

#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/disk.h"
#include "server/propagation.h"
#include "server/request_keys.h"
#include "server/server_config.h"
#include "server/tracking.h"

/* Keys of any type: existence, type, removal. Expiry times are in cmd/expiry.c. */
enum command_result
cmd_del(struct request *rq)
{
	int64_t count = 0;
	size_t i;

	for (i = 1; i < rq->argc; i++) {
		struct kv_key *key = key_write(rq, rq->argv[i]);

		if (key == NULL)
			continue;
		key_remove(rq, key, "del");
		count++;
	}
	resp_put_int(rq->reply, count);
	return COMMAND_DONE;
}

/* UNLINK is DEL: it never frees a large value at once. */
enum command_result
cmd_unlink(struct request *rq)
{
	return cmd_del(rq);
}

enum command_result
cmd_exists(struct request *rq)
{
	int64_t count = 0;
	size_t i;

	for (i = 1; i < rq->argc; i++)
		count += key_look(rq, rq->argv[i]) != NULL;
	resp_put_int(rq->reply, count);
	return COMMAND_DONE;
}

enum command_result
cmd_touch(struct request *rq)
{
	int64_t count = 0;
	size_t i;

	for (i = 1; i < rq->argc; i++)
		count += key_read(rq, rq->argv[i]) != NULL;
	resp_put_int(rq->reply, count);
	return COMMAND_DONE;
}

enum command_result
cmd_type(struct request *rq)
{
	struct kv_key *key = key_look(rq, rq->argv[1]);

	resp_put_simple(rq->reply, key != NULL ? kv_types[kv_type_of(key)].name : "none");
	return COMMAND_DONE;
}

enum command_result
cmd_dbsize(struct request *rq)
{
	resp_put_int(rq->reply, (int64_t)kv_db_count(request_db(rq)));
	return COMMAND_DONE;
}

/*
 * ASYNC and SYNC mean the same here: the keys are removed at once and their memory is freed in
 * slices.
 */
static bool
parse_flush(struct request *rq)
{
	if (rq->argc == 1 || (rq->argc == 2 && (slice_is_nocase(rq->argv[1], "async") ||
						   slice_is_nocase(rq->argv[1], "sync"))))
		return true;
	request_syntax_error(rq);
	return false;
}

static void
flush(struct request *rq, uint32_t index)
{
	struct kv_db *db = kv_database(rq->server->kv, index);

	rq->changes += kv_db_count(db);
	kv_flush(db);
	if (rq->server->blocked->keyed > 0)
		blocked_look_again(rq->server);
}

enum command_result
cmd_flushdb(struct request *rq)
{
	if (!parse_flush(rq))
		return COMMAND_DONE;
	flush(rq, rq->client->db);
	tracking_all_changed(rq->server);
	/* Logged even if the database was empty, as in Redis. */
	request_propagate(rq, rq->argv, rq->argc);
	request_ok(rq);
	return COMMAND_DONE;
}

/*
 * Without a new snapshot, the keys of the last one would come back at the next start. As in Redis,
 * this is done only if there are save rules.
 */
static void
save_nothing(struct server *server)
{
	const struct server_disk *disk = server->disk;

	if (disk->save_behind != NULL && server->replay == NULL && disk->has_save_rules(disk->arg))
		disk->save_behind(disk->arg);
}

enum command_result
cmd_flushall(struct request *rq)
{
	uint32_t i;

	if (!parse_flush(rq))
		return COMMAND_DONE;
	for (i = 0; i < rq->server->config->databases; i++)
		flush(rq, i);
	tracking_all_changed(rq->server);
	request_propagate(rq, rq->argv, rq->argc);
	save_nothing(rq->server);
	request_ok(rq);
	return COMMAND_DONE;
}
