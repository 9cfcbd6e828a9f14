#include "config.h"

#include <inttypes.h>

#include "edge/channel.h"
#include "edge/methods.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "pubsub/hub_history.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* The command history: kept messages of a channel, as in Centrifugo's protocol. */

#define LIMIT_MAX 1000
#define BYTES_MAX ((size_t)1 << 20)

struct range {
	struct slice channel;
	uint64_t limit;
	bool is_reverse;
	bool has_since;
	struct hub_position since;
};

/* False: wrong types. */
static bool
read_since(struct edge_command *command, struct range *range)
{
	struct edge_command since = {.room = command->room};
	struct slice epoch = {"", 0};
	bool ok;

	switch (json_find(command->params, "since", &since.params)) {
	case JSON_ABSENT:
		return true;
	case JSON_FOUND:
		break;
	default:
		return false;
	}
	if (since.params.type == JSON_NULL)
		return true;
	if (since.params.type != JSON_OBJECT)
		return false;
	range->has_since = true;
	ok = edge_get_string(&since, "epoch", &epoch) &&
	     edge_get_u64(&since, "offset", &range->since.seq);
	command->room = since.room;
	/* An epoch that is not a number is not one of ours. */
	if (!slice_to_u64(epoch, &range->since.epoch))
		range->since.epoch = 0;
	return ok;
}

static bool
read_range(struct edge_command *command, struct range *range)
{
	struct slice shown = {"", 0};

	*range = (struct range){.limit = 0};
	if (!edge_get_string(command, "channel", &shown) || shown.len == 0 ||
	    !edge_get_u64(command, "limit", &range->limit) ||
	    !edge_get_bool(command, "reverse", &range->is_reverse))
		return false;
	range->channel = shown;
	if (range->limit > LIMIT_MAX)
		range->limit = LIMIT_MAX;
	return read_since(command, range);
}

/* True if it fits. */
static bool
put_one(struct edge_command *command, const struct range *range, uint64_t epoch,
    const struct ring_message *m)
{
	const struct hub_message message = {
	    .kind = HUB_CHANNEL,
	    .channel = range->channel,
	    .payload = m->payload,
	    .position = {epoch, m->seq},
	};

	if (command->result.len > BYTES_MAX)
		return false;
	if (command->counted++ > 0)
		buffer_append_str(&command->result, ",");
	edge_put_publication(&command->result, &message);
	return true;
}

/* complete_seq: see history_complete_seq(). */
static void
put_forward(struct edge_command *command, const struct range *range, const struct ring *ring,
    uint64_t epoch, uint64_t complete_seq)
{
	struct ring_iterator it;
	struct ring_message m;

	ring_after(ring, range->has_since ? range->since.seq : complete_seq, &it);
	for (uint64_t n = 0; n < range->limit && ring_next(&it, &m); n++)
		if (!put_one(command, range, epoch, &m))
			return;
}

static void
put_reverse(struct edge_command *command, const struct range *range, const struct ring *ring,
    uint64_t epoch, uint64_t complete_seq)
{
	struct ring_reverse_iterator it;
	struct ring_message m;
	uint64_t upto = UINT64_MAX;

	if (range->has_since)
		upto = range->since.seq > 0 ? range->since.seq - 1 : 0;
	ring_before(ring, upto, &it);
	for (uint64_t n = 0; n < range->limit && ring_previous(&it, &m); n++)
		if (m.seq <= complete_seq || !put_one(command, range, epoch, &m))
			return;
}

/* True if what comes behind `since` is all kept. */
static bool
is_kept(struct request *rq, const struct range *range, const struct ring *ring)
{
	return !range->has_since || range->is_reverse ||
	       history_can_resume(hub_history(rq->server->hub), ring, range->since);
}

static enum edge_outcome
read_history(struct edge_command *command, const struct range *range)
{
	struct hub *hub = command->rq->server->hub;
	struct ring *ring = hub_ring(hub, range->channel, command->rq->now_us);
	struct hub_position position = history_position(hub_history(hub));
	uint64_t complete_seq = history_complete_seq(hub_history(hub), ring);

	if (range->has_since && range->since.epoch != position.epoch)
		return edge_fail(command, EDGE_ERROR_POSITION);
	if (!is_kept(command->rq, range, ring))
		return edge_fail(command, EDGE_ERROR_POSITION);
	buffer_append_str(&command->result, "\"publications\":[");
	if (ring != NULL && range->is_reverse)
		put_reverse(command, range, ring, position.epoch, complete_seq);
	else if (ring != NULL)
		put_forward(command, range, ring, position.epoch, complete_seq);
	buffer_appendf(&command->result, "],\"epoch\":\"%" PRIu64 "\",\"offset\":%" PRIu64,
	    position.epoch, position.seq);
	return EDGE_DONE;
}

static enum edge_outcome
load_history(struct edge_command *command, const struct range *range)
{
	const struct upstream *upstream = command->rq->server->upstream;
	struct upstream_name name = {
	    .kind = HUB_CHANNEL, .name = range->channel, .since = range->since};

	if (upstream == NULL || !upstream->has_history)
		return read_history(command, range);
	switch (upstream_await_name(command->rq, &name)) {
	case UPSTREAM_ASKED:
		return EDGE_WAITS;
	case UPSTREAM_REFUSES:
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	default:
		return read_history(command, range);
	}
}

enum edge_outcome
edge_history(struct edge_command *command)
{
	struct edge_channel channel;
	struct range range;

	if (!read_range(command, &range))
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	channel = edge_channel_of(command->session, range.channel);
	if (!edge_may(command->session, EDGE_HISTORY, channel.name, false)) {
		command->session->edge->figures.denied_rights++;
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	}
	if (channel.is_pattern || channel.name.len > command->rq->server->config->hub.name_bytes ||
	    !hub_keeps(command->rq->server->hub, channel.name))
		return edge_fail(command, EDGE_ERROR_NOT_AVAILABLE);
	return load_history(command, &range);
}
