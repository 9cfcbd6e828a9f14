#include "config.h"

#include <inttypes.h>
#include <malloc.h>

#include "kv/memory.h"
#include "resp/writer.h"
#include "server/handlers.h"
#include "server/help.h"
#include "server/info.h"
#include "server/keys.h"
#include "server/state.h"

/* MEMORY: of keys, of subscriptions and of what is owed. */

/*
 * Giving memory back to the system takes about 0.15 ms a MiB, and nobody is served meanwhile.
 */
#define PURGE_MAX_BYTES ((size_t)64 << 20)

/* Below this the doctor sees nothing worth a word. */
#define DOCTOR_MIN_BYTES ((size_t)5 << 20)

/* What a channel of that kind takes with its subscriptions; 0 if it has none. */
static size_t
channel_bytes(struct hub *hub, enum hub_kind kind, struct slice channel)
{
	size_t count = hub_numsub(hub, kind, channel);

	if (count == 0)
		return 0;
	return sizeof(struct topic) + channel.len +
	       count * (sizeof(struct topic_member) + sizeof(struct subscription));
}

/* Of a key; else, where there is none, of the channels of that name. SAMPLES is checked and says
 * nothing. */
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
	bytes = key != NULL
		    ? kv_key_bytes(key)
		    : channel_bytes(hub, HUB_CHANNEL, name) + channel_bytes(hub, HUB_SHARD, name);
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

/* Redis's names where they have a meaning, then ours. */
enum command_result
cmd_memory_stats(struct request *rq)
{
	const struct server *server = rq->server;
	struct info_source x;
	size_t clients, overhead, dataset, keys = 0, i;
	int64_t wasted;

	info_source_init(&x, server, rq->now_us);
	clients = server->client_count * sizeof(struct client) + x.hub.log_bytes;
	overhead = server->startup_bytes + clients;
	dataset = x.used_bytes > overhead ? x.used_bytes - overhead : 0;
	for (i = 0; i < kv_databases(server->kv); i++)
		keys += kv_db_count(kv_database(server->kv, (uint32_t)i));
	wasted = (int64_t)x.rss_bytes - (int64_t)x.used_bytes;

	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
	    {"peak.allocated", (int64_t)x.peak_bytes},
	    {"total.allocated", (int64_t)x.used_bytes},
	    {"startup.allocated", (int64_t)server->startup_bytes},
	    {"replication.backlog", 0},
	    {"clients.slaves", 0},
	    {"clients.normal", (int64_t)clients},
	    {"cluster.links", 0},
	    {"aof.buffer", 0},
	    {"lua.caches", 0},
	    {"functions.caches", 0},
	    {"overhead.total", (int64_t)overhead},
	    {"keys.count", (int64_t)keys},
	    {"keys.bytes-per-key", keys > 0 ? (int64_t)(kv_used_bytes() / keys) : 0},
	    {"dataset.bytes", (int64_t)dataset},
	    {"fragmentation.bytes", wasted},
	    {"subscriptions.count", (int64_t)x.hub.subscriptions},
	    {"subscriptions.tree-bytes", (int64_t)x.hub.tree_bytes},
	    {"outboxes.bytes", (int64_t)x.hub.queued_bytes},
	    {"outboxes.messages", (int64_t)x.hub.queued_messages},
	    {"outboxes.frame-log-bytes", (int64_t)x.hub.log_bytes},
	};
	const struct {
		const char *name;
		double value;
	} shares[] = {
	    {"dataset.percentage", share(dataset, x.used_bytes - server->startup_bytes)},
	    {"peak.percentage", share(x.used_bytes, x.peak_bytes)},
	    {"fragmentation", share(x.rss_bytes, x.used_bytes) / 100},
	};

	resp_put_map(rq->reply, rq->proto,
	    sizeof(numbers) / sizeof(numbers[0]) + sizeof(shares) / sizeof(shares[0]));
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		resp_put_bulk_str(rq->reply, numbers[i].name);
		resp_put_int(rq->reply, numbers[i].value);
	}
	for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		resp_put_bulk_str(rq->reply, shares[i].name);
		resp_put_double(rq->reply, rq->proto, shares[i].value);
	}
	info_source_release(&x);
	return COMMAND_DONE;
}

static void
diagnose(const struct info_source *x, struct buffer *out)
{
	const size_t begun = out->len;

	if (x->used_bytes < DOCTOR_MIN_BYTES) {
		buffer_append_str(
		    out, "So little memory is in use that there is nothing to look at.\n");
		return;
	}
	if (x->hub.log_bytes > x->used_bytes / 2)
		buffer_appendf(out,
		    "* More than half of the memory holds what clients are owed (%zu bytes). "
		    "CLIENT LIST "
		    "shows who does not read (outbox-bytes); outbox-limit-bytes and outbox-policy "
		    "bound "
		    "it.\n",
		    x->hub.log_bytes);
	if (x->peak_bytes > x->used_bytes + x->used_bytes / 2)
		buffer_appendf(out,
		    "* At its peak the daemon held %zu bytes, now %zu. What the system still "
		    "counts as "
		    "its own is used again first.\n",
		    x->peak_bytes, x->used_bytes);
	if (x->rss_bytes > x->used_bytes + x->used_bytes / 2)
		buffer_appendf(out,
		    "* The process takes %zu bytes for %zu bytes in use: memory is fragmented. "
		    "MEMORY "
		    "PURGE may give some back.\n",
		    x->rss_bytes, x->used_bytes);
	if (x->hub.dropped > 0)
		buffer_appendf(out,
		    "* %" PRIu64 " messages were dropped because subscribers were too slow.\n",
		    x->hub.dropped);
	if (out->len == begun)
		buffer_append_str(out, "Nothing to complain of.\n");
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

/* What malloc itself could tell costs a walk over all that is free, so it is not asked. */
static void
tell_allocator(const struct info_source *x, struct buffer *out)
{
	buffer_appendf(out, "allocator: libc\nallocated: %zu\npeak: %zu\nresident: %zu\n",
	    x->used_bytes, x->peak_bytes, x->rss_bytes);
}

enum command_result
cmd_memory_malloc_stats(struct request *rq)
{
	return reply_about_memory(rq, tell_allocator);
}

enum command_result
cmd_memory_purge(struct request *rq)
{
	struct info_source source;
	bool too_much;

	info_source_init(&source, rq->server, rq->now_us);
	too_much = source.rss_bytes > source.used_bytes + PURGE_MAX_BYTES;
	info_source_release(&source);
	if (too_much) {
		request_error(rq,
		    "ERR more than %zu MiB are free: giving them back would hold up all clients",
		    PURGE_MAX_BYTES >> 20);
		return COMMAND_DONE;
	}
	malloc_trim(0);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_memory_help(struct request *rq)
{
	return request_help_from_table(rq);
}
