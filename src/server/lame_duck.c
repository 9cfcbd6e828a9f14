#include "config.h"

#include "server/lame_duck.h"

#include <assert.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/clients.h"
#include "server/held.h"
#include "server/io.h"

/* Notifying or finishing clients may take about this long in a turn. */
#define SHARE_US 500
#define CLIENTS_A_LOOK 16

/* Clients in the middle of a long command, or being accepted, are checked again after this time. */
#define AGAIN_US 50000

static uint64_t
window_us(const struct lame_duck *duck)
{
	return (uint64_t)duck->window_s * 1000000;
}

size_t
lame_duck_may_stay(size_t total, uint64_t elapsed_us, uint64_t window_us)
{
	double share;
	size_t stay;

	if (elapsed_us >= window_us)
		return 0;
	share = (double)total * ((double)(window_us - elapsed_us) / (double)window_us);
	stay = (size_t)share;
	return stay + ((double)stay < share);
}

uint64_t
lame_duck_next_us(size_t total, size_t open, uint64_t window_us)
{
	uint64_t at_us;
	double stay;

	assert(open > 0 && open <= total);
	stay = (double)(open - 1) / (double)total;
	at_us = (uint64_t)((1 - stay) * (double)window_us);
	while (lame_duck_may_stay(total, at_us, window_us) >= open)
		at_us++;
	return at_us;
}

void
server_lame_duck(struct server *server, uint32_t window_s)
{
	struct lame_duck *duck = server->lame_duck;

	duck->state = LAME_DUCK_TELLS;
	duck->window_s = window_s;
	duck->begun_us = clock_mono_us();
	duck->next = TAILQ_FIRST(&server->clients->open);
}

bool
server_lame_duck_cancel(struct server *server)
{
	struct lame_duck *duck = server->lame_duck;

	if (duck->state == LAME_DUCK_NOT)
		return false;
	duck->state = LAME_DUCK_NOT;
	duck->next = NULL;
	return true;
}

uint64_t
lame_duck_left_us(const struct server *server, uint64_t now_us)
{
	const struct lame_duck *duck = server->lame_duck;
	uint64_t end_us = duck->begun_us + window_us(duck);

	return duck->state != LAME_DUCK_NOT && end_us > now_us ? end_us - now_us : 0;
}

void
lame_duck_part(struct client *c)
{
	struct lame_duck *duck = c->server->lame_duck;

	if (duck->next == c)
		duck->next = TAILQ_NEXT(c, all);
	if (c->state == CLIENT_PARTING)
		c->server->clients->parting--;
}

/* Sends [going-away, seconds] as a push: only RESP3 allows pushes between replies. */
static void
tell(struct client *c, uint32_t seconds)
{
	struct buffer push = {0};

	if (!c->wants_going_away || c->proto != 3 || !client_is_open(c))
		return;
	resp_put_push(&push, c->proto, 2);
	resp_put_bulk_str(&push, "going-away");
	resp_put_int(&push, seconds);
	held_push_reply(c, buffer_slice(&push));
	buffer_release(&push);
}

/* A command that runs in slices, or waits for a signature of its token to be verified, is not
 * interrupted while there is time. */
static bool
can_go(const struct client *c)
{
	const struct pending *p = c->pending;

	return client_is_open(c) && client_waits_for(c) != WAIT_TOKEN &&
	       (p == NULL || (p->job == NULL && p->running == NULL && p->publication.drafts == 0));
}

static bool
share_is_over(size_t n, uint64_t start_us)
{
	return n % CLIENTS_A_LOOK == 0 && clock_mono_us() - start_us >= SHARE_US;
}

static struct client *
take_next(struct lame_duck *duck)
{
	struct client *c = duck->next;

	if (c != NULL)
		duck->next = TAILQ_NEXT(c, all);
	return c;
}

/* False if there are more clients to notify. */
static bool
tell_clients(struct server *server)
{
	struct lame_duck *duck = server->lame_duck;
	uint64_t start_us = clock_mono_us();
	struct client *c;
	size_t n = 0;

	while ((c = take_next(duck)) != NULL) {
		tell(c, duck->window_s);
		if (share_is_over(++n, start_us))
			return false;
	}
	return true;
}

static size_t
open_count(const struct server *server)
{
	return server->clients->count - server->clients->parting;
}

/*
 * Finishes clients until at most may_stay are open or the end of the list is reached; false if the
 * time is up before.
 */
static bool
close_clients(struct server *server, size_t may_stay)
{
	struct lame_duck *duck = server->lame_duck;
	uint64_t start_us = clock_mono_us();
	struct client *c;
	size_t n = 0;

	while (open_count(server) > may_stay && (c = take_next(duck)) != NULL) {
		if (can_go(c) && client_part(c))
			server->clients->parting++;
		if (share_is_over(++n, start_us))
			return false;
	}
	return true;
}

/* True if accepted connections are about to become clients. */
static bool
awaits_clients(const struct server *server)
{
	struct net_figures figures;

	server->io->figures(server->io->arg, &figures);
	return figures.proxy_pending > 0;
}

static uint64_t
close_due(struct server *server, uint64_t now_us)
{
	struct lame_duck *duck = server->lame_duck;
	uint64_t elapsed_us = now_us > duck->begun_us ? now_us - duck->begun_us : 0;
	size_t open = open_count(server);

	if (open > duck->total)
		duck->total = open;
	if (!close_clients(server, lame_duck_may_stay(duck->total, elapsed_us, window_us(duck))))
		return 0;
	if (elapsed_us >= window_us(duck) ||
	    (server->clients->count == 0 && !awaits_clients(server))) {
		duck->state = LAME_DUCK_OVER;
		server->io->lame_duck_over(server->io->arg);
		return UINT64_MAX;
	}
	open = open_count(server);
	if (server->clients->count == 0)
		return AGAIN_US;
	if (open == 0)
		return window_us(duck) - elapsed_us;
	if (duck->next == NULL) {
		duck->next = TAILQ_FIRST(&server->clients->open);
		return AGAIN_US;
	}
	return lame_duck_next_us(duck->total, open, window_us(duck)) - elapsed_us;
}

uint64_t
lame_duck_run(struct server *server, uint64_t now_us)
{
	struct lame_duck *duck = server->lame_duck;

	if (duck->state == LAME_DUCK_NOT || duck->state == LAME_DUCK_OVER)
		return UINT64_MAX;
	if (duck->state == LAME_DUCK_TELLS) {
		if (!tell_clients(server))
			return 0;
		duck->state = LAME_DUCK_CLOSES;
		duck->total = open_count(server);
		duck->next = TAILQ_FIRST(&server->clients->open);
	}
	return close_due(server, now_us);
}
