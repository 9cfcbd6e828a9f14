#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/float_text.h"
#include "base/hash_map.h"
#include "base/latency_histogram.h"
#include "base/random.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/info.h"
#include "server/io.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* INFO: the statistics of the requested sections, in the format of Redis. */
static const struct {
	const char *name;
	enum info_section section;
	bool by_default;
} sections[] = {
    {"Server", INFO_SERVER, true},
    {"Clients", INFO_CLIENTS, true},
    {"Memory", INFO_MEMORY, true},
    {"Persistence", INFO_PERSISTENCE, true},
    {"Stats", INFO_STATS, true},
    {"Replication", INFO_REPLICATION, true},
    {"CPU", INFO_CPU, true},
    {"TLS", INFO_TLS, true},
    {"Threads", INFO_THREADS, true},
    {"Pubsub", INFO_PUBSUB, true},
    {"History", INFO_HISTORY, true},
    {"Presence", INFO_PRESENCE, true},
    {"Link", INFO_LINK, true},
    {"Limits", INFO_LIMITS, true},
    {"Commandstats", INFO_COMMANDSTATS, false},
    {"Errorstats", INFO_ERRORSTATS, true},
    {"Latencystats", INFO_LATENCYSTATS, false},
    {"Cluster", INFO_CLUSTER, true},
    {"Keyspace", INFO_KEYSPACE, true},
};

#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* The number of keys whose expiry is sampled for avg_ttl. */
#define AVERAGE_OF 16

static uint32_t
wanted_by_name(struct slice name)
{
	bool all = slice_is_nocase(name, "all") || slice_is_nocase(name, "everything");
	bool by_default = slice_is_nocase(name, "default");
	uint32_t wanted = 0;
	size_t i;

	for (i = 0; i < SECTIONS; i++) {
		if (all || (by_default && sections[i].by_default) ||
		    slice_is_nocase(name, sections[i].name))
			wanted |= 1u << sections[i].section;
	}
	return wanted;
}

/* A limit is named after its directive: "limit_max_channel_length". */
static void
put_name(const struct info_row *row, struct buffer *out)
{
	size_t at = out->len;

	if (row->section == INFO_LIMITS)
		buffer_append_str(out, "limit_");
	buffer_append_str(out, row->name);
	for (; at < out->len; at++) {
		if (out->ptr[at] == '-')
			out->ptr[at] = '_';
	}
}

static void
put_command_stats(const struct server *server, struct buffer *out)
{
	char name[COMMAND_NAME_MAX];
	size_t i;

	for (i = 0; i < server->commands->count; i++) {
		const struct command_stats *stats = &server->statistics->commands[i];

		if (stats->calls == 0 && stats->rejected == 0 && stats->failed == 0)
			continue;
		buffer_appendf(out,
		    "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
		    ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
		    command_full_name(&server->commands->rows[i], name), stats->calls, stats->usec,
		    stats->calls > 0 ? (double)stats->usec / (double)stats->calls : 0,
		    stats->rejected, stats->failed);
	}
}

static void
put_percent(double percent, struct buffer *out)
{
	char text[FLOAT_TEXT_PERCENT_MAX];

	buffer_append(out, text, float_text_put_percent(text, percent));
}

static void
put_latency_stats(const struct server *server, struct buffer *out)
{
	const struct server_config *config = server->config;
	char name[COMMAND_NAME_MAX];
	size_t i, k;

	for (i = 0; i < server->commands->count && config->latency_tracking; i++) {
		const struct latency_histogram *h = server->statistics->commands[i].latency;

		if (h == NULL)
			continue;
		buffer_appendf(out, "latency_percentiles_usec_%s:",
		    command_full_name(&server->commands->rows[i], name));
		for (k = 0; k < config->latency_percentile_count; k++) {
			buffer_append_str(out, k > 0 ? ",p" : "p");
			put_percent(config->latency_percentiles[k], out);
			buffer_appendf(out, "=%.3f",
			    latency_histogram_percentile(h, config->latency_percentiles[k]));
		}
		buffer_append_str(out, "\r\n");
	}
}

static void
put_error_stats(struct slice code, void *value, void *arg)
{
	const uint64_t *count = value;
	struct buffer *out = arg;

	buffer_append_str(out, "errorstat_");
	buffer_append_escaped(out, code);
	buffer_appendf(out, ":count=%" PRIu64 "\r\n", *count);
}

static void
put_loops(const struct server *server, struct buffer *out)
{
	struct net_loop_figures figures;

	for (unsigned i = 0; server->io->loop_figures(server->io->arg, i, &figures); i++)
		buffer_appendf(out,
		    "io_thread_%u:clients=%zu,read_bytes=%" PRIu64 ",written_bytes=%" PRIu64
		    ",cpu_usec=%" PRIu64 "\r\n",
		    i, figures.connections, figures.read_bytes, figures.written_bytes,
		    figures.cpu_us);
}

static void
put_shard(void *arg, const struct upstream_shard *shard)
{
	buffer_appendf(arg,
	    "link_shard%zu:address=%s,state=%s,slots=%zu,queued=%zu,unanswered=%zu,received="
	    "%" PRIu64 ",sent=%" PRIu64 "\r\n",
	    shard->number, shard->address, shard->state, shard->slots, shard->queued_bytes,
	    shard->unanswered, shard->received, shard->sent);
}

static void
put_shards(const struct upstream *upstream, struct buffer *out)
{
	if (upstream != NULL && upstream->ops->each_shard != NULL)
		upstream->ops->each_shard(upstream, put_shard, out);
}

/* The average time to live of keys with an expiry, estimated from a sample, as in Redis. */
static int64_t
average_left_ms(const struct kv_db *db, struct random *random, int64_t now_ms)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < AVERAGE_OF; i++) {
		const struct kv_key *key = kv_random_expiring(db, random_next(random));
		int64_t left_ms = key != NULL ? kv_expiry(db, key) - now_ms : 0;

		sum += left_ms > 0 ? left_ms / AVERAGE_OF : 0;
	}
	return sum;
}

static void
put_databases(const struct info_source *x, struct buffer *out)
{
	struct random random = *x->server->random;
	uint32_t i;

	for (i = 0; i < kv_databases(x->server->kv); i++) {
		const struct kv_db *db = kv_database(x->server->kv, i);

		if (kv_db_count(db) > 0)
			buffer_appendf(out,
			    "db%" PRIu32 ":keys=%zu,expires=%zu,avg_ttl=%" PRId64 "\r\n", i,
			    kv_db_count(db), kv_db_expiring(db),
			    average_left_ms(db, &random, (int64_t)(x->wall_us / 1000)));
	}
}

static void
put_section(const struct info_source *source, enum info_section section, struct buffer *out)
{
	size_t i;

	for (i = 0; i < info_row_count; i++) {
		if (info_rows[i].section != section)
			continue;
		put_name(&info_rows[i], out);
		buffer_append_str(out, ":");
		info_rows[i].put(source, out);
		buffer_append_str(out, "\r\n");
	}
	if (section == INFO_COMMANDSTATS)
		put_command_stats(source->server, out);
	else if (section == INFO_LATENCYSTATS)
		put_latency_stats(source->server, out);
	else if (section == INFO_ERRORSTATS)
		hash_map_each(source->server->statistics->errors, put_error_stats, out);
	else if (section == INFO_THREADS)
		put_loops(source->server, out);
	else if (section == INFO_LINK)
		put_shards(source->server->upstream, out);
	else if (section == INFO_KEYSPACE)
		put_databases(source, out);
}

enum command_result
cmd_info(struct request *rq)
{
	struct info_source source;
	struct buffer text = {0};
	uint32_t wanted = rq->argc == 1 ? wanted_by_name(SLICE("default")) : 0;
	size_t i;

	for (i = 1; i < rq->argc; i++)
		wanted |= wanted_by_name(rq->argv[i]);
	info_source_init(&source, rq->server, rq->now_us);
	for (i = 0; i < SECTIONS; i++) {
		if ((wanted & 1u << sections[i].section) == 0)
			continue;
		if (text.len > 0)
			buffer_append_str(&text, "\r\n");
		buffer_appendf(&text, "# %s\r\n", sections[i].name);
		put_section(&source, sections[i].section, &text);
	}
	info_source_release(&source);
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&text));
	buffer_release(&text);
	return COMMAND_DONE;
}
