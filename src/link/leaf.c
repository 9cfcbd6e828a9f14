#include "config.h"

#include "link/leaf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "link/engine.h"
#include "link/leaf_claims.h"
#include "link/leaf_engine.h"
#include "link/leaf_presence.h"
#include "link/leaf_state.h"
#include "link/link.h"
#include "link/refusal.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub.h"
#include "pubsub/hub_follow.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_reach.h"
#include "server/core.h"
#include "server/held.h"
#include "server/history_wait.h"
#include "server/sent_messages.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/upstream.h"
#include "server/upstream_presence.h"

#define REPEAT_LOG_US ((uint64_t)60000000) /* the same failure is logged again after this time */

static struct leaf *
leaf_of(struct upstream *upstream)
{
	return (struct leaf *)(void *)upstream;
}

/* Operations of the upstream */

static void
tell_answered(struct leaf *leaf)
{
	if (!leaf_is_catching_up(leaf))
		server_upstream_answered(
		    leaf->server, interest_answered(link_interest(leaf->link)));
}

static enum upstream_need
need(struct upstream *upstream, const struct upstream_name *name, uint64_t *mark)
{
	struct leaf *leaf = leaf_of(upstream);
	struct interest *interest = link_interest(leaf->link);
	uint64_t now_us = leaf->server->now_us;
	enum interest_state state;

	if (link_state_of(leaf->link) < LINK_JOINING) {
		*mark = UINT64_MAX; /* server_upstream_changed() wakes it */
		return leaf_awaits_history(leaf, name) ? UPSTREAM_LINKING : UPSTREAM_READY;
	}
	state = interest_need(interest, name->kind, name->name, now_us);
	if ((state == INTEREST_HELD || state == INTEREST_LINGERS) &&
	    leaf_needs_history(leaf, name)) {
		interest_again(interest, name->kind, name->name, now_us);
		state = INTEREST_WAITING;
	}
	switch (state) {
	case INTEREST_HELD:
	case INTEREST_LINGERS:
		if (leaf_is_catching_up(leaf)) {
			*mark = interest_mark(interest);
			return UPSTREAM_LINKING;
		}
		return UPSTREAM_READY;
	case INTEREST_REFUSED:
		return UPSTREAM_REFUSES;
	case INTEREST_ASKED:
		*mark = interest_mark(interest);
		return leaf_was_asked_too_early(leaf, name) ? UPSTREAM_LINKING : UPSTREAM_ASKED;
	default:
		*mark = interest_mark(interest);
		return UPSTREAM_ASKED;
	}
}

/* UPSTREAM_SENT: a command can be sent. */
static enum upstream_sending
may_send(struct leaf *leaf, bool may_wait)
{
	enum link_state state = link_state_of(leaf->link);
	/* What cannot wait may take as much again. */
	size_t limit = leaf->settings->queued_bytes * (may_wait ? 1 : 2);

	if (state == LINK_UP && leaf_queued_bytes(leaf) < limit)
		return UPSTREAM_SENT;
	if (may_wait && state >= LINK_JOINING) {
		leaf->has_held_up = true;
		return UPSTREAM_BUSY;
	}
	return state == LINK_UP ? UPSTREAM_FULL : UPSTREAM_DOWN;
}

static enum upstream_sending
send_message(struct upstream *upstream, const struct hub_post *post, bool may_wait)
{
	struct leaf *leaf = leaf_of(upstream);
	const struct channel_options *kept = leaf_kept_options(leaf, post);
	enum upstream_sending result = may_send(leaf, may_wait);

	if (result == UPSTREAM_SENT && kept != NULL) {
		leaf_publish_kept(leaf, post, kept);
		return UPSTREAM_KEPT;
	}
	if (result == UPSTREAM_SENT)
		link_publish(leaf->link, post->kind, post->channel, post->payload);
	if (result != UPSTREAM_DOWN || !leaf->settings->delivers_alone || kept != NULL)
		return result;
	leaf->has_own_history = leaf->config.engine == NULL;
	return UPSTREAM_LOCAL;
}

static enum upstream_sending
delete_history(struct upstream *upstream, struct slice channel, bool may_wait)
{
	struct leaf *leaf = leaf_of(upstream);
	enum upstream_sending result = may_send(leaf, may_wait);

	if (result != UPSTREAM_SENT)
		return result;
	leaf_delete_kept(leaf, channel);
	return UPSTREAM_KEPT;
}

static void
figures(const struct upstream *upstream, struct upstream_figures *out)
{
	const struct leaf *leaf = (const struct leaf *)(const void *)upstream;
	struct link_figures link = link_figures(leaf->link);
	struct interest_figures names = interest_figures(link_interest(leaf->link));
	const struct engine *engine = link_engine(leaf->link);
	struct engine_figures history;

	*out = (struct upstream_figures){
	    .mode = leaf->config.engine != NULL ? "engine" : "leaf",
	    .state = link_state_name(link_state_of(leaf->link)),
	    .address = leaf->address,
	    .peer = link_peer(leaf->link),
	    .error = leaf->error,
	    .warning = link_warning(leaf->link),
	    .changed_us = leaf->changed_us,
	    .connections = link.connections,
	    .received = link.received,
	    .copies = link.copies,
	    .sent = link.sent,
	    .refused = link.refused,
	    .unconfirmed = link.unconfirmed,
	    .missed = leaf->missed,
	    .bytes_in = link.bytes_in,
	    .bytes_out = link.bytes_out,
	    .queued_bytes = leaf_queued_bytes(leaf),
	    .probe_us = link.probe_us,
	    .names = names.names,
	    .waiting_names = names.count[INTEREST_WAITING] + names.count[INTEREST_ASKED],
	    .lingering_names = names.count[INTEREST_LINGERS],
	    .refused_names = names.count[INTEREST_REFUSED],
	    .history = "",
	};
	if (engine == NULL)
		return;
	history = engine_figures(engine);
	out->history = engine_state_name(engine_state_of(engine));
	out->loaded = history.channels;
	out->filled = history.filled;
	out->lost = history.lost;
	out->anew = history.anew;
	leaf_claims_figures(leaf, out);
}

static const struct upstream_ops upstream_ops = {
    .need = need, .send = send_message, .delete_history = delete_history, .figures = figures};

/* Operations of the link */

static bool
on_send(void *arg, struct slice bytes)
{
	struct leaf *leaf = arg;

	return leaf->io.send(leaf->io.arg, bytes);
}

static void
on_drop(void *arg, const char *why)
{
	struct leaf *leaf = arg;

	leaf->io.drop(leaf->io.arg, why);
}

static bool
misses(void *arg, enum hub_kind kind, struct slice name)
{
	const struct leaf *leaf = arg;

	return interest_misses(link_interest(leaf->link), kind, name);
}

static bool
misses_or_has_resumed(void *arg, enum hub_kind kind, struct slice name)
{
	const struct leaf *leaf = arg;

	return misses(arg, kind, name) ||
	       interest_has_resumed(link_interest(leaf->link), kind, name);
}

/* A message that cannot wait: under the policy `block` a subscriber without room is closed. It may
 * have come by a name that was joined before others that it goes to, too: then the mark of these
 * comes first. */
static void
on_message(void *arg, enum hub_kind kind, struct slice channel, struct slice payload,
    enum interest_course course)
{
	struct leaf *leaf = arg;
	struct hub *hub = leaf->server->hub;
	struct hub_post post = {.kind = kind, .channel = channel, .payload = payload};
	struct hub_outcome outcome;

	if (channel.len > leaf->server->config->hub.name_bytes)
		return; /* nobody can have subscribed to it; patterns do not reach so far */
	if (course == INTEREST_JUMPS)
		hub_mark_gaps(hub, kind, channel, misses_or_has_resumed, leaf);
	else if (course == INTEREST_GOES_ON && interest_is_joining(link_interest(leaf->link)))
		hub_mark_gaps(hub, kind, channel, misses, leaf);
	if (hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &outcome) == HUB_OK)
		return;
	leaf->missed++;
	hub_mark_gaps(hub, kind, channel, NULL, NULL);
}

static bool
keeps_history(const struct leaf *leaf)
{
	return (hub_options_in_use(leaf->server->hub) & CHANNEL_BIT(history_size)) != 0;
}

/* Whether messages that come by the name may be kept. */
static bool
keeps(const struct leaf *leaf, enum hub_kind kind, struct slice name)
{
	return kind == HUB_CHANNEL ? hub_keeps(leaf->server->hub, name)
				   : kind == HUB_PATTERN && keeps_history(leaf);
}

static void
on_joined(void *arg, enum hub_kind kind, struct slice name, enum interest_join how)
{
	struct leaf *leaf = arg;
	struct hub *hub = leaf->server->hub;
	struct engine *engine = link_engine(leaf->link);
	bool continues;

	if (engine != NULL) {
		/* What was missed of a channel that the engine keeps is told in its place. */
		continues = kind == HUB_CHANNEL && engine_confirmed(engine, name);
		if (how == INTEREST_MISSED && !continues)
			hub_mark_gap(hub, kind, name);
		return;
	}
	if (how == INTEREST_MISSED) {
		hub_forget_history(hub);
		hub_mark_gap(hub, kind, name);
	} else if (how == INTEREST_JOINED && keeps(leaf, kind, name)) {
		/* What was published before is not in the history: nobody can resume from there. */
		history_begin_keeping(hub_history(hub));
	}
}

static void
on_left(void *arg, enum hub_kind kind, struct slice name)
{
	struct leaf *leaf = arg;

	if (leaf->config.engine != NULL) {
		if (kind == HUB_CHANNEL)
			engine_left(link_engine(leaf->link), name);
		return;
	}
	if (!keeps_history(leaf))
		return;
	if (kind == HUB_CHANNEL)
		hub_drop_history(leaf->server->hub, name, leaf->now_us);
	else if (kind == HUB_PATTERN) /* of which channels is not known */
		hub_forget_history(leaf->server->hub);
}

static void
on_refused(void *arg, struct slice error)
{
	struct leaf *leaf = arg;

	refusal_log(&leaf->log_limit, "upstream", leaf->address, error, leaf->now_us);
}

static void
on_published(void *arg, struct slice error, struct hub_position position)
{
	struct leaf *leaf = arg;

	if (position.epoch != 0) {
		sent_messages_confirm_kept(leaf->server->sent_messages, position);
		return;
	}
	if (error.len == 0) {
		sent_messages_confirm(leaf->server->sent_messages, 1);
		return;
	}
	sent_messages_refuse(leaf->server->sent_messages, refusal_cut(error));
	on_refused(leaf, error);
}

static void
lose_messages(struct leaf *leaf)
{
	sent_messages_lose(leaf->server->sent_messages, SLICE(UPSTREAM_LOST_ERROR));
	server_upstream_tell(leaf->server);
}

static void
lose_answers(struct leaf *leaf)
{
	if (leaf->upstream.presence != NULL)
		server_presence_lost(leaf->server);
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

/* The hub's subscriptions */

static void
on_interest(struct hub_interest *watcher, enum hub_kind kind, struct slice name, bool is_wanted)
{
	struct leaf *leaf =
	    (struct leaf *)(void *)((char *)watcher - offsetof(struct leaf, watcher));
	struct interest *interest = link_interest(leaf->link);

	if (is_wanted)
		interest_add(interest, kind, name);
	else
		interest_remove(interest, kind, name, leaf->server->now_us);
}

/* Its life */

static void
apply_settings(struct leaf *leaf)
{
	leaf->config.probe_us = (uint64_t)leaf->settings->probe_s * 1000000;
	interest_set_linger(
	    link_interest(leaf->link), (uint64_t)leaf->settings->linger_s * 1000000);
}

struct leaf *
leaf_new(struct server *server, const struct leaf_config *config, const struct leaf_io *io)
{
	struct leaf *leaf = xcalloc(1, sizeof(*leaf));

	leaf->upstream.ops = &upstream_ops;
	leaf->watcher.changed = on_interest;
	leaf->server = server;
	leaf->settings = config->settings;
	leaf->has_own_history = true;
	leaf->patient_until_us = UINT64_MAX;
	leaf->io = *io;
	leaf->address = xstrdup(config->address);
	leaf->user = xstrdup(config->user != NULL ? config->user : "");
	leaf->password = xstrdup(config->password != NULL ? config->password : "");
	leaf->config = (struct link_config){
	    .user = leaf->user, .password = leaf->password, .id = server->statistics->run_id};
	if (config->is_of_engine) {
		leaf->config.engine = &leaf_engine_ops;
		leaf->config.presence = &leaf_presence_ops;
		leaf->upstream.presence = &leaf_upstream_presence;
		leaf->upstream.has_history = true;
		leaf->has_own_history = false; /* see on_begins() */
		hub_follow(server->hub);
		leaf_claims_begin(leaf);
	}
	leaf->link = link_new(&leaf->config, &link_ops, leaf);
	rate_limit_init(&leaf->log_limit, 1, 5);
	apply_settings(leaf);
	hub_add_interest(server->hub, &leaf->watcher);
	server->upstream = &leaf->upstream;
	return leaf;
}

void
leaf_free(struct leaf *leaf)
{
	if (leaf == NULL)
		return;
	lose_messages(leaf);
	lose_answers(leaf);
	leaf->server->upstream = NULL;
	server_upstream_changed(leaf->server);
	hub_remove_interest(&leaf->watcher);
	link_free(leaf->link);
	leaf_claims_end(leaf);
	xfree(leaf->address);
	xfree(leaf->user);
	xfree(leaf->password);
	xfree(leaf);
}

void
leaf_opened(struct leaf *leaf, uint64_t now_us)
{
	leaf->now_us = now_us;
	link_opened(leaf->link, now_us);
}

void
leaf_received(struct leaf *leaf, struct slice bytes, uint64_t now_us)
{
	leaf->now_us = now_us;
	hub_set_time(leaf->server->hub, now_us);
	link_received(leaf->link, bytes, now_us);
	(void)leaf_claims_work(leaf); /* otherwise they would be delivered in the next turn */
	server_upstream_tell(leaf->server);
	if (leaf->has_own_history && link_state_of(leaf->link) >= LINK_JOINING) {
		leaf->has_own_history = false;
		hub_forget_history(leaf->server->hub);
	}
	tell_answered(leaf);
}

/* Lets publishers go on that were held up. */
static void
let_go_on(struct leaf *leaf)
{
	if (!leaf->has_held_up)
		return;
	leaf->has_held_up = false;
	server_upstream_changed(leaf->server);
}

void
leaf_drained(struct leaf *leaf)
{
	if (link_state_of(leaf->link) == LINK_UP)
		let_go_on(leaf);
}

static void
log_loss(struct leaf *leaf, const char *why, uint64_t retry_us, bool was_up)
{
	bool is_new = was_up || strcmp(leaf->error, why) != 0;

	snprintf(leaf->error, sizeof(leaf->error), "%s", why);
	if (!is_new && leaf->now_us - leaf->logged_us < REPEAT_LOG_US)
		return;
	leaf->logged_us = leaf->now_us;
	log_warn("the link to the upstream %s is down: %s; next attempt in %" PRIu64 " ms",
	    leaf->address, why, retry_us / 1000);
}

static void
log_up(const struct leaf *leaf)
{
	const char *warning = link_warning(leaf->link);

	log_notice("linked to the upstream %s, %s", leaf->address, link_peer(leaf->link));
	if (warning[0] != '\0')
		log_warn("the upstream %s may lose history: %s", leaf->address, warning);
}

void
leaf_lost(struct leaf *leaf, const char *why, uint64_t retry_us, uint64_t now_us)
{
	bool was_up = link_state_of(leaf->link) == LINK_UP;

	leaf->now_us = now_us;
	if (was_up) {
		leaf->changed_us = now_us;
		leaf->patient_until_us = now_us + LEAF_PATIENCE_US;
	}
	link_lost(leaf->link);
	lose_messages(leaf);
	lose_answers(leaf);
	log_loss(leaf, why, retry_us, was_up);
	server_upstream_changed(leaf->server);
}

/* Clients that wait for the link wait a while only. Returns the time until the next call. */
static uint64_t
end_patience(struct leaf *leaf, uint64_t wait_us)
{
	uint64_t end_us = leaf->patient_until_us;

	if (end_us == UINT64_MAX)
		end_us = leaf->patient_until_us = leaf->now_us + LEAF_PATIENCE_US;
	if (end_us == 0 || leaf->config.engine == NULL)
		return wait_us;
	if (leaf->now_us < end_us)
		return end_us - leaf->now_us < wait_us ? end_us - leaf->now_us : wait_us;
	leaf->patient_until_us = 0;
	server_upstream_changed(leaf->server);
	return wait_us;
}

uint64_t
leaf_turn(struct leaf *leaf, uint64_t now_us)
{
	enum link_state was = link_state_of(leaf->link);
	uint64_t wait_us;
	bool has_more;

	leaf->now_us = now_us;
	apply_settings(leaf);
	has_more = leaf_claims_work(leaf);
	wait_us = link_turn(leaf->link, now_us);
	/* Names that nobody wants any more are not waited for. */
	tell_answered(leaf);
	wait_us = end_patience(leaf, wait_us);
	if (was != LINK_UP && link_state_of(leaf->link) == LINK_UP) {
		leaf->changed_us = now_us;
		leaf->patient_until_us = 0;
		log_up(leaf);
		let_go_on(leaf);
		if (leaf->upstream.has_history) {
			history_wait_all_again(leaf->server);
			server_upstream_changed(leaf->server); /* see leaf_awaits_history() */
		}
	}
	if (leaf->has_held_up && link_state_of(leaf->link) == LINK_UP &&
	    leaf_queued_bytes(leaf) < leaf->settings->queued_bytes / 2)
		let_go_on(leaf);
	return has_more ? 0 : wait_us;
}
