#include "config.h"

#include "link/link.h"

#include <assert.h>
#include <string.h>

#include "base/buffer.h"
#include "link/engine.h"
#include "pubsub/history.h"
#include "pubsub/hub_follow.h"

/*
 * Any bytes from an upstream, with any order of events. The first byte is the number of events, and
 * says whether the upstream is an engine; each of the next is one event; what follows is the
 * upstream's input, which is given up to the next byte 0xff each time. Nothing that an upstream
 * sends may fail an assertion, all operations are called while there is a connection only, and the
 * link does the same when the input comes byte by byte.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define EVENTS_MAX 64
#define IS_ENGINE 64

struct node {
	struct link *link;
	struct buffer heard;
	struct slice rest; /* of the input */
	uint64_t now;
	bool is_open;
	bool fails; /* the next send */
	bool bytewise;
	uint64_t newest_seq; /* of an engine */
	bool has_ring[2];    /* of the channels "a" and "b" */
};

static void
note(struct node *node, const char *what, struct slice text)
{
	assert(node->is_open);
	buffer_append_str(&node->heard, what);
	buffer_append_slice(&node->heard, text);
	buffer_append_str(&node->heard, "\n");
}

static bool
on_send(void *arg, struct slice bytes)
{
	struct node *node = arg;
	bool fails = node->fails;

	note(node, "send ", bytes);
	node->fails = false;
	return !fails;
}

static void
lose(struct node *node)
{
	node->is_open = false;
	link_lost(node->link);
	assert(link_state_of(node->link) == LINK_DOWN);
	assert(link_queued_bytes(node->link) == 0);
}

static void
on_drop(void *arg, const char *why)
{
	note(arg, "drop ", slice_of(why));
	assert(why[0] != '\0');
	lose(arg);
}

static void
on_message(void *arg, enum hub_kind kind, struct slice channel, struct slice payload,
    enum interest_course course)
{
	struct node *node = arg;

	static const char *const texts[] = {"comes ", "follows ", "jumps "};

	note(node, texts[course], channel);
	assert(kind == HUB_CHANNEL || kind == HUB_SHARD);
	note(node, "channel ", channel);
	note(node, "payload ", payload);
	if (link_state_of(node->link) == LINK_UP && payload.len % 2 == 1)
		link_publish(node->link, kind, channel, payload);
}

static void
on_joined(void *arg, enum hub_kind kind, struct slice name, enum interest_join how)
{
	static const char *const texts[] = {"joined ", "joined resumed ", "joined missed "};

	(void)kind;
	note(arg, texts[how], name);
}

static void
on_left(void *arg, enum hub_kind kind, struct slice name)
{
	(void)kind;
	note(arg, "left ", name);
}

static void
on_published(void *arg, struct slice error, struct hub_position position)
{
	note(arg, "published ", error);
	assert(error.len == 0 || position.seq == 0);
}

static void
on_refused(void *arg, struct slice error)
{
	note(arg, "refused ", error);
}

static const struct link_ops ops = {
    .send = on_send,
    .drop = on_drop,
    .message = on_message,
    .joined = on_joined,
    .left = on_left,
    .published = on_published,
    .refused = on_refused,
};

/* What an engine's history tells */

static bool *
ring_of(struct node *node, struct slice channel)
{
	return slice_is(channel, "a")   ? &node->has_ring[0]
	       : slice_is(channel, "b") ? &node->has_ring[1]
					: NULL;
}

static bool
on_keeps(void *arg, struct slice channel, struct engine_limits *limits)
{
	*limits = (struct engine_limits){100, 1 << 20};
	return ring_of(arg, channel) != NULL;
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return 7;
}

static bool
on_has_history(void *arg, struct slice channel)
{
	const bool *ring = ring_of(arg, channel);

	return ring != NULL && *ring;
}

static uint64_t
on_newest_seq(void *arg)
{
	return ((const struct node *)arg)->newest_seq;
}

static void
on_begins(void *arg, struct hub_position position)
{
	struct node *node = arg;

	assert(position.epoch > 0 && position.seq >= node->newest_seq);
	node->newest_seq = position.seq;
	node->has_ring[0] = node->has_ring[1] = false;
	note(node, "begins", slice_of(""));
}

static void
on_moved(void *arg, uint64_t seq)
{
	struct node *node = arg;

	assert(seq > node->newest_seq);
	node->newest_seq = seq;
}

static void
on_loaded(void *arg, const struct hub_loaded *loaded)
{
	struct node *node = arg;
	bool *ring = ring_of(node, loaded->channel);
	uint64_t seq = loaded->trimmed_seq;

	assert(ring == NULL || !*ring);
	assert(seq <= node->newest_seq && loaded->newest_seq <= node->newest_seq);
	note(node, "loaded ", loaded->channel);
	for (size_t i = 0; i < loaded->count; i++) {
		assert(
		    loaded->messages[i].seq > seq && loaded->messages[i].seq <= node->newest_seq);
		seq = loaded->messages[i].seq;
		note(node, "with ", loaded->messages[i].payload);
	}
	assert(seq == loaded->newest_seq);
	if (ring != NULL)
		*ring = true;
}

static void
on_kept(void *arg, struct slice channel, struct slice payload, uint64_t seq, bool is_kept)
{
	struct node *node = arg;

	assert(seq > node->newest_seq);
	note(node, is_kept ? "kept " : "not kept ", channel);
	note(node, "payload ", payload);
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	const struct node *node = arg;

	assert(node->is_open);
	for (size_t i = 0; i < count; i++)
		assert(holes[i].first <= holes[i].last);
}

static void
on_deleted(void *arg, struct slice channel, uint64_t seq)
{
	struct node *node = arg;

	assert(seq > node->newest_seq); /* on_moved() follows */
	note(node, "deleted ", channel);
}

static void
on_missed(void *arg, struct slice channel, uint64_t seq, uint64_t count)
{
	struct node *node = arg;

	assert(count > 0 && seq <= node->newest_seq);
	note(node, "missed ", channel);
}

static void
on_forgotten(void *arg, struct slice channel)
{
	bool *ring = ring_of(arg, channel);

	if (ring != NULL)
		*ring = false;
}

static const struct engine_ops engine_ops = {
    .keeps = on_keeps,
    .has_history = on_has_history,
    .random = on_random,
    .newest_seq = on_newest_seq,
    .begins = on_begins,
    .holes = on_holes,
    .moved = on_moved,
    .loaded = on_loaded,
    .message = on_kept,
    .deleted = on_deleted,
    .missed = on_missed,
    .forgotten = on_forgotten,
};

static void
receive(struct node *node)
{
	const char *end = memchr(node->rest.ptr, 0xff, node->rest.len);
	size_t len = end != NULL ? (size_t)(end - node->rest.ptr) : node->rest.len;
	size_t step = node->bytewise ? 1 : len;

	for (size_t at = 0; at < len && node->is_open; at += step)
		link_received(node->link, (struct slice){node->rest.ptr + at, step}, node->now);
	len += end != NULL;
	node->rest = (struct slice){node->rest.ptr + len, node->rest.len - len};
}

static void
publish(struct node *node, enum hub_kind kind, struct slice channel, struct slice payload)
{
	struct engine_message message = {
	    .channel = channel, .payload = payload, .size = 1, .ttl_ms = 1};

	if (link_engine(node->link) != NULL && kind == HUB_CHANNEL &&
	    ring_of(node, channel) != NULL)
		link_publish_kept(node->link, &message);
	else
		link_publish(node->link, kind, channel, payload);
}

/* What an event does to a name: the upper bits of its byte. */
static void
change(struct node *node, unsigned event)
{
	static const char *const names[] = {"a", "b", "", "__fanfare__:probe:f"};
	struct interest *interest = link_interest(node->link);
	struct slice name = slice_of(names[event >> 4 & 3]);
	enum hub_kind kind = (enum hub_kind)(event >> 6 == 3 ? 0 : event >> 6);

	if ((event & 15) == 4)
		interest_add(interest, kind, name);
	else if ((event & 15) == 5)
		interest_remove(interest, kind, name, node->now);
	else if ((event & 15) == 6)
		interest_need(interest, kind, name, node->now);
	else if (link_state_of(node->link) == LINK_UP)
		publish(node, kind, name, slice_of(names[event >> 6]));
}

static void
happen(struct node *node, unsigned event)
{
	switch (event & 15) {
	case 0:
		if (node->is_open)
			break;
		node->is_open = true;
		link_opened(node->link, node->now);
		break;
	case 1:
		receive(node);
		break;
	case 3:
		node->now += (uint64_t)(event >> 4) * 1000000;
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		change(node, event);
		break;
	case 8:
		if (node->is_open)
			lose(node);
		break;
	case 9:
		node->fails = true;
		break;
	case 10:
		node->now += 60000000;
		break;
	case 11:
		interest_again(link_interest(node->link), HUB_CHANNEL,
		    slice_of(event >> 4 & 1 ? "a" : "b"), node->now);
		break;
	case 12: /* the hub has removed a ring */
		node->has_ring[event >> 4 & 1] = false;
		break;
	case 13:
		if (link_state_of(node->link) == LINK_UP && link_engine(node->link) != NULL)
			link_delete_kept(node->link, slice_of(event >> 4 & 1 ? "a" : "b"), 1000);
		break;
	default:
		link_turn(node->link, node->now);
	}
	assert((link_state_of(node->link) != LINK_DOWN) == node->is_open);
}

static void
check_figures(const struct node *node)
{
	struct link_figures figures = link_figures(node->link);
	struct interest_figures names = interest_figures(link_interest(node->link));
	size_t total = 0;

	assert(figures.refused + figures.unconfirmed <= figures.sent);
	for (size_t i = 0; i < INTEREST_STATES; i++)
		total += names.count[i];
	assert(total == names.names && names.count[INTEREST_ABSENT] == 0);
}

static void
run(const uint8_t *data, size_t len, bool bytewise, struct buffer *heard)
{
	const struct link_config config = {.password = "pw",
	    .id = "f",
	    .engine = data[0] & IS_ENGINE ? &engine_ops : NULL,
	    .probe_us = 10000000};
	struct node node = {.now = 1000000, .bytewise = bytewise};
	size_t events = data[0] % EVENTS_MAX;

	if (events > len - 1)
		events = len - 1;
	node.link = link_new(&config, &ops, &node);
	interest_set_linger(link_interest(node.link), 5000000);
	node.rest = (struct slice){(const char *)data + 1 + events, len - 1 - events};
	for (size_t i = 0; i < events; i++) {
		happen(&node, data[1 + i]);
		check_figures(&node);
	}
	if (node.is_open)
		lose(&node);
	node.fails = false;
	happen(&node, 0);
	assert(link_state_of(node.link) == LINK_GREETING);
	link_free(node.link);
	*heard = node.heard;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer whole = {0}, pieces = {0};

	if (len == 0)
		return 0;
	run(data, len, false, &whole);
	run(data, len, true, &pieces);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
