#include "config.h"

#include "edge/socket.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/log.h"
#include "edge/commands.h"
#include "edge/edge.h"
#include "edge/session.h"
#include "edge/subscriptions.h"
#include "http/response.h"
#include "http/ws_frame.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/door.h"
#include "server/held.h"
#include "server/io.h"
#include "server/request.h"

static const struct {
	unsigned code;
	const char *text;
} closes[] = {
    {EDGE_CLOSE_SHUTDOWN, "shutdown"},
    {EDGE_CLOSE_INTERNAL, "internal server error"},
    {EDGE_CLOSE_EXPIRED, "connection expired"},
    {EDGE_CLOSE_SLOW, "slow"},
    {EDGE_CLOSE_INSUFFICIENT, "insufficient state"},
    {EDGE_CLOSE_MAX_AGE, "maximum age reached"},
    {EDGE_CLOSE_NO_PONG, "no pong"},
    {EDGE_CLOSE_TOO_MANY, "too many requests"},
    {EDGE_CLOSE_NOT_JOINED, "not authenticated in time"},
    {EDGE_CLOSE_TOKEN, "invalid token"},
    {EDGE_CLOSE_BAD_REQUEST, "bad request"},
    {EDGE_CLOSE_KICKED, "disconnected"},
    {EDGE_CLOSE_CHANNELS, "too many channels"},
    {EDGE_CLOSE_DENIED, "permission denied"},
};

const char *
edge_close_text(unsigned code)
{
	for (size_t i = 0; i < sizeof(closes) / sizeof(closes[0]); i++)
		if (closes[i].code == code)
			return closes[i].text;
	return "";
}

void
edge_socket_send(struct edge_session *s, struct slice text)
{
	struct buffer frame = {0};

	ws_put_frame(&frame, WS_TEXT, text);
	held_push_reply(s->client, buffer_slice(&frame));
	buffer_release(&frame);
}

void
edge_socket_close(struct edge_session *s, unsigned code)
{
	struct buffer frame = {0};

	if (!edge_session_move(s, EDGE_EVENT_END))
		return;
	ws_put_close(&frame, code, slice_of(edge_close_text(code)));
	held_push_reply(s->client, buffer_slice(&frame));
	buffer_release(&frame);
	client_finish(s->client);
}

void
edge_socket_began(struct edge_session *s, uint64_t now_us)
{
	s->edge->figures.sockets++;
	edge_session_begin_age(s, now_us);
	s->spoke_us = now_us;
	edge_session_schedule(s);
}

static void
ping(struct edge_session *s, uint64_t now_us)
{
	/* Also behind messages that are queued: the pong shows that the peer has read them. */
	s->spoke_us = now_us;
	s->awaits_pong = true;
	edge_socket_send(s, SLICE("{}"));
}

/* The time of what is due is over. */
static bool
is_silent(const struct edge_session *s, uint32_t limit_s, uint64_t now_us)
{
	return now_us >= s->spoke_us + (uint64_t)limit_s * 1000000;
}

void
edge_socket_tick(struct edge_session *s, uint64_t now_us)
{
	const struct edge_config *config = s->edge->config;
	struct edge_figures *figures = &s->edge->figures;

	edge_subscriptions_expire(s, now_us);
	if (s->expires_us != 0 && now_us >= s->expires_us) {
		figures->expired_sessions++;
		edge_socket_close(s, EDGE_CLOSE_EXPIRED);
	} else if (s->ends_us != 0 && now_us >= s->ends_us) {
		figures->aged_sessions++;
		edge_socket_close(s, EDGE_CLOSE_MAX_AGE);
	} else if (s->state == EDGE_JOINING) {
		if (is_silent(s, config->connect_timeout_s, now_us))
			edge_socket_close(s, EDGE_CLOSE_NOT_JOINED);
	} else if (s->awaits_pong) {
		if (is_silent(s, config->pong_timeout_s, now_us)) {
			figures->unanswered_pings++;
			edge_socket_close(s, EDGE_CLOSE_NO_PONG);
		}
	} else if (is_silent(s, config->ping_interval_s, now_us)) {
		ping(s, now_us);
	}
	edge_session_schedule(s);
}

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
	default:
		return EDGE_CLOSE_INTERNAL;
	}
}

/* A client that was refused before its first request. */
static void
put_refusal(enum door_end why, struct buffer *farewell)
{
	bool is_full = why == DOOR_END_REFUSED_FULL;

	http_put_response(farewell,
	    &(struct http_response){
		.status = is_full ? 503 : 403,
		.extra = is_full ? SLICE("Retry-After: 2\r\nCache-Control: no-store\r\n")
				 : SLICE("Cache-Control: no-store\r\n"),
		.content_type = "application/json",
		.body = is_full ? SLICE("{\"error\":\"max number of clients reached\"}\n")
				: SLICE("{\"error\":\"the server is in protected mode\"}\n"),
	    });
}

void
edge_session_ending(struct client *c, enum door_end why, struct buffer *farewell)
{
	struct edge_session *s = edge_session_of(c);
	unsigned code = close_code_of(why);

	if (why == DOOR_END_REFUSED_FULL || why == DOOR_END_REFUSED_PROTECTED)
		put_refusal(why, farewell);
	else if (s->state == EDGE_JOINING || s->state == EDGE_SOCKET)
		ws_put_close(farewell, code, slice_of(edge_close_text(code)));
	(void)edge_session_move(s, EDGE_EVENT_END);
}

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
