#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "bench/conn.h"
#include "bench/histogram.h"
#include "bench/options.h"
#include "bench/plan.h"
#include "bench/server.h"

/*
 * One run of the load generator: its connections, pending deliveries and measurements. The struct
 * is open because several files work on it: setup.c (connect, subscribe), publish.c (when to send
 * what), load.c (the loop and the counting), report.c.
 *
 * Losses are detected by numbers: each payload contains its flow and its number in that flow, and
 * each subscriber stores the next number expected in each flow.
 */
enum bench_role {
	BENCH_SUBSCRIBER,
	BENCH_STUCK,  /* subscribed to the first channel, never reads */
	BENCH_HOLDER, /* has many idle subscriptions */
	BENCH_IDLE,   /* has one idle subscription */
	BENCH_PUBLISHER,
};

struct bench_publisher {
	struct bench_conn *conn;
	uint64_t sent;
	int64_t pending; /* deliveries not arrived yet; below 0 if they arrive after a reset to 0 */
};

struct bench_cost {
	uint64_t at_ns;
	uint64_t own_cpu_ns;
	uint64_t delivered;
	uint64_t sent;
	uint64_t bytes;
	struct bench_server_cost server;
};

struct bench_memory {
	uint64_t at_start;
	uint64_t with_idle_connections;
	uint64_t with_idle_subscriptions;
	uint64_t with_subscribers;
	uint64_t at_peak; /* from then on */
	uint64_t at_end;
};

struct bench_load {
	const struct bench_options *options;
	struct bench_plan plan;
	struct bench_dialer *dialer;
	struct wire_login *login;
	struct buffer error;  /* why the run ended early */
	int status;           /* enum cli_status */
	uint64_t deadline_ns; /* of the whole run */
	uint64_t login_ns;    /* time limit for the first reply */
	bool answered;        /* the first reply has arrived */
	bool stopped;
	bool closing; /* the generator closes all connections: ends are expected */

	int epoll;
	int publisher_epoll; /* for publishers; itself watched by epoll */
	bool publishing;
	int timer; /* for the next message in an open loop */
	struct bench_reader reader;
	struct bench_conn *conns;
	size_t conn_count;
	uint32_t unconfirmed; /* outstanding confirmations, without publishers */

	struct bench_publisher *publishers;
	struct buffer heads; /* heads of a publish, one for each channel, each head_len long */
	size_t head_len;
	struct buffer rest; /* everything after the stamp */
	uint64_t started_ns;
	uint64_t sent; /* messages */
	uint64_t due;  /* deliveries */

	uint32_t *expected; /* next numbers, by subscriber and flow */
	uint32_t flows;     /* for each subscriber */
	uint64_t delivered;
	uint64_t duplicated;
	uint64_t strays; /* messages not sent by this generator */
	uint64_t stuck_closed;
	uint64_t given_up;

	uint64_t measure_from_ns; /* messages due from here ... */
	uint64_t measure_to_ns;   /* ... to before here are measured */
	struct bench_histogram *latency;
	struct bench_cost from;
	struct bench_cost to;
	struct bench_memory memory;
};

struct cli;

/* Runs the load and leaves the results in *load. Returns an enum cli_status. */
int bench_load_run(struct bench_load *load, struct cli *cli, const struct bench_options *options);
void bench_load_release(struct bench_load *load);

/* Deliveries that did not arrive. */
uint64_t bench_load_lost(const struct bench_load *load);

/* ---- used by the files of the load generator ---- */

/* Waits for events for at most timeout_ms, and handles them. */
void bench_load_turn(struct bench_load *load, int timeout_ms);

/* The epoll instance that watches the connection. */
int bench_load_epoll(const struct bench_load *load, const struct bench_conn *c);

/* Updates whether epoll waits until the connection is writable. */
void bench_load_watch(struct bench_load *load, struct bench_conn *c);

/* Ends the run with a status and a text. The first call counts. */
void bench_load_stop(struct bench_load *load, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Connects and subscribes all connections. False: the run has ended. */
bool bench_setup(struct bench_load *load) __attribute__((warn_unused_result));

/* Prepares the parts of all publish requests. */
void bench_publish_prepare(struct bench_load *load);

/* Sends the messages that are due. */
void bench_publish_turn(struct bench_load *load, uint64_t now_ns);

/* In a closed loop: sends the publisher's next pipeline if it may. */
void bench_publish_next(struct bench_load *load, uint32_t number, uint64_t now_ns);

/* After a silence: forgets pending deliveries, so that a closed loop continues. */
void bench_publish_give_up(struct bench_load *load);

#endif
