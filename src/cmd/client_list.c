#include "config.h"

#include "cmd/client_lines.h"
#include "cmd/handlers.h"
#include "server/client.h"

enum command_result
cmd_client_list(struct request *rq)
{
	return client_lines(rq, client_describe, true);
}
