#include "config.h"

#include <inttypes.h>

#include "edge/commands.h"
#include "edge/opening.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscribe.h"
#include "edge/subscriptions.h"
#include "token/grant.h"

/*
 * Subscriptions that the token of a connection names: they are made by the connect command, whose
 * reply tells of them. A pattern among them begins with new messages.
 */

/* The position of a channel in the parameter `subs` of connect: {"news":{"recover":true,...}}. */
static bool
read_wish(struct edge_command *command, const struct edge_channel *channel, struct edge_wish *wish)
{
	struct edge_command inner = {.room = command->room};
	struct json_iterator it;
	struct json_value subs, name, value;
	struct slice text;

	*wish = (struct edge_wish){.channel = *channel, .token = {"", 0}, .epoch = {"", 0}};
	if (json_find(command->params, "subs", &subs) != JSON_FOUND || subs.type != JSON_OBJECT)
		return true;
	it = json_members(subs);
	while (json_next_member(&it, &name, &value)) {
		if (!json_get_string(name, &command->room, &text) ||
		    !slice_eq(text, channel->shown) || value.type != JSON_OBJECT)
			continue;
		inner.room = command->room;
		inner.params = value;
		if (!edge_get_bool(&inner, "recover", &wish->recover) ||
		    !edge_get_string(&inner, "epoch", &wish->epoch) ||
		    !edge_get_u64(&inner, "offset", &wish->offset))
			return false;
		command->room = inner.room;
		wish->recover = wish->recover && !channel->is_pattern;
	}
	return true;
}

static enum edge_outcome
subscribe_one(struct edge_command *command, struct slice shown, bool is_first)
{
	struct edge_channel channel = edge_channel_of(command->session, shown);
	struct buffer *out = &command->result;
	struct edge_opening *opening;
	enum edge_outcome outcome;
	struct edge_wish wish;

	if (!read_wish(command, &channel, &wish))
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	if (!edge_may(command->session, EDGE_SUBSCRIBE, channel.name, channel.is_pattern))
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	outcome = edge_subscribe_check(command, &wish);
	if (outcome != EDGE_DONE)
		return outcome;
	buffer_append_str(out, is_first ? "" : ",");
	edge_put_name(out, shown);
	buffer_append_str(out, ":{");
	opening = edge_subscribe_opening(command->session, &wish);
	/* A channel's place in the history is known at once, and patterns have none here. */
	outcome = edge_opening_step(opening, command->rq)
		      ? edge_subscribe_step(command, &wish, opening, out)
		      : edge_fail(command, EDGE_ERROR_INTERNAL);
	edge_opening_free(opening);
	buffer_append_str(out, "}");
	return outcome;
}

enum edge_outcome
edge_subscribe_granted(struct edge_command *command)
{
	const struct token_grant *grant = command->session->grant;
	size_t done = 0;

	if (grant == NULL || grant->channel_count == 0)
		return EDGE_DONE;
	buffer_append_str(&command->result, ",\"subs\":{");
	for (size_t i = 0; i < grant->channel_count; i++) {
		enum edge_outcome outcome = subscribe_one(command, grant->channels[i], done == 0);

		if (outcome == EDGE_DONE)
			done++;
		else if (command->error != EDGE_ERROR_ALREADY) /* it is named twice */
			return edge_close(command, EDGE_CLOSE_DENIED);
	}
	buffer_append_str(&command->result, "}");
	return EDGE_DONE;
}
