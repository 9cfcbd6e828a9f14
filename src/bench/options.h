#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"

struct bench_plan;
struct buffer;
struct wire;

/* What `fanfare bench` was asked for. Pure: reading and checking, no more. */
struct bench_options {
	const char *protocol;
	bool resp3;
	uint64_t resp3_share; /* percent of the subscribers; the rest speaks RESP2 */
	uint64_t subscribers;
	uint64_t channels;
	uint64_t publishers;
	uint64_t size; /* of a payload */
	uint64_t pipeline;
	uint64_t window; /* 0: as many pipelines as is usual */
	double rate;     /* messages a second; 0: a closed loop */
	uint64_t messages;
	bool pattern;
	const char *prefix;
	uint64_t idle_patterns;
	uint64_t idle_channels;
	uint64_t idle_connections;
	uint64_t idle_share; /* idle subscriptions that one connection holds */
	uint64_t stuck;
	uint64_t seconds_us;
	uint64_t warmup_us;
	uint64_t pid; /* 0: not known */
	bool json;
	bool quiet;
	bool tls; /* whether the target has it */
};

extern const struct option_row bench_option_rows[];
extern const struct bench_options bench_option_defaults;

/*
 * Whether they fit together; fills in what follows from others. False with a line appended to
 * error.
 */
bool bench_options_check(struct bench_options *options, struct buffer *error)
    __attribute__((warn_unused_result));

/* After the check. */
void bench_options_plan(const struct bench_options *options, struct bench_plan *plan);

/* What a subscriber speaks, spread evenly; publishers and others speak that of number 0. */
const struct wire *bench_options_wire(const struct bench_options *options, uint32_t subscriber);

/* Connections that it will take. */
uint64_t bench_options_connections(const struct bench_options *options);

#endif
