#include "config.h"

#include "cmd/handlers.h"
#include "server/monitor.h"
#include "server/request.h"

enum command_result
cmd_monitor(struct request *rq)
{
	if (rq->in_transaction) {
		request_error(rq, "ERR MONITOR isn't allowed for DENY BLOCKING client");
		return COMMAND_DONE;
	}
	monitor_start(rq->client);
	request_ok(rq);
	return COMMAND_DONE;
}
