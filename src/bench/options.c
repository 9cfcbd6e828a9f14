#include "config.h"

#include "bench/options.h"

#include <string.h>

#include "base/buffer.h"
#include "bench/plan.h"
#include "bench/wire.h"

#define MAX_CONNECTIONS 1000000
#define MAX_SIZE ((uint64_t)512 * 1024 * 1024)
#define MAX_BATCH_BYTES ((uint64_t)1024 * 1024 * 1024)
#define PIPELINES_IN_WINDOW 16
#define MAX_NUMBERS ((uint64_t)1 << 26) /* of all subscribers, 4 bytes each */

#define AT(field) .offset = offsetof(struct bench_options, field)

const struct option_row bench_option_rows[] = {
    {"protocol", 0, OPTION_TEXT, "NAME", AT(protocol), .text = "resp, nats or mqtt (resp)"},
    {"resp3", '3', OPTION_FLAG, AT(resp3), .text = "speak RESP3"},
    {"resp3-share", 0, OPTION_NUMBER, "PERCENT", AT(resp3_share), .max = 100,
	.text = "percentage of subscribers that use RESP3"},
    {"subscribers", 'c', OPTION_NUMBER, "N", AT(subscribers), .max = MAX_CONNECTIONS,
	.text = "connections that subscribe and read (50)"},
    {"channels", 0, OPTION_NUMBER, "N", AT(channels), .min = 1, .max = BENCH_PLAN_MAX,
	.text = "channels, distributed evenly among the subscribers (1)"},
    {"publishers", 0, OPTION_NUMBER, "N", AT(publishers), .min = 1, .max = BENCH_PLAN_MAX,
	.text = "connections that publish (1)"},
    {"size", 'd', OPTION_NUMBER, "BYTES", AT(size), .min = BENCH_STAMP_BYTES, .max = MAX_SIZE,
	.text = "length of each payload (64)"},
    {"pipeline", 'P', OPTION_NUMBER, "N", AT(pipeline), .min = 1, .max = 1000000,
	.text = "publishes sent at once, before waiting for the replies (1)"},
    {"window", 0, OPTION_NUMBER, "N", AT(window), .min = 1, .max = 10000000,
	.text = "most undelivered messages of a publisher (16 pipelines)"},
    {"rate", 0, OPTION_REAL, "R", AT(rate), .max = 100000000,
	.text = "publish R messages per second, independent of replies"},
    {"messages", 'n', OPTION_NUMBER, "N", AT(messages), .min = 1, .max = UINT32_MAX,
	.text = "publish N messages, without a warm-up"},
    {"pattern", 0, OPTION_FLAG, AT(pattern), .text = "subscribe to all channels with one pattern"},
    {"prefix", 0, OPTION_TEXT, "NAME", AT(prefix), .text = "first word of the channels (news)"},
    {"idle-patterns", 0, OPTION_NUMBER, "N", AT(idle_patterns), .max = 100000000,
	.text = "additional patterns user.<n>.* that match nothing"},
    {"idle-channels", 0, OPTION_NUMBER, "N", AT(idle_channels), .max = 100000000,
	.text = "additional channels, of 20 bytes, without messages"},
    {"idle-share", 0, OPTION_NUMBER, "N", AT(idle_share), .min = 1, .max = 100000000,
	.text = "number of these on one connection (10000)"},
    {"idle-connections", 0, OPTION_NUMBER, "N", AT(idle_connections), .max = MAX_CONNECTIONS,
	.text = "additional connections with one such channel each"},
    {"stuck", 0, OPTION_NUMBER, "N", AT(stuck), .max = MAX_CONNECTIONS,
	.text = "subscribers of the first channel that never read"},
    {"seconds", 0, OPTION_SECONDS, "S", AT(seconds_us), .max = 86400,
	.text = "duration of the measurement (5)"},
    {"warmup", 0, OPTION_SECONDS, "S", AT(warmup_us), .max = 86400,
	.text = "duration of publishing before that (0.5)"},
    {"pid", 0, OPTION_NUMBER, "PID", AT(pid), .min = 1, .max = INT32_MAX,
	.text = "process of the server; its CPU time and memory are read from /proc"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print a JSON object"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .text = "do not show progress"},
    {0},
};

const struct bench_options bench_option_defaults = {
    .protocol = "resp",
    .subscribers = 50,
    .channels = 1,
    .publishers = 1,
    .size = 64,
    .pipeline = 1,
    .prefix = "news",
    .idle_share = 10000,
    .seconds_us = 5000000,
    .warmup_us = 500000,
};

/* A single word in every protocol, and not a pattern. */
static bool
is_word(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= WIRE_MAX_TEXT &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		   len;
}

static const char *
find_fault(const struct bench_options *o)
{
	bool resp = strcmp(o->protocol, "resp") == 0;
	struct bench_plan plan;

	if (!resp && strcmp(o->protocol, "nats") != 0 && strcmp(o->protocol, "mqtt") != 0)
		return "--protocol must be resp, nats or mqtt";
	if (!resp && (o->resp3 || o->resp3_share > 0))
		return "--resp3 and --resp3-share need --protocol resp";
	if (o->resp3 && o->resp3_share > 0)
		return "--resp3 and --resp3-share exclude each other";
	if (!is_word(o->prefix))
		return "--prefix must be a word of letters, digits, _ and -";
	if (o->window != 0 && o->window < o->pipeline)
		return "--window must be at least --pipeline";
	if (o->window != 0 && o->rate > 0)
		return "--window and --rate exclude each other";
	if (o->size * o->pipeline > MAX_BATCH_BYTES)
		return "--size times --pipeline must be at most 1 GiB";
	if (bench_options_connections(o) > MAX_CONNECTIONS)
		return "more than 1000000 connections in total";
	bench_options_plan(o, &plan);
	if (o->subscribers > 0 &&
	    bench_plan_slots(&plan) > MAX_NUMBERS / o->publishers / o->subscribers)
		return "too many subscribers, publishers and channels to count losses of each";
	return NULL;
}

bool
bench_options_check(struct bench_options *o, struct buffer *error)
{
	const char *fault = find_fault(o);

	if (fault != NULL) {
		buffer_append_str(error, fault);
		return false;
	}
	if (o->resp3)
		o->resp3_share = 100;
	if (o->window == 0)
		o->window = o->pipeline * PIPELINES_IN_WINDOW;
	return true;
}

void
bench_options_plan(const struct bench_options *o, struct bench_plan *plan)
{
	*plan = (struct bench_plan){.subscribers = (uint32_t)o->subscribers,
	    .channels = (uint32_t)o->channels,
	    .publishers = (uint32_t)o->publishers,
	    .pattern = o->pattern};
}

const struct wire *
bench_options_wire(const struct bench_options *o, uint32_t subscriber)
{
	if (strcmp(o->protocol, "nats") == 0)
		return &wire_nats;
	if (strcmp(o->protocol, "mqtt") == 0)
		return &wire_mqtt;
	/* Subscribers use RESP3 where the sum of the shares so far reaches a whole number. */
	return (subscriber + 1) * o->resp3_share / 100 > subscriber * o->resp3_share / 100
		   ? &wire_resp3
		   : &wire_resp2;
}

uint64_t
bench_options_connections(const struct bench_options *o)
{
	return o->subscribers + o->publishers + o->stuck + o->idle_connections +
	       (o->idle_patterns + o->idle_share - 1) / o->idle_share +
	       (o->idle_channels + o->idle_share - 1) / o->idle_share;
}
