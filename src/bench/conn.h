#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "bench/plan.h"
#include "bench/socket.h"

struct wire;
struct bench_conn;

/*
 * One connection of the load generator: what is still to be sent, and the scanning of what comes.
 * It knows neither who it belongs to nor what is measured; events go to a table of callbacks.
 *
 * Messages are the hot path. All frames of a connection tend to have the same head (one channel,
 * one size), so the last head is kept: where the next bytes equal it, nothing is parsed.
 */
struct bench_conn_events {
	/* A message arrived whole. payload_len is at least BENCH_STAMP_BYTES. */
	void (*message)(struct bench_conn *c, const struct bench_stamp *stamp, void *arg);
	void (*confirmed)(struct bench_conn *c, void *arg);
	/* text is for a person. No further event follows. */
	void (*failed)(struct bench_conn *c, bool by_error_reply, const char *text, void *arg);
};

#define BENCH_CONN_KNOWN_HEAD 112

struct bench_conn {
	struct bench_socket socket;
	const struct wire *wire;
	uint32_t number;    /* the owner's: of a subscriber, a publisher ... */
	unsigned char role; /* the owner's */
	bool failed;
	bool wants_write; /* something is left to send: ask the kernel when it takes it */
	bool asked_write; /* the owner's: it did ask */
	struct buffer out;
	size_t out_at;            /* sent so far */
	struct buffer partial;    /* the start of an event that was not all there */
	size_t rest;              /* bytes of a message that have not come yet */
	struct bench_stamp stamp; /* of that message */
	size_t frame_len;         /* of the last message; 0: none yet */
	uint32_t head_len;
	uint32_t due; /* confirmations that are awaited */
	char head[BENCH_CONN_KNOWN_HEAD];
};

/* Shared by all connections of a thread; made once. Borrows events and arg. */
struct bench_reader {
	const struct bench_conn_events *events;
	void *arg;
	char *room;      /* BENCH_READ_BYTES after WIRE_MAX_HEAD for what was left over */
	uint64_t bytes;  /* received in all */
	uint64_t now_ns; /* when the last read ended: when its messages arrived */
};

#define BENCH_READ_BYTES ((size_t)256 * 1024)

void bench_reader_init(struct bench_reader *r, const struct bench_conn_events *events, void *arg);
void bench_reader_release(struct bench_reader *r);

void bench_conn_release(struct bench_conn *c);

/* Takes what has arrived, a bounded share of it. May call any event. */
void bench_conn_read(struct bench_conn *c, struct bench_reader *r);

/* Sends what it can of c->out. */
void bench_conn_flush(struct bench_conn *c, struct bench_reader *r);

size_t bench_conn_unsent(const struct bench_conn *c);

/* The monotonic clock in nanoseconds. */
uint64_t bench_now_ns(void);

/* What bench_conn_read() does with bytes that arrived: for tests. False: the connection failed. */
bool bench_conn_feed(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len);

#endif
