#include "config.h"

#include <inttypes.h>

#include "cmd/handlers.h"
#include "cmd/position_errors.h"
#include "cmd/publish_check.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "pubsub/position.h"
#include "pubsub/queue_name.h"
#include "resp/writer.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"

/*
 * RESUME: says for each channel whether the client can go on where it was, and arms the channel:
 * its next SUBSCRIBE begins there.
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
check_arguments(struct request *rq)
{
	struct pending *pending = rq->client->pending;
	uint32_t max = rq->server->config->resume_max_channels;
	uint64_t after_seq;

	if (rq->argc % 2 == 0) {
		request_error(
		    rq, "ERR wrong number of arguments for '%s' command", rq->command->name);
		return COMMAND_DONE;
	}
	while (pending->checked < rq->argc / 2) {
		size_t i = pending->checked * 2 + 1;

		if (!check_pair(rq, i))
			return COMMAND_DONE;
		pending->counted += !armed_find(rq->client, rq->argv[i], &after_seq);
		if (++pending->checked < rq->argc / 2 && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	/* This also bounds the work of one command. */
	if (armed_count(rq->client) + pending->counted > max || rq->argc / 2 > max)
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

static void
resume_one(struct request *rq, struct slice name, struct slice text)
{
	struct client *c = rq->client;
	struct hub_resumption resumption;
	struct position_since since;

	if (!position_parse_since(text, &since))
		return; /* check_arguments() refuses it */
	if (rq->server->config->queue_groups && queue_name_is(name))
		resumption = (struct hub_resumption){.verdict = HUB_NO_HISTORY};
	else
		resumption = hub_judge(&c->subscriber, name, &since, rq->now_us);
	rq->server->statistics->counters.resumes[resumption.verdict]++;
	if (resumption.verdict == HUB_RESUMED || resumption.verdict == HUB_NEW)
		armed_set(c, name, resumption.position.seq);
	else
		armed_remove(c, name);
	put_resumption(rq, name, &resumption);
}

enum command_result
cmd_resume(struct request *rq)
{
	struct client *c = rq->client;

	size_t *progress = &c->pending->progress; /* pairs of arguments */

	if (*progress == 0) {
		if (check_arguments(rq) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
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
