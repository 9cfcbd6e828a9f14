#include "config.h"

#include <fanfare/types.h>
#include <string.h>

#include "base/glob.h"
#include "core/state.h"

/* What needs no hub. */

static const char *const result_texts[] = {
    [FANFARE_OK] = "done",
    [FANFARE_MORE] = "more is to be done",
    [FANFARE_EMPTY] = "nothing more",
    [FANFARE_INVALID] = "invalid argument",
    [FANFARE_BUSY] = "not allowed within a callback, or too late",
    [FANFARE_CLOSED] = "the subscriber is closed",
    [FANFARE_ALREADY] = "subscribed already",
    [FANFARE_NOT_SUBSCRIBED] = "not subscribed",
    [FANFARE_NAME_TOO_LONG] = "the name of the channel or pattern is too long",
    [FANFARE_TOO_MANY_SUBSCRIPTIONS] = "the subscriber has too many subscriptions",
    [FANFARE_TOO_MANY_SUBSCRIBERS] = "the channel or pattern has too many subscribers",
    [FANFARE_TOO_MANY] = "too many channels or forms",
    [FANFARE_TOO_LARGE] = "the message is too large",
    [FANFARE_BLOCKED] = "a subscriber has no room",
    [FANFARE_FULL] = "the memory for messages is used up",
    [FANFARE_PREPARING] = "the message is being copied",
};

const char *
fanfare_result_text(enum fanfare_result result)
{
	size_t i = (size_t)result;

	return i < sizeof(result_texts) / sizeof(*result_texts) ? result_texts[i]
								: "unknown result";
}

struct fanfare_bytes
fanfare_bytes_of(const char *string)
{
	if (string == NULL)
		return (struct fanfare_bytes){NULL, 0};
	return (struct fanfare_bytes){string, strlen(string)};
}

size_t
fanfare_position_print(struct fanfare_position position, char *out)
{
	size_t len;

	_Static_assert(FANFARE_POSITION_TEXT == POSITION_TEXT_MAX + 1, "a text and its NUL");
	if (out == NULL)
		return 0;
	len = position_print(out, (struct hub_position){position.epoch, position.seq});
	out[len] = '\0';
	return len;
}

enum fanfare_result
fanfare_position_parse(struct fanfare_bytes text, struct fanfare_position *position)
{
	struct hub_position parsed;

	if (!core_are_bytes(text) || position == NULL || !position_parse(core_slice(text), &parsed))
		return FANFARE_INVALID;
	*position = (struct fanfare_position){parsed.epoch, parsed.seq};
	return FANFARE_OK;
}

bool
fanfare_glob_match(struct fanfare_bytes glob, struct fanfare_bytes text)
{
	return core_are_bytes(glob) && core_are_bytes(text) &&
	       glob_match(core_slice(glob), core_slice(text), false);
}
