#include "config.h"

#include "server/client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/access.h"
#include "server/held.h"
#include "server/state.h"
#include "server/transaction.h"

/* A reply goes into the log as one frame, whose length has 31 bits. */
#define FRAME_MAX ((size_t)1 << 30)

struct client *
client_new(struct server *server, void *conn, const struct server_peer *peer)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->server = server;
	c->conn = conn;
	c->id = ++server->next_id;
	c->address = xstrdup(peer->address);
	c->local_address = xstrdup(peer->local_address);
	assert(peer->origin.len <= sizeof(c->origin));
	if (peer->origin.len > 0)
		memcpy(c->origin, peer->origin.ptr, peer->origin.len);
	c->origin_len = (uint8_t)peer->origin.len;
	c->is_unix = peer->is_unix;
	c->is_loopback = peer->is_loopback;
	c->created_us = c->active_us = clock_mono_us();
	c->proto = 2;
	hub_attach(server->hub, &c->subscriber, &client_subscriber_ops, &server->config->outbox,
	    SERVER_FORM_RESP2, conn);
	access_attach(c);
	client_apply_limits(c);
	return c;
}

void
client_free(struct client *c)
{
	held_forget(c);
	client_discard_transaction(c);
	access_asked(c);
	access_detach(c);
	buffer_release(&c->partial);
	xfree(c->address);
	xfree(c->local_address);
	xfree(c->name);
	xfree(c->lib_name);
	xfree(c->lib_version);
	xfree(c);
}

bool
client_needs_auth(const struct client *c)
{
	return !c->authenticated && access_needs_auth(c->server);
}

void
client_kill(struct client *c, const char *reason)
{
	if (c->killed || c->gone)
		return;
	c->killed = true;
	c->finishing = true;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io.kill(c->conn, reason);
}

void
client_finish(struct client *c)
{
	if (c->finishing || c->gone)
		return;
	c->finishing = true;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io.finish(c->conn);
}

void
client_send_reply(struct client *c, struct slice reply)
{
	struct slice part;

	while (reply.len > 0) {
		part = (struct slice){reply.ptr, reply.len < FRAME_MAX ? reply.len : FRAME_MAX};
		outbox_push_reply(&c->subscriber.outbox, part);
		reply = (struct slice){reply.ptr + part.len, reply.len - part.len};
	}
}

void
client_push_reply(struct client *c, struct slice reply)
{
	if (!held_take(c, reply))
		client_send_reply(c, reply);
}

uint32_t
client_subscriptions(const struct client *c)
{
	const uint32_t *count = c->subscriber.count;

	return count[HUB_CHANNEL] + count[HUB_PATTERN] + count[HUB_SHARD];
}

bool
client_is_subscribed(const struct client *c)
{
	return c->proto == 2 && client_subscriptions(c) > 0;
}

bool
client_is_muted(const struct client *c)
{
	return c->reply_mode == CLIENT_REPLY_OFF || c->reply_mode == CLIENT_REPLY_SKIP;
}

bool
client_is_pushed_to(const struct client *c)
{
	return client_subscriptions(c) > 0 || c->is_monitor ||
	       (c->wants_going_away && c->proto == 3);
}

void
client_subscriptions_changed(struct client *c)
{
	bool is_subscriber = client_subscriptions(c) > 0;

	if (is_subscriber != c->counted_subscriber) {
		c->counted_subscriber = is_subscriber;
		c->server->subscriber_count += is_subscriber ? 1 : (size_t)-1;
	}
	is_subscriber = is_subscriber || c->is_monitor;
	if (is_subscriber == c->told_subscriber || c->gone)
		return;
	c->told_subscriber = is_subscriber;
	c->server->io.set_subscriber(c->conn, is_subscriber);
}

void
client_set_proto(struct client *c, int proto)
{
	c->proto = (uint8_t)proto;
	hub_set_form(&c->subscriber, proto == 3 ? SERVER_FORM_RESP3 : SERVER_FORM_RESP2);
}

/* The lesser of two limits of which 0 means none. */
static size_t
lesser_limit(size_t a, size_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* A policy that the user may not have becomes the first that he may. */
static void
limit_by_user(const struct acl_limits *user, struct outbox_limits *limits)
{
	uint32_t policy = limits->policy;

	limits->bytes = lesser_limit(limits->bytes, user->outbox_bytes);
	if (user->policies != 0 && (user->policies >> policy & 1) == 0) {
		for (policy = 0; (user->policies >> policy & 1) == 0;)
			policy++;
		limits->policy = (enum outbox_policy)policy;
	}
}

/*
 * What a client chose holds within what the configuration allows now. Under OUTBOX_DISCONNECT,
 * which is what Redis does, the hard limit of client-output-buffer-limit's class pubsub counts as
 * well.
 */
void
client_apply_limits(struct client *c)
{
	const struct server_config *config = c->server->config;
	struct outbox_limits limits = config->outbox;

	if ((c->chosen & CLIENT_CHOSE_POLICY) != 0)
		limits.policy = c->limits.policy;
	if ((c->chosen & CLIENT_CHOSE_BYTES) != 0)
		limits.bytes = lesser_limit(c->limits.bytes, limits.bytes);
	if ((c->chosen & CLIENT_CHOSE_MESSAGES) != 0)
		limits.messages = (uint32_t)lesser_limit(c->limits.messages, limits.messages);
	if ((c->chosen & CLIENT_CHOSE_NOTIFY) != 0)
		limits.notify = c->limits.notify;
	if (c->user->limits.any)
		limit_by_user(&c->user->limits, &limits);
	if (limits.policy == OUTBOX_DISCONNECT)
		limits.bytes = lesser_limit(
		    limits.bytes, config->buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes);
	c->limits_version = c->server->limits_version;
	hub_set_limits(&c->subscriber, &limits);
}

/*
 * client-output-buffer-limit. What a client is owed falls under `pubsub` if it subscribed and has
 * the policy OUTBOX_DISCONNECT; then messages and replies count together. Under the other policies
 * messages are bounded by the outbox's own limits and never close the client, so only replies
 * count, as they do for a client without subscriptions: class `normal`.
 */
const char *
client_over_limit(struct client *c, uint64_t now_us)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	bool is_pubsub = client_subscriptions(c) > 0 && outbox->limits.policy == OUTBOX_DISCONNECT;
	const struct server_buffer_limit *limit =
	    &c->server->config->buffer_limit[is_pubsub ? SERVER_CLASS_PUBSUB : SERVER_CLASS_NORMAL];
	size_t owed = held_bytes(c) + (is_pubsub ? outbox->bytes : outbox_reply_bytes(outbox));

	if (limit->hard_bytes > 0 && owed > limit->hard_bytes)
		return "past the hard limit of client-output-buffer-limit";
	if (limit->soft_bytes == 0 || owed <= limit->soft_bytes) {
		c->soft_since_us = 0;
		return NULL;
	}
	if (c->soft_since_us == 0 || c->soft_since_us > now_us)
		c->soft_since_us = now_us;
	if (now_us - c->soft_since_us > (uint64_t)limit->soft_s * 1000000)
		return "past the soft limit of client-output-buffer-limit for too long";
	return NULL;
}

void
client_reset(struct client *c)
{
	client_discard_transaction(c);
	monitor_stop(c);
	client_set_proto(c, 2);
	xfree(c->name);
	c->name = NULL;
	c->db = 0;
	c->reply_mode = CLIENT_REPLY_ON;
	c->no_evict = false;
	c->no_touch = false;
	c->wants_going_away = false;
	c->chosen = 0;
	client_apply_limits(c);
	access_reset(c);
}

const char *
client_label(const struct client *c, char *out, size_t out_len)
{
	char user[33];
	size_t i;

	/* Names may hold any bytes but blanks and NUL. */
	for (i = 0; i < sizeof(user) - 1 && c->user->name[i] != '\0'; i++) {
		char byte = c->user->name[i];

		user[i] = (char)(byte > ' ' && byte < 0x7f ? byte : '?');
	}
	user[i] = '\0';
	snprintf(out, out_len, "id=%" PRIu64 " addr=%s user=%s", c->id, c->address, user);
	return out;
}

void
client_discard_transaction(struct client *c)
{
	transaction_free(c->transaction);
	c->transaction = NULL;
	watch_clear(c);
}
