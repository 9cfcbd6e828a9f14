#include "config.h"

#include "server/tracking_push.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_walk.h"
#include "server/clients.h"
#include "server/held.h"
#include "server/statistics.h"
#include "server/tracking_state.h"

/* The bytes that wait for the client, whatever they are. */
static size_t
waiting_bytes(const struct client *c)
{
	return outbox_reply_bytes(&c->subscriber.outbox) + held_bytes(c) + c->session->late.len;
}

/* True while a reply may be incomplete, or is not queued yet. */
static bool
is_answered(const struct client *c)
{
	const struct pending *p = c->pending;

	return c == c->server->tracking->executing ||
	       (p != NULL && (p->is_executed || p->running != NULL || p->job != NULL));
}

/*
 * Counts the push against the limit of the client's outbox in bytes. The number of waiting bytes
 * that are pushes is not known, but it is at most that of all of them, and at most that of the
 * pushes so far.
 */
static bool
count(struct client *c, size_t len)
{
	struct session *s = session_of(c);
	size_t limit = c->subscriber.outbox.limits.bytes, waiting = waiting_bytes(c);

	if (s->pushed_bytes > waiting)
		s->pushed_bytes = waiting;
	s->pushed_bytes += len;
	if (limit == 0 || s->pushed_bytes <= limit)
		return true;
	s->is_slow = true;
	TAILQ_INSERT_TAIL(&c->server->tracking->slow, c, session->slow);
	return false;
}

static void
push(struct client *c, struct slice bytes)
{
	if (session_of(c)->is_slow || !count(c, bytes.len))
		return;
	if (is_answered(c))
		buffer_append_slice(&c->session->late, bytes);
	else
		held_push_reply(c, bytes);
}

static void
tell_broken(struct client_tracking *own)
{
	struct buffer bytes = {0};

	own->is_broken = true;
	if (own->client->proto < 3)
		return;
	buffer_appendf(
	    &bytes, ">2\r\n$21\r\ntracking-redir-broken\r\n:%" PRIu64 "\r\n", own->redirect);
	push(own->client, buffer_slice(&bytes));
	buffer_release(&bytes);
}

/* RESP2 has no pushes: there it is a message of a channel that does not exist otherwise. */
static void
tell(struct client *c, bool is_redirected, struct slice keys)
{
	struct buffer bytes = {0};

	if (c->proto == 3)
		buffer_append_str(&bytes, ">2\r\n$10\r\ninvalidate\r\n");
	else if (is_redirected && client_is_subscribed(c))
		buffer_append_str(&bytes, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
	else
		return;
	if (keys.len > 0)
		buffer_append_slice(&bytes, keys);
	else
		buffer_append_str(&bytes, c->proto == 3 ? "_\r\n" : "$-1\r\n");
	push(c, buffer_slice(&bytes));
	buffer_release(&bytes);
}

void
tracking_tell(struct client_tracking *own, struct slice keys)
{
	struct client *to = own->client;

	if (!own->is_on || !client_is_open(to))
		return;
	if (own->redirect != 0)
		to = client_by_id(to->server, own->redirect);
	if (to == NULL)
		tell_broken(own);
	else if (client_is_open(to) && client_door(to) == NULL)
		tell(to, own->redirect != 0, keys);
}

void
tracking_send_late(struct client *c)
{
	struct buffer late = c->session->late;

	if (late.len == 0 || is_answered(c))
		return;
	c->session->late = (struct buffer){0};
	if (client_is_open(c))
		held_push_reply(c, buffer_slice(&late));
	buffer_release(&late);
	session_trim(c);
}

void
tracking_close_slow(struct tracking *tracking)
{
	struct client *c;
	char label[160];

	while ((c = TAILQ_FIRST(&tracking->slow)) != NULL) {
		TAILQ_REMOVE(&tracking->slow, c, session->slow);
		c->session->is_slow = false;
		if (!client_is_open(c))
			continue;
		c->server->statistics->counters.evicted_clients++;
		if (rate_limit_take(c->server->log_limit, clock_mono_us()))
			log_notice("closing client %s: it does not read its invalidations",
			    client_label(c, label, sizeof(label)));
		client_kill(c, "it does not read its invalidations");
	}
}
