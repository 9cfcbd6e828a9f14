#include "config.h"

#include <inttypes.h>
#include <sched.h>

#include "base/buffer.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "kv/keyspace.h"
#include "kv/memory.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/info.h"
#include "server/job.h"
#include "server/request_keys.h"
#include "server/statistics.h"

/* MEMORY: the memory of keys, subscriptions, queued messages and kept messages. */

/* MEMORY DOCTOR reports nothing below these sizes. */
#define DOCTOR_MIN_BYTES ((size_t)5 << 20)
#define DOCTOR_MIN_RSS_BYTES ((size_t)64 << 20)

/* The bytes that a channel of this kind takes with its subscriptions and its kept messages; 0 if it
 * has none. */
static size_t
channel_bytes(struct hub *hub, enum hub_kind kind, struct slice channel, uint64_t now_us)
{
	const struct ring *ring = kind == HUB_CHANNEL ? hub_ring(hub, channel, now_us) : NULL;
	size_t count = hub_numsub(hub, kind, channel);

	if (count == 0 && ring == NULL)
		return 0;
	return sizeof(struct topic) + channel.len + (ring != NULL ? history_ring_bytes(ring) : 0) +
	       count * (sizeof(struct topic_member) + sizeof(struct subscription));
}

/*
 * The memory of a key, or, if there is no such key, of the channels of that name. SAMPLES is
 * checked and has no effect.
 */
enum command_result
cmd_memory_usage(struct request *rq)
{
	struct hub *hub = rq->server->hub;
	struct slice name = rq->argv[2];
	const struct kv_key *key;
	int64_t samples;
	size_t bytes, i;

	for (i = 3; i < rq->argc; i += 2) {
		if (!slice_is_nocase(rq->argv[i], "samples") || i + 1 == rq->argc) {
			request_syntax_error(rq);
			return COMMAND_DONE;
		}
		if (!slice_to_i64(rq->argv[i + 1], &samples)) {
			request_error(rq, "ERR value is not an integer or out of range");
			return COMMAND_DONE;
		}
		if (samples < 0) {
			request_syntax_error(rq);
			return COMMAND_DONE;
		}
	}
	key = key_peek(rq, request_db(rq), name);
	bytes = key != NULL ? kv_key_bytes(key)
			    : channel_bytes(hub, HUB_CHANNEL, name, rq->now_us) +
				  channel_bytes(hub, HUB_SHARD, name, rq->now_us);
	if (bytes > 0)
		resp_put_int(rq->reply, (int64_t)bytes);
	else
		resp_put_null(rq->reply, rq->proto);
	return COMMAND_DONE;
}

static double
share(size_t part, size_t whole)
{
	return whole > 0 ? (double)part * 100 / (double)whole : 0;
}

struct stat_row {
	const char *name;
	enum { STAT_NUMBER, STAT_SHARE } kind;
	int64_t number;
	double share;
};

#define NUMBER(row, value)                                                                         \
	{                                                                                          \
		row, STAT_NUMBER, (int64_t)(value), 0                                              \
	}
#define SHARE(row, value)                                                                          \
	{                                                                                          \
		row, STAT_SHARE, 0, (value)                                                        \
	}

/*
 * The ratio and the difference of two figures of which one includes the other, as Redis defines
 * them.
 */
#define RATIO(row, part, whole) SHARE(row ".ratio", share(part, whole) / 100)
#define OVER(row, part, whole) NUMBER(row ".bytes", (int64_t)(part) - (int64_t)(whole))

static void
put_stats(struct request *rq, const struct stat_row *rows, size_t count)
{
	resp_put_map(rq->reply, rq->proto, count);
	for (size_t i = 0; i < count; i++) {
		resp_put_bulk_str(rq->reply, rows[i].name);
		if (rows[i].kind == STAT_NUMBER)
			resp_put_int(rq->reply, rows[i].number);
		else
			resp_put_double(rq->reply, rq->proto, rows[i].share);
	}
}

static size_t
count_keys(const struct server *server)
{
	size_t keys = 0;

	for (uint32_t i = 0; i < kv_databases(server->kv); i++)
		keys += kv_db_count(kv_database(server->kv, i));
	return keys;
}

/* First the figures that Redis has too, under its names and in its order, then our own. */
enum command_result
cmd_memory_stats(struct request *rq)
{
	const struct server *server = rq->server;
	struct info_source x;
	size_t clients, overhead, dataset, keys = count_keys(server);

	info_source_init(&x, server, rq->now_us);
	clients = server->clients->count * sizeof(struct client) + x.hub.log_bytes;
	overhead = server->statistics->startup_bytes + clients;
	dataset = x.used_bytes > overhead ? x.used_bytes - overhead : 0;

	const struct allocator_figures *a = &x.allocator;
	const struct stat_row rows[] = {
	    NUMBER("peak.allocated", x.peak_bytes),
	    NUMBER("total.allocated", x.used_bytes),
	    NUMBER("startup.allocated", server->statistics->startup_bytes),
	    NUMBER("replication.backlog", 0),
	    NUMBER("clients.slaves", 0),
	    NUMBER("clients.normal", clients),
	    NUMBER("cluster.links", 0),
	    NUMBER("aof.buffer", 0),
	    NUMBER("lua.caches", x.scripts.all_bytes),
	    NUMBER("functions.caches", 0),
	    NUMBER("overhead.total", overhead),
	    NUMBER("keys.count", keys),
	    NUMBER("keys.bytes-per-key", keys > 0 ? kv_used_bytes() / keys : 0),
	    NUMBER("dataset.bytes", dataset),
	    SHARE("dataset.percentage",
		share(dataset, x.used_bytes - server->statistics->startup_bytes)),
	    SHARE("peak.percentage", share(x.used_bytes, x.peak_bytes)),
	    NUMBER("allocator.allocated", a->allocated),
	    NUMBER("allocator.active", a->active),
	    NUMBER("allocator.resident", a->resident),
	    RATIO("allocator-fragmentation", a->active, a->allocated),
	    OVER("allocator-fragmentation", a->active, a->allocated),
	    RATIO("allocator-rss", a->resident, a->active),
	    OVER("allocator-rss", a->resident, a->active),
	    RATIO("rss-overhead", x.rss_bytes, a->resident),
	    OVER("rss-overhead", x.rss_bytes, a->resident),
	    SHARE("fragmentation", share(x.rss_bytes, x.used_bytes) / 100),
	    OVER("fragmentation", x.rss_bytes, x.used_bytes),
	    NUMBER("subscriptions.count", x.hub.subscriptions),
	    NUMBER("subscriptions.tree-bytes", x.hub.tree_bytes),
	    NUMBER("channel-options.bytes", hub_options_figures(server->hub).bytes),
	    NUMBER("outboxes.bytes", x.hub.queued_bytes),
	    NUMBER("outboxes.messages", x.hub.queued_messages),
	    NUMBER("outboxes.frame-log-bytes", x.hub.log_bytes),
	    NUMBER("history.messages", x.history.messages),
	    NUMBER("history.bytes", x.history.bytes),
	    NUMBER("presence.members", x.presence.members),
	    NUMBER("presence.bytes", x.presence.bytes),
	};

	put_stats(rq, rows, sizeof(rows) / sizeof(rows[0]));
	info_source_release(&x);
	return COMMAND_DONE;
}

/* True if bytes exceed others by more than half and by at least DOCTOR_MIN_BYTES. */
static bool
is_far_above(size_t bytes, size_t others)
{
	return bytes > others + others / 2 && bytes - others > DOCTOR_MIN_BYTES;
}

static void
diagnose_allocator(const struct info_source *x, struct buffer *out)
{
	const struct allocator_figures *a = &x->allocator;

	if (is_far_above(a->active, a->allocated))
		buffer_appendf(out,
		    "* The pages in use take %zu bytes for %zu allocated bytes: memory is "
		    "fragmented (allocator_frag_ratio). New allocations use the free space within "
		    "pages again; a restart removes it.\n",
		    a->active, a->allocated);
	if (is_far_above(a->resident, a->active))
		buffer_appendf(out,
		    "* %zu bytes are free and not yet returned to the system "
		    "(allocator_rss_bytes). That happens within seconds; MEMORY PURGE does it at "
		    "once.\n",
		    a->resident - a->active);
	if (is_far_above(x->rss_bytes, a->resident))
		buffer_appendf(out,
		    "* The process has %zu bytes in memory, the allocator %zu of them: the rest "
		    "are "
		    "programs and libraries, and the stacks of threads (rss_overhead_bytes).\n",
		    x->rss_bytes, a->resident);
}

static void
diagnose(const struct info_source *x, struct buffer *out)
{
	const size_t begun = out->len;

	if (x->used_bytes < DOCTOR_MIN_BYTES && x->rss_bytes < DOCTOR_MIN_RSS_BYTES) {
		buffer_append_str(out, "Too little memory is in use for a diagnosis.\n");
		return;
	}
	if (x->hub.log_bytes > x->used_bytes / 2)
		buffer_appendf(out,
		    "* More than half of the memory holds messages queued for clients (%zu bytes). "
		    "CLIENT LIST shows which clients do not read them (outbox-bytes); "
		    "outbox-limit-bytes and outbox-policy bound them.\n",
		    x->hub.log_bytes);
	if (is_far_above(x->peak_bytes, x->used_bytes))
		buffer_appendf(out,
		    "* At its peak the daemon used %zu bytes, now it uses %zu. This is not a "
		    "problem.\n",
		    x->peak_bytes, x->used_bytes);
	diagnose_allocator(x, out);
	if (x->hub.dropped > 0)
		buffer_appendf(out,
		    "* %" PRIu64 " messages were dropped because subscribers were too slow.\n",
		    x->hub.dropped);
	if (out->len == begun)
		buffer_append_str(out, "No problems found.\n");
}

static enum command_result
reply_about_memory(struct request *rq, void (*tell)(const struct info_source *, struct buffer *))
{
	struct info_source source;
	struct buffer text = {0};

	info_source_init(&source, rq->server, rq->now_us);
	tell(&source, &text);
	info_source_release(&source);
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&text));
	buffer_release(&text);
	return COMMAND_DONE;
}

enum command_result
cmd_memory_doctor(struct request *rq)
{
	return reply_about_memory(rq, diagnose);
}

static void
tell_allocator(const struct info_source *x, struct buffer *out)
{
	allocator_describe(out);
	if (out->len == 0)
		buffer_appendf(out, "allocator: %s\nallocated: %zu\npeak: %zu\nresident: %zu\n",
		    allocator_name(), x->used_bytes, x->peak_bytes, x->rss_bytes);
}

enum command_result
cmd_memory_malloc_stats(struct request *rq)
{
	return reply_about_memory(rq, tell_allocator);
}

/*
 * The purge runs in a thread for some tens of ms at most. The job polls it: meanwhile the loop
 * serves other clients but does not sleep. A transaction waits for the end.
 */
static enum job_state
await_purge(void *state, struct job_step *step)
{
	struct allocator_purge *purge = state;

	if (!allocator_purge_is_over(purge)) {
		sched_yield();
		return JOB_MORE;
	}
	resp_put_simple(step->reply, "OK");
	return JOB_DONE;
}

static void
release_purge(void *state)
{
	allocator_purge_free(state);
}

static const struct job_kind purge_job = {"memory purge", await_purge, release_purge};

enum command_result
cmd_memory_purge(struct request *rq)
{
	job_start(rq->server, rq->client, &purge_job, allocator_purge_start());
	return COMMAND_DONE;
}

enum command_result
cmd_memory_help(struct request *rq)
{
	return request_help_from_table(rq);
}
