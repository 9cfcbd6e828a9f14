#include "config.h"

#include "server/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/durations.h"
#include "base/hash_map.h"
#include "kv/keyspace.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/command.h"
#include "server/core.h"
#include "server/info.h"
#include "server/io.h"
#include "server/statistics.h"

/* The end of a row's name that says its unit, and what stands there in the metric's name. */
static const struct {
	const char *of_row;
	const char *of_metric;
	const char *unit;
} units[] = {
    [INFO_UNIT_NONE] = {"", "", ""},
    [INFO_UNIT_BYTES] = {"_bytes", "_bytes", "bytes"},
    [INFO_UNIT_SECONDS] = {"_sec", "_seconds", "seconds"},
    [INFO_UNIT_MILLISECONDS] = {"_in_milliseconds", "_seconds", "seconds"},
    [INFO_UNIT_MICROSECONDS] = {"_usec", "_seconds", "seconds"},
    [INFO_UNIT_RATIO] = {"_ratio", "_ratio", "ratio"},
    [INFO_UNIT_PER_SECOND] = {"_per_sec", "_per_second", ""},
    [INFO_UNIT_KIB_PER_SECOND] = {"_kbps", "_bytes_per_second", ""},
    [INFO_UNIT_STATUS] = {"_status", "_ok", ""},
    [INFO_UNIT_AGAIN] = {"", "", ""},
};

static size_t
len_without(const char *name, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && memcmp(name + len - end_len, end, end_len) == 0 ? len - end_len
										: len;
}

/* total_net_input_bytes becomes net_input_bytes, to which the page adds _total. */
static void
name_of(const struct info_row *row, char name[METRICS_NAME_MAX])
{
	const char *from = row->name;
	size_t len;

	if (row->kind == INFO_COUNTER && strncmp(from, "total_", 6) == 0)
		from += 6;
	len = len_without(from, strlen(from), units[row->unit].of_row);
	if (row->unit == INFO_UNIT_SECONDS && len == strlen(from))
		len = len_without(from, len, "_in_seconds");
	snprintf(name, METRICS_NAME_MAX, "%.*s%s", (int)len, from, units[row->unit].of_metric);
}

/* Converts the value of a row to the base unit of its metric. */
static void
put_value(struct metrics_page *page, const struct info_row *row, struct buffer *value)
{
	char text[40];

	buffer_append(value, "", 1);
	if (row->unit == INFO_UNIT_MICROSECONDS) {
		metrics_put_us(page, METRICS_NO_LABEL, strtoull(value->ptr, NULL, 10));
		return;
	}
	if (row->unit == INFO_UNIT_MILLISECONDS) {
		metrics_put_us(page, METRICS_NO_LABEL, strtoull(value->ptr, NULL, 10) * 1000);
		return;
	}
	if (row->unit == INFO_UNIT_STATUS) {
		metrics_put_uint(page, METRICS_NO_LABEL, strcmp(value->ptr, "ok") == 0);
		return;
	}
	if (row->unit == INFO_UNIT_KIB_PER_SECOND) {
		snprintf(text, sizeof(text), "%.0f", strtod(value->ptr, NULL) * 1024);
		metrics_put_text(page, METRICS_NO_LABEL, slice_of(text));
		return;
	}
	metrics_put_text(page, METRICS_NO_LABEL, (struct slice){value->ptr, value->len - 1});
}

static bool
is_text(const struct info_row *row)
{
	return row->kind == INFO_LABEL && row->unit == INFO_UNIT_NONE;
}

static void
put_rows(struct metrics_page *page, const struct info_source *source, struct buffer *value)
{
	char name[METRICS_NAME_MAX];

	for (size_t i = 0; i < info_row_count - INFO_LIMIT_COUNT; i++) {
		const struct info_row *row = &info_rows[i];

		if (is_text(row) || row->unit == INFO_UNIT_AGAIN)
			continue;
		name_of(row, name);
		metrics_begin(page, row->kind == INFO_COUNTER ? METRICS_COUNTER : METRICS_GAUGE,
		    name, units[row->unit].unit, row->text);
		buffer_clear(value);
		row->put(source, value);
		put_value(page, row, value);
	}
}

/* All rows with text are labels of one metric. */
static void
put_build(struct metrics_page *page, const struct info_source *source, struct buffer *values)
{
	struct metrics_label labels[32];
	size_t ends[32], count = 0;

	buffer_clear(values);
	for (size_t i = 0; i < info_row_count && count < 32; i++) {
		if (!is_text(&info_rows[i]))
			continue;
		info_rows[i].put(source, values);
		labels[count].name = info_rows[i].name;
		ends[count++] = values->len;
	}
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		labels[i].value = (struct slice){values->ptr + at, ends[i] - at};
	metrics_begin(page, METRICS_INFO, "build", "",
	    "The version, the process and its environment: the fields of INFO that are text.");
	metrics_put_labels(page, labels, count, 1);
}

static void
put_limits(struct metrics_page *page, const struct info_source *source)
{
	const struct info_row *rows = info_rows + info_row_count - INFO_LIMIT_COUNT;
	uint64_t value;

	metrics_begin(page, METRICS_GAUGE, "limit", "",
	    "The value of a directive that limits what peers can make the daemon store; 0: no "
	    "limit.");
	for (size_t i = 0; i < INFO_LIMIT_COUNT; i++)
		if (source->limits[i] != NULL && slice_to_u64(slice_of(source->limits[i]), &value))
			metrics_put_uint(page, METRICS_LABEL("limit", rows[i].name), value);
	metrics_begin(page, METRICS_GAUGE, "limit_used", "",
	    "How much of that limit is used; of a limit on each client, by the client that uses "
	    "most.");
	for (size_t i = 0; i < INFO_LIMIT_COUNT; i++) {
		value = info_limit_used(source, (enum info_limit)i);
		if (value != INFO_NOT_MEASURED)
			metrics_put_uint(page, METRICS_LABEL("limit", rows[i].name), value);
	}
}

enum of_command { CALLS, SECONDS, REJECTED, FAILED, OF_COMMAND };

static void
put_commands_by(struct metrics_page *page, const struct server *server, enum of_command what)
{
	char name[COMMAND_NAME_MAX];

	for (size_t i = 0; i < server->commands->count; i++) {
		const struct command_stats *stats = &server->statistics->commands[i];
		struct metrics_label label;

		if (stats->calls == 0 && stats->rejected == 0 && stats->failed == 0)
			continue;
		label = METRICS_LABEL("cmd", command_full_name(&server->commands->rows[i], name));
		if (what == SECONDS)
			metrics_put_us(page, label, stats->usec);
		else
			metrics_put_uint(page, label,
			    what == CALLS      ? stats->calls
			    : what == REJECTED ? stats->rejected
					       : stats->failed);
	}
}

static void
put_commands(struct metrics_page *page, const struct server *server)
{
	static const struct {
		const char *name, *unit, *help;
	} families[OF_COMMAND] = {
	    [CALLS] = {"commands", "", "Calls by command."},
	    [SECONDS] = {"commands_duration_seconds", "seconds", "Time spent by command."},
	    [REJECTED] = {"commands_rejected", "", "Calls that were refused, by command."},
	    [FAILED] = {"commands_failed", "", "Calls that ended with an error, by command."},
	};

	for (enum of_command what = 0; what < OF_COMMAND; what++) {
		metrics_begin(page, METRICS_COUNTER, families[what].name, families[what].unit,
		    families[what].help);
		put_commands_by(page, server, what);
	}
}

static void
put_error(struct slice code, void *value, void *arg)
{
	const uint64_t *count = value;

	metrics_put_uint(arg, (struct metrics_label){"code", code}, *count);
}

static void
put_loops(struct metrics_page *page, const struct server *server)
{
	static const char *const names[] = {"io_thread_clients", "io_thread_read_bytes",
	    "io_thread_written_bytes", "io_thread_cpu_seconds"};
	static const char *const help[] = {"Connections by I/O thread.",
	    "Bytes read by I/O thread.", "Bytes written by I/O thread.",
	    "Processor time by I/O thread."};
	struct net_loop_figures f;
	char number[12];

	for (int what = 0; what < 4; what++) {
		metrics_begin(page, what == 0 ? METRICS_GAUGE : METRICS_COUNTER, names[what],
		    what == 0   ? ""
		    : what == 3 ? "seconds"
				: "bytes",
		    help[what]);
		for (unsigned i = 0; server->io->loop_figures(server->io->arg, i, &f); i++) {
			struct metrics_label label;

			snprintf(number, sizeof(number), "%u", i);
			label = METRICS_LABEL("thread", number);
			if (what == 3)
				metrics_put_us(page, label, f.cpu_us);
			else
				metrics_put_uint(page, label,
				    what == 0   ? f.connections
				    : what == 1 ? f.read_bytes
						: f.written_bytes);
		}
	}
}

enum of_shard { UP, SLOTS, QUEUED, UNANSWERED, RECEIVED, SENT, OF_SHARD };

struct shard_family {
	struct metrics_page *page;
	enum of_shard what;
};

static void
put_shard(void *arg, const struct upstream_shard *shard)
{
	const struct shard_family *family = arg;
	const uint64_t values[OF_SHARD] = {
	    [UP] = shard->is_up,
	    [SLOTS] = shard->slots,
	    [QUEUED] = shard->queued_bytes,
	    [UNANSWERED] = shard->unanswered,
	    [RECEIVED] = shard->received,
	    [SENT] = shard->sent,
	};

	metrics_put_uint(
	    family->page, METRICS_LABEL("address", shard->address), values[family->what]);
}

static void
put_shards(struct metrics_page *page, const struct upstream *upstream)
{
	static const struct {
		const char *name, *unit, *help;
	} families[OF_SHARD] = {
	    [UP] = {"link_shard_up", "", "1 while the link to this shard is up; else 0."},
	    [SLOTS] = {"link_shard_slots", "", "Slots by shard."},
	    [QUEUED] = {"link_shard_queued_bytes", "bytes", "Bytes to be sent by shard."},
	    [UNANSWERED] = {"link_shard_unanswered", "", "Messages without an answer by shard."},
	    [RECEIVED] = {"link_shard_received", "", "Messages from the shard."},
	    [SENT] = {"link_shard_sent", "", "Messages to the shard."},
	};

	if (upstream == NULL || upstream->ops->each_shard == NULL)
		return;
	for (enum of_shard what = 0; what < OF_SHARD; what++) {
		metrics_begin(page, what < RECEIVED ? METRICS_GAUGE : METRICS_COUNTER,
		    families[what].name, families[what].unit, families[what].help);
		upstream->ops->each_shard(upstream, put_shard, &(struct shard_family){page, what});
	}
}

static void
put_databases(struct metrics_page *page, const struct server *server)
{
	char number[12];

	for (int expiring = 0; expiring <= 1; expiring++) {
		metrics_begin(page, METRICS_GAUGE, expiring ? "db_expiring_keys" : "db_keys", "",
		    expiring ? "Keys with an expiry time, by database." : "Keys by database.");
		for (uint32_t i = 0; i < kv_databases(server->kv); i++) {
			const struct kv_db *db = kv_database(server->kv, i);

			if (i > 0 && kv_db_count(db) == 0)
				continue;
			snprintf(number, sizeof(number), "%" PRIu32, i);
			metrics_put_uint(page, METRICS_LABEL("db", number),
			    expiring ? kv_db_expiring(db) : kv_db_count(db));
		}
	}
}

static void
put_subscribers(struct metrics_page *page, const struct info_source *source)
{
	const struct server *server = source->server;
	const struct subscriber_counts *counts = &server->statistics->subscribers;
	const char *form;

	metrics_begin(page, METRICS_GAUGE, "policy_subscribers", "",
	    "Clients with subscriptions by the policy of their outbox, as of the last sweep.");
	for (int i = 0; i < OUTBOX_POLICIES; i++)
		metrics_put_uint(page,
		    METRICS_LABEL("policy", outbox_policy_name((enum outbox_policy)i)),
		    counts->by_policy[i]);
	metrics_begin(page, METRICS_COUNTER, "policy_dropped", "",
	    "Messages dropped, by the policy of the outbox in which they were missing.");
	for (int i = 0; i < OUTBOX_POLICIES; i++)
		metrics_put_uint(page,
		    METRICS_LABEL("policy", outbox_policy_name((enum outbox_policy)i)),
		    source->hub.dropped_by[i]);
	metrics_begin(page, METRICS_GAUGE, "form_subscribers", "",
	    "Clients with subscriptions by the wire form of their messages, as of the last sweep.");
	for (uint8_t i = 0; (form = hub_form_name(server->hub, i)) != NULL; i++)
		metrics_put_uint(page, METRICS_LABEL("form", form), counts->by_form[i]);
}

void
server_add_metrics(struct server *server, struct metrics_source *source)
{
	struct metrics_source **end = &server->metrics_sources;

	while (*end != NULL)
		end = &(*end)->next;
	source->next = NULL;
	*end = source;
}

void
metrics_put(struct server *server, enum metrics_format format, struct buffer *out)
{
	struct metrics_page page = {.out = out, .format = format};
	struct info_source source;
	struct buffer scratch = {0};

	info_source_init(&source, server, server->now_us);
	put_build(&page, &source, &scratch);
	put_rows(&page, &source, &scratch);
	metrics_begin(&page, METRICS_HISTOGRAM, "turn_seconds", "seconds",
	    "Turns of the main event loop by their duration, without waiting.");
	metrics_put_durations(&page, &source.io.turn_durations);
	put_limits(&page, &source);
	put_subscribers(&page, &source);
	put_commands(&page, server);
	metrics_begin(&page, METRICS_COUNTER, "errors", "", "Error replies by code.");
	hash_map_each(server->statistics->errors, put_error, &page);
	put_loops(&page, server);
	put_shards(&page, server->upstream);
	put_databases(&page, server);
	for (struct metrics_source *s = server->metrics_sources; s != NULL; s = s->next)
		s->put(s, &page);
	metrics_end(&page);
	buffer_release(&scratch);
	info_source_release(&source);
}
