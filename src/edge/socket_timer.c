#include "config.h"

#include "edge/socket_timer.h"

#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscriptions.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/door.h"

/* Behind what is queued: there is at most one that is not answered. */
static void
ping(struct edge_session *s, uint64_t now_us)
{
	s->spoke_us = now_us;
	s->awaits_pong = true;
	edge_socket_send(s, SLICE("{}"));
}

/* While the ping may still be queued, the pong is due after the last sign of the peer: it may be
 * reading the messages before the ping. */
static void
await_pong(struct edge_session *s)
{
	if (!outbox_is_empty(&s->client->subscriber.outbox))
		s->spoke_us = edge_session_active_us(s);
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
	/* What it was to send may be behind a request that waits, in CLIENT PAUSE for example. */
	if ((s->awaits_pong || s->state == EDGE_JOINING) && client_waits_for(s->client) != WAIT_NOT)
		s->spoke_us = now_us;
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
		await_pong(s);
		if (is_silent(s, config->pong_timeout_s, now_us)) {
			figures->unanswered_pings++;
			s->spoke_us = now_us;
			/* A peer that is gone does not read what is queued. */
			client_dismiss(s->client, DOOR_END_OWN, "no pong");
		}
	} else if (is_silent(s, config->ping_interval_s, now_us)) {
		ping(s, now_us);
	}
	edge_session_schedule(s);
}
