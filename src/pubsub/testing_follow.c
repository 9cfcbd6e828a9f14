#include "config.h"

#include "pubsub/testing_follow.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/hub_follow.h"
#include "pubsub/hub_history.h"

#define UNKNOWN 8 /* of so many gaps, one is of unknown length */

struct follow follow;

size_t
follow_random(size_t n)
{
	return (size_t)(testing_random(&follow.seed) % n);
}

struct slice
follow_name(size_t channel)
{
	static const char *const names[FOLLOW_CHANNELS] = {"a", "b", "c", "d", "e", "f"};

	return slice_of(names[channel]);
}

void
follow_begin(uint64_t seed)
{
	follow = (struct follow){.seed = seed, .now_us = 1, .top = {1, 0}, .bottom = {1, 0}};
	for (size_t i = 0; i < FOLLOW_NODES; i++)
		follow.nodes[i].at = follow.nodes[i].bottom = follow.top;
}

void
follow_end(void)
{
	for (size_t c = 0; c < FOLLOW_CHANNELS; c++)
		xfree(follow.truth[c].messages);
	xfree(follow.events);
}

static void
add_event(size_t channel, size_t number)
{
	if (follow.event_count == follow.event_room) {
		follow.event_room = follow.event_room > 0 ? follow.event_room * 2 : 1024;
		follow.events = xrealloc(follow.events, follow.event_room * sizeof(*follow.events));
	}
	follow.events[follow.event_count++] = (struct follow_event){channel, number, follow.top};
}

void
follow_publish(void)
{
	static const uint64_t steps[] = {1, 1, 1, 2, 7, (uint64_t)1 << 20, (uint64_t)1 << 33};
	size_t channel = follow_random(FOLLOW_CHANNELS);

	follow.top.seq += steps[follow_random(sizeof(steps) / sizeof(*steps))];
	if (follow.truth[channel].count == follow.truth[channel].room) {
		follow.truth[channel].room =
		    follow.truth[channel].room > 0 ? follow.truth[channel].room * 2 : 1024;
		follow.truth[channel].messages = xrealloc(follow.truth[channel].messages,
		    follow.truth[channel].room * sizeof(*follow.truth[channel].messages));
	}
	follow.truth[channel].messages[follow.truth[channel].count++] =
	    (struct follow_message){follow.top, follow.now_us,
		follow_random(20) == 0 ? FOLLOW_LENGTH_MAX : follow_random(FOLLOW_KEPT_MAX)};
	add_event(channel, follow.truth[channel].count);
}

void
follow_trim(size_t channel)
{
	size_t left = follow.truth[channel].count - follow.truth[channel].trimmed;

	follow.truth[channel].trimmed += follow_random(left + 1);
}

void
follow_begin_anew(void)
{
	follow.top =
	    (struct hub_position){follow.top.epoch + 1, follow.top.seq + follow_random(100)};
	follow.bottom = follow.top;
	add_event(FOLLOW_CHANNELS, 0);
	follow.anew++;
}

/* The number of messages of the channel up to that position. */
size_t
follow_count_upto(size_t channel, struct hub_position at)
{
	size_t count = follow.truth[channel].count;

	while (count > 0 && position_compare(follow.truth[channel].messages[count - 1].at, at) > 0)
		count--;
	return count;
}

/* A node */

/* The text of a message is "c:number xxx". */
static struct slice
payload_of(size_t channel, size_t number)
{
	static char text[FOLLOW_LENGTH_MAX + 32];
	size_t len, wanted = follow.truth[channel].messages[number - 1].len;

	memset(text, 'x', sizeof(text));
	len = (size_t)snprintf(text, sizeof(text), "%c:%zu ", (char)('a' + channel), number);
	text[len] = 'x';
	return (struct slice){text, len > wanted ? len : wanted};
}

static void
load(struct follow_node *node, size_t channel)
{
	struct hub_loaded loaded = {
	    .channel = follow_name(channel), .trimmed_seq = node->bottom.seq};
	struct hub_loaded_message *messages;
	size_t from = follow.truth[channel].trimmed, to = node->count[channel];
	char *texts = xmalloc((to - (from < to ? from : to) + 1) * (FOLLOW_LENGTH_MAX + 32));

	messages = xcalloc(to + 1, sizeof(*messages));
	if (from > to)
		from = to; /* it was trimmed before this node has seen it */
	if (from > 0 && follow.truth[channel].messages[from - 1].at.epoch == node->at.epoch)
		loaded.trimmed_seq = follow.truth[channel].messages[from - 1].at.seq;
	loaded.newest_seq = loaded.trimmed_seq;
	for (size_t n = from + 1; n <= to; n++) {
		const struct follow_message *m = &follow.truth[channel].messages[n - 1];
		struct slice payload = payload_of(channel, n);
		char *text = texts + loaded.count * (FOLLOW_LENGTH_MAX + 32);

		if (m->at.epoch != node->at.epoch)
			continue;
		memcpy(text, payload.ptr, payload.len);
		messages[loaded.count++] = (struct hub_loaded_message){
		    m->at.seq, follow.now_us - m->at_us, {text, payload.len}};
		loaded.newest_seq = m->at.seq;
	}
	loaded.messages = messages;
	loaded.number = to;
	hub_load_history(node->hub, &loaded, follow.now_us);
	node->has[channel] = true;
	xfree(messages);
	xfree(texts);
	follow.loads++;
}

void
follow_join(struct follow_node *node, size_t channel)
{
	if (!node->has[channel] || hub_ring(node->hub, follow_name(channel), follow.now_us) == NULL)
		load(node, channel);
}

static void
move_to(struct follow_node *node, struct hub_position at)
{
	if (at.seq > node->at.seq)
		hub_follow_to(node->hub, at.seq);
	node->at = at;
}

static void
begin_node_anew(struct follow_node *node, struct hub_position at)
{
	node->at = node->bottom = at;
	hub_follow_from(node->hub, at);
	for (size_t c = 0; c < FOLLOW_CHANNELS; c++)
		if (node->has[c])
			load(node, c);
}

/* The node gets the next event. */
void
follow_take(struct follow_node *node)
{
	const struct follow_event *event = &follow.events[node->next++];
	struct hub_outcome outcome;
	struct hub_post post = {.kind = HUB_CHANNEL, .seq = event->at.seq};

	if (event->channel == FOLLOW_CHANNELS) {
		begin_node_anew(node, event->at);
		return;
	}
	post.channel = follow_name(event->channel);
	post.payload = payload_of(event->channel, event->number);
	if (!node->has[event->channel] || !hub_keeps(node->hub, post.channel))
		post.seq = 0;
	hub_set_time(node->hub, follow.now_us);
	ck_assert_int_eq(hub_post_now(node->hub, &post, HUB_WITHIN_LIMITS, &outcome), HUB_OK);
	ck_assert(outcome.position.seq == post.seq);
	node->count[event->channel] = event->number;
	if (post.seq == 0)
		move_to(node, event->at);
	node->at = event->at;
	ck_assert_int_eq(position_compare(history_position(hub_history(node->hub)), node->at), 0);
}

/* The node misses some follow.events. */
void
follow_miss(struct follow_node *node)
{
	uint64_t counts[FOLLOW_CHANNELS] = {0};
	size_t end = node->next + 1 + follow_random(10);

	if (end > follow.event_count)
		end = follow.event_count;
	for (size_t i = node->next; i < end; i++) {
		if (follow.events[i].channel == FOLLOW_CHANNELS)
			end = i;
		else
			counts[follow.events[i].channel]++;
	}
	for (; node->next < end; node->next++) {
		const struct follow_event *event = &follow.events[node->next];
		size_t c = event->channel;
		uint64_t count = follow_random(UNKNOWN) == 0 ? WIRE_MISSED_UNKNOWN : counts[c];

		move_to(node, event->at);
		if (event->number < node->count[c] + counts[c])
			continue; /* another one of the channel is missing, too */
		node->count[c] = event->number;
		counts[c] = 0;
		follow.misses++;
		if (node->has[c])
			hub_miss_history(node->hub, follow_name(c), event->at.seq, count);
	}
}

bool
follow_is_late(const struct follow_node *node)
{
	return node->next < follow.event_count;
}

void
follow_leave(struct follow_node *node, size_t channel)
{
	hub_drop_history(node->hub, follow_name(channel), follow.now_us);
	node->has[channel] = false;
}
