#include "config.h"

#include "link/copies.h"

#include <stddef.h>

#include "resp/reply.h"

void
link_copies_reset(struct link_copies *copies)
{
	resp_value_free(copies->first);
	copies->first = NULL;
}

/* The channel and the payload are the last two items, a pattern is in front of them. */
static const struct resp_value *
from_end(const struct resp_value *value, size_t i)
{
	return &value->items[value->count - i];
}

bool
link_copies_is_copy(struct link_copies *copies, enum hub_kind kind, struct resp_value **value)
{
	const struct resp_value *first = copies->first, *v = *value;

	if (kind == HUB_SHARD) { /* a channel of another kind, without patterns */
		link_copies_reset(copies);
		return false;
	}
	if (first != NULL && slice_eq(from_end(first, 2)->text, from_end(v, 2)->text) &&
	    slice_eq(from_end(first, 1)->text, from_end(v, 1)->text) &&
	    (kind != copies->kind ||
		(kind == HUB_PATTERN && !slice_eq(first->items[1].text, v->items[1].text))))
		return true;
	link_copies_reset(copies);
	copies->first = *value;
	copies->kind = kind;
	*value = NULL;
	return false;
}
