#include "config.h"

#include "link/cluster_globs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "link/cluster_parts.h"
#include "link/globs_known.h"
#include "link/globs_own.h"
#include "pubsub/hub_reach.h"
#include "server/core.h"
#include "server/statistics.h"

/* What this node and the others tell each other about their globs. */

#define NEEDED_US ((uint64_t)10000000) /* a glob stays so long until somebody subscribes */
#define HOLD_US ((uint64_t)10000000)   /* publishers wait as long for what others have */
#define RETRY_US ((uint64_t)200000)
#define TICK_US ((uint64_t)1000000)
#define TRIES 2048 /* of tags in a turn */
#define LEASE_PROBES 3
#define ANSWER_PROBES 2 /* then a node that has not answered has noticed that its link is lost */

static uint64_t
probe_us(const struct cluster *cluster)
{
	return (uint64_t)cluster->settings->probe_s * 1000000;
}

static struct slice
own_id(const struct cluster *cluster)
{
	return slice_of(cluster->server->statistics->run_id);
}

static void
put_inbox(char out[GLOBS_NAME_MAX], struct slice id)
{
	snprintf(
	    out, GLOBS_NAME_MAX, GLOBS_CHANNEL ":%.*s:{" GLOBS_CHANNEL "}", (int)id.len, id.ptr);
}

struct cluster_globs *
cluster_globs_new(struct cluster *cluster)
{
	struct cluster_globs *globs = xcalloc(1, sizeof(*globs));

	globs->own = globs_own_new();
	globs->known = globs_known_new();
	globs->slot = slot_of(SLICE(GLOBS_CHANNEL));
	globs->question.nonce = random_next(cluster->server->random);
	put_inbox(globs->inbox, own_id(cluster));
	memset(globs->joined_at, 0xff, sizeof(globs->joined_at)); /* SHARD_NONE */
	rate_limit_init(&globs->log_limit, 1, 5);
	return globs;
}

void
cluster_globs_free(struct cluster_globs *globs)
{
	if (globs == NULL)
		return;
	globs_own_free(globs->own);
	globs_known_free(globs->known);
	xfree(globs);
}

/* States */

void
cluster_globs_change(struct cluster *cluster)
{
	cluster->globs->changes++;
	cluster->may_go_on = true;
}

static void
mark_one(void *arg, struct slice glob)
{
	hub_mark_gap(arg, HUB_PATTERN, glob);
}

void
cluster_globs_mark(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (!globs->is_marked)
		globs_own_each(globs->own, mark_one, cluster->server->hub);
	globs->is_marked = true;
}

void
cluster_globs_note_strange(struct cluster *cluster, const char *what)
{
	struct cluster_globs *globs = cluster->globs;

	globs->strange++;
	if (rate_limit_take(&globs->log_limit, cluster->now_us))
		log_warn("ignored an invalid %s in a channel fanfare:* of the cluster %s", what,
		    cluster->address);
}

static void
lose(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (globs->missed == GLOBS_MISSED_TOLD)
		globs->missed = GLOBS_MISSED;
	cluster_globs_mark(cluster);
	globs_own_lose(globs->own);
}

static void
advance(struct cluster *cluster, enum globs_event event)
{
	struct cluster_globs *globs = cluster->globs;
	enum globs_state was = globs->state;

	globs->state = globs_next_state(was, event);
	if (event == GLOBS_LOST)
		globs->lost_us = cluster->now_us;
	if (event == GLOBS_HEARS)
		globs->hears_us = globs->ask_us = cluster->now_us;
	if (was > GLOBS_REFUSED && (event == GLOBS_LOST || event == GLOBS_HEARS))
		lose(cluster);
	if (event == GLOBS_ANSWERED)
		globs_own_acknowledged(globs->own, mark_one, cluster->server->hub);
	if (event == GLOBS_ANSWERED && was == GLOBS_ASKING) /* leases stood still until now */
		globs_known_renew(globs->known, cluster->now_us);
	if (globs->state != was)
		cluster_globs_change(cluster);
}

/* What the server and the hub want */

static struct shard *
shard_of_globs(const struct cluster *cluster)
{
	return cluster_shard_of(cluster, cluster->globs->slot);
}

void
cluster_globs_interest(struct cluster *cluster, struct slice glob, bool is_wanted)
{
	struct cluster_globs *globs = cluster->globs;

	if (is_wanted)
		globs_own_add(globs->own, glob);
	else
		globs_own_remove(globs->own, glob,
		    cluster->server->now_us + (uint64_t)cluster->settings->linger_s * 1000000);
}

enum upstream_need
cluster_globs_need(struct cluster *cluster, struct slice glob, uint64_t *mark)
{
	struct cluster_globs *globs = cluster->globs;
	struct shard *shard = shard_of_globs(cluster);
	uint64_t until_us =
	    cluster->server->now_us + NEEDED_US + (uint64_t)cluster->settings->linger_s * 1000000;

	if (shard == NULL || link_state_of(shard->link) < LINK_JOINING) {
		*mark = UINT64_MAX; /* as for a channel */
		return UPSTREAM_READY;
	}
	if (globs->state == GLOBS_REFUSED || globs->is_refused)
		return UPSTREAM_REFUSES;
	if (globs_own_need(globs->own, glob, until_us) && globs->feed == FEED_LIVE &&
	    globs->is_whole && !globs->is_changed)
		return UPSTREAM_READY;
	*mark = shard_marks_add(&cluster->marks, CLUSTER_GLOBS_SOURCE, globs->changes + 1);
	return UPSTREAM_ASKED;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Until when publishers wait to know the globs of others. */
static uint64_t
hold_until_us(const struct cluster *cluster)
{
	const struct cluster_globs *globs = cluster->globs;
	const struct shard *shard = shard_of_globs(cluster);

	switch (globs->state) {
	case GLOBS_OUT:
		if (shard == NULL)
			return 0;
		if (link_state_of(shard->link) >= LINK_JOINING) /* the slot may have moved to it */
			return most(shard->opened_us, globs->lost_us) + HOLD_US;
		return shard->has_failed ? 0 : shard->since_us + HOLD_US;
	case GLOBS_JOINED:
	case GLOBS_ASKING:
		return globs->hears_us + HOLD_US;
	default:
		return 0;
	}
}

bool
cluster_globs_hold_back(struct cluster *cluster)
{
	uint64_t until_us = hold_until_us(cluster);

	if (cluster->server->now_us >= until_us)
		return false;
	if (cluster->go_on_us == 0 || until_us < cluster->go_on_us)
		cluster->go_on_us = until_us;
	return true;
}

void
cluster_globs_figures(const struct cluster *cluster, struct upstream_figures *out)
{
	const struct cluster_globs *globs = cluster->globs;
	size_t own_names = 2 + globs->added;

	out->names -= out->names < own_names ? out->names : own_names;
	out->received -= globs->heard - globs->posted;
	out->pattern_nodes = globs_known_nodes(globs->known);
	out->copies_sent = globs->sent;
	out->copies_received = globs->received;
	out->strange = globs->strange;
}

void
cluster_globs_publish(struct shard *shard, const struct unanswered_message *message)
{
	struct cluster_globs *globs = shard->cluster->globs;

	if (globs->state == GLOBS_OUT || globs->state == GLOBS_JOINED ||
	    globs->state == GLOBS_ASKING)
		globs->missed = GLOBS_MISSED;
	cluster_feed_publish(shard, message);
}

/* Frames */

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
	    .id = own_id(cluster),
	    .lease_ms = LEASE_PROBES * probe_us(cluster) / 1000,
	    .has_set = true};

	frame.globs = globs_own_set(cluster->globs->own, &frame.count);
	return frame;
}

static void
announce(struct cluster *cluster, enum globs_wanted wanted)
{
	struct cluster_globs *globs = cluster->globs;
	struct shard *shard = shard_of_globs(cluster);
	struct globs_frame frame = make_frame(cluster, GLOBS_SET);

	frame.wanted = wanted;
	frame.has_missed = globs->missed == GLOBS_MISSED;
	frame.nonce = wanted != GLOBS_NO_ACK ? ++globs->question.nonce : 0;
	tell(shard, SLICE(GLOBS_CHANNEL), &frame);
	if (frame.has_missed)
		globs->missed = GLOBS_MISSED_TOLD;
	globs->refresh_us = cluster->now_us + probe_us(cluster);
	if (wanted == GLOBS_NO_ACK)
		return;
	globs->question = (struct globs_question){.shard = shard,
	    .tell = shard->tells,
	    .nonce = frame.nonce,
	    .sent_us = cluster->now_us,
	    .receivers = UINT64_MAX};
	advance(cluster, GLOBS_SENT);
}

static bool
is_asking(const struct cluster_globs *globs)
{
	return globs->state == GLOBS_ASKING || globs->state == GLOBS_ANNOUNCING;
}

static void
look_for_answers(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (is_asking(globs) && globs->question.answers >= globs->question.receivers)
		advance(cluster, GLOBS_ANSWERED);
}

void
cluster_globs_told(struct shard *shard, struct slice error, uint64_t receivers)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;

	shard->told++;
	if (globs->missed == GLOBS_MISSED_TOLD && shard->told == shard->tells)
		globs->missed = error.len > 0 ? GLOBS_MISSED : GLOBS_NONE_MISSED;
	if (!is_asking(globs) || globs->question.shard != shard ||
	    globs->question.tell != shard->told)
		return;
	if (error.len > 0) {
		globs_own_unheard(globs->own);
		globs->ask_us = cluster->now_us + RETRY_US;
		advance(cluster, GLOBS_FAILED);
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
	put_inbox(inbox, set->id);
	tell(shard, slice_of(inbox), &frame);
}

static void
take_set(struct shard *shard, const struct globs_frame *frame)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;
	bool is_own = slice_eq(frame->id, own_id(cluster));

	know(cluster, frame);
	if (frame->has_missed)
		cluster_globs_mark(cluster);
	if (is_own && frame->nonce == globs->question.nonce && is_asking(globs)) {
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
	if (!is_asking(globs) || frame.nonce != globs->question.nonce)
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

/* What becomes of the channels */

static bool
is_of_globs(const struct cluster_globs *globs, struct slice name)
{
	return slice_is(name, GLOBS_CHANNEL) || slice_is(name, globs->inbox);
}

static bool
is_held(const struct shard *shard, const char *name)
{
	enum interest_state state =
	    interest_of(link_interest(shard->link), HUB_SHARD, slice_of(name));

	return state == INTEREST_HELD || state == INTEREST_LINGERS;
}

bool
cluster_globs_joined(struct shard *shard, struct slice name)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;

	if (cluster_feed_has(cluster, name)) {
		cluster_feed_joined(shard, slot_of(name));
		return true;
	}
	if (!is_of_globs(globs, name))
		return false;
	if (shard == shard_of_globs(cluster) && is_held(shard, GLOBS_CHANNEL) &&
	    is_held(shard, globs->inbox))
		advance(cluster, GLOBS_HEARS);
	return true;
}

bool
cluster_globs_left(struct shard *shard, struct slice name)
{
	struct cluster *cluster = shard->cluster;

	if (cluster_feed_has(cluster, name)) {
		cluster_feed_left(shard, slot_of(name));
		return true;
	}
	if (!is_of_globs(cluster->globs, name))
		return false;
	if (shard == shard_of_globs(cluster))
		advance(cluster, GLOBS_LOST);
	return true;
}

void
cluster_globs_lost(struct shard *shard)
{
	shard->tells = shard->told = 0;
	if (shard->number == SHARD_NONE)
		return;
	if (shard == shard_of_globs(shard->cluster))
		advance(shard->cluster, GLOBS_LOST);
	cluster_feed_lost(shard);
}

void
cluster_globs_moved(struct cluster *cluster, uint16_t slot)
{
	if (slot == cluster->globs->slot)
		advance(cluster, GLOBS_LOST);
	cluster_feed_moved(cluster, slot);
}

/* Time */

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
look_for_refusal(struct cluster *cluster)
{
	const struct shard *shard = shard_of_globs(cluster);
	const struct cluster_globs *globs = cluster->globs;
	const struct interest *interest;

	if (globs->state != GLOBS_OUT || shard == NULL || !shard_is_up(shard))
		return;
	interest = link_interest(shard->link);
	if (interest_of(interest, HUB_SHARD, SLICE(GLOBS_CHANNEL)) == INTEREST_REFUSED ||
	    interest_of(interest, HUB_SHARD, slice_of(globs->inbox)) == INTEREST_REFUSED)
		advance(cluster, GLOBS_DENIED);
}

static void
ask(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (cluster->now_us < globs->ask_us)
		return;
	(void)globs_own_change(globs->own, true);
	globs_own_tell(globs->own, true);
	announce(cluster, GLOBS_ACK_WITH_SET);
}

/* What has changed is told once a turn at most, and again from time to time. */
static void
keep_known(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;
	bool is_due = cluster->now_us >= globs->refresh_us;
	enum globs_change change;

	if (cluster->now_us < globs->ask_us)
		return;
	change = globs_own_change(globs->own, is_due);
	if (change != GLOBS_SAME) {
		globs_own_tell(globs->own, change == GLOBS_MORE);
		announce(cluster, change == GLOBS_MORE ? GLOBS_BARE_ACK : GLOBS_NO_ACK);
	} else if (globs->missed == GLOBS_MISSED || (is_due && globs_own_count(globs->own) > 0)) {
		announce(cluster, GLOBS_NO_ACK);
	}
}

/* The time until which it waits for answers has passed. */
static void
look_at_time(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (cluster->now_us - globs->question.sent_us < ANSWER_PROBES * probe_us(cluster))
		return;
	log_info("%" PRIu64 " nodes of the cluster %s have not said which patterns they have",
	    globs->question.receivers - globs->question.answers, cluster->address);
	advance(cluster, GLOBS_ANSWERED);
}

static void
converse(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	look_for_refusal(cluster);
	if (globs->state == GLOBS_JOINED)
		ask(cluster);
	if (globs->state == GLOBS_KNOWN)
		keep_known(cluster);
	else if (is_asking(globs))
		look_at_time(cluster);
	if (is_asking(globs) && cluster->now_us >= globs->refresh_us)
		announce(cluster, GLOBS_NO_ACK);
	if (globs->state >= GLOBS_KNOWN)
		globs_known_expire(globs->known, cluster->now_us);
}

uint64_t
cluster_globs_turn(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;
	uint64_t wait_us;

	globs->is_marked = false;
	if (cluster->now_us >= globs->tick_us) {
		globs_own_expire(globs->own, cluster->now_us);
		globs->is_changed = globs->is_changed || !globs->is_whole;
		globs->tick_us = cluster->now_us + TICK_US;
	}
	converse(cluster);
	wait_us = cluster_feed_turn(cluster);
	if (!slot_numbers_go_on(&globs->tags, "", TRIES))
		wait_us = 0;
	shard_marks_update(&cluster->marks, CLUSTER_GLOBS_SOURCE, globs->changes);
	if (globs->state == GLOBS_JOINED || is_asking(globs))
		return least(wait_us, RETRY_US);
	return globs_own_count(globs->own) > 0 || globs_known_nodes(globs->known) > 0
		   ? least(wait_us, TICK_US)
		   : wait_us;
}
