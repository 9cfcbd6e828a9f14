#include "config.h"

#include "server/presence_ask.h"

#include "server/client.h"
#include "server/presence_question.h"
#include "server/presence_service.h"
#include "server/request.h"
#include "server/upstream.h"
#include "server/wait.h"

#define IN_TRANSACTION                                                                             \
	"ERR presence is that of all nodes: ask the upstream for it outside of MULTI and scripts"
#define REFUSED "CLUSTERDOWN The upstream has refused to say who is present"

struct presence_question *
presence_ask_question(const struct request *rq)
{
	return rq->client->pending->presence;
}

static enum presence_asked
fail(struct request *rq, const char *error)
{
	request_error(rq, "%s", error);
	return PRESENCE_FAILED;
}

static enum presence_asked
send_query(struct request *rq, const struct upstream_presence_query *query)
{
	struct upstream *upstream = rq->server->upstream;
	struct presence_question *q = presence_ask_question(rq);
	enum upstream_sending sending;

	presence_question_forget(q);
	sending = presence_share_catch_up(rq->server, &q->has_mark, &q->mark);
	if (sending == UPSTREAM_SENT)
		sending = upstream->presence->ask(upstream, query, &q->ticket);
	switch (sending) {
	case UPSTREAM_SENT:
		q->asking = PRESENCE_IS_ASKED;
		q->has_mark = false;
		rq->waits_for = WAIT_UPSTREAM_PRESENCE;
		return PRESENCE_WAITS;
	case UPSTREAM_BUSY:
		rq->waits_for = WAIT_UPSTREAM;
		return PRESENCE_WAITS;
	default:
		return fail(rq, UPSTREAM_DOWN_ERROR);
	}
}

enum presence_asked
presence_ask(struct request *rq, const struct upstream_presence_query *query,
    const struct upstream_presence_answer **answer)
{
	struct pending *p = rq->client->pending;
	enum presence_asking asking;

	if (!presence_share_is_on(rq->server))
		return PRESENCE_OF_NODE;
	if (rq->in_transaction)
		return fail(rq, IN_TRANSACTION);
	if (p->presence == NULL)
		p->presence = presence_question_new();
	asking = p->presence->asking;
	p->presence->asking = PRESENCE_NOT_ASKED;
	switch (asking) {
	case PRESENCE_HAS_ANSWER:
		*answer = &p->presence->answer;
		return (*answer)->is_refused ? fail(rq, REFUSED) : PRESENCE_ANSWERED;
	case PRESENCE_IS_LOST:
		return fail(rq, UPSTREAM_DOWN_ERROR);
	default:
		return send_query(rq, query);
	}
}

/* For the link */

/* The client that waits longest. */
static struct client *
first_asking(const struct server *server)
{
	return TAILQ_FIRST(&server->waits->queues[WAIT_UPSTREAM_PRESENCE].clients);
}

static void
end_question(struct client *c, const struct upstream_presence_answer *answer)
{
	struct presence_question *q = c->pending->presence;

	q->asking = answer != NULL ? PRESENCE_HAS_ANSWER : PRESENCE_IS_LOST;
	if (answer != NULL)
		presence_question_answer(q, answer);
	wait_event_of(c, WAIT_EVENT_ANSWERED);
}

/* The client of the ticket may have ended. */
void
server_presence_answered(
    struct server *server, uint64_t ticket, const struct upstream_presence_answer *answer)
{
	struct client *c;

	while ((c = first_asking(server)) != NULL && c->pending->presence->ticket <= ticket)
		end_question(c, c->pending->presence->ticket == ticket ? answer : NULL);
}

void
server_presence_lost(struct server *server)
{
	struct client *c;

	while ((c = first_asking(server)) != NULL)
		end_question(c, NULL);
}
