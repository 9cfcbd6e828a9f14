#include "config.h"

#include "link/link.h"

#include <assert.h>
#include <string.h>

#include "base/buffer.h"

/*
 * Any bytes from an upstream, with any order of events. The first byte is the number of events,
 * each of the next is one; what follows is the upstream's input, which is given up to the next byte
 * 0xff each time. Nothing that an upstream sends may fail an assertion, all operations are called
 * while there is a connection only, and the link does the same when the input comes byte by byte.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define EVENTS_MAX 64

struct node {
	struct link *link;
	struct buffer heard;
	struct slice rest; /* of the input */
	uint64_t now;
	bool is_open;
	bool fails; /* the next send */
	bool bytewise;
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
on_message(void *arg, enum hub_kind kind, struct slice channel, struct slice payload, bool follows)
{
	struct node *node = arg;

	note(node, follows ? "follows " : "comes ", channel);

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
    .published = on_refused, /* or confirmed */
    .refused = on_refused,
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
		link_publish(node->link, kind, name, slice_of(names[event >> 6]));
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
	const struct link_config config = {.password = "pw", .id = "f", .probe_us = 10000000};
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
