#include "config.h"

#include "link/testing_shards.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/hash_map.h"
#include "link/globs_frame.h"
#include "link/link.h"
#include "resp/parser.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/core.h"
#include "server/io.h"
#include "server/server.h"
#include "server/settings.h"

static const struct protocol_limits limits = {
    .arg_bytes = 1 << 20, .arg_count = 1024, .line_bytes = 65536, .request_bytes = 1 << 22};

/* Names of a connection */

static bool
has_name(const struct sim_connection *c, struct slice name)
{
	return c->names != NULL && hash_map_get(c->names, name) != NULL;
}

static void
add_name(struct sim_connection *c, struct slice name)
{
	if (c->names == NULL)
		c->names = hash_map_new();
	hash_map_set(c->names, name, c);
}

static void
remove_name(struct sim_connection *c, struct slice name)
{
	if (c->names != NULL)
		(void)hash_map_remove(c->names, name);
}

/* Answers of a node */

static void
put_push(struct buffer *out, const char *kind, struct slice name)
{
	resp_put_push(out, 3, 3);
	resp_put_bulk_str(out, kind);
	resp_put_bulk(out, name);
	resp_put_int(out, 1);
}

static void
put_hello(struct buffer *out)
{
	static const char *const texts[] = {
	    "server", "redis", "version", "7.0.15", "role", "master", "mode", "cluster", NULL};

	resp_put_map(out, 3, 4);
	for (size_t i = 0; texts[i] != NULL; i++)
		resp_put_bulk_str(out, texts[i]);
}

static void
put_slots(const struct sim *sim, struct buffer *out)
{
	struct buffer ranges = {0};
	size_t count = 0;

	for (size_t first = 0, next; first < SLOTS; first = next) {
		for (next = first + 1; next < SLOTS && sim->owner[next] == sim->owner[first];)
			next++;
		resp_put_array(&ranges, 3);
		resp_put_int(&ranges, (int64_t)first);
		resp_put_int(&ranges, (int64_t)next - 1);
		resp_put_array(&ranges, 2);
		resp_put_bulk_str(&ranges, "sim");
		resp_put_int(&ranges, SIM_PORT + sim->owner[first]);
		count++;
	}
	resp_put_array(out, count);
	buffer_append_slice(out, buffer_slice(&ranges));
	buffer_release(&ranges);
}

static void
put_cluster(const struct sim *sim, struct slice what, struct buffer *out)
{
	char info[100];
	int len;

	if (slice_is(what, "SLOTS")) {
		put_slots(sim, out);
		return;
	}
	len = snprintf(info, sizeof(info), "cluster_state:ok\r\ncluster_current_epoch:%llu\r\n",
	    (unsigned long long)sim->epoch);
	resp_put_bulk(out, (struct slice){info, (size_t)len});
}

/* Also for a message of somebody else: reply_to is NULL then. */
void
sim_publish(struct sim *sim, struct slice channel, struct slice payload, struct buffer *reply_to)
{
	size_t node = sim->owner[slot_of(channel)], receivers = 0;

	for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
		struct sim_connection *c = &sim->connections[i];

		if (!c->is_open || c->node != node || !has_name(c, channel))
			continue;
		resp_put_push(&c->in, 3, 3);
		resp_put_bulk_str(&c->in, "smessage");
		resp_put_bulk(&c->in, channel);
		resp_put_bulk(&c->in, payload);
		receivers++;
	}
	if (reply_to != NULL)
		resp_put_int(reply_to, (int64_t)receivers);
	if (!slice_begins_with(channel, LINK_PROBE_PREFIX) &&
	    !slice_begins_with(channel, "fanfare:"))
		sim->accepted(channel, payload);
}

/* A message with copies. */
static void
publish_copied(struct sim *sim, struct sim_connection *c, const struct slice *args, size_t count)
{
	struct buffer copy = {0};

	globs_put_copy(&copy, args[3], args[4]);
	if (sim->owner[slot_of(args[3])] != c->node) {
		resp_put_error(&c->in, SLICE("MOVED by the script"));
		sim->redirected++;
	} else {
		sim_publish(sim, args[3], args[4], NULL);
		for (size_t i = 5; i < count; i++) {
			ck_assert_uint_eq(slot_of(args[i]), slot_of(args[3]));
			sim_publish(sim, args[i], buffer_slice(&copy), NULL);
		}
		resp_put_int(&c->in, 1);
	}
	buffer_release(&copy);
}

static bool
begins_with(struct slice name, const char *prefix)
{
	return prefix != NULL && slice_begins_with(name, prefix);
}

static void
execute(struct sim *sim, struct sim_connection *c, const struct slice *args, size_t count)
{
	char moved[64];
	uint16_t slot;
	int len;

	if (slice_is(args[0], "HELLO")) {
		put_hello(&c->in);
		return;
	}
	if (slice_is(args[0], "PING")) {
		resp_put_simple(&c->in, "PONG");
		return;
	}
	ck_assert_uint_ge(count, 2);
	if (slice_is(args[0], "CLUSTER")) {
		put_cluster(sim, args[1], &c->in);
		return;
	}
	if (slice_is(args[0], "EVAL")) {
		ck_assert_uint_ge(count, 6);
		publish_copied(sim, c, args, count);
		return;
	}
	slot = slot_of(args[1]);
	if (sim->owner[slot] != c->node) {
		len = snprintf(moved, sizeof(moved), "MOVED %u sim:%u", (unsigned)slot,
		    (unsigned)SIM_PORT + sim->owner[slot]);
		resp_put_error(&c->in, (struct slice){moved, (size_t)len});
		sim->redirected++;
	} else if (begins_with(args[1], sim->refused) && slice_is(args[0], "SSUBSCRIBE")) {
		resp_put_error(&c->in, SLICE("NOPERM refused"));
	} else if (slice_is(args[0], "SSUBSCRIBE")) {
		ck_assert_uint_eq(count, 2);
		add_name(c, args[1]);
		put_push(&c->in, "ssubscribe", args[1]);
	} else if (slice_is(args[0], "SUNSUBSCRIBE")) {
		remove_name(c, args[1]);
		put_push(&c->in, "sunsubscribe", args[1]);
	} else if (begins_with(args[1], sim->failing)) {
		resp_put_error(&c->in, SLICE("CLUSTERDOWN failed"));
	} else {
		ck_assert(slice_is(args[0], "SPUBLISH") && count == 3);
		sim_publish(sim, args[1], args[2], &c->in);
	}
}

/* Connections */

static void *
on_connect(void *arg, struct shard *shard, const char *host, uint16_t port)
{
	struct sim *sim = arg;
	struct sim_connection *c = sim->connections;

	while (c->shard != NULL)
		c++;
	ck_assert(c < sim->connections + SIM_CONNECTIONS);
	*c = (struct sim_connection){.shard = shard, .node = SIM_NODES};
	if (strcmp(host, "sim") == 0 && port >= SIM_PORT && port < SIM_PORT + SIM_NODES)
		c->node = (size_t)(port - SIM_PORT);
	c->connect_us = sim->now_us;
	return c;
}

static void
clear(struct sim_connection *c)
{
	c->is_open = false;
	resp_parser_free(c->parser);
	c->parser = NULL;
	buffer_release(&c->sent);
	buffer_release(&c->in);
	if (c->names != NULL)
		hash_map_free(c->names);
	c->names = NULL;
}

static void
on_release(void *connection)
{
	struct sim_connection *c = connection;

	clear(c);
	c->shard = NULL;
}

static bool
on_send(void *connection, struct slice bytes)
{
	struct sim_connection *c = connection;

	ck_assert(c->is_open);
	buffer_append_slice(&c->sent, bytes);
	return true;
}

static size_t
on_queued_bytes(void *connection)
{
	const struct sim_connection *c = connection;

	return c->sent.len;
}

static struct sim *the_sim; /* on_drop() has no argument for it */

static void
lose(struct sim *sim, struct sim_connection *c, const char *why)
{
	clear(c);
	c->connect_us = sim->now_us + 200000;
	cluster_lost(c->shard, why, 200000, sim->now_us);
}

static void
on_drop(void *connection, const char *why)
{
	the_sim->drops++;
	snprintf(the_sim->why, sizeof(the_sim->why), "%s", why);
	lose(the_sim, connection, why);
}

void
sim_init(struct sim *sim)
{
	memset(sim, 0, sizeof(*sim));
	the_sim = sim;
	sim->io =
	    (struct cluster_io){on_connect, on_release, on_send, on_queued_bytes, on_drop, sim};
	sim->now_us = 1000000;
	sim->epoch = 1;
	for (size_t slot = 0; slot < SLOTS; slot++)
		sim->owner[slot] = (uint8_t)(slot * 3 / SLOTS);
}

void
sim_open_due(struct sim *sim)
{
	for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
		struct sim_connection *c = &sim->connections[i];

		if (c->shard == NULL || c->is_open || c->connect_us > sim->now_us)
			continue;
		if (c->node == SIM_NODES || sim->is_dead[c->node]) {
			c->connect_us = sim->now_us + 200000;
			cluster_lost(c->shard, "refused", 200000, sim->now_us);
			continue;
		}
		c->is_open = true;
		c->parser = resp_parser_new(&limits);
		cluster_opened(c->shard, sim->now_us);
	}
}

void
sim_serve(struct sim *sim, size_t connection, size_t max)
{
	struct sim_connection *c = &sim->connections[connection];
	size_t len = c->sent.len < max ? c->sent.len : max, at = 0, taken;
	struct protocol_request request;

	if (!c->is_open || sim->is_dead[c->node] || len == 0)
		return;
	while (at < len) {
		enum protocol_status status = resp_parser_feed(
		    c->parser, c->sent.ptr + at, len - at, false, &taken, &request);

		ck_assert_int_ne(status, PROTOCOL_ERROR);
		at += taken;
		if (status == PROTOCOL_REQUEST)
			execute(sim, c, request.args, request.count);
	}
	(void)resp_parser_is_idle(c->parser);
	memmove(c->sent.ptr, c->sent.ptr + len, c->sent.len - len);
	c->sent.len -= len;
}

void
sim_deliver(struct sim *sim, size_t connection, size_t max)
{
	struct sim_connection *c = &sim->connections[connection];
	struct buffer part = {0};
	size_t len = c->in.len < max ? c->in.len : max;

	if (!c->is_open || len == 0)
		return;
	buffer_append(&part, c->in.ptr, len);
	memmove(c->in.ptr, c->in.ptr + len, c->in.len - len);
	c->in.len -= len;
	cluster_received(c->shard, buffer_slice(&part), sim->now_us);
	buffer_release(&part);
}

struct leaving {
	struct sim_connection *connection;
	uint16_t slot;
};

static void
leave_slot(struct slice name, void *value, void *arg)
{
	struct leaving *leaving = arg;

	(void)value;
	if (slot_of(name) != leaving->slot)
		return;
	put_push(&leaving->connection->in, "sunsubscribe", name);
	remove_name(leaving->connection, name);
}

/* Its node tells each connection which names are gone. */
static void
unsubscribe_slot(struct sim_connection *c, uint16_t slot)
{
	struct leaving leaving = {c, slot};

	if (c->names != NULL)
		hash_map_each(c->names, leave_slot, &leaving);
}

void
sim_move(struct sim *sim, uint16_t slot, size_t node)
{
	size_t was = sim->owner[slot];

	if (was == node)
		return;
	/* A slot that comes back was away for longer than commands and answers take. */
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		if (sim->connections[i].node == node) {
			sim_serve(sim, i, SIZE_MAX);
			sim_deliver(sim, i, SIZE_MAX);
		}
	sim->owner[slot] = (uint8_t)node;
	sim->epoch++;
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		if (sim->connections[i].is_open && sim->connections[i].node == was)
			unsubscribe_slot(&sim->connections[i], slot);
}

void
sim_lose(struct sim *sim, size_t connection)
{
	if (sim->connections[connection].is_open)
		lose(sim, &sim->connections[connection], "lost");
}

void
sim_kill(struct sim *sim, size_t node)
{
	sim->is_dead[node] = true;
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		if (sim->connections[i].is_open && sim->connections[i].node == node)
			sim_lose(sim, i);
}

void
sim_revive(struct sim *sim, size_t node)
{
	sim->is_dead[node] = false;
}

void
sim_setting_init(struct sim_setting *setting)
{
	static const struct command rows[1] = {
	    {.name = "none", .categories = "", .group = "", .keys = "", .tips = ""}};

	setting->config = (struct server_config){.maxclients = 10,
	    .databases = 1,
	    .hub = {.subscriptions = 1000, .subscribers = 1000, .name_bytes = 1000},
	    .outbox = {.bytes = 1 << 30, .messages = 1 << 30, .notify = true},
	    .segment_bytes = 65536};
	setting->leaf = (struct leaf_settings){.linger_s = 1, .probe_s = 10, .queued_bytes = 20000};
	setting->commands = command_table_new(rows, 1);
}

void
sim_setting_release(struct sim_setting *setting)
{
	command_table_free(setting->commands);
}

struct cluster *
sim_join(struct sim *sim, struct sim_setting *setting, struct server **server)
{
	static const struct cluster_seed seeds[] = {{"nowhere", 1}, {"sim", SIM_PORT + 1}};
	static const struct server_io io;
	static const struct server_settings no_settings;

	*server = server_new(&setting->config, setting->commands, &io, &no_settings);
	(*server)->now_us = sim->now_us;
	return cluster_new(*server,
	    &(struct cluster_config){
		.address = "sim", .seeds = seeds, .seed_count = 2, .settings = &setting->leaf},
	    &sim->io);
}
