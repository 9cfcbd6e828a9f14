#include "config.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/hub_state.h"

/*
 * One copy of each message, for subscribers that asked for it (hub_set_dedup). While a message is
 * delivered, such a subscriber is marked with its first copy, and a list has the marked ones, so
 * that neither depends on how many subscriptions others have. Without such subscribers there is
 * nothing to do.
 */
void
hub_set_dedup(struct subscriber *s, bool dedup)
{
	struct hub *hub = s->hub;

	if (s->dedup == dedup)
		return;
	s->dedup = dedup;
	hub->dedup.users += dedup ? 1 : (size_t)-1;
}

bool
hub_has_copy(struct hub *hub, struct subscriber *s)
{
	struct hub_dedup *dedup = &hub->dedup;

	if (!s->dedup || s->marked)
		return s->marked;
	if (dedup->count == dedup->cap) {
		dedup->cap = dedup->cap > 0 ? dedup->cap * 2 : 16;
		dedup->marked = xrealloc(dedup->marked, dedup->cap * sizeof(*dedup->marked));
	}
	s->marked = true;
	dedup->marked[dedup->count++] = s;
	return false;
}

void
hub_end_copies(struct hub *hub)
{
	struct hub_dedup *dedup = &hub->dedup;

	while (dedup->count > 0)
		dedup->marked[--dedup->count]->marked = false;
}

void
hub_release_dedup(struct hub *hub)
{
	assert(hub->dedup.count == 0);
	xfree(hub->dedup.marked);
	hub->dedup.marked = NULL;
	hub->dedup.cap = 0;
}
