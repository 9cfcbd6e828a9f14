#include "config.h"

#include "link/catch_up.h"

#include <string.h>

#include "base/hash_map.h"

#define FREED_AT_ONCE 1000

#define N CATCH_UP_NONE
#define L CATCH_UP_LIVE
#define S CATCH_UP_SAVED
#define R CATCH_UP_REPLAYING

/* clang-format off */
static const uint8_t next_states[CATCH_UP_STATES][CATCH_UP_EVENTS] = {
/*                       positioned offered denied lost */
[CATCH_UP_NONE] =      { L,         N,      N,     N },
[CATCH_UP_LIVE] =      { L,         L,      N,     S },
[CATCH_UP_SAVED] =     { S,         R,      N,     S },
[CATCH_UP_REPLAYING] = { L,         R,      N,     N },
};
/* clang-format on */

enum catch_up_state
catch_up_next(enum catch_up_state state, enum catch_up_event event)
{
	return (enum catch_up_state)next_states[state][event];
}

static void
advance(struct catch_up *c, enum catch_up_event event)
{
	c->state = catch_up_next(c->state, event);
}

void
catch_up_release(struct catch_up *c)
{
	if (c->seen != NULL)
		hash_map_free(c->seen);
	c->seen = NULL;
}

void
catch_up_offered(struct catch_up *c)
{
	advance(c, CATCH_UP_OFFERED);
	c->target = (struct hub_position){0, 0};
	c->since_len = 0;
	if (c->state != CATCH_UP_REPLAYING)
		return;
	c->since_len = position_print(c->since, c->newest);
	catch_up_release(c);
	c->seen = hash_map_new();
}

void
catch_up_denied(struct catch_up *c)
{
	advance(c, CATCH_UP_DENIED);
	c->since_len = 0;
}

void
catch_up_lost(struct catch_up *c)
{
	advance(c, CATCH_UP_LOST);
	c->since_len = 0;
}

struct slice
catch_up_since(const struct catch_up *c)
{
	return (struct slice){c->since, c->since_len};
}

static void
settle(struct catch_up *c)
{
	advance(c, CATCH_UP_POSITIONED);
	c->since_len = 0;
}

void
catch_up_aim(struct catch_up *c, struct hub_position target)
{
	if (c->state == CATCH_UP_REPLAYING) {
		c->target = target;
		return;
	}
	if (position_compare(c->newest, target) < 0)
		c->newest = target;
	settle(c);
}

bool
catch_up_has_aim(const struct catch_up *c)
{
	return c->state == CATCH_UP_REPLAYING && c->target.epoch != 0;
}

void
catch_up_reached(struct catch_up *c, struct hub_position position)
{
	if (!catch_up_has_aim(c) || position_compare(position, c->target) < 0)
		return;
	if (position_compare(c->newest, position) < 0)
		c->newest = position;
	settle(c);
}

/* False if the channel has had a message with this seq or a later one. */
static bool
is_new(struct catch_up *c, struct slice channel, uint64_t seq)
{
	uintptr_t was = (uintptr_t)hash_map_get(c->seen, channel);

	if (seq <= was)
		return false;
	hash_map_set(c->seen, channel, (void *)(uintptr_t)seq);
	return true;
}

bool
catch_up_split(struct slice *payload, struct hub_position *position)
{
	size_t most = payload->len < POSITION_TEXT_MAX + 1 ? payload->len : POSITION_TEXT_MAX + 1;
	const char *space = memchr(payload->ptr, ' ', most);
	size_t len = space != NULL ? (size_t)(space - payload->ptr) : 0;

	if (space == NULL || !position_parse((struct slice){payload->ptr, len}, position))
		return false;
	*payload = (struct slice){space + 1, payload->len - len - 1};
	return true;
}

bool
catch_up_take(struct catch_up *c, struct slice channel, struct hub_position position)
{
	if (position.seq == 0) /* the channel keeps no history */
		return true;
	if (c->state == CATCH_UP_REPLAYING && !is_new(c, channel, position.seq))
		return false;
	if (position_compare(c->newest, position) < 0)
		c->newest = position;
	/* Kept messages of all names come in the order of their positions, once all are resumed. */
	catch_up_reached(c, position);
	return true;
}

bool
catch_up_is_full(const struct catch_up *c)
{
	return c->seen != NULL && hash_map_count(c->seen) >= CATCH_UP_CHANNELS_MAX;
}

static void
forget(struct slice channel, void *seq, void *arg)
{
	(void)channel;
	(void)seq;
	(void)arg;
}

void
catch_up_tidy(struct catch_up *c)
{
	size_t budget = FREED_AT_ONCE;

	if (c->seen != NULL && c->state != CATCH_UP_REPLAYING &&
	    hash_map_drain(c->seen, forget, NULL, &budget))
		catch_up_release(c);
}
