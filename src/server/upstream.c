#include "config.h"

#include "server/upstream.h"

#include "pubsub/hub.h"
#include "pubsub/hub_reach.h"
#include "server/client.h"
#include "server/held.h"
#include "server/request.h"
#include "server/sent_messages.h"
#include "server/server_config.h"
#include "server/wait.h"

/* Clients whose SUBSCRIBE waits are in the order in which they began to, and so are the marks that
 * they wait for, but for those that had to look again. */

static enum upstream_need
need(struct request *rq, struct upstream_name name, uint64_t *mark)
{
	struct upstream *upstream = rq->server->upstream;
	struct pending *p = rq->client->pending;
	enum upstream_need result;

	name.is_again = p->asking == UPSTREAM_HAS_ANSWERED;
	result = upstream->ops->need(upstream, &name, mark);
	if (result == UPSTREAM_ASKED && p->asking == UPSTREAM_NOT_ASKED)
		p->asking = UPSTREAM_IS_ASKED;
	return result == UPSTREAM_LINKING ? UPSTREAM_ASKED : result;
}

static void
refuse(struct request *rq)
{
	request_error(rq, "NOPERM " UPSTREAM_REFUSAL);
}

static enum command_result
await(struct request *rq, const struct upstream_arguments *arguments)
{
	struct pending *p = rq->client->pending;
	size_t count = arguments->count;
	uint64_t mark;

	if (rq->server->upstream == NULL || rq->in_transaction || p->progress > 0)
		return COMMAND_DONE;
	if (p->asked == 0)
		p->awaited_answers = 0;
	while (p->asked < count) {
		size_t i = arguments->first + p->asked * arguments->step;

		p->asked++;
		switch (need(rq, arguments->name_of(rq, i), &mark)) {
		case UPSTREAM_ASKED:
			p->awaited_answers = mark;
			break;
		case UPSTREAM_REFUSES:
			refuse(rq);
			return COMMAND_DONE;
		default:
			break;
		}
		if (p->asked < count && request_slice_is_over(rq)) {
			rq->waits_for = WAIT_TURN;
			return COMMAND_LATER;
		}
	}
	if (p->awaited_answers == 0)
		return COMMAND_DONE;
	p->asked = 0; /* it looks at all of them again */
	rq->waits_for = WAIT_UPSTREAM_NAMES;
	return COMMAND_LATER;
}

enum command_result
upstream_await(struct request *rq, const struct upstream_arguments *arguments)
{
	struct upstream_arguments allowed = *arguments;

	/* What is beyond the client's limit is refused later. */
	if (allowed.count > rq->server->config->hub.subscriptions)
		allowed.count = rq->server->config->hub.subscriptions;
	return await(rq, &allowed);
}

static struct upstream_name
channel_of(const struct request *rq, size_t i)
{
	return (struct upstream_name){.kind = HUB_CHANNEL, .name = rq->argv[i]};
}

enum command_result
upstream_await_history(struct request *rq, const struct upstream_arguments *arguments)
{
	struct upstream_arguments of_channels = *arguments;
	uint64_t mark;

	if (rq->server->upstream == NULL || !rq->server->upstream->has_history)
		return COMMAND_DONE;
	if (of_channels.name_of == NULL)
		of_channels.name_of = channel_of;
	if (!rq->in_transaction)
		return await(rq, &of_channels);
	for (size_t i = 0; i < of_channels.count && !rq->failed; i++) {
		struct upstream_name name =
		    of_channels.name_of(rq, of_channels.first + i * of_channels.step);

		if (need(rq, name, &mark) == UPSTREAM_ASKED)
			request_error(rq, UPSTREAM_NOT_LOADED);
	}
	return COMMAND_DONE;
}

enum upstream_need
upstream_await_name(struct request *rq, const struct upstream_name *name)
{
	struct pending *p = rq->client->pending;
	enum upstream_need result;
	uint64_t mark;

	if (rq->server->upstream == NULL)
		return UPSTREAM_READY;
	result = need(rq, *name, &mark);
	if (result == UPSTREAM_ASKED) {
		p->awaited_answers = mark;
		rq->waits_for = WAIT_UPSTREAM_NAMES;
	}
	return result;
}

enum upstream_sending
upstream_send(struct request *rq, const struct hub_post *post, struct hub_outcome *out)
{
	struct upstream *upstream = rq->server->upstream;
	enum upstream_sending result = upstream->ops->send(upstream, post, !rq->in_transaction);

	*out = (struct hub_outcome){0};
	if (result != UPSTREAM_SENT && result != UPSTREAM_KEPT)
		return result;
	held_note_sent(rq->client, ++rq->server->sent_messages->sent);
	out->receivers = hub_receivers(rq->server->hub, post->kind, post->channel);
	if (upstream->is_sharded)
		out->receivers += hub_receivers(rq->server->hub,
		    post->kind == HUB_SHARD ? HUB_CHANNEL : HUB_SHARD, post->channel);
	if (result == UPSTREAM_KEPT)
		out->sent = rq->server->sent_messages->sent;
	return UPSTREAM_SENT;
}

enum upstream_sending
upstream_delete_history(struct request *rq, struct slice channel, struct hub_outcome *out)
{
	struct upstream *upstream = rq->server->upstream;
	enum upstream_sending result =
	    upstream->ops->delete_history(upstream, channel, !rq->in_transaction);

	*out = (struct hub_outcome){0};
	if (result != UPSTREAM_KEPT)
		return result;
	held_note_sent(rq->client, ++rq->server->sent_messages->sent);
	out->sent = rq->server->sent_messages->sent;
	return UPSTREAM_SENT;
}

enum command_result
upstream_not_sent(struct request *rq, enum upstream_sending sending)
{
	if (sending == UPSTREAM_BUSY) {
		rq->waits_for = WAIT_UPSTREAM;
		return COMMAND_LATER;
	}
	request_error(rq, sending == UPSTREAM_FULL ? UPSTREAM_FULL_ERROR : UPSTREAM_DOWN_ERROR);
	return COMMAND_DONE;
}

void
server_upstream_answered(struct server *server, uint64_t answered)
{
	struct wait_queue *queue = &server->waits->queues[WAIT_UPSTREAM_NAMES];
	struct client *c;

	while (
	    (c = TAILQ_FIRST(&queue->clients)) != NULL && c->pending->awaited_answers <= answered)
		wait_event_of(c, WAIT_EVENT_ANSWERED);
}

void
server_upstream_answered_some(struct server *server)
{
	const struct upstream *upstream = server->upstream;
	struct client *c, *next;

	for (c = TAILQ_FIRST(&server->waits->queues[WAIT_UPSTREAM_NAMES].clients); c != NULL;
	     c = next) {
		next = TAILQ_NEXT(c, pending->wait.queue);
		if (upstream->ops->is_reached(upstream, c->pending->awaited_answers))
			wait_event_of(c, WAIT_EVENT_ANSWERED);
	}
}

void
server_upstream_changed(struct server *server)
{
	wait_event(server, WAIT_EVENT_UPSTREAM);
}
