#include "config.h"

#include "server/memory_guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/clients.h"
#include "server/rates.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait.h"

/* Publishers have waited so long, and it did not help: the largest debtors are cut. */
#define GRACE_US 1000000

/* Waiting publishers go on once an eighth is free, so that all of them get a part of it. */
#define LOW_MARK(limit) ((limit) - (limit) / 8)

/* Past this debtors are cut at once: replies, too, are owed, and no publisher's waiting stops them.
 */
#define HARD_MARK(limit) ((limit) + (limit) / 32)

#define POLL_US 5000
#define CUT_FOR_US 1000
#define CLIENTS_A_LOOK 64

/* Closed clients are named in the log so often at most. */
#define CUTS_LOGGED_A_SECOND 50
#define CUTS_LOGGED_AT_ONCE 1000

/* Let go of for one client in one go; more of it goes with its subscriptions. */
#define RANGES_A_CUT 4096

/*
 * What the clients need that wait now. A message that is larger than the limit, which was lowered,
 * needs nothing: it is refused when it is tried.
 */
static void
work_out(struct memory_guard *guard, const struct waits *waits, size_t limit)
{
	const struct client *c;

	if (!guard->is_stale)
		return;
	guard->is_stale = false;
	guard->wanted = 0;
	guard->oldest_us = UINT64_MAX;
	TAILQ_FOREACH (c, &waits->queues[WAIT_MEMORY].clients, wait.queue) {
		if (c->publication.bytes <= limit && c->publication.bytes > guard->wanted)
			guard->wanted = c->publication.bytes;
		if (c->wait.memory_since_us < guard->oldest_us)
			guard->oldest_us = c->wait.memory_since_us;
	}
}

static void
joined(struct client *c)
{
	struct memory_guard *guard = c->server->memory_guard;

	if (c->wait.memory_since_us == 0) {
		c->server->statistics->counters.memory_waits++;
		c->wait.memory_since_us = c->active_us;
	}
	if (c->publication.bytes > guard->wanted &&
	    c->publication.bytes <= c->server->config->hub.memory_bytes)
		guard->wanted = c->publication.bytes;
	if (c->wait.memory_since_us < guard->oldest_us)
		guard->oldest_us = c->wait.memory_since_us;
}

static void
left(struct client *c)
{
	struct memory_guard *guard = c->server->memory_guard;

	if (c->publication.bytes >= guard->wanted || c->wait.memory_since_us <= guard->oldest_us)
		guard->is_stale = true;
}

void
memory_guard_init(struct server *server)
{
	server->memory_guard->is_stale = true;
	rate_limit_init(
	    &server->memory_guard->log_limit, CUTS_LOGGED_A_SECOND, CUTS_LOGGED_AT_ONCE);
	waits_set_hooks(server->waits, WAIT_MEMORY, (struct wait_hooks){joined, left});
}

void
memory_guard_reconfigured(struct memory_guard *guard)
{
	guard->is_stale = true;
}

static size_t
waiting_count(const struct server *server)
{
	return server->waits->queues[WAIT_MEMORY].count;
}

/* By the same figures as hub_publish(): a client that is told of room finds some. */
static bool
has_room(struct server *server, size_t limit)
{
	struct memory_guard *guard = server->memory_guard;
	size_t held = hub_memory_claimed(server->hub);

	if (waiting_count(server) == 0)
		return hub_memory(server->hub) <= limit;
	work_out(guard, server->waits, limit);
	return (held <= LOW_MARK(limit) && held + guard->wanted <= limit) ||
	       !hub_memory_can_shrink(server->hub);
}

static bool
has_lasted(uint64_t since_us, uint64_t now_us)
{
	return now_us > since_us && now_us - since_us >= GRACE_US;
}

/* Whether the waiting messages had room if nobody were owed anything, beside the large messages
 * that are under way. */
static bool
would_help(const struct server *server, size_t limit)
{
	size_t under_way = hub_memory_claimed(server->hub) - hub_memory(server->hub);

	return under_way <= LOW_MARK(limit) && under_way + server->memory_guard->wanted <= limit;
}

/*
 * What a message needs may have become less since it was tried: a subscriber unsubscribed, or the
 * EXEC that waits can only fail. So all that wait are tried again before anybody is cut for them.
 */
static bool
is_confirmed(struct server *server, bool is_due)
{
	struct memory_guard *guard = server->memory_guard;
	bool was_asked = guard->is_asked;

	guard->is_asked = is_due;
	if (is_due && !was_asked)
		wait_event(server, WAIT_EVENT_MEMORY);
	return is_due && was_asked;
}

/* Whether debtors are to be cut: what was tried before it has not helped for too long. */
static bool
is_due(struct server *server, size_t limit, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;
	size_t owed = hub_memory(server->hub);

	if (owed <= limit)
		guard->over_since_us = 0;
	else if (guard->over_since_us == 0)
		guard->over_since_us = now_us;
	if (owed > HARD_MARK(limit))
		return true;
	if (guard->over_since_us != 0 && has_lasted(guard->over_since_us, now_us))
		return true;
	return is_confirmed(server, waiting_count(server) > 0 && !has_room(server, limit) &&
					has_lasted(guard->oldest_us, now_us) &&
					has_lasted(guard->relaxed_us, now_us) &&
					would_help(server, limit));
}

static void
cut(struct client *c, uint64_t now_us)
{
	struct server *server = c->server;
	char label[160];

	server->statistics->counters.memory_cut_clients++;
	server->memory_guard->cut_count++;
	if (rate_limit_take(&server->memory_guard->log_limit, now_us))
		log_notice("closing client %s: past maxmemory-pubsub, and it is owed %zu bytes",
		    client_label(c, label, sizeof(label)), c->subscriber.outbox.bytes);
	client_kill(c, "owed the most past maxmemory-pubsub");
	if (!hub_drop_queue(&c->subscriber, RANGES_A_CUT)) {
		c->memory_pending = true;
		server->memory_guard->pending++;
	}
}

/* The next pass over the clients cuts whoever is owed more than half of what the last one saw as
 * the most. False where nobody is owed anything. */
static bool
begin_pass(struct memory_guard *guard, struct server *server)
{
	if (guard->passing && guard->most == 0) {
		guard->passing = false;
		return false;
	}
	guard->threshold = guard->passing ? guard->most / 2 + 1 : SIZE_MAX;
	guard->passing = true;
	guard->most = 0;
	guard->at = TAILQ_FIRST(&server->clients->open);
	return guard->at != NULL;
}

/*
 * Cuts the largest debtors until there is room: who is behind the most first, in steps of a half.
 * What several are owed is held once and goes with the last of them; those who are stuck on the
 * same channel owe about the same, so one pass cuts them one after the other, and each that is
 * cut lets go of its part at once. So it is seen after each whether that was enough. True if there
 * is more to do at once.
 */
static bool
cut_debtors(struct server *server, size_t limit, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;
	uint64_t start_us = clock_mono_us();
	struct client *c;

	for (unsigned n = 1; guard->pending == 0 && is_due(server, limit, now_us); n++) {
		if (guard->at == NULL && !begin_pass(guard, server))
			return false;
		c = guard->at;
		guard->at = TAILQ_NEXT(c, all);
		if (!c->killed && c->subscriber.outbox.bytes >= guard->threshold)
			cut(c, now_us);
		else if (!c->killed && c->subscriber.outbox.bytes > guard->most)
			guard->most = c->subscriber.outbox.bytes;
		if (n % CLIENTS_A_LOOK == 0 && clock_mono_us() - start_us >= CUT_FOR_US)
			return true;
	}
	return false;
}

static void
relax(struct server *server, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;

	if (guard->cut_count > 0)
		log_warn("maxmemory-pubsub: %zu clients that were owed the most were closed",
		    guard->cut_count);
	if (waiting_count(server) > 0)
		wait_event(server, WAIT_EVENT_MEMORY);
	guard->is_short = false;
	guard->is_asked = false;
	guard->passing = false;
	guard->at = NULL;
	guard->cut_count = 0;
	guard->over_since_us = 0;
	guard->relaxed_us = now_us;
}

uint64_t
memory_guard_turn(struct server *server, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;
	size_t limit = server->config->hub.memory_bytes;

	if (!guard->is_short && waiting_count(server) == 0 &&
	    (limit == 0 || hub_memory(server->hub) <= limit))
		return UINT64_MAX;
	/* While they are tried their queue says nothing. */
	if (guard->is_asked && waits_try_memory(server->waits) &&
	    hub_memory(server->hub) <= HARD_MARK(limit))
		return POLL_US;
	if (limit == 0 || has_room(server, limit)) {
		relax(server, now_us);
		return UINT64_MAX;
	}
	if (!guard->is_short) {
		guard->is_short = true;
		if (rate_limit_take(server->log_limit, now_us))
			log_notice("maxmemory-pubsub reached: publishers wait");
	}
	return cut_debtors(server, limit, now_us) ? 0 : POLL_US;
}

void
memory_guard_forget(struct client *c)
{
	struct memory_guard *guard = c->server->memory_guard;

	if (guard->at == c)
		guard->at = TAILQ_NEXT(c, all);
}

void
memory_guard_released(struct client *c)
{
	if (c->memory_pending)
		c->server->memory_guard->pending--;
	c->memory_pending = false;
}
