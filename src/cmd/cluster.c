#include "config.h"

#include "cmd/handlers.h"
#include "server/request.h"

/* CLUSTER, ASKING, READONLY, READWRITE: there is no cluster. */

enum command_result
cmd_cluster_disabled(struct request *rq)
{
	request_error(rq, "ERR This instance has cluster support disabled");
	return COMMAND_DONE;
}
