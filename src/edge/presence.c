#include "config.h"

#include "edge/presence.h"

#include <inttypes.h>
#include <stdio.h>

#include "edge/channel.h"
#include "edge/methods.h"
#include "edge/payload.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "pubsub/presence.h"
#include "pubsub/wire_form.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/presence_ask.h"
#include "server/presence_service.h"
#include "server/request.h"
#include "server/statistics.h"
#include "token/grant.h"
#include "json/writer.h"

/* A reply of the command presence has at most so many members. */
#define MEMBERS_MAX 1000
#define MEMBERS_BYTES_MAX ((size_t)256 << 10)

static struct presence *
presence_of(const struct edge_session *s)
{
	return s->edge->server->presence->presence;
}

const char *
edge_client_name(const struct edge_session *s, char text[EDGE_CLIENT_NAME_MAX])
{
	const struct server *server = s->edge->server;

	if (presence_share_is_on(server))
		snprintf(text, EDGE_CLIENT_NAME_MAX, "%.16s-%" PRIx64, server->statistics->run_id,
		    s->client->id);
	else
		snprintf(text, EDGE_CLIENT_NAME_MAX, "%" PRIx64, s->client->id);
	return text;
}

/* text is for the name of a session without a token. */
static struct slice
member_of(const struct edge_session *s, char text[EDGE_CLIENT_NAME_MAX])
{
	if (s->grant != NULL && s->grant->subject.len > 0 &&
	    s->grant->subject.len <= PRESENCE_MEMBER_MAX)
		return s->grant->subject;
	return slice_of(edge_client_name(s, text));
}

/* A member that cannot join, because of a limit or an upgrade, is not shown: the subscription is
 * not refused. */
void
edge_presence_join(struct edge_session *s, const struct edge_channel *channel, uint64_t now_us)
{
	char text[EDGE_CLIENT_NAME_MAX];
	struct slice info = {NULL, 0};

	if (channel->is_pattern || s->edge->server->pause->handed_over ||
	    presence_mode_of(presence_of(s), channel->name) == PRESENCE_NO)
		return;
	if (s->grant != NULL && s->grant->info.len <= PRESENCE_INFO_MAX)
		info = s->grant->info;
	(void)!presence_join(presence_of(s), &session_of(s->client)->presence, channel->name,
	    member_of(s, text), info, now_us);
}

void
edge_presence_leave(struct edge_session *s, const struct edge_channel *channel, uint64_t now_us)
{
	char text[EDGE_CLIENT_NAME_MAX];

	if (!channel->is_pattern && client_join_count(s->client) > 0)
		(void)presence_leave(presence_of(s), &session_of(s->client)->presence,
		    channel->name, member_of(s, text), now_us);
}

/* Reads the channel and checks the right. */
static enum edge_outcome
read_channel(struct edge_command *command, struct slice *name)
{
	struct slice shown = {"", 0};
	struct edge_channel channel;

	if (!edge_get_string(command, "channel", &shown) || shown.len == 0)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	channel = edge_channel_of(command->session, shown);
	if (channel.is_pattern)
		return edge_fail(command, EDGE_ERROR_NOT_AVAILABLE);
	if (!edge_may(command->session, EDGE_PRESENCE, channel.name, false)) {
		command->session->edge->figures.denied_rights++;
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	}
	*name = channel.name;
	return EDGE_DONE;
}

/* Clients split frames into lines, so none of another member's may break this one. */
static void
put_info(struct buffer *out, struct slice json)
{
	const struct hub_message message = {.payload = json};

	payload_write(&message, PAYLOAD_JSON_LINES, buffer_reserve(out, json.len));
	out->len += json.len;
}

static void
put_member(void *arg, const struct presence_member *member)
{
	struct edge_command *command = arg;
	struct buffer *out = &command->result;
	struct json_value info;

	if (command->counted == MEMBERS_MAX || out->len > MEMBERS_BYTES_MAX)
		return;
	if (command->counted++ > 0)
		buffer_append_str(out, ",");
	edge_put_name(out, member->name);
	buffer_append_str(out, ":{\"client\":");
	edge_put_name(out, member->name);
	buffer_append_str(out, ",\"user\":");
	edge_put_name(out, member->name);
	if (member->info.len > 0 && json_parse(member->info, &info)) {
		buffer_append_str(out, ",\"conn_info\":");
		put_info(out, info.text);
	}
	buffer_append_str(out, "}");
}

/* EDGE_DONE: *answer is that of the upstream; NULL: it is not to be asked. */
static enum edge_outcome
ask(struct edge_command *command, const struct upstream_presence_query *query,
    const struct upstream_presence_answer **answer)
{
	size_t reply_len = command->rq->reply->len;

	*answer = NULL;
	switch (presence_ask(command->rq, query, answer)) {
	case PRESENCE_WAITS:
		return EDGE_WAITS;
	case PRESENCE_FAILED:
		return edge_fail_refused(command, reply_len);
	default:
		return EDGE_DONE;
	}
}

/* Those of this node. */
static void
list_members(struct edge_command *command, struct slice channel)
{
	struct presence *presence = presence_of(command->session);
	uint64_t cursor = 0;
	size_t steps = 0;

	do {
		cursor = presence_scan(presence, channel, cursor, put_member, command);
	} while (cursor != 0 && command->counted < MEMBERS_MAX &&
		 command->result.len <= MEMBERS_BYTES_MAX && ++steps < MEMBERS_MAX);
}

static void
take_members(struct edge_command *command, const struct upstream_presence_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct presence_member member = {
		    .name = answer->items[i].name, .info = answer->items[i].info};

		put_member(command, &member);
	}
}

enum edge_outcome
edge_presence(struct edge_command *command)
{
	const struct upstream_presence_answer *answer;
	enum edge_outcome outcome;
	struct slice name = {0};

	outcome = read_channel(command, &name);
	if (outcome != EDGE_DONE)
		return outcome;
	if (presence_mode_of(presence_of(command->session), name) != PRESENCE_MEMBERS)
		return edge_fail(command, EDGE_ERROR_NOT_AVAILABLE);
	outcome = ask(command,
	    &(struct upstream_presence_query){.asks = UPSTREAM_PRESENCE_MEMBERS,
		.channel = name,
		.count = MEMBERS_MAX,
		.bytes = MEMBERS_BYTES_MAX},
	    &answer);
	if (outcome != EDGE_DONE)
		return outcome;
	buffer_append_str(&command->result, "\"presence\":{");
	if (answer != NULL)
		take_members(command, answer);
	else
		list_members(command, name);
	buffer_append_str(&command->result, "}");
	return EDGE_DONE;
}

enum edge_outcome
edge_presence_stats(struct edge_command *command)
{
	struct presence *presence = presence_of(command->session);
	const struct upstream_presence_answer *answer;
	enum edge_outcome outcome;
	struct slice name = {0};
	uint64_t count;

	outcome = read_channel(command, &name);
	if (outcome != EDGE_DONE)
		return outcome;
	if (presence_mode_of(presence, name) == PRESENCE_NO)
		return edge_fail(command, EDGE_ERROR_NOT_AVAILABLE);
	outcome = ask(command,
	    &(struct upstream_presence_query){
		.asks = UPSTREAM_PRESENCE_COUNT, .count = 1, .channels = &name},
	    &answer);
	if (outcome != EDGE_DONE)
		return outcome;
	count = answer != NULL ? answer->items[0].number : presence_count(presence, name);
	buffer_appendf(
	    &command->result, "\"num_clients\":%" PRIu64 ",\"num_users\":%" PRIu64, count, count);
	return EDGE_DONE;
}
