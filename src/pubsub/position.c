#include "config.h"

#include "pubsub/position.h"

#include <string.h>

size_t
position_len(struct hub_position position)
{
	return bytes_u64_len(position.epoch) + 1 + bytes_u64_len(position.seq);
}

size_t
position_print(char out[POSITION_TEXT_MAX], struct hub_position position)
{
	size_t len = bytes_from_u64(out, position.epoch);

	out[len++] = '-';
	return len + bytes_from_u64(out + len, position.seq);
}

bool
position_parse(struct slice text, struct hub_position *out)
{
	const char *dash = text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;
	struct hub_position position;
	size_t epoch_len;

	if (dash == NULL)
		return false;
	epoch_len = (size_t)(dash - text.ptr);
	if (!slice_to_u64((struct slice){text.ptr, epoch_len}, &position.epoch) ||
	    !slice_to_u64((struct slice){dash + 1, text.len - epoch_len - 1}, &position.seq))
		return false;
	*out = position;
	return true;
}

bool
position_parse_since(struct slice text, struct position_since *out)
{
	struct position_since since = {.kind = POSITION_AT};

	if (slice_is(text, "0")) {
		since.kind = POSITION_ALL;
	} else if (slice_is(text, "$")) {
		since.kind = POSITION_NEW;
	} else if (text.len > 1 && text.ptr[0] == '-') {
		since.kind = POSITION_LAST;
		if (!slice_to_u64((struct slice){text.ptr + 1, text.len - 1}, &since.count) ||
		    since.count == 0)
			return false;
	} else if (!position_parse(text, &since.at)) {
		return false;
	}
	*out = since;
	return true;
}

/* Moves the position by one, towards the inside of the range. False if there is none. */
static bool
step(struct hub_position *position, bool is_start)
{
	uint64_t last = is_start ? UINT64_MAX : 0, first = is_start ? 0 : UINT64_MAX;
	uint64_t by = is_start ? 1 : UINT64_MAX; /* + 1 or - 1 */

	if (position->seq != last) {
		position->seq += by;
		return true;
	}
	if (position->epoch == last)
		return false;
	position->epoch += by;
	position->seq = first;
	return true;
}

bool
position_parse_bound(struct slice text, bool is_start, struct hub_position *out)
{
	struct hub_position position = {0, is_start ? 0 : UINT64_MAX};
	bool excludes = text.len > 1 && text.ptr[0] == '(';

	if (excludes)
		text = (struct slice){text.ptr + 1, text.len - 1};
	if (!excludes && slice_is(text, "-"))
		position = (struct hub_position){0, 0};
	else if (!excludes && slice_is(text, "+"))
		position = (struct hub_position){UINT64_MAX, UINT64_MAX};
	else if (!slice_to_u64(text, &position.epoch) && !position_parse(text, &position))
		return false;
	if (excludes && !step(&position, is_start))
		return false;
	*out = position;
	return true;
}
