#include "config.h"

#include "server/monitor.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "pubsub/outbox.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_peer.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/held.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"

/*
 * MONITOR: sends every executed command as a line to each monitor. A line is built once. Unlike in
 * Redis it is cut, because commands may be as large as messages: a value after ARG_SHOWN_MAX bytes,
 * the arguments after MONITOR_LINE_MAX. A monitor that does not read is closed when its queued
 * output exceeds the limit of an outbox.
 */
#define ARG_SHOWN_MAX 16384
#define MONITOR_LINE_MAX 65536

void
monitor_start(struct client *c)
{
	if (c->is_monitor)
		return;
	c->is_monitor = true;
	(void)session_of(c);
	TAILQ_INSERT_TAIL(c->server->monitors, c, session->monitors);
	client_subscriptions_changed(c); /* `timeout` does not apply to monitors */
}

void
monitor_stop(struct client *c)
{
	if (!c->is_monitor)
		return;
	c->is_monitor = false;
	TAILQ_REMOVE(c->server->monitors, c, session->monitors);
	session_trim(c);
	client_subscriptions_changed(c);
}

static void
append_arg(struct buffer *line, struct slice arg)
{
	struct slice shown = {arg.ptr, arg.len < ARG_SHOWN_MAX ? arg.len : ARG_SHOWN_MAX};

	buffer_append_str(line, " \"");
	buffer_append_escaped(line, shown);
	if (shown.len < arg.len)
		buffer_appendf(line, "... (%zu more bytes)", arg.len - shown.len);
	buffer_append_str(line, "\"");
}

static void
append_line(struct buffer *line, const struct request *rq)
{
	const struct client *c = rq->client;
	uint64_t now_us = clock_wall_us();
	size_t address_len = strlen(client_peer_address(c->peer)), i;

	buffer_appendf(line, "+%" PRIu64 ".%06" PRIu64, now_us / 1000000, now_us % 1000000);
	/* In Redis the address of a Unix socket ends with ":0"; here the path is shown alone. */
	if (rq->in_script)
		buffer_appendf(line, " [%" PRIu32 " lua]", c->db);
	else if (c->peer->is_unix && address_len > 2)
		buffer_appendf(line, " [%" PRIu32 " unix:%.*s]", c->db, (int)address_len - 2,
		    client_peer_address(c->peer));
	else
		buffer_appendf(line, " [%" PRIu32 " %s]", c->db, client_peer_address(c->peer));
	for (i = 0; i < rq->argc && line->len < MONITOR_LINE_MAX; i++)
		append_arg(line, request_shown_arg(rq, i));
	if (i < rq->argc)
		buffer_appendf(line, " \"... (%zu more arguments)\"", rq->argc - i);
	buffer_append_str(line, "\r\n");
}

void
monitor_show(struct server *server, const struct request *rq)
{
	struct buffer line = {0};
	struct client *c, *next;
	size_t limit = server->config->outbox.bytes;

	append_line(&line, rq);
	for (c = TAILQ_FIRST(server->monitors); c != NULL; c = next) {
		next = TAILQ_NEXT(c, session->monitors);
		if (!client_is_open(c))
			continue;
		held_push_reply(c, buffer_slice(&line));
		if (limit > 0 &&
		    outbox_reply_bytes(&c->subscriber.outbox) + held_bytes(c) > limit) {
			server->statistics->counters.evicted_clients++;
			client_kill(c, "monitor does not read");
		}
	}
	buffer_release(&line);
}

/* As in Redis, administrative commands are not shown: they may contain secrets. */
void
monitor_feed(struct server *server, const struct request *rq)
{
	if ((rq->command->flags & (CMD_ADMIN | CMD_SKIP_MONITOR)) == 0)
		monitor_show(server, rq);
}
