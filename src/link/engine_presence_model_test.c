#include "config.h"

#include "link/engine_presence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "link/testing_presence.h"
#include "resp/parser.h"
#include "resp/reply.h"
#include "server/upstream_presence.h"

/*
 * Three nodes at one engine in memory, with random joins, leaves, losses of connections, deaths and
 * pauses of nodes, and an engine that refuses or forgets: the events of each member, and of each
 * channel, alternate, and in the end the engine has what is true at the nodes.
 *
 * Commands and replies are in two queues for each node, so that a connection is lost at any place.
 * A node does what link.c and the server do.
 */
#define NODES 3
#define CHANNELS 2
#define MEMBERS 3
#define THINGS (MEMBERS + 1) /* of a channel; the last one is the channel itself, occupied */
#define STEPS 40000
#define RUNS 20
#define RENEW_US ((uint64_t)1000000)

/* A member, or a channel, as a node has it. */
struct thing {
	bool is_here, is_connected;
	int info;
	bool is_due;   /* a change is to be told */
	bool was_told; /* ... as here */
};

struct node {
	struct engine_presence *presence;
	struct buffer out, sent; /* commands: written, and on their way */
	struct link_expected expected;
	struct resp_parser *parser;
	struct resp_reader *reader;
	size_t replies; /* on their way */
	bool is_connected, is_linked, is_paused;
	int scripts; /* replies that are awaited */
	struct thing things[CHANNELS][THINGS];
	uint64_t tickets, answered;
	struct buffer members; /* of the newest answer */
};

static const struct protocol_limits limits = {
    .arg_bytes = 65536, .arg_count = 64, .line_bytes = 65536, .request_bytes = 65536};

static struct testing_presence engine;
static struct node nodes[NODES];
static bool is_there[CHANNELS][THINGS]; /* as far as events tell */
static uint64_t seed, now_us, randoms, events;
static int run;

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static struct slice
channel_name(int c)
{
	static const char *const names[CHANNELS] = {"a", "a:b"};

	return slice_of(names[c]);
}

static struct slice
thing_name(int t)
{
	static const char *const names[THINGS] = {"x", "y", "b:x", ""};

	return slice_of(names[t]);
}

static bool
find(struct slice channel, struct slice name, int *c, int *t)
{
	for (*c = 0; *c < CHANNELS; (*c)++)
		for (*t = 0; *t < THINGS; (*t)++)
			if (slice_eq(channel, channel_name(*c)) && slice_eq(name, thing_name(*t)))
				return true;
	return false;
}

/* The payload of an event is '+' or '-' and the name. */
static void
on_publish(void *arg, struct slice channel, struct slice payload)
{
	int c, t;
	bool comes = payload.ptr[0] == '+';

	(void)arg;
	ck_assert(find(channel, (struct slice){payload.ptr + 1, payload.len - 1}, &c, &t));
	ck_assert_msg(is_there[c][t] != comes, "%.*s %.*s", (int)channel.len, channel.ptr,
	    (int)payload.len, payload.ptr);
	is_there[c][t] = comes;
}

/* The server's side of a node */

static char event_text[64];

static void
describe(int c, int t, const struct thing *thing, struct upstream_presence_change *out)
{
	static char info[16];
	bool is_member = t < MEMBERS;
	int len = snprintf(
	    event_text, sizeof(event_text), "%c%s", thing->is_here ? '+' : '-', thing_name(t).ptr);

	snprintf(info, sizeof(info), "%d", thing->info);
	*out = (struct upstream_presence_change){
	    .kind = is_member ? (thing->is_here ? PRESENCE_JOINED : PRESENCE_LEFT)
			      : (thing->is_here ? PRESENCE_OCCUPIED : PRESENCE_VACATED),
	    .channel = channel_name(c),
	    .member = thing_name(t),
	    .info = is_member ? slice_of(info) : SLICE(""),
	    .is_connected = is_member && thing->is_connected,
	    .event_channel = channel_name(c),
	    .event = {event_text, (size_t)len}};
}

/* It counts as told. */
static void
tell_of(struct node *node, int c, int t, struct upstream_presence_change *out)
{
	struct thing *thing = &node->things[c][t];

	thing->is_due = false;
	thing->was_told = thing->is_here;
	describe(c, t, thing, out);
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return ++randoms;
}

static bool
on_keeps(void *arg, struct slice channel, struct slice event, uint32_t *size, uint64_t *ttl_ms)
{
	(void)arg;
	(void)channel;
	(void)event;
	*size = 1;
	*ttl_ms = 1000;
	return below(2) == 0;
}

static void
on_told(void *arg, bool is_published)
{
	(void)arg;
	events += is_published;
}

static void
on_room(void *arg)
{
	ck_assert(engine_presence_has_room(((struct node *)arg)->presence));
}

static void
on_registers(void *arg)
{
	struct node *node = arg;

	for (int c = 0; c < CHANNELS; c++)
		for (int t = 0; t < THINGS; t++) {
			node->things[c][t].is_due = node->things[c][t].is_here;
			node->things[c][t].was_told = false;
		}
}

static void
on_state(void *arg, struct slice channel, struct slice member, struct upstream_presence_change *out)
{
	struct node *node = arg;
	int c, t;

	ck_assert(find(channel, member, &c, &t));
	if (node->things[c][t].is_here || node->things[c][t].is_due)
		tell_of(node, c, t, out);
}

static void
on_expired(void *arg, struct slice channel, struct slice member, struct slice info,
    struct upstream_presence_change *out)
{
	struct thing gone = {0};
	int c, t;

	(void)arg;
	ck_assert(find(channel, member, &c, &t));
	ck_assert_int_eq(info.len > 0, t < MEMBERS);
	describe(c, t, &gone, out);
}

static void
on_answered(void *arg, uint64_t ticket, const struct upstream_presence_answer *answer)
{
	struct node *node = arg;

	ck_assert_uint_gt(ticket, node->answered);
	node->answered = ticket;
	ck_assert(!answer->is_refused);
	buffer_clear(&node->members);
	buffer_append_str(&node->members, "|");
	for (size_t i = 0; i < answer->count; i++)
		buffer_appendf(&node->members, "|%.*s=%" PRIu64 "|", (int)answer->items[i].name.len,
		    answer->items[i].name.ptr, answer->items[i].number);
}

static const struct engine_presence_ops ops = {
    .random = on_random,
    .keeps = on_keeps,
    .told = on_told,
    .registers = on_registers,
    .state = on_state,
    .expired = on_expired,
    .answered = on_answered,
    .has_room = on_room,
};

/* The connection */

static void
lose(struct node *node)
{
	if (!node->is_connected)
		return;
	node->is_connected = node->is_linked = false;
	buffer_release(&node->out);
	buffer_release(&node->sent);
	link_expected_release(&node->expected);
	resp_parser_free(node->parser);
	resp_reader_free(node->reader);
	node->replies = 0;
	engine_presence_lost(node->presence);
	ck_assert(!engine_presence_has_room(node->presence));
	node->answered = node->tickets;
}

static void
connect(struct node *node)
{
	char name[16];

	if (node->is_connected)
		return;
	snprintf(name, sizeof(name), "run%d", run);
	node->is_connected = true;
	node->parser = resp_parser_new(&limits);
	node->reader = resp_reader_new(1 << 20, 8);
	node->scripts = PRESENCE_SCRIPTS;
	ck_assert(!engine_presence_want(node->presence));
	engine_presence_opened(node->presence, slice_of(name));
}

/* The engine executes one command. */
static void
execute(struct node *node)
{
	struct protocol_request request;
	struct buffer reply = {0};
	size_t taken;

	buffer_append_slice(&node->sent, buffer_slice(&node->out));
	buffer_clear(&node->out);
	if (node->sent.len == 0)
		return;
	ck_assert_int_eq(
	    resp_parser_feed(node->parser, node->sent.ptr, node->sent.len, false, &taken, &request),
	    PROTOCOL_REQUEST);
	engine.now_ms = now_us / 1000;
	ck_assert(testing_presence_execute(&engine, request.args, request.count, &reply));
	memmove(node->sent.ptr, node->sent.ptr + taken, node->sent.len - taken);
	node->sent.len -= taken;
	resp_reader_feed(node->reader, reply.ptr, reply.len);
	buffer_release(&reply);
	node->replies++;
}

static void
take(struct node *node)
{
	const struct link_answer *first;
	struct resp_value *value;
	enum link_answer_kind kind;
	const char *why;

	if (node->replies == 0)
		return;
	node->replies--;
	ck_assert_int_eq(resp_reader_next(node->reader, &value), 1);
	first = link_first_expected(&node->expected);
	ck_assert_ptr_nonnull(first);
	kind = first->kind;
	link_take_expected(&node->expected, 1);
	why = engine_presence_take(node->presence, kind, value, now_us);
	ck_assert_msg(why == NULL, "%s", why);
	resp_value_free(value);
	if (kind == ANSWER_PRESENCE_SCRIPT && --node->scripts == 0)
		engine_presence_greeted(node->presence, now_us);
}

static void
turn(struct node *node)
{
	if (!node->is_connected || node->scripts > 0)
		return;
	ck_assert_uint_gt(engine_presence_turn(node->presence, now_us, RENEW_US), 0);
	if (!node->is_linked && below(3) == 0) {
		node->is_linked = true;
		engine_presence_linked(node->presence, now_us);
	}
}

/* What happens at a node */

/* What was told before, and is so still, is not told. */
static void
touch(struct thing *thing, bool is_here)
{
	thing->is_here = is_here;
	thing->is_due = thing->was_told != is_here;
}

static void
join(struct node *node, int c, int t)
{
	struct thing *thing = &node->things[c][t];

	touch(thing, true);
	thing->is_connected = below(2) == 0;
	thing->info = (int)below(3);
	thing->is_due = true;
	if (!node->things[c][MEMBERS].is_here)
		touch(&node->things[c][MEMBERS], true);
}

static void
leave(struct node *node, int c, int t)
{
	if (node->things[c][t].is_here)
		touch(&node->things[c][t], false);
}

static void
vacate(struct node *node, int c)
{
	for (int t = 0; t < MEMBERS; t++)
		if (node->things[c][t].is_here)
			return;
	leave(node, c, MEMBERS);
}

static void
tell(struct node *node, int c, int t)
{
	struct upstream_presence_change what;

	if (!node->things[c][t].is_due || !engine_presence_has_room(node->presence))
		return;
	tell_of(node, c, t, &what);
	engine_presence_change(node->presence, &what);
}

static void
ask(struct node *node, int c, size_t count)
{
	struct upstream_presence_query query = {.asks = UPSTREAM_PRESENCE_MEMBERS,
	    .channel = channel_name(c),
	    .count = count,
	    .bytes = 1000};
	uint64_t ticket;

	if (!node->is_linked)
		return;
	ticket = engine_presence_ask(node->presence, &query);
	if (ticket == 0)
		return;
	ck_assert_uint_gt(ticket, node->tickets);
	node->tickets = ticket;
}

static void
begin(struct node *node)
{
	*node = (struct node){0};
	node->presence = engine_presence_new(&ops, node, &node->out, &node->expected);
}

static void
end(struct node *node)
{
	if (node->is_linked && below(2) == 0)
		engine_presence_end(node->presence, below(2000));
	for (int i = 0; i < 5; i++)
		if (node->is_connected)
			execute(node);
	lose(node);
	engine_presence_free(node->presence);
	buffer_release(&node->members);
}

/* The engine is another process. */
static void
restart(void)
{
	run++;
	for (int i = 0; i < NODES; i++)
		lose(&nodes[i]);
	testing_presence_restart(&engine);
}

static void
step(void)
{
	struct node *node = &nodes[below(NODES)];
	int c = (int)below(CHANNELS), t = (int)below(MEMBERS);
	uint64_t what = below(2000);

	if (what < 2) {
		end(node);
		begin(node);
	} else if (what < 4) {
		node->is_paused = true;
	} else if (what < 7) {
		if (what < 6)
			restart();
		if (what > 4) {
			testing_presence_flush(&engine);
			memset(is_there, 0, sizeof(is_there));
		}
	} else if (what < 8) {
		engine.error = "OOM command not allowed when used memory > 'maxmemory'.";
	} else if (what < 20) {
		engine.error = NULL;
	} else if (what < 30) {
		lose(node);
	} else if (what < 35) {
		now_us += below(2 * RENEW_US);
	}
	now_us += below(RENEW_US / 500);
	if (below(400) == 0)
		node->is_paused = false;
	if (node->is_paused)
		return;
	what = below(12);
	if (what == 0)
		connect(node);
	else if (what == 1)
		join(node, c, t);
	else if (what == 2)
		leave(node, c, t);
	else if (what == 3)
		vacate(node, c);
	else if (what == 4)
		tell(node, c, (int)below(THINGS));
	else if (what == 5)
		turn(node);
	else if (what == 6)
		ask(node, c, 1 + below(4));
	else if (what < 10 && node->is_connected)
		execute(node);
	else
		take(node);
}

/* Everything is answered, and the leases of nodes that have ended are over. */
static void
settle(void)
{
	engine.error = NULL;
	for (int i = 0; i < 4000; i++) {
		struct node *node = &nodes[i % NODES];

		now_us += RENEW_US / 100;
		node->is_paused = false;
		connect(node);
		turn(node);
		for (int c = 0; c < CHANNELS; c++) {
			vacate(node, c);
			for (int t = 0; t < THINGS; t++)
				tell(node, c, t);
		}
		while (node->sent.len > 0 || node->out.len > 0 || node->replies > 0) {
			execute(node);
			take(node);
			if (!node->is_connected)
				break;
		}
	}
}

static void
assert_true_at(int c, int t)
{
	const struct testing_presence_member *member =
	    testing_presence_find(&engine, channel_name(c), thing_name(t));
	size_t here = 0, connected = 0;

	for (int i = 0; i < NODES; i++) {
		const struct thing *thing = &nodes[i].things[c][t];

		here += thing->is_here;
		connected += thing->is_here && t < MEMBERS && thing->is_connected;
	}
	ck_assert_uint_eq(member != NULL ? member->count : 0, here);
	ck_assert_int_eq(is_there[c][t], here > 0);
	for (size_t i = 0; i < here; i++)
		connected -= member->at[i].is_connected;
	ck_assert_uint_eq(connected, 0);
}

static void
assert_answers(struct node *node, int c)
{
	char text[32];

	ask(node, c, 10);
	execute(node);
	take(node);
	for (int t = 0; t < MEMBERS; t++) {
		snprintf(text, sizeof(text), "|%s=", thing_name(t).ptr);
		ck_assert_int_eq(
		    memmem(node->members.ptr, node->members.len, text, strlen(text)) != NULL,
		    is_there[c][t]);
	}
}

static void
assert_true(void)
{
	size_t alive = 0;

	for (int i = 0; i < TESTING_PRESENCE_NODES; i++)
		alive += engine.nodes[i].id[0] != '\0';
	ck_assert_uint_eq(alive, NODES);
	for (int c = 0; c < CHANNELS; c++)
		for (int t = 0; t < THINGS; t++)
			assert_true_at(c, t);
	for (int i = 0; i < NODES; i++)
		ck_assert(engine_presence_has_room(nodes[i].presence));
}

static void
run_once(uint64_t with)
{
	seed = with;
	now_us = 1000000000;
	run = 0;
	events = 0;
	memset(is_there, 0, sizeof(is_there));
	engine = (struct testing_presence){.publish = on_publish, .expired_max = 1 + with % 3};
	for (int i = 0; i < NODES; i++)
		begin(&nodes[i]);
	for (int part = 0; part < 8; part++) {
		for (int i = 0; i < testing_steps(STEPS / 8); i++)
			step();
		settle();
		assert_true();
		assert_answers(&nodes[part % NODES], part % CHANNELS);
	}
	for (int i = 0; i < NODES; i++)
		end(&nodes[i]);
}

START_TEST(in_the_end_the_engine_has_what_is_true_and_events_alternate)
{
	uint64_t all = 0;

	for (uint64_t with = 1; with <= RUNS; with++) {
		run_once(with);
		all += events;
	}
	if (testing_steps(STEPS) == STEPS) /* nothing was left out */
		ck_assert_uint_gt(all, 1000);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_presence_model", NULL, NULL,
	    (const TTest *[]){in_the_end_the_engine_has_what_is_true_and_events_alternate, NULL});
}
