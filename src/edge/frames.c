#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/log.h"
#include "edge/commands.h"
#include "edge/edge.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "http/ws_frame.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/held.h"
#include "server/request.h"
#include "server/server.h"

/* The messages of WebSockets. */

/* A frame: a letter for its kind, and its payload (http/ws_protocol.h). */
static enum command_result
handle(struct request *rq)
{
	struct edge_session *s = edge_session_of(rq->client);
	struct slice payload = rq->argv[1];
	char kind = rq->argv[0].ptr[0];

	/* The commands of a text are counted one by one. */
	if ((kind != 't' || payload.len == 0) && kind != 'c' &&
	    !edge_session_take_turn(s, rq->now_us)) {
		edge_commands_refuse(s, rq, EDGE_CLOSE_TOO_MANY);
		return COMMAND_DONE;
	}
	switch (kind) {
	case 't':
		return edge_commands_run(s, rq, payload);
	case 'i':
		ws_put_frame(rq->reply, WS_PONG, payload);
		break;
	case 'c':
		if (edge_session_move(s, EDGE_EVENT_END)) {
			ws_put_frame(rq->reply, WS_CLOSE,
			    (struct slice){payload.ptr, payload.len < 2 ? 0 : 2});
			client_finish(rq->client);
		}
		break;
	case 'b':
		s->edge->figures.broken_frames++;
		edge_commands_refuse(s, rq, EDGE_CLOSE_BAD_REQUEST);
		break;
	default: /* an unasked pong */
		break;
	}
	return COMMAND_DONE;
}

static const struct command command = {
    .name = "websocket",
    .handler = handle,
    .flags = CMD_PUBSUB | CMD_MAY_REPLICATE | CMD_SKIP_SLOWLOG,
};

enum request_verdict
edge_frame(void *client, const struct slice *args, size_t count)
{
	const struct edge_session *s = edge_session_of(client);

	assert(count == 2 && args[0].len == 1);
	if (s->state == EDGE_ENDED)
		return REQUEST_NEXT;
	return server_door_request(client, &command, args, count);
}

/* error is "CODE text": see http/ws_protocol.h. */
void
edge_frame_broken(void *client, const char *error)
{
	struct edge_session *s = edge_session_of(client);
	unsigned code = (unsigned)strtoul(error, NULL, 10);
	struct buffer frame = {0};
	char label[160];

	s->edge->figures.broken_frames++;
	if (edge_may_log(s->edge))
		log_notice("closing client %s: invalid WebSocket frame: %s",
		    client_label(client, label, sizeof(label)), error);
	if (!edge_session_move(s, EDGE_EVENT_END))
		return;
	ws_put_close(&frame, code, slice_of(error + 5));
	held_push_reply(client, buffer_slice(&frame));
	buffer_release(&frame);
	client_finish(client);
}
