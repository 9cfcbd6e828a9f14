#include "config.h"

#include "link/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/random.h"
#include "link/cluster_parts.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_history.h"
#include "server/core.h"
#include "server/held.h"
#include "server/sent_messages.h"

#define REPEAT_LOG_US ((uint64_t)60000000) /* the same failure is logged again after this time */
#define LINKING_US ((uint64_t)5000000)     /* then the seeds are asked again */
#define RETURNED_US ((uint64_t)10000000)   /* a message that no shard takes so long is refused */
#define RESEND_US ((uint64_t)100000)

#define NOT_TAKEN_ERROR "CLUSTERDOWN No shard of the cluster takes messages of this channel"

#define TOO_LATE_ERROR                                                                             \
	"CLUSTERDOWN The slot of the channel has moved, and a later message was accepted before "  \
	"this one"

/* The hub's subscriptions */

static void
on_interest(struct hub_interest *watcher, enum hub_kind kind, struct slice name, bool is_wanted)
{
	struct cluster *cluster =
	    (struct cluster *)(void *)((char *)watcher - offsetof(struct cluster, watcher));
	struct shard *shard = cluster_shard_of(cluster, slot_of(name));

	if (kind == HUB_PATTERN)
		cluster_globs_interest(cluster, name, is_wanted);
	if (kind != HUB_CHANNEL && kind != HUB_SHARD)
		return;
	if (is_wanted && shared_names_add(cluster->names, kind, name) && shard != NULL)
		interest_add(link_interest(shard->link), HUB_SHARD, name);
	else if (!is_wanted && shared_names_remove(cluster->names, kind, name) && shard != NULL)
		interest_remove(
		    link_interest(shard->link), HUB_SHARD, name, cluster->server->now_us);
}

/* Its life */

struct cluster *
cluster_new(struct server *server, const struct cluster_config *config, const struct cluster_io *io)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));

	assert(config->seed_count > 0);
	cluster->upstream.ops = &cluster_upstream_ops;
	cluster->upstream.is_sharded = true;
	cluster->watcher.changed = on_interest;
	cluster->server = server;
	cluster->settings = config->settings;
	cluster->has_own_history = true;
	cluster->io = *io;
	cluster->address = xstrdup(config->address);
	cluster->user = xstrdup(config->user != NULL ? config->user : "");
	cluster->password = xstrdup(config->password != NULL ? config->password : "");
	cluster->seed_count = config->seed_count;
	cluster->seeds = xcalloc(config->seed_count, sizeof(*cluster->seeds));
	for (size_t i = 0; i < config->seed_count; i++)
		cluster->seeds[i] =
		    (struct cluster_seed){xstrdup(config->seeds[i].host), config->seeds[i].port};
	cluster->read = xcalloc(1, sizeof(*cluster->read));
	cluster->names = shared_names_new();
	cluster->unanswered = unanswered_new();
	memset(cluster->served_by, 0xff, sizeof(cluster->served_by)); /* SHARD_NONE */
	memset(cluster->stale_by, 0xff, sizeof(cluster->stale_by));
	rate_limit_init(&cluster->log_limit, 1, 5);
	cluster->globs = cluster_globs_new(cluster);
	hub_set_partial_patterns(server->hub, true);
	cluster_feed_want(cluster, SLICE(GLOBS_CHANNEL), true);
	cluster_feed_want(cluster, slice_of(cluster->globs->inbox), true);
	hub_add_interest(server->hub, &cluster->watcher);
	server->upstream = &cluster->upstream;
	return cluster;
}

/* Tells its messages at once: errors are cheap in the order of their numbers only. */
static void
end_shard(struct cluster *cluster, size_t i)
{
	shard_free(cluster->shards[i]);
	server_upstream_tell(cluster->server);
}

static void
end_shards(struct cluster *cluster)
{
	struct unanswered_message *message;

	for (size_t i = 0; i < cluster->top; i++)
		if (cluster->shards[i] != NULL)
			end_shard(cluster, i);
	if (cluster->seed != NULL)
		shard_free(cluster->seed);
	cluster->top = 0;
	while ((message = TAILQ_FIRST(&cluster->unanswered->returned.messages)) != NULL) {
		unanswered_take_returned(cluster->unanswered, message);
		cluster_settle(cluster, message, SLICE(UPSTREAM_LOST_ERROR));
	}
	server_upstream_tell(cluster->server);
}

void
cluster_free(struct cluster *cluster)
{
	if (cluster == NULL)
		return;
	end_shards(cluster);
	cluster->server->upstream = NULL;
	server_upstream_changed(cluster->server);
	hub_remove_interest(&cluster->watcher);
	hub_set_partial_patterns(cluster->server->hub, false);
	cluster_globs_free(cluster->globs);
	unanswered_free(cluster->unanswered);
	shared_names_free(cluster->names);
	for (size_t i = 0; i < cluster->seed_count; i++)
		xfree((char *)(uintptr_t)cluster->seeds[i].host);
	xfree(cluster->seeds);
	xfree(cluster->read);
	xfree(cluster->address);
	xfree(cluster->user);
	xfree(cluster->password);
	xfree(cluster);
}

static void
advance(struct cluster *cluster, enum cluster_event event)
{
	enum cluster_state was = cluster->state;

	cluster->state = cluster_next(was, event);
	if (cluster->state == was)
		return;
	cluster->changed_us = cluster->now_us;
	if (cluster->state == CLUSTER_LINKING)
		cluster->linking_us = cluster->now_us;
	if (cluster->state == CLUSTER_UP)
		log_notice("linked to all shards of the cluster %s", cluster->address);
	else if (was == CLUSTER_UP)
		log_warn("the links to shards of the cluster %s are down: %s", cluster->address,
		    cluster->error);
}

/* Clients that wait */

static void
note_answers(struct shard *shard)
{
	if (shard->number != SHARD_NONE)
		shard_marks_update(&shard->cluster->marks, shard->number,
		    interest_answered(link_interest(shard->link)));
}

static void
tell(struct cluster *cluster)
{
	server_upstream_tell(cluster->server);
	shard_marks_update(&cluster->marks, CLUSTER_SHARDS, cluster->answers);
	if (!cluster->marks.has_news)
		return;
	cluster->marks.has_news = false;
	server_upstream_answered_some(cluster->server);
}

/* Lets publishers go on that were held up. */
static void
let_go_on(struct cluster *cluster)
{
	cluster->holds_back = cluster->holds_order = cluster->may_go_on = false;
	cluster->go_on_us = 0;
	server_upstream_changed(cluster->server);
}

static void
note_room(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;
	size_t half = cluster->settings->queued_bytes / 2;

	if (cluster->holds_back && shard_queued_bytes(shard) < half &&
	    shard->unanswered.bytes < half)
		let_go_on(cluster);
}

/* Connections */

void
cluster_opened(struct shard *shard, uint64_t now_us)
{
	shard->cluster->now_us = shard->opened_us = now_us;
	link_opened(shard->link, now_us);
}

void
cluster_received(struct shard *shard, struct slice bytes, uint64_t now_us)
{
	struct cluster *cluster = shard->cluster;

	cluster->now_us = now_us;
	hub_set_time(cluster->server->hub, now_us);
	cluster->globs->is_marked = false;
	link_received(shard->link, bytes, now_us);
	if (cluster->has_own_history && link_state_of(shard->link) >= LINK_JOINING) {
		cluster->has_own_history = false;
		hub_forget_history(cluster->server->hub);
	}
	note_answers(shard);
	tell(cluster);
	note_room(shard);
}

void
cluster_drained(struct shard *shard)
{
	note_room(shard);
}

static void
log_loss(struct shard *shard, const char *why, uint64_t retry_us, bool was_up)
{
	struct cluster *cluster = shard->cluster;
	bool is_new = was_up || strcmp(cluster->error, why) != 0;

	snprintf(cluster->error, sizeof(cluster->error), "%s", why);
	if (!is_new && cluster->now_us - cluster->logged_us < REPEAT_LOG_US)
		return;
	cluster->logged_us = cluster->now_us;
	log_warn("the link to %s:%u of the cluster is down: %s; next attempt in %" PRIu64 " ms",
	    shard->host, (unsigned)shard->port, why, retry_us / 1000);
}

void
cluster_lost(struct shard *shard, const char *why, uint64_t retry_us, uint64_t now_us)
{
	struct cluster *cluster = shard->cluster;

	cluster->now_us = now_us;
	log_loss(shard, why, retry_us, shard_is_up(shard));
	link_lost(shard->link);
	cluster_globs_lost(shard);
	shard->is_lost = shard->has_failed = true;
	shard_lose_messages(shard);
	shard_forget_marks(shard);
	cluster_clear_stale(cluster, shard);
	tell(cluster);
	server_upstream_changed(cluster->server);
}

/* Time */

static void
apply_settings(struct shard *shard)
{
	const struct leaf_settings *settings = shard->cluster->settings;

	shard->config.probe_us = (uint64_t)settings->probe_s * 1000000;
	interest_set_linger(link_interest(shard->link), (uint64_t)settings->linger_s * 1000000);
}

static void
end_seed(struct cluster *cluster)
{
	shard_free(cluster->seed);
	cluster->seed = NULL;
}

/* One seed after the other. Returns the time until the next call. */
static uint64_t
seek(struct cluster *cluster)
{
	const struct cluster_seed *seed;

	if (cluster->seed != NULL && cluster->state != CLUSTER_SEEKING)
		end_seed(cluster);
	if (cluster->seed != NULL && cluster->seed->is_lost) {
		end_seed(cluster);
		cluster->next_seed = (cluster->next_seed + 1) % cluster->seed_count;
		cluster->seed_us = cluster->now_us;
		if (cluster->next_seed == 0)
			cluster->seed_us += backoff_delay_us(
			    cluster->seed_attempts++, random_next(cluster->server->random));
	}
	if (cluster->state != CLUSTER_SEEKING) {
		cluster->seed_attempts = 0;
		return UINT64_MAX;
	}
	if (cluster->now_us < cluster->seed_us)
		return cluster->seed_us - cluster->now_us;
	if (cluster->seed == NULL) {
		seed = &cluster->seeds[cluster->next_seed];
		cluster->seed = shard_new(cluster, SHARD_NONE, seed->host, seed->port);
	}
	apply_settings(cluster->seed);
	shard_connect(cluster->seed);
	return link_turn(cluster->seed->link, cluster->now_us);
}

/* Sends messages again that were redirected. */
static void
resend(struct cluster *cluster)
{
	struct unanswered_message *message, *next;

	if (cluster->now_us < cluster->resend_us && !cluster->may_go_on)
		return;
	cluster->resend_us = cluster->now_us + RESEND_US;
	for (message = TAILQ_FIRST(&cluster->unanswered->returned.messages); message != NULL;
	     message = next) {
		struct shard *shard = cluster_shard_of(cluster, message->slot);

		next = TAILQ_NEXT(message, link);
		if (unanswered_is_too_late(cluster->unanswered, message)) {
			unanswered_take_returned(cluster->unanswered, message);
			cluster_refuse(cluster, message, SLICE(TOO_LATE_ERROR));
			cluster->may_go_on = true;
		} else if (shard != NULL && shard_is_up(shard) &&
			   cluster->stale_by[message->slot] == SHARD_NONE &&
			   shard->config.names_us == 0 &&
			   unanswered_may_resend(cluster->unanswered, message, shard->number)) {
			unanswered_take_returned(cluster->unanswered, message);
			shard_send(shard, message);
			cluster->may_go_on = true;
		} else if (cluster->now_us - message->since_us > RETURNED_US) {
			unanswered_take_returned(cluster->unanswered, message);
			cluster_refuse(cluster, message, SLICE(NOT_TAKEN_ERROR));
			cluster->may_go_on = true;
		}
	}
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Returns the time until the shard may be used, after it took over from another one. */
static uint64_t
delay(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;

	if (shard->config.names_us == 0)
		return UINT64_MAX;
	if (cluster->now_us < shard->config.names_us)
		return shard->config.names_us - cluster->now_us;
	shard->config.names_us = 0;
	cluster->may_go_on = true;
	return UINT64_MAX;
}

static uint64_t
turn_shards(struct cluster *cluster)
{
	uint64_t wait_us = UINT64_MAX;
	size_t up = 0;

	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[i];
		bool is_up;

		if (shard == NULL)
			continue;
		apply_settings(shard);
		shard_connect(shard);
		wait_us = least(wait_us, delay(shard));
		wait_us = least(wait_us, link_turn(shard->link, cluster->now_us));
		note_answers(shard);
		is_up = shard_is_up(shard);
		if (is_up && !shard->was_up) {
			log_notice("linked to %s:%u of the cluster %s, %s", shard->host,
			    (unsigned)shard->port, cluster->address, link_peer(shard->link));
			cluster->may_go_on = true;
		}
		shard->was_up = is_up;
		up += is_up ? shard->slots : 0;
	}
	advance(cluster, up == 0 ? CLUSTER_NONE : up == SLOTS ? CLUSTER_ALL : CLUSTER_SOME);
	return wait_us;
}

uint64_t
cluster_turn(struct cluster *cluster, uint64_t now_us)
{
	uint64_t wait_us;

	cluster->now_us = now_us;
	if (cluster->read_from != NULL) {
		cluster_take_map(cluster);
		advance(cluster, CLUSTER_MAPPED);
	}
	cluster_close_shards(cluster, false);
	resend(cluster);
	wait_us = least(seek(cluster), cluster_ask(cluster));
	wait_us = least(wait_us, cluster_globs_turn(cluster));
	wait_us = least(wait_us, turn_shards(cluster));
	if (cluster->state == CLUSTER_LINKING && now_us - cluster->linking_us > LINKING_US) {
		/* The seed may know only masters that are not there any more. */
		cluster->next_seed = (cluster->next_seed + 1) % cluster->seed_count;
		advance(cluster, CLUSTER_LATE);
	}
	if (!TAILQ_EMPTY(&cluster->unanswered->returned.messages) ||
	    cluster->state == CLUSTER_LINKING || cluster->holds_order)
		wait_us = least(wait_us, RESEND_US);
	tell(cluster);
	if (cluster->go_on_us != 0 && now_us >= cluster->go_on_us)
		cluster->may_go_on = true;
	if (!cluster->may_go_on)
		return wait_us;
	if (cluster->holds_back || cluster->holds_order)
		let_go_on(cluster);
	cluster->may_go_on = false;
	if (TAILQ_EMPTY(&cluster->unanswered->returned.messages))
		return wait_us;
	cluster->resend_us = 0;
	return 0;
}
