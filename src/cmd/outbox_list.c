#include "config.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "cmd/client_lines.h"
#include "cmd/handlers.h"
#include "pubsub/hub_replay.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/io.h"

/*
 * OUTBOX LIST: the fields that CLIENT LIST cannot show, because some Redis clients reject fields
 * that Redis does not have.
 */
static void
describe(const struct client *c, uint64_t now_us, struct buffer *out)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	struct conn_figures figures = {.fd = -1};
	struct hub_replay_progress progress = hub_replay_progress(&c->subscriber);

	(void)now_us;
	if (!client_is_gone(c))
		c->server->io->conn_figures(client_conn(c), &figures);
	buffer_appendf(out, "id=%" PRIu64 " name=%s", c->id, client_name(c));
	buffer_appendf(out, " policy=%s limit-bytes=%zu limit-messages=%" PRIu32 " notify=%s",
	    outbox_policy_name(outbox->limits.policy), outbox->limits.bytes,
	    outbox->limits.messages, outbox->limits.notify ? "yes" : "no");
	buffer_appendf(out, " outbox-bytes=%zu outbox-messages=%" PRIu32 " dropped=%" PRIu64,
	    outbox->message_bytes, outbox->messages, outbox->dropped);
	buffer_appendf(out, " io-thread=%u watch=%" PRIu32 " channel-policies=%s", figures.loop,
	    client_watch_count(c), outbox->limits.channel_policies != 0 ? "yes" : "no");
	buffer_appendf(
	    out, " cursor=%" PRIu32 " behind=%" PRIu64, progress.channels, progress.behind);
}

enum command_result
cmd_outbox_list(struct request *rq)
{
	return client_lines(rq, describe, false);
}
