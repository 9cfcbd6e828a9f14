#include "config.h"

#include "link/cluster_globs.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "link/cluster_parts.h"
#include "link/globs_known.h"
#include "link/globs_own.h"
#include "pubsub/hub_reach.h"
#include "server/core.h"

/* What this node and the others tell each other about their globs. */

#define NEEDED_US ((uint64_t)10000000) /* a glob stays so long until somebody subscribes */
#define HOLD_US ((uint64_t)10000000)   /* publishers wait as long for what others have */
#define RETRY_US ((uint64_t)200000)
#define TICK_US ((uint64_t)1000000)
#define TRIES 2048      /* of tags in a turn */
#define ANSWER_PROBES 2 /* then a node that has not answered has noticed that its link is lost */

struct cluster_globs *
cluster_globs_new(struct cluster *cluster)
{
	struct cluster_globs *globs = xcalloc(1, sizeof(*globs));

	globs->own = globs_own_new();
	globs->known = globs_known_new();
	globs->slot = slot_of(SLICE(GLOBS_CHANNEL));
	globs->question.nonce = random_next(cluster->server->random);
	cluster_globs_put_inbox(globs->inbox, cluster_own_id(cluster));
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

void
cluster_globs_advance(struct cluster *cluster, enum globs_event event)
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
	struct shard *shard = cluster_globs_shard(cluster);
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
	const struct shard *shard = cluster_globs_shard(cluster);

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
	if (shard == cluster_globs_shard(cluster) && is_held(shard, GLOBS_CHANNEL) &&
	    is_held(shard, globs->inbox))
		cluster_globs_advance(cluster, GLOBS_HEARS);
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
	if (shard == cluster_globs_shard(cluster))
		cluster_globs_advance(cluster, GLOBS_LOST);
	return true;
}

void
cluster_globs_lost(struct shard *shard)
{
	shard->tells = shard->told = 0;
	if (shard->number == SHARD_NONE)
		return;
	if (shard == cluster_globs_shard(shard->cluster))
		cluster_globs_advance(shard->cluster, GLOBS_LOST);
	cluster_feed_lost(shard);
}

void
cluster_globs_moved(struct cluster *cluster, uint16_t slot)
{
	if (slot == cluster->globs->slot)
		cluster_globs_advance(cluster, GLOBS_LOST);
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
	const struct shard *shard = cluster_globs_shard(cluster);
	const struct cluster_globs *globs = cluster->globs;
	const struct interest *interest;

	if (globs->state != GLOBS_OUT || shard == NULL || !shard_is_up(shard))
		return;
	interest = link_interest(shard->link);
	if (interest_of(interest, HUB_SHARD, SLICE(GLOBS_CHANNEL)) == INTEREST_REFUSED ||
	    interest_of(interest, HUB_SHARD, slice_of(globs->inbox)) == INTEREST_REFUSED)
		cluster_globs_advance(cluster, GLOBS_DENIED);
}

static void
ask(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (cluster->now_us < globs->ask_us)
		return;
	(void)globs_own_change(globs->own, true);
	globs_own_tell(globs->own, true);
	cluster_globs_announce(cluster, GLOBS_ACK_WITH_SET);
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
		cluster_globs_announce(
		    cluster, change == GLOBS_MORE ? GLOBS_BARE_ACK : GLOBS_NO_ACK);
	} else if (globs->missed == GLOBS_MISSED || (is_due && globs_own_count(globs->own) > 0)) {
		cluster_globs_announce(cluster, GLOBS_NO_ACK);
	}
}

/* The time until which it waits for answers has passed. */
static void
look_at_time(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	if (cluster->now_us - globs->question.sent_us <
	    ANSWER_PROBES * cluster_globs_probe_us(cluster))
		return;
	log_info("%" PRIu64 " nodes of the cluster %s have not said which patterns they have",
	    globs->question.receivers - globs->question.answers, cluster->address);
	cluster_globs_advance(cluster, GLOBS_ANSWERED);
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
	else if (cluster_globs_is_asking(cluster))
		look_at_time(cluster);
	if (cluster_globs_is_asking(cluster) && cluster->now_us >= globs->refresh_us)
		cluster_globs_announce(cluster, GLOBS_NO_ACK);
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
	if (globs->state == GLOBS_JOINED || cluster_globs_is_asking(cluster))
		return least(wait_us, RETRY_US);
	return globs_own_count(globs->own) > 0 || globs_known_nodes(globs->known) > 0
		   ? least(wait_us, TICK_US)
		   : wait_us;
}
