#include "config.h"

#include "server/request_holds.h"

#include "server/command.h"

bool
request_refuse_if_busy(struct request *rq)
{
	if (rq->server->scripts->state != SCRIPT_BUSY || (rq->command->flags & CMD_ALLOW_BUSY) != 0)
		return false;
	request_error(rq, SCRIPTS_BUSY_ERROR);
	return true;
}

bool
request_is_of_pause(const struct request *rq)
{
	const struct pause *pause = rq->server->pause;

	return (pause->by_script != NULL && (rq->command->flags & CMD_ALLOW_BUSY) == 0) ||
	       (pause->all && pause->until_us > rq->now_us) ||
	       (request_flags(rq) & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
}
