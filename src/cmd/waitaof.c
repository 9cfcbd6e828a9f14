#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/disk.h"
#include "server/held.h"
#include "server/request.h"
#include "server/sync_wait.h"

/* WAIT, WAITAOF: waiting for copies of changes. There are no replicas, so none is waited for. */

/* A longer timeout, of 292 years, has no end. */
#define TIMEOUT_MS_MAX (INT64_MAX / 1000000)

static bool
parse_timeout(struct request *rq, struct slice arg, int64_t *timeout_ms)
{
	if (!slice_to_i64(arg, timeout_ms))
		request_error(rq, "ERR timeout is not an integer or out of range");
	else if (*timeout_ms < 0)
		request_error(rq, "ERR timeout is negative");
	else
		return true;
	return false;
}

enum command_result
cmd_wait(struct request *rq)
{
	int64_t replicas, timeout_ms;

	if (args_i64(rq, rq->argv[1], &replicas) && parse_timeout(rq, rq->argv[2], &timeout_ms))
		resp_put_int(rq->reply, 0);
	return COMMAND_DONE;
}

static bool
has_log(const struct server *server)
{
	struct server_disk_figures figures;

	if (server->disk->figures == NULL)
		return false;
	server->disk->figures(server->disk->arg, &figures);
	return figures.aof_on;
}

/* Replies with the number of append-only files and of replicas that have the changes. */
static enum command_result
put_copies(struct request *rq, bool is_synced)
{
	resp_put_array(rq->reply, 2);
	resp_put_int(rq->reply, is_synced);
	resp_put_int(rq->reply, 0);
	return COMMAND_DONE;
}

static enum command_result
wait_for_log(struct request *rq, bool needs_sync, uint64_t until_us)
{
	enum sync_woken woken = sync_wait_result(rq);
	bool is_synced;

	if (woken == SYNC_UNBLOCKED) {
		request_error(rq, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
		return COMMAND_DONE;
	}
	if (needs_sync && !has_log(rq->server)) {
		request_error(rq, "ERR WAITAOF cannot be used when numlocal is set but appendonly "
				  "is disabled.");
		return COMMAND_DONE;
	}
	is_synced = has_log(rq->server) && held_is_synced(rq->client);
	if (!needs_sync || is_synced || rq->in_transaction || woken == SYNC_TIMED_OUT)
		return put_copies(rq, is_synced);
	return sync_wait(rq, until_us);
}

enum command_result
cmd_waitaof(struct request *rq)
{
	int64_t files, replicas, timeout_ms;

	if (!args_i64(rq, rq->argv[1], &files))
		return COMMAND_DONE;
	if (files < 0 || files > 1) {
		request_error(rq, "ERR value is out of range, value must between 0 and 1");
		return COMMAND_DONE;
	}
	if (!args_at_least(
		rq, rq->argv[2], 0, "value is out of range, must be positive", &replicas) ||
	    !parse_timeout(rq, rq->argv[3], &timeout_ms))
		return COMMAND_DONE;
	if (timeout_ms > INT64_MAX - request_now_ms(rq)) {
		request_error(rq, "ERR timeout is out of range");
		return COMMAND_DONE;
	}
	return wait_for_log(rq, files == 1,
	    timeout_ms == 0 || timeout_ms > TIMEOUT_MS_MAX
		? UINT64_MAX
		: rq->now_us + (uint64_t)timeout_ms * 1000);
}
