#include "config.h"

#include <inttypes.h>

#include "edge/channel.h"
#include "edge/command.h"
#include "edge/opening.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscribe.h"
#include "edge/subscriptions.h"
#include "server/core.h"
#include "server/request.h"
#include "server/upstream.h"
#include "token/grant.h"

/*
 * Subscriptions that the token of a connection names: they are made by the connect command, whose
 * reply tells of them. A pattern among them begins with new messages.
 */

/* Decoded strings are in *room. */
static bool
read_position(struct json_value value, struct edge_wish *wish, struct buffer *room)
{
	struct edge_command inner = {.params = value, .room = *room};
	bool ok = edge_get_bool(&inner, "recover", &wish->recover) &&
		  edge_get_string(&inner, "epoch", &wish->epoch) &&
		  edge_get_u64(&inner, "offset", &wish->offset);

	*room = inner.room;
	wish->recover = wish->recover && !wish->channel.is_pattern;
	return ok && value.type == JSON_OBJECT;
}

/* The position of a channel in the parameter `subs` of connect: {"news":{"recover":true,...}}.
 * False: it is there twice, or has wrong types. The wish borrows from *room. */
static bool
read_wish(const struct edge_command *command, struct edge_wish *wish, struct buffer *room)
{
	struct json_value subs, name, value;
	struct buffer decoded = {0};
	struct json_iterator it;
	bool found = false, ok = true;

	if (json_find(command->params, "subs", &subs) != JSON_FOUND || subs.type != JSON_OBJECT)
		return true;
	it = json_members(subs);
	while (ok && json_next_member(&it, &name, &value)) {
		struct slice text;

		buffer_clear(&decoded);
		if (!json_get_string(name, &decoded, &text) || !slice_eq(text, wish->channel.shown))
			continue;
		ok = !found && read_position(value, wish, room);
		found = true;
	}
	buffer_release(&decoded);
	return ok;
}

static enum edge_outcome
subscribe_to(struct edge_command *command, const struct edge_wish *wish, bool is_first)
{
	const struct edge_channel *channel = &wish->channel;
	struct buffer *out = &command->result;
	struct edge_opening *opening;
	enum edge_outcome outcome;

	if (!edge_may(command->session, EDGE_SUBSCRIBE, channel->name, channel->is_pattern))
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	outcome = edge_subscribe_check(command, wish);
	if (outcome != EDGE_DONE)
		return outcome;
	buffer_append_str(out, is_first ? "" : ",");
	edge_put_name(out, channel->shown);
	buffer_append_str(out, ":{");
	opening = edge_subscribe_opening(command->session, wish);
	/* A channel's place in the history is known at once, and patterns have none here. */
	outcome = edge_opening_step(opening, command->rq)
		      ? edge_subscribe_step(command, wish, opening, out)
		      : edge_fail(command, EDGE_ERROR_INTERNAL);
	edge_opening_free(opening);
	buffer_append_str(out, "}");
	return outcome;
}

static enum edge_outcome
subscribe_one(struct edge_command *command, struct slice shown, bool is_first)
{
	struct edge_wish wish = {.channel = edge_channel_of(command->session, shown),
	    .token = {"", 0},
	    .epoch = {"", 0}};
	struct buffer room = {0};
	enum edge_outcome outcome = read_wish(command, &wish, &room)
					? subscribe_to(command, &wish, is_first)
					: edge_fail(command, EDGE_ERROR_BAD_REQUEST);

	buffer_release(&room);
	return outcome;
}

/* A channel that the token names cannot be subscribed to. */
static unsigned
close_code_of(enum edge_error error)
{
	switch (error) {
	case EDGE_ERROR_LIMIT:
		return EDGE_CLOSE_CHANNELS;
	case EDGE_ERROR_BAD_REQUEST:
		return EDGE_CLOSE_BAD_REQUEST;
	default:
		return EDGE_CLOSE_DENIED;
	}
}

/* Asks the upstream for a channel, with the position from which it is recovered. */
static enum upstream_need
link_one(struct edge_command *command, struct slice shown)
{
	struct edge_wish wish = {.channel = edge_channel_of(command->session, shown),
	    .token = {"", 0},
	    .epoch = {"", 0}};
	enum upstream_need need = UPSTREAM_READY; /* a wrong wish is refused later */
	struct edge_opening *opening;
	struct buffer room = {0};

	if (read_wish(command, &wish, &room)) {
		opening = edge_subscribe_opening(command->session, &wish);
		need = edge_opening_link(opening, command->rq);
		edge_opening_free(opening);
	}
	buffer_release(&room);
	return need;
}

/* Asks the upstream for all channels: see upstream.h. */
static enum upstream_need
link_all(struct edge_command *command, const struct token_grant *grant)
{
	enum upstream_need result = UPSTREAM_READY;

	if (command->rq->server->upstream == NULL)
		return UPSTREAM_READY;
	for (size_t i = 0; i < grant->channel_count; i++) {
		enum upstream_need need = link_one(command, grant->channels[i]);

		if (need == UPSTREAM_REFUSES)
			return need;
		if (need == UPSTREAM_ASKED)
			result = need;
	}
	return result;
}

enum edge_outcome
edge_subscribe_granted(struct edge_command *command)
{
	const struct token_grant *grant = command->session->grant;
	size_t done = 0;

	if (grant == NULL || grant->channel_count == 0)
		return EDGE_DONE;
	switch (link_all(command, grant)) {
	case UPSTREAM_ASKED:
		return EDGE_WAITS;
	case UPSTREAM_REFUSES:
		return edge_close(command, EDGE_CLOSE_DENIED);
	default:
		break;
	}
	buffer_append_str(&command->result, ",\"subs\":{");
	for (size_t i = 0; i < grant->channel_count; i++) {
		enum edge_outcome outcome = subscribe_one(command, grant->channels[i], done == 0);

		if (outcome == EDGE_DONE)
			done++;
		else if (command->error != EDGE_ERROR_ALREADY) /* it is named twice */
			return edge_close(command, close_code_of(command->error));
	}
	buffer_append_str(&command->result, "}");
	return EDGE_DONE;
}
