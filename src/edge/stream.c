#include "config.h"

#include "edge/stream.h"

#include "base/buffer.h"
#include "edge/session.h"
#include "pubsub/hub_replay.h"
#include "pubsub/position.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/io.h"

void
edge_stream_put_position(const struct edge_session *s, struct buffer *out)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_print(text, hub_queued_position(&s->client->subscriber));

	buffer_append_str(out, "id: ");
	buffer_append(out, text, len);
	buffer_append_str(out, "\n\n");
}

void
edge_stream_began(struct edge_session *s, uint64_t now_us)
{
	struct client *c = s->client;

	s->edge->figures.streams++;
	c->server->io->switch_protocol(client_conn(c), SERVER_PROTOCOL_NONE);
	edge_session_begin_age(s, now_us);
	s->spoke_us = now_us;
	edge_session_schedule(s);
}

static void
end(struct edge_session *s, const char *farewell)
{
	if (!edge_session_move(s, EDGE_EVENT_END))
		return;
	client_send_reply(s->client, slice_of(farewell));
	client_finish(s->client);
}

static void
put_heartbeat(struct edge_session *s)
{
	struct buffer out = {0};

	if (s->has_kept)
		edge_stream_put_position(s, &out);
	else
		buffer_append_str(&out, ":\n\n");
	client_send_reply(s->client, buffer_slice(&out));
	buffer_release(&out);
}

void
edge_stream_tick(struct edge_session *s, uint64_t now_us)
{
	uint64_t heartbeat_us = (uint64_t)s->edge->config->sse_heartbeat_s * 1000000;

	if (s->expires_us != 0 && now_us >= s->expires_us) {
		s->edge->figures.expired_sessions++;
		end(s, "event: expired\ndata: {}\n\n");
		return;
	}
	if (s->ends_us != 0 && now_us >= s->ends_us) {
		s->edge->figures.aged_sessions++;
		end(s, "");
		return;
	}
	s->spoke_us = edge_session_active_us(s);
	if (now_us >= s->spoke_us + heartbeat_us) {
		/* With output queued it is not silent, and a peer that reads nothing must not get
		 * more. */
		if (outbox_is_empty(&s->client->subscriber.outbox))
			put_heartbeat(s);
		s->spoke_us = now_us;
	}
	edge_session_schedule(s);
}
