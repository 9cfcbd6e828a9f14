#include "config.h"

#include "base/clock.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/client_walk.h"
#include "server/history_wait.h"
#include "server/pause.h"
#include "server/sync_wait.h"
#include "server/wait.h"

/* CLIENT PAUSE, UNPAUSE and UNBLOCK. */

/* Reads a time in ms. Returns false after replying with Redis's error. */
static bool
parse_timeout(struct request *rq, struct slice text, uint64_t *ms)
{
	int64_t v;

	if (!slice_to_i64(text, &v)) {
		request_error(rq, "ERR timeout is not an integer or out of range");
		return false;
	}
	if (v < 0) {
		request_error(rq, "ERR timeout is negative");
		return false;
	}
	if (v > INT64_MAX - (int64_t)(clock_wall_us() / 1000)) {
		request_error(rq, "ERR timeout is out of range");
		return false;
	}
	*ms = (uint64_t)v;
	return true;
}

/* Another CLIENT PAUSE never weakens or shortens a pause in effect; only CLIENT UNPAUSE ends it. */
enum command_result
cmd_client_pause(struct request *rq)
{
	struct server *server = rq->server;
	uint64_t ms, until_us = UINT64_MAX;
	bool all = true;

	if (rq->argc > 4) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 4 && !slice_is_nocase(rq->argv[3], "all")) {
		all = false;
		if (!slice_is_nocase(rq->argv[3], "write")) {
			request_error(rq, "ERR CLIENT PAUSE mode must be WRITE or ALL");
			return COMMAND_DONE;
		}
	}
	if (!parse_timeout(rq, rq->argv[2], &ms))
		return COMMAND_DONE;
	if (ms < (UINT64_MAX - rq->now_us) / 1000)
		until_us = rq->now_us + ms * 1000;
	if (server->pause->until_us > rq->now_us) {
		all = all || server->pause->all;
		if (until_us < server->pause->until_us)
			until_us = server->pause->until_us;
	}
	server->pause->until_us = until_us;
	server->pause->all = all;
	wait_event(server, WAIT_EVENT_PAUSED);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_client_unpause(struct request *rq)
{
	rq->server->pause->until_us = 0;
	wait_event(rq->server, WAIT_EVENT_UNPAUSED);
	request_ok(rq);
	return COMMAND_DONE;
}

/*
 * Unblocks a client that waits for a key or for a kept message. Requests that wait for something
 * else are not affected.
 */
enum command_result
cmd_client_unblock(struct request *rq)
{
	bool with_error = rq->argc == 4 && slice_is_nocase(rq->argv[3], "error");
	struct client *c = NULL;
	int64_t id;

	if (rq->argc > 4)
		request_subcommand_syntax_error(rq);
	else if (rq->argc == 4 && !slice_is_nocase(rq->argv[3], "timeout") && !with_error)
		request_error(rq, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
	else if (!slice_to_i64(rq->argv[2], &id))
		request_error(rq, "ERR value is not an integer or out of range");
	else if (id > 0 && (c = client_by_id(rq->server, (uint64_t)id)) == NULL)
		resp_put_int(rq->reply, 0);
	else
		resp_put_int(rq->reply,
		    c != NULL && (blocked_end(c, with_error) || history_wait_end(c, with_error) ||
				     sync_wait_end(c, with_error)));
	return COMMAND_DONE;
}
