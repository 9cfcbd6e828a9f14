#include "config.h"

#include "server/server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "kv/eviction_policy.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/evict.h"
#include "server/rates.h"
#include "server/state.h"

/* What peers cause is logged so often a second at most, after a first burst. */
#define LOGS_A_SECOND 10
#define LOGS_AT_ONCE 50

/* Whom maxmemory-pubsub costs the connection is named. */
#define CUTS_LOGGED_A_SECOND 50
#define CUTS_LOGGED_AT_ONCE 1000

/* While jobs wait for their client to read: how often they are looked at. */
#define JOB_POLL_US 2000

/* Subscriptions of a closed client that are taken back between two looks at the clock. */
#define DETACH_A_LOOK 64

static const char too_many_clients[] = "ERR max number of clients reached";

static const char protected_mode[] =
    "DENIED Fanfare is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface and from Unix sockets. To connect from elsewhere, do one of these: 1) Set a "
    "password "
    "with requirepass. 2) If the server can't be reached from the internet, switch protected mode "
    "off: with 'CONFIG SET protected-mode no' from the loopback interface (and CONFIG REWRITE to "
    "keep it), with 'protected-mode no' in the configuration file, or with the option "
    "'--protected-mode no'.";

static void
make_run_id(char out[41])
{
	unsigned char bytes[20] = {0};

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		log_warn("no random bytes for the run id");
	hex_write(out, bytes, sizeof(bytes));
	out[2 * sizeof(bytes)] = '\0';
}

static struct hub *
make_hub(struct server *server)
{
	const struct hub_config config = {
	    .limits = &server->config->hub,
	    .forms = server_wire_forms,
	    .form_count = SERVER_WIRE_FORMS,
	    .segment_bytes = server->config->segment_bytes,
	};

	return hub_new(&config);
}

struct server *
server_new(const struct server_config *config, const struct command_table *commands,
    const struct server_io *io, const struct server_settings *settings)
{
	struct server *server = xcalloc(1, sizeof(*server));

	server->config = config;
	server->io = *io;
	server->settings = *settings;
	server->hub = make_hub(server);
	blocked_init(&server->blocked);
	server->kv = kv_new(config->databases);
	TAILQ_INIT(&server->journal.holding);
	server->eviction_pool = kv_eviction_pool_new(server->kv);
	random_init(&server->random);
	TAILQ_INIT(&server->clients);
	TAILQ_INIT(&server->monitors);
	waits_init(&server->waits);
	server->memory.is_stale = true;
	TAILQ_INIT(&server->gone);
	TAILQ_INIT(&server->jobs);
	server->clients_by_id = hash_map_new();
	server->watched = hash_map_new();
	server->commands = commands;
	server->stats = xcalloc(commands->count, sizeof(*server->stats));
	server->errors = hash_map_new();
	server->slowlog = slowlog_new();
	access_init(server);
	server->started_us = clock_mono_us();
	server->started_wall_us = clock_wall_us();
	server->now_us = server->started_us;
	make_run_id(server->run_id);
	rate_limit_init(&server->log_limit, LOGS_A_SECOND, LOGS_AT_ONCE);
	rate_limit_init(&server->memory.log_limit, CUTS_LOGGED_A_SECOND, CUTS_LOGGED_AT_ONCE);
	server->startup_bytes = alloc_used_bytes();
	return server;
}

static void
free_gone(struct server *server, struct client *c)
{
	TAILQ_REMOVE(&server->gone, c, all);
	server->gone_count--;
	memory_guard_released(c);
	client_free(c);
}

static void
free_error_count(struct slice code, void *count, void *arg)
{
	(void)code;
	(void)arg;
	xfree(count);
}

void
server_free(struct server *server)
{
	struct client *c;
	struct job *job;

	assert(TAILQ_EMPTY(&server->clients));
	while ((c = TAILQ_FIRST(&server->gone)) != NULL) {
		if (hub_detach(&c->subscriber, SIZE_MAX))
			free_gone(server, c);
	}
	while ((job = TAILQ_FIRST(&server->jobs)) != NULL) {
		TAILQ_REMOVE(&server->jobs, job, all);
		job->kind->release(job->state);
		xfree(job);
	}
	hub_free(server->hub);
	kv_eviction_pool_free(server->eviction_pool);
	blocked_release(&server->blocked);
	kv_free(server->kv);
	buffer_release(&server->log);
	buffer_release(&server->journal.batch);
	buffer_release(&server->notify_channel);
	hash_map_free(server->clients_by_id);
	hash_map_free(server->watched);
	hash_map_each(server->errors, free_error_count, NULL);
	hash_map_free(server->errors);
	slowlog_free(server->slowlog);
	access_release(server);
	buffer_release(&server->reply);
	xfree(server->stats);
	xfree(server);
}

/* Limits of clients are put to use by the sweep, which begins at once. */
void
server_reconfigured(struct server *server)
{
	access_reconfigured(server);
	access_rules_changed(server);
	wait_event(server, WAIT_EVENT_LIMITS);
	server->memory.is_stale = true;
	server->sweep_at = NULL;
	server->next_sweep_us = 0;
}

/* Why the peer may not come in, as an error reply; else NULL. */
static const char *
refusal(struct server *server, const struct server_peer *peer)
{
	if (server->client_count >= server->config->maxclients) {
		server->counters.rejected_connections++;
		return too_many_clients;
	}
	if (access_is_full(server->default_user) && !access_needs_auth(server)) {
		server->counters.rejected_connections++;
		return too_many_clients;
	}
	if (server->config->protected_mode && !server_has_password(server) && !peer->is_loopback &&
	    !peer->is_unix) {
		server->counters.denied_connections++;
		return protected_mode;
	}
	return NULL;
}

static void
push_error(struct client *c, const char *text)
{
	struct buffer reply = {0};

	resp_put_error(&reply, slice_of(text));
	server_count_error(c->server, slice_of(text));
	client_push_reply(c, buffer_slice(&reply));
	buffer_release(&reply);
}

struct client *
server_open(struct server *server, void *conn, const struct server_peer *peer)
{
	const char *error = refusal(server, peer);
	struct client *c = client_new(server, conn, peer);
	char label[160];

	if (error != NULL) {
		c->refused = true;
		if (rate_limit_take(&server->log_limit, clock_mono_us()))
			log_notice("refusing client %s: %s", client_label(c, label, sizeof(label)),
			    error == protected_mode ? "protected mode" : "maxclients");
		push_error(c, error);
		client_finish(c);
		return c;
	}
	TAILQ_INSERT_TAIL(&server->clients, c, all);
	hash_map_set(server->clients_by_id, (struct slice){(const char *)&c->id, sizeof(c->id)}, c);
	server->client_count++;
	access_count(c, true);
	if (client_needs_auth(c))
		server->io.set_unauthenticated(conn, true);
	return c;
}

struct outbox *
server_outbox(struct client *c)
{
	return &c->subscriber.outbox;
}

void
server_broken(struct client *c, const char *error)
{
	char text[256], label[160];

	if (c->finishing || c->gone)
		return;
	c->server->counters.broken_clients++;
	if (rate_limit_take(&c->server->log_limit, clock_mono_us()))
		log_notice("closing client %s: %s", client_label(c, label, sizeof(label)), error);
	snprintf(text, sizeof(text), "ERR %s", error);
	job_cancel(c);
	push_error(c, text);
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->finishing = true;
}

static void
unlink_client(struct client *c)
{
	struct server *server = c->server;

	if (c->refused)
		return;
	lame_duck_part(c);
	if (server->sweep_at == c)
		server->sweep_at = TAILQ_NEXT(c, all);
	memory_guard_forget(c);
	TAILQ_REMOVE(&server->clients, c, all);
	hash_map_remove(server->clients_by_id, (struct slice){(const char *)&c->id, sizeof(c->id)});
	server->client_count--;
	access_count(c, false);
	if (c->counted_subscriber)
		server->subscriber_count--;
}

/*
 * May come in the middle of a publish or of this client's own command (if io.kill calls it at
 * once), and the client may have a million subscriptions: they are taken back, and it is freed, in
 * server_turn.
 */
void
server_closed(struct client *c, const char *reason)
{
	struct server *server = c->server;
	char label[160];

	assert(!c->gone);
	log_debug("client %s closed: %s", client_label(c, label, sizeof(label)), reason);
	wait_event_of(c, WAIT_EVENT_LEFT);
	request_over(c);
	job_cancel(c);
	client_discard_transaction(c);
	monitor_stop(c);
	unlink_client(c);
	c->gone = true;
	c->conn = NULL;
	TAILQ_INSERT_TAIL(&server->gone, c, all);
	server->gone_count++;
	/* At once for most: who sees the connection closed sees its subscriptions gone. */
	if (hub_detach(&c->subscriber, DETACH_A_LOOK))
		free_gone(server, c);
}

/* At least one step, else as long as there is time. True if there is more that can be done at once:
 * who is still being written to by another loop has to wait for that. */
static bool
release_gone(struct server *server, uint64_t deadline_us)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&server->gone); c != NULL; c = next) {
		bool is_free;

		while (!(is_free = hub_detach(&c->subscriber, DETACH_A_LOOK)) &&
		       c->subscriber.outbox.in_flight == 0)
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

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The pause ends by itself; returns in how many us. */
static uint64_t
check_pause(struct server *server, uint64_t now_us)
{
	if (server->pause_until_us > now_us)
		return server->pause_until_us - now_us;
	if (server->pause_until_us != 0) {
		server->pause_until_us = 0;
		wait_event(server, WAIT_EVENT_UNPAUSED);
	}
	return UINT64_MAX;
}

uint64_t
server_turn(struct server *server, uint64_t now_us, uint64_t budget_us)
{
	uint64_t begun_us = clock_mono_us(), wait_us;
	bool more;

	/* The turn may have begun before the requests that it ran: time must not go back between
	 * them. */
	if (now_us < begun_us)
		now_us = begun_us;
	server->now_us = now_us;
	wait_us = earlier(check_pause(server, now_us), access_resume(server, now_us));
	hub_expire(server->hub, now_us, (uint64_t)server->config->outbox_block_timeout_ms * 1000);
	wait_us = earlier(wait_us, server_sweep(server, now_us));
	wait_us = earlier(wait_us, memory_guard_turn(server, now_us));
	wait_us = earlier(wait_us, blocked_turn(server, now_us));
	rates_sample(server, now_us);
	wait_us = earlier(wait_us, RATES_INTERVAL_US);
	wait_us = earlier(wait_us, lame_duck_run(server, now_us));
	more = release_gone(server, begun_us + budget_us / 2);
	wait_us = earlier(wait_us, keys_turn(server, begun_us + budget_us / 2));
	more = evict_turn(server) || more;
	more = jobs_run(server, begun_us + budget_us) || more;
	if (more)
		return 0;
	return server->job_count > 0 ? earlier(wait_us, JOB_POLL_US) : wait_us;
}

void
server_flushed(struct server *server)
{
	hub_tidy(server->hub);
	wait_resume(server);
}
