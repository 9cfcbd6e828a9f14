#include "config.h"

#include "link/engine_claims.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "link/engine_claims_state.h"

#define PORTION_MESSAGES 256
#define PORTION_BYTES ((size_t)1 << 20)

struct engine_claims *
engine_claims_new(const struct engine_claims_ops *ops, void *arg, const char *node)
{
	struct engine_claims *claims = xcalloc(1, sizeof(*claims));

	claims->ops = ops;
	claims->arg = arg;
	claims->node = xstrdup(node);
	claims->groups = hash_map_new();
	TAILQ_INIT(&claims->all);
	TAILQ_INIT(&claims->waiting);
	TAILQ_INIT(&claims->ready);
	STAILQ_INIT(&claims->asked);
	STAILQ_INIT(&claims->leaving);
	claims->due_us = UINT64_MAX;
	return claims;
}

static struct slice
id_key(const uint64_t *id)
{
	return (struct slice){(const char *)id, sizeof(*id)};
}

struct claims_group *
claims_find(const struct engine_claims *claims, uint64_t id)
{
	return hash_map_get(claims->groups, id_key(&id));
}

/* Groups */

static struct claims_group *
add_group(struct engine_claims *claims, const struct queue_claims_group *from)
{
	struct claims_group *group;
	struct buffer key = {0};

	buffer_appendf(&key, "%d:%zu:", (int)from->kind, from->group.len);
	buffer_append_slice(&key, from->group);
	buffer_append_str(&key, ":");
	buffer_append_slice(&key, from->name);
	group = xcalloc(1, sizeof(*group) + key.len);
	memcpy(group->key, key.ptr, key.len);
	group->key_len = key.len;
	buffer_release(&key);
	TAILQ_INIT(&group->items);
	group->id = from->id;
	group->due_us = UINT64_MAX;
	hash_map_set(claims->groups, id_key(&group->id), group);
	TAILQ_INSERT_HEAD(&claims->all, group, link);
	return group;
}

static void
take_off(struct engine_claims *claims, struct claims_group *group, struct claims_item *item)
{
	TAILQ_REMOVE(&group->items, item, link);
	claims->figures.waiting--;
	if (TAILQ_EMPTY(&group->items))
		TAILQ_REMOVE(&claims->waiting, group, waiting);
}

static void
free_item(struct engine_claims *claims, struct claims_item *item)
{
	struct claims_body *body = item->body;

	xfree(item);
	if (--body->items > 0)
		return;
	claims->figures.waiting_bytes -= body->channel_len + body->payload_len;
	if (claims->newest == body)
		claims->newest = NULL;
	xfree(body);
}

/* What may be this node's is not given to another one. Messages in flight are counted with the
 * reply.
 */
static void
drop_items(struct engine_claims *claims, struct claims_group *group)
{
	struct claims_item *item;

	while ((item = TAILQ_FIRST(&group->items)) != NULL) {
		if (item->state == CLAIM_WON || item->state == CLAIM_UNSURE ||
		    item->state == CLAIM_MISSED)
			claims->figures.dropped++;
		take_off(claims, group, item);
		free_item(claims, item);
	}
}

static void
remove_group(struct engine_claims *claims, struct claims_group *group)
{
	struct claims_leaving *leaving;

	drop_items(claims, group);
	hash_map_remove(claims->groups, id_key(&group->id));
	TAILQ_REMOVE(&claims->all, group, link);
	if (group->is_ready)
		TAILQ_REMOVE(&claims->ready, group, ready);
	if (claims->is_linked) {
		leaving = xmalloc(sizeof(*leaving) + group->key_len);
		leaving->key_len = group->key_len;
		memcpy(leaving->key, group->key, group->key_len);
		STAILQ_INSERT_TAIL(&claims->leaving, leaving, link);
	}
	xfree(group);
}

/* The engine is to be told the number of members. */
static void
tell(struct engine_claims *claims, struct claims_group *group)
{
	group->heard_us = 0;
	TAILQ_REMOVE(&claims->all, group, link);
	TAILQ_INSERT_HEAD(&claims->all, group, link);
}

void
engine_claims_set(struct engine_claims *claims, const struct queue_claims_group *from)
{
	struct claims_group *group = claims_find(claims, from->id);

	if (from->members == 0) {
		if (group != NULL)
			remove_group(claims, group);
		return;
	}
	if (group == NULL)
		group = add_group(claims, from);
	if (group->members == from->members)
		return;
	group->members = from->members;
	tell(claims, group);
}

void
claims_wake(struct engine_claims *claims, struct claims_group *group, uint64_t due_us)
{
	if (due_us < group->retry_us)
		due_us = group->retry_us;
	if (due_us < group->due_us)
		group->due_us = due_us;
	if (group->due_us < claims->due_us)
		claims->due_us = group->due_us;
}

/* Messages */

/* Of the message, which the group before may have added. */
static struct claims_body *
body_of(struct engine_claims *claims, const struct queue_claims_message *message,
    struct hub_position at)
{
	struct slice channel = message->channel, payload = message->payload;
	struct claims_body *body = claims->newest;

	if (body != NULL && position_compare(claims->newest_at, at) == 0)
		return body;
	body = xmalloc(sizeof(*body) + channel.len + payload.len);
	*body = (struct claims_body){.channel_len = channel.len, .payload_len = payload.len};
	if (channel.len > 0)
		memcpy(body->bytes, channel.ptr, channel.len);
	if (payload.len > 0)
		memcpy(body->bytes + channel.len, payload.ptr, payload.len);
	claims->figures.waiting_bytes += channel.len + payload.len;
	claims->newest = body;
	claims->newest_at = at;
	return body;
}

/* A message that another group keeps back takes no more room. */
static bool
has_room(const struct engine_claims *claims, size_t len, struct hub_position at)
{
	if (claims->figures.waiting >= ENGINE_CLAIMS_WAITING)
		return false;
	if (claims->newest != NULL && position_compare(claims->newest_at, at) == 0)
		return true;
	return len <= ENGINE_CLAIMS_BYTES &&
	       claims->figures.waiting_bytes <= ENGINE_CLAIMS_BYTES - len;
}

bool
engine_claims_add(struct engine_claims *claims, const struct queue_claims_group *from,
    const struct queue_claims_message *message, struct hub_position position, uint64_t ttl_ms,
    uint64_t now_us)
{
	struct claims_group *group;
	struct claims_item *item;

	assert(from->members > 0);
	if (!has_room(claims, message->channel.len + message->payload.len, position)) {
		claims->figures.missed++;
		return false;
	}
	engine_claims_set(claims, from);
	group = claims_find(claims, from->id);
	item = xmalloc(sizeof(*item));
	*item = (struct claims_item){.at = position,
	    .position = message->position,
	    .added_us = now_us,
	    .state = CLAIM_WAITING,
	    .body = body_of(claims, message, position)};
	item->body->items++;
	if (TAILQ_EMPTY(&group->items))
		TAILQ_INSERT_TAIL(&claims->waiting, group, waiting);
	TAILQ_INSERT_TAIL(&group->items, item, link);
	claims->figures.waiting++;
	if (ttl_ms > group->ttl_ms)
		group->ttl_ms = ttl_ms;
	if (!group->is_asking)
		claims_wake(claims, group, claims_turn_us(group, item, true));
	return true;
}

void
claims_mark_ready(struct engine_claims *claims, struct claims_group *group)
{
	const struct claims_item *first = TAILQ_FIRST(&group->items);
	bool is_ready = first != NULL && claim_is_decided(first->state);

	if (is_ready && !group->is_ready)
		TAILQ_INSERT_TAIL(&claims->ready, group, ready);
	else if (!is_ready && group->is_ready)
		TAILQ_REMOVE(&claims->ready, group, ready);
	group->is_ready = is_ready;
}

/* The group may be gone afterwards. */
static void
deliver(struct engine_claims *claims, uint64_t group, const struct claims_item *item)
{
	const struct claims_body *body = item->body;
	struct queue_claims_message message = {.channel = {body->bytes, body->channel_len},
	    .payload = {body->bytes + body->channel_len, body->payload_len},
	    .position = item->position};

	switch (item->state) {
	case CLAIM_WON:
		if (claims->ops->deliver(claims->arg, group, &message))
			claims->figures.won++;
		else
			claims->figures.dropped++;
		return;
	case CLAIM_MISSED:
		claims->figures.missed++;
		claims->ops->missed(claims->arg, group);
		return;
	default:
		claims->figures.taken++;
	}
}

bool
engine_claims_work(struct engine_claims *claims)
{
	struct claims_group *group;
	struct claims_item *item;
	size_t bytes = 0;

	for (int i = 0; i < PORTION_MESSAGES && bytes < PORTION_BYTES; i++) {
		group = TAILQ_FIRST(&claims->ready);
		if (group == NULL)
			return false;
		item = TAILQ_FIRST(&group->items);
		bytes += item->body->payload_len;
		take_off(claims, group, item);
		claims_mark_ready(claims, group);
		deliver(claims, group->id, item);
		free_item(claims, item);
	}
	return !TAILQ_EMPTY(&claims->ready);
}

/* The connection */

static void
lose_items(struct engine_claims *claims, struct claims_group *group)
{
	struct claims_item *item;

	group->is_asking = false;
	group->retry_us = 0;
	TAILQ_FOREACH (item, &group->items, link)
		item->state = claim_next(item->state, CLAIM_IS_LOST);
	claims_wake(claims, group, 0);
}

void
engine_claims_lost(struct engine_claims *claims)
{
	struct claims_leaving *leaving;
	struct claims_group *group;
	struct claims_asked *asked;

	claims->is_linked = false;
	while ((leaving = STAILQ_FIRST(&claims->leaving)) != NULL) {
		STAILQ_REMOVE_HEAD(&claims->leaving, link);
		xfree(leaving);
	}
	while ((asked = STAILQ_FIRST(&claims->asked)) != NULL) {
		STAILQ_REMOVE_HEAD(&claims->asked, link);
		group = claims_find(claims, asked->group);
		if (group == NULL)
			claims->figures.dropped += asked->claims;
		else
			tell(claims, group);
		xfree(asked);
	}
	TAILQ_FOREACH (group, &claims->waiting, waiting)
		lose_items(claims, group);
}

void
engine_claims_free(struct engine_claims *claims)
{
	struct claims_group *group;

	if (claims == NULL)
		return;
	engine_claims_lost(claims);
	while ((group = TAILQ_FIRST(&claims->all)) != NULL)
		remove_group(claims, group);
	hash_map_free(claims->groups);
	xfree(claims->node);
	xfree(claims);
}

struct engine_claims_figures
engine_claims_figures(const struct engine_claims *claims)
{
	return claims->figures;
}
