#ifndef SERVER_LATENCY_MONITOR_H
#define SERVER_LATENCY_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Latency monitor: the moments at which something held the loop for at least
 * latency-monitor-threshold milliseconds, by kind of event. Each event keeps its last 160 samples,
 * at most one for each second: the longest of that second.
 */
struct server;

enum latency_event {
	LATENCY_COMMAND,
	LATENCY_FAST_COMMAND,   /* of a command with the flag fast */
	LATENCY_EXPIRE_CYCLE,   /* removing expired keys, and freeing the memory of values */
	LATENCY_EVICTION_CYCLE, /* evicting keys */
};
#define LATENCY_EVENTS (LATENCY_EVICTION_CYCLE + 1)

#define LATENCY_SAMPLES 160

struct latency_sample {
	uint32_t time_s; /* Unix time */
	uint32_t ms;     /* 0: there is no sample */
};

struct latency_series {
	size_t next;     /* the place of the next sample */
	uint32_t max_ms; /* since the last reset; 0: there are no samples */
	struct latency_sample samples[LATENCY_SAMPLES];
};

struct latency_monitor {
	struct latency_series series[LATENCY_EVENTS];
};

/* The name as Redis has it, "fast-command". */
const char *latency_event_name(enum latency_event event);

/* False: there is no event with this name (any case). */
bool latency_event_find(struct slice name, enum latency_event *event)
    __attribute__((warn_unused_result));

/* Adds a sample of ms, at least 1; a longer one is cut to UINT32_MAX. */
void latency_monitor_add(
    struct latency_monitor *monitor, enum latency_event event, uint32_t time_s, uint64_t ms);

/* Adds a sample of the present time if us reaches latency-monitor-threshold. */
void latency_note(struct server *server, enum latency_event event, uint64_t us);

static inline bool
latency_series_is_empty(const struct latency_series *series)
{
	return series->max_ms == 0;
}

/* False: it was empty. */
bool latency_series_reset(struct latency_series *series);

/* Copies the samples to out, the oldest first; returns their number. */
size_t latency_series_read(
    const struct latency_series *series, struct latency_sample out[LATENCY_SAMPLES]);

#endif
