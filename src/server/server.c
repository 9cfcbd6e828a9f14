#include "config.h"

#include "server/server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "base/rate_limit.h"
#include "kv/eviction_policy.h"
#include "kv/keyspace.h"
#include "pubsub/channel_rates.h"
#include "pubsub/hub.h"
#include "pubsub/hub_image.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/idempotency.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_life.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/disk.h"
#include "server/dispatch.h"
#include "server/door.h"
#include "server/evict.h"
#include "server/gone_clients.h"
#include "server/held.h"
#include "server/history_epoch.h"
#include "server/history_turn.h"
#include "server/history_wait.h"
#include "server/io.h"
#include "server/job.h"
#include "server/journal.h"
#include "server/key_removal.h"
#include "server/lame_duck.h"
#include "server/latency_monitor.h"
#include "server/memory_guard.h"
#include "server/monitor.h"
#include "server/pause.h"
#include "server/presence_service.h"
#include "server/propagation.h"
#include "server/rates.h"
#include "server/scripts.h"
#include "server/sent_messages.h"
#include "server/sent_wait.h"
#include "server/server_config.h"
#include "server/settings.h"
#include "server/slowlog.h"
#include "server/statistics.h"
#include "server/sweep.h"
#include "server/sync_wait.h"
#include "server/tracking.h"
#include "server/wait.h"
#include "server/wire.h"

/* The rate limit of log lines that peers cause: lines a second, and a first burst. */
#define LOGS_A_SECOND 10
#define LOGS_AT_ONCE 50

/* How often jobs that wait for their client to read are checked. */
#define JOB_POLL_US 2000

/* Records of channels' publish rates that are freed in one turn. */
#define RATES_A_TURN 1000

/* How often a replay for which maxmemory-pubsub leaves no room is tried again. */
#define MEMORY_POLL_US 5000

/* How long replays go on behind a flush. */
#define FLUSHED_REPLAY_US 1000

/* Keys of PUBLISHX whose window has ended that are freed in one turn. */
#define KEYS_FORGOTTEN_A_TURN 256

/* Channels whose options are looked up again between two checks of the clock. */
#define RECLASSIFIED_A_LOOK 64

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

static struct hub *
make_hub(struct server *server)
{
	const struct hub_config config = {
	    .limits = &server->config->hub,
	    .history = &server->config->history,
	    .epoch = history_epoch_new(server->random),
	    .forms = server_wire_forms,
	    .form_count = SERVER_WIRE_FORMS,
	    .segment_bytes = server->config->segment_bytes,
	};

	return hub_new(&config);
}

/* The server and its modules, in one allocation. */
struct whole {
	struct server server; /* first */
	struct server_io io;
	struct server_settings settings;
	struct server_disk disk;
	struct clients clients;
	struct access access;
	struct waits waits;
	struct jobs jobs;
	struct pause pause;
	struct blocked blocked;
	struct history_waits history_waits;
	struct sync_waits sync_waits;
	struct sent_messages sent_messages;
	struct client_list monitors;
	struct sweep sweep;
	struct lame_duck lame_duck;
	struct memory_guard memory_guard;
	struct presence_service presence;
	struct tracking tracking;
	struct propagation propagation;
	struct journal journal;
	struct statistics statistics;
	struct rates rates;
	struct latency_monitor latency_monitor;
	struct random random;
	struct rate_limit log_limit;
	struct buffer reply;
	struct buffer notify_channel;
};

static void
assemble(struct whole *whole)
{
	whole->server = (struct server){
	    .io = &whole->io,
	    .settings = &whole->settings,
	    .disk = &whole->disk,
	    .clients = &whole->clients,
	    .access = &whole->access,
	    .waits = &whole->waits,
	    .jobs = &whole->jobs,
	    .pause = &whole->pause,
	    .blocked = &whole->blocked,
	    .history_waits = &whole->history_waits,
	    .sync_waits = &whole->sync_waits,
	    .sent_messages = &whole->sent_messages,
	    .monitors = &whole->monitors,
	    .sweep = &whole->sweep,
	    .lame_duck = &whole->lame_duck,
	    .memory_guard = &whole->memory_guard,
	    .presence = &whole->presence,
	    .tracking = &whole->tracking,
	    .propagation = &whole->propagation,
	    .journal = &whole->journal,
	    .statistics = &whole->statistics,
	    .rates = &whole->rates,
	    .latency_monitor = &whole->latency_monitor,
	    .random = &whole->random,
	    .log_limit = &whole->log_limit,
	    .reply = &whole->reply,
	    .notify_channel = &whole->notify_channel,
	};
}

struct server *
server_new(const struct server_config *config, const struct command_table *commands,
    const struct server_io *io, const struct server_settings *settings)
{
	struct whole *whole = xcalloc(1, sizeof(*whole));
	struct server *server = &whole->server;

	assemble(whole);
	server->config = config;
	server->commands = commands;
	whole->io = *io;
	whole->settings = *settings;
	TAILQ_INIT(&whole->clients.open);
	TAILQ_INIT(&whole->clients.gone);
	TAILQ_INIT(&whole->clients.dismissed);
	whole->clients.by_id = hash_map_new();
	TAILQ_INIT(&whole->monitors);
	random_init(&whole->random);
	server->hub = make_hub(server);
	server->channel_rates = channel_rates_new();
	server->idempotency = idempotency_new();
	waits_init(&whole->waits);
	jobs_init(&whole->jobs);
	blocked_init(server);
	history_waits_init(server);
	sync_waits_init(server);
	sent_messages_init(server->sent_messages);
	memory_guard_init(server);
	presence_service_init(server);
	dispatch_init(server);
	server->kv = kv_new(config->databases);
	server->eviction_pool = kv_eviction_pool_new(server->kv);
	server->watched = hash_map_new();
	tracking_init(&whole->tracking);
	TAILQ_INIT(&whole->journal.holding);
	statistics_init(&whole->statistics, commands->count);
	server->slowlog = slowlog_new();
	access_init(server);
	server->now_us = whole->statistics.started_us;
	rate_limit_init(&whole->log_limit, LOGS_A_SECOND, LOGS_AT_ONCE);
	whole->statistics.startup_bytes = alloc_used_bytes();
	return server;
}

void
server_free(struct server *server)
{
	assert(TAILQ_EMPTY(&server->clients->open));
	gone_clients_free(server);
	scripts_settle(server);
	jobs_release(server->jobs);
	if (server->scripts != NULL)
		server->scripts->ops->free(server->scripts);
	presence_service_release(server);
	channel_rates_free(server->channel_rates);
	idempotency_free(server->idempotency);
	kv_eviction_pool_free(server->eviction_pool);
	blocked_release(server->blocked);
	history_waits_release(server->history_waits);
	sync_waits_release(server->sync_waits);
	sent_keys_release(server);
	sent_messages_release(server->sent_messages);
	hub_free(server->hub);
	waits_release(server->waits);
	kv_free(server->kv);
	buffer_release(&server->propagation->commands);
	buffer_release(&server->journal->batch);
	buffer_release(server->notify_channel);
	buffer_release(server->reply);
	hash_map_free(server->clients->by_id);
	hash_map_free(server->watched);
	tracking_release(server->tracking);
	statistics_release(server->statistics);
	slowlog_free(server->slowlog);
	access_release(server);
	xfree(server);
}

static void
expire_waits(struct server *server)
{
	hub_expire(
	    server->hub, server->now_us, (uint64_t)server->config->outbox_block_timeout_ms * 1000);
}

/* The sweep, which begins at once, applies the limits of clients. */
void
server_reconfigured(struct server *server)
{
	access_reconfigured(server);
	access_rules_changed(server);
	expire_waits(server);
	wait_event(server, WAIT_EVENT_LIMITS);
	memory_guard_reconfigured(server->memory_guard);
	sweep_restart(server->sweep);
}

void
server_set_channel_lines(struct server *server, struct channel_lines *lines)
{
	hub_replace_channel_lines(server->hub, lines);
}

const struct channel_lines *
server_channel_lines(const struct server *server)
{
	return hub_channel_lines(server->hub);
}

enum refusal { REFUSED_NOT, REFUSED_FULL, REFUSED_PROTECTED };

/* user: whose connection it would be at first; NULL: nobody's, because it has to log in. */
static enum refusal
refusal(struct server *server, const struct server_peer *peer, const struct acl_user *user,
    bool is_protected)
{
	if (server->clients->count >= server->config->maxclients ||
	    (user != NULL && access_is_full(user))) {
		server->statistics->counters.rejected_connections++;
		return REFUSED_FULL;
	}
	if (is_protected && server->config->protected_mode && !server_has_password(server) &&
	    !peer->is_loopback && !peer->is_unix) {
		server->statistics->counters.denied_connections++;
		return REFUSED_PROTECTED;
	}
	return REFUSED_NOT;
}

static void
push_error(struct client *c, const char *text)
{
	struct buffer reply = {0};

	resp_put_error(&reply, slice_of(text));
	statistics_count_error(c->server->statistics, slice_of(text));
	held_push_reply(c, buffer_slice(&reply));
	buffer_release(&reply);
}

static void
refuse(struct client *c, enum refusal why)
{
	struct server *server = c->server;
	char label[160];

	if (rate_limit_take(server->log_limit, clock_mono_us()))
		log_notice("refusing client %s: %s", client_label(c, label, sizeof(label)),
		    why == REFUSED_FULL ? "maxclients" : "protected mode");
	if (client_door(c) == NULL)
		push_error(c, why == REFUSED_FULL ? too_many_clients : protected_mode);
	client_refuse(c, why == REFUSED_FULL ? DOOR_END_REFUSED_FULL : DOOR_END_REFUSED_PROTECTED);
}

static void
admit(struct client *c)
{
	struct clients *clients = c->server->clients;

	TAILQ_INSERT_TAIL(&clients->open, c, all);
	hash_map_set(clients->by_id, (struct slice){(const char *)&c->id, sizeof(c->id)}, c);
	clients->count++;
	access_count(c, true);
}

struct client *
server_open(struct server *server, void *conn, const struct server_peer *peer)
{
	struct acl_user *user = access_needs_auth(server) ? NULL : server->access->default_user;
	enum refusal why = refusal(server, peer, user, true);
	struct client *c = client_new(server, conn, peer);

	if (why != REFUSED_NOT) {
		refuse(c, why);
		return c;
	}
	admit(c);
	if (access_needs_login(c))
		server->io->set_unauthenticated(conn, true);
	return c;
}

struct client *
server_open_door(struct server *server, void *conn, const struct server_peer *peer,
    struct door *door, bool is_protected)
{
	struct acl_user *user = access_need_edge_user(server);
	enum refusal why = user != NULL ? refusal(server, peer, user, is_protected) : REFUSED_FULL;
	struct client *c = client_new(server, conn, peer);

	client_set_door(c, door);
	if (user != NULL)
		access_attach_edge(c, user);
	if (why != REFUSED_NOT) {
		refuse(c, why);
		return c;
	}
	admit(c);
	server->io->set_unauthenticated(conn, true);
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

	if (!client_is_open(c))
		return;
	c->server->statistics->counters.broken_clients++;
	if (rate_limit_take(c->server->log_limit, clock_mono_us()))
		log_notice("closing client %s: %s", client_label(c, label, sizeof(label)), error);
	snprintf(text, sizeof(text), "ERR %s", error);
	job_cancel(c);
	if (client_door(c) == NULL)
		push_error(c, text);
	wait_event_of(c, WAIT_EVENT_LEFT);
	(void)client_state_move(&c->state, CLIENT_EVENT_FINISH); /* net finishes it */
}

static void
unlink_client(struct client *c)
{
	struct server *server = c->server;

	if (c->state == CLIENT_REFUSED)
		return;
	client_end_forget(c);
	lame_duck_part(c);
	sweep_forget(c);
	memory_guard_forget(c);
	TAILQ_REMOVE(&server->clients->open, c, all);
	hash_map_remove(
	    server->clients->by_id, (struct slice){(const char *)&c->id, sizeof(c->id)});
	server->clients->count--;
	access_count(c, false);
	if (c->counted_subscriber)
		server->clients->subscriber_count--;
}

/*
 * May be called during a publish or this client's own command (if io.kill calls it at once), and
 * the client may have a million subscriptions: server_turn removes them and frees the client.
 */
void
server_closed(struct client *c, const char *reason)
{
	char label[160];

	assert(!client_is_gone(c));
	log_debug("client %s closed: %s", client_label(c, label, sizeof(label)), reason);
	wait_event_of(c, WAIT_EVENT_LEFT);
	client_request_over(c);
	job_cancel(c);
	pending_end(c);
	client_discard_transaction(c);
	monitor_stop(c);
	unlink_client(c);
	(void)client_state_move(&c->state, CLIENT_EVENT_CLOSE);
	gone_clients_add(c);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
server_freeze(struct server *server, bool frozen)
{
	server->pause->frozen = frozen;
	wait_event(server, frozen ? WAIT_EVENT_PAUSED : WAIT_EVENT_UNPAUSED);
}

/* Continues replays. Returns the time until more can be done, in us. */
static uint64_t
run_replays(struct server *server, uint64_t now_us, uint64_t deadline_us)
{
	enum hub_replay_result result;

	do {
		result = hub_replay(server->hub, now_us);
	} while (result == HUB_REPLAY_MORE && clock_mono_us() < deadline_us);
	if (result == HUB_REPLAY_IDLE)
		return UINT64_MAX;
	return result == HUB_REPLAY_MORE ? 0 : MEMORY_POLL_US;
}

/* Ends a pause that is over. Returns the time until then, in us. */
static uint64_t
check_pause(struct server *server, uint64_t now_us)
{
	if (server->pause->until_us > now_us)
		return server->pause->until_us - now_us;
	if (server->pause->until_us != 0) {
		server->pause->until_us = 0;
		wait_event(server, WAIT_EVENT_UNPAUSED);
	}
	return UINT64_MAX;
}

/* Channels follow a change of the lines of options. True if more have to. */
static bool
reclassify(struct server *server, uint64_t deadline_us)
{
	while (!hub_reclassify(server->hub, RECLASSIFIED_A_LOOK))
		if (clock_mono_us() >= deadline_us)
			return true;
	return false;
}

uint64_t
server_turn(struct server *server, uint64_t now_us, uint64_t budget_us)
{
	uint64_t begun_us = clock_mono_us(), wait_us;
	bool more;

	/* now_us is the start of the turn. The requests of this turn may have used a later time,
	 * and time must not go backwards. */
	if (now_us < begun_us)
		now_us = begun_us;
	server->now_us = now_us;
	wait_us = earlier(check_pause(server, now_us), access_resume(server, now_us));
	wait_us = earlier(wait_us, access_end_tokens(server, now_us));
	expire_waits(server);
	wait_us = earlier(wait_us, sweep_turn(server, now_us));
	wait_us = earlier(wait_us, memory_guard_turn(server, now_us));
	wait_us = earlier(wait_us, blocked_turn(server, now_us));
	wait_us = earlier(wait_us, history_wait_turn(server, now_us));
	wait_us = earlier(wait_us, sync_wait_turn(server, now_us));
	rates_sample(server, now_us);
	wait_us = earlier(wait_us, RATES_INTERVAL_US);
	wait_us = earlier(wait_us, lame_duck_run(server, now_us));
	wait_us = earlier(wait_us, run_replays(server, now_us, begun_us + budget_us / 2));
	wait_us = earlier(wait_us, client_end_turn(server, begun_us + budget_us / 2));
	more = gone_clients_turn(server, begun_us + budget_us / 2);
	/* Not while an upgrade passes members on: it publishes events, and lets members leave. */
	if (!server->pause->frozen)
		wait_us = earlier(
		    wait_us, presence_service_turn(server, now_us, begun_us + budget_us / 2));
	wait_us = earlier(wait_us, key_removal_turn(server, begun_us + budget_us / 2));
	wait_us = earlier(wait_us, history_turn(server, begun_us + budget_us / 2));
	more = evict_turn(server) || more;
	blocked_serve(server); /* keys have expired, or were evicted */
	more = channel_rates_expire(server->channel_rates, now_us, RATES_A_TURN) || more;
	more = idempotency_expire(server->idempotency, now_us, KEYS_FORGOTTEN_A_TURN) || more;
	more = reclassify(server, begun_us + budget_us / 2) || more;
	more = jobs_run(server, begun_us + budget_us) || more;
	more = tracking_turn(server) || more; /* behind the last changes of the turn */
	more = hub_replay_is_forgetting(server->hub) || more;
	if (more)
		return 0;
	return server->jobs->count > 0 ? earlier(wait_us, JOB_POLL_US) : wait_us;
}

void
server_flushed(struct server *server)
{
	uint64_t now_us = clock_mono_us();

	/* The flush made outboxes low: what is queued now is flushed in the next turn, at once. */
	(void)run_replays(server, now_us, now_us + FLUSHED_REPLAY_US);
	hub_tidy(server->hub);
	wait_resume(server);
}
