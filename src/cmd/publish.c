#include "config.h"

#include "cmd/publish.h"

#include <assert.h>

#include "cmd/handlers.h"
#include "cmd/publish_check.h"
#include "pubsub/hub.h"
#include "resp/writer.h"
#include "server/client.h"

/* PUBLISH, SPUBLISH, and what they share with other publishing commands. */

size_t
publish_count_messages(const struct command *command, size_t argc)
{
	if ((command->flags & CMD_CHANNEL) != 0)
		return 1;
	return (command->flags & CMD_CHANNEL_PAIRS) != 0 ? (argc - 1) / 2 : argc - 2;
}

struct hub_post
publish_post(
    const struct request *rq, const struct command *command, const struct slice *argv, size_t i)
{
	bool has_one_message = (command->flags & CMD_CHANNELS_LATER) != 0;

	return (struct hub_post){
	    .kind = (command->flags & CMD_SHARD) != 0 ? HUB_SHARD : HUB_CHANNEL,
	    .channel = argv[has_one_message ? i + 2 : i * 2 + 1],
	    .payload = argv[has_one_message ? 1 : i * 2 + 2],
	    .except = rq->client->no_echo ? &rq->client->subscriber : NULL,
	};
}

enum publish_result
publish_message(struct request *rq, const struct hub_post *post, struct hub_outcome *out)
{
	struct hub *hub = rq->server->hub;
	enum hub_result result;

	if (rq->in_transaction)
		result = hub_post_now(hub, post, HUB_IGNORE_LIMITS, out);
	else
		result = hub_post(hub, post, rq->now_us, &rq->client->pending->publication, out);
	switch (result) {
	case HUB_BLOCKED:
		rq->waits_for = WAIT_ROOM;
		return PUBLISH_WAITS;
	case HUB_FULL:
		rq->waits_for = WAIT_MEMORY;
		return PUBLISH_WAITS;
	case HUB_PREPARING:
		rq->waits_for = WAIT_TURN;
		return PUBLISH_WAITS;
	case HUB_TOO_LARGE:
		request_error(rq, "OOM command not allowed when used memory > 'maxmemory-pubsub'.");
		return PUBLISH_REFUSED;
	default:
		assert(result == HUB_OK);
	}
	publish_count(rq, post->kind, post->channel, post->payload.len);
	return PUBLISH_DONE;
}

static enum command_result
publish(struct request *rq)
{
	struct hub_post post = publish_post(rq, rq->command, rq->argv, 0);
	struct hub_outcome outcome;
	enum publish_result result;

	if (!publish_allows(rq, post.kind, post.channel, post.payload))
		return COMMAND_DONE;
	result = publish_message(rq, &post, &outcome);
	if (result == PUBLISH_WAITS)
		return COMMAND_LATER;
	if (result == PUBLISH_DONE)
		resp_put_int(rq->reply, (int64_t)outcome.receivers);
	return COMMAND_DONE;
}

enum command_result
cmd_publish(struct request *rq)
{
	return publish(rq);
}

enum command_result
cmd_spublish(struct request *rq)
{
	return publish(rq);
}
