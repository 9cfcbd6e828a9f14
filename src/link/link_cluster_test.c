#include "config.h"

#include "link/link.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "link/testing_link.h"
#include "resp/reply.h"

/* A link to a node of a cluster: the test writes the node's replies. */

#define HELLO "%2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
#define TOPOLOGY "$25\r\ncluster_current_epoch:1\r\n\r\n*0\r\n"
#define PROBED                                                                                     \
	">3\r\n$10\r\nssubscribe\r\n$28\r\n" RIG_PROBES "\r\n:1\r\n"                               \
	">3\r\n$8\r\nsmessage\r\n$28\r\n" RIG_PROBES "\r\n$1\r\n1\r\n:1\r\n"
#define JOINED_A ">3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:2\r\n"
#define LEFT_A ">3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:1\r\n"
#define MOVED "-MOVED 15495 h:1\r\n"

static struct rig rig;
static const char *fault; /* what the owner finds in the topology */
static int topologies, moves;
static bool was_replica;
static char moved[64];
static int told;
static bool told_error;
static uint64_t told_receivers;

static const char *
on_topology(void *arg, struct slice info, const struct resp_value *slots, bool is_replica)
{
	ck_assert_ptr_eq(arg, &rig);
	ck_assert(slice_begins_with(info, "cluster_current_epoch:1"));
	ck_assert_int_eq(slots->type, RESP_TYPE_ARRAY);
	topologies++;
	was_replica = is_replica;
	return fault;
}

static void
on_moved(void *arg, struct slice name)
{
	ck_assert_ptr_eq(arg, &rig);
	ck_assert_uint_lt(name.len, sizeof(moved));
	memcpy(moved, name.ptr, name.len);
	moved[name.len] = '\0';
	moves++;
}

static void
on_told(void *arg, struct slice error, uint64_t receivers)
{
	ck_assert_ptr_eq(arg, &rig);
	told++;
	told_error = error.len > 0;
	told_receivers = receivers;
}

static const struct link_cluster_ops ops = {on_topology, on_moved, on_told};

static void
setup(void)
{
	rig_new(&rig);
	rig.config.cluster = &ops;
	interest_set_batch(link_interest(rig.link), 1);
	fault = NULL;
	topologies = moves = told = 0;
	ck_assert_uint_eq(strlen(RIG_PROBES), 28);
	rig_open(&rig);
	rig_turn(&rig);
}

static void
teardown(void)
{
	rig_free(&rig);
}

/* What the link has sent since the last call, and is not to be read by the rig's upstream. */
static bool
has_sent(const char *text)
{
	bool has = memmem(rig.sent.ptr, rig.sent.len, text, strlen(text)) != NULL;

	buffer_clear(&rig.sent);
	return has;
}

static void
give(const char *text)
{
	rig_give_text(&rig, text);
	if (link_state_of(rig.link) != LINK_DOWN)
		rig_turn(&rig);
}

static void
go_up(void)
{
	give(HELLO);
	ck_assert(has_sent("INFO"));
	give(TOPOLOGY PROBED);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	ck_assert(has_sent("SPUBLISH"));
}

static void
hold_a(void)
{
	interest_add(link_interest(rig.link), HUB_SHARD, SLICE("a"));
	rig_turn(&rig);
	give(JOINED_A);
	ck_assert_int_eq(
	    interest_of(link_interest(rig.link), HUB_SHARD, SLICE("a")), INTEREST_HELD);
	buffer_clear(&rig.sent);
}

static enum interest_state
state_of_a(void)
{
	return interest_of(link_interest(rig.link), HUB_SHARD, SLICE("a"));
}

START_TEST(it_asks_for_the_topology_before_it_is_up_and_with_each_probe)
{
	go_up();
	ck_assert_int_eq(topologies, 1);
	link_ask_topology(rig.link);
	link_ask_topology(rig.link); /* the first is not answered */
	rig_turn(&rig);
	give(TOPOLOGY);
	ck_assert_int_eq(topologies, 2);
	buffer_clear(&rig.sent);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	ck_assert(has_sent("SLOTS"));
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(what_is_not_a_node_of_a_cluster_is_refused)
{
	static const char *const cases[][2] = {
	    {"%1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n", "not a node of a Redis Cluster"},
	    {"-NOAUTH x\r\n", "NOAUTH"},
	    {HELLO "-NOPERM info\r\n", "CLUSTER INFO: NOPERM info"},
	    {HELLO "$23\r\ncluster_current_epoch:1\r\n-NOPERM slots\r\n",
		"CLUSTER SLOTS: NOPERM slots"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		give(cases[i][0]);
		ck_assert_msg(strstr(rig.why, cases[i][1]) != NULL, "%s", rig.why);
		ck_assert_int_eq(link_state_of(rig.link), LINK_DOWN);
		rig_open(&rig);
		rig_turn(&rig);
	}
	fault = "wrong slots";
	give(HELLO);
	give(TOPOLOGY);
	ck_assert_str_eq(rig.why, "wrong slots");
}
END_TEST

START_TEST(a_seed_is_asked_for_the_topology_only)
{
	rig.config.is_seed = true;
	give("%2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$7\r\nreplica\r\n");
	buffer_clear(&rig.sent);
	give(TOPOLOGY);
	ck_assert_int_eq(topologies, 1);
	ck_assert_int_eq(link_state_of(rig.link), LINK_CHECKING);
	ck_assert_uint_eq(rig.sent.len, 0);
}
END_TEST

#define REPLICA "%2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"

START_TEST(a_replica_is_refused_unless_it_was_a_master_and_can_say_who_took_over)
{
	give(REPLICA);
	ck_assert_int_eq(rig.drops, 1);
	rig_open(&rig);
	go_up();
	ck_assert(!was_replica);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	give(REPLICA MOVED MOVED);
	give(TOPOLOGY);
	ck_assert_int_eq(rig.drops, 1);
	ck_assert(was_replica);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

START_TEST(a_probe_that_is_redirected_is_sent_again_to_its_new_channel)
{
	go_up();
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	buffer_clear(&rig.sent);
	give(HELLO MOVED MOVED);
	ck_assert_int_eq(moves, 2);
	ck_assert_str_eq(moved, RIG_PROBES);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	link_set_probe(rig.link, SLICE("__fanfare__:probe:x:2"));
	ck_assert(slice_is(link_probe_channel(rig.link), "__fanfare__:probe:x:2"));
	rig.now += 500000;
	rig_turn(&rig);
	ck_assert(has_sent("__fanfare__:probe:x:2"));
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(a_name_that_is_redirected_is_told_and_asked_for_again)
{
	go_up();
	interest_add(link_interest(rig.link), HUB_SHARD, SLICE("a"));
	rig_turn(&rig);
	ck_assert(has_sent("SSUBSCRIBE"));
	give(MOVED);
	ck_assert_str_eq(moved, "a");
	ck_assert_int_eq(state_of_a(), INTEREST_MOVED);
	ck_assert(!has_sent("SSUBSCRIBE"));
	rig.now += INTEREST_MOVED_US;
	rig_turn(&rig);
	ck_assert(has_sent("SSUBSCRIBE"));
	give("-TRYAGAIN x\r\n");
	ck_assert_int_eq(state_of_a(), INTEREST_MOVED);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(a_push_that_a_slot_has_left_ends_its_names)
{
	go_up();
	hold_a();
	give(LEFT_A);
	ck_assert_str_eq(moved, "a");
	ck_assert_int_eq(state_of_a(), INTEREST_MOVED);
	give(">3\r\n$12\r\nsunsubscribe\r\n$28\r\n" RIG_PROBES "\r\n:0\r\n");
	ck_assert_int_eq(moves, 1);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

/* SUNSUBSCRIBE and PING are sent: the answers in each order that Redis gives them. */
START_TEST(replies_are_told_apart_when_a_slot_leaves_while_its_name_does)
{
	static const char *const replies[] = {LEFT_A "+PONG\r\n", MOVED "+PONG\r\n",
	    LEFT_A MOVED "+PONG\r\n", LEFT_A LEFT_A "+PONG\r\n"};

	go_up();
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		hold_a();
		interest_remove(link_interest(rig.link), HUB_SHARD, SLICE("a"), rig.now);
		rig.now += RIG_LINGER_US;
		link_publish(rig.link, HUB_SHARD, SLICE("b"), SLICE("1"));
		rig_turn(&rig);
		ck_assert(has_sent("SUNSUBSCRIBE"));
		link_publish(rig.link, HUB_SHARD, SLICE("b"), SLICE("2"));
		rig_turn(&rig);
		buffer_clear(&rig.heard);
		give(":1\r\n");
		give(replies[i]);
		give("-ERR of the second\r\n");
		buffer_append(&rig.heard, "", 1);
		ck_assert_ptr_nonnull(strstr(rig.heard.ptr, "refused ERR of the second"));
		ck_assert_msg(rig.drops == 0, "%zu: %s", i, rig.why);
		ck_assert_int_eq(state_of_a(), INTEREST_ABSENT);
		buffer_clear(&rig.heard);
		rig_free(&rig);
		setup();
		go_up();
	}
}
END_TEST

START_TEST(wrong_replies_to_ping_end_the_link)
{
	static const char *const replies[] = {LEFT_A "-ERR x\r\n", LEFT_A ":1\r\n"};

	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		go_up();
		hold_a();
		interest_remove(link_interest(rig.link), HUB_SHARD, SLICE("a"), rig.now);
		rig.now += RIG_LINGER_US;
		rig_turn(&rig);
		give(replies[i]);
		ck_assert_int_eq(link_state_of(rig.link), LINK_DOWN);
		ck_assert_msg(strstr(rig.why, "PING") != NULL, "%s", rig.why);
		rig_free(&rig);
		setup();
	}
}
END_TEST

START_TEST(a_message_with_copies_is_one_command_with_one_answer)
{
	static const struct slice to[] = {{"f1", 2}, {"f2", 2}};

	go_up();
	link_publish_copied(rig.link, SLICE("ch"), SLICE("payload"), to, 2);
	rig_turn(&rig);
	ck_assert(has_sent("$1\r\n0\r\n$2\r\nch\r\n$7\r\npayload\r\n$2\r\nf1\r\n$2\r\nf2\r\n"));
	give(":1\r\n");
	ck_assert_uint_eq(link_figures(rig.link).sent, 1);
	ck_assert_uint_eq(link_figures(rig.link).refused, 0);
	link_publish_copied(rig.link, SLICE("ch"), SLICE("payload"), to, 2);
	link_publish_copied(rig.link, SLICE("ch"), SLICE("payload"), to, 1);
	rig_turn(&rig);
	give("-MOVED by the script\r\n-NOPERM no\r\n");
	ck_assert_uint_eq(link_figures(rig.link).refused, 1);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(the_answer_to_what_is_told_is_passed_on)
{
	go_up();
	link_tell(rig.link, SLICE("g"), SLICE("text"));
	rig_turn(&rig);
	ck_assert(has_sent("$8\r\nSPUBLISH\r\n$1\r\ng\r\n$4\r\ntext\r\n"));
	give(":3\r\n");
	ck_assert_int_eq(told, 1);
	ck_assert(!told_error && told_receivers == 3);
	link_tell(rig.link, SLICE("g"), SLICE("text"));
	rig_turn(&rig);
	give("-MOVED 1 h:1\r\n");
	ck_assert_int_eq(told, 2);
	ck_assert(told_error);
	ck_assert_uint_eq(link_figures(rig.link).sent, 0);
	ck_assert_int_eq(rig.drops, 0);
	link_tell(rig.link, SLICE("g"), SLICE("text"));
	rig_turn(&rig);
	give("+OK\r\n");
	ck_assert_str_eq(rig.why, "the upstream's reply to SPUBLISH is not a number");
}
END_TEST

int
main(void)
{
	return testing_main("link/link_cluster", setup, teardown,
	    (const TTest *[]){it_asks_for_the_topology_before_it_is_up_and_with_each_probe,
		what_is_not_a_node_of_a_cluster_is_refused, a_seed_is_asked_for_the_topology_only,
		a_replica_is_refused_unless_it_was_a_master_and_can_say_who_took_over,
		a_probe_that_is_redirected_is_sent_again_to_its_new_channel,
		a_name_that_is_redirected_is_told_and_asked_for_again,
		a_push_that_a_slot_has_left_ends_its_names,
		replies_are_told_apart_when_a_slot_leaves_while_its_name_does,
		wrong_replies_to_ping_end_the_link,
		a_message_with_copies_is_one_command_with_one_answer,
		the_answer_to_what_is_told_is_passed_on, NULL});
}
