#include "config.h"

#include "server/client_life.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "pubsub/hub.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/client_subscriber.h"
#include "server/clients.h"
#include "server/held.h"
#include "server/io.h"
#include "server/monitor.h"
#include "server/server_config.h"
#include "server/wire.h"

struct client *
client_new(struct server *server, void *conn, const struct server_peer *peer)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->server = server;
	c->conn = conn;
	c->id = ++server->clients->last_id;
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
	access_check_over(c);
	access_detach(c);
	buffer_release(&c->partial);
	xfree(c->address);
	xfree(c->local_address);
	xfree(c->name);
	xfree(c->lib_name);
	xfree(c->lib_version);
	xfree(c);
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
