#include "config.h"

#include "server/latency_monitor.h"

#include <assert.h>

#include "base/clock.h"
#include "server/core.h"
#include "server/server_config.h"

static const char *const names[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "command",
    [LATENCY_FAST_COMMAND] = "fast-command",
    [LATENCY_EXPIRE_CYCLE] = "expire-cycle",
    [LATENCY_EVICTION_CYCLE] = "eviction-cycle",
};

const char *
latency_event_name(enum latency_event event)
{
	return names[event];
}

bool
latency_event_find(struct slice name, enum latency_event *event)
{
	for (size_t i = 0; i < LATENCY_EVENTS; i++) {
		if (slice_is_nocase(name, names[i])) {
			*event = (enum latency_event)i;
			return true;
		}
	}
	return false;
}

void
latency_monitor_add(
    struct latency_monitor *monitor, enum latency_event event, uint32_t time_s, uint64_t ms)
{
	struct latency_series *series = &monitor->series[event];
	struct latency_sample *last =
	    &series->samples[(series->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
	uint32_t length = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;

	assert(ms > 0);
	if (length > series->max_ms)
		series->max_ms = length;
	if (last->ms > 0 && last->time_s == time_s) {
		if (length > last->ms)
			last->ms = length;
		return;
	}
	series->samples[series->next] = (struct latency_sample){time_s, length};
	series->next = (series->next + 1) % LATENCY_SAMPLES;
}

void
latency_note(struct server *server, enum latency_event event, uint64_t us)
{
	uint64_t threshold_ms = (uint64_t)server->config->latency_threshold_ms;

	if (threshold_ms > 0 && us / 1000 >= threshold_ms)
		latency_monitor_add(server->latency_monitor, event,
		    (uint32_t)(clock_wall_us() / 1000000), us / 1000);
}

bool
latency_series_reset(struct latency_series *series)
{
	bool had_samples = !latency_series_is_empty(series);

	*series = (struct latency_series){0};
	return had_samples;
}

size_t
latency_series_read(const struct latency_series *series, struct latency_sample out[LATENCY_SAMPLES])
{
	size_t count = 0;

	for (size_t i = 0; i < LATENCY_SAMPLES; i++) {
		const struct latency_sample *sample =
		    &series->samples[(series->next + i) % LATENCY_SAMPLES];

		if (sample->ms > 0)
			out[count++] = *sample;
	}
	return count;
}
