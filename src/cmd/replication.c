#include "config.h"

#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/request.h"

/* ROLE, REPLICAOF, SLAVEOF: every server is a master without replicas. */

enum command_result
cmd_role(struct request *rq)
{
	resp_put_array(rq->reply, 3);
	resp_put_bulk_str(rq->reply, "master");
	resp_put_int(rq->reply, 0); /* the replication offset */
	resp_put_array(rq->reply, 0);
	return COMMAND_DONE;
}

enum command_result
cmd_replicaof(struct request *rq)
{
	int64_t port;

	if (slice_is_nocase(rq->argv[1], "no") && slice_is_nocase(rq->argv[2], "one"))
		request_ok(rq);
	else if (!slice_to_i64(rq->argv[2], &port) || port < 0 || port > UINT16_MAX)
		request_error(rq, "ERR Invalid master port");
	else
		request_error(rq, "ERR replication is not supported: this server cannot become a "
				  "replica");
	return COMMAND_DONE;
}
