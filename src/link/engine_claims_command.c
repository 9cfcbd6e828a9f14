#include "config.h"

#include <assert.h>
#include <stdint.h>

#include "base/alloc.h"
#include "link/engine_claims.h"
#include "link/engine_claims_state.h"
#include "link/engine_script.h"
#include "resp/reply.h"

/* Claims: the commands to the engine, and its replies. */

/* Only so many messages from the first one on are claimed: those that nobody has claimed yet are
 * then far above the claims that the engine has removed. */
#define WINDOW 2048
#define HEARD_AT_ONCE 256
#define FRAME_WORDS 64 /* bytes */
#define TTL_MS_MIN ((uint64_t)3600000)
#define WRONG_CLAIM "the upstream's reply about the messages of a queue group is not valid"

/* SplitMix64's output function. */
static uint64_t
hash_of(uint64_t seq)
{
	uint64_t z = seq + 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool
is_preferred(const struct claims_group *group, uint64_t seq)
{
	uint64_t at;

	if (group->members_of_all == 0)
		return false;
	at = hash_of(seq) % group->members_of_all;
	return at >= group->share_from && at < group->share_to;
}

/* No other node has a member. */
static bool
is_alone(const struct claims_group *group)
{
	return group->members_of_all > 0 &&
	       group->share_to - group->share_from == group->members_of_all;
}

uint64_t
claims_turn_us(const struct claims_group *group, const struct claims_item *item, bool has_room)
{
	if (item->state == CLAIM_UNSURE || is_alone(group) ||
	    (has_room && is_preferred(group, item->at.seq)))
		return 0;
	return item->added_us + (has_room ? ENGINE_CLAIMS_PATIENCE_US : ENGINE_CLAIMS_FULL_US);
}

/* Commands */

/* What of a group's items goes into one command: those up to `last` of one epoch, that are due. */
struct plan {
	const struct claims_item *last; /* it is won, or claimed now; NULL: there is none */
	uint64_t epoch;
	uint64_t now_us, next_us; /* next_us: when a further item is due */
	size_t count, claims;
};

/* A message behind it is or will be this node's, and cannot be delivered before it is known who has
 * this one. */
static bool
is_looked_for(const struct claims_item *item, uint64_t now_us)
{
	return item->looked_us == 0 || now_us >= item->looked_us + ENGINE_CLAIMS_LOOK_US;
}

/* A frame has the names and some words besides the payload. */
static size_t
frame_len(const struct claims_group *group, const struct claims_item *item)
{
	return FRAME_WORDS + group->key_len + item->body->channel_len + item->body->payload_len;
}

/* How many messages as long as the longest one members have room for. */
static size_t
room_for(const struct engine_claims *claims, const struct claims_group *group)
{
	const struct claims_item *item;
	size_t len = 0, seen = 0;

	if (is_alone(group))
		return SIZE_MAX;
	TAILQ_FOREACH (item, &group->items, link) {
		if (frame_len(group, item) > len)
			len = frame_len(group, item);
		if (++seen == WINDOW)
			break;
	}
	return claims->ops->room(claims->arg, group->id, len);
}

static struct plan
plan_of(const struct engine_claims *claims, struct claims_group *group, uint64_t now_us)
{
	struct plan plan = {.now_us = now_us, .next_us = UINT64_MAX};
	size_t room = room_for(claims, group), seen = 0, open = 0;
	struct claims_item *item;

	TAILQ_FOREACH (item, &group->items, link) {
		uint64_t turn_us;

		if (++seen > WINDOW || open == ENGINE_CLAIMED)
			break;
		if (claim_is_decided(item->state)) {
			if (item->state != CLAIM_WON)
				continue;
			plan.last = item;
			room -= room > 0;
			continue;
		}
		if (open++ == 0)
			plan.epoch = item->at.epoch;
		else if (item->at.epoch != plan.epoch)
			break;
		turn_us = claims_turn_us(group, item, room > 0);
		item->is_due = turn_us <= now_us;
		if (item->is_due) {
			plan.last = item;
			room -= room > 0;
		} else if (turn_us < plan.next_us) {
			plan.next_us = turn_us;
		}
	}
	/* There may be room before. */
	if (plan.next_us < UINT64_MAX && plan.next_us > now_us + ENGINE_CLAIMS_PATIENCE_US)
		plan.next_us = now_us + ENGINE_CLAIMS_PATIENCE_US;
	return plan;
}

/* Counts the items that are asked for, or, if out is not NULL, writes them. */
static void
each_asked(struct claims_group *group, struct plan *plan, struct buffer *out)
{
	struct claims_item *item;
	bool is_over = plan->last == NULL;

	for (item = TAILQ_FIRST(&group->items); !is_over; item = TAILQ_NEXT(item, link)) {
		is_over = item == plan->last;
		if (claim_is_decided(item->state))
			continue;
		if (!item->is_due && !is_looked_for(item, plan->now_us)) {
			if (item->looked_us + ENGINE_CLAIMS_LOOK_US < plan->next_us)
				plan->next_us = item->looked_us + ENGINE_CLAIMS_LOOK_US;
			continue;
		}
		if (out == NULL) {
			plan->count++;
			plan->claims += item->is_due;
			continue;
		}
		engine_put_claimed(out, item->at.seq, !item->is_due);
		if (!item->is_due)
			item->looked_us = plan->now_us;
		item->state = claim_next(item->state, item->is_due ? CLAIM_ASKS : CLAIM_LOOKS);
	}
}

static void
put_command(struct engine_claims *claims, const struct engine_shas *shas, struct slice key,
    const struct claims_group *group, const struct plan *plan, struct buffer *out)
{
	struct engine_claim claim = {.key = key, .node = claims_node(claims), .ttl_ms = TTL_MS_MIN};
	struct claims_asked *asked = xcalloc(1, sizeof(*asked));

	if (group != NULL) {
		claim.members = group->members;
		if (group->ttl_ms > claim.ttl_ms)
			claim.ttl_ms = group->ttl_ms;
		asked->group = group->id;
	}
	if (plan != NULL) {
		claim.epoch = plan->epoch;
		claim.count = asked->count = plan->count;
		asked->claims = plan->claims;
	}
	engine_put_claim(out, shas, &claim);
	STAILQ_INSERT_TAIL(&claims->asked, asked, link);
}

static struct slice
key_of(const struct claims_group *group)
{
	return (struct slice){group->key, group->key_len};
}

/* The engine is told the number of members. */
static void
set_heard(struct engine_claims *claims, struct claims_group *group, uint64_t now_us)
{
	group->heard_us = now_us;
	TAILQ_REMOVE(&claims->all, group, link);
	TAILQ_INSERT_TAIL(&claims->all, group, link);
}

static size_t
write_items(struct engine_claims *claims, const struct engine_shas *shas,
    struct claims_group *group, uint64_t now_us, struct buffer *out)
{
	struct plan plan = plan_of(claims, group, now_us);

	each_asked(group, &plan, NULL);
	if (plan.count == 0) {
		group->due_us = plan.next_us;
		return 0;
	}
	put_command(claims, shas, key_of(group), group, &plan, out);
	each_asked(group, &plan, out);
	group->is_asking = true;
	group->due_us = UINT64_MAX;
	set_heard(claims, group, now_us);
	return 1;
}

static size_t
write_waiting(struct engine_claims *claims, const struct engine_shas *shas, uint64_t now_us,
    struct buffer *out)
{
	struct claims_group *group;
	size_t commands = 0;

	if (now_us < claims->due_us)
		return 0;
	claims->due_us = UINT64_MAX;
	TAILQ_FOREACH (group, &claims->waiting, waiting) {
		if (!group->is_asking && now_us >= group->due_us)
			commands += write_items(claims, shas, group, now_us, out);
		if (group->due_us < claims->due_us)
			claims->due_us = group->due_us;
	}
	return commands;
}

static uint64_t
heard_due_us(const struct engine_claims *claims)
{
	const struct claims_group *group = TAILQ_FIRST(&claims->all);

	if (group == NULL)
		return UINT64_MAX;
	return group->heard_us == 0 ? 0 : group->heard_us + ENGINE_CLAIMS_HEARD_US;
}

size_t
engine_claims_write(struct engine_claims *claims, const struct engine_shas *shas, uint64_t now_us,
    struct buffer *out)
{
	struct claims_leaving *leaving;
	struct claims_group *group;
	size_t commands = 0;

	claims->is_linked = true;
	while ((leaving = STAILQ_FIRST(&claims->leaving)) != NULL) {
		STAILQ_REMOVE_HEAD(&claims->leaving, link);
		put_command(
		    claims, shas, (struct slice){leaving->key, leaving->key_len}, NULL, NULL, out);
		xfree(leaving);
		commands++;
	}
	commands += write_waiting(claims, shas, now_us, out);
	for (int i = 0; i < HEARD_AT_ONCE && heard_due_us(claims) <= now_us; i++) {
		group = TAILQ_FIRST(&claims->all);
		put_command(claims, shas, key_of(group), group, NULL, out);
		set_heard(claims, group, now_us);
		commands++;
	}
	return commands;
}

uint64_t
engine_claims_due_us(const struct engine_claims *claims)
{
	uint64_t heard_us = heard_due_us(claims);

	if (!STAILQ_EMPTY(&claims->leaving))
		return 0;
	return heard_us < claims->due_us ? heard_us : claims->due_us;
}

/* Replies */

struct share {
	uint64_t from, to, all;
};

/* The nodes with members, in the order of their names. */
static bool
read_share(const struct engine_claims *claims, const struct resp_value *value, struct share *share)
{
	uint64_t members;

	*share = (struct share){0};
	for (size_t i = 1; i < value->count; i += 2) {
		const struct resp_value *name = &value->items[i], *number = name + 1;

		if (name->type != RESP_TYPE_BULK || number->type != RESP_TYPE_BULK ||
		    (i > 1 && slice_compare(value->items[i - 2].text, name->text) >= 0) ||
		    !slice_to_u64(number->text, &members) || members == 0 || members > UINT32_MAX)
			return false;
		if (slice_eq(name->text, claims_node(claims))) {
			share->from = share->all;
			share->to = share->all + members;
		}
		share->all += members;
	}
	return true;
}

static bool
is_result(const struct resp_value *value)
{
	return value->type == RESP_TYPE_INT && value->number >= 0 && value->number <= 3;
}

static bool
is_valid(const struct resp_value *value, const struct claims_asked *asked)
{
	const struct resp_value *results;

	if (value->type != RESP_TYPE_ARRAY || value->count % 2 != 1 ||
	    value->count > 1 + 2 * ENGINE_CLAIMS_NODES)
		return false;
	results = &value->items[0];
	if (results->type != RESP_TYPE_ARRAY || results->count != asked->count)
		return false;
	for (size_t i = 0; i < results->count; i++)
		if (!is_result(&results->items[i]))
			return false;
	return true;
}

static struct claims_item *
next_in_flight(struct claims_item *item)
{
	while (item != NULL && !claim_is_in_flight(item->state))
		item = TAILQ_NEXT(item, link);
	return item;
}

/* A message that is claimed is always somebody's. */
static bool
fits(struct claims_group *group, const struct resp_value *results)
{
	struct claims_item *item = TAILQ_FIRST(&group->items);

	for (size_t i = 0; i < results->count; i++) {
		item = next_in_flight(item);
		if (item == NULL || (results->items[i].number == 2 && item->state != CLAIM_LOOKING))
			return false;
		item = TAILQ_NEXT(item, link);
	}
	return true;
}

static void
apply(struct claims_group *group, const struct resp_value *results)
{
	static const enum claim_event events[] = {
	    CLAIM_IS_TAKEN, CLAIM_IS_WON, CLAIM_IS_FREE, CLAIM_IS_FORGOTTEN};
	struct claims_item *item = TAILQ_FIRST(&group->items);

	for (size_t i = 0; i < results->count; i++) {
		item = next_in_flight(item);
		assert(item != NULL); /* see fits() */
		item->state = claim_next(item->state, events[results->items[i].number]);
		item = TAILQ_NEXT(item, link);
	}
}

static uint64_t
count_won(const struct resp_value *results)
{
	uint64_t count = 0;

	for (size_t i = 0; i < results->count; i++)
		count += results->items[i].number == 1;
	return count;
}

/* The engine takes no writes now. */
static void
take_error(struct engine_claims *claims, const struct claims_asked *asked, uint64_t now_us)
{
	struct claims_group *group = claims_find(claims, asked->group);
	struct claims_item *item;

	if (asked->count == 0)
		return;
	if (group == NULL) {
		claims->figures.dropped += asked->claims;
		return;
	}
	TAILQ_FOREACH (item, &group->items, link)
		item->state = claim_next(item->state, CLAIM_IS_LOST);
	group->is_asking = false;
	group->retry_us = now_us + ENGINE_CLAIMS_RETRY_US;
	claims_wake(claims, group, group->retry_us);
}

static const char *
take_results(
    struct engine_claims *claims, const struct claims_asked *asked, const struct resp_value *value)
{
	struct claims_group *group = claims_find(claims, asked->group);
	const struct resp_value *results;
	struct share share;

	if (!is_valid(value, asked) || !read_share(claims, value, &share))
		return WRONG_CLAIM;
	results = &value->items[0];
	if (group == NULL) {
		claims->figures.dropped += count_won(results);
		return NULL;
	}
	if (!fits(group, results))
		return WRONG_CLAIM;
	group->share_from = share.from;
	group->share_to = share.to;
	group->members_of_all = share.all;
	if (asked->count > 0) {
		apply(group, results);
		group->is_asking = false;
		claims_mark_ready(claims, group);
	}
	if (!group->is_asking && !TAILQ_EMPTY(&group->items))
		claims_wake(claims, group, 0);
	return NULL;
}

const char *
engine_claims_take(struct engine_claims *claims, const struct resp_value *value, uint64_t now_us)
{
	struct claims_asked *asked = STAILQ_FIRST(&claims->asked);
	const char *why = NULL;

	if (asked == NULL)
		return WRONG_CLAIM;
	if (value->type == RESP_TYPE_ERROR) {
		if (!engine_error_passes(value->text))
			return ENGINE_CANNOT;
		STAILQ_REMOVE_HEAD(&claims->asked, link);
		take_error(claims, asked, now_us);
		xfree(asked);
		return NULL;
	}
	why = take_results(claims, asked, value);
	if (why == NULL) { /* otherwise the command is lost with the connection */
		STAILQ_REMOVE_HEAD(&claims->asked, link);
		xfree(asked);
	}
	return why;
}
