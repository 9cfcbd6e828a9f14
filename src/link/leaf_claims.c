#include "config.h"

#include "link/leaf_claims.h"

#include "link/engine_claims.h"
#include "link/leaf_state.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/queue_claims.h"
#include "server/core.h"
#include "server/statistics.h"
#include "server/upstream.h"

/* Operations of the claims */

static size_t
room(void *arg, uint64_t group, size_t len)
{
	const struct leaf *leaf = arg;

	return hub_queue_room(leaf->server->hub, group, len);
}

static bool
deliver(void *arg, uint64_t group, const struct queue_claims_message *message)
{
	const struct leaf *leaf = arg;

	if (hub_queue_deliver(leaf->server->hub, group, message))
		return true;
	hub_queue_miss(leaf->server->hub, group);
	return false;
}

static void
missed(void *arg, uint64_t group)
{
	const struct leaf *leaf = arg;

	hub_queue_miss(leaf->server->hub, group);
}

static const struct engine_claims_ops claims_ops = {room, deliver, missed};

/* Operations of the hub's groups */

/* Other groups get no message that nodes could claim; if the configuration changes, they are known
 * with their first message. */
static bool
may_get_kept(const struct leaf *leaf, const struct queue_claims_group *group)
{
	struct hub *hub = leaf->server->hub;

	if (group->kind == HUB_CHANNEL)
		return hub_keeps(hub, group->name);
	return (hub_options_in_use(hub) & CHANNEL_BIT(history_size)) != 0;
}

static void
on_changed(void *arg, const struct queue_claims_group *group)
{
	struct leaf *leaf = arg;

	if (group->members == 0 || may_get_kept(leaf, group))
		engine_claims_set(leaf->claims, group);
}

/* The engine keeps a stream for twice the time of its messages. A node that loads it must not claim
 * what others have claimed before. */
static uint64_t
kept_ms(const struct leaf *leaf, struct slice channel)
{
	const struct channel_options *options = hub_kept_options(leaf->server->hub, channel);

	return options != NULL ? options->history_ttl * 2000 : 0;
}

static enum queue_claims_answer
on_message(
    void *arg, const struct queue_claims_group *group, const struct queue_claims_message *message)
{
	struct leaf *leaf = arg;

	if (leaf->claimed.seq == 0)
		return QUEUE_CLAIMS_NOT;
	return engine_claims_add(leaf->claims, group, message, leaf->claimed,
		   kept_ms(leaf, message->channel), leaf->now_us)
		   ? QUEUE_CLAIMS_LATER
		   : QUEUE_CLAIMS_MISSED;
}

static const struct queue_claims_ops hub_ops = {on_changed, on_message};

void
leaf_claims_begin(struct leaf *leaf)
{
	leaf->claims = engine_claims_new(&claims_ops, leaf, leaf->server->statistics->run_id);
	leaf->config.claims = leaf->claims;
	hub_set_queue_claims(leaf->server->hub, &hub_ops, leaf);
}

void
leaf_claims_end(struct leaf *leaf)
{
	if (leaf->claims == NULL)
		return;
	hub_set_queue_claims(leaf->server->hub, NULL, NULL);
	engine_claims_free(leaf->claims);
	leaf->claims = NULL;
}

void
leaf_claims_post(struct leaf *leaf, struct hub_position position)
{
	leaf->claimed = position;
}

bool
leaf_claims_work(struct leaf *leaf)
{
	return leaf->claims != NULL && engine_claims_work(leaf->claims);
}

void
leaf_claims_figures(const struct leaf *leaf, struct upstream_figures *out)
{
	struct engine_claims_figures figures;

	if (leaf->claims == NULL)
		return;
	figures = engine_claims_figures(leaf->claims);
	out->claims = figures.won;
	out->claims_waiting = figures.waiting;
	out->claims_dropped = figures.dropped;
	out->claims_missed = figures.missed;
}
