#include "config.h"

#include "server/request_holds.h"

#include "server/client.h"
#include "server/command.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/pause.h"
#include "server/request.h"
#include "server/scripts.h"
#include "server/transaction.h"

uint32_t
request_flags(const struct request *rq)
{
	const struct transaction *t = client_transaction(rq->client);

	if (t == NULL || (rq->command->flags & CMD_EXEC) == 0)
		return rq->command->flags;
	return rq->command->flags | t->flags;
}

bool
request_is_busy(struct request *rq)
{
	if (!scripts_are_suspended(rq->server) || rq->server->scripts->state != SCRIPT_BUSY ||
	    (rq->command->flags & CMD_ALLOW_BUSY) != 0)
		return false;
	request_error(rq, SCRIPTS_BUSY_ERROR);
	return true;
}

bool
request_is_paused(const struct request *rq)
{
	const struct server *server = rq->server;

	if (!server_is_paused(server, rq->now_us))
		return false;
	return (server->pause->by_script != NULL && (rq->command->flags & CMD_ALLOW_BUSY) == 0) ||
	       (server->pause->all && server->pause->until_us > rq->now_us) ||
	       (request_flags(rq) & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
}

bool
request_waits_for_disk(const struct request *rq)
{
	const struct client *c = rq->client;
	uint32_t flags = request_flags(rq);

	if (rq->server->journal->is_crowded && (flags & CMD_WRITE) != 0)
		return true;
	if (held_is_empty(c) && !held_is_unsynced(c))
		return false;
	return held_is_full(c) || (flags & (CMD_PUBSUB | CMD_ADMIN | CMD_NO_AUTH)) != 0;
}
