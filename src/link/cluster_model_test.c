#include "config.h"

#include "link/cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/testing.h"
#include "link/testing_shards.h"
#include "pubsub/hub.h"
#include "resp/reply.h"
#include "server/core.h"
#include "server/sent_messages.h"
#include "server/server.h"
#include "server/upstream.h"

/*
 * A node of a simulated cluster: messages are published here and by others while slots move,
 * connections break and masters fail. A message of a channel is never delivered twice or behind a
 * later one, those that are missing are behind a mark, and those that were published here are
 * accepted in their order, each once at most.
 */
#define CHANNELS 8
#define MESSAGES_MAX 200000

static struct sim sim;
static struct server *server;
static struct cluster *cluster;
static struct sim_setting setting;
static struct subscriber reader;
static struct resp_reader *frames;

static struct channel {
	char name[32];
	uint32_t *log; /* numbers of messages, in the order in which shards accepted them */
	size_t accepted;
	size_t read; /* so many of them were delivered, or are known to be missing */
	bool has_mark;
	uint32_t last_own; /* the newest one that was published here */
	size_t missing;
} channels[CHANNELS];

static uint32_t next_number;
static bool is_own[MESSAGES_MAX];
static uint64_t seed;

static size_t
pick(size_t n)
{
	return (size_t)(testing_random(&seed) % n);
}

static struct channel *
channel_of(struct slice name)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if (slice_is(name, channels[i].name))
			return &channels[i];
	ck_abort_msg("unknown channel");
}

static void
on_accepted(struct slice name, struct slice payload)
{
	struct channel *c = channel_of(name);
	uint64_t number;

	ck_assert(slice_to_u64(payload, &number));
	if (is_own[number]) {
		ck_assert_msg(number > c->last_own, "seed %llu: %llu behind %u",
		    (unsigned long long)seed, (unsigned long long)number, c->last_own);
		c->last_own = (uint32_t)number;
	}
	c->log[c->accepted++] = (uint32_t)number;
}

/* The reader */

static void
on_ready(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_closed(struct subscriber *s)
{
	(void)s;
	ck_abort_msg("the reader was closed");
}

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static void
take_message(struct slice name, struct slice payload)
{
	struct channel *c = channel_of(name);
	size_t at = c->read;
	uint64_t number;

	ck_assert(slice_to_u64(payload, &number));
	while (at < c->accepted && c->log[at] != number)
		at++;
	ck_assert_msg(at < c->accepted, "message %llu of %s is late, or comes twice",
	    (unsigned long long)number, c->name);
	ck_assert_msg(at == c->read || c->has_mark, "%zu messages of %s before %llu are missing",
	    at - c->read, c->name, (unsigned long long)number);
	c->missing += at - c->read;
	c->read = at + 1;
	c->has_mark = false;
}

static void
take_frame(const struct resp_value *frame)
{
	ck_assert_int_eq(frame->type, RESP_TYPE_PUSH);
	if (slice_is(frame->items[0].text, "lagged")) {
		for (size_t i = 0; i < CHANNELS; i++)
			channels[i].has_mark = true;
		return;
	}
	take_message(frame->items[1].text, frame->items[2].text);
}

static void
read_all(void)
{
	struct resp_value *frame;
	struct iovec piece;

	while (outbox_peek(&reader.outbox, &piece, 1) > 0) {
		resp_reader_feed(frames, piece.iov_base, piece.iov_len);
		outbox_consume(&reader.outbox, piece.iov_len);
		while (resp_reader_next(frames, &frame) > 0) {
			take_frame(frame);
			resp_value_free(frame);
		}
	}
}

/* The node */

static void
start(void)
{
	static const struct subscriber_ops ops = {on_ready, on_closed, ignore, on_closed};

	sim_setting_init(&setting);
	sim_init(&sim);
	sim.accepted = on_accepted;
	cluster = sim_join(&sim, &setting, &server);
	frames = resp_reader_new(1 << 20, 8);
	hub_attach(server->hub, &reader, &ops, &setting.config.outbox, 1, NULL);
	next_number = 1;
	for (size_t i = 0; i < CHANNELS; i++) {
		struct channel *c = &channels[i];

		*c = (struct channel){.has_mark = true};
		c->log = calloc(MESSAGES_MAX, sizeof(*c->log));
		snprintf(c->name, sizeof(c->name), "channel:%zu", i);
		ck_assert_int_eq(
		    hub_subscribe(&reader, i % 2 == 0 ? HUB_CHANNEL : HUB_SHARD, slice_of(c->name)),
		    HUB_OK);
	}
}

static void
finish(void)
{
	cluster_free(cluster);
	ck_assert(hub_detach(&reader, SIZE_MAX));
	server_free(server);
	sim_setting_release(&setting);
	resp_reader_free(frames);
	for (size_t i = 0; i < CHANNELS; i++)
		free(channels[i].log);
}

static struct slice
text_of(uint32_t number)
{
	static char text[16];
	int len = snprintf(text, sizeof(text), "%u", number);

	return (struct slice){text, (size_t)len};
}

static enum upstream_sending
publish_here(struct channel *c, bool may_wait)
{
	struct hub_post post = {.kind = pick(2) == 0 ? HUB_CHANNEL : HUB_SHARD,
	    .channel = slice_of(c->name),
	    .payload = text_of(next_number)};
	enum upstream_sending result;

	is_own[next_number] = true;
	result = server->upstream->ops->send(server->upstream, &post, may_wait);
	if (result == UPSTREAM_SENT) {
		server->sent_messages->sent++;
		next_number++;
	}
	return result;
}

static void
publish_elsewhere(struct channel *c)
{
	is_own[next_number] = false;
	if (sim.is_dead[sim.owner[slot_of(slice_of(c->name))]])
		return;
	sim_publish(&sim, slice_of(c->name), text_of(next_number++), NULL);
}

static void
need(struct channel *c)
{
	struct upstream_name name = {.kind = HUB_CHANNEL, .name = slice_of(c->name)};
	uint64_t mark = 0;

	(void)server->upstream->ops->need(server->upstream, &name, &mark);
}

static void
turn(void)
{
	server->now_us = sim.now_us;
	sim_open_due(&sim);
	(void)cluster_turn(cluster, sim.now_us);
}

/* A dead master's slots go to another one. */
static void
fail_over(size_t node)
{
	turn();
	sim_kill(&sim, node);
	for (uint16_t slot = 0; slot < SLOTS; slot++)
		if (sim.owner[slot] == node)
			sim_move(&sim, slot, (node + 1) % SIM_NODES);
	sim_revive(&sim, node);
}

static void
step(void)
{
	struct channel *c = &channels[pick(CHANNELS)];
	size_t connection = pick(SIM_CONNECTIONS);

	switch (pick(40)) {
	case 0:
		turn(); /* see sim_move() */
		sim_move(&sim, slot_of(slice_of(c->name)), pick(SIM_NODES));
		break;
	case 1:
		if (pick(20) == 0)
			sim_lose(&sim, connection);
		break;
	case 2:
		if (pick(200) == 0)
			fail_over(pick(SIM_NODES));
		break;
	case 3:
		need(c);
		break;
	case 4:
		(void)publish_here(c, false);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		(void)publish_here(c, true);
		break;
	case 9:
	case 10:
		publish_elsewhere(c);
		break;
	case 11:
	case 12:
		sim.now_us += pick(50000);
		turn();
		break;
	default:
		if (pick(2) == 0)
			sim_serve(&sim, connection, 1 + pick(500));
		else
			sim_deliver(&sim, connection, 1 + pick(500));
		break;
	}
	read_all();
}

/* Time passes until nothing is left to do. */
static void
settle(uint64_t us)
{
	for (uint64_t end_us = sim.now_us + us; sim.now_us < end_us; sim.now_us += 20000) {
		turn();
		for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
			sim_serve(&sim, i, SIZE_MAX);
			sim_deliver(&sim, i, SIZE_MAX);
		}
		read_all();
	}
}

static void
check_end(void)
{
	struct upstream_figures figures;

	settle(20000000);
	server->upstream->ops->figures(server->upstream, &figures);
	ck_assert_msg(strcmp(figures.state, "up") == 0, "seed %llu: %s, %s",
	    (unsigned long long)seed, figures.state, figures.error);
	ck_assert_uint_eq(figures.waiting_names, 0);
	ck_assert_uint_eq(server->sent_messages->arrived, server->sent_messages->sent);
	for (size_t i = 0; i < CHANNELS; i++) {
		for (int n = 0; n < 3; n++)
			ck_assert_int_eq(publish_here(&channels[i], true), UPSTREAM_SENT);
		publish_elsewhere(&channels[i]);
	}
	settle(1000000);
	for (size_t i = 0; i < CHANNELS; i++)
		ck_assert_msg(
		    channels[i].read == channels[i].accepted, "channel %zu ends before its end", i);
	ck_assert_msg(sim.drops == 0, "%s", sim.why);
}

START_TEST(messages_are_in_order_and_none_is_missing_without_a_mark)
{
	uint64_t redirected = 0;

	for (uint64_t run = 1; run <= (uint64_t)testing_steps(60); run++) {
		seed = run;
		start();
		settle(2000000);
		for (int steps = 0; steps < 4000; steps++)
			step();
		check_end();
		redirected += sim.redirected;
		finish();
	}
	ck_assert_uint_gt(redirected, 0);
}
END_TEST

START_TEST(nothing_is_missing_while_nothing_happens)
{
	seed = 1;
	start();
	settle(2000000);
	for (size_t i = 0; i < CHANNELS; i++) {
		publish_elsewhere(&channels[i]);
		ck_assert_int_eq(publish_here(&channels[i], true), UPSTREAM_SENT);
	}
	settle(1000000);
	for (size_t i = 0; i < CHANNELS; i++) {
		ck_assert(!channels[i].has_mark);
		channels[i].missing = 0;
	}
	for (int n = 0; n < 1000; n++) {
		(void)publish_here(&channels[pick(CHANNELS)], true);
		publish_elsewhere(&channels[pick(CHANNELS)]);
		if (n % 10 == 0)
			settle(20000);
	}
	settle(30000000); /* with probes */
	for (size_t i = 0; i < CHANNELS; i++) {
		ck_assert_uint_eq(channels[i].read, channels[i].accepted);
		ck_assert_uint_eq(channels[i].missing, 0);
		ck_assert(!channels[i].has_mark);
	}
	ck_assert_uint_eq(sim.drops + sim.redirected, 0);
	finish();
}
END_TEST

/* A shard goes on serving a channel, while the map names another one for a while. */
START_TEST(what_was_dropped_is_told_before_the_next_message)
{
	struct channel *c = &channels[0];
	uint16_t slot;
	uint8_t was;

	seed = 1;
	start();
	settle(2000000);
	publish_elsewhere(c);
	settle(100000);
	slot = slot_of(slice_of(c->name));
	was = sim.owner[slot];
	sim.owner[slot] = (uint8_t)((was + 1) % 3);
	settle(11000000); /* with a probe, which asks for the map */
	publish_elsewhere(c);
	settle(100000);
	ck_assert(!c->has_mark);
	sim.owner[slot] = was;
	for (int i = 0; i < 1100; i++, sim.now_us += 20000) {
		turn();
		publish_elsewhere(c);
		for (size_t k = 0; k < SIM_CONNECTIONS; k++) {
			sim_serve(&sim, k, SIZE_MAX);
			sim_deliver(&sim, k, SIZE_MAX);
		}
		read_all();
	}
	ck_assert_uint_gt(c->missing, 0);
	ck_assert_uint_eq(c->read, c->accepted);
	finish();
}
END_TEST

int
main(void)
{
	return testing_main("link/cluster_model", NULL, NULL,
	    (const TTest *[]){what_was_dropped_is_told_before_the_next_message,
		nothing_is_missing_while_nothing_happens,
		messages_are_in_order_and_none_is_missing_without_a_mark, NULL});
}
