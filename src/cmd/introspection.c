#include "config.h"

#include "cmd/channel_list.h"
#include "cmd/handlers.h"
#include "pubsub/hub.h"
#include "pubsub/queue_group.h"
#include "pubsub/queue_name.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/request.h"
#include "server/server_config.h"

/* PUBSUB: introspection of channels and subscriptions. */

static bool
next_channel(
    struct client *c, enum hub_kind kind, struct slice after, struct slice *name, bool *is_wanted)
{
	const struct topic *topic = hub_next_channel(c->server->hub, kind, after);

	if (topic == NULL)
		return false;
	*name = topic_name(topic);
	*is_wanted = topic->count > 0;
	return true;
}

static bool
next_plain(struct client *c, struct slice after, struct slice *name, bool *is_wanted)
{
	return next_channel(c, HUB_CHANNEL, after, name, is_wanted);
}

static bool
next_shard(struct client *c, struct slice after, struct slice *name, bool *is_wanted)
{
	return next_channel(c, HUB_SHARD, after, name, is_wanted);
}

enum command_result
cmd_pubsub_channels(struct request *rq)
{
	return channel_list(rq, next_plain);
}

enum command_result
cmd_pubsub_shardchannels(struct request *rq)
{
	return channel_list(rq, next_shard);
}

/* For a queue name, the members of its group. */
static size_t
count_of(struct request *rq, enum hub_kind kind, struct slice name)
{
	struct hub *hub = rq->server->hub;
	struct slice group, topic;

	if (kind == HUB_CHANNEL && rq->server->config->queue_groups &&
	    queue_name_parse(name, &group, &topic))
		return hub_queue_members(hub, group, kind, topic);
	return hub_numsub(hub, kind, name);
}

static enum command_result
numsub(struct request *rq, enum hub_kind kind)
{
	size_t *progress = &rq->client->pending->progress;

	if (*progress == 0)
		resp_put_array(rq->reply, (rq->argc - 2) * 2);
	while (*progress + 2 < rq->argc) {
		struct slice name = rq->argv[*progress + 2];

		resp_put_bulk(rq->reply, name);
		resp_put_int(rq->reply, (int64_t)count_of(rq, kind, name));
		if (++*progress + 2 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

enum command_result
cmd_pubsub_numsub(struct request *rq)
{
	return numsub(rq, HUB_CHANNEL);
}

enum command_result
cmd_pubsub_shardnumsub(struct request *rq)
{
	return numsub(rq, HUB_SHARD);
}

enum command_result
cmd_pubsub_numpat(struct request *rq)
{
	resp_put_int(rq->reply, (int64_t)hub_numpat(rq->server->hub));
	return COMMAND_DONE;
}

static const char *const help_lines[] = {
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
    NULL,
};

enum command_result
cmd_pubsub_help(struct request *rq)
{
	request_help(rq, help_lines);
	return COMMAND_DONE;
}
