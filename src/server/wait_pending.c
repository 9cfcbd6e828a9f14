#include "config.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/hub_gather.h"
#include "server/client.h"
#include "server/presence_question.h"
#include "server/wait.h"

void
pending_begin(struct client *c)
{
	struct waits *waits = c->server->waits;

	if (c->pending != NULL)
		return;
	c->pending = waits->spare != NULL ? waits->spare : xcalloc(1, sizeof(*c->pending));
	waits->spare = NULL;
}

void
pending_end(struct client *c)
{
	struct pending *p = c->pending;
	struct waits *waits = c->server->waits;

	if (p == NULL || p->wait.reason != WAIT_NOT || p->job != NULL || p->is_executed)
		return;
	assert(p->block == NULL && p->presence == NULL && p->publication.ticket == 0 &&
	       p->publication.drafts == 0);
	if (waits->spare != NULL) {
		pending_drop(c);
		return;
	}
	/* client_request_over() has cleared the rest. */
	if (p->look != NULL)
		xfree(p->look);
	p->look = NULL;
	p->of_door = NULL;
	p->job_ended = p->has_changed = p->has_pushed = p->has_new_state = false;
	waits->spare = p;
	c->pending = NULL;
}

void
pending_drop(struct client *c)
{
	struct pending *p = c->pending;

	if (p == NULL)
		return;
	xfree(p->look);
	hub_gather_free(p->gather);
	presence_question_free(p->presence);
	buffer_release(&p->partial);
	xfree(p);
	c->pending = NULL;
}
