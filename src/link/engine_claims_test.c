#include "config.h"

#include "link/engine_claims.h"

#include <inttypes.h>
#include <string.h>

#include "base/testing.h"
#include "link/engine_script.h"
#include "link/testing_claimer.h"
#include "link/testing_engine.h"

#define PATIENCE ENGINE_CLAIMS_PATIENCE_US

/* Two nodes with members of group 1, "g" of the channel "k", or with a member at the first one. */
static struct testing_engine engine;
static struct node {
	struct claimer at;
	struct buffer got; /* seqs of what was delivered, "missed" for a gap */
	uint64_t delivered;
	size_t room;
	bool has_member;
} nodes[2];
static uint64_t now, seq;

static size_t
on_room(void *arg, uint64_t group, size_t len)
{
	const struct node *node = arg;

	ck_assert(group > 0 && len > 0 && len < 100);
	return node->room;
}

static bool
on_deliver(void *arg, uint64_t group, const struct queue_claims_message *message)
{
	struct node *node = arg;

	ck_assert_uint_gt(group, 0);
	ck_assert(slice_is(message->channel, "k") && message->position.epoch == 7);
	if (!node->has_member)
		return false;
	buffer_append_slice(&node->got, message->payload);
	buffer_append_str(&node->got, " ");
	node->delivered++;
	return true;
}

static void
on_missed(void *arg, uint64_t group)
{
	struct node *node = arg;

	ck_assert_uint_gt(group, 0);
	buffer_append_str(&node->got, "missed ");
}

static const struct engine_claims_ops ops = {on_room, on_deliver, on_missed};

static struct queue_claims_group
group_of(uint64_t id, uint32_t members)
{
	return (struct queue_claims_group){.id = id,
	    .group = SLICE("g"),
	    .name = SLICE("k"),
	    .kind = HUB_CHANNEL,
	    .members = members};
}

static void
set_members(struct node *node, uint64_t id, uint32_t members)
{
	struct queue_claims_group group = group_of(id, members);

	engine_claims_set(node->at.claims, &group);
}

static bool
add_of_epoch(struct node *node, uint64_t epoch, uint64_t number)
{
	struct queue_claims_group group = group_of(1, 1);
	char text[BYTES_U64_MAX];
	struct queue_claims_message message = {.channel = SLICE("k"),
	    .payload = {text, bytes_from_u64(text, number)},
	    .position = {7, number}};

	return engine_claims_add(
	    node->at.claims, &group, &message, (struct hub_position){epoch, number}, 0, now);
}

/* A message comes to these nodes. */
static void
add(struct node *first, struct node *last)
{
	seq++;
	for (struct node *node = first; node <= last; node++)
		ck_assert(add_of_epoch(node, 5, seq));
}

static void
serve(struct node *node)
{
	do {
		claimer_serve(&node->at, now);
	} while (engine_claims_work(node->at.claims));
}

static struct engine_claims_figures
figures(const struct node *node)
{
	return engine_claims_figures(node->at.claims);
}

static void
assert_got(struct node *node, const char *expected)
{
	buffer_append(&node->got, "", 1);
	ck_assert_str_eq(node->got.ptr, expected);
	buffer_clear(&node->got);
}

static void
setup(void)
{
	static const char *const names[] = {"first", "second"};

	now = 1000000;
	seq = 0;
	testing_engine_init(&engine, "run");
	engine.exists = true;
	memset(engine.has_scripts, 1, sizeof(engine.has_scripts));
	for (int i = 0; i < 2; i++) {
		memset(&nodes[i], 0, sizeof(nodes[i]));
		nodes[i].room = 1000;
		nodes[i].has_member = true;
		claimer_init(&nodes[i].at, &engine, &ops, &nodes[i], names[i]);
	}
}

static void
teardown(void)
{
	for (int i = 0; i < 2; i++) {
		claimer_release(&nodes[i].at);
		buffer_release(&nodes[i].got);
	}
}

/* Both nodes have a member, and know of each other. */
static void
join_both(void)
{
	for (int round = 0; round < 2; round++)
		for (struct node *node = nodes; node < nodes + 2; node++) {
			set_members(node, 1, 1);
			serve(node);
			now += ENGINE_CLAIMS_HEARD_US;
		}
	serve(&nodes[0]);
	serve(&nodes[1]);
}

/* Messages come to both, until `node` has claimed one at once. */
static void
add_until_preferred(struct node *node)
{
	uint64_t executed;

	do {
		add(&nodes[0], &nodes[1]);
		executed = engine.claims.groups[0].count;
		claimer_write(&node->at, now);
		while (claimer_execute(&node->at))
			;
	} while (engine.claims.groups[0].count == executed);
}

START_TEST(a_node_alone_claims_at_once_and_delivers_in_order)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	for (int i = 0; i < 3; i++)
		add(nodes, nodes);
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), 0);
	serve(nodes);
	assert_got(nodes, "1 2 3 ");
	ck_assert_uint_eq(figures(nodes).won, 3);
	ck_assert_uint_eq(figures(nodes).waiting, 0);
	ck_assert_uint_eq(figures(nodes).waiting_bytes, 0);
}
END_TEST

START_TEST(a_node_that_knows_no_other_one_waits)
{
	add(nodes, nodes);
	claimer_write(&nodes->at, now); /* that it has a member */
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), now + PATIENCE);
	serve(nodes);
	assert_got(nodes, "1 ");
}
END_TEST

START_TEST(one_node_gets_each_message)
{
	join_both();
	for (int i = 0; i < 1000; i++) {
		add(&nodes[0], &nodes[1]);
		serve(&nodes[i % 2]);
		serve(&nodes[1 - i % 2]);
		if (i % 100 == 99)
			now += PATIENCE;
	}
	serve(&nodes[0]);
	serve(&nodes[1]);
	ck_assert_uint_eq(figures(&nodes[0]).won + figures(&nodes[1]).won, 1000);
	ck_assert_uint_eq(figures(&nodes[0]).taken, figures(&nodes[1]).won);
	ck_assert_uint_gt(figures(&nodes[0]).won, 400);
	ck_assert_uint_gt(figures(&nodes[1]).won, 400);
}
END_TEST

START_TEST(the_other_node_claims_after_a_while)
{
	join_both();
	add(&nodes[0], &nodes[1]);
	for (int i = 0; i < 2; i++) {
		serve(&nodes[0]);
		now += PATIENCE - 1 + (uint64_t)i;
	}
	serve(&nodes[0]); /* whichever is preferred: the second one does nothing */
	assert_got(&nodes[0], "1 ");
	serve(&nodes[1]);
	assert_got(&nodes[1], "");
	ck_assert_uint_eq(figures(&nodes[1]).taken, 1);
}
END_TEST

START_TEST(a_node_without_room_waits_longer)
{
	join_both();
	nodes[0].room = 0;
	add(&nodes[0], &nodes[1]);
	serve(&nodes[0]);
	now += ENGINE_CLAIMS_FULL_US - 1;
	serve(&nodes[0]);
	ck_assert_uint_eq(figures(&nodes[0]).waiting, 1);
	now++;
	serve(&nodes[0]);
	assert_got(&nodes[0], "1 ");
}
END_TEST

START_TEST(a_node_notices_that_there_is_room_again)
{
	join_both();
	nodes[0].room = 0;
	add(&nodes[0], &nodes[1]);
	serve(&nodes[0]);
	now += 2 * PATIENCE;
	serve(&nodes[0]);
	ck_assert_uint_eq(engine_claims_due_us(nodes[0].at.claims), now + PATIENCE);
	nodes[0].room = 1;
	now += PATIENCE;
	serve(&nodes[0]);
	assert_got(&nodes[0], "1 ");
}
END_TEST

START_TEST(a_message_waits_for_those_before_it)
{
	join_both();
	add_until_preferred(&nodes[0]);
	ck_assert_uint_gt(seq, 0);
	while (claimer_read(&nodes[0].at, now))
		;
	engine_claims_work(nodes[0].at.claims);
	if (seq > 1) { /* those before it are the other node's */
		ck_assert_uint_eq(figures(&nodes[0]).won, 0);
		serve(&nodes[1]);
		now += ENGINE_CLAIMS_LOOK_US;
		serve(&nodes[0]);
		ck_assert_uint_eq(figures(&nodes[0]).taken, seq - 1);
	}
	ck_assert_uint_eq(figures(&nodes[0]).won, 1);
}
END_TEST

START_TEST(what_was_claimed_when_the_connection_was_lost_is_claimed_again)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	add(nodes, nodes);
	add(nodes, nodes);
	claimer_write(&nodes->at, now);
	ck_assert(claimer_execute(&nodes->at));
	claimer_lose(&nodes->at);
	ck_assert_uint_eq(figures(nodes).waiting, 2);
	serve(nodes);
	assert_got(nodes, "1 2 ");
}
END_TEST

START_TEST(what_is_lost_with_the_data_of_the_engine_is_claimed_again)
{
	join_both();
	add_until_preferred(&nodes[0]);
	claimer_lose(&nodes[0].at);
	testing_engine_flush(&engine);
	engine.exists = true;
	now += PATIENCE;
	serve(&nodes[0]);
	ck_assert_uint_eq(figures(&nodes[0]).won, seq);
}
END_TEST

START_TEST(a_claim_that_the_engine_has_forgotten_is_missed)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	add(nodes, nodes);
	claimer_write(&nodes->at, now);
	ck_assert(claimer_execute(&nodes->at));
	claimer_lose(&nodes->at);
	for (int i = 0; i < TESTING_CLAIMS; i++) {
		add(&nodes[1], &nodes[1]);
		now += PATIENCE;
		serve(&nodes[1]);
	}
	serve(nodes);
	assert_got(nodes, "missed ");
	ck_assert_uint_eq(figures(nodes).missed, 1);
	ck_assert(add_of_epoch(nodes, 5, 2)); /* which was not claimed here before */
	now += PATIENCE;
	serve(nodes);
	assert_got(nodes, "");
	ck_assert_uint_eq(figures(nodes).taken, 1);
}
END_TEST

START_TEST(seqs_of_another_epoch_are_other_messages)
{
	join_both();
	ck_assert(add_of_epoch(nodes, 5, 1));
	now += PATIENCE;
	serve(nodes);
	ck_assert(add_of_epoch(&nodes[1], 4, 1));
	ck_assert(add_of_epoch(&nodes[1], 5, 1));
	now += PATIENCE;
	serve(&nodes[1]);
	assert_got(nodes, "1 ");
	assert_got(&nodes[1], "1 ");
	ck_assert_uint_eq(figures(&nodes[1]).taken, 1);
}
END_TEST

START_TEST(a_group_that_is_gone_leaves_its_messages_to_others)
{
	join_both();
	add(&nodes[0], &nodes[1]);
	set_members(&nodes[0], 1, 0);
	serve(&nodes[0]);
	ck_assert_uint_eq(figures(&nodes[0]).waiting, 0);
	ck_assert_uint_eq(figures(&nodes[0]).dropped, 0);
	now += PATIENCE;
	serve(&nodes[1]);
	assert_got(&nodes[1], "1 ");
	add(&nodes[1], &nodes[1]);
	serve(&nodes[1]); /* it knows by now that it is alone */
	assert_got(&nodes[1], "2 ");
}
END_TEST

START_TEST(what_was_claimed_for_a_group_that_is_gone_counts_as_dropped)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	for (int way = 0; way < 4; way++) {
		add(nodes, nodes);
		claimer_write(&nodes->at, now);
		claimer_execute(&nodes->at);
		if (way == 0 || way == 3)
			claimer_read(&nodes->at, now);
		nodes->has_member = way != 3;
		if (way == 2)
			claimer_lose(&nodes->at);
		if (way < 3)
			set_members(nodes, 1, 0);
		if (way == 1)
			claimer_lose(&nodes->at);
		serve(nodes);
		ck_assert_uint_eq(figures(nodes).dropped, (uint64_t)way + 1);
		set_members(nodes, 1, 1);
		serve(nodes);
	}
	assert_got(nodes, "");
}
END_TEST

START_TEST(the_reply_for_a_group_that_is_gone_is_counted)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	add(nodes, nodes);
	claimer_write(&nodes->at, now);
	claimer_execute(&nodes->at);
	set_members(nodes, 1, 0);
	ck_assert_uint_eq(figures(nodes).dropped, 0);
	claimer_read(&nodes->at, now);
	ck_assert_uint_eq(figures(nodes).dropped, 1);
}
END_TEST

START_TEST(nodes_that_are_not_heard_of_have_no_share)
{
	join_both();
	for (int i = 0; i < 4; i++) {
		now += ENGINE_CLAIMS_HEARD_US;
		engine.now_ms += ENGINE_CLAIMS_HEARD_US / 1000;
		ck_assert_uint_le(engine_claims_due_us(nodes->at.claims), now);
		serve(nodes);
	}
	add(nodes, nodes);
	serve(nodes);
	assert_got(nodes, "1 ");
}
END_TEST

START_TEST(an_error_is_followed_by_another_try)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	add(nodes, nodes);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 1);
	ck_assert_ptr_null(claimer_reply(&nodes->at, SLICE("-OOM no\r\n"), now));
	add(nodes, nodes);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 0);
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), now + ENGINE_CLAIMS_RETRY_US);
	nodes->at.at = nodes->at.out.len; /* it was not executed */
	now += ENGINE_CLAIMS_RETRY_US;
	serve(nodes);
	assert_got(nodes, "1 2 ");
}
END_TEST

START_TEST(wrong_replies_end_the_connection)
{
	static const struct slice replies[] = {SLICE(":1\r\n"), SLICE("*0\r\n"),
	    SLICE("*1\r\n:1\r\n"), SLICE("*1\r\n*0\r\n"), SLICE("*1\r\n*1\r\n:2\r\n"),
	    SLICE("*1\r\n*1\r\n:4\r\n"), SLICE("*1\r\n*1\r\n:-1\r\n"),
	    SLICE("*1\r\n*1\r\n$1\r\n1\r\n"), SLICE("*1\r\n*2\r\n:1\r\n:1\r\n"),
	    SLICE("*2\r\n*1\r\n:1\r\n$1\r\na\r\n"),
	    SLICE("*3\r\n*1\r\n:1\r\n$1\r\na\r\n$1\r\n0\r\n"),
	    SLICE("*3\r\n*1\r\n:1\r\n$1\r\na\r\n$1\r\nx\r\n"),
	    SLICE("*3\r\n*1\r\n:1\r\n$1\r\na\r\n$10\r\n4294967296\r\n"),
	    SLICE("*3\r\n*1\r\n:1\r\n:1\r\n$1\r\n1\r\n"),
	    SLICE("*3\r\n*1\r\n:1\r\n$1\r\na\r\n:1\r\n"),
	    SLICE("*5\r\n*1\r\n:1\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n1\r\n"),
	    SLICE("*5\r\n*1\r\n:1\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n1\r\n"), SLICE("_\r\n"),
	    SLICE("-NOPERM no\r\n"), SLICE("-WRONGTYPE no\r\n"), SLICE("-CLUSTERDOWN no\r\n"),
	    SLICE("-OOMPH\r\n")};

	set_members(nodes, 1, 1);
	serve(nodes);
	add(nodes, nodes);
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		ck_assert_uint_eq(claimer_write(&nodes->at, now), 1);
		ck_assert_ptr_nonnull(claimer_reply(&nodes->at, replies[i], now));
		claimer_lose(&nodes->at);
		ck_assert_uint_eq(figures(nodes).waiting, 1);
	}
	ck_assert_ptr_nonnull(claimer_reply(&nodes->at, SLICE("*1\r\n*0\r\n"), now));
	serve(nodes);
	assert_got(nodes, "1 ");
}
END_TEST

START_TEST(no_more_messages_wait_than_may)
{
	for (size_t i = 0; i < ENGINE_CLAIMS_WAITING; i++)
		add(nodes, nodes);
	ck_assert(!add_of_epoch(nodes, 5, seq + 1));
	ck_assert_uint_eq(figures(nodes).missed, 1);
	set_members(nodes, 1, 0);
	ck_assert(add_of_epoch(nodes, 5, seq + 1));
}
END_TEST

/* With a copy for each group the second one would have no room. */
START_TEST(groups_share_the_bytes_of_a_message)
{
	static char payload[(ENGINE_CLAIMS_BYTES / 2) + 1];
	struct queue_claims_message message = {
	    .channel = SLICE("k"), .payload = {payload, sizeof(payload)}, .position = {7, 1}};
	struct hub_position at = {5, 1};

	for (uint64_t id = 1; id <= 3; id++) {
		struct queue_claims_group group = group_of(id, 1);

		ck_assert(engine_claims_add(nodes->at.claims, &group, &message, at, 0, now) ==
			  (at.seq == 1));
		ck_assert_uint_eq(figures(nodes).waiting_bytes, sizeof(payload) + 1);
		at.seq = id;
	}
	ck_assert_uint_eq(figures(nodes).waiting, 2);
	set_members(nodes, 1, 0);
	ck_assert_uint_eq(figures(nodes).waiting_bytes, sizeof(payload) + 1);
	set_members(nodes, 2, 0);
	ck_assert_uint_eq(figures(nodes).waiting_bytes, 0);
	at.seq = 1;
	ck_assert(engine_claims_add(nodes->at.claims,
	    &(struct queue_claims_group){.id = 4, .members = 1}, &message, at, 0, now));
	ck_assert_uint_eq(figures(nodes).waiting_bytes, sizeof(payload) + 1);
}
END_TEST

START_TEST(a_command_has_a_bounded_number_of_messages)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	for (int i = 0; i < ENGINE_CLAIMED * 3; i++)
		add(nodes, nodes);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 1);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 0);
	ck_assert_uint_lt(nodes->at.out.len, (size_t)ENGINE_CLAIMED * 40);
}
END_TEST

START_TEST(members_are_told_every_while_and_when_they_change)
{
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), UINT64_MAX);
	set_members(nodes, 1, 1);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 1);
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), now + ENGINE_CLAIMS_HEARD_US);
	set_members(nodes, 1, 1);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 0);
	set_members(nodes, 1, 2);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 1);
	serve(nodes);
	ck_assert_uint_eq(engine.claims.claimers[0].members, 2);
	set_members(nodes, 1, 0);
	ck_assert_uint_eq(engine_claims_due_us(nodes->at.claims), 0);
	serve(nodes);
	ck_assert_uint_eq(engine.claims.claimers[0].members, 0);
}
END_TEST

START_TEST(a_group_that_goes_while_there_is_no_connection_is_not_told)
{
	set_members(nodes, 1, 1);
	serve(nodes);
	claimer_lose(&nodes->at);
	set_members(nodes, 1, 0);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 0);
	set_members(nodes, 2, 1);
	serve(nodes);
	set_members(nodes, 2, 0);
	claimer_lose(&nodes->at);
	ck_assert_uint_eq(claimer_write(&nodes->at, now), 0);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_claims", setup, teardown,
	    (const TTest *[]){a_node_alone_claims_at_once_and_delivers_in_order,
		a_node_that_knows_no_other_one_waits, one_node_gets_each_message,
		the_other_node_claims_after_a_while, a_node_without_room_waits_longer,
		a_node_notices_that_there_is_room_again, a_message_waits_for_those_before_it,
		what_was_claimed_when_the_connection_was_lost_is_claimed_again,
		what_is_lost_with_the_data_of_the_engine_is_claimed_again,
		a_claim_that_the_engine_has_forgotten_is_missed,
		seqs_of_another_epoch_are_other_messages,
		a_group_that_is_gone_leaves_its_messages_to_others,
		what_was_claimed_for_a_group_that_is_gone_counts_as_dropped,
		the_reply_for_a_group_that_is_gone_is_counted,
		nodes_that_are_not_heard_of_have_no_share, an_error_is_followed_by_another_try,
		wrong_replies_end_the_connection, no_more_messages_wait_than_may,
		groups_share_the_bytes_of_a_message, a_command_has_a_bounded_number_of_messages,
		members_are_told_every_while_and_when_they_change,
		a_group_that_goes_while_there_is_no_connection_is_not_told, NULL});
}
