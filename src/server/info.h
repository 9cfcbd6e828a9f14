#ifndef SERVER_INFO_H
#define SERVER_INFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/allocator.h"
#include "base/buffer.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "pubsub/presence.h"
#include "server/disk.h"
#include "server/io.h"
#include "server/scripts.h"
#include "server/upstream.h"

/*
 * Statistics: one row each in info.def, for INFO and other outputs. The data from which the rows
 * are computed is gathered once for all rows (struct info_source).
 */
enum info_section {
	INFO_SERVER,
	INFO_CLIENTS,
	INFO_MEMORY,
	INFO_PERSISTENCE,
	INFO_STATS,
	INFO_REPLICATION,
	INFO_CPU,
	INFO_TLS,
	INFO_THREADS, /* also one row for each loop */
	INFO_PUBSUB,
	INFO_HISTORY,
	INFO_PRESENCE,
	INFO_LINK,
	INFO_LIMITS,
	INFO_COMMANDSTATS, /* one row for each command that was called */
	INFO_LATENCYSTATS, /* the same */
	INFO_ERRORSTATS,   /* one row for each code of an error */
	INFO_CLUSTER,
	INFO_KEYSPACE, /* one row for each database that is not empty */
};

enum info_kind { INFO_LABEL, INFO_GAUGE, INFO_COUNTER };

enum info_unit {
	INFO_UNIT_NONE,
	INFO_UNIT_BYTES,
	INFO_UNIT_SECONDS,
	INFO_UNIT_MILLISECONDS,
	INFO_UNIT_MICROSECONDS,
	INFO_UNIT_RATIO,
	INFO_UNIT_PER_SECOND,
	INFO_UNIT_KIB_PER_SECOND,
	INFO_UNIT_STATUS, /* "ok" or "err" */
	INFO_UNIT_AGAIN,  /* another row says the same */
};

/* The directives whose values the section of limits shows. */
enum info_limit {
#define INFO_LIMIT(id, directive, used, text) INFO_LIMIT_##id,
#include "server/info.def"
#undef INFO_LIMIT
	INFO_LIMIT_COUNT
};

struct info_source {
	const struct server *server;
	const struct server_config *config;
	struct hub_figures hub;
	struct history_figures history;
	struct hub_replay_figures replay;
	struct hub_position position; /* of the newest kept message */
	struct presence_figures presence;
	struct net_figures io;
	struct server_disk_figures disk;
	struct script_figures scripts;
	struct upstream_figures upstream;
	unsigned loops; /* without the main loop */
	struct rusage self, children;
	const char *policy; /* maxmemory-policy */
	uint64_t now_us;    /* monotonic */
	uint64_t wall_us;
	size_t used_bytes, peak_bytes, rss_bytes, system_bytes;
	struct allocator_figures allocator; /* with libc: those of the process */
	char *limits[INFO_LIMIT_COUNT];     /* values of the directives; NULL: unknown directive */
};

/* release frees what init gathered. */
void info_source_init(struct info_source *source, const struct server *server, uint64_t now_us);
void info_source_release(struct info_source *source);

struct info_row {
	const char *name;
	const char *text;
	void (*put)(const struct info_source *source, struct buffer *out); /* the value */
	enum info_section section;
	enum info_kind kind;
	enum info_unit unit;
};

/* In the order of sections. The rows of limits are the last INFO_LIMIT_COUNT, in the order of the
 * enum. */
extern const struct info_row info_rows[];
extern const size_t info_row_count;

/* How much of a limit is used; INFO_NOT_MEASURED: unknown. */
#define INFO_NOT_MEASURED UINT64_MAX
uint64_t info_limit_used(const struct info_source *source, enum info_limit limit);

#endif
