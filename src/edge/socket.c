#include "config.h"

#include "edge/socket.h"

#include "base/buffer.h"
#include "edge/session.h"
#include "http/ws_frame.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/held.h"

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
    {EDGE_CLOSE_CHANNELS, "channel limit"},
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
