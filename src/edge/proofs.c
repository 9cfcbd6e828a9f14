#include "config.h"

#include "edge/proofs.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/task.h"
#include "edge/edge_io.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/request.h"
#include "server/wait.h"
#include "token/cache.h"
#include "token/proof.h"

/* So many keep the I/O threads busy for the few milliseconds that a turn of the main loop takes. */
#define IN_FLIGHT_MAX 64

enum state {
	PROOF_WAITING,   /* in proofs->waiting */
	PROOF_IN_FLIGHT, /* the thread has it */
	PROOF_ENDED,     /* made, or not to be made */
};

struct edge_proof {
	struct task task; /* first */
	TAILQ_ENTRY(edge_proof) waiting;
	struct edge_proofs *proofs;
	const struct tokens *tokens; /* borrowed */
	struct server *server;
	struct buffer origin;      /* of the client */
	struct client *client;     /* NULL: it was dropped */
	struct token_proof *proof; /* owned */
	enum state state;
};

void
edge_proofs_init(struct edge_proofs *proofs, const struct edge_io *io)
{
	proofs->io = io;
	TAILQ_INIT(&proofs->waiting);
	proofs->in_flight = 0;
}

static void
free_proof(struct edge_proof *p)
{
	token_proof_free(p->proof);
	buffer_release(&p->origin);
	xfree(p);
}

/* In the I/O thread. */
static void
run(struct task *task)
{
	token_proof_make(((struct edge_proof *)(void *)task)->proof);
}

/* False: its connection has no I/O thread. */
static bool
give_away(struct edge_proof *p)
{
	const struct edge_io *io = p->proofs->io;

	if (!io->run_task(io->arg, client_conn(p->client), &p->task))
		return false;
	p->state = PROOF_IN_FLIGHT;
	p->proofs->in_flight++;
	return true;
}

static void
finish(struct edge_proof *p)
{
	p->state = PROOF_ENDED;
	wait_event_of(p->client, WAIT_EVENT_VERIFIED);
}

/* A wrong signature is counted here, because the client may have gone, and before other tokens of
 * its address are given away. */
static void
done(struct task *task)
{
	struct edge_proof *p = (struct edge_proof *)(void *)task;

	p->proofs->in_flight--;
	if (tokens_refused_proof(p->tokens, p->proof))
		access_wrong_token(p->server, buffer_slice(&p->origin), clock_mono_us());
	if (p->client != NULL)
		finish(p);
	else
		free_proof(p);
}

bool
edge_proof_begin(struct edge_proofs *proofs, struct edge_proof **own, const struct tokens *tokens,
    struct request *rq, struct slice token)
{
	struct token_proof *proof;
	struct edge_proof *p;

	edge_proof_drop(own);
	if (proofs->io->run_task == NULL || access_has_failed(rq->client))
		return false;
	proof = tokens_begin_proof(tokens, token);
	if (proof == NULL)
		return false;
	p = xcalloc(1, sizeof(*p));
	p->task = (struct task){.run = run, .done = done};
	p->proofs = proofs;
	p->tokens = tokens;
	p->server = rq->server;
	p->client = rq->client;
	buffer_append_slice(&p->origin, client_peer_origin(rq->client->peer));
	p->proof = proof;
	if (proofs->in_flight == IN_FLIGHT_MAX || !TAILQ_EMPTY(&proofs->waiting)) {
		TAILQ_INSERT_TAIL(&proofs->waiting, p, waiting);
	} else if (!give_away(p)) {
		free_proof(p);
		return false;
	}
	*own = p;
	rq->waits_for = WAIT_TOKEN;
	return true;
}

const struct token_proof *
edge_proof_of(const struct edge_proof *own, const struct tokens *tokens, struct slice token)
{
	if (own == NULL || own->state != PROOF_ENDED ||
	    !tokens_accept_proof(tokens, own->proof, token))
		return NULL;
	return own->proof;
}

void
edge_proof_drop(struct edge_proof **own)
{
	struct edge_proof *p = *own;

	*own = NULL;
	if (p == NULL)
		return;
	p->client = NULL;
	if (p->state == PROOF_IN_FLIGHT)
		return;
	if (p->state == PROOF_WAITING)
		TAILQ_REMOVE(&p->proofs->waiting, p, waiting);
	free_proof(p);
}

void
edge_proofs_turn(struct edge_proofs *proofs)
{
	struct edge_proof *p;

	while (proofs->in_flight < IN_FLIGHT_MAX && (p = TAILQ_FIRST(&proofs->waiting)) != NULL) {
		TAILQ_REMOVE(&proofs->waiting, p, waiting);
		if (access_has_failed(p->client) || !give_away(p))
			finish(p);
	}
}
