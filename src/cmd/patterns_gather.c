#include "config.h"

#include "cmd/patterns_gather.h"

#include "base/buffer.h"
#include "cmd/queue_group.h"
#include "pubsub/hub_history.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/request.h"

#define STEP 64                 /* rings in one step of a gather */
#define TRANSACTION_UNITS 20000 /* rings for a command of a transaction: a few ms */

enum hub_gather_result
gather_go_on(struct request *rq)
{
	struct hub_gather *gather = rq->client->pending->gather;
	enum hub_gather_result result;

	while ((result = hub_gather_step(gather, rq->now_us, STEP)) == HUB_GATHER_MORE) {
		if (request_units_are_over(rq, STEP))
			return HUB_GATHER_MORE;
		if (rq->in_transaction && rq->units > TRANSACTION_UNITS) {
			buffer_clear(rq->reply);
			request_error(rq,
			    "ERR too many channels have new messages for a transaction (more than "
			    "%d): send '%s' outside of MULTI",
			    TRANSACTION_UNITS, rq->command->name);
			return HUB_GATHER_MORE;
		}
	}
	return result;
}

void
gather_end(struct request *rq)
{
	hub_gather_free(rq->client->pending->gather);
	rq->client->pending->gather = NULL;
}

bool
gather_has_to_wait(const struct request *rq)
{
	return !rq->in_transaction && !hub_gather_may_begin(rq->server->hub);
}

/* Adds the pattern to the gather if it is armed. False: it has to wait for other gathers. */
static bool
collect_one(struct request *rq, struct slice pattern)
{
	struct pending *pending = rq->client->pending;
	struct hub_start start;
	uint32_t number;

	if (queue_joins(rq, HUB_PATTERN, pattern) ||
	    !armed_find(rq->client, HUB_PATTERN, pattern, &start))
		return true;
	if (pending->gather == NULL) {
		if (gather_has_to_wait(rq))
			return false;
		pending->gather = hub_gather_new(rq->server->hub, GATHER_CHANNELS_MAX);
	}
	if (!hub_gather_find(pending->gather, pattern, &number))
		(void)hub_gather_add(pending->gather, pattern, start);
	return true;
}

/* Finds the arguments that are armed, in slices: pending->counted of them were looked at. */
static enum command_result
collect(struct request *rq)
{
	size_t *looked = &rq->client->pending->counted;

	while (*looked + 1 < rq->argc) {
		if (!collect_one(rq, rq->argv[*looked + 1]))
			return COMMAND_AGAIN;
		if (++*looked + 1 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

static void
refuse(struct request *rq, enum hub_gather_result result)
{
	const struct hub_gather *gather = rq->client->pending->gather;
	uint32_t number = hub_gather_lost(gather);
	struct slice pattern = hub_gather_pattern(gather, number);
	struct hub_position position = history_position(hub_history(rq->server->hub));
	int shown = (int)(pattern.len < GATHER_SHOWN_MAX ? pattern.len : GATHER_SHOWN_MAX);
	char text[POSITION_TEXT_MAX];
	size_t len;

	position.seq = result == HUB_GATHER_LOST ? hub_gather_start(gather, number).whole_seq
						 : hub_gather_start(gather, number).after_seq;
	len = position_print(text, position);
	if (result == HUB_GATHER_LOST)
		request_error(rq, "LOST pattern '%.*s' has no messages since %.*s any more", shown,
		    pattern.ptr, (int)len, text);
	else
		request_error(rq,
		    "LOST pattern '%.*s' has too many channels with messages since %.*s (more "
		    "than %d with those of other patterns)",
		    shown, pattern.ptr, (int)len, text, GATHER_CHANNELS_MAX);
}

enum command_result
gather_armed(struct request *rq)
{
	struct pending *pending = rq->client->pending;
	enum hub_gather_result result;

	if (pending->progress == 0 && armed_count(rq->client, HUB_PATTERN) > 0) {
		pending->checked = 1; /* the names are checked once */
		if (collect(rq) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
	}
	if (pending->gather == NULL)
		return COMMAND_DONE;
	result = gather_go_on(rq);
	if (result == HUB_GATHER_MORE && !rq->failed)
		return COMMAND_AGAIN;
	if (result == HUB_GATHER_LOST || result == HUB_GATHER_TOO_MANY)
		refuse(rq, result);
	return COMMAND_DONE;
}

enum hub_result
gather_subscribe(struct request *rq, struct slice pattern)
{
	const struct hub_gather *gather = rq->client->pending->gather;
	struct subscriber *s = &rq->client->subscriber;
	const struct hub_matched *matched;
	enum hub_result result;
	struct hub_start start;
	uint32_t number;
	size_t count;

	/* A pattern that the command names twice is armed at the first time only. */
	if (gather == NULL || !armed_find(rq->client, HUB_PATTERN, pattern, &start) ||
	    !hub_gather_find(gather, pattern, &number))
		return hub_subscribe(s, HUB_PATTERN, pattern);
	matched = hub_gather_matched(gather, number, &count);
	result = hub_psubscribe_after(s, pattern, start.after_seq, matched, count);
	if (result == HUB_OK || result == HUB_ALREADY)
		armed_remove(rq->client, HUB_PATTERN, pattern);
	return result;
}
