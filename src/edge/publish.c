#include "config.h"

#include <inttypes.h>

#include "cmd/publish_once.h"
#include "edge/call.h"
#include "edge/channel.h"
#include "edge/handlers.h"
#include "edge/login.h"
#include "edge/methods.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "pubsub/idempotency.h"
#include "pubsub/position.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"
#include "server/server_config.h"

/* Publishing: POST /pub/CHANNEL, and the command publish of WebSockets. */

/* With the option no-echo of the channel the sender does not get the message itself. */
static struct hub_post
post_of(const struct request *rq, struct slice channel, struct slice payload)
{
	struct hub *hub = rq->server->hub;
	struct hub_post post = {.kind = HUB_CHANNEL, .channel = channel, .payload = payload};

	if ((hub_options_in_use(hub) & CHANNEL_BIT(no_echo)) != 0 &&
	    channel.len <= rq->server->config->hub.name_bytes &&
	    hub_options_of(hub, channel)->no_echo != 0)
		post.except = &rq->client->subscriber;
	return post;
}

/* To be executed again when rq->waits_for has ended. */
static enum command_result
wait(struct request *rq)
{
	rq->client->pending->progress = 1;
	return COMMAND_AGAIN;
}

static void
answer(struct edge_call *call, const struct publish_once *once)
{
	char position[POSITION_TEXT_MAX];
	struct buffer body = {0};

	buffer_appendf(&body, "{\"receivers\":%zu", once->outcome.receivers);
	if (once->outcome.position.epoch != 0)
		buffer_appendf(&body, ",\"position\":\"%.*s\"",
		    (int)position_print(position, once->outcome.position), position);
	if (once->is_duplicate)
		buffer_append_str(&body, ",\"duplicate\":true");
	buffer_append_str(&body, "}\n");
	edge_answer(
	    call, 200, "Cache-Control: no-store\r\n", "application/json", buffer_slice(&body));
	buffer_release(&body);
}

/* The upstream has refused the message, or the link was lost: as held.h does. A response would say
 * whether the message may be sent again. */
static enum command_result
fail(struct request *rq)
{
	buffer_clear(rq->reply);
	client_finish(rq->client);
	return COMMAND_DONE;
}

/* False: the request has its answer. */
static bool
check(struct edge_call *call, const struct slice *key)
{
	if (!edge_may(call->session, EDGE_PUBLISH, call->subpath, false)) {
		call->edge->figures.denied_rights++;
		edge_answer_error(call, 403, "no permission to publish to channel '%.*s'",
		    (int)(call->subpath.len < 128 ? call->subpath.len : 128), call->subpath.ptr);
		return false;
	}
	if (key->len > IDEMPOTENCY_KEY_MAX) {
		edge_answer_error(
		    call, 400, "X-Idempotency-Key must have 1 to %d bytes", IDEMPOTENCY_KEY_MAX);
		return false;
	}
	return true;
}

enum command_result
edge_publish(struct edge_call *call)
{
	struct request *rq = call->rq;
	struct slice key = edge_call_header(call, "x-idempotency-key");
	struct publish_once once = {.key = key.len > 0 ? &key : NULL, .wants_position = true};
	enum edge_login login;
	const char *why = "";
	struct hub_post post;

	switch (publish_once_sent(rq, &once)) {
	case PUBLISH_NOT_SENT:
		break;
	case PUBLISH_FAILED:
		return fail(rq);
	case PUBLISH_KEPT:
		call->edge->figures.published++;
		answer(call, &once);
		return COMMAND_DONE;
	}
	login = edge_call_log_in(call, &why);
	if (login != EDGE_LOGIN_OK)
		return edge_call_refuse_login(call, login, why);
	if (!check(call, &key))
		return COMMAND_DONE;
	post = post_of(rq, call->subpath, call->body);
	switch (publish_once(rq, &post, &once)) {
	case PUBLISH_WAITS:
	case PUBLISH_SENT:
		return wait(rq);
	case PUBLISH_REFUSED:
		edge_answer_refusal(call);
		return COMMAND_DONE;
	default:
		call->edge->figures.published++;
		answer(call, &once);
		return COMMAND_DONE;
	}
}

static enum edge_outcome
publish(struct edge_command *command)
{
	struct edge_session *s = command->session;
	struct request *rq = command->rq;
	struct slice shown = {"", 0};
	struct publish_once once = {.key = NULL};
	struct edge_channel channel;
	struct json_value data;
	struct hub_post post;
	size_t reply_len = rq->reply->len;

	if (!edge_get_string(command, "channel", &shown) || shown.len == 0 ||
	    json_find(command->params, "data", &data) != JSON_FOUND)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	channel = edge_channel_of(s, shown);
	if (channel.is_pattern || !edge_may(s, EDGE_PUBLISH, channel.name, false)) {
		s->edge->figures.denied_rights++;
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	}
	if (data.text.len > s->edge->config->max_message)
		return edge_fail(command, EDGE_ERROR_LIMIT);
	post = post_of(rq, channel.name, data.text);
	switch (publish_once(rq, &post, &once)) {
	case PUBLISH_WAITS:
		return EDGE_WAITS;
	case PUBLISH_REFUSED:
		return edge_fail_refused(command, reply_len);
	default:
		s->edge->figures.published++;
		s->has_published = true;
		return EDGE_DONE;
	}
}

/* The next command of the frame may publish another message, which must not take over what was
 * prepared for one that was refused when it was tried again. */
enum edge_outcome
edge_ws_publish(struct edge_command *command)
{
	enum edge_outcome outcome = publish(command);

	if (outcome != EDGE_WAITS)
		hub_end_publication(
		    command->rq->server->hub, &command->rq->client->pending->publication);
	return outcome;
}
