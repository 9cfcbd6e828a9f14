#include "config.h"

#include "server/client_end.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/io.h"
#include "server/wait.h"

/* Messages that are dropped between two checks of the clock. */
#define CUT_A_LOOK 1024

/* How often a queue of which a write is in flight is tried again. */
#define IN_FLIGHT_POLL_US 1000

void
client_end_forget(struct client *c)
{
	if (c->session == NULL || !c->session->is_dismissed)
		return;
	TAILQ_REMOVE(&c->server->clients->dismissed, c, session->dismissed);
	c->session->is_dismissed = false;
}

void
client_kill(struct client *c, const char *reason)
{
	bool was_parting = c->state == CLIENT_PARTING;

	if (!client_state_move(&c->state, CLIENT_EVENT_KILL))
		return;
	if (was_parting)
		c->server->clients->parting--;
	client_end_forget(c);
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io->kill(client_conn(c), reason);
}

static bool
finish(struct client *c, enum client_event event)
{
	if (!client_state_move(&c->state, event))
		return false;
	wait_event_of(c, WAIT_EVENT_LEFT);
	/* Nothing may be queued behind the last bytes of a door's protocol; those of a request come
	 * when it has been executed. */
	if (client_door(c) != NULL && (c->pending == NULL || !c->pending->is_executed))
		outbox_seal(&c->subscriber.outbox);
	c->server->io->finish(client_conn(c));
	return true;
}

void
client_finish(struct client *c)
{
	(void)finish(c, CLIENT_EVENT_FINISH);
}

/* Nothing may be queued behind a farewell. */
static void
say_farewell(struct client *c, enum door_end why)
{
	struct door *door = client_door(c);
	struct buffer farewell = {0};

	if (door == NULL)
		return;
	door->ops->ending(c, why, &farewell);
	outbox_seal(&c->subscriber.outbox);
	outbox_push_last(&c->subscriber.outbox, buffer_slice(&farewell));
	buffer_release(&farewell);
}

bool
client_part(struct client *c)
{
	if (client_is_open(c))
		say_farewell(c, DOOR_END_SHUTDOWN);
	return finish(c, CLIENT_EVENT_PART);
}

void
client_refuse(struct client *c, enum door_end why)
{
	say_farewell(c, why);
	(void)finish(c, CLIENT_EVENT_REFUSE);
}

/* io hears of it when the queue has been cut. */
static void
begin_cut(struct client *c, enum door_end why)
{
	struct session *s = c->session;

	(void)client_state_move(&c->state, CLIENT_EVENT_FINISH);
	s->is_dismissed = true;
	s->dismissed_why = (uint8_t)why;
	TAILQ_INSERT_TAIL(&c->server->clients->dismissed, c, session->dismissed);
	wait_event_of(c, WAIT_EVENT_LEFT);
	outbox_seal(&c->subscriber.outbox);
	c->server->io->ready(client_conn(c)); /* the next turn is soon */
}

static bool
has_farewell(const struct client *c)
{
	const struct door *door = client_door(c);

	return door != NULL && (door->ops->has_farewell == NULL || door->ops->has_farewell(c));
}

void
client_dismiss(struct client *c, enum door_end why, const char *reason)
{
	char label[160];

	if (client_door(c) != NULL && client_is_open(c)) {
		log_debug("ending client %s: %s", client_label(c, label, sizeof(label)), reason);
		if (why == DOOR_END_SHUTDOWN) {
			say_farewell(c, why);
			client_finish(c);
		} else if (has_farewell(c)) {
			begin_cut(c, why);
		} else {
			client_kill(c, reason);
		}
	} else if (why == DOOR_END_SHUTDOWN) {
		client_finish(c);
	} else {
		client_kill(c, reason);
	}
}

void
server_say_farewell(struct server *server)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&server->clients->open); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (client_door(c) != NULL && client_is_open(c))
			client_dismiss(c, DOOR_END_SHUTDOWN, "the daemon ends");
	}
}

uint64_t
client_end_turn(struct server *server, uint64_t deadline_us)
{
	struct client *c, *next;
	uint64_t wait_us = UINT64_MAX;

	for (c = TAILQ_FIRST(&server->clients->dismissed); c != NULL; c = next) {
		size_t budget = CUT_A_LOOK;

		next = TAILQ_NEXT(c, session->dismissed);
		if (outbox_cut(&c->subscriber.outbox, &budget)) {
			client_end_forget(c);
			say_farewell(c, (enum door_end)c->session->dismissed_why);
			server->io->finish(client_conn(c));
		} else if (budget == 0) {
			next = c;
		} else {
			wait_us = IN_FLIGHT_POLL_US;
		}
		if (next != NULL && clock_mono_us() >= deadline_us)
			return 0;
	}
	return wait_us;
}
