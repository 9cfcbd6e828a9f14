#include "config.h"

#include "link/engine_claims.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "link/testing_claimer.h"
#include "link/testing_engine.h"

/*
 * Three nodes with queue groups at one engine in memory, with random joins, leaves, losses,
 * failures and time, against a table of all messages: each message is delivered for each group at
 * most once, and if a node had it and kept its members, it is delivered, or was claimed by a node
 * that has failed or has counted it as dropped. If the engine loses its data, messages from before
 * may be delivered again.
 */
#define NODES 3
#define GROUPS 3
#define STEPS 60000
#define SPAN 300 /* steps until everything is checked */
#define RUNS 6

struct node {
	struct claimer at;
	char name[16];
	size_t next; /* message that comes next */
	size_t room[GROUPS];
	uint64_t ids[GROUPS]; /* of the group; 0: it has no member */
	uint64_t newest[GROUPS];
};

struct message {
	uint64_t epoch;
	bool may_come_again;
	unsigned delivered[GROUPS];
	uint64_t held_by[GROUPS][NODES]; /* id of the group that kept it back */
};

static struct testing_engine engine;
static struct node nodes[NODES];
static struct message messages[STEPS + 1]; /* by their seq */
static size_t count, checked;
static uint64_t seed, now, epoch, last_id, last_name, dropped, won, taken, exempt;

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static int
group_of(const struct node *node, uint64_t id)
{
	for (int g = 0; g < GROUPS; g++)
		if (node->ids[g] == id)
			return g;
	ck_abort_msg("a message came for a group that is gone");
	return 0;
}

static size_t
on_room(void *arg, uint64_t id, size_t len)
{
	const struct node *node = arg;

	ck_assert_uint_gt(len, 0);
	return node->room[group_of(node, id)];
}

static bool
on_deliver(void *arg, uint64_t id, const struct queue_claims_message *message)
{
	struct node *node = arg;
	int g = group_of(node, id);
	uint64_t seq = message->position.seq;

	ck_assert_uint_eq(messages[seq].held_by[g][node - nodes], id);
	ck_assert_uint_gt(seq, node->newest[g]);
	node->newest[g] = seq;
	messages[seq].delivered[g]++;
	ck_assert(messages[seq].delivered[g] == 1 || messages[seq].may_come_again);
	return true;
}

static void
on_missed(void *arg, uint64_t id)
{
	ck_abort_msg("%p %llu", arg, (unsigned long long)id); /* so few are not forgotten */
}

static const struct engine_claims_ops ops = {on_room, on_deliver, on_missed};

static struct queue_claims_group
described(const struct node *node, int g, uint32_t members)
{
	static const char *const names[GROUPS] = {"a", "a:b", "b"};

	return (struct queue_claims_group){.id = node->ids[g],
	    .group = slice_of(names[g]),
	    .name = SLICE("k"),
	    .kind = g == 2 ? HUB_PATTERN : HUB_CHANNEL,
	    .members = members};
}

static void
set_members(struct node *node, int g, uint32_t members)
{
	struct queue_claims_group group;

	if (members == 0 && node->ids[g] == 0)
		return;
	if (node->ids[g] == 0) {
		node->ids[g] = ++last_id;
		node->newest[g] = 0;
		node->room[g] = 100;
	}
	group = described(node, g, members);
	engine_claims_set(node->at.claims, &group);
	if (members == 0)
		node->ids[g] = 0;
}

/* The next message comes to the node. */
static void
hear(struct node *node)
{
	size_t seq = node->next;
	char text[24];
	int len = snprintf(text, sizeof(text), "%zu", seq);
	struct queue_claims_message message = {
	    .channel = SLICE("k"), .payload = {text, (size_t)len}, .position = {7, seq}};

	if (seq > count)
		return;
	node->next++;
	for (int g = 0; g < GROUPS; g++) {
		struct queue_claims_group group = described(node, g, 1);

		if (node->ids[g] == 0)
			continue;
		messages[seq].held_by[g][node - nodes] = node->ids[g];
		ck_assert(engine_claims_add(node->at.claims, &group, &message,
		    (struct hub_position){messages[seq].epoch, seq}, 0, now));
	}
}

static void
start(struct node *node)
{
	memset(node, 0, sizeof(*node));
	snprintf(node->name, sizeof(node->name), "n%llu", (unsigned long long)++last_name);
	claimer_init(&node->at, &engine, &ops, node, node->name);
	node->next = count + 1;
}

static void
end(struct node *node)
{
	struct engine_claims_figures figures = engine_claims_figures(node->at.claims);

	dropped += figures.dropped;
	won += figures.won;
	taken += figures.taken;
	claimer_release(&node->at);
}

static void
lose_data(void)
{
	for (struct node *node = nodes; node < nodes + NODES; node++)
		claimer_lose(&node->at);
	testing_engine_flush(&engine);
	engine.exists = true;
	epoch++;
	for (size_t seq = checked + 1; seq <= count; seq++)
		messages[seq].may_come_again = true;
}

/* The node that has claimed it, or NULL. */
static const char *
owner_of(size_t seq, int g)
{
	char key[TESTING_CLAIM_TEXT];
	struct node node = {.ids = {1, 1, 1}};
	struct queue_claims_group group = described(&node, g, 1);

	snprintf(key, sizeof(key), "%llu:%d:%zu:%.*s:k", (unsigned long long)messages[seq].epoch,
	    (int)group.kind, group.group.len, (int)group.group.len, group.group.ptr);
	for (int i = 0; i < TESTING_CLAIM_GROUPS; i++) {
		struct testing_claim_group *at = &engine.claims.groups[i];

		for (size_t c = 0; strcmp(at->key, key) == 0 && c < at->count; c++)
			if (at->claims[c].seq == seq)
				return at->claims[c].node;
	}
	return NULL;
}

static bool
is_alive(const char *name)
{
	for (int n = 0; n < NODES; n++)
		if (strcmp(nodes[n].name, name) == 0)
			return true;
	return false;
}

/* Whether a node has had the message since it came, and has the same group. */
static bool
is_wanted(size_t seq, int g)
{
	for (int n = 0; n < NODES; n++)
		if (messages[seq].held_by[g][n] != 0 &&
		    messages[seq].held_by[g][n] == nodes[n].ids[g])
			return true;
	return false;
}

static void
settle(void)
{
	bool is_idle = false;

	for (int round = 0; !is_idle; round++) {
		ck_assert_int_lt(round, 100);
		is_idle = true;
		now += ENGINE_CLAIMS_PATIENCE_US;
		for (struct node *node = nodes; node < nodes + NODES; node++) {
			while (node->next <= count)
				hear(node);
			claimer_serve(&node->at, now);
			while (engine_claims_work(node->at.claims))
				;
			is_idle = is_idle && engine_claims_figures(node->at.claims).waiting == 0;
		}
	}
}

static void
check(void)
{
	uint64_t lacking = 0, allowed = dropped;

	settle();
	for (struct node *node = nodes; node < nodes + NODES; node++)
		allowed += engine_claims_figures(node->at.claims).dropped;
	for (size_t seq = checked + 1; seq <= count; seq++)
		for (int g = 0; g < GROUPS; g++) {
			const char *owner = owner_of(seq, g);

			if (messages[seq].delivered[g] > 0 || !is_wanted(seq, g))
				continue;
			ck_assert(owner != NULL || messages[seq].may_come_again);
			if (owner != NULL && is_alive(owner) && !messages[seq].may_come_again)
				lacking++;
			else
				exempt++;
		}
	ck_assert_uint_le(lacking, allowed);
	checked = count;
}

static void
happen_seldom(struct node *node)
{
	int g = (int)below(GROUPS);

	switch (below(12)) {
	case 0:
		if (below(4) == 0) {
			end(node);
			start(node);
		}
		break;
	case 1:
		if (below(20) == 0)
			lose_data();
		break;
	case 2:
	case 3:
		claimer_lose(&node->at);
		break;
	case 4:
	case 5:
		set_members(node, g, 0);
		break;
	case 6:
		node->room[g] = below(3);
		break;
	default:
		set_members(node, g, (uint32_t)below(4) + 1);
	}
}

static void
step(void)
{
	struct node *node = &nodes[below(NODES)];

	now += below(4) == 0 ? below(3000) : 10;
	engine.now_ms = now / 1000;
	switch (below(16)) {
	case 0:
		happen_seldom(node);
		break;
	case 1:
	case 2:
		messages[++count] = (struct message){.epoch = epoch};
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		hear(node);
		break;
	case 7:
	case 8:
		claimer_write(&node->at, now);
		break;
	case 9:
		engine_claims_work(node->at.claims);
		break;
	case 10:
	case 11:
	case 12:
		claimer_execute(&node->at);
		break;
	default:
		claimer_read(&node->at, now);
	}
}

static void
run(uint64_t first)
{
	int steps = testing_steps(STEPS);

	seed = first;
	count = checked = 0;
	now = 1000000;
	epoch = 5;
	dropped = won = taken = exempt = 0;
	testing_engine_init(&engine, "run");
	engine.exists = true;
	memset(engine.has_scripts, 1, sizeof(engine.has_scripts));
	for (struct node *node = nodes; node < nodes + NODES; node++)
		start(node);
	for (int i = 1; i <= steps; i++) {
		step();
		if (i % SPAN == 0)
			check();
	}
	check();
	for (struct node *node = nodes; node < nodes + NODES; node++)
		end(node);
	if (steps == STEPS) /* nothing was left out */
		ck_assert(dropped > 5 && won > 5000 && taken > 5000 && exempt > 5);
}

START_TEST(each_message_is_delivered_once_or_was_claimed_by_a_node_that_failed)
{
	for (uint64_t first = 1; first <= RUNS; first++)
		run(first);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_claims_model", NULL, NULL,
	    (const TTest *[]){
		each_message_is_delivered_once_or_was_claimed_by_a_node_that_failed, NULL});
}
