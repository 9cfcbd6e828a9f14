#include "config.h"

#include <math.h>

#include "base/clock.h"
#include "cmd/handlers.h"
#include "cmd/latency_graph.h"
#include "resp/writer.h"
#include "server/latency_monitor.h"
#include "server/request.h"
#include "server/server_config.h"

/* LATENCY LATEST HISTORY RESET GRAPH DOCTOR HELP: what has held the loop for long. */

#define SHOWN_MAX 128

static struct latency_series *
series_of(const struct request *rq, enum latency_event event)
{
	return &rq->server->latency_monitor->series[event];
}

/* The samples of the event that the argument names, the oldest first; 0: none. */
static size_t
read_named(const struct request *rq, struct latency_sample samples[LATENCY_SAMPLES])
{
	enum latency_event event;

	if (!latency_event_find(rq->argv[2], &event))
		return 0;
	return latency_series_read(series_of(rq, event), samples);
}

enum command_result
cmd_latency_latest(struct request *rq)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	size_t events = 0, i;

	for (i = 0; i < LATENCY_EVENTS; i++)
		events += !latency_series_is_empty(series_of(rq, (enum latency_event)i));
	resp_put_array(rq->reply, events);
	for (i = 0; i < LATENCY_EVENTS; i++) {
		const struct latency_series *series = series_of(rq, (enum latency_event)i);
		size_t count = latency_series_read(series, samples);

		if (count == 0)
			continue;
		resp_put_array(rq->reply, 4);
		resp_put_bulk_str(rq->reply, latency_event_name((enum latency_event)i));
		resp_put_int(rq->reply, samples[count - 1].time_s);
		resp_put_int(rq->reply, samples[count - 1].ms);
		resp_put_int(rq->reply, series->max_ms);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_latency_history(struct request *rq)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	size_t count = read_named(rq, samples);

	resp_put_array(rq->reply, count);
	for (size_t i = 0; i < count; i++) {
		resp_put_array(rq->reply, 2);
		resp_put_int(rq->reply, samples[i].time_s);
		resp_put_int(rq->reply, samples[i].ms);
	}
	return COMMAND_DONE;
}

/* Replies with the number of events that had samples. */
enum command_result
cmd_latency_reset(struct request *rq)
{
	enum latency_event event;
	int64_t count = 0;
	size_t i;

	for (i = 0; rq->argc == 2 && i < LATENCY_EVENTS; i++)
		count += latency_series_reset(series_of(rq, (enum latency_event)i));
	for (i = 2; i < rq->argc; i++)
		if (latency_event_find(rq->argv[i], &event))
			count += latency_series_reset(series_of(rq, event));
	resp_put_int(rq->reply, count);
	return COMMAND_DONE;
}

static void
range_of(const struct latency_sample *samples, size_t count, uint32_t *low_ms, uint32_t *high_ms)
{
	*low_ms = *high_ms = samples[0].ms;
	for (size_t i = 1; i < count; i++) {
		if (samples[i].ms < *low_ms)
			*low_ms = samples[i].ms;
		if (samples[i].ms > *high_ms)
			*high_ms = samples[i].ms;
	}
}

enum command_result
cmd_latency_graph(struct request *rq)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	size_t count = read_named(rq, samples);
	struct buffer text = {0};
	enum latency_event event;
	uint32_t low_ms, high_ms;

	if (count == 0 || !latency_event_find(rq->argv[2], &event)) {
		request_error(rq, "ERR No samples available for event '%.*s'",
		    (int)(rq->argv[2].len < SHOWN_MAX ? rq->argv[2].len : SHOWN_MAX),
		    rq->argv[2].ptr);
		return COMMAND_DONE;
	}
	range_of(samples, count, &low_ms, &high_ms);
	buffer_appendf(&text, "%s - high %u ms, low %u ms (all time high %u ms)\n",
	    latency_event_name(event), high_ms, low_ms, series_of(rq, event)->max_ms);
	for (int i = 0; i < 80; i++)
		buffer_append_str(&text, "-");
	buffer_append_str(&text, "\n");
	latency_graph_draw(samples, count, (uint32_t)(clock_wall_us() / 1000000), &text);
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&text));
	buffer_release(&text);
	return COMMAND_DONE;
}

static const char *const advice[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "SLOWLOG GET shows which commands were slow. A command on very many "
			"elements of one key, and a sort of many, are one step.",
    [LATENCY_FAST_COMMAND] = "These commands do little. Is the machine overloaded, or its memory "
			     "swapped out? INFO cpu and INFO memory may tell.",
    [LATENCY_EXPIRE_CYCLE] = "Many keys expire at the same time. Expiry times that differ a "
			     "little spread the work.",
    [LATENCY_EVICTION_CYCLE] = "Keys are evicted while maxmemory is exceeded. Is it too low for "
			       "what is written?",
};

static void
describe_event(const struct request *rq, enum latency_event event, struct buffer *out)
{
	struct latency_sample samples[LATENCY_SAMPLES];
	const struct latency_series *series = series_of(rq, event);
	size_t count = latency_series_read(series, samples), i;
	double sum = 0, deviation = 0;

	if (count == 0)
		return;
	for (i = 0; i < count; i++)
		sum += samples[i].ms;
	for (i = 0; i < count; i++)
		deviation += fabs(samples[i].ms - sum / (double)count);
	buffer_appendf(out,
	    "%s: %zu samples in %u s, %.0f ms on average, with a mean deviation of %.0f ms; the "
	    "longest ever took %u ms.\n    %s\n",
	    latency_event_name(event), count, samples[count - 1].time_s - samples[0].time_s + 1,
	    sum / (double)count, deviation / (double)count, series->max_ms, advice[event]);
}

enum command_result
cmd_latency_doctor(struct request *rq)
{
	int64_t threshold_ms = rq->server->config->latency_threshold_ms;
	struct buffer text = {0};

	for (size_t i = 0; i < LATENCY_EVENTS; i++)
		describe_event(rq, (enum latency_event)i, &text);
	if (text.len == 0 && threshold_ms == 0)
		buffer_append_str(&text, "Latency monitoring is off. CONFIG SET "
					 "latency-monitor-threshold <milliseconds> switches it "
					 "on.\n");
	else if (text.len == 0)
		buffer_appendf(
		    &text, "Nothing has taken %lld ms or longer.\n", (long long)threshold_ms);
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&text));
	buffer_release(&text);
	return COMMAND_DONE;
}

enum command_result
cmd_latency_help(struct request *rq)
{
	static const char histogram[] =
	    "    Return a cumulative distribution of latencies in the format of a histogram for "
	    "the specified command names.";
	static const char *const lines[] = {
	    "DOCTOR",
	    "    Return a human readable latency analysis report.",
	    "GRAPH <event>",
	    "    Return an ASCII latency graph for the <event> class.",
	    "HISTORY <event>",
	    "    Return time-latency samples for the <event> class.",
	    "LATEST",
	    "    Return the latest latency samples for all events.",
	    "RESET [<event> ...]",
	    "    Reset latency data of one or more <event> classes.",
	    "    (default: reset all data for all event classes)",
	    "HISTOGRAM [COMMAND ...]",
	    histogram,
	    "    If no commands are specified then all histograms are replied.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
