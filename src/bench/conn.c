#include "config.h"

#include "bench/conn.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "bench/wire.h"

#define READS_A_TURN 4 /* so that a busy connection does not delay the others */

uint64_t
bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void
bench_reader_init(struct bench_reader *r, const struct bench_conn_events *events, void *arg)
{
	*r = (struct bench_reader){
	    .events = events, .arg = arg, .room = xmalloc(2 * WIRE_MAX_HEAD + BENCH_READ_BYTES)};
}

void
bench_reader_release(struct bench_reader *r)
{
	xfree(r->room);
	r->room = NULL;
}

void
bench_conn_release(struct bench_conn *c)
{
	bench_socket_close(&c->socket);
	buffer_release(&c->out);
	buffer_release(&c->partial);
}

size_t
bench_conn_unsent(const struct bench_conn *c)
{
	return c->out.len - c->out_at;
}

static void
fail(struct bench_conn *c, struct bench_reader *r, bool by_error_reply, const char *text)
{
	if (c->failed)
		return;
	c->failed = true;
	r->events->failed(c, by_error_reply, text, r->arg);
}

static void
fail_by_reply(struct bench_conn *c, struct bench_reader *r, struct slice text)
{
	struct buffer line = {0};

	buffer_append_escaped(&line, text);
	buffer_append(&line, "", 1);
	fail(c, r, true, line.ptr);
	buffer_release(&line);
}

/*
 * Handles a message whose head and stamp have arrived; returns the number of its bytes that have.
 * A message that is not complete yet is reported when its last byte arrives.
 */
static size_t
take_message(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len)
{
	memcpy(&c->stamp, ptr + c->head_len, BENCH_STAMP_BYTES);
	if (len < c->frame_len) {
		c->rest = c->frame_len - len;
		return len;
	}
	r->events->message(c, &c->stamp, r->arg);
	return c->frame_len;
}

static void
learn_head(struct bench_conn *c, const char *ptr, const struct wire_event *event)
{
	c->frame_len = event->head_len + event->payload_len + event->tail_len;
	c->head_len = (uint32_t)event->head_len;
	if (event->head_len <= sizeof(c->head))
		memcpy(c->head, ptr, event->head_len);
}

/* Returns the number of bytes consumed, 0 if more are needed. */
static size_t
take_event(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len)
{
	struct wire_event event;
	enum wire_status status = c->wire->scan(ptr, len, &event);

	if (status == WIRE_MORE)
		return 0;
	if (status == WIRE_GARBLED || event.head_len > 2 * WIRE_MAX_HEAD - BENCH_STAMP_BYTES) {
		fail(c, r, false, "the server does not speak this protocol");
		return 0;
	}
	switch (event.kind) {
	case WIRE_MESSAGE:
		if (event.payload_len < BENCH_STAMP_BYTES) {
			fail(
			    c, r, false, "received a message that the load generator did not send");
			return 0;
		}
		if (len < event.head_len + BENCH_STAMP_BYTES)
			return 0;
		learn_head(c, ptr, &event);
		return take_message(c, r, ptr, len);
	case WIRE_CONFIRMED:
		r->events->confirmed(c, r->arg);
		break;
	case WIRE_PING:
		buffer_append_slice(&c->out, c->wire->pong);
		c->wants_write = true;
		break;
	case WIRE_ERROR:
		fail_by_reply(c, r, event.text);
		return 0;
	case WIRE_IGNORED:
		break;
	}
	return event.head_len;
}

static bool
has_known_head(const struct bench_conn *c, const char *ptr, size_t len)
{
	return c->frame_len > 0 && c->head_len <= sizeof(c->head) &&
	       len >= c->head_len + BENCH_STAMP_BYTES && memcmp(ptr, c->head, c->head_len) == 0;
}

/* Returns the number of bytes consumed from the front. */
static size_t
take_events(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len)
{
	size_t at = 0;

	while (at < len && !c->failed) {
		size_t taken;

		if (c->rest > 0) {
			taken = c->rest < len - at ? c->rest : len - at;
			c->rest -= taken;
			if (c->rest == 0)
				r->events->message(c, &c->stamp, r->arg);
		} else if (has_known_head(c, ptr + at, len - at)) {
			taken = take_message(c, r, ptr + at, len - at);
		} else {
			taken = take_event(c, r, ptr + at, len - at);
		}
		if (taken == 0)
			break;
		at += taken;
	}
	return at;
}

/* room contains the bytes left over and then the new bytes: len in total. */
static void
take_room(struct bench_conn *c, struct bench_reader *r, size_t len)
{
	size_t taken = take_events(c, r, r->room, len);

	buffer_clear(&c->partial);
	if (taken < len && !c->failed) {
		/* Small, because the scanners need only a head and a stamp. */
		assert(len - taken <= 2 * WIRE_MAX_HEAD);
		buffer_append(&c->partial, r->room + taken, len - taken);
	} else {
		buffer_shrink(&c->partial, 1024);
	}
}

bool
bench_conn_feed(struct bench_conn *c, struct bench_reader *r, const char *ptr, size_t len)
{
	assert(len <= BENCH_READ_BYTES);
	if (c->partial.len > 0)
		memcpy(r->room, c->partial.ptr, c->partial.len);
	memcpy(r->room + c->partial.len, ptr, len);
	take_room(c, r, c->partial.len + len);
	return !c->failed;
}

void
bench_conn_read(struct bench_conn *c, struct bench_reader *r)
{
	for (int i = 0; i < READS_A_TURN && !c->failed; i++) {
		size_t left = c->partial.len;
		ssize_t n;

		if (left > 0)
			memcpy(r->room, c->partial.ptr, left);
		n = bench_socket_read(&c->socket, r->room + left, BENCH_READ_BYTES);
		if (n == BENCH_SOCKET_LATER)
			return;
		if (n == BENCH_SOCKET_ENDED) {
			fail(c, r, false, bench_socket_fault());
			return;
		}
		r->bytes += (uint64_t)n;
		r->now_ns = bench_now_ns();
		take_room(c, r, left + (size_t)n);
		/* After a short read the socket is empty; but TLS returns one record at a time. */
		if (c->socket.tls == NULL && (size_t)n < BENCH_READ_BYTES)
			return;
	}
}

void
bench_conn_flush(struct bench_conn *c, struct bench_reader *r)
{
	while (!c->failed && c->out_at < c->out.len) {
		ssize_t n =
		    bench_socket_write(&c->socket, c->out.ptr + c->out_at, c->out.len - c->out_at);

		if (n == BENCH_SOCKET_LATER)
			break;
		if (n == BENCH_SOCKET_ENDED) {
			fail(c, r, false, bench_socket_fault());
			break;
		}
		c->out_at += (size_t)n;
	}
	c->wants_write = c->out_at < c->out.len;
	if (!c->wants_write) {
		buffer_clear(&c->out);
		c->out_at = 0;
	}
}
