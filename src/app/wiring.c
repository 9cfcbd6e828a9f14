#include "config.h"

#include "app/wiring.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "app/persistence.h"
#include "app/uplink.h"
#include "base/alloc.h"
#include "base/allocator.h"
#include "base/log.h"
#include "cmd/table.h"
#include "edge/edge.h"
#include "http/protocol.h"
#include "http/ws_protocol.h"
#include "net/address.h"
#include "resp/protocol.h"
#include "script/engine.h"
#include "server/access.h"
#include "server/dispatch.h"
#include "token/cache.h"

static struct server_peer
server_peer(const struct net_peer *peer)
{
	return (struct server_peer){
	    .address = peer->address,
	    .local_address = peer->local_address,
	    .origin = {(const char *)peer->key.bytes, peer->key.len},
	    .is_loopback = peer->is_loopback,
	    .is_unix = peer->is_unix,
	};
}

static void *
net_open(void *arg, struct conn *conn, const struct net_peer *peer, struct outbox **outbox)
{
	struct wiring *w = arg;
	const struct server_peer from = server_peer(peer);
	struct client *client = server_open(w->server, conn, &from);

	*outbox = server_outbox(client);
	return client;
}

static void *
http_open(void *arg, struct conn *conn, const struct net_peer *peer, struct outbox **outbox)
{
	struct wiring *w = arg;
	const struct server_peer from = server_peer(peer);

	return edge_open(w->edge, conn, &from, peer->is_tls, outbox);
}

static enum request_verdict
net_request(void *client, const struct slice *args, size_t count)
{
	return server_request(client, args, count);
}

static void
net_broken(void *client, const char *error)
{
	server_broken(client, error);
}

static void
net_identified(void *client, const char *user)
{
	if (!server_log_in(client, slice_of(user)))
		log_info("a client's certificate names the user '%s', who may not log in", user);
}

static void
net_closed(void *client, const char *reason)
{
	server_closed(client, reason);
}

/* At most once a second. */
static void
forget_tokens(struct wiring *w, uint64_t now_us)
{
	if (now_us < w->tokens_at_us)
		return;
	w->tokens_at_us = now_us + 1000000;
	tokens_turn(w->tokens, (uint64_t)time(NULL));
}

static uint64_t
net_turn(void *arg, uint64_t now_us, uint64_t budget_us)
{
	struct wiring *w = arg;

	uint64_t wait_us = persistence_turn(w->persistence, now_us);
	uint64_t server_us = server_turn(w->server, now_us, budget_us);

	uint64_t edge_us = edge_turn(w->edge, now_us);
	uint64_t uplink_us = uplink_turn(w->uplink, now_us);
	uint64_t allocator_us = allocator_turn(alloc_used_bytes(), now_us);

	forget_tokens(w, now_us);
	w->turn(w->arg, now_us);
	if (server_us < wait_us)
		wait_us = server_us;
	if (edge_us < wait_us)
		wait_us = edge_us;
	if (uplink_us < wait_us)
		wait_us = uplink_us;
	return allocator_us < wait_us ? allocator_us : wait_us;
}

static void
net_flushed(void *arg)
{
	struct wiring *w = arg;

	server_flushed(w->server);
	persistence_turn_ends(w->persistence);
	w->turn_ends(w->arg);
}

static void
net_signalled(void *arg, int signal)
{
	struct wiring *w = arg;

	w->signalled(w->arg, signal);
}

static void
io_ready(void *conn)
{
	conn_ready(conn);
}

static void
io_resume(void *conn)
{
	conn_resume(conn);
}

static void
io_finish(void *conn)
{
	conn_finish(conn);
}

static void
io_kill(void *conn, const char *reason)
{
	conn_kill(conn, reason);
}

static void
io_set_unauthenticated(void *conn, bool unauthenticated)
{
	conn_set_unauthenticated(conn, unauthenticated);
}

static void
io_set_subscriber(void *conn, bool subscriber)
{
	conn_set_subscriber(conn, subscriber);
}

static void
io_set_expects_output(void *conn, bool expects_output)
{
	conn_set_expects_output(conn, expects_output);
}

static void
io_switch_protocol(void *conn, enum server_protocol which)
{
	switch (which) {
	case SERVER_PROTOCOL_WS:
		conn_switch(conn, SERVICE_WS);
		break;
	case SERVER_PROTOCOL_WS_DEFLATE:
		conn_switch(conn, SERVICE_WS_DEFLATE);
		break;
	case SERVER_PROTOCOL_NONE:
		conn_discard_input(conn);
		break;
	}
}

static void
io_conn_figures(void *conn, struct conn_figures *figures)
{
	*figures = conn_figures(conn);
}

static void
io_figures(void *arg, struct net_figures *figures)
{
	const struct wiring *w = arg;

	*figures = net_figures(w->net);
}

static bool
io_loop_figures(void *arg, unsigned loop, struct net_loop_figures *figures)
{
	const struct wiring *w = arg;

	if (loop >= net_loop_count(w->net))
		return false;
	*figures = net_loop_figures(w->net, loop);
	return true;
}

static void
io_reset_figures(void *arg)
{
	struct wiring *w = arg;

	net_reset_figures(w->net);
}

static void
io_shutdown(void *arg, bool now)
{
	struct wiring *w = arg;

	w->stopping(w->arg, now);
}

static void
io_lame_duck(void *arg, uint32_t window_s)
{
	struct wiring *w = arg;

	w->lame_duck(w->arg, window_s);
}

static bool
io_lame_duck_abort(void *arg, char *error, size_t error_len)
{
	struct wiring *w = arg;

	return w->lame_duck_abort(w->arg, error, error_len);
}

static void
io_lame_duck_over(void *arg)
{
	struct wiring *w = arg;

	w->lame_duck_over(w->arg);
}

static void
log_accepted(void *arg)
{
	struct wiring *w = arg;

	w->log_accepted(w->arg);
}

static bool
is_in(const struct address_network *networks, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++)
		if (address_network_has_text(&networks[i], slice_of(address)))
			return true;
	return false;
}

static bool
edge_is_admin(void *arg, const char *address)
{
	const struct wiring *w = arg;
	const struct setting_networks *networks = &w->settings->admin_networks;

	return is_in(networks->items, networks->count, address);
}

static bool
edge_is_forwarder(void *arg, const char *address)
{
	const struct wiring *w = arg;
	const struct net_config *config = &w->settings->net;

	return is_in(config->shared_from, config->shared_from_count, address);
}

static bool
edge_read_address(void *arg, struct slice text, struct edge_address *address)
{
	struct sockaddr_storage parsed;
	const struct sockaddr *generic = (const void *)&parsed;
	struct address_key key;

	(void)arg;
	if (!address_parse(text, &parsed))
		return false;
	key = address_key(generic);
	address_format(generic, address->text, sizeof(address->text));
	memcpy(address->origin, key.bytes, key.len);
	address->origin_len = key.len;
	address->is_loopback = address_is_loopback(generic);
	return true;
}

static struct address_key
key_of(struct slice origin)
{
	struct address_key key = {.len = (uint8_t)origin.len};

	assert(origin.len <= sizeof(key.bytes));
	memcpy(key.bytes, origin.ptr, origin.len);
	return key;
}

static bool
edge_admit_address(void *arg, const char *address, struct slice origin)
{
	const struct wiring *w = arg;
	struct address_key key = key_of(origin);

	return net_admit_address(w->net, address, &key);
}

static void
edge_leave_address(void *arg, struct slice origin)
{
	const struct wiring *w = arg;
	struct address_key key = key_of(origin);

	net_leave_address(w->net, &key);
}

static uint64_t
edge_wall_s(void *arg)
{
	(void)arg;
	return (uint64_t)time(NULL);
}

static bool
edge_run_task(void *arg, void *conn, struct task *task)
{
	(void)arg;
	return conn_run_task(conn, task);
}

static const struct net_service services[SERVICES] = {
    [SERVICE_RESP] =
	{
	    .protocol = &resp_protocol,
	    .open = net_open,
	    .request = net_request,
	    .broken = net_broken,
	    .identified = net_identified,
	    .closed = net_closed,
	},
    [SERVICE_HTTP] =
	{
	    .protocol = &http_protocol,
	    .open = http_open,
	    .request = edge_request,
	    .broken = edge_broken,
	    .closed = edge_closed,
	    .without_client_certificates = true,
	    .has_shared_peers = true,
	},
    [SERVICE_WS] =
	{
	    .protocol = &ws_protocol,
	    .request = edge_frame,
	    .broken = edge_frame_broken,
	    .closed = edge_closed,
	},
    [SERVICE_WS_DEFLATE] =
	{
	    .protocol = &ws_deflate_protocol,
	    .request = edge_frame,
	    .broken = edge_frame_broken,
	    .closed = edge_closed,
	},
};

static const struct net_handler handler = {
    .turn = net_turn,
    .flushed = net_flushed,
    .signalled = net_signalled,
};

bool
wiring_init(
    struct wiring *w, const struct settings *settings, const struct server_settings *interface)
{
	struct server_io io = {
	    .ready = io_ready,
	    .resume = io_resume,
	    .finish = io_finish,
	    .kill = io_kill,
	    .set_unauthenticated = io_set_unauthenticated,
	    .set_subscriber = io_set_subscriber,
	    .set_expects_output = io_set_expects_output,
	    .switch_protocol = io_switch_protocol,
	    .conn_figures = io_conn_figures,
	    .figures = io_figures,
	    .loop_figures = io_loop_figures,
	    .reset_figures = io_reset_figures,
	    .shutdown = io_shutdown,
	    .lame_duck = io_lame_duck,
	    .lame_duck_abort = io_lame_duck_abort,
	    .lame_duck_over = io_lame_duck_over,
	    .arg = w,
	};

	w->net = net_new(&settings->net, services, SERVICES, &handler, w);
	if (w->net == NULL)
		return false;
	w->server = server_new(&settings->server, cmd_table(), &io, interface);
#if HAVE_LUA
	script_engine_attach(w->server);
#endif
	w->settings = settings;
	w->edge = edge_new(&settings->edge, w->server,
	    &(struct edge_io){
		.is_admin = edge_is_admin,
		.is_forwarder = edge_is_forwarder,
		.read_address = edge_read_address,
		.admit_address = edge_admit_address,
		.leave_address = edge_leave_address,
		.wall_s = edge_wall_s,
		.run_task = edge_run_task,
		.arg = w,
	    });
	w->tokens = tokens_new(TOKENS_CACHE_BYTES);
	edge_set_tokens(w->edge, w->tokens);
	server_set_tokens(w->server, w->tokens);
	w->persistence = persistence_new(settings, w->server, w->net, log_accepted, w);
	return true;
}

bool
wiring_link(struct wiring *w, struct buffer *error)
{
	return uplink_new(&w->uplink, w->settings, w->net, w->server, error);
}

bool
wiring_release(struct wiring *w)
{
	bool ok = persistence_free(w->persistence);

	uplink_free(w->uplink);
	w->uplink = NULL;
	net_free(w->net);
	edge_free(w->edge);
	server_free(w->server);
	tokens_free(w->tokens);
	return ok;
}
