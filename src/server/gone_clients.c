#include "config.h"

#include "server/gone_clients.h"

#include "base/clock.h"
#include "pubsub/hub.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/client_life.h"
#include "server/clients.h"
#include "server/memory_guard.h"
#include "server/presence_service.h"
#include "server/tracking.h"

/* Subscriptions, joins and armed channels of a closed client that are removed between two checks of
 * the clock. */
#define DETACH_A_LOOK 64

/* Removes at most `budget` subscriptions, joins, armed channels and tracked keys each. True if none
 * is left. */
static bool
detach(struct client *c, size_t budget)
{
	bool has_left = presence_release_client(c, budget);
	bool is_disarmed = armed_drain(c, budget);
	bool is_untracked = tracking_detach(c, budget);

	return hub_detach(&c->subscriber, budget) && has_left && is_disarmed && is_untracked;
}

static void
free_gone(struct server *server, struct client *c)
{
	TAILQ_REMOVE(&server->clients->gone, c, all);
	server->clients->gone_count--;
	memory_guard_released(c);
	client_free(c);
}

/*
 * Done at once for most clients: then the subscriptions are gone when others see the connection
 * closed.
 */
void
gone_clients_add(struct client *c)
{
	struct server *server = c->server;

	TAILQ_INSERT_TAIL(&server->clients->gone, c, all);
	server->clients->gone_count++;
	if (detach(c, DETACH_A_LOOK))
		free_gone(server, c);
}

/* A client to which another loop is still writing has to wait for that. */
bool
gone_clients_turn(struct server *server, uint64_t deadline_us)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&server->clients->gone); c != NULL; c = next) {
		bool is_free;

		while (!(is_free = detach(c, DETACH_A_LOOK)) && c->subscriber.outbox.in_flight == 0)
			if (clock_mono_us() >= deadline_us)
				return true;
		next = TAILQ_NEXT(c, all);
		if (is_free)
			free_gone(server, c);
		if (clock_mono_us() >= deadline_us)
			return next != NULL;
	}
	return false;
}

void
gone_clients_free(struct server *server)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&server->clients->gone)) != NULL) {
		if (detach(c, SIZE_MAX))
			free_gone(server, c);
	}
}
