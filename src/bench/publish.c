#include "config.h"

#include <assert.h>
#include <string.h>
#include <sys/timerfd.h>

#include "bench/load.h"
#include "bench/wire.h"

/* In an open loop: the most bytes in a publisher's own buffer. */
#define MAX_UNSENT ((size_t)4 * 1024 * 1024)

/* Messages created in an open loop before the next read. */
#define MAX_A_TURN 1024

static const struct wire *
wire_of(const struct bench_load *load)
{
	return bench_options_wire(load->options, 0);
}

void
bench_publish_prepare(struct bench_load *load)
{
	const struct bench_options *o = load->options;
	const struct wire *wire = wire_of(load);
	struct buffer name = {0};
	size_t fill = o->size - BENCH_STAMP_BYTES;

	for (uint32_t i = 0; i < o->channels; i++) {
		buffer_clear(&name);
		bench_plan_put_channel(&name, o->prefix, wire->separator, i);
		wire->put_publish(&load->heads, buffer_slice(&name), o->size);
	}
	assert(o->channels > 0);
	load->head_len = load->heads.len / o->channels;
	memset(buffer_reserve(&load->rest, fill), 'x', fill);
	load->rest.len += fill;
	buffer_append_slice(&load->rest, wire->tail);
	buffer_release(&name);
}

static void
put_message(struct bench_load *load, uint32_t number, uint64_t meant_ns)
{
	struct bench_publisher *p = &load->publishers[number];
	struct buffer *out = &p->conn->out;
	uint32_t channel = bench_plan_target(&load->plan, number, p->sent);
	uint32_t fanout = bench_plan_fanout(&load->plan, channel);
	const struct bench_stamp stamp = {.meant_ns = meant_ns,
	    .sequence = bench_plan_sequence(&load->plan, p->sent),
	    .publisher = (uint16_t)number,
	    .channel = (uint16_t)channel};

	buffer_append(out, load->heads.ptr + channel * load->head_len, load->head_len);
	buffer_append(out, &stamp, sizeof(stamp));
	buffer_append(out, load->rest.ptr, load->rest.len);
	p->conn->due += p->conn->wire->replies;
	p->sent++;
	p->pending += fanout;
	load->sent++;
	load->due += fanout;
}

static void
send_out(struct bench_load *load, struct bench_conn *c)
{
	bench_conn_flush(c, &load->reader);
	bench_load_watch(load, c);
}

static uint64_t
messages_left(const struct bench_load *load)
{
	return load->options->messages == 0 ? UINT64_MAX : load->options->messages - load->sent;
}

/*
 * A publisher may send its next pipeline when the server has replied to the last one and the
 * pending deliveries fit into the rest of its window. Deliveries are counted in total, which is
 * exact for a window of one pipeline.
 */
static bool
may_send(const struct bench_load *load, const struct bench_publisher *p)
{
	uint64_t spare = load->options->window - load->options->pipeline;
	uint32_t fanout = bench_plan_fanout(&load->plan, 0);

	return p->conn->due == 0 && p->pending <= (int64_t)(spare * fanout) &&
	       bench_conn_unsent(p->conn) == 0;
}

static void
send_pipeline(struct bench_load *load, uint32_t number, uint64_t now_ns)
{
	struct bench_publisher *p = &load->publishers[number];

	for (uint64_t i = 0; i < load->options->pipeline && messages_left(load) > 0; i++)
		put_message(load, number, now_ns);
	/* If a publish has no reply, this confirms that the server has processed it. */
	if (!p->conn->wire->replies)
		p->conn->due += (uint32_t)p->conn->wire->put_ping(&p->conn->out);
	send_out(load, p->conn);
}

static uint64_t
meant_at(const struct bench_load *load, uint64_t n)
{
	return load->started_ns + (uint64_t)((double)n * 1e9 / load->options->rate);
}

static void
arm_timer(struct bench_load *load, uint64_t at_ns)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000),
				    .tv_nsec = (long)(at_ns % 1000000000)}};

	timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void
send_due(struct bench_load *load, uint64_t now_ns)
{
	uint32_t publishers = load->plan.publishers;
	uint32_t made = 0;
	bool full = false;

	while (
	    messages_left(load) > 0 && made < MAX_A_TURN && meant_at(load, load->sent) <= now_ns) {
		uint32_t number = (uint32_t)(load->sent % publishers);

		full = bench_conn_unsent(load->publishers[number].conn) > MAX_UNSENT;
		if (full)
			break;
		put_message(load, number, meant_at(load, load->sent));
		made++;
	}
	for (uint32_t i = 0; i < publishers && made > 0; i++)
		if (bench_conn_unsent(load->publishers[i].conn) > 0)
			send_out(load, load->publishers[i].conn);
	/* Otherwise continue when the socket is writable. */
	if (messages_left(load) > 0 && !full)
		arm_timer(load, meant_at(load, load->sent));
}

void
bench_publish_next(struct bench_load *load, uint32_t number, uint64_t now_ns)
{
	if (load->options->rate == 0 && messages_left(load) > 0 &&
	    may_send(load, &load->publishers[number]))
		send_pipeline(load, number, now_ns);
}

void
bench_publish_turn(struct bench_load *load, uint64_t now_ns)
{
	if (load->options->rate > 0) {
		send_due(load, now_ns);
		return;
	}
	for (uint32_t i = 0; i < load->plan.publishers; i++)
		bench_publish_next(load, i, now_ns);
}

void
bench_publish_give_up(struct bench_load *load)
{
	for (uint32_t i = 0; i < load->plan.publishers; i++)
		load->publishers[i].pending = 0;
	load->given_up++;
}
