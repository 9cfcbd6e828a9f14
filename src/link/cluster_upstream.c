#include "config.h"

#include "link/cluster_parts.h"
#include "server/core.h"
#include "server/sent_messages.h"

/* What the server asks of a cluster: see server/upstream.h. */

/* So long publishers wait while a shard is being linked. */
#define JOINING_US ((uint64_t)10000000)

static struct cluster *
cluster_of(struct upstream *upstream)
{
	return (struct cluster *)(void *)upstream;
}

static enum upstream_need
need(struct upstream *upstream, const struct upstream_name *name, uint64_t *mark)
{
	struct cluster *cluster = cluster_of(upstream);
	uint16_t slot = slot_of(name->name);
	struct shard *shard = cluster_shard_of(cluster, slot);
	struct interest *interest;

	if (name->kind == HUB_PATTERN)
		return cluster_globs_need(cluster, name->name, mark);
	if (shard == NULL || link_state_of(shard->link) < LINK_JOINING) {
		*mark = UINT64_MAX; /* server_upstream_changed() wakes it */
		return UPSTREAM_READY;
	}
	/* As without a link: it does not wait, and is told when the name is subscribed to. */
	if (cluster_redirects_names(cluster, slot))
		return UPSTREAM_READY;
	if (cluster->stale_by[slot] != SHARD_NONE) {
		*mark = shard_marks_add(&cluster->marks, CLUSTER_SHARDS, cluster->answers + 1);
		return UPSTREAM_ASKED;
	}
	interest = link_interest(shard->link);
	switch (interest_need(interest, HUB_SHARD, name->name, cluster->server->now_us)) {
	case INTEREST_HELD:
	case INTEREST_LINGERS:
		return UPSTREAM_READY;
	case INTEREST_REFUSED:
		return UPSTREAM_REFUSES;
	case INTEREST_MOVED:
		*mark = shard_marks_add(&cluster->marks, CLUSTER_SHARDS, cluster->answers + 1);
		return UPSTREAM_ASKED;
	default:
		*mark = shard_marks_add(&cluster->marks, shard->number, interest_mark(interest));
		return UPSTREAM_ASKED;
	}
}

static bool
is_reached(const struct upstream *upstream, uint64_t mark)
{
	return shard_marks_is_reached(
	    &((const struct cluster *)(const void *)upstream)->marks, mark);
}

/* A message that cannot wait, while its slot is between two shards. */
static enum upstream_sending
keep_message(struct cluster *cluster, struct unanswered_message *message, size_t limit)
{
	if (cluster->unanswered->returned.bytes >= limit) {
		unanswered_message_free(message);
		return UPSTREAM_FULL;
	}
	unanswered_return(cluster->unanswered, message);
	return UPSTREAM_SENT;
}

/* Messages wait for a shard that is being linked: for a new one from the beginning, so that nothing
 * fails when slots move to it. */
static bool
is_coming(struct cluster *cluster, const struct shard *shard)
{
	uint64_t now_us = cluster->server->now_us, until_us;

	if (shard == NULL)
		return false;
	until_us = link_state_of(shard->link) == LINK_JOINING ? shard->opened_us + JOINING_US : 0;
	if (!shard->has_failed && shard->since_us + JOINING_US > until_us)
		until_us = shard->since_us + JOINING_US;
	if (now_us >= until_us)
		return false;
	if (cluster->go_on_us == 0 || until_us < cluster->go_on_us)
		cluster->go_on_us = until_us;
	return true;
}

static enum upstream_sending
send_message(struct upstream *upstream, const struct hub_post *post, bool may_wait)
{
	struct cluster *cluster = cluster_of(upstream);
	uint16_t slot = slot_of(post->channel);
	struct shard *shard = cluster_shard_of(cluster, slot);
	/* What cannot wait may take as much again. */
	size_t limit = cluster->settings->queued_bytes * (may_wait ? 1 : 2);
	bool is_up = shard != NULL && shard_is_up(shard), is_in_order, has_room;
	bool delivers_alone = cluster->settings->delivers_alone;
	struct unanswered_message *message;

	/* What is delivered here does not overtake what was sent back. */
	if (!is_up && !is_coming(cluster, shard) &&
	    (!delivers_alone || cluster->unanswered->slots[slot].returned == 0)) {
		cluster->has_own_history = cluster->has_own_history || delivers_alone;
		return delivers_alone ? UPSTREAM_LOCAL : UPSTREAM_DOWN;
	}
	if (may_wait && cluster_globs_hold_back(cluster)) {
		cluster->holds_order = true;
		return UPSTREAM_BUSY;
	}
	is_in_order = is_up && cluster->stale_by[slot] == SHARD_NONE &&
		      shard->config.names_us == 0 &&
		      unanswered_may_send(cluster->unanswered, slot, shard->number);
	has_room = !is_up || (shard_queued_bytes(shard) < limit && shard->unanswered.bytes < limit);
	if (may_wait && (!is_in_order || !has_room)) {
		cluster->holds_order = cluster->holds_order || !is_in_order;
		cluster->holds_back = cluster->holds_back || !has_room;
		return UPSTREAM_BUSY;
	}
	if (!has_room)
		return UPSTREAM_FULL;
	message = unanswered_message_new(slot, post->channel, post->payload);
	message->number = cluster->server->sent_messages->sent + 1;
	message->since_us = cluster->server->now_us;
	if (!is_in_order)
		return keep_message(cluster, message, limit);
	shard_send(shard, message);
	return UPSTREAM_SENT;
}

static void
figures(const struct upstream *upstream, struct upstream_figures *out)
{
	const struct cluster *cluster = (const struct cluster *)(const void *)upstream;
	struct link_figures link = cluster_sum_figures(cluster);

	*out = (struct upstream_figures){
	    .mode = "cluster",
	    .state = cluster_state_name(cluster->state),
	    .address = cluster->address,
	    .peer = "",
	    .error = cluster->error,
	    .warning = "",
	    .changed_us = cluster->changed_us,
	    .connections = link.connections,
	    .received = link.received,
	    .sent = link.sent - cluster->resent,
	    .refused = link.refused + cluster->refused,
	    .unconfirmed = link.unconfirmed,
	    .missed = cluster->missed,
	    .bytes_in = link.bytes_in,
	    .bytes_out = link.bytes_out,
	    .probe_us = link.probe_us,
	    .history = "",
	};
	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[i];
		struct interest_figures names;

		if (shard == NULL)
			continue;
		names = interest_figures(link_interest(shard->link));
		out->shards++;
		out->shards_up += shard_is_up(shard);
		out->queued_bytes += shard_queued_bytes(shard);
		out->names += names.names;
		out->waiting_names += names.count[INTEREST_WAITING] + names.count[INTEREST_ASKED] +
				      names.count[INTEREST_MOVED];
		out->lingering_names += names.count[INTEREST_LINGERS];
		out->refused_names += names.count[INTEREST_REFUSED];
		if (out->peer[0] == '\0')
			out->peer = link_peer(shard->link);
	}
	cluster_globs_figures(cluster, out);
}

const struct upstream_ops cluster_upstream_ops = {
    .need = need,
    .is_reached = is_reached,
    .send = send_message,
    .figures = figures,
    .each_shard = cluster_each_shard,
};
