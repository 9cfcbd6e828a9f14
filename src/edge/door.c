#include "config.h"

#include "edge/door.h"

#include "base/buffer.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscriptions.h"
#include "http/response.h"
#include "http/ws_frame.h"

static unsigned
close_code_of(enum door_end why)
{
	switch (why) {
	case DOOR_END_SLOW:
		return EDGE_CLOSE_SLOW;
	case DOOR_END_BEHIND:
		return EDGE_CLOSE_INSUFFICIENT;
	case DOOR_END_KICKED:
		return EDGE_CLOSE_KICKED;
	case DOOR_END_DENIED:
		return EDGE_CLOSE_DENIED;
	case DOOR_END_SHUTDOWN:
		return EDGE_CLOSE_SHUTDOWN;
	case DOOR_END_OWN:
		return EDGE_CLOSE_NO_PONG;
	default:
		return EDGE_CLOSE_INTERNAL;
	}
}

/*
 * A client that was refused before its first request. One too many gets no response: an EventSource
 * connects again after a lost connection, but never after status 503.
 */
static void
put_refusal(enum door_end why, struct buffer *farewell)
{
	if (why != DOOR_END_REFUSED_PROTECTED)
		return;
	http_put_response(
	    farewell, &(struct http_response){
			  .status = 403,
			  .extra = SLICE("Cache-Control: no-store\r\n"),
			  .content_type = "application/json",
			  .body = SLICE("{\"error\":\"the server is in protected mode\"}\n"),
		      });
}

static void
ending(struct client *c, enum door_end why, struct buffer *farewell)
{
	struct edge_session *s = edge_session_of(c);
	unsigned code = close_code_of(why);

	if (why == DOOR_END_REFUSED_FULL || why == DOOR_END_REFUSED_PROTECTED)
		put_refusal(why, farewell);
	else if (s->state == EDGE_JOINING || s->state == EDGE_SOCKET)
		ws_put_close(farewell, code, slice_of(edge_close_text(code)));
	(void)edge_session_move(s, EDGE_EVENT_END);
}

/* Only a WebSocket can be told why it ends. The browser of an event stream comes back by itself. */
static bool
has_farewell(const struct client *c)
{
	const struct edge_session *s = edge_session_of(c);

	return s->state == EDGE_JOINING || s->state == EDGE_SOCKET;
}

static bool
may_receive(const struct client *c, struct slice name, bool is_pattern)
{
	const struct edge_session *s = edge_session_of(c);

	return edge_subscription_is_leased(s, name, is_pattern) ||
	       edge_may(s, EDGE_SUBSCRIBE, name, is_pattern);
}

const struct door_ops edge_door_ops = {
    .ending = ending,
    .has_farewell = has_farewell,
    .may_receive = may_receive,
    .freed = edge_session_freed,
};
