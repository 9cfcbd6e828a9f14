#include "config.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "cmd/client_lines.h"
#include "cmd/handlers.h"
#include "pubsub/hub_replay.h"
#include "server/client.h"

/* CLIENT LIST: lines of Redis, and how far a replay is. CLIENT INFO and ACL LOG do not have these
 * two fields, because libraries parse them, and some refuse fields that they do not know. */
static void
describe(const struct client *c, uint64_t now_us, struct buffer *out)
{
	struct hub_replay_progress progress = hub_replay_progress(&c->subscriber);

	client_describe(c, now_us, out);
	buffer_appendf(
	    out, " cursor=%" PRIu32 " behind=%" PRIu64, progress.channels, progress.behind);
}

enum command_result
cmd_client_list(struct request *rq)
{
	return client_lines(rq, describe, true);
}
