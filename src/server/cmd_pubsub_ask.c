#include "config.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/glob.h"
#include "resp/writer.h"
#include "server/handlers.h"
#include "server/state.h"

/* PUBSUB: who subscribed to what. */

/* A list of channels is made at once if it takes no longer than this, else as a job. */
#define AT_ONCE_US 500
#define CHANNELS_A_LOOK 64

/* Of a long list, what one step of the job gives to the client. */
#define PUSH_BYTES 262144

/*
 * The names are gathered first, because their number comes first in the reply; then they are given
 * to the client in parts, unless a message might come in between.
 */
struct list {
	enum hub_kind kind;
	bool has_pattern;
	struct buffer pattern;
	struct buffer last; /* name of the channel seen last */
	bool any_seen;
	struct buffer names; /* as they go into the reply */
	size_t count;
	size_t pushed; /* bytes of names that the client has been given */
	bool gathered;
};

static void
list_free(void *state)
{
	struct list *list = state;

	buffer_release(&list->pattern);
	buffer_release(&list->last);
	buffer_release(&list->names);
	xfree(list);
}

/* False when the time is up before the end. */
static bool
gather(struct list *list, struct hub *hub, uint64_t deadline_us)
{
	struct slice name = list->any_seen ? buffer_slice(&list->last) : (struct slice){NULL, 0};
	struct topic *topic;
	size_t looked = 0;

	while ((topic = hub_next_channel(hub, list->kind, name)) != NULL) {
		name = topic_name(topic);
		if (!list->has_pattern || glob_match(buffer_slice(&list->pattern), name, false)) {
			resp_put_bulk(&list->names, name);
			list->count++;
		}
		if (++looked % CHANNELS_A_LOOK == 0 && clock_mono_us() >= deadline_us) {
			list->any_seen = true;
			buffer_clear(&list->last);
			buffer_append_slice(&list->last, name);
			return false;
		}
	}
	return true;
}

static enum job_state
list_step(void *state, struct job_step *step)
{
	struct list *list = state;
	size_t len;

	if (!list->gathered) {
		if (!gather(list, step->server->hub, step->deadline_us))
			return JOB_MORE;
		list->gathered = true;
		resp_put_array(step->reply, list->count);
	}
	len = list->names.len - list->pushed;
	if (len > PUSH_BYTES && !client_is_pushed_to(step->client))
		len = PUSH_BYTES;
	if (len > 0)
		buffer_append(step->reply, list->names.ptr + list->pushed, len);
	list->pushed += len;
	return list->pushed < list->names.len ? JOB_MORE : JOB_DONE;
}

static enum command_result
channels(struct request *rq, enum hub_kind kind)
{
	static const struct job_kind job = {"pubsub channels", list_step, list_free};
	struct job_step step = {
	    rq->server, rq->client, rq->reply, .deadline_us = clock_mono_us() + AT_ONCE_US};
	uint32_t max = rq->server->config->hub.name_bytes;
	struct list *list;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && rq->argv[2].len > max) {
		request_error(
		    rq, "ERR channel name too long (max-channel-length %" PRIu32 ")", max);
		return COMMAND_DONE;
	}
	list = xcalloc(1, sizeof(*list));
	list->kind = kind;
	list->has_pattern = rq->argc == 3;
	if (list->has_pattern)
		buffer_append_slice(&list->pattern, rq->argv[2]);
	if (list_step(list, &step) == JOB_DONE)
		list_free(list);
	else
		job_start(rq->server, rq->client, &job, list);
	return COMMAND_DONE;
}

enum command_result
cmd_pubsub_channels(struct request *rq)
{
	return channels(rq, HUB_CHANNEL);
}

enum command_result
cmd_pubsub_shardchannels(struct request *rq)
{
	return channels(rq, HUB_SHARD);
}

static enum command_result
numsub(struct request *rq, enum hub_kind kind)
{
	size_t *progress = &rq->client->progress;

	if (*progress == 0)
		resp_put_array(rq->reply, (rq->argc - 2) * 2);
	while (*progress + 2 < rq->argc) {
		struct slice name = rq->argv[*progress + 2];

		resp_put_bulk(rq->reply, name);
		resp_put_int(rq->reply, (int64_t)hub_numsub(rq->server->hub, kind, name));
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

enum command_result
cmd_pubsub_help(struct request *rq)
{
	static const char *const lines[] = {
	    "CHANNELS [<pattern>]",
	    "    Return the currently active channels matching a <pattern> (default: '*').",
	    "NUMPAT",
	    "    Return number of subscriptions to patterns.",
	    "NUMSUB [<channel> ...]",
	    "    Return the number of subscribers for the specified channels, excluding",
	    "    pattern subscriptions(default: no channels).",
	    "SHARDCHANNELS [<pattern>]",
	    "    Return the currently active shard level channels matching a <pattern> (default: "
	    "'*').",
	    "SHARDNUMSUB [<shardchannel> ...]",
	    "    Return the number of subscribers for the specified shard level channel(s)",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
