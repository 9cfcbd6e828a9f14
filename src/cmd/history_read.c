#include "config.h"

#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/history_reply.h"
#include "cmd/position_errors.h"
#include "cmd/publish_check.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/history_wait.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* HISTORY RANGE and HISTORY READ. */

/* The rights for each channel are checked in one step, so there is a limit. */
#define READ_CHANNELS_MAX 256

#define SHOWN_MAX 128

/* COUNT and its argument at *at. Returns false after replying with an error. */
static bool
parse_count(struct request *rq, size_t *at, uint64_t *count)
{
	int64_t value;

	if (*at + 1 == rq->argc) {
		request_syntax_error(rq);
		return false;
	}
	if (!args_at_least(
		rq, rq->argv[++*at], 1, "value is out of range, must be positive", &value))
		return false;
	*count = (uint64_t)value;
	return true;
}

static bool
parse_range_options(struct request *rq, struct history_part *part, enum history_reply_shape *shape)
{
	bool has_count = false, has_rev = false;

	for (size_t i = 5; i < rq->argc; i++) {
		if (!has_count && slice_is_nocase(rq->argv[i], "count")) {
			has_count = true;
			if (!parse_count(rq, &i, &part->count))
				return false;
		} else if (!has_rev && slice_is_nocase(rq->argv[i], "rev")) {
			has_rev = true;
			*shape = HISTORY_REPLY_REVERSED;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

static bool
parse_bound(struct request *rq, size_t i, bool is_start, struct hub_position *out)
{
	if (position_parse_bound(rq->argv[i], is_start, out))
		return true;
	position_error(rq, rq->argv[i], "EPOCH-SEQ, EPOCH, - or +, with ( to exclude it");
	return false;
}

/* All kept messages have the epoch of today. */
static bool
range_of_seqs(const struct history *history, struct hub_position from, struct hub_position to,
    struct history_part *part)
{
	uint64_t epoch = history_position(history).epoch;

	if (position_compare(from, to) > 0 || from.epoch > epoch || to.epoch < epoch)
		return false;
	part->after_seq = from.epoch == epoch && from.seq > 0 ? from.seq - 1 : 0;
	part->upto_seq = to.epoch == epoch ? to.seq : UINT64_MAX;
	return true;
}

enum command_result
cmd_history_range(struct request *rq)
{
	enum history_reply_shape shape = HISTORY_REPLY_RANGE;
	struct history_part part = {.channel = rq->argv[2], .count = UINT64_MAX};
	struct history *history = hub_history(rq->server->hub);
	struct hub_position from, to;
	uint64_t top;

	if (!parse_bound(rq, 3, true, &from) || !parse_bound(rq, 4, false, &to) ||
	    !parse_range_options(rq, &part, &shape))
		return COMMAND_DONE;
	if (!channel_name_fits(rq, part.channel))
		return COMMAND_DONE;
	if (upstream_await_history(rq, &(struct upstream_arguments){2, 1, 1, NULL}) ==
	    COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	top = history_position(history).seq;
	if (!range_of_seqs(history, from, to, &part)) {
		resp_put_array(rq->reply, 0);
		return COMMAND_DONE;
	}
	if (part.upto_seq > top) /* messages that come while it collects are not of the range */
		part.upto_seq = top;
	history_reply_send(rq, shape, &part, 1);
	return COMMAND_DONE;
}

struct read_terms {
	uint64_t count;
	bool blocks;
	uint64_t until_us; /* UINT64_MAX: without end */
	size_t first;      /* argument of the first channel */
	size_t channels;
};

static bool
parse_block(struct request *rq, size_t *at, struct read_terms *terms)
{
	int64_t ms;
	uint64_t us;

	if (*at + 1 == rq->argc) {
		request_syntax_error(rq);
		return false;
	}
	if (!slice_to_i64(rq->argv[++*at], &ms)) {
		request_error(rq, "ERR timeout is not an integer or out of range");
		return false;
	}
	if (ms < 0) {
		request_error(rq, "ERR timeout is negative");
		return false;
	}
	terms->blocks = true;
	if (ms > 0 && !__builtin_mul_overflow((uint64_t)ms, 1000, &us) &&
	    us < INT64_MAX - rq->now_us)
		terms->until_us = rq->now_us + us;
	return true;
}

/* Returns false after replying with an error. */
static bool
parse_read(struct request *rq, struct read_terms *terms)
{
	size_t i;

	*terms = (struct read_terms){.count = UINT64_MAX, .until_us = UINT64_MAX};
	for (i = 2; i < rq->argc && !slice_is_nocase(rq->argv[i], "channels"); i++) {
		if (slice_is_nocase(rq->argv[i], "count")) {
			if (!parse_count(rq, &i, &terms->count))
				return false;
		} else if (slice_is_nocase(rq->argv[i], "block")) {
			if (!parse_block(rq, &i, terms))
				return false;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	terms->first = i + 1;
	if (terms->first >= rq->argc) {
		request_syntax_error(rq);
		return false;
	}
	terms->channels = (rq->argc - terms->first) / 2;
	if ((rq->argc - terms->first) % 2 != 0) {
		request_error(rq,
		    "ERR Unbalanced 'history read' list of channels: for each channel a position "
		    "or '0', '$' or '-N' must be specified.");
		return false;
	}
	if (terms->channels > READ_CHANNELS_MAX) {
		request_error(rq, "ERR max number of channels of HISTORY READ reached (%d)",
		    READ_CHANNELS_MAX);
		return false;
	}
	return true;
}

/*
 * The seq behind which `since` begins in this channel. From then on every later message is due to
 * the reader. False: the position cannot be continued.
 */
static bool
resolve(struct history *history, const struct ring *ring, const struct position_since *since,
    uint64_t *after)
{
	*after = history_position(history).seq;
	switch (since->kind) {
	case POSITION_NEW:
		return true;
	case POSITION_ALL:
		if (ring != NULL)
			*after = history_complete_seq(history, ring);
		return true;
	case POSITION_LAST:
		if (ring != NULL)
			*after = history_seq_before_last(history, ring, since->count);
		return true;
	default:
		*after = since->at.seq;
		return history_can_resume(history, ring, since->at);
	}
}

/* A channel that is named again would be copied again. */
static bool
is_named_before(const struct request *rq, const struct read_terms *terms, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_eq(rq->argv[terms->first + k], rq->argv[terms->first + i]))
			return true;
	return false;
}

/* Checks channel i and finds where to read from. Returns false after replying with an error. */
static bool
prepare(struct request *rq, const struct read_terms *terms, size_t i, uint64_t *after)
{
	struct slice channel = rq->argv[terms->first + i];
	struct slice text = rq->argv[terms->first + terms->channels + i];
	uint64_t epoch;
	const uint64_t *waited = history_wait_seqs(rq, &epoch);
	struct hub *hub = rq->server->hub;
	struct position_since since;

	if (is_named_before(rq, terms, i)) {
		request_error(rq, "ERR HISTORY READ names a channel twice");
		return false;
	}
	if (!position_read_since(rq, text, &since))
		return false;
	if (waited != NULL) {
		since.kind = POSITION_AT;
		since.at = (struct hub_position){epoch, waited[i]};
	}
	if (!hub_keeps(hub, channel)) {
		request_error(rq, "ERR channel '%.*s' keeps no history",
		    (int)(channel.len < SHOWN_MAX ? channel.len : SHOWN_MAX), channel.ptr);
		return false;
	}
	if (resolve(hub_history(hub), hub_ring(hub, channel, rq->now_us), &since, after))
		return true;
	position_lost_error(rq, channel, since.at);
	return false;
}

/* Every message that exists now and is due was looked for, and there is none. */
static enum command_result
wait_or_end(struct request *rq, const struct read_terms *terms, uint64_t *seqs)
{
	enum history_woken woken = history_wait_result(rq);

	if (woken == HISTORY_UNBLOCKED) {
		request_error(rq, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
		return COMMAND_DONE;
	}
	if (!terms->blocks || rq->in_transaction || woken == HISTORY_TIMED_OUT) {
		resp_put_null_array(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	return history_wait(rq, &rq->argv[terms->first], seqs, terms->channels, terms->until_us);
}

/* Returns false after replying with an error. */
static bool
may_read(struct request *rq, const struct read_terms *terms)
{
	for (size_t i = 0; i < terms->channels; i++)
		if (!channel_name_fits(rq, rq->argv[terms->first + i]))
			return false;
	return access_allows_channels(rq, terms->first, terms->channels);
}

static enum command_result
read_channels(
    struct request *rq, const struct read_terms *terms, struct history_part *parts, uint64_t *seqs)
{
	struct hub *hub = rq->server->hub;
	uint64_t top = history_position(hub_history(hub)).seq;
	bool any = false;

	for (size_t i = 0; i < terms->channels; i++) {
		const struct ring *ring;

		if (!prepare(rq, terms, i, &seqs[i]))
			return COMMAND_DONE;
		parts[i] = (struct history_part){.channel = rq->argv[terms->first + i],
		    .after_seq = seqs[i],
		    .upto_seq = top,
		    .count = terms->count};
		ring = hub_ring(hub, parts[i].channel, rq->now_us);
		any = any || (ring != NULL && ring->count > 0 && ring->newest_seq > seqs[i]);
	}
	if (!any)
		return wait_or_end(rq, terms, seqs);
	history_reply_send(rq, HISTORY_REPLY_READ, parts, terms->channels);
	return COMMAND_DONE;
}

/* The positions are behind all channels. */
static struct upstream_name
channel_of_read(const struct request *rq, size_t i)
{
	struct upstream_name name = {.kind = HUB_CHANNEL, .name = rq->argv[i]};
	size_t first = 3;
	struct position_since since;

	while (!slice_is_nocase(rq->argv[first - 1], "channels"))
		first++;
	i += (rq->argc - first) / 2;
	if (position_parse_since(rq->argv[i], &since) && since.kind == POSITION_AT)
		name.since = since.at;
	return name;
}

enum command_result
cmd_history_read(struct request *rq)
{
	struct read_terms terms;
	struct history_part *parts;
	enum command_result result;
	uint64_t *seqs;

	if (!parse_read(rq, &terms) || !may_read(rq, &terms))
		return COMMAND_DONE;
	if (upstream_await_history(rq, &(struct upstream_arguments){terms.first, terms.channels, 1,
					   channel_of_read}) == COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	parts = xcalloc(terms.channels, sizeof(*parts));
	seqs = xcalloc(terms.channels, sizeof(*seqs));
	result = read_channels(rq, &terms, parts, seqs);
	xfree(parts);
	xfree(seqs);
	return result;
}
