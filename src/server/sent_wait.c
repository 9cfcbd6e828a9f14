#include "config.h"

#include "server/sent_wait.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/idempotency.h"
#include "server/client.h"
#include "server/sent_messages.h"
#include "server/wait.h"

/* A request whose message was sent. client_request_over() frees it. */
struct sent_wait {
	struct hub_outcome outcome;
	size_t failure_len;
	char failure[]; /* the error of the upstream */
};

/* A key whose message was sent, until the upstream has answered. */
struct sent_key {
	STAILQ_ENTRY(sent_key) next;
	uint64_t number;
	size_t channel_len, key_len;
	char bytes[]; /* of the channel, then of the key */
};

static struct sent_wait *
new_wait(const struct hub_outcome *outcome, struct slice failure)
{
	struct sent_wait *wait = xmalloc(sizeof(*wait) + failure.len);

	wait->outcome = *outcome;
	wait->failure_len = failure.len;
	if (failure.len > 0)
		memcpy(wait->failure, failure.ptr, failure.len);
	return wait;
}

void
sent_wait(struct request *rq, const struct hub_outcome *outcome)
{
	struct pending *p = rq->client->pending;

	assert(outcome->sent != 0 && p->sent == NULL && !rq->in_transaction);
	p->sent = new_wait(outcome, SLICE(""));
	p->awaited_sent = outcome->sent;
	rq->waits_for = WAIT_POSITION;
}

void
sent_wait_for_others(struct request *rq)
{
	rq->client->pending->awaited_sent = rq->server->sent_messages->sent;
	rq->waits_for = WAIT_POSITION;
}

const struct hub_outcome *
sent_wait_result(const struct request *rq, struct slice *failure)
{
	const struct sent_wait *wait = rq->client->pending->sent;

	if (wait == NULL)
		return NULL;
	*failure = (struct slice){wait->failure, wait->failure_len};
	return &wait->outcome;
}

void
sent_key_add(struct server *server, uint64_t number, struct slice channel, struct slice key)
{
	struct sent_key *item = xmalloc(sizeof(*item) + channel.len + key.len);

	item->number = number;
	item->channel_len = channel.len;
	item->key_len = key.len;
	if (channel.len > 0)
		memcpy(item->bytes, channel.ptr, channel.len);
	memcpy(item->bytes + channel.len, key.ptr, key.len);
	STAILQ_INSERT_TAIL(&server->sent_messages->keys, item, next);
}

static void
drop_first(struct sent_messages *messages)
{
	struct sent_key *item = STAILQ_FIRST(&messages->keys);

	STAILQ_REMOVE_HEAD(&messages->keys, next);
	xfree(item);
}

static void
tell_keys(struct server *server)
{
	struct sent_messages *messages = server->sent_messages;
	struct sent_key *item;

	while (
	    (item = STAILQ_FIRST(&messages->keys)) != NULL && item->number <= messages->arrived) {
		struct hub_position position = sent_messages_position(messages, item->number);
		struct slice channel = {item->bytes, item->channel_len};
		struct slice key = {item->bytes + item->channel_len, item->key_len};

		if (position.epoch != 0)
			idempotency_set_position(
			    server->idempotency, channel, key, item->number, position);
		drop_first(messages);
	}
}

static void
tell_client(struct client *c)
{
	struct sent_messages *messages = c->server->sent_messages;
	struct sent_wait *wait = c->pending->sent;
	uint64_t number = c->pending->awaited_sent;

	if (wait != NULL) {
		c->pending->sent =
		    new_wait(&wait->outcome, sent_messages_error(messages, number, number));
		c->pending->sent->outcome.position = sent_messages_position(messages, number);
		xfree(wait);
	}
	wait_event_of(c, WAIT_EVENT_ANSWERED);
}

void
sent_waits_tell(struct server *server)
{
	struct wait_queue *queue = &server->waits->queues[WAIT_POSITION];
	struct client *c;

	tell_keys(server);
	while ((c = TAILQ_FIRST(&queue->clients)) != NULL &&
	       c->pending->awaited_sent <= server->sent_messages->arrived)
		tell_client(c);
}

void
sent_keys_release(struct server *server)
{
	while (!STAILQ_EMPTY(&server->sent_messages->keys))
		drop_first(server->sent_messages);
}
