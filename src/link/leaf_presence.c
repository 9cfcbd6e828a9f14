#include "config.h"

#include "link/leaf_presence.h"

#include "base/random.h"
#include "link/engine_presence.h"
#include "link/engine_script.h"
#include "link/leaf_engine.h"
#include "link/leaf_state.h"
#include "link/link.h"
#include "server/core.h"
#include "server/upstream_presence.h"

/* Operations of the upstream */

static struct leaf *
leaf_of(struct upstream *upstream)
{
	return (struct leaf *)(void *)upstream;
}

static enum upstream_sending
begin(struct upstream *upstream)
{
	struct leaf *leaf = leaf_of(upstream);

	if (link_state_of(leaf->link) < LINK_JOINING)
		return UPSTREAM_DOWN;
	(void)engine_presence_want(link_presence(leaf->link));
	return engine_presence_has_room(link_presence(leaf->link)) ? UPSTREAM_SENT : UPSTREAM_BUSY;
}

static bool
has_room(const struct upstream *upstream)
{
	const struct leaf *leaf = (const struct leaf *)(const void *)upstream;

	return engine_presence_has_room(link_presence(leaf->link));
}

static void
change(struct upstream *upstream, const struct upstream_presence_change *what)
{
	engine_presence_change(link_presence(leaf_of(upstream)->link), what);
}

static enum upstream_sending
ask(struct upstream *upstream, const struct upstream_presence_query *query, uint64_t *ticket)
{
	struct leaf *leaf = leaf_of(upstream);
	enum link_state state = link_state_of(leaf->link);

	if (state < LINK_JOINING)
		return UPSTREAM_DOWN;
	if (!engine_presence_want(link_presence(leaf->link)))
		return UPSTREAM_BUSY; /* see on_room() */
	if (state == LINK_UP && leaf_queued_bytes(leaf) < leaf->settings->queued_bytes) {
		*ticket = engine_presence_ask(link_presence(leaf->link), query);
		if (*ticket > 0)
			return UPSTREAM_SENT;
	}
	leaf->has_held_up = true;
	return UPSTREAM_BUSY;
}

static void
registered(struct upstream *upstream)
{
	engine_presence_registered(link_presence(leaf_of(upstream)->link));
}

static void
end(struct upstream *upstream, uint64_t lease_ms)
{
	engine_presence_end(link_presence(leaf_of(upstream)->link), lease_ms);
}

const struct upstream_presence_ops leaf_upstream_presence = {
    begin, has_room, change, ask, registered, end};

/* Operations of the link */

static uint64_t
random_bits(void *arg)
{
	const struct leaf *leaf = arg;

	return random_next(leaf->server->random);
}

static bool
keeps(void *arg, struct slice channel, struct slice event, uint32_t *size, uint64_t *ttl_ms)
{
	const struct leaf *leaf = arg;
	const struct hub_post post = {.kind = HUB_CHANNEL, .channel = channel, .payload = event};
	struct engine_message message;

	if (!leaf_kept_message(leaf, &post, &message))
		return false;
	*size = message.size;
	*ttl_ms = message.ttl_ms;
	return true;
}

static void
on_told(void *arg, bool is_published)
{
	const struct leaf *leaf = arg;

	server_presence_told(leaf->server, is_published);
}

static void
on_skipped(void *arg)
{
	const struct leaf *leaf = arg;

	server_presence_refused(leaf->server);
}

static void
on_registers(void *arg)
{
	const struct leaf *leaf = arg;

	server_presence_register(leaf->server);
}

static void
on_state(void *arg, struct slice channel, struct slice member, struct upstream_presence_change *out)
{
	const struct leaf *leaf = arg;

	server_presence_state(leaf->server, channel, member, out);
}

static void
on_expired(void *arg, struct slice channel, struct slice member, struct slice info,
    struct upstream_presence_change *out)
{
	const struct leaf *leaf = arg;

	server_presence_expired(leaf->server, channel, member, info, out);
}

static void
on_answered(void *arg, uint64_t ticket, const struct upstream_presence_answer *answer)
{
	const struct leaf *leaf = arg;

	server_presence_answered(leaf->server, ticket, answer);
}

static void
on_room(void *arg)
{
	const struct leaf *leaf = arg;

	server_upstream_changed(leaf->server);
}

const struct engine_presence_ops leaf_presence_ops = {
    .random = random_bits,
    .keeps = keeps,
    .told = on_told,
    .skipped = on_skipped,
    .registers = on_registers,
    .state = on_state,
    .expired = on_expired,
    .answered = on_answered,
    .has_room = on_room,
};
