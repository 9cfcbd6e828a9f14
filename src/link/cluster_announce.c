#include "config.h"

#include <stdio.h>

#include "base/log.h"
#include "link/cluster_globs.h"
#include "link/cluster_parts.h"
#include "link/globs_known.h"
#include "link/globs_own.h"
#include "server/core.h"
#include "server/statistics.h"

/* What nodes tell each other about their globs: frames that are sent, and what is done with those
 * that come. */

#define RETRY_US ((uint64_t)200000)
#define LEASE_PROBES 3

struct slice
cluster_own_id(const struct cluster *cluster)
{
	return slice_of(cluster->server->statistics->run_id);
}

void
cluster_globs_put_inbox(char out[GLOBS_NAME_MAX], struct slice id)
{
	snprintf(
	    out, GLOBS_NAME_MAX, GLOBS_CHANNEL ":%.*s:{" GLOBS_CHANNEL "}", (int)id.len, id.ptr);
}

uint64_t
cluster_globs_probe_us(const struct cluster *cluster)
{
	return (uint64_t)cluster->settings->probe_s * 1000000;
}

struct shard *
cluster_globs_shard(const struct cluster *cluster)
{
	return cluster_shard_of(cluster, cluster->globs->slot);
}

bool
cluster_globs_is_asking(const struct cluster *cluster)
{
	enum globs_state state = cluster->globs->state;

	return state == GLOBS_ASKING || state == GLOBS_ANNOUNCING;
}

static void
tell(struct shard *shard, struct slice channel, const struct globs_frame *frame)
{
	struct buffer text = {0};

	globs_frame_write(&text, frame);
	link_tell(shard->link, channel, buffer_slice(&text));
	shard->tells++;
	buffer_release(&text);
}

/* The set as it is. */
static struct globs_frame
make_frame(const struct cluster *cluster, enum globs_frame_kind kind)
{
	struct globs_frame frame = {.kind = kind,
	    .id = cluster_own_id(cluster),
	    .lease_ms = LEASE_PROBES * cluster_globs_probe_us(cluster) / 1000,
	    .has_set = true};

	frame.globs = globs_own_set(cluster->globs->own, &frame.count);
	return frame;
}

void
cluster_globs_announce(struct cluster *cluster, enum globs_wanted wanted)
{
	struct cluster_globs *globs = cluster->globs;
	struct shard *shard = cluster_globs_shard(cluster);
	struct globs_frame frame = make_frame(cluster, GLOBS_SET);

	frame.wanted = wanted;
	frame.has_missed = globs->missed == GLOBS_MISSED;
	frame.nonce = wanted != GLOBS_NO_ACK ? ++globs->question.nonce : 0;
	tell(shard, SLICE(GLOBS_CHANNEL), &frame);
	if (frame.has_missed)
		globs->missed = GLOBS_MISSED_TOLD;
	globs->refresh_us = cluster->now_us + cluster_globs_probe_us(cluster);
	if (wanted == GLOBS_NO_ACK)
		return;
	globs->question = (struct globs_question){.shard = shard,
	    .tell = shard->tells,
	    .nonce = frame.nonce,
	    .sent_us = cluster->now_us,
	    .receivers = UINT64_MAX};
	cluster_globs_advance(cluster, GLOBS_SENT);
}

static void
look_for_answers(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (cluster_globs_is_asking(cluster) &&
	    globs->question.answers >= globs->question.receivers)
		cluster_globs_advance(cluster, GLOBS_ANSWERED);
}

void
cluster_globs_told(struct shard *shard, struct slice error, uint64_t receivers)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;

	shard->told++;
	if (globs->missed == GLOBS_MISSED_TOLD && shard->told == shard->tells)
		globs->missed = error.len > 0 ? GLOBS_MISSED : GLOBS_NONE_MISSED;
	if (!cluster_globs_is_asking(cluster) || globs->question.shard != shard ||
	    globs->question.tell != shard->told)
		return;
	if (error.len > 0) {
		globs_own_unheard(globs->own);
		globs->ask_us = cluster->now_us + RETRY_US;
		cluster_globs_advance(cluster, GLOBS_FAILED);
		refusal_log(&globs->log_limit, "cluster", cluster->address, error, cluster->now_us);
		return;
	}
	globs->question.receivers = receivers;
	look_for_answers(cluster);
}

static void
know(struct cluster *cluster, const struct globs_frame *frame)
{
	struct cluster_globs *globs = cluster->globs;

	if (!frame->has_set || globs_known_set(globs->known, frame->id, frame->globs, frame->count,
				   frame->lease_ms * 1000, cluster->now_us))
		return;
	if (rate_limit_take(&globs->log_limit, cluster->now_us))
		log_error("more than %d nodes of the cluster %s have patterns: the subscribers "
			  "of one get no messages of this node",
		    GLOBS_NODES_MAX, cluster->address);
}

static void
acknowledge(struct shard *shard, const struct globs_frame *set)
{
	struct cluster *cluster = shard->cluster;
	struct globs_frame frame = make_frame(cluster, GLOBS_ACK);
	char inbox[GLOBS_NAME_MAX];

	/* What a stranger asks for takes no more memory than messages do. */
	if (shard_queued_bytes(shard) > cluster->settings->queued_bytes * 2 + GLOBS_BYTES_MAX)
		return;
	frame.nonce = set->nonce;
	frame.has_set = set->wanted == GLOBS_ACK_WITH_SET;
	cluster_globs_put_inbox(inbox, set->id);
	tell(shard, slice_of(inbox), &frame);
}

static void
take_set(struct shard *shard, const struct globs_frame *frame)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;
	bool is_own = slice_eq(frame->id, cluster_own_id(cluster));

	know(cluster, frame);
	if (frame->has_missed)
		cluster_globs_mark(cluster);
	if (is_own && frame->nonce == globs->question.nonce && cluster_globs_is_asking(cluster)) {
		globs->question.answers++;
		look_for_answers(cluster);
	} else if (!is_own && frame->wanted != GLOBS_NO_ACK) {
		acknowledge(shard, frame);
	}
}

static void
take_frame(struct shard *shard, struct slice text, enum globs_frame_kind kind)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;
	struct globs_frame frame;

	if (!globs_frame_read(text, &frame) || frame.kind != kind) {
		cluster_globs_note_strange(cluster, "announcement");
		return;
	}
	if (kind == GLOBS_SET) {
		take_set(shard, &frame);
		return;
	}
	know(cluster, &frame);
	if (!cluster_globs_is_asking(cluster) || frame.nonce != globs->question.nonce)
		return;
	globs->question.answers++;
	look_for_answers(cluster);
}

bool
cluster_globs_take(struct shard *shard, struct slice channel, struct slice payload)
{
	const struct cluster_globs *globs = shard->cluster->globs;

	if (!slice_begins_with(channel, "fanfare:"))
		return false;
	if (slice_is(channel, GLOBS_CHANNEL))
		take_frame(shard, payload, GLOBS_SET);
	else if (slice_is(channel, globs->inbox))
		take_frame(shard, payload, GLOBS_ACK);
	else if (cluster_feed_has(shard->cluster, channel))
		cluster_feed_take(shard, channel, payload);
	else
		return false;
	shard->cluster->globs->heard++;
	return true;
}
