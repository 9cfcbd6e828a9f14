#include "config.h"

#include "link/cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/glob.h"
#include "base/testing.h"
#include "link/testing_shards.h"
#include "pubsub/hub.h"
#include "resp/reply.h"
#include "server/core.h"
#include "server/sent_messages.h"
#include "server/server.h"
#include "server/upstream.h"

/*
 * Nodes of a simulated cluster whose subscribers add and remove patterns, while all of them
 * publish. A message of a channel is never delivered twice to a subscription, or behind a later
 * one. Of what is published after a subscription was confirmed nothing is missing; with faults, if
 * something is, its subscriber is told, there or later. Channels are added and removed, too:
 * then a message comes by the channel, and again as a copy.
 */
#define NODES 3
#define CHANNELS 6
#define PATTERNS 5
#define MESSAGES_MAX 100000

static const char *const channel_names[CHANNELS] = {"a1", "a2", "b1", "b2", "c1", "abc"};
static const char *const pattern_names[PATTERNS] = {"a*", "*1", "b?", "a2", "[bc]*"};

static struct channel {
	uint32_t *log; /* numbers of messages, in the order in which shards accepted them */
	size_t accepted;
} channels[CHANNELS];

enum wish { NOT_SUBSCRIBED, WAITS, SUBSCRIBED };

struct pattern {
	enum wish wish;
	uint64_t mark; /* of WAITS */
	uint64_t from; /* events before the confirmation */
	size_t read[CHANNELS];
	bool has_mark[CHANNELS];
	size_t owed; /* messages that are missing, and of which it was not told */
};

static struct node {
	struct server *server;
	struct cluster *cluster;
	struct subscriber reader;
	struct subscriber other; /* of channels; what it gets is tested elsewhere */
	struct resp_reader *frames;
	struct pattern patterns[PATTERNS];
	size_t notices;
} nodes[NODES];

static struct sim sim;
static struct sim_setting setting;
static uint32_t next_number;
static uint64_t born[MESSAGES_MAX]; /* events before each was published */
static uint64_t events, seed, run_number;
static size_t missing, delivered;

static size_t
pick(size_t n)
{
	return (size_t)(testing_random(&seed) % n);
}

static size_t
index_of(const char *const *names, struct slice name)
{
	size_t i = 0;

	while (!slice_is(name, names[i]))
		i++;
	return i;
}

static void
on_accepted(struct slice name, struct slice payload)
{
	struct channel *c = &channels[index_of(channel_names, name)];
	uint64_t number;

	ck_assert(slice_to_u64(payload, &number));
	c->log[c->accepted++] = (uint32_t)number;
}

/* The readers */

static void
on_ready(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_closed(struct subscriber *s)
{
	(void)s;
	ck_abort_msg("a reader was closed");
}

static void
ignore(struct subscriber *s)
{
	(void)s;
}

/* Passes over messages that were not delivered. */
static void
skip_to(struct pattern *p, size_t at, size_t i)
{
	for (size_t k = p->read[i]; k < at; k++)
		if (born[channels[i].log[k]] > p->from && !p->has_mark[i]) {
			p->owed++;
			missing++;
		}
	p->read[i] = at;
}

static void
take_message(struct pattern *p, size_t i, struct slice payload)
{
	const struct channel *c = &channels[i];
	size_t at = p->read[i];
	uint64_t number;

	ck_assert(slice_to_u64(payload, &number));
	while (at < c->accepted && c->log[at] != number)
		at++;
	ck_assert_msg(at < c->accepted, "seed %llu: message %llu of %s is late, or comes twice",
	    (unsigned long long)run_number, (unsigned long long)number, channel_names[i]);
	skip_to(p, at, i);
	p->read[i] = at + 1;
	p->has_mark[i] = false;
	delivered++;
}

static void
take_notice(struct node *node)
{
	node->notices++;
	for (size_t n = 0; n < PATTERNS; n++) {
		node->patterns[n].owed = 0;
		for (size_t i = 0; i < CHANNELS; i++)
			node->patterns[n].has_mark[i] = true;
	}
}

static void
take_frame(struct node *node, const struct resp_value *frame)
{
	struct pattern *p;

	ck_assert_int_eq(frame->type, RESP_TYPE_PUSH);
	if (slice_is(frame->items[0].text, "lagged")) {
		take_notice(node);
		return;
	}
	ck_assert(slice_is(frame->items[0].text, "pmessage"));
	p = &node->patterns[index_of(pattern_names, frame->items[1].text)];
	take_message(p, index_of(channel_names, frame->items[2].text), frame->items[3].text);
}

static void
read_all(struct node *node)
{
	struct resp_value *frame;
	struct iovec piece;

	while (outbox_peek(&node->other.outbox, &piece, 1) > 0)
		outbox_consume(&node->other.outbox, piece.iov_len);
	while (outbox_peek(&node->reader.outbox, &piece, 1) > 0) {
		resp_reader_feed(node->frames, piece.iov_base, piece.iov_len);
		outbox_consume(&node->reader.outbox, piece.iov_len);
		while (resp_reader_next(node->frames, &frame) > 0) {
			take_frame(node, frame);
			resp_value_free(frame);
		}
	}
}

/* The nodes */

static void
start_node(struct node *node)
{
	static const struct subscriber_ops ops = {on_ready, on_closed, ignore, on_closed};

	*node = (struct node){0};
	node->cluster = sim_join(&sim, &setting, &node->server);
	node->frames = resp_reader_new(1 << 20, 8);
	hub_attach(node->server->hub, &node->reader, &ops, &setting.config.outbox, 1, NULL);
	hub_attach(node->server->hub, &node->other, &ops, &setting.config.outbox, 1, NULL);
}

static void
start(void)
{
	sim_setting_init(&setting);
	sim_init(&sim);
	sim.accepted = on_accepted;
	next_number = 1;
	events = 1;
	for (size_t i = 0; i < CHANNELS; i++)
		channels[i] =
		    (struct channel){.log = calloc(MESSAGES_MAX, sizeof(*channels[i].log))};
	for (size_t i = 0; i < NODES; i++)
		start_node(&nodes[i]);
}

static void
finish(void)
{
	for (size_t i = 0; i < NODES; i++) {
		cluster_free(nodes[i].cluster);
		ck_assert(hub_detach(&nodes[i].reader, SIZE_MAX));
		ck_assert(hub_detach(&nodes[i].other, SIZE_MAX));
		server_free(nodes[i].server);
		resp_reader_free(nodes[i].frames);
	}
	sim_setting_release(&setting);
	for (size_t i = 0; i < CHANNELS; i++)
		free(channels[i].log);
}

static enum upstream_sending
publish(struct node *node, size_t i)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", next_number);
	struct hub_post post = {.kind = HUB_CHANNEL,
	    .channel = slice_of(channel_names[i]),
	    .payload = {text, (size_t)len}};
	enum upstream_sending result;

	born[next_number] = ++events;
	result = node->server->upstream->ops->send(node->server->upstream, &post, true);
	if (result == UPSTREAM_SENT) {
		node->server->sent_messages->sent++;
		next_number++;
	}
	return result;
}

/* Goes on with the subscription, if the node lets it. */
static void
ask(struct node *node, size_t n)
{
	struct pattern *p = &node->patterns[n];
	struct upstream *upstream = node->server->upstream;
	struct upstream_name name = {.kind = HUB_PATTERN, .name = slice_of(pattern_names[n])};

	if (p->wish == SUBSCRIBED ||
	    (p->wish == WAITS && !upstream->ops->is_reached(upstream, p->mark)))
		return;
	p->wish = WAITS;
	if (upstream->ops->need(upstream, &name, &p->mark) != UPSTREAM_READY)
		return;
	ck_assert_int_eq(hub_subscribe(&node->reader, HUB_PATTERN, name.name), HUB_OK);
	*p = (struct pattern){.wish = SUBSCRIBED, .from = events};
	for (size_t i = 0; i < CHANNELS; i++)
		p->read[i] = 0;
}

static void
leave(struct node *node, size_t n)
{
	struct pattern *p = &node->patterns[n];

	read_all(node);
	if (p->wish == SUBSCRIBED)
		ck_assert_int_eq(
		    hub_unsubscribe(&node->reader, HUB_PATTERN, slice_of(pattern_names[n])),
		    HUB_OK);
	*p = (struct pattern){0};
}

static void
toggle(struct node *node, size_t i)
{
	struct slice name = slice_of(channel_names[i]);

	if (hub_is_subscribed(&node->other, HUB_CHANNEL, name))
		ck_assert_int_eq(hub_unsubscribe(&node->other, HUB_CHANNEL, name), HUB_OK);
	else
		ck_assert_int_eq(hub_subscribe(&node->other, HUB_CHANNEL, name), HUB_OK);
}

static void
turn(struct node *node)
{
	node->server->now_us = sim.now_us;
	sim_open_due(&sim);
	(void)cluster_turn(node->cluster, sim.now_us);
}

/* Time passes until nothing is left to do. */
static void
settle(uint64_t us)
{
	for (uint64_t end_us = sim.now_us + us; sim.now_us < end_us; sim.now_us += 20000) {
		for (size_t i = 0; i < NODES; i++)
			turn(&nodes[i]);
		for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
			sim_serve(&sim, i, SIZE_MAX);
			sim_deliver(&sim, i, SIZE_MAX);
		}
		for (size_t i = 0; i < NODES; i++)
			read_all(&nodes[i]);
	}
}

/* A dead master's slots go to another one. */
static void
fail_over(size_t at)
{
	for (size_t i = 0; i < NODES; i++)
		turn(&nodes[i]);
	sim_kill(&sim, at);
	for (uint16_t slot = 0; slot < SLOTS; slot++)
		if (sim.owner[slot] == at)
			sim_move(&sim, slot, (at + 1) % SIM_NODES);
	sim_revive(&sim, at);
}

static void
have_fault(void)
{
	static const char *const moved[] = {"a1", "abc", "fanfare:globs", "b2"};

	switch (pick(12)) {
	case 0:
		if (pick(10) == 0)
			fail_over(pick(SIM_NODES));
		break;
	case 1:
	case 2:
		sim_lose(&sim, pick(SIM_CONNECTIONS));
		break;
	case 3:
	case 4:
	case 5:
		for (size_t i = 0; i < NODES; i++) /* see sim_move() */
			turn(&nodes[i]);
		sim_move(&sim, slot_of(slice_of(moved[pick(4)])), pick(SIM_NODES));
		break;
	default:
		break;
	}
}

static void
step(bool has_faults)
{
	struct node *node = &nodes[pick(NODES)];
	size_t connection = pick(SIM_CONNECTIONS), max = 1 + pick((size_t)1 << pick(22));

	switch (pick(24)) {
	case 0:
		if (has_faults && pick(6) == 0)
			have_fault();
		break;
	case 1:
		if (pick(4) == 0)
			leave(node, pick(PATTERNS));
		if (pick(4) == 0)
			toggle(node, pick(CHANNELS));
		break;
	case 2:
	case 3:
	case 4:
		ask(node, pick(PATTERNS));
		break;
	case 5:
	case 6:
	case 7:
		(void)publish(node, pick(CHANNELS));
		break;
	case 8:
		sim.now_us += pick(50000);
		turn(node);
		break;
	case 9:
	case 10:
		turn(node);
		break;
	default:
		if (pick(2) == 0)
			sim_serve(&sim, connection, max);
		else
			sim_deliver(&sim, connection, max);
		break;
	}
	read_all(node);
}

static void
check_pattern(const struct node *node, size_t n)
{
	struct pattern p = node->patterns[n];

	for (size_t i = 0; i < CHANNELS && p.wish == SUBSCRIBED; i++) {
		if (!glob_match(slice_of(pattern_names[n]), slice_of(channel_names[i]), false))
			continue;
		ck_assert_msg(p.read[i] == channels[i].accepted,
		    "seed %llu: %s of %s ends before its end", (unsigned long long)run_number,
		    channel_names[i], pattern_names[n]);
	}
	ck_assert_msg(p.owed == 0, "seed %llu: %zu messages of %s are missing silently",
	    (unsigned long long)run_number, p.owed, pattern_names[n]);
}

/* In the end all wishes are fulfilled, and everything comes. */
static void
check_end(void)
{
	settle(40000000);
	for (size_t i = 0; i < NODES; i++)
		for (size_t n = 0; n < PATTERNS; n++)
			ask(&nodes[i], n);
	settle(5000000); /* a node forgets a pattern that nobody has subscribed to */
	for (size_t i = 0; i < NODES; i++)
		for (size_t n = 0; n < PATTERNS; n++) {
			ask(&nodes[i], n);
			ck_assert_msg(nodes[i].patterns[n].wish == SUBSCRIBED,
			    "seed %llu: node %zu waits for %s", (unsigned long long)run_number, i,
			    pattern_names[n]);
		}
	for (size_t i = 0; i < NODES; i++)
		for (size_t k = 0; k < CHANNELS; k++)
			ck_assert_int_eq(publish(&nodes[i], k), UPSTREAM_SENT);
	settle(2000000);
	for (size_t i = 0; i < NODES; i++)
		for (size_t n = 0; n < PATTERNS; n++)
			check_pattern(&nodes[i], n);
	ck_assert_msg(sim.drops == 0, "%s", sim.why);
}

static void
run(uint64_t number, int steps, bool has_faults)
{
	seed = run_number = number;
	missing = delivered = 0;
	start();
	settle(2000000);
	for (int i = 0; i < steps; i++)
		step(has_faults);
	check_end();
}

START_TEST(without_faults_nothing_is_missing_after_the_confirmation)
{
	for (uint64_t n = 1; n <= (uint64_t)testing_steps(4); n++) {
		run(n, 10000, false);
		ck_assert_uint_eq(missing, 0);
		for (size_t i = 0; i < NODES; i++)
			ck_assert_uint_eq(nodes[i].notices, 0);
		ck_assert_uint_gt(delivered, 100);
		finish();
	}
}
END_TEST

START_TEST(with_faults_nothing_is_missing_silently)
{
	for (uint64_t n = 1; n <= (uint64_t)testing_steps(4); n++) {
		run(n, 10000, true);
		ck_assert_uint_gt(delivered, 100);
		finish();
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/cluster_globs_model", NULL, NULL,
	    (const TTest *[]){without_faults_nothing_is_missing_after_the_confirmation,
		with_faults_nothing_is_missing_silently, NULL});
}
