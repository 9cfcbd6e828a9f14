#include "config.h"

#include <inttypes.h>

#include "cmd/handlers.h"
#include "cmd/patterns_gather.h"
#include "cmd/position_errors.h"
#include "cmd/publish_check.h"
#include "pubsub/hub.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_replay.h"
#include "pubsub/position.h"
#include "pubsub/queue_name.h"
#include "resp/writer.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/upstream.h"

/*
 * RESUME: says for each channel whether the client can go on where it was, and arms the channel:
 * its next SUBSCRIBE begins there. PRESUME: the same for patterns and PSUBSCRIBE.
 */

static const char *const verdict_names[HUB_VERDICTS] = {
    [HUB_RESUMED] = "resumed",
    [HUB_LOST] = "lost",
    [HUB_NEW] = "new",
    [HUB_SUBSCRIBED] = "subscribed",
    [HUB_NO_HISTORY] = "none",
};

static bool
check_pair(struct request *rq, size_t i)
{
	struct position_since since;

	return channel_name_fits(rq, rq->argv[i]) &&
	       position_read_since(rq, rq->argv[i + 1], &since);
}

/* Before anything is done, in slices. COMMAND_DONE: all are checked, or there was an error. */
static enum command_result
check_arguments(struct request *rq, enum hub_kind kind)
{
	struct pending *pending = rq->client->pending;
	uint32_t max = rq->server->config->resume_max_channels;
	struct hub_start start;

	if (rq->argc % 2 == 0) {
		request_error(
		    rq, "ERR wrong number of arguments for '%s' command", rq->command->name);
		return COMMAND_DONE;
	}
	while (pending->checked < rq->argc / 2) {
		size_t i = pending->checked * 2 + 1;

		if (!check_pair(rq, i))
			return COMMAND_DONE;
		pending->counted += !armed_find(rq->client, kind, rq->argv[i], &start);
		if (++pending->checked < rq->argc / 2 && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	/* This also bounds the work of one command. */
	pending->counted += armed_count(rq->client, HUB_CHANNEL);
	pending->counted += armed_count(rq->client, HUB_PATTERN);
	if (pending->counted > max || rq->argc / 2 > max)
		request_error(rq,
		    "ERR max number of armed channels reached (resume-max-channels %" PRIu32 ")",
		    max);
	return COMMAND_DONE;
}

static void
put_resumption(struct request *rq, struct slice name, const struct hub_resumption *resumption)
{
	char position[POSITION_TEXT_MAX];
	size_t len = position_print(position, resumption->position);

	resp_put_array(rq->reply, 4);
	resp_put_bulk(rq->reply, name);
	resp_put_bulk_str(rq->reply, verdict_names[resumption->verdict]);
	resp_put_bulk(rq->reply, (struct slice){position, len});
	resp_put_int(rq->reply, (int64_t)resumption->count);
}

/* Replies for the channel or pattern, and arms it at start if it can be resumed. */
static void
finish_one(struct request *rq, enum hub_kind kind, struct slice name,
    const struct hub_resumption *resumption, struct hub_start start)
{
	rq->server->statistics->counters.resumes[resumption->verdict]++;
	if (resumption->verdict == HUB_RESUMED || resumption->verdict == HUB_NEW)
		armed_set(rq->client, kind, name, start);
	else
		armed_remove(rq->client, kind, name);
	put_resumption(rq, name, resumption);
}

/* A queue group gets each message once, and keeps none for its members. */
static bool
is_queue(const struct request *rq, struct slice name)
{
	return rq->server->config->queue_groups && queue_name_is(name);
}

static void
resume_one(struct request *rq, struct slice name, struct slice text)
{
	struct hub_resumption resumption = {.verdict = HUB_NO_HISTORY};
	struct position_since since;

	if (!position_parse_since(text, &since))
		return; /* check_arguments() refuses it */
	if (!is_queue(rq, name))
		resumption = hub_judge(&rq->client->subscriber, name, &since, rq->now_us);
	finish_one(rq, HUB_CHANNEL, name, &resumption,
	    (struct hub_start){resumption.position.seq, resumption.position.seq});
}

/* Of a pair of arguments. */
static struct upstream_name
upstream_name(const struct request *rq, size_t i)
{
	struct upstream_name name = {.kind = HUB_CHANNEL, .name = rq->argv[i]};
	struct position_since since;

	if (position_parse_since(rq->argv[i + 1], &since) && since.kind == POSITION_AT)
		name.since = since.at;
	return name;
}

enum command_result
cmd_resume(struct request *rq)
{
	size_t *progress = &rq->client->pending->progress; /* pairs of arguments */

	if (*progress == 0) {
		if (check_arguments(rq, HUB_CHANNEL) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
		if (rq->failed)
			return COMMAND_DONE;
		if (upstream_await_history(rq, &(struct upstream_arguments){1, rq->argc / 2, 2,
						   upstream_name}) == COMMAND_LATER)
			return COMMAND_LATER;
		if (rq->failed)
			return COMMAND_DONE;
		resp_put_array(rq->reply, rq->argc / 2);
	}
	while (*progress < rq->argc / 2) {
		resume_one(rq, rq->argv[*progress * 2 + 1], rq->argv[*progress * 2 + 2]);
		if (++*progress < rq->argc / 2 && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

/* Begins or continues with a pattern. True: it is done, or the command has failed. counted is the
 * number of channels that were gathered for the patterns before it. */
static bool
presume_one(struct request *rq, struct slice name, struct slice text)
{
	struct pending *pending = rq->client->pending;
	struct hub_resumption resumption = {.verdict = HUB_NO_HISTORY};
	struct hub_start start;
	enum hub_gather_result result;
	struct position_since since;

	if (pending->gather == NULL && !is_queue(rq, name)) {
		if (!position_parse_since(text, &since))
			return true; /* check_arguments() refuses it */
		if (gather_has_to_wait(rq))
			return false;
		pending->gather = hub_gather_since(&rq->client->subscriber, name, &since,
		    GATHER_CHANNELS_MAX - (uint32_t)pending->counted, &resumption);
	}
	start = (struct hub_start){resumption.position.seq, resumption.position.seq};
	if (pending->gather != NULL) {
		result = gather_go_on(rq);
		if (result == HUB_GATHER_MORE)
			return rq->failed;
		resumption = hub_gather_judge(pending->gather, result, &start);
		if (result == HUB_GATHER_DONE)
			pending->counted += hub_gather_channels(pending->gather);
		gather_end(rq);
	}
	finish_one(rq, HUB_PATTERN, name, &resumption, start);
	return true;
}

/* The patterns of a command that has failed are not armed. */
static void
disarm_all(struct request *rq)
{
	for (size_t i = 1; i < rq->argc; i += 2)
		armed_remove(rq->client, HUB_PATTERN, rq->argv[i]);
}

enum command_result
cmd_presume(struct request *rq)
{
	struct pending *pending = rq->client->pending;

	if (pending->checked <= rq->argc / 2) {
		if (check_arguments(rq, HUB_PATTERN) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
		if (rq->failed)
			return COMMAND_DONE;
		pending->checked++; /* one more than there are pairs: the reply has begun */
		pending->counted = 0;
		resp_put_array(rq->reply, rq->argc / 2);
	}
	while (pending->progress < rq->argc / 2) {
		size_t i = pending->progress * 2;

		if (!presume_one(rq, rq->argv[i + 1], rq->argv[i + 2]))
			return COMMAND_AGAIN;
		if (rq->failed) {
			gather_end(rq);
			disarm_all(rq);
			return COMMAND_DONE;
		}
		if (++pending->progress < rq->argc / 2 && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}
