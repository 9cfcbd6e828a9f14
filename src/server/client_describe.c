#include "config.h"

#include <inttypes.h>

#include "acl/user.h"
#include "base/buffer.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "pubsub/queue_group.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/command.h"
#include "server/io.h"
#include "server/tracking_state.h"
#include "server/transaction.h"
#include "server/watch.h"

/*
 * The line of CLIENT LIST: the fields of Redis 7.2 in their order, and no others, because some
 * clients reject unknown fields. Our own are in OUTBOX LIST.
 */

/* NULL unless CLIENT TRACKING is on. */
static const struct client_tracking *
tracking_of(const struct client *c)
{
	const struct client_tracking *own = c->session != NULL ? c->session->tracking : NULL;

	return own != NULL && own->is_on ? own : NULL;
}

/* Redis's letters. Letters of states that do not exist here never appear. out has room for all. */
static void
write_flags(const struct client *c, char *out)
{
	enum wait_reason reason = client_waits_for(c);
	const struct client_tracking *tracking = tracking_of(c);
	char *p = out;

	if (c->is_monitor)
		*p++ = 'O';
	if (client_subscriptions(c) > 0)
		*p++ = 'P';
	if (client_transaction(c) != NULL)
		*p++ = 'x';
	if (reason == WAIT_ROOM || reason == WAIT_MEMORY || reason == WAIT_PAUSE ||
	    reason == WAIT_LOGIN || reason == WAIT_KEY || reason == WAIT_HISTORY ||
	    reason == WAIT_SYNC || reason == WAIT_UPSTREAM_NAMES || reason == WAIT_UPSTREAM ||
	    reason == WAIT_UPSTREAM_PRESENCE || reason == WAIT_POSITION)
		*p++ = 'b';
	if (tracking != NULL)
		*p++ = 't';
	if (tracking != NULL && tracking->is_broken)
		*p++ = 'R';
	if (tracking != NULL && (tracking->options & TRACKING_BCAST) != 0)
		*p++ = 'B';
	if (c->session != NULL && watch_was_touched(c->server, &c->session->watch))
		*p++ = 'd';
	if (!client_is_open(c))
		*p++ = client_is_dead(c) ? 'A' : 'c';
	if (c->peer->is_unix)
		*p++ = 'U';
	if (c->no_evict)
		*p++ = 'e';
	if (c->no_touch)
		*p++ = 'T';
	if (p == out)
		*p++ = 'N';
	*p = '\0';
}

static const char *
or_empty(const char *str)
{
	return str != NULL ? str : "";
}

static uint64_t
seconds_since(uint64_t then_us, uint64_t now_us)
{
	return now_us > then_us ? (now_us - then_us) / 1000000 : 0;
}

void
client_describe(const struct client *c, uint64_t now_us, struct buffer *out)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	const uint32_t *count = c->subscriber.count;
	struct conn_figures figures = {.fd = -1};
	char flags[16], command[COMMAND_NAME_MAX] = "NULL";
	const struct command *last = client_last_command(c);
	const struct session *s = c->session;
	const struct transaction *t = client_transaction(c);
	const struct client_tracking *tracking = tracking_of(c);
	size_t multi_bytes = t != NULL ? sizeof(*t) + t->bytes : 0;
	size_t reply_bytes = outbox_reply_bytes(outbox), memory;

	if (!client_is_gone(c))
		c->server->io->conn_figures(client_conn(c), &figures);
	write_flags(c, flags);
	if (last != NULL)
		command_full_name(last, command);
	memory = sizeof(*c) + figures.input_room_bytes + outbox->bytes + multi_bytes +
		 client_watch_count(c) * sizeof(struct watched_key) +
		 client_subscriptions(c) * sizeof(struct subscription) +
		 (s != NULL ? s->armed_bytes : 0);
	buffer_appendf(out, "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s", c->id,
	    client_peer_address(c->peer), client_peer_local_address(c->peer), figures.fd,
	    client_name(c));
	buffer_appendf(out, " age=%" PRIu64 " idle=%" PRIu64 " flags=%s db=%" PRIu32,
	    seconds_since(c->peer->created_us, now_us), seconds_since(c->active_us, now_us), flags,
	    c->db);
	buffer_appendf(out, " sub=%" PRIu32 " psub=%" PRIu32 " ssub=%" PRIu32 " multi=%" PRId64,
	    count[HUB_CHANNEL] + hub_named_queues_of(&c->subscriber, HUB_CHANNEL),
	    count[HUB_PATTERN] + hub_named_queues_of(&c->subscriber, HUB_PATTERN), count[HUB_SHARD],
	    t != NULL ? (int64_t)t->count : -1);
	buffer_appendf(out, " qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu rbs=0 rbp=0",
	    figures.input_bytes,
	    figures.input_room_bytes > figures.input_bytes
		? figures.input_room_bytes - figures.input_bytes
		: 0,
	    multi_bytes);
	buffer_appendf(out, " obl=%zu oll=%" PRIu32 " omem=%zu tot-mem=%zu", reply_bytes,
	    outbox->messages, outbox->bytes, memory);
	buffer_appendf(out, " events=%s%s cmd=%s user=%s redir=%" PRId64 " resp=%d",
	    figures.readable ? "r" : "", figures.writable ? "w" : "", command, c->user->name,
	    tracking != NULL ? (int64_t)tracking->redirect : -1, c->proto);
	buffer_appendf(out, " lib-name=%s lib-ver=%s", or_empty(s != NULL ? s->lib_name : NULL),
	    or_empty(s != NULL ? s->lib_version : NULL));
}
