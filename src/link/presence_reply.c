#include "config.h"

#include "link/presence_reply.h"

#include <string.h>

#include "base/alloc.h"
#include "resp/reply.h"

/* A text is the error with which the event was refused. */
bool
presence_read_changed(const struct resp_value *value, enum presence_changed *changed)
{
	if (value->type == RESP_TYPE_BULK && value->text.len > 0) {
		*changed = PRESENCE_CHANGED;
		return true;
	}
	if (value->type != RESP_TYPE_INT || value->number < PRESENCE_CHANGED_NO_NODE ||
	    value->number > PRESENCE_CHANGED_PUBLISHED)
		return false;
	*changed = (enum presence_changed)value->number;
	return true;
}

static bool
is_text(const struct resp_value *value, size_t least, size_t most)
{
	return value->type == RESP_TYPE_BULK && value->text.len >= least && value->text.len <= most;
}

static bool
is_node(struct slice text)
{
	if (text.len != PRESENCE_NODE_LEN)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (memchr("0123456789abcdef", text.ptr[i], 16) == NULL)
			return false;
	return true;
}

bool
presence_read_lease(const struct resp_value *value, struct presence_lease *lease)
{
	const struct resp_value *items = value->items;
	bool has_members;

	if (value->type != RESP_TYPE_ARRAY || value->count < 1 || items[0].type != RESP_TYPE_INT ||
	    items[0].number < PRESENCE_LEASED_ENDED || items[0].number > PRESENCE_LEASED)
		return false;
	lease->leased = (enum presence_leased)items[0].number;
	lease->node[0] = '\0';
	lease->count = 0;
	if (value->count == 1)
		return true;
	if (value->count % 3 != 0 || value->count / 3 > PRESENCE_EXPIRED_MAX + 1 ||
	    items[1].type != RESP_TYPE_BULK || !is_node(items[1].text) ||
	    items[2].type != RESP_TYPE_INT)
		return false;
	memcpy(lease->node, items[1].text.ptr, PRESENCE_NODE_LEN);
	lease->node[PRESENCE_NODE_LEN] = '\0';
	has_members = items[2].number != 0;
	for (size_t i = 3; i < value->count; i += 3) {
		if (!is_text(&items[i], 0, PRESENCE_CHANNEL_MAX) ||
		    !is_text(&items[i + 1], 0, has_members ? PRESENCE_MEMBER_MAX : 0) ||
		    !is_text(&items[i + 2], 0, PRESENCE_INFO_MAX))
			return false;
		lease->expired[lease->count++] =
		    (struct presence_expired){items[i].text, items[i + 1].text, items[i + 2].text};
	}
	return true;
}

/* Items of `step` values each behind the first `begin` values: maybe a name, maybe an info, and a
 * number. */
static bool
read_items(const struct resp_value *value, size_t begin, size_t step, size_t name_max,
    struct upstream_presence_answer *answer)
{
	struct upstream_presence_item *items;

	if (value->type != RESP_TYPE_ARRAY || value->count < begin ||
	    (value->count - begin) % step != 0)
		return false;
	answer->count = (value->count - begin) / step;
	answer->items = items = xcalloc(answer->count + 1, sizeof(*items));
	for (size_t i = 0; i < answer->count; i++) {
		const struct resp_value *from = &value->items[begin + i * step];

		if ((step > 1 && !is_text(&from[0], 0, name_max)) ||
		    (step > 2 && !is_text(&from[1], 0, PRESENCE_INFO_MAX)) ||
		    from[step - 1].type != RESP_TYPE_INT || from[step - 1].number < 0) {
			presence_answer_release(answer);
			return false;
		}
		items[i].name = step > 1 ? from[0].text : SLICE("");
		items[i].info = step > 2 ? from[1].text : SLICE("");
		items[i].number = (uint64_t)from[step - 1].number;
	}
	return true;
}

bool
presence_read_answer(const struct resp_value *value, enum upstream_presence_asks asks, size_t count,
    struct upstream_presence_answer *answer)
{
	bool fits = false;

	*answer = (struct upstream_presence_answer){0};
	switch (asks) {
	case UPSTREAM_PRESENCE_MEMBERS:
		fits = read_items(value, 1, 3, PRESENCE_MEMBER_MAX, answer) &&
		       slice_to_u64(value->items[0].text, &answer->cursor);
		break;
	case UPSTREAM_PRESENCE_CHANNELS:
		fits = read_items(value, 1, 2, PRESENCE_CHANNEL_MAX, answer) &&
		       value->items[0].type == RESP_TYPE_INT && answer->count <= count;
		answer->cursor = fits ? (uint64_t)value->items[0].number : 0;
		/* More, but none now: that would be asked for ever. */
		fits = fits && answer->cursor <= (answer->count > 0);
		break;
	case UPSTREAM_PRESENCE_COUNT:
		fits = read_items(value, 0, 1, 0, answer) && answer->count == count;
		break;
	}
	if (!fits)
		presence_answer_release(answer);
	return fits;
}

void
presence_answer_release(struct upstream_presence_answer *answer)
{
	xfree((void *)(uintptr_t)answer->items);
	*answer = (struct upstream_presence_answer){0};
}
