#include "config.h"

#include "server/call_record.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/latency_histogram.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/command.h"
#include "server/latency_monitor.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/slowlog.h"
#include "server/statistics.h"

static void
note_slow(struct request *rq, uint64_t duration_us)
{
	const struct server_config *config = rq->server->config;
	struct slice shown[SLOWLOG_ARGS_MAX];
	size_t count = rq->argc, i;

	if (config->slowlog_slower_than_us < 0 || config->slowlog_max_len == 0 ||
	    duration_us < (uint64_t)config->slowlog_slower_than_us ||
	    (rq->command->flags & CMD_SKIP_SLOWLOG) != 0)
		return;
	if (client_door(rq->client) != NULL) {
		shown[0] = slice_of(rq->command->name);
		count = 1;
	} else {
		for (i = 0; i < count && i < SLOWLOG_ARGS_MAX; i++)
			shown[i] = request_shown_arg(rq, i);
	}
	slowlog_add(rq->server->slowlog, config->slowlog_max_len, clock_wall_us() / 1000000,
	    duration_us, shown, count, client_peer_address(rq->client->peer),
	    client_name(rq->client));
}

struct command_stats *
call_record_stats(struct server *server, const struct command *command)
{
	return &server->statistics->commands[command_index(server->commands, command)];
}

static inline void
note_command(struct server *server, struct command_stats *stats, uint64_t duration_us, bool failed)
{
	stats->calls++;
	stats->usec += duration_us;
	stats->failed += failed;
	if (!server->config->latency_tracking)
		return;
	if (stats->latency == NULL)
		stats->latency = xcalloc(1, sizeof(*stats->latency));
	latency_histogram_record(stats->latency, duration_us);
}

void
call_record(struct request *rq, uint64_t duration_us)
{
	struct server *server = rq->server;
	struct statistics *statistics = server->statistics;

	statistics->counters.commands++;
	if (duration_us > statistics->counters.slowest_command_us)
		statistics->counters.slowest_command_us = duration_us;
	if (client_door(rq->client) == NULL)
		note_command(
		    server, call_record_stats(server, rq->command), duration_us, rq->failed);
	if (server->config->latency_threshold_ms > 0)
		latency_note(server,
		    (rq->command->flags & CMD_FAST) != 0 ? LATENCY_FAST_COMMAND : LATENCY_COMMAND,
		    duration_us);
	note_slow(rq, duration_us);
}
