#include "config.h"

#include "cmd/position_errors.h"

#include <stdio.h>

/* An error text repeats at most this many bytes of a name or position. */
#define SHOWN_MAX 128

static int
shown_len(struct slice text)
{
	return (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

void
position_error(struct request *rq, struct slice arg, const char *allowed)
{
	request_error(
	    rq, "ERR Invalid position '%.*s': must be %s", shown_len(arg), arg.ptr, allowed);
}

bool
position_read_since(struct request *rq, struct slice arg, struct position_since *since)
{
	if (position_parse_since(arg, since))
		return true;
	position_error(rq, arg, "EPOCH-SEQ, 0, $ or -N");
	return false;
}

size_t
position_lost_text(char out[POSITION_LOST_MAX], struct slice channel, struct hub_position since)
{
	char position[POSITION_TEXT_MAX];
	int len = (int)position_print(position, since);

	return (size_t)snprintf(out, POSITION_LOST_MAX,
	    "LOST channel '%.*s' has no messages since %.*s any more", shown_len(channel),
	    channel.ptr, len, position);
}

void
position_lost_error(struct request *rq, struct slice channel, struct hub_position since)
{
	char text[POSITION_LOST_MAX];

	(void)position_lost_text(text, channel, since);
	request_error(rq, "%s", text);
}
