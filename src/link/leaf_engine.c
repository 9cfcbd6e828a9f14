#include "config.h"

#include "link/leaf_engine.h"

#include "base/random.h"
#include "link/engine.h"
#include "link/leaf_claims.h"
#include "link/leaf_state.h"
#include "link/link.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub.h"
#include "pubsub/hub_follow.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_reach.h"
#include "server/core.h"
#include "server/history_wait.h"
#include "server/server_config.h"

static bool
is_kept(const struct leaf *leaf, const struct upstream_name *name)
{
	return name->kind == HUB_CHANNEL && hub_keeps(leaf->server->hub, name->name);
}

/* It has a position that this node has not seen, maybe of an epoch that begins. */
static bool
is_ahead(const struct leaf *leaf, const struct upstream_name *name)
{
	struct hub_position newest = history_position(hub_history(leaf->server->hub));

	return position_compare(name->since, newest) > 0;
}

/* The hub cannot judge the position, or read the history, of the channel. */
static bool
lacks_history(struct leaf *leaf, const struct upstream_name *name)
{
	return hub_ring(leaf->server->hub, name->name, leaf->server->now_us) == NULL ||
	       is_ahead(leaf, name);
}

bool
leaf_needs_history(struct leaf *leaf, const struct upstream_name *name)
{
	struct engine *engine = link_engine(leaf->link);

	if (engine == NULL || !is_kept(leaf, name))
		return false;
	if (engine_state_of(engine) != ENGINE_LIVE) /* then all channels are loaded */
		return false;
	return !engine_has(engine, name->name) || (!name->is_again && lacks_history(leaf, name));
}

bool
leaf_was_asked_too_early(const struct leaf *leaf, const struct upstream_name *name)
{
	return leaf->config.engine != NULL && is_kept(leaf, name) && is_ahead(leaf, name);
}

bool
leaf_awaits_history(struct leaf *leaf, const struct upstream_name *name)
{
	return leaf->config.engine != NULL && leaf->server->now_us < leaf->patient_until_us &&
	       is_kept(leaf, name) && lacks_history(leaf, name);
}

bool
leaf_is_catching_up(const struct leaf *leaf)
{
	const struct engine *engine = link_engine(leaf->link);

	return engine != NULL && link_state_of(leaf->link) >= LINK_JOINING &&
	       engine_state_of(engine) != ENGINE_LIVE;
}

const struct channel_options *
leaf_kept_options(const struct leaf *leaf, const struct hub_post *post)
{
	if (leaf->config.engine == NULL || post->kind != HUB_CHANNEL)
		return NULL;
	return hub_kept_options(leaf->server->hub, post->channel);
}

/* The engine keeps a stream longer than its messages, so that readers know what is missing. */
static struct engine_message
message_of(const struct hub_post *post, const struct channel_options *options)
{
	struct engine_message message = {.channel = post->channel,
	    .payload = post->payload,
	    .size = (uint32_t)options->history_size,
	    .ttl_ms = options->history_ttl * 2000};

	if (post->payload.len > options->history_message_bytes ||
	    post->payload.len > options->history_bytes)
		message.size = 0;
	return message;
}

bool
leaf_kept_message(
    const struct leaf *leaf, const struct hub_post *post, struct engine_message *message)
{
	const struct channel_options *options = leaf_kept_options(leaf, post);

	if (options != NULL)
		*message = message_of(post, options);
	return options != NULL;
}

void
leaf_publish_kept(
    struct leaf *leaf, const struct hub_post *post, const struct channel_options *options)
{
	struct engine_message message = message_of(post, options);

	link_publish_kept(leaf->link, &message);
}

void
leaf_delete_kept(struct leaf *leaf, struct slice channel)
{
	const struct channel_options *options = hub_kept_options(leaf->server->hub, channel);

	link_delete_kept(leaf->link, channel, options != NULL ? options->history_ttl * 2000 : 0);
}

static bool
engine_keeps(void *arg, struct slice channel, struct engine_limits *limits)
{
	const struct leaf *leaf = arg;
	const struct channel_options *options = hub_kept_options(leaf->server->hub, channel);

	if (options != NULL)
		*limits = (struct engine_limits){options->history_size, options->history_bytes};
	return options != NULL;
}

static uint64_t
random_bits(void *arg)
{
	const struct leaf *leaf = arg;

	return random_next(leaf->server->random);
}

static bool
engine_has_history(void *arg, struct slice channel)
{
	const struct leaf *leaf = arg;

	return hub_ring(leaf->server->hub, channel, leaf->now_us) != NULL;
}

static uint64_t
newest_seq(void *arg)
{
	const struct leaf *leaf = arg;

	return history_position(hub_history(leaf->server->hub)).seq;
}

static void
on_begins(void *arg, struct hub_position position)
{
	struct leaf *leaf = arg;

	hub_follow_from(leaf->server->hub, position);
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	const struct leaf *leaf = arg;

	history_set_holes(hub_history(leaf->server->hub), holes, count);
}

static void
on_moved(void *arg, uint64_t seq)
{
	struct leaf *leaf = arg;

	hub_follow_to(leaf->server->hub, seq);
}

static void
on_loaded(void *arg, const struct hub_loaded *loaded)
{
	struct leaf *leaf = arg;

	if (loaded->channel.len <= leaf->server->config->hub.name_bytes)
		hub_load_history(leaf->server->hub, loaded, leaf->now_us);
}

static void
on_deleted(void *arg, struct slice channel, uint64_t seq)
{
	struct leaf *leaf = arg;

	(void)seq;
	(void)hub_delete_history(leaf->server->hub, channel, leaf->now_us);
}

static void
on_missed(void *arg, struct slice channel, uint64_t seq, uint64_t count)
{
	struct leaf *leaf = arg;

	hub_miss_history(leaf->server->hub, channel, seq, count);
}

static bool
misses(void *arg, enum hub_kind kind, struct slice name)
{
	struct leaf *leaf = arg;

	if (kind == HUB_CHANNEL && engine_is_told(link_engine(leaf->link), name))
		return false;
	return interest_misses(link_interest(leaf->link), kind, name);
}

/* When history has begun anew, a message may come before its name is confirmed: the mark of what
 * was missed comes first. */
static void
on_kept_message(void *arg, struct slice channel, struct slice payload, uint64_t seq, bool is_kept)
{
	struct leaf *leaf = arg;
	struct hub *hub = leaf->server->hub;
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = channel, .payload = payload, .seq = is_kept ? seq : 0};
	struct hub_outcome outcome;
	enum hub_result result;

	if (channel.len > leaf->server->config->hub.name_bytes)
		return;
	if (interest_is_joining(link_interest(leaf->link)))
		hub_mark_gaps(hub, HUB_CHANNEL, channel, misses, leaf);
	leaf_claims_post(
	    leaf, (struct hub_position){history_position(hub_history(hub)).epoch, seq});
	result = hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &outcome);
	leaf_claims_post(leaf, (struct hub_position){0, 0});
	if (result == HUB_OK)
		return;
	leaf->missed++;
	hub_follow_to(hub, seq);
	hub_mark_gaps(hub, HUB_CHANNEL, channel, NULL, NULL);
	hub_drop_history(hub, channel, leaf->now_us);
}

/* A blocked reader asks for it again. */
static void
on_forgotten(void *arg, struct slice channel)
{
	struct leaf *leaf = arg;

	history_wait_again(leaf->server, channel);
	hub_drop_history(leaf->server->hub, channel, leaf->now_us);
}

const struct engine_ops leaf_engine_ops = {
    .keeps = engine_keeps,
    .has_history = engine_has_history,
    .random = random_bits,
    .newest_seq = newest_seq,
    .begins = on_begins,
    .holes = on_holes,
    .moved = on_moved,
    .loaded = on_loaded,
    .message = on_kept_message,
    .deleted = on_deleted,
    .missed = on_missed,
    .forgotten = on_forgotten,
};
