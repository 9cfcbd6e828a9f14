#include "config.h"

#include "link/push.h"

#include "resp/reply.h"

struct push_kind {
	const char *name;
	size_t items;
	size_t strings; /* so many of them, from the second on, are strings */
	enum hub_kind kind;
	enum link_push_what what;
};

static const struct push_kind push_kinds[] = {
    {"message", 3, 2, HUB_CHANNEL, PUSH_MESSAGE},
    {"pmessage", 4, 3, HUB_PATTERN, PUSH_MESSAGE},
    {"smessage", 3, 2, HUB_SHARD, PUSH_MESSAGE},
    {"subscribe", 3, 1, HUB_CHANNEL, PUSH_SUBSCRIBED},
    {"psubscribe", 3, 1, HUB_PATTERN, PUSH_SUBSCRIBED},
    {"ssubscribe", 3, 1, HUB_SHARD, PUSH_SUBSCRIBED},
    {"unsubscribe", 3, 1, HUB_CHANNEL, PUSH_UNSUBSCRIBED},
    {"punsubscribe", 3, 1, HUB_PATTERN, PUSH_UNSUBSCRIBED},
    {"sunsubscribe", 3, 1, HUB_SHARD, PUSH_UNSUBSCRIBED},
    {"lagged", 2, 0, HUB_CHANNEL, PUSH_LAGGED},
};

static const struct push_kind *
find(const struct resp_value *value)
{
	for (size_t i = 0; i < sizeof(push_kinds) / sizeof(push_kinds[0]); i++)
		if (value->count > 0 && slice_is(value->items[0].text, push_kinds[i].name))
			return &push_kinds[i];
	return NULL;
}

static bool
has_items(const struct resp_value *value, const struct push_kind *kind)
{
	if (value->count != kind->items)
		return false;
	for (size_t i = 1; i <= kind->strings; i++)
		if (value->items[i].type != RESP_TYPE_BULK)
			return false;
	return true;
}

struct link_push
link_push_read(const struct resp_value *value)
{
	const struct push_kind *kind = find(value);
	struct link_push push = {.what = PUSH_OTHER};
	size_t at = 1;

	if (kind == NULL)
		return push;
	push.kind = kind->kind;
	push.what = has_items(value, kind) ? kind->what : PUSH_BAD;
	if (push.what == PUSH_MESSAGE) {
		at = kind->strings - 1; /* behind the pattern, if it has one */
		push.payload = value->items[at + 1].text;
		push.by = value->items[1].text;
	}
	if (push.what != PUSH_BAD)
		push.name = value->items[at].text;
	return push;
}
