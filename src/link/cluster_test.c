#include "config.h"

#include "link/cluster.h"

#include <check.h>

#include "base/testing.h"
#include "link/testing_shards.h"
#include "server/core.h"
#include "server/sent_messages.h"
#include "server/server.h"
#include "server/upstream.h"

/* A node of a simulated cluster, in cases that are rare in cluster_model_test. */

static struct sim sim;
static struct server *server;
static struct cluster *cluster;
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
turn(void)
{
	server->now_us = sim.now_us;
	sim_open_due(&sim);
	(void)cluster_turn(cluster, sim.now_us);
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
	}
}

static void
setup(void)
{
	sim_setting_init(&setting);
	sim_init(&sim);
	sim.accepted = on_accepted;
	published = 0;
	cluster = sim_join(&sim, &setting, &server);
	settle(2000000);
}

static void
teardown(void)
{
	cluster_free(cluster);
	server_free(server);
	sim_setting_release(&setting);
}

static size_t
connection_of(size_t node)
{
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		if (sim.connections[i].is_open && sim.connections[i].node == node)
			return i;
	ck_abort_msg("no connection to node %zu", node);
}

START_TEST(a_shard_that_does_not_answer_holds_up_no_subscriber_of_others)
{
	const struct upstream_ops *ops;
	static const char *const names[2] = {"c", "a"}; /* of the nodes 1 and 2 */
	uint64_t marks[2];

	ops = server->upstream->ops;
	for (size_t i = 0; i < 2; i++) {
		struct upstream_name name = {.kind = HUB_CHANNEL, .name = slice_of(names[i])};

		ck_assert_uint_eq(sim.owner[slot_of(name.name)], i + 1);
		ck_assert_int_eq(ops->need(server->upstream, &name, &marks[i]), UPSTREAM_ASKED);
	}
	for (int i = 0; i < 10; i++) {
		sim.now_us += 10000;
		turn();
		sim_serve(&sim, connection_of(2), SIZE_MAX);
		sim_deliver(&sim, connection_of(2), SIZE_MAX);
	}
	ck_assert(!ops->is_reached(server->upstream, marks[0]));
	ck_assert(ops->is_reached(server->upstream, marks[1]));
	sim_lose(&sim, connection_of(1));
	ck_assert(ops->is_reached(server->upstream, marks[0]));
}
END_TEST

/* The slots of node 1 go to node 3, which had none. */
static void
hand_over(void)
{
	for (uint16_t slot = 0; slot < SLOTS; slot++)
		if (sim.owner[slot] == 1)
			sim_move(&sim, slot, 3);
}

static enum upstream_sending
publish(const char *channel, bool may_wait)
{
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = SLICE("x")};
	enum upstream_sending result =
	    server->upstream->ops->send(server->upstream, &post, may_wait);

	if (result == UPSTREAM_SENT)
		server->sent_messages->sent++;
	return result;
}

static void
progress(size_t node)
{
	sim_serve(&sim, connection_of(node), SIZE_MAX);
	sim_deliver(&sim, connection_of(node), SIZE_MAX);
}

START_TEST(publishers_wait_while_a_new_shard_is_being_linked)
{
	size_t sent = 0;

	hand_over();
	for (int i = 0; i < 400; i++) {
		enum upstream_sending result = publish("c", i % 2 == 0);

		ck_assert_msg(
		    result == UPSTREAM_SENT || result == UPSTREAM_BUSY, "%d: %d", i, (int)result);
		sent += result == UPSTREAM_SENT;
		turn();
		if (i % 8 == 7)
			settle(20000);
	}
	settle(1000000);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	settle(1000000);
	ck_assert_uint_eq(published, sent + 1);
	ck_assert_uint_eq(server->sent_messages->last_failed, 0);
}
END_TEST

static bool
is_known(size_t node)
{
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		if (sim.connections[i].shard != NULL && sim.connections[i].node == node)
			return true;
	return false;
}

/* Otherwise what it passes on would be delivered twice, or behind later messages. */
START_TEST(a_shard_that_takes_over_is_used_when_the_old_one_has_passed_its_messages_on)
{
	const struct upstream_ops *ops = server->upstream->ops;
	struct upstream_name name = {.kind = HUB_CHANNEL, .name = SLICE("c")};
	uint64_t since_us, mark = 0;

	hand_over();
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	while (!is_known(3))
		settle(20000);
	for (since_us = sim.now_us; sim.now_us < since_us + 200000;) {
		ck_assert_int_eq(publish("c", true), UPSTREAM_BUSY);
		settle(20000);
		ck_assert_uint_eq(published, 0);
	}
	ck_assert_int_eq(ops->need(server->upstream, &name, &mark), UPSTREAM_ASKED);
	ck_assert(!ops->is_reached(server->upstream, mark));
	settle(300000);
	ck_assert_uint_eq(published, 1);
	ck_assert(ops->is_reached(server->upstream, mark));
	ck_assert_int_eq(ops->need(server->upstream, &name, &mark), UPSTREAM_READY);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
}
END_TEST

/* Otherwise every slot that moves would hold up its publishers. */
START_TEST(a_slot_that_moves_alone_is_used_at_once)
{
	sim_move(&sim, slot_of(SLICE("c")), 2);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	settle(100000);
	ck_assert_uint_eq(published, 1);
}
END_TEST

START_TEST(nobody_waits_for_a_new_shard_that_cannot_be_linked)
{
	sim_kill(&sim, 3);
	hand_over();
	(void)publish("c", true);
	settle(1000000);
	ck_assert_int_eq(publish("c", true), UPSTREAM_DOWN);
}
END_TEST

/* Node 1 does not answer, and the others say that its slots have moved. */
static void
move_while_it_does_not_answer(void)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	hand_over();
	sim_move(&sim, slot_of(SLICE("a")), 0);
	(void)publish("a", true); /* so the map is asked for */
	for (int i = 0; i < 20; i++, sim.now_us += 20000) {
		turn();
		progress(0);
		progress(2);
	}
}

START_TEST(a_shard_that_serves_nothing_answers_before_it_is_closed)
{
	move_while_it_does_not_answer();
	ck_assert_int_eq(publish("c", true), UPSTREAM_BUSY);
	settle(1000000);
	ck_assert_uint_eq(server->sent_messages->last_failed, 0);
	ck_assert_uint_eq(server->sent_messages->arrived, 6);
	ck_assert_uint_eq(published, 6);
	for (size_t i = 0; i < SIM_CONNECTIONS; i++)
		ck_assert(!sim.connections[i].is_open || sim.connections[i].node != 1);
}
END_TEST

/* Its master was cut off, maybe: who is subscribed to the other one has missed the messages. */
START_TEST(what_a_shard_has_taken_counts_as_lost_if_it_says_so_long_after_another_took_over)
{
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	turn();
	sim_serve(&sim, connection_of(1), SIZE_MAX); /* the answer is on its way */
	ck_assert_uint_eq(published, 1);
	move_while_it_does_not_answer();
	settle(1000000);
	ck_assert_uint_eq(server->sent_messages->arrived, 7);
	ck_assert_uint_eq(server->sent_messages->last_failed, 1);
	ck_assert_uint_eq(published, 7); /* it has sent the others back */
}
END_TEST

START_TEST(a_shard_that_serves_nothing_and_does_not_answer_is_closed_later)
{
	move_while_it_does_not_answer();
	sim_open_due(&sim);
	for (int i = 0; i < 55; i++, sim.now_us += 200000) {
		turn();
		progress(0);
		progress(2);
		progress(3);
	}
	ck_assert_uint_eq(server->sent_messages->arrived, 6);
	ck_assert_uint_eq(server->sent_messages->last_failed, 5);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
}
END_TEST

START_TEST(what_is_delivered_here_does_not_overtake_what_was_sent_back)
{
	setting.leaf.delivers_alone = true;
	sim_move(&sim, slot_of(SLICE("c")), 2);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	turn();
	progress(1); /* MOVED */
	sim_lose(&sim, connection_of(1));
	ck_assert_int_eq(publish("c", true), UPSTREAM_BUSY);
}
END_TEST

START_TEST(maps_of_a_lower_epoch_are_taken_after_a_while)
{
	struct upstream_figures figures;

	sim.epoch = 1000000;
	settle(11000000); /* a probe asks for the map */
	sim.epoch = 1;
	sim_move(&sim, slot_of(SLICE("c")), 2);
	(void)publish("c", true);
	settle(20000000);
	ck_assert_uint_eq(published, 0);
	settle(60000000);
	ck_assert_int_eq(publish("c", true), UPSTREAM_SENT);
	settle(1000000);
	ck_assert_uint_eq(published, 1);
	server->upstream->ops->figures(server->upstream, &figures);
	ck_assert_uint_gt(sim.redirected, 2);
	ck_assert_uint_eq(figures.sent, 2); /* however often the first one was sent */
	ck_assert_uint_eq(figures.refused, 1);
}
END_TEST

int
main(void)
{
	return testing_main("link/cluster", setup, teardown,
	    (const TTest *[]){a_shard_that_does_not_answer_holds_up_no_subscriber_of_others,
		publishers_wait_while_a_new_shard_is_being_linked,
		a_shard_that_takes_over_is_used_when_the_old_one_has_passed_its_messages_on,
		a_slot_that_moves_alone_is_used_at_once,
		nobody_waits_for_a_new_shard_that_cannot_be_linked,
		a_shard_that_serves_nothing_answers_before_it_is_closed,
		what_a_shard_has_taken_counts_as_lost_if_it_says_so_long_after_another_took_over,
		a_shard_that_serves_nothing_and_does_not_answer_is_closed_later,
		what_is_delivered_here_does_not_overtake_what_was_sent_back,
		maps_of_a_lower_epoch_are_taken_after_a_while, NULL});
}
