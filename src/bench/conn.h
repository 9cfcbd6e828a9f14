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
 * One connection of the load generator: its unsent output, and the scanner of its input. It knows
 * neither its owner nor the measurement; events go to a table of callbacks.
 *
 * Messages are the hot path. The frames of a connection usually have the same head (one channel,
 * one size), so the last head is kept: if the next bytes equal it, nothing is parsed.
 */
struct bench_conn_events {
	/* A complete message. payload_len is at least BENCH_STAMP_BYTES. */
	void (*message)(struct bench_conn *c, const struct bench_stamp *stamp, void *arg);
	void (*confirmed)(struct bench_conn *c, void *arg);
	/* text is a message for the user. The last event. */
	void (*failed)(struct bench_conn *c, bool by_error_reply, const char *text, void *arg);
};

#define BENCH_CONN_KNOWN_HEAD 112

struct bench_conn {
	struct bench_socket socket;
	const struct wire *wire;
	uint32_t number;    /* used by the owner: index of the subscriber, publisher ... */
	unsigned char role; /* used by the owner */
	bool failed;
	bool wants_write; /* output is left: wait until the socket is writable */
	bool asked_write; /* used by the owner: it waits for that */
	struct buffer out;
	size_t out_at;            /* sent so far */
	struct buffer partial;    /* the start of an incomplete event */
	size_t rest;              /* bytes of a message that have not arrived yet */
	struct bench_stamp stamp; /* of that message */
	size_t frame_len;         /* of the last message; 0: none yet */
	uint32_t head_len;
	uint32_t due; /* outstanding confirmations */
	char head[BENCH_CONN_KNOWN_HEAD];
};

/* Shared by all connections of a thread. Borrows events and arg. */
struct bench_reader {
	const struct bench_conn_events *events;
	void *arg;
	char *room;      /* WIRE_MAX_HEAD for bytes left over, then BENCH_READ_BYTES */
	uint64_t bytes;  /* total received */
	uint64_t now_ns; /* time after the last read: the arrival of its messages */
};

#define BENCH_READ_BYTES ((size_t)256 * 1024)

void bench_reader_init(struct bench_reader *r, const struct bench_conn_events *events, void *arg);
void bench_reader_release(struct bench_reader *r);

void bench_conn_release(struct bench_conn *c);

/* Reads a bounded amount of the data that has arrived. May call any event. */
void bench_conn_read(struct bench_conn *c, struct bench_reader *r);

/* Sends as much of c->out as the socket accepts. */
void bench_conn_flush(struct bench_conn *c, struct bench_reader *r);

size_t bench_conn_unsent(const struct bench_conn *c);

/* The monotonic clock in nanoseconds. */
uint64_t bench_now_ns(void);

/* Processes bytes as bench_conn_read() does; for tests. False: the connection failed. */
bool bench_conn_feed(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len);

#endif
