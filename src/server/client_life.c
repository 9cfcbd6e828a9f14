#include "config.h"

#include "server/client_life.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "pubsub/hub.h"
#include "server/access.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/client_peer.h"
#include "server/client_subscriber.h"
#include "server/clients.h"
#include "server/held.h"
#include "server/io.h"
#include "server/monitor.h"
#include "server/server_config.h"
#include "server/tracking.h"
#include "server/wait.h"
#include "server/wire.h"

struct client *
client_new(struct server *server, void *conn, const struct server_peer *peer)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->server = server;
	c->id = ++server->clients->last_id;
	c->active_us = clock_mono_us();
	c->peer = client_peer_new(peer->address, peer->local_address, peer->origin, c->active_us);
	c->peer->is_unix = peer->is_unix;
	c->peer->is_loopback = peer->is_loopback;
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
	if (!armed_drain(c, SIZE_MAX))
		assert(!"a client has fewer armed names than the budget");
	if (!tracking_detach(c, SIZE_MAX))
		assert(!"a client has fewer tracked keys than the budget");
	tracking_free(c);
	pending_drop(c);
	access_detach(c);
	session_drop(c);
	xfree(c->peer);
	xfree(c);
}

void
client_reset(struct client *c)
{
	client_discard_transaction(c);
	monitor_stop(c);
	c->wants_positions = false;
	client_set_proto(c, 2);
	c->db = 0;
	c->reply_mode = CLIENT_REPLY_ON;
	c->no_evict = false;
	c->no_touch = false;
	c->wants_going_away = false;
	c->no_echo = false;
	hub_set_dedup(&c->subscriber, false);
	if (c->session != NULL) {
		xfree(c->session->name);
		c->session->name = NULL;
		c->session->chosen = 0;
		session_trim(c);
	}
	client_apply_limits(c);
	access_reset(c);
}
