#include "config.h"

#include "cmd/publish.h"

#include <assert.h>

#include "cmd/handlers.h"
#include "cmd/publish_check.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* PUBLISH, SPUBLISH, and what they share with other publishing commands. */

size_t
publish_count_messages(const struct command *command, size_t argc)
{
	if ((command->flags & CMD_CHANNEL) != 0)
		return 1;
	return (command->flags & CMD_CHANNEL_PAIRS) != 0 ? (argc - 1) / 2 : argc - 2;
}

/* Whether the client gets the message itself, unless its command says otherwise. */
static bool
has_echo(const struct request *rq, enum hub_kind kind, struct slice channel)
{
	struct hub *hub = rq->server->hub;

	if (rq->client->no_echo)
		return false;
	if ((hub_options_in_use(hub) & CHANNEL_BIT(no_echo)) == 0 || kind != HUB_CHANNEL)
		return true;
	/* A longer name is refused later. */
	return channel.len > rq->server->config->hub.name_bytes ||
	       hub_options_of(hub, channel)->no_echo == 0;
}

static struct hub_post
post_of(const struct request *rq, enum hub_kind kind, struct slice channel, struct slice payload)
{
	return (struct hub_post){
	    .kind = kind,
	    .channel = channel,
	    .payload = payload,
	    .except = has_echo(rq, kind, channel) ? NULL : &rq->client->subscriber,
	};
}

struct hub_post
publish_post(
    const struct request *rq, const struct command *command, const struct slice *argv, size_t i)
{
	bool has_one_message = (command->flags & CMD_CHANNELS_LATER) != 0;

	return post_of(rq, (command->flags & CMD_SHARD) != 0 ? HUB_SHARD : HUB_CHANNEL,
	    argv[has_one_message ? i + 2 : i * 2 + 1], argv[has_one_message ? 1 : i * 2 + 2]);
}

/*
 * A message of a script cannot wait. Subscribers with the policy block get it beyond their limits,
 * which maxmemory-pubsub bounds: what exceeds it is refused.
 */
static enum hub_result
post_of_script(struct request *rq, const struct hub_post *post, struct hub_outcome *out)
{
	struct hub *hub = rq->server->hub;
	size_t bytes = 0;
	enum hub_result room =
	    hub_may_post(hub, post, rq->now_us, &rq->client->pending->publication, &bytes);

	if (room == HUB_FULL || room == HUB_TOO_LARGE)
		return HUB_TOO_LARGE;
	return hub_post_now(hub, post, HUB_IGNORE_LIMITS, out);
}

/* *sent: the upstream got it, and it is delivered when it comes back. Otherwise it is to be
 * delivered here. */
static enum publish_result
forward(struct request *rq, const struct hub_post *post, struct hub_outcome *out, bool *sent)
{
	enum upstream_sending result = upstream_send(rq, post, out);

	*sent = result == UPSTREAM_SENT;
	if (*sent || result == UPSTREAM_LOCAL)
		return PUBLISH_DONE;
	return upstream_not_sent(rq, result) == COMMAND_LATER ? PUBLISH_WAITS : PUBLISH_REFUSED;
}

static inline enum publish_result
post_message(
    struct request *rq, const struct hub_post *post, bool is_limited, struct hub_outcome *out)
{
	struct hub *hub = rq->server->hub;
	enum hub_result result;
	enum publish_result forwarded;
	bool sent;

	if (rq->server->upstream != NULL) {
		forwarded = forward(rq, post, out, &sent);
		if (sent && is_limited)
			publish_count(rq, post->kind, post->channel, post->payload.len);
		if (sent || forwarded != PUBLISH_DONE)
			return forwarded;
	}
	if (rq->in_transaction) {
		hub_set_time(hub, rq->now_us);
		result = rq->in_script ? post_of_script(rq, post, out)
				       : hub_post_now(hub, post, HUB_IGNORE_LIMITS, out);
	} else {
		result = hub_post(hub, post, rq->now_us, &rq->client->pending->publication, out);
	}
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
	if (is_limited)
		publish_count(rq, post->kind, post->channel, post->payload.len);
	return PUBLISH_DONE;
}

enum publish_result
publish_message(struct request *rq, const struct hub_post *post, struct hub_outcome *out)
{
	return post_message(rq, post, true, out);
}

static enum command_result
publish(struct request *rq, enum hub_kind kind)
{
	bool is_limited = publish_is_limited(rq) || rq->client->no_echo;
	struct hub_post post = {.kind = kind, .channel = rq->argv[1], .payload = rq->argv[2]};
	struct hub_outcome outcome;
	enum publish_result result;

	if (is_limited && !has_echo(rq, kind, post.channel))
		post.except = &rq->client->subscriber;
	if ((is_limited || post.channel.len > rq->server->config->hub.name_bytes) &&
	    !publish_allows(rq, post.kind, post.channel, post.payload))
		return COMMAND_DONE;
	result = post_message(rq, &post, is_limited, &outcome);
	if (result == PUBLISH_WAITS)
		return COMMAND_LATER;
	if (result == PUBLISH_DONE)
		resp_put_int(rq->reply, (int64_t)outcome.receivers);
	return COMMAND_DONE;
}

enum command_result
cmd_publish(struct request *rq)
{
	return publish(rq, HUB_CHANNEL);
}

enum command_result
cmd_spublish(struct request *rq)
{
	return publish(rq, HUB_SHARD);
}
