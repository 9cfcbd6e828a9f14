#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"

struct bench_plan;
struct buffer;
struct wire;

/* The options of `fanfare bench`: parsing and checking only. */
struct bench_options {
	const char *protocol;
	bool resp3;
	uint64_t resp3_share; /* percentage of the subscribers; the others use RESP2 */
	uint64_t subscribers;
	uint64_t channels;
	uint64_t publishers;
	uint64_t size; /* length of a payload */
	uint64_t pipeline;
	uint64_t window; /* 0: the default number of pipelines */
	double rate;     /* messages per second; 0: a closed loop */
	uint64_t messages;
	bool pattern;
	const char *prefix;
	uint64_t idle_patterns;
	uint64_t idle_channels;
	uint64_t idle_connections;
	uint64_t idle_share; /* idle subscriptions on one connection */
	uint64_t stuck;
	uint64_t seconds_us;
	uint64_t warmup_us;
	uint64_t pid; /* 0: not given */
	bool json;
	bool quiet;
	bool tls; /* the target uses TLS */
};

extern const struct option_row bench_option_rows[];
extern const struct bench_options bench_option_defaults;

/*
 * Checks the combination of options and sets the ones that depend on others. False with a line
 * appended to error.
 */
bool bench_options_check(struct bench_options *options, struct buffer *error)
    __attribute__((warn_unused_result));

/* Call after the check. */
void bench_options_plan(const struct bench_options *options, struct bench_plan *plan);

/* RESP version of a subscriber, distributed evenly; all others use that of subscriber 0. */
const struct wire *bench_options_wire(const struct bench_options *options, uint32_t subscriber);

/* Total number of connections. */
uint64_t bench_options_connections(const struct bench_options *options);

#endif
