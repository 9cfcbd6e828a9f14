#include "config.h"

#include "server/memory_guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/clients.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait.h"

/* When publishers have waited so long for room, the clients with the longest queues are closed. */
#define GRACE_US 1000000

/* Waiting publishers are resumed once an eighth is free, so that each gets a part of it. */
#define LOW_MARK(limit) ((limit) - (limit) / 8)

/* Above this clients are closed at once: queued replies count as well, and they grow while
 * publishers wait. */
#define HARD_MARK(limit) ((limit) + (limit) / 32)

#define POLL_US 5000
#define CLOSE_FOR_US 1000
#define CLIENTS_A_LOOK 64

/* The rate limit of log lines about closed clients. */
#define CLOSES_LOGGED_A_SECOND 50
#define CLOSES_LOGGED_AT_ONCE 1000

/* Ranges of a closed client's queue that are freed at once; the others with its subscriptions. */
#define RANGES_A_CLOSE 4096

/*
 * The memory that the waiting clients need. A message larger than the limit, because that was
 * lowered, needs none: it is refused when it is tried.
 */
static void
compute_wanted(struct memory_guard *guard, const struct waits *waits, size_t limit)
{
	const struct client *c;

	if (!guard->is_stale)
		return;
	guard->is_stale = false;
	guard->wanted = 0;
	guard->oldest_us = UINT64_MAX;
	TAILQ_FOREACH (c, &waits->queues[WAIT_MEMORY].clients, pending->wait.queue) {
		if (c->pending->publication.bytes <= limit &&
		    c->pending->publication.bytes > guard->wanted)
			guard->wanted = c->pending->publication.bytes;
		if (c->pending->wait.memory_since_us < guard->oldest_us)
			guard->oldest_us = c->pending->wait.memory_since_us;
	}
}

static void
joined(struct client *c)
{
	struct memory_guard *guard = c->server->memory_guard;

	if (c->pending->wait.memory_since_us == 0) {
		c->server->statistics->counters.memory_waits++;
		c->pending->wait.memory_since_us = c->active_us;
	}
	if (c->pending->publication.bytes > guard->wanted &&
	    c->pending->publication.bytes <= c->server->config->hub.memory_bytes)
		guard->wanted = c->pending->publication.bytes;
	if (c->pending->wait.memory_since_us < guard->oldest_us)
		guard->oldest_us = c->pending->wait.memory_since_us;
}

static void
left(struct client *c)
{
	struct memory_guard *guard = c->server->memory_guard;

	if (c->pending->publication.bytes >= guard->wanted ||
	    c->pending->wait.memory_since_us <= guard->oldest_us)
		guard->is_stale = true;
}

void
memory_guard_init(struct server *server)
{
	server->memory_guard->is_stale = true;
	rate_limit_init(
	    &server->memory_guard->log_limit, CLOSES_LOGGED_A_SECOND, CLOSES_LOGGED_AT_ONCE);
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

/* Uses the same figures as hub_publish(): a client that is resumed finds room. */
static bool
has_room(struct server *server, size_t limit)
{
	struct memory_guard *guard = server->memory_guard;
	size_t held = hub_memory_claimed(server->hub);

	if (waiting_count(server) == 0)
		return hub_memory(server->hub) <= limit;
	compute_wanted(guard, server->waits, limit);
	return (held <= LOW_MARK(limit) && held + guard->wanted <= limit) ||
	       !hub_memory_can_shrink(server->hub);
}

static bool
has_lasted(uint64_t since_us, uint64_t now_us)
{
	return now_us > since_us && now_us - since_us >= GRACE_US;
}

/* Whether the waiting messages would fit if all queues were empty, beside the large messages that
 * are being copied. */
static bool
would_help(const struct server *server, size_t limit)
{
	size_t under_way = hub_memory_claimed(server->hub) - hub_memory(server->hub);

	return under_way <= LOW_MARK(limit) && under_way + server->memory_guard->wanted <= limit;
}

/*
 * The need of a message may have shrunk since it was tried: a subscriber unsubscribed, or the
 * waiting EXEC can only fail. So all waiting requests are retried before a client is closed for
 * them.
 */
static bool
is_confirmed(struct server *server, bool is_due)
{
	struct memory_guard *guard = server->memory_guard;
	bool had_retried = guard->has_retried;

	guard->has_retried = is_due;
	if (is_due && !had_retried)
		wait_event(server, WAIT_EVENT_MEMORY);
	return is_due && had_retried;
}

/* Whether clients are to be closed: waiting has not helped for too long. */
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
					has_lasted(guard->had_room_us, now_us) &&
					would_help(server, limit));
}

static void
close_client(struct client *c, uint64_t now_us)
{
	struct server *server = c->server;
	char label[160];

	server->statistics->counters.memory_cut_clients++;
	server->memory_guard->closed_count++;
	if (rate_limit_take(&server->memory_guard->log_limit, now_us))
		log_notice("closing client %s: maxmemory-pubsub exceeded, %zu bytes queued for it",
		    client_label(c, label, sizeof(label)), c->subscriber.outbox.bytes);
	client_kill(c, "most queued bytes while maxmemory-pubsub was exceeded");
	if (!hub_drop_queue(&c->subscriber, RANGES_A_CLOSE) &&
	    client_state_move(&c->state, CLIENT_EVENT_CUT))
		server->memory_guard->pending++;
}

/* The next pass closes clients whose queue is longer than half of the longest that the last pass
 * saw. False if all queues are empty. */
static bool
begin_pass(struct memory_guard *guard, struct server *server)
{
	if (guard->in_pass && guard->most == 0) {
		guard->in_pass = false;
		return false;
	}
	guard->threshold = guard->in_pass ? guard->most / 2 + 1 : SIZE_MAX;
	guard->in_pass = true;
	guard->most = 0;
	guard->at = TAILQ_FIRST(&server->clients->open);
	return guard->at != NULL;
}

/*
 * Closes the clients with the longest queues until there is room, in passes with half the threshold
 * of the last one. A message that several clients have queued is held once, and freed with the last
 * of them. Clients that are stuck on the same channel have queues of about the same length, so one
 * pass closes them one after the other; the memory is looked at after each. True if there is more
 * to do at once.
 */
static bool
close_longest_queues(struct server *server, size_t limit, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;
	uint64_t start_us = clock_mono_us();
	struct client *c;

	for (unsigned n = 1; guard->pending == 0 && is_due(server, limit, now_us); n++) {
		if (guard->at == NULL && !begin_pass(guard, server))
			return false;
		c = guard->at;
		guard->at = TAILQ_NEXT(c, all);
		if (!client_is_dead(c) && c->subscriber.outbox.bytes >= guard->threshold)
			close_client(c, now_us);
		else if (!client_is_dead(c) && c->subscriber.outbox.bytes > guard->most)
			guard->most = c->subscriber.outbox.bytes;
		if (n % CLIENTS_A_LOOK == 0 && clock_mono_us() - start_us >= CLOSE_FOR_US)
			return true;
	}
	return false;
}

static void
end_shortage(struct server *server, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;

	if (guard->closed_count > 0)
		log_warn("maxmemory-pubsub: %zu clients with the most queued bytes were closed",
		    guard->closed_count);
	if (waiting_count(server) > 0)
		wait_event(server, WAIT_EVENT_MEMORY);
	guard->is_short = false;
	guard->has_retried = false;
	guard->in_pass = false;
	guard->at = NULL;
	guard->closed_count = 0;
	guard->over_since_us = 0;
	guard->had_room_us = now_us;
}

uint64_t
memory_guard_turn(struct server *server, uint64_t now_us)
{
	struct memory_guard *guard = server->memory_guard;
	size_t limit = server->config->hub.memory_bytes;

	if (!guard->is_short && waiting_count(server) == 0 &&
	    (limit == 0 || hub_memory(server->hub) <= limit))
		return UINT64_MAX;
	/* Until all waiting requests have been retried it is unknown which of them still wait. */
	if (guard->has_retried && waits_try_memory(server->waits) &&
	    hub_memory(server->hub) <= HARD_MARK(limit))
		return POLL_US;
	if (limit == 0 || has_room(server, limit)) {
		end_shortage(server, now_us);
		return UINT64_MAX;
	}
	if (!guard->is_short) {
		guard->is_short = true;
		if (rate_limit_take(server->log_limit, now_us))
			log_notice("maxmemory-pubsub reached: publishers wait");
	}
	return close_longest_queues(server, limit, now_us) ? 0 : POLL_US;
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
	if (c->state == CLIENT_GONE_CUT)
		c->server->memory_guard->pending--;
}
