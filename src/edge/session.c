#include "config.h"

#include "edge/session.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "edge/leases.h"
#include "edge/opening.h"
#include "server/client.h"
#include "server/io.h"
#include "token/grant.h"

struct edge_session *
edge_session_of(const struct client *c)
{
	struct door *door = client_door(c);

	assert(door != NULL);
	return (struct edge_session *)(void *)door;
}

static void
count_now(struct edge_session *s, int by)
{
	if (s->state == EDGE_STREAM)
		s->edge->figures.streams_now += (size_t)by;
	else if (s->state == EDGE_JOINING || s->state == EDGE_SOCKET)
		s->edge->figures.sockets_now += (size_t)by;
}

static void
stop_timer(struct edge_session *s)
{
	if (s->place == EDGE_NOT_DUE)
		return;
	time_queue_remove(&s->edge->due, s->place);
	s->place = EDGE_NOT_DUE;
}

bool
edge_session_move(struct edge_session *s, enum edge_event event)
{
	uint8_t state = s->state;

	if (!edge_state_move(&state, event))
		return false;
	count_now(s, -1);
	s->state = state;
	count_now(s, 1);
	if (state == EDGE_ENDED) {
		stop_timer(s);
		edge_proof_drop(&s->proof); /* its connection may be freed before it */
	}
	return true;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* When it has to be sent something. */
static uint64_t
speaks_us(const struct edge_session *s)
{
	const struct edge_config *config = s->edge->config;

	switch (s->state) {
	case EDGE_STREAM:
		return s->spoke_us + (uint64_t)config->sse_heartbeat_s * 1000000;
	case EDGE_JOINING:
		return s->spoke_us + (uint64_t)config->connect_timeout_s * 1000000;
	case EDGE_SOCKET:
		return s->awaits_pong ? s->spoke_us + (uint64_t)config->pong_timeout_s * 1000000
				      : s->spoke_us + (uint64_t)config->ping_interval_s * 1000000;
	default:
		return 0;
	}
}

uint64_t
edge_session_active_us(const struct edge_session *s)
{
	struct conn_figures figures = {.active_us = 0};

	s->client->server->io->conn_figures(client_conn(s->client), &figures);
	return figures.active_us > s->spoke_us ? figures.active_us : s->spoke_us;
}

static uint64_t
lease_us(const struct edge_session *s)
{
	struct slice name;
	bool is_pattern;
	uint64_t ends_us = 0;

	(void)edge_lease_first(s->leases, &name, &is_pattern, &ends_us);
	return ends_us;
}

void
edge_session_schedule(struct edge_session *s)
{
	uint64_t due_us =
	    earlier(earlier(speaks_us(s), lease_us(s)), earlier(s->expires_us, s->ends_us));
	struct time_queue *queue = &s->edge->due;

	if (s->state == EDGE_REQUESTS || s->state == EDGE_OPENING || s->state == EDGE_ENDED) {
		stop_timer(s);
		return;
	}
	if (s->place == EDGE_NOT_DUE)
		time_queue_add(queue, s, (int64_t)due_us);
	else
		time_queue_change(queue, s->place, (int64_t)due_us);
}

uint64_t
edge_session_end_of(const struct edge *edge, const struct token_grant *grant)
{
	uint64_t wall_s = edge->io.wall_s(edge->io.arg), now_us = clock_recent_us(), left_s;

	if (grant == NULL || !grant->has_end)
		return 0;
	left_s = grant->ends_s > wall_s ? grant->ends_s - wall_s : 0;
	if (left_s > UINT32_MAX)
		left_s = UINT32_MAX;
	return now_us + left_s * 1000000;
}

void
edge_session_set_grant(struct edge_session *s, struct token_grant *grant)
{
	if (grant != NULL)
		token_grant_ref(grant);
	token_grant_unref(s->grant);
	s->grant = grant;
	s->expires_us = edge_session_end_of(s->edge, grant);
}

void
edge_session_admit(struct edge_session *s, bool is_admitted)
{
	s->client->server->io->set_unauthenticated(client_conn(s->client), !is_admitted);
}

void
edge_session_begin_age(struct edge_session *s, uint64_t now_us)
{
	uint64_t max_us = (uint64_t)s->edge->config->max_age_s * 1000000;
	uint64_t tenth_us = max_us / 10;

	s->ends_us = max_us == 0 ? 0
				 : now_us + max_us - tenth_us +
				       random_below(s->edge->server->random, 2 * tenth_us + 1);
}

/* So many seconds' worth of commands pass at once: a page that opens sends many. */
#define BURST_S 4

bool
edge_session_take_turn(struct edge_session *s, uint64_t now_us)
{
	uint32_t rate = s->edge->config->command_rate;
	struct rate_limit limit = {s->rested_us, rate, rate * BURST_S};

	if (rate == 0)
		return true;
	if (!rate_limit_take(&limit, now_us)) {
		s->edge->figures.flooding_sockets++;
		return false;
	}
	s->rested_us = limit.full_at_us;
	return true;
}

void
edge_session_freed(struct client *c)
{
	struct edge_session *s = edge_session_of(c);

	(void)edge_session_move(s, EDGE_EVENT_END);
	edge_proof_drop(&s->proof);
	xfree(s->proxy);
	edge_opening_free(s->opening);
	edge_leases_free(s->leases);
	token_grant_unref(s->grant);
	xfree(s);
}

struct edge_session *
edge_session_new(struct edge *edge, const struct door_ops *ops, bool is_tls)
{
	struct edge_session *s = xcalloc(1, sizeof(*s));

	s->door.ops = ops;
	s->door.limits = &edge->config->outbox;
	s->edge = edge;
	s->place = EDGE_NOT_DUE;
	s->is_tls = is_tls;
	return s;
}

void
edge_session_unused(struct edge_session *s)
{
	xfree(s);
}

bool
edge_may_log(struct edge *edge)
{
	return rate_limit_take(&edge->log_limit, clock_mono_us());
}
