#include "config.h"

#include "edge/edge.h"

#include <assert.h>

#include "base/alloc.h"
#include "edge/door.h"
#include "edge/forms.h"
#include "edge/forwarded.h"
#include "edge/metrics.h"
#include "edge/session.h"
#include "edge/socket_timer.h"
#include "edge/stream.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/io.h"
#include "server/server.h"

/* The rate limit of log lines that peers cause: lines a second, and a first burst. */
#define LOGS_A_SECOND 10
#define LOGS_AT_ONCE 50

/* Sessions whose timers are handled in one turn, at a few microseconds each. */
#define TICKS_A_TURN 512

static void
moved(void *thing, uint32_t place)
{
	struct edge_session *s = thing;

	s->place = place;
}

static const struct time_queue_ops due_ops = {.moved = moved, .realloc = xrealloc, .free = xfree};

struct edge *
edge_new(const struct edge_config *config, struct server *server, const struct edge_io *io)
{
	struct edge *edge = xcalloc(1, sizeof(*edge));

	edge->config = config;
	edge->server = server;
	edge->io = *io;
	for (int i = 0; i < EDGE_FORMS; i++) {
		uint8_t form = hub_add_form(server->hub, &edge_forms[i]);

		if (i == 0)
			edge->first_form = form;
	}
	time_queue_init(&edge->due, &due_ops);
	edge_proofs_init(&edge->proofs, &edge->io);
	rate_limit_init(&edge->log_limit, LOGS_A_SECOND, LOGS_AT_ONCE);
	edge_metrics_init(edge);
	edge_reconfigured(edge);
	return edge;
}

void
edge_free(struct edge *edge)
{
	assert(edge->due.count == 0 && edge->proofs.in_flight == 0);
	time_queue_release(&edge->due);
	edge_forms_release();
	xfree(edge);
}

void
edge_reconfigured(struct edge *edge)
{
	edge_forms_configure(edge->config->ws_glob_prefix, edge->config->ws_deflate_min);
}

void
edge_set_tokens(struct edge *edge, struct tokens *tokens)
{
	edge->tokens = tokens;
}

void *
edge_open(struct edge *edge, void *conn, const struct server_peer *peer, bool is_tls,
    struct outbox **outbox)
{
	struct edge_session *s = edge_session_new(edge, &edge_door_ops, is_tls);

	s->client = server_open_door(edge->server, conn, peer, &s->door, edge->config->anonymous);
	*outbox = server_outbox(s->client);
	return s->client;
}

void
edge_closed(void *client, const char *reason)
{
	struct edge_session *s = edge_session_of(client);

	(void)edge_session_move(s, EDGE_EVENT_END);
	edge_forwarded_leave(s);
	server_closed(client, reason);
}

static void
tick(struct edge_session *s, uint64_t now_us)
{
	if (s->state == EDGE_STREAM)
		edge_stream_tick(s, now_us);
	else
		edge_socket_tick(s, now_us);
}

uint64_t
edge_turn(struct edge *edge, uint64_t now_us)
{
	const struct time_queue_entry *first;

	edge_proofs_turn(&edge->proofs);
	for (int n = 0; (first = time_queue_first(&edge->due)) != NULL; n++) {
		if ((uint64_t)first->at > now_us)
			return (uint64_t)first->at - now_us;
		if (n == TICKS_A_TURN)
			return 0;
		tick(first->thing, now_us);
	}
	return UINT64_MAX;
}
