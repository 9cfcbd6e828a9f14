#include "config.h"

#include "link/cluster.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/testing.h"
#include "link/testing_shards.h"
#include "pubsub/hub.h"
#include "server/core.h"
#include "server/sent_messages.h"
#include "server/server.h"
#include "server/upstream.h"

/* Patterns at nodes of a simulated cluster, in cases that are rare in cluster_globs_model_test: of
 * three nodes some do not answer, or may not do what they want. */
#define NODES 3
#define PROBE_US ((uint64_t)10000000)

static struct node {
	struct server *server; /* NULL: it is not started */
	struct cluster *cluster;
	struct subscriber reader;
	size_t first; /* of its connections */
	bool is_stopped;
} nodes[NODES];

static struct sim sim;
static struct sim_setting setting;
static size_t published; /* messages that shards have accepted */

static void
on_accepted(struct slice name, struct slice payload)
{
	(void)name;
	(void)payload;
	published++;
}

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static void
start(size_t n)
{
	static const struct subscriber_ops ops = {ignore, ignore, ignore, ignore};
	struct node *node = &nodes[n];

	node->first = 0;
	while (sim.connections[node->first].shard != NULL)
		node->first++;
	node->cluster = sim_join(&sim, &setting, &node->server);
	hub_attach(node->server->hub, &node->reader, &ops, &setting.config.outbox, 1, NULL);
}

static void
setup(void)
{
	sim_setting_init(&setting);
	memset(nodes, 0, sizeof(nodes));
	sim_init(&sim);
	sim.accepted = on_accepted;
	published = 0;
}

static void
teardown(void)
{
	for (size_t n = 0; n < NODES; n++) {
		if (nodes[n].server == NULL)
			continue;
		cluster_free(nodes[n].cluster);
		ck_assert(hub_detach(&nodes[n].reader, SIZE_MAX));
		server_free(nodes[n].server);
	}
	sim_setting_release(&setting);
}

/* A node's connections are from its `first` to that of the next one: nodes begin one after the
 * other, and make their connections at once. */
static bool
is_stopped(size_t connection)
{
	bool is = false;

	for (size_t n = 0; n < NODES; n++)
		if (nodes[n].server != NULL && nodes[n].first <= connection)
			is = nodes[n].is_stopped;
	return is;
}

static void
settle(uint64_t us)
{
	for (uint64_t end_us = sim.now_us + us; sim.now_us < end_us; sim.now_us += 20000) {
		for (size_t n = 0; n < NODES; n++) {
			if (nodes[n].server == NULL || nodes[n].is_stopped)
				continue;
			nodes[n].server->now_us = sim.now_us;
			sim_open_due(&sim);
			(void)cluster_turn(nodes[n].cluster, sim.now_us);
		}
		for (size_t i = 0; i < SIM_CONNECTIONS; i++)
			if (!is_stopped(i)) {
				sim_serve(&sim, i, SIZE_MAX);
				sim_deliver(&sim, i, SIZE_MAX);
			}
	}
}

static enum upstream_need
need(size_t n, const char *pattern, uint64_t *mark)
{
	struct upstream *upstream = nodes[n].server->upstream;
	struct upstream_name name = {.kind = HUB_PATTERN, .name = slice_of(pattern)};

	return upstream->ops->need(upstream, &name, mark);
}

static bool
is_reached(size_t n, uint64_t mark)
{
	struct upstream *upstream = nodes[n].server->upstream;

	return upstream->ops->is_reached(upstream, mark);
}

static void
subscribe(size_t n, const char *pattern)
{
	ck_assert_int_eq(hub_subscribe(&nodes[n].reader, HUB_PATTERN, slice_of(pattern)), HUB_OK);
}

/* What the reader was sent since the last call. */
static const char *
heard(size_t n)
{
	static char text[65536];
	struct iovec piece;
	size_t len = 0;

	while (outbox_peek(&nodes[n].reader.outbox, &piece, 1) > 0) {
		ck_assert_uint_lt(len + piece.iov_len, sizeof(text));
		memcpy(text + len, piece.iov_base, piece.iov_len);
		len += piece.iov_len;
		outbox_consume(&nodes[n].reader.outbox, piece.iov_len);
	}
	outbox_flushed(&nodes[n].reader.outbox);
	text[len] = '\0';
	return text;
}

static enum upstream_sending
publish(size_t n, const char *channel)
{
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = SLICE("x")};
	struct server *server = nodes[n].server;
	enum upstream_sending result = server->upstream->ops->send(server->upstream, &post, true);

	if (result == UPSTREAM_SENT)
		server->sent_messages->sent++;
	return result;
}

static struct upstream_figures
figures(size_t n)
{
	struct upstream_figures out;

	nodes[n].server->upstream->ops->figures(nodes[n].server->upstream, &out);
	return out;
}

START_TEST(a_pattern_waits_for_a_node_that_does_not_answer)
{
	uint64_t mark = 0;

	start(0);
	settle(2000000);
	start(1);
	settle(2000000);
	nodes[1].is_stopped = true;
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	settle(PROBE_US - 1000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	settle(PROBE_US - 1000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	settle(3000000);
	ck_assert(is_reached(0, mark));
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
}
END_TEST

START_TEST(publishers_wait_for_what_others_have_and_say_what_was_missed)
{
	uint64_t mark = 0;

	start(0);
	settle(2000000);
	(void)need(0, "a*", &mark);
	settle(1000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
	subscribe(0, "a*");
	nodes[0].is_stopped = true;
	start(1);
	settle(1000000);
	ck_assert_int_eq(publish(1, "ab"), UPSTREAM_BUSY);
	settle(10000000);
	ck_assert_int_eq(publish(1, "ab"), UPSTREAM_SENT);
	settle(1000000);
	ck_assert_uint_eq(published, 1);
	ck_assert_uint_eq(figures(1).copies_sent, 0);
	nodes[0].is_stopped = false;
	ck_assert_str_eq(heard(0), "");
	settle(2000000);
	ck_assert_ptr_nonnull(strstr(heard(0), "lagged"));
	ck_assert_int_eq(publish(1, "ab"), UPSTREAM_SENT);
	settle(1000000);
	ck_assert_uint_eq(figures(1).copies_sent, 1);
	ck_assert_ptr_nonnull(strstr(heard(0), "pmessage"));
}
END_TEST

START_TEST(a_node_that_may_not_hear_the_others_refuses_patterns)
{
	uint64_t mark = 0;

	sim.refused = "fanfare:globs";
	start(0);
	settle(2000000);
	ck_assert_int_eq(publish(0, "a"), UPSTREAM_SENT);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_REFUSES);
	sim.refused = NULL;
	settle(70000000); /* it is tried again */
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	settle(1000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
}
END_TEST

START_TEST(a_node_without_a_feed_refuses_patterns)
{
	uint64_t mark = 0;

	sim.refused = "fanfare:feed:";
	start(0);
	settle(2000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	settle(3000000);
	ck_assert(is_reached(0, mark));
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_REFUSES);
}
END_TEST

START_TEST(what_could_not_be_told_is_told_again)
{
	uint64_t mark = 0;

	sim.failing = "fanfare:globs";
	start(0);
	settle(2000000);
	ck_assert_int_eq(publish(0, "a"), UPSTREAM_BUSY);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_ASKED);
	sim.failing = NULL;
	settle(2000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
	sim.failing = "fanfare:globs";
	ck_assert_int_eq(need(0, "b*", &mark), UPSTREAM_ASKED);
	settle(2000000);
	ck_assert_int_eq(need(0, "b*", &mark), UPSTREAM_ASKED);
	sim.failing = NULL;
	settle(2000000);
	ck_assert_int_eq(need(0, "b*", &mark), UPSTREAM_READY);
}
END_TEST

/* It would miss copies that come by channels which are not joined yet. */
START_TEST(a_pattern_waits_until_a_shard_that_was_lost_has_the_feed_again)
{
	size_t at = 0, waits = 0;
	uint64_t mark = 0;

	start(0);
	settle(2000000);
	(void)need(0, "a*", &mark);
	settle(1000000);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
	while (!sim.connections[at].is_open ||
	       sim.connections[at].node == sim.owner[slot_of(SLICE("fanfare:globs"))])
		at++;
	sim_lose(&sim, at);
	for (int i = 0; i < 100; i++) {
		settle(20000);
		(void)cluster_turn(nodes[0].cluster, sim.now_us);
		waits += need(0, "a*", &mark) == UPSTREAM_ASKED;
	}
	ck_assert_uint_gt(waits, 0);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
}
END_TEST

START_TEST(nobody_waits_while_the_link_is_down_and_who_was_early_is_told)
{
	uint64_t mark = 0;

	start(0);
	ck_assert_int_eq(need(0, "a*", &mark), UPSTREAM_READY);
	subscribe(0, "a*");
	ck_assert_str_eq(heard(0), "");
	settle(3000000);
	ck_assert_ptr_nonnull(strstr(heard(0), "lagged"));
	ck_assert_int_eq(publish(0, "ab"), UPSTREAM_SENT);
	settle(100000);
	ck_assert_ptr_nonnull(strstr(heard(0), "pmessage"));
}
END_TEST

START_TEST(a_node_that_left_is_forgotten_and_its_feed_is_left)
{
	uint64_t mark = 0;

	start(0);
	settle(2000000);
	start(1);
	settle(2000000);
	(void)need(0, "a*", &mark);
	settle(1000000);
	ck_assert_uint_eq(figures(1).pattern_nodes, 1);
	settle(15000000); /* nobody has subscribed */
	ck_assert_uint_eq(figures(1).pattern_nodes, 0);
	ck_assert_uint_eq(figures(0).pattern_nodes, 0);
	ck_assert_uint_eq(figures(0).names, 0);
	ck_assert_uint_eq(figures(0).lingering_names, 0);
	(void)need(0, "a*", &mark);
	settle(1000000);
	ck_assert_uint_eq(figures(1).pattern_nodes, 1);
	nodes[0].is_stopped = true;
	settle(25000000);
	ck_assert_uint_eq(figures(1).pattern_nodes, 1);
	settle(10000000);
	ck_assert_uint_eq(figures(1).pattern_nodes, 0);
}
END_TEST

START_TEST(what_is_not_of_a_node_is_ignored)
{
	uint64_t mark = 0;

	start(0);
	settle(2000000);
	(void)need(0, "a*", &mark);
	settle(1000000);
	subscribe(0, "a*");
	sim_publish(&sim, SLICE("fanfare:globs"), SLICE("x"), NULL);
	sim_publish(&sim, SLICE("fanfare:globs"), SLICE("fanfare-globs 1 ack a 1 0 0 1 - "), NULL);
	sim_publish(
	    &sim, SLICE("fanfare:globs"), SLICE("fanfare-globs 1 set b 1 2 0 9000 1 1:a"), NULL);
	settle(1000000);
	ck_assert_uint_eq(figures(0).strange, 2);
	ck_assert_uint_eq(figures(0).pattern_nodes, 2);
	sim_publish(
	    &sim, SLICE("fanfare:globs"), SLICE("fanfare-globs 1 set b 1 0 1 9000 0 "), NULL);
	settle(1000000);
	ck_assert_uint_eq(figures(0).pattern_nodes, 1);
	ck_assert_ptr_nonnull(strstr(heard(0), "lagged"));
	ck_assert_uint_eq(figures(0).received, 0);
}
END_TEST

int
main(void)
{
	return testing_main("link/cluster_globs", setup, teardown,
	    (const TTest *[]){a_pattern_waits_for_a_node_that_does_not_answer,
		publishers_wait_for_what_others_have_and_say_what_was_missed,
		a_node_that_may_not_hear_the_others_refuses_patterns,
		a_node_without_a_feed_refuses_patterns, what_could_not_be_told_is_told_again,
		a_pattern_waits_until_a_shard_that_was_lost_has_the_feed_again,
		nobody_waits_while_the_link_is_down_and_who_was_early_is_told,
		a_node_that_left_is_forgotten_and_its_feed_is_left,
		what_is_not_of_a_node_is_ignored, NULL});
}
