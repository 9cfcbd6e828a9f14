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

uint32_t
request_flags_of_script(const struct request *rq)
{
	const struct scripts *scripts = rq->server->scripts;
	uint32_t flags = rq->command->flags;

	if (command_runs_script(rq->command) && rq->argc > 1 && scripts != NULL &&
	    scripts->ops->is_read_only(scripts, rq->argv[1]))
		flags &= ~(uint32_t)CMD_MAY_REPLICATE;
	return flags;
}

bool
request_is_of_pause(const struct request *rq)
{
	const struct pause *pause = rq->server->pause;
	bool is_script = command_runs_script(rq->command);
	uint32_t flags = is_script ? request_flags_of_script(rq) : request_flags(rq);

	return (is_script && pause->frozen) || /* it might run for long */
	       (pause->by_script != NULL && (rq->command->flags & CMD_ALLOW_BUSY) == 0) ||
	       (pause->all && pause->until_us > rq->now_us) ||
	       (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
}
