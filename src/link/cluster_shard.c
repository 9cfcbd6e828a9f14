#include "config.h"

#include "link/cluster_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "link/refusal.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_reach.h"
#include "server/core.h"
#include "server/sent_messages.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* A shard of a cluster: its link, and what the link tells. */

#define TRIES_MAX 5
#define REDIRECTED_US ((uint64_t)2000000)    /* so long clients wait that subscribe */
#define REDIRECTS_END_US ((uint64_t)5000000) /* without a redirection */
#define REDIRECTED_ERROR "CLUSTERDOWN The cluster redirects messages of this channel in circles"

struct shard *
cluster_shard_of(const struct cluster *cluster, uint16_t slot)
{
	uint16_t number = cluster->served_by[slot];

	return number != SHARD_NONE ? cluster->shards[number] : NULL;
}

bool
shard_is_up(const struct shard *shard)
{
	return link_state_of(shard->link) == LINK_UP;
}

size_t
shard_queued_bytes(const struct shard *shard)
{
	const struct cluster_io *io = &shard->cluster->io;
	size_t written = shard->connection != NULL ? io->queued_bytes(shard->connection) : 0;

	return written + link_queued_bytes(shard->link);
}

/* Messages */

void
cluster_settle(struct cluster *cluster, struct unanswered_message *message, struct slice error)
{
	sent_messages_settle(cluster->server->sent_messages, message->number, error);
	unanswered_message_free(message);
}

void
cluster_refuse(struct cluster *cluster, struct unanswered_message *message, struct slice error)
{
	cluster->refused++;
	cluster_settle(cluster, message, error);
}

void
shard_send(struct shard *shard, struct unanswered_message *message)
{
	struct cluster *cluster = shard->cluster;

	cluster->resent += message->tries > 0;
	cluster_globs_publish(shard, message);
	unanswered_send(cluster->unanswered, &shard->unanswered, shard->number, message);
}

void
shard_lose_messages(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;
	struct unanswered_message *message;

	while ((message = unanswered_take(cluster->unanswered, &shard->unanswered)) != NULL)
		cluster_settle(cluster, message, SLICE(UPSTREAM_LOST_ERROR));
	cluster->may_go_on = true;
}

void
cluster_note_stale(struct cluster *cluster, struct shard *shard, uint16_t slot)
{
	/* What another shard serves by now goes there. */
	if (shard->number == SHARD_NONE || cluster->served_by[slot] != shard->number)
		return;
	shard->has_stale = true;
	if (cluster->stale_by[slot] == SHARD_NONE)
		cluster->stale++;
	cluster->stale_by[slot] = shard->number;
}

static void
note_redirect(struct cluster *cluster, uint16_t slot)
{
	struct slot_redirects *redirects = &cluster->redirects[slot];

	if (cluster->now_us - redirects->last_us > REDIRECTS_END_US)
		redirects->since_us = cluster->now_us;
	redirects->last_us = cluster->now_us;
}

bool
cluster_redirects_names(const struct cluster *cluster, uint16_t slot)
{
	const struct slot_redirects *redirects = &cluster->redirects[slot];

	return redirects->last_us != 0 && cluster->now_us - redirects->last_us < REDIRECTS_END_US &&
	       cluster->now_us - redirects->since_us > REDIRECTED_US;
}

/* Operations of the link */

static bool
on_send(void *arg, struct slice bytes)
{
	struct shard *shard = arg;

	return shard->cluster->io.send(shard->connection, bytes);
}

static void
on_drop(void *arg, const char *why)
{
	struct shard *shard = arg;

	shard->cluster->io.drop(shard->connection, why);
}

static void
post(struct cluster *cluster, const struct hub_post *message)
{
	struct hub *hub = cluster->server->hub;
	struct hub_outcome outcome;

	cluster->globs->is_marked = false;
	if (hub_post_now(hub, message, HUB_WITHIN_LIMITS, &outcome) == HUB_OK)
		return;
	cluster->missed++;
	hub_mark_gaps(hub, message->kind, message->channel, NULL, NULL);
}

/* The channel's history has it only if the message comes by the channel itself, which is not known
 * to be all that is published there. */
void
cluster_post_copy(struct shard *shard, struct slice channel, struct slice payload)
{
	post(shard->cluster, &(struct hub_post){.kind = HUB_CHANNEL,
				 .channel = channel,
				 .payload = payload,
				 .only_patterns = true});
}

/* What an old shard still sends when another one serves the slot is behind the gap that its
 * subscribers are told of. They are told by the confirmation of the new subscription, also if the
 * slot comes back to a shard that has never stopped sending. */
static void
on_message(void *arg, enum hub_kind kind, struct slice channel, struct slice payload,
    enum interest_course course)
{
	struct shard *shard = arg;
	struct cluster *cluster = shard->cluster;

	enum interest_state state;

	(void)course;
	if (kind != HUB_SHARD || channel.len > cluster->server->config->hub.name_bytes ||
	    cluster->served_by[slot_of(channel)] != shard->number)
		return;
	state = interest_of(link_interest(shard->link), HUB_SHARD, channel);
	if (state != INTEREST_HELD && state != INTEREST_LINGERS)
		return;
	if (cluster_globs_take(shard, channel, payload))
		return;
	post(cluster,
	    &(struct hub_post){.kind = HUB_CHANNEL, .channel = channel, .payload = payload});
	if (shared_names_has(cluster->names, HUB_SHARD, channel))
		post(cluster,
		    &(struct hub_post){.kind = HUB_SHARD, .channel = channel, .payload = payload});
	buffer_clear(&shard->newest);
	if (cluster->globs->feed != FEED_NONE)
		buffer_append_slice(&shard->newest, channel);
}

static bool
keeps_history(const struct cluster *cluster)
{
	return (hub_options_in_use(cluster->server->hub) & CHANNEL_BIT(history_size)) != 0;
}

static void
on_joined(void *arg, enum hub_kind kind, struct slice name, enum interest_join how)
{
	struct shard *shard = arg;
	struct cluster *cluster = shard->cluster;
	struct hub *hub = cluster->server->hub;

	(void)kind;
	buffer_clear(&shard->newest);
	if (cluster_globs_joined(shard, name))
		return;
	if (how == INTEREST_MISSED) {
		hub_forget_history(hub);
		hub_mark_gap(hub, HUB_CHANNEL, name);
		hub_mark_gap(hub, HUB_SHARD, name);
	} else if (hub_keeps(hub, name)) {
		/* What was published before is not in the history: nobody can resume from there. */
		history_begin_keeping(hub_history(hub));
	}
}

static void
on_left(void *arg, enum hub_kind kind, struct slice name)
{
	struct shard *shard = arg;
	struct cluster *cluster = shard->cluster;

	(void)kind;
	buffer_clear(&shard->newest);
	if (cluster_globs_left(shard, name))
		return;
	if (keeps_history(cluster))
		hub_drop_history(cluster->server->hub, name, cluster->now_us);
}

static void
on_refused(void *arg, struct slice error)
{
	struct cluster *cluster = ((struct shard *)arg)->cluster;

	refusal_log(&cluster->log_limit, "cluster", cluster->address, error, cluster->now_us);
}

/* It was taken by a master that does not know yet that another one has taken over, because it was
 * stopped or cut off: subscribers of the other one do not get it. */
static bool
is_replaced(const struct shard *shard)
{
	return shard->drained_us > 0 && shard->cluster->now_us - shard->drained_us > PASSED_ON_US;
}

static void
on_published(void *arg, struct slice error, struct hub_position position)
{
	struct shard *shard = arg;
	struct cluster *cluster = shard->cluster;
	struct unanswered_message *message =
	    unanswered_take(cluster->unanswered, &shard->unanswered);

	(void)position;          /* a cluster gives none */
	assert(message != NULL); /* the link counts the answers */
	shard_delay_heir(shard);
	if (refusal_is_redirection(error)) {
		cluster_note_stale(cluster, shard, message->slot);
		if (message->tries < TRIES_MAX) {
			unanswered_return(cluster->unanswered, message);
			return;
		}
		error = SLICE(REDIRECTED_ERROR);
		cluster->refused++;
	}
	if (cluster->holds_order && cluster->unanswered->slots[message->slot].sent == 0)
		cluster->may_go_on = true;
	error = refusal_cut(error);
	if (error.len > 0)
		on_refused(shard, error);
	else
		unanswered_note_accepted(cluster->unanswered, message);
	if (error.len == 0 && is_replaced(shard))
		error = SLICE(UPSTREAM_LOST_ERROR);
	cluster_settle(cluster, message, error);
}

static const struct link_ops link_ops = {
    .send = on_send,
    .drop = on_drop,
    .message = on_message,
    .joined = on_joined,
    .left = on_left,
    .published = on_published,
    .refused = on_refused,
};

static const char *
on_topology(void *arg, struct slice info, const struct resp_value *slots, bool is_replica)
{
	return cluster_read_map(arg, info, slots, is_replica);
}

static void
on_moved(void *arg, struct slice name)
{
	struct shard *shard = arg;

	note_redirect(shard->cluster, slot_of(name));
	cluster_note_stale(shard->cluster, shard, slot_of(name));
}

static void
on_told(void *arg, struct slice error, uint64_t receivers)
{
	struct shard *shard = arg;

	if (slice_begins_with(error, "MOVED "))
		cluster_note_stale(shard->cluster, shard, shard->cluster->globs->slot);
	cluster_globs_told(shard, error, receivers);
}

static const struct link_cluster_ops link_cluster_ops = {on_topology, on_moved, on_told};

/* Its life */

void
shard_forget_marks(struct shard *shard)
{
	if (shard->number != SHARD_NONE)
		shard_marks_forget(&shard->cluster->marks, shard->number);
}

struct shard *
shard_new(struct cluster *cluster, uint16_t number, const char *host, uint16_t port)
{
	struct shard *shard = xcalloc(1, sizeof(*shard));

	shard->cluster = cluster;
	shard->number = number;
	shard->heir = SHARD_NONE;
	shard->since_us = cluster->now_us;
	shard->is_feed_new = true;
	shard->port = port;
	snprintf(shard->host, sizeof(shard->host), "%s", host);
	shard->config = (struct link_config){
	    .user = cluster->user,
	    .password = cluster->password,
	    .id = cluster->server->statistics->run_id,
	    .cluster = &link_cluster_ops,
	    .is_seed = number == SHARD_NONE,
	};
	shard->link = link_new(&shard->config, &link_ops, shard);
	interest_set_batch(link_interest(shard->link), 1); /* names of one slot a command */
	unanswered_queue_init(&shard->unanswered);
	return shard;
}

void
shard_connect(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;

	if (shard->connection != NULL || cluster->now_us < shard->connect_us)
		return;
	shard->connect_us = cluster->now_us + 5000000;
	shard->connection = cluster->io.connect(cluster->io.arg, shard, shard->host, shard->port);
	if (shard->connection == NULL && rate_limit_take(&cluster->log_limit, cluster->now_us))
		log_warn(
		    "cannot connect to %s:%u of the cluster", shard->host, (unsigned)shard->port);
}

static void
add_figures(struct link_figures *sum, const struct link_figures *one)
{
	sum->received += one->received;
	sum->copies += one->copies;
	sum->sent += one->sent;
	sum->refused += one->refused;
	sum->unconfirmed += one->unconfirmed;
	sum->bytes_in += one->bytes_in;
	sum->bytes_out += one->bytes_out;
	sum->connections += one->connections;
	if (one->probe_us > sum->probe_us)
		sum->probe_us = one->probe_us;
}

void
shard_free(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;
	struct link_figures figures;

	if (cluster->read_from == shard)
		cluster->read_from = NULL;
	if (shard->connection != NULL)
		cluster->io.release(shard->connection);
	link_lost(shard->link);
	cluster_globs_lost(shard);
	shard_lose_messages(shard);
	figures = link_figures(shard->link);
	figures.probe_us = 0;
	add_figures(&cluster->past, &figures);
	shard_forget_marks(shard);
	link_free(shard->link);
	buffer_release(&shard->newest);
	xfree(shard);
}

struct link_figures
cluster_sum_figures(const struct cluster *cluster)
{
	struct link_figures sum = cluster->past, one;

	for (size_t i = 0; i < cluster->top; i++)
		if (cluster->shards[i] != NULL) {
			one = link_figures(cluster->shards[i]->link);
			add_figures(&sum, &one);
		}
	return sum;
}

void
cluster_each_shard(const struct upstream *upstream,
    void (*put)(void *arg, const struct upstream_shard *shard), void *arg)
{
	const struct cluster *cluster = (const struct cluster *)(const void *)upstream;
	char address[SLOT_HOST_MAX + sizeof(":65535")];

	for (size_t i = 0; i < cluster->top; i++) {
		const struct shard *shard = cluster->shards[i];
		struct link_figures figures;

		if (shard == NULL)
			continue;
		figures = link_figures(shard->link);
		snprintf(address, sizeof(address), "%s:%u", shard->host, (unsigned)shard->port);
		put(arg, &(struct upstream_shard){
			     .number = i,
			     .address = address,
			     .state = link_state_name(link_state_of(shard->link)),
			     .is_up = shard_is_up(shard),
			     .slots = shard->slots,
			     .queued_bytes = shard_queued_bytes(shard),
			     .unanswered = shard->unanswered.count,
			     .received = figures.received,
			     .sent = figures.sent,
			 });
	}
}
