#include "config.h"

#include "link/engine.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "link/testing_engine.h"
#include "link/testing_follower.h"
#include "resp/parser.h"
#include "resp/reply.h"

/*
 * Several nodes at one engine in memory, with random joins, leaves, losses and restarts, against a
 * list of all messages: each node has every message of each channel that it has loaded, and its
 * subscribers get each message once and in order, or are told that some are missing.
 *
 * Commands and what comes back are in two queues for each node, so that a connection is lost at any
 * place. A node does what link.c does: it asks for a channel with SUBSCRIBE, the load, and a second
 * SUBSCRIBE, whose confirmation joins the channel.
 */
#define NODES 3
#define STEPS 50000
#define RUNS 8

enum what { SCRIPT, GREETING, LOADED, CHECKED, PUBLISHED, SUBSCRIBED, CONFIRMED, LEFT, MESSAGE };

struct item {
	STAILQ_ENTRY(item) link;
	enum what what;
	int channel;
	struct buffer bytes;
};

STAILQ_HEAD(items, item);

enum joining { ABSENT, ASKED, HELD, LEAVING };

struct node {
	struct engine *engine;
	struct items out, in;
	bool is_connected, is_greeted;
	bool has_pattern;
	struct follower hub;
	struct {
		bool is_wanted, is_subscribed; /* the latter at the engine */
		enum joining joining;
	} channels[TRUTHS_CHANNELS];
};

static struct testing_engine engine, snapshot;
static bool has_snapshot;
static struct node nodes[NODES];
static uint64_t seed, next_id, runs;
static struct truths truths, snapshot_truths;

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

/* Everything up to the newest position is in the rings of the channels that are joined. */
static void
assert_complete(const struct node *node)
{
	for (int c = 0; c < TRUTHS_CHANNELS; c++)
		if (node->is_greeted && engine_has(node->engine, slice_of(truths_name(c)))) {
			ck_assert(node->hub.channels[c].is_loaded);
			ck_assert_uint_ge(node->hub.channels[c].next,
			    truths_behind(&truths, c, node->hub.newest.seq));
		}
}

/* The connection */

static struct item *
put(struct items *items, enum what what, int channel)
{
	struct item *item = xcalloc(1, sizeof(*item));

	item->what = what;
	item->channel = channel;
	STAILQ_INSERT_TAIL(items, item, link);
	return item;
}

static struct item *
take(struct items *items)
{
	struct item *item = STAILQ_FIRST(items);

	if (item != NULL)
		STAILQ_REMOVE_HEAD(items, link);
	return item;
}

static void
free_item(struct item *item)
{
	buffer_release(&item->bytes);
	xfree(item);
}

static void
free_items(struct items *items)
{
	struct item *item;

	while ((item = take(items)) != NULL)
		free_item(item);
}

static void
lose(struct node *node)
{
	if (!node->is_connected)
		return;
	node->is_connected = node->is_greeted = false;
	free_items(&node->out);
	free_items(&node->in);
	node->has_pattern = false;
	for (int c = 0; c < TRUTHS_CHANNELS; c++) {
		node->channels[c].is_subscribed = false;
		node->channels[c].joining = ABSENT;
	}
	engine_lost(node->engine);
}

static void
connect(struct node *node)
{
	if (node->is_connected)
		return;
	node->is_connected = true;
	engine_opened(node->engine, slice_of(engine.run));
	for (int i = 0; i < ENGINE_SCRIPTS; i++)
		engine_put_script(&put(&node->out, SCRIPT, i)->bytes, (enum engine_script)i);
}

/* What clients of the node do */

static void
join(struct node *node, int c)
{
	node->channels[c].is_wanted = true;
	if (!node->is_connected) /* otherwise when the channel is joined */
		follower_subscribe(&node->hub, c);
}

static void
leave(struct node *node, int c)
{
	node->channels[c].is_wanted = node->hub.channels[c].is_member = false;
}

static void
publish(struct node *node, int c)
{
	static const uint32_t sizes[TRUTHS_CHANNELS] = {2, 4, 8, 20, 20, 1};
	char payload[24];
	int len = snprintf(payload, sizeof(payload), "%llu", (unsigned long long)++next_id);
	struct engine_message message = {.channel = slice_of(truths_name(c)),
	    .payload = {payload, (size_t)len},
	    .size = below(30) == 0 ? 0 : sizes[c],
	    .ttl_ms = 1000};

	if (node->is_greeted && engine_state_of(node->engine) == ENGINE_LIVE)
		engine_write_message(node->engine, &message, &put(&node->out, PUBLISHED, c)->bytes);
}

static void
delete_kept(struct node *node, int c)
{
	if (node->is_greeted && engine_state_of(node->engine) == ENGINE_LIVE)
		engine_write_delete(node->engine, slice_of(truths_name(c)), 1000,
		    &put(&node->out, PUBLISHED, c)->bytes);
}

static void
ask(struct node *node, int c)
{
	struct slice name = slice_of(truths_name(c));

	if (node->channels[c].is_wanted && node->channels[c].joining == HELD &&
	    engine_state_of(node->engine) == ENGINE_LIVE)
		follower_subscribe(&node->hub, c);
	if (node->channels[c].is_wanted && node->channels[c].joining == ABSENT) {
		node->channels[c].joining = ASKED;
		put(&node->out, SUBSCRIBED, c);
		engine_write_load(node->engine, name, &put(&node->out, LOADED, c)->bytes);
		put(&node->out, CONFIRMED, c);
	} else if (!node->channels[c].is_wanted && node->channels[c].joining == HELD) {
		node->channels[c].joining = LEAVING;
		put(&node->out, LEFT, c);
	}
}

/* As link_turn(). */
static void
turn(struct node *node)
{
	bool is_joining = false;

	if (!node->is_greeted)
		return;
	for (int c = 0; c < TRUTHS_CHANNELS; c++) {
		enum joining joining = node->channels[c].joining;

		is_joining |=
		    joining == ASKED || (joining == ABSENT && node->channels[c].is_wanted);
	}
	if (!is_joining)
		engine_joined(node->engine);
	if (!engine_work(node->engine))
		for (int c = 0; c < TRUTHS_CHANNELS; c++)
			ask(node, c);
	assert_complete(node);
}

/* The engine */

static void
on_publish(void *arg, struct slice name, struct slice frame)
{
	int c = truths_channel(name);

	(void)arg;
	truths_hear(&truths, c, engine.seq, frame);
	for (struct node *node = nodes; node < nodes + NODES; node++)
		for (int n = node->channels[c].is_subscribed + node->has_pattern; n > 0; n--)
			buffer_append_slice(&put(&node->in, MESSAGE, c)->bytes, frame);
}

/* The engine executes the next command of the node. */
static void
execute(struct node *node)
{
	static const struct protocol_limits limits = {
	    .arg_bytes = 1 << 20, .arg_count = 1024, .line_bytes = 65536, .request_bytes = 1 << 24};
	struct item *item = take(&node->out), *reply;
	struct protocol_request request;
	struct resp_parser *parser;
	struct buffer bytes = {0};
	size_t taken;

	if (item == NULL)
		return;
	if (item->what == SUBSCRIBED || item->what == LEFT)
		node->channels[item->channel].is_subscribed = item->what == SUBSCRIBED;
	if (item->bytes.len > 0) {
		parser = resp_parser_new(&limits);
		ck_assert_int_eq(resp_parser_feed(parser, item->bytes.ptr, item->bytes.len, false,
				     &taken, &request),
		    PROTOCOL_REQUEST);
		ck_assert_uint_eq(taken, item->bytes.len);
		ck_assert(testing_engine_execute(&engine, request.args, request.count, &bytes));
		resp_parser_free(parser);
	}
	reply = put(&node->in, item->what, item->channel);
	reply->bytes = bytes;
	free_item(item);
}

static void
on_confirmed(struct node *node, int c)
{
	bool continues = engine_confirmed(node->engine, slice_of(truths_name(c)));

	node->channels[c].joining = HELD;
	if (node->hub.channels[c].is_member && !continues)
		follower_mark_gap(&node->hub, c);
}

static const char *
take_value(struct node *node, const struct item *item, const struct resp_value *value)
{
	const char *why;

	if (value->type == RESP_TYPE_ERROR)
		return value->text.ptr;
	switch (item->what) {
	case SCRIPT:
		why = engine_take_script(node->engine, (enum engine_script)item->channel, value);
		if (item->channel == ENGINE_SCRIPTS - 1)
			engine_write_greeting(node->engine, &put(&node->out, GREETING, 0)->bytes);
		return why;
	case GREETING:
		why = engine_take_greeting(node->engine, value);
		node->is_greeted = why == NULL;
		node->has_pattern = below(3) == 0;
		return why;
	case LOADED:
		return engine_take_load(node->engine, value);
	case CHECKED:
		return engine_take_check(node->engine, value);
	default:
		return NULL;
	}
}

static const char *
take_reply(struct node *node, const struct item *item)
{
	struct resp_reader *reader = resp_reader_new(1 << 20, 8);
	struct resp_value *value = NULL;
	static char why[256];
	const char *wrong;

	resp_reader_feed(reader, item->bytes.ptr, item->bytes.len);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	wrong = take_value(node, item, value);
	snprintf(why, sizeof(why), "%s", wrong != NULL ? wrong : "");
	resp_value_free(value);
	resp_reader_free(reader);
	return wrong != NULL ? why : NULL;
}

static void
read_one(struct node *node)
{
	struct item *item = take(&node->in);
	enum engine_taking taking;
	const char *why = NULL;

	if (item == NULL)
		return;
	if (item->what == MESSAGE) {
		taking = engine_take_message(node->engine, slice_of(truths_name(item->channel)),
		    buffer_slice(&item->bytes), &why);
		ck_assert(taking != ENGINE_PLAIN && taking != ENGINE_FORGED);
	} else if (item->what == CONFIRMED) {
		on_confirmed(node, item->channel);
	} else if (item->what == LEFT) {
		node->channels[item->channel].joining = ABSENT;
		engine_left(node->engine, slice_of(truths_name(item->channel)));
	} else if (item->what != SUBSCRIBED) {
		why = take_reply(node, item);
	}
	free_item(item);
	if (why == NULL) {
		assert_complete(node);
		return;
	}
	ck_assert_msg(
	    strstr(why, "begun anew") != NULL || strncmp(why, "CLUSTERDOWN ", 12) == 0, "%s", why);
	lose(node);
}

/* Faults of the engine */

static void
lose_all(void)
{
	for (struct node *node = nodes; node < nodes + NODES; node++)
		lose(node);
}

static void
restart(bool loses_messages)
{
	char run[24];

	lose_all();
	if (loses_messages && has_snapshot) {
		snapshot.now_ms = engine.now_ms;
		engine = snapshot;
		truths = snapshot_truths;
	}
	snprintf(run, sizeof(run), "run%llu", (unsigned long long)++runs);
	testing_engine_restart(&engine, run);
	has_snapshot = false;
}

static void
flush(void)
{
	testing_engine_flush(&engine);
	for (int c = 0; c < TRUTHS_CHANNELS; c++)
		truths.channels[c].begin = truths.channels[c].count;
	has_snapshot = false;
	lose_all();
}

static void
save(void)
{
	snapshot = engine;
	snapshot_truths = truths;
	has_snapshot = true;
}

/* Steps */

static void
send_check(struct node *node)
{
	if (!node->is_greeted)
		return;
	engine.sweeps = below(3) == 0;
	engine_write_check(node->engine, &put(&node->out, CHECKED, 0)->bytes);
}

static void
happen_seldom(struct node *node)
{
	int c = (int)below(TRUTHS_CHANNELS);

	switch (below(16)) {
	case 0:
		if (below(8) == 0)
			restart(below(2) == 0);
		break;
	case 1:
		if (below(30) == 0)
			flush();
		break;
	case 2:
		save();
		break;
	case 3:
		testing_engine_expire(&engine, truths_name(c));
		break;
	case 4:
		engine.load_max = below(3) * 3;
		break;
	case 5:
		node->hub.channels[c].has_ring = false; /* the hub has removed it */
		break;
	case 6: /* interest_again() */
		if (node->channels[c].joining == HELD && node->channels[c].is_wanted &&
		    engine_state_of(node->engine) == ENGINE_LIVE) {
			node->channels[c].joining = ABSENT;
			ask(node, c);
		}
		break;
	case 7:
	case 8:
		lose(node);
		break;
	case 9:
	case 10:
		leave(node, c);
		break;
	case 11:
		send_check(node);
		break;
	case 12:
		delete_kept(node, c);
		break;
	default:
		join(node, c);
	}
}

static void
step(void)
{
	struct node *node = &nodes[below(NODES)];

	engine.now_ms++;
	switch (below(16)) {
	case 0:
		happen_seldom(node);
		break;
	case 1:
		connect(node);
		break;
	case 2:
	case 3:
		publish(node, (int)below(TRUTHS_CHANNELS));
		break;
	case 4:
	case 5:
		turn(node);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		execute(node);
		break;
	default:
		read_one(node);
	}
}

/* All nodes go on until nothing is left to do. */
static void
settle(void)
{
	for (int round = 0; round < 1000; round++) {
		bool is_idle = true;

		for (struct node *node = nodes; node < nodes + NODES; node++) {
			connect(node);
			turn(node);
			is_idle = is_idle && node->is_greeted && STAILQ_EMPTY(&node->out) &&
				  STAILQ_EMPTY(&node->in) &&
				  engine_state_of(node->engine) == ENGINE_LIVE;
			while (!STAILQ_EMPTY(&node->out))
				execute(node);
			while (!STAILQ_EMPTY(&node->in))
				read_one(node);
		}
		if (is_idle)
			return;
	}
	ck_abort_msg("nodes do not come to rest");
}

static void
assert_settled(void)
{
	settle();
	for (struct node *node = nodes; node < nodes + NODES; node++)
		send_check(node);
	settle();
	for (struct node *node = nodes; node < nodes + NODES; node++) {
		struct hub_position newest = engine_figures(node->engine).position;

		ck_assert(newest.epoch == engine.epoch && newest.seq <= engine.seq);
		ck_assert(
		    node->hub.newest.epoch == newest.epoch && node->hub.newest.seq == newest.seq);
		for (int c = 0; c < TRUTHS_CHANNELS; c++) {
			bool is_wanted = node->channels[c].is_wanted;

			ck_assert(engine_has(node->engine, slice_of(truths_name(c))) == is_wanted);
			ck_assert(node->hub.channels[c].is_loaded == is_wanted);
			if (is_wanted)
				follower_assert_settled(&node->hub, c);
		}
	}
}

static void
setup(void)
{
	memset(nodes, 0, sizeof(nodes));
	testing_engine_init(&engine, "run0");
	engine.publish = on_publish;
	has_snapshot = false;
	truths_init(&truths);
	for (struct node *node = nodes; node < nodes + NODES; node++) {
		node->hub.truths = &truths;
		node->engine = engine_new(&follower_ops, &node->hub);
		STAILQ_INIT(&node->out);
		STAILQ_INIT(&node->in);
	}
}

static void
teardown(void)
{
	for (struct node *node = nodes; node < nodes + NODES; node++) {
		lose(node);
		engine_free(node->engine);
	}
	truths_release(&truths);
}

static void
run(uint64_t first)
{
	int steps = testing_steps(STEPS);
	const struct follower *hub = &nodes->hub;

	seed = first;
	for (int i = 1; i <= steps; i++) {
		step();
		if (i % 500 == 0)
			assert_settled();
	}
	assert_settled();
	if (steps == STEPS) /* nothing was left out */
		ck_assert(
		    hub->anews > 1 && hub->exact > 20 && hub->unknown > 2 && hub->deletions > 20);
}

START_TEST(nodes_have_every_message_in_order_or_say_what_is_missing)
{
	for (uint64_t first = 1; first <= RUNS; first++) {
		setup();
		run(first);
		teardown();
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_model", NULL, NULL,
	    (const TTest *[]){nodes_have_every_message_in_order_or_say_what_is_missing, NULL});
}
