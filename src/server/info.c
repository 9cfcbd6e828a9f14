#include "config.h"

#include "server/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/prefix_tree.h"
#include "kv/keyspace.h"
#include "kv/memory.h"
#include "pubsub/channel_rates.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/idempotency.h"
#include "pubsub/outbox.h"
#include "server/access.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/disk.h"
#include "server/evict.h"
#include "server/history_wait.h"
#include "server/io.h"
#include "server/journal.h"
#include "server/lame_duck.h"
#include "server/presence_service.h"
#include "server/rates.h"
#include "server/server_config.h"
#include "server/settings.h"
#include "server/slowlog.h"
#include "server/statistics.h"
#include "server/tracking.h"
#include "server/wait.h"
#include "token/cache.h"

static void
put_human(struct buffer *out, double bytes)
{
	static const char units[] = "BKMGTP";
	size_t unit = 0;

	while (bytes >= 1024 && unit + 2 < sizeof(units)) {
		bytes /= 1024;
		unit++;
	}
	buffer_appendf(out, unit == 0 ? "%.0f%c" : "%.2f%c", bytes, units[unit]);
}

static void
put_os(struct buffer *out)
{
	struct utsname name;

	if (uname(&name) == 0)
		buffer_appendf(out, "%s %s %s", name.sysname, name.release, name.machine);
}

static void
put_percent(struct buffer *out, size_t part, size_t whole)
{
	buffer_appendf(out, "%.2f%%", whole > 0 ? (double)part * 100 / (double)whole : 0);
}

#define TEXT(v) buffer_append_str(out, (v))
#define UINT(v) buffer_appendf(out, "%" PRIu64, (uint64_t)(v))
#define INTEGER(v) buffer_appendf(out, "%" PRId64, (int64_t)(v))
#define HUMAN(v) put_human(out, (double)(v))
#define REAL(v, digits) buffer_appendf(out, "%.*f", (digits), (v))
#define RATIO(part, whole)                                                                         \
	buffer_appendf(out, "%.2f", (whole) > 0 ? (double)(part) / (double)(whole) : 0)
#define OVER(part, whole) INTEGER((int64_t)(part) - (int64_t)(whole))
#define PERCENT(part, whole) put_percent(out, (part), (whole))
#define SECONDS(v) buffer_appendf(out, "%ld.%06ld", (long)(v).tv_sec, (long)(v).tv_usec)
#define OS_NAME() put_os(out)

#define INFO(section, name, kind, unit, value, text)                                               \
	static void put_##section##_##name(const struct info_source *x, struct buffer *out)        \
	{                                                                                          \
		const struct server *s = x->server;                                                \
                                                                                                   \
		(void)s;                                                                           \
		value;                                                                             \
	}
#include "server/info.def"
#undef INFO

#define INFO_LIMIT(id, directive, used, text)                                                      \
	static uint64_t used_of_##id(const struct info_source *x)                                  \
	{                                                                                          \
		const struct server *s = x->server;                                                \
                                                                                                   \
		(void)s;                                                                           \
		return (used);                                                                     \
	}                                                                                          \
	static void put_limit_##id(const struct info_source *x, struct buffer *out)                \
	{                                                                                          \
		put_limit(x, INFO_LIMIT_##id, out);                                                \
	}
static void put_limit(const struct info_source *x, enum info_limit limit, struct buffer *out);
#include "server/info.def"
#undef INFO_LIMIT

uint64_t
info_limit_used(const struct info_source *source, enum info_limit limit)
{
	static uint64_t (*const used_of[])(const struct info_source *x) = {
#define INFO_LIMIT(id, directive, used, text) used_of_##id,
#include "server/info.def"
#undef INFO_LIMIT
	};

	return used_of[limit](source);
}

static void
put_limit(const struct info_source *x, enum info_limit limit, struct buffer *out)
{
	uint64_t used = info_limit_used(x, limit);

	buffer_appendf(out, "limit=%s", x->limits[limit] != NULL ? x->limits[limit] : "");
	if (used != INFO_NOT_MEASURED)
		buffer_appendf(out, ",used=%" PRIu64, used);
}

const struct info_row info_rows[] = {
#define INFO(section, name, kind, unit, value, text)                                               \
	{#name, text, put_##section##_##name, INFO_##section, INFO_##kind, INFO_UNIT_##unit},
#include "server/info.def"
#undef INFO
#define INFO_LIMIT(id, directive, used, text)                                                      \
	{directive, text, put_limit_##id, INFO_LIMITS, INFO_GAUGE, INFO_UNIT_NONE},
#include "server/info.def"
#undef INFO_LIMIT
};

const size_t info_row_count = sizeof(info_rows) / sizeof(info_rows[0]);

static void
take_limit(void *arg, const char *name, const char *value)
{
	static const char *const directives[] = {
#define INFO_LIMIT(id, directive, used, text) directive,
#include "server/info.def"
#undef INFO_LIMIT
	};
	struct info_source *source = arg;
	size_t i;

	for (i = 0; i < INFO_LIMIT_COUNT; i++) {
		if (strcmp(name, directives[i]) == 0 && source->limits[i] == NULL)
			source->limits[i] = xstrdup(value);
	}
}

/*
 * The second number of /proc/self/statm is the pages in memory; on other systems the peak is used.
 */
static size_t
rss_bytes(const struct rusage *self)
{
	FILE *file = fopen("/proc/self/statm", "r");
	char line[128] = "", *end;
	size_t pages;

	if (file != NULL) {
		if (fgets(line, sizeof(line), file) == NULL)
			line[0] = '\0';
		fclose(file);
		(void)strtoul(line, &end, 10);
		pages = strtoul(end, NULL, 10);
		if (pages > 0)
			return pages * (size_t)sysconf(_SC_PAGESIZE);
	}
	return (size_t)self->ru_maxrss * 1024;
}

void
info_source_init(struct info_source *source, const struct server *server, uint64_t now_us)
{
	struct net_loop_figures of_loop;

	memset(source, 0, sizeof(*source));
	source->server = server;
	source->config = server->config;
	source->hub = hub_figures(server->hub);
	source->presence = presence_figures(server->presence->presence);
	source->hub.published -= server->statistics->hub_base.published;
	source->hub.delivered -= server->statistics->hub_base.delivered;
	source->hub.dropped -= server->statistics->hub_base.dropped;
	for (size_t i = 0; i < OUTBOX_POLICIES; i++)
		source->hub.dropped_by[i] -= server->statistics->hub_base.dropped_by[i];
	source->history = history_figures(hub_history(server->hub));
	source->history.expired -= server->statistics->history_base.expired;
	source->history.evicted -= server->statistics->history_base.evicted;
	source->replay = hub_replay_figures(server->hub);
	source->replay.replayed -= server->statistics->replay_base.replayed;
	source->replay.overtaken -= server->statistics->replay_base.overtaken;
	source->position = history_position(hub_history(server->hub));
	server->io->figures(server->io->arg, &source->io);
	if (server->disk->figures != NULL)
		server->disk->figures(server->disk->arg, &source->disk);
	source->upstream = (struct upstream_figures){.mode = "none",
	    .state = "none",
	    .address = "",
	    .peer = "",
	    .error = "",
	    .warning = "",
	    .history = ""};
	if (server->upstream != NULL)
		server->upstream->ops->figures(server->upstream, &source->upstream);
	if (server->scripts != NULL)
		server->scripts->ops->figures(server->scripts, &source->scripts);
	while (server->io->loop_figures(server->io->arg, source->loops, &of_loop))
		source->loops++;
	getrusage(RUSAGE_SELF, &source->self);
	getrusage(RUSAGE_CHILDREN, &source->children);
	source->now_us = now_us;
	source->policy = evict_policy_name(server);
	source->wall_us = clock_wall_us();
	source->used_bytes = alloc_used_bytes();
	source->peak_bytes = alloc_peak_bytes();
	source->rss_bytes = rss_bytes(&source->self);
	if (!allocator_figures(&source->allocator))
		source->allocator = (struct allocator_figures){
		    source->used_bytes, source->rss_bytes, source->rss_bytes};
	source->system_bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
	server->settings->each(server->settings->arg, take_limit, source);
}

void
info_source_release(struct info_source *source)
{
	size_t i;

	for (i = 0; i < INFO_LIMIT_COUNT; i++)
		xfree(source->limits[i]);
}
