#include "config.h"

#include "server/sync_wait.h"

#include "base/alloc.h"
#include "server/client.h"
#include "server/wait.h"

/* The most waits ended in a turn because their time is up. */
#define ENDED_A_TURN 256

/* A request that waits, or has waited and is being executed again. client_request_over() frees it.
 */
struct sync_wait {
	struct client *client;
	enum sync_woken woken;
	bool has_deadline; /* and waits: it is in the queue */
	uint32_t deadline_place;
	uint64_t until_us;
};

static void
note_deadline_place(void *wait, uint32_t place)
{
	((struct sync_wait *)wait)->deadline_place = place;
}

static const struct time_queue_ops deadline_ops = {
    .moved = note_deadline_place, .realloc = xrealloc, .free = xfree};

/* A client begins to wait: see struct wait_hooks. */
static void
join(struct client *c)
{
	struct sync_wait *wait = c->pending->sync;

	if (wait == NULL) /* a test of the table of waits */
		return;
	wait->has_deadline = wait->until_us != UINT64_MAX;
	if (wait->has_deadline)
		time_queue_add(&c->server->sync_waits->deadlines, wait, (int64_t)wait->until_us);
}

static void
leave(struct client *c)
{
	struct sync_wait *wait = c->pending->sync;

	if (wait == NULL || !wait->has_deadline)
		return;
	wait->has_deadline = false;
	time_queue_remove(&c->server->sync_waits->deadlines, wait->deadline_place);
}

void
sync_waits_init(struct server *server)
{
	time_queue_init(&server->sync_waits->deadlines, &deadline_ops);
	waits_set_hooks(
	    server->waits, WAIT_SYNC, (struct wait_hooks){.joined = join, .left = leave});
}

void
sync_waits_release(struct sync_waits *waits)
{
	time_queue_release(&waits->deadlines);
}

enum sync_woken
sync_wait_result(const struct request *rq)
{
	const struct sync_wait *wait = rq->client->pending->sync;

	return wait != NULL ? wait->woken : SYNC_NOT_WAITED;
}

enum command_result
sync_wait(struct request *rq, uint64_t until_us)
{
	struct pending *pending = rq->client->pending;

	if (pending->sync == NULL) {
		pending->sync = xcalloc(1, sizeof(*pending->sync));
		pending->sync->client = rq->client;
		pending->sync->until_us = until_us;
	}
	pending->sync->woken = SYNC_WOKEN;
	rq->waits_for = WAIT_SYNC;
	return COMMAND_LATER;
}

static void
end(struct sync_wait *wait, enum sync_woken woken)
{
	wait->woken = woken;
	wait_event_of(wait->client, WAIT_EVENT_DUE);
}

bool
sync_wait_end(struct client *c, bool with_error)
{
	if (client_waits_for(c) != WAIT_SYNC)
		return false;
	end(c->pending->sync, with_error ? SYNC_UNBLOCKED : SYNC_TIMED_OUT);
	return true;
}

/* Ending a wait takes it out of the queue. */
uint64_t
sync_wait_turn(struct server *server, uint64_t now_us)
{
	const struct time_queue_entry *first;
	size_t n;

	for (n = 0; (first = time_queue_first(&server->sync_waits->deadlines)) != NULL; n++) {
		if ((uint64_t)first->at > now_us)
			return (uint64_t)first->at - now_us;
		if (n == ENDED_A_TURN)
			return 0;
		end(first->thing, SYNC_TIMED_OUT);
	}
	return UINT64_MAX;
}
