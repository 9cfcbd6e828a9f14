#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/state.h"

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

/* Let go of for one client in one go; more of it goes with its subscriptions. */
#define RANGES_A_CUT 4096

static bool
has_room(const struct server *server, size_t limit)
{
	size_t held = hub_memory(server->hub);

	return (held <= LOW_MARK(limit) && held + server->memory.wanted <= limit) ||
	       hub_figures(server->hub).queued_bytes == 0;
}

void
memory_guard_wait(struct server *server)
{
	struct memory_guard *guard = &server->memory;
	size_t wanted = hub_memory_wanted(server->hub);

	server->counters.memory_waits++;
	guard->publishers_wait = true;
	if (wanted > guard->wanted)
		guard->wanted = wanted;
}

static void
cut(struct client *c, uint64_t now_us)
{
	struct server *server = c->server;
	char label[160];

	server->counters.memory_cut_clients++;
	server->memory.cut_count++;
	if (rate_limit_take(&server->memory.log_limit, now_us))
		log_notice("closing client %s: past maxmemory-pubsub, and it is owed %zu bytes",
		    client_label(c, label, sizeof(label)), c->subscriber.outbox.bytes);
	client_kill(c, "owed the most past maxmemory-pubsub");
	if (!hub_drop_owed(&c->subscriber, RANGES_A_CUT)) {
		c->memory_pending = true;
		server->memory.pending++;
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
	guard->at = TAILQ_FIRST(&server->clients);
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
	struct memory_guard *guard = &server->memory;
	uint64_t start_us = clock_mono_us();
	struct client *c;

	for (unsigned n = 1; guard->pending == 0 && !has_room(server, limit); n++) {
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
relax(struct server *server)
{
	struct memory_guard *guard = &server->memory;

	if (guard->cut_count > 0)
		log_warn("maxmemory-pubsub: %zu clients that were owed the most were closed",
		    guard->cut_count);
	if (guard->publishers_wait)
		server->retry_waiting = true;
	guard->publishers_wait = false;
	guard->passing = false;
	guard->at = NULL;
	guard->wanted = guard->cut_count = 0;
	guard->since_us = 0;
}

uint64_t
memory_guard_turn(struct server *server, uint64_t now_us)
{
	struct memory_guard *guard = &server->memory;
	size_t limit = server->config->hub.memory_bytes;
	bool more = false, within = limit == 0 || hub_memory(server->hub) <= limit;

	if (server->waiting_count == 0) /* they have left */
		guard->publishers_wait = false;
	if (!guard->publishers_wait && guard->since_us == 0 && within)
		return UINT64_MAX;
	if (limit == 0 || has_room(server, limit) ||
	    (!guard->publishers_wait && within && guard->cut_count == 0)) {
		relax(server);
		return UINT64_MAX;
	}
	if (guard->since_us == 0) {
		guard->since_us = now_us;
		if (rate_limit_take(&server->log_limit, now_us))
			log_notice("maxmemory-pubsub reached: publishers wait");
	}
	if (now_us - guard->since_us >= GRACE_US || hub_memory(server->hub) > HARD_MARK(limit))
		more = cut_debtors(server, limit, now_us);
	return more ? 0 : POLL_US;
}

void
memory_guard_forget(struct client *c)
{
	struct memory_guard *guard = &c->server->memory;

	if (guard->at == c)
		guard->at = TAILQ_NEXT(c, all);
}

void
memory_guard_released(struct client *c)
{
	if (c->memory_pending)
		c->server->memory.pending--;
	c->memory_pending = false;
}
