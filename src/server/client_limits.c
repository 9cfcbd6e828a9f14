#include "config.h"

#include "server/client_limits.h"

#include "acl/user.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/door.h"
#include "server/held.h"
#include "server/server_config.h"
#include "server/statistics.h"

#define ANY_POLICY UINT8_MAX

/* The smaller of two limits of which 0 means none. */
static size_t
lesser_limit(size_t a, size_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* Replaces a policy that the user may not choose by the first that it may. Other policies of
 * channels do not apply to it. */
static void
limit_by_user(const struct acl_limits *user, struct outbox_limits *limits)
{
	uint32_t policy = limits->policy;

	limits->bytes = lesser_limit(limits->bytes, user->outbox_bytes);
	if (user->policies == 0)
		return;
	limits->channel_policies &= (uint8_t)user->policies;
	if ((user->policies >> policy & 1) == 0) {
		for (policy = 0; (user->policies >> policy & 1) == 0;)
			policy++;
		limits->policy = (enum outbox_policy)policy;
	}
}

/*
 * The choice of a client is bounded by the current configuration. Under OUTBOX_DISCONNECT, which is
 * what Redis does, the hard limit of class pubsub of client-output-buffer-limit applies as well.
 */
void
client_apply_limits(struct client *c)
{
	const struct server_config *config = c->server->config;
	const struct door *door = client_door(c);
	struct outbox_limits limits = door != NULL ? *door->limits : config->outbox;
	uint8_t chosen = c->session != NULL ? c->session->chosen : 0;

	limits.channel_policies = ANY_POLICY;
	if ((chosen & CLIENT_CHOSE_POLICY) != 0) {
		limits.policy = c->session->limits.policy;
		limits.channel_policies = 0;
	}
	if ((chosen & CLIENT_CHOSE_BYTES) != 0)
		limits.bytes = lesser_limit(c->session->limits.bytes, limits.bytes);
	if ((chosen & CLIENT_CHOSE_MESSAGES) != 0)
		limits.messages =
		    (uint32_t)lesser_limit(c->session->limits.messages, limits.messages);
	if ((chosen & CLIENT_CHOSE_NOTIFY) != 0)
		limits.notify = c->session->limits.notify;
	if (c->user->limits.any)
		limit_by_user(&c->user->limits, &limits);
	if (limits.policy == OUTBOX_DISCONNECT)
		limits.bytes = lesser_limit(
		    limits.bytes, config->buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes);
	c->limits_version = c->server->limits_version;
	hub_set_limits(&c->subscriber, &limits);
}

static void
clear_soft(struct client *c)
{
	if (c->session == NULL || c->session->soft_since_us == 0)
		return;
	c->session->soft_since_us = 0;
	session_trim(c);
}

/*
 * client-output-buffer-limit. Class `pubsub` applies to a client with subscriptions and the policy
 * OUTBOX_DISCONNECT, unless messages under a channel's own policy are queued; messages and replies
 * count together. Under the other policies messages are
 * bounded by the outbox's own limits and never close the client, so only replies count, as for a
 * client without subscriptions: class `normal`.
 */
static const char *
over_limit(struct client *c, uint64_t now_us)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	bool is_pubsub = client_subscriptions(c) > 0 &&
			 outbox->limits.policy == OUTBOX_DISCONNECT &&
			 !outbox_has_channel_policies(outbox);
	const struct server_buffer_limit *limit =
	    &c->server->config->buffer_limit[is_pubsub ? SERVER_CLASS_PUBSUB : SERVER_CLASS_NORMAL];
	size_t owed = held_bytes(c) + (is_pubsub ? outbox->bytes : outbox_reply_bytes(outbox));
	struct session *s;

	if (limit->hard_bytes > 0 && owed > limit->hard_bytes)
		return "exceeded the hard limit of client-output-buffer-limit";
	if (limit->soft_bytes == 0 || owed <= limit->soft_bytes) {
		clear_soft(c);
		return NULL;
	}
	s = session_of(c);
	if (s->soft_since_us == 0 || s->soft_since_us > now_us)
		s->soft_since_us = now_us;
	if (now_us - s->soft_since_us > (uint64_t)limit->soft_s * 1000000)
		return "exceeded the soft limit of client-output-buffer-limit for too long";
	return NULL;
}

void
client_check_limits(struct client *c, uint64_t now_us)
{
	const char *reason = client_is_open(c) ? over_limit(c, now_us) : NULL;
	char label[160];

	if (reason == NULL)
		return;
	c->server->statistics->counters.evicted_clients++;
	if (rate_limit_take(c->server->log_limit, now_us))
		log_notice("closing client %s: %s", client_label(c, label, sizeof(label)), reason);
	client_dismiss(c, DOOR_END_SLOW, reason);
}
