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
 * One run of the load generator: its connections, what they are owed, and what was measured. The
 * struct is open because its parts work on it together: bench_setup (connect, subscribe),
 * bench_publish (when to send what), bench_load (the loop and the counting), bench_report.
 *
 * Loss is judged by numbers: each payload carries its flow and its number in it, and each
 * subscriber keeps the next number that it expects of each flow.
 */
enum bench_role {
	BENCH_SUBSCRIBER,
	BENCH_STUCK,  /* subscribed to the first channel, never read again */
	BENCH_HOLDER, /* has many idle subscriptions */
	BENCH_IDLE,   /* has one idle subscription */
	BENCH_PUBLISHER,
};

struct bench_publisher {
	struct bench_conn *conn;
	uint64_t sent;
	int64_t owed; /* deliveries that have not come; less than 0 after it was given up once */
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
	struct buffer error;  /* why the run ended early, if it did */
	int status;           /* enum cli_status */
	uint64_t deadline_ns; /* of the whole run */
	uint64_t login_ns;    /* how long the first answer may take */
	bool answered;        /* it has come */
	bool stopped;
	bool closing; /* the generator's own doing: ends of connections are no event */

	int epoll;
	int publisher_epoll; /* of the publishers, and in the other */
	bool publishing;
	int timer; /* of the next message in an open loop */
	struct bench_reader reader;
	struct bench_conn *conns;
	size_t conn_count;
	uint32_t unconfirmed; /* due confirmations of all but publishers */

	struct bench_publisher *publishers;
	struct buffer heads; /* of a publish to each channel, each head_len long */
	size_t head_len;
	struct buffer rest; /* what follows the stamp */
	uint64_t started_ns;
	uint64_t sent; /* messages */
	uint64_t due;  /* deliveries */

	uint32_t *expected; /* numbers, by subscriber and flow */
	uint32_t flows;     /* of a subscriber */
	uint64_t delivered;
	uint64_t duplicated;
	uint64_t strays; /* messages that nobody here had sent */
	uint64_t stuck_closed;
	uint64_t given_up;

	uint64_t measure_from_ns; /* meant times that count: from here */
	uint64_t measure_to_ns;   /* to before here */
	struct bench_histogram *latency;
	struct bench_cost from;
	struct bench_cost to;
	struct bench_memory memory;
};

/* Runs it all and leaves the results in *load. Returns an enum cli_status. */
struct cli;
int bench_load_run(struct bench_load *load, struct cli *cli, const struct bench_options *options);
void bench_load_release(struct bench_load *load);

/* Deliveries that should have come and did not. */
uint64_t bench_load_lost(const struct bench_load *load);

/* ---- between the parts ---- */

/* Waits for events, at most so long, and handles them. */
void bench_load_turn(struct bench_load *load, int timeout_ms);

/* The epoll instance that watches it. */
int bench_load_epoll(const struct bench_load *load, const struct bench_conn *c);

/* Tells the kernel whether the connection waits to write. */
void bench_load_watch(struct bench_load *load, struct bench_conn *c);

/* Ends the run with a status and a text. The first counts. */
void bench_load_stop(struct bench_load *load, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Connects and subscribes everybody. False: the run has ended. */
bool bench_setup(struct bench_load *load) __attribute__((warn_unused_result));

/* Makes what every publish is composed of. */
void bench_publish_prepare(struct bench_load *load);

/* Sends what is due now. */
void bench_publish_turn(struct bench_load *load, uint64_t now_ns);

/* In a closed loop: the publisher's next pipeline, if it may send it. */
void bench_publish_next(struct bench_load *load, uint32_t number, uint64_t now_ns);

/* Nothing comes any more: what is owed is forgotten, so that a closed loop goes on. */
void bench_publish_give_up(struct bench_load *load);

#endif
