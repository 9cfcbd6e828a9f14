#ifndef SERVER_PRESENCE_ASK_H
#define SERVER_PRESENCE_ASK_H

#include "server/upstream_presence.h"

/*
 * A client's request that asks the upstream for the members of all nodes: it waits for the answer
 * (WAIT_UPSTREAM_PRESENCE), and is executed again when that has come. Requests are answered in the
 * order in which they began to wait, so the queue of the reason is ordered by ticket.
 */
struct presence_question;
struct request;

enum presence_asked {
	PRESENCE_OF_NODE,  /* presence is that of this node only: it is not asked */
	PRESENCE_WAITS,    /* rq->waits_for is set: the same query is to be asked again after it */
	PRESENCE_ANSWERED, /* *answer is valid until the next query, or the end of the request */
	PRESENCE_FAILED,   /* an error was put into rq->reply */
};

/* Asks the upstream, or takes its answer to this query. Each query of a request is asked until it
 * is answered, before the next one. */
enum presence_asked presence_ask(struct request *rq, const struct upstream_presence_query *query,
    const struct upstream_presence_answer **answer) __attribute__((warn_unused_result));

/* The question of a request, which presence_ask() has made. */
struct presence_question *presence_ask_question(const struct request *rq);

#endif
