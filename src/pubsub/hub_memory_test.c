#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

/* hub_limits.memory_bytes: the results that publishers get, and when memory is freed. */

#define CLIENTS 4
#define SEGMENT 4096
#define LIMIT ((size_t)65536)

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[CLIENTS];
static char filler[LIMIT * 2];
static size_t receivers;
static struct hub_publication last; /* of publish() */

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){m->channel.len, 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	memcpy(out, m->channel.ptr, m->channel.len);
	out[its.head + body->len] = '.';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	(void)missed;
	(void)out;
	return 0;
}

static const struct wire_form forms[] = {
    {.name = "a", .ends = ends, .write_ends = write_ends, .notice = notice},
    {.name = "b", .ends = ends, .write_ends = write_ends, .notice = notice}};

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static const struct subscriber_ops ops = {on_ready, on_ready, on_ready, on_ready};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 2, .segment_bytes = SEGMENT};
	struct outbox_limits no_limits = {.bytes = 0};

	limits = (struct hub_limits){
	    .subscriptions = 10, .subscribers = 10, .name_bytes = 10, .memory_bytes = LIMIT};
	hub = hub_new(&config);
	memset(filler, 'x', sizeof(filler));
	for (int i = 0; i < CLIENTS; i++)
		hub_attach(hub, &subs[i], &ops, &no_limits, (uint8_t)(i % 2), NULL);
}

static void
teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static void
subscribe(int i, const char *channel)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], HUB_CHANNEL, slice_of(channel)), HUB_OK);
}

static enum hub_result
publish(const char *channel, size_t len)
{
	last = (struct hub_publication){0};
	return hub_publish(
	    hub, HUB_CHANNEL, slice_of(channel), (struct slice){filler, len}, 1, &last, &receivers);
}

/* Publishes until a message is not accepted; returns the number of accepted messages. */
static int
fill(const char *channel)
{
	int taken = 0;

	while (publish(channel, 1000) == HUB_OK)
		taken++;
	return taken;
}

static void
read_all(int i)
{
	outbox_consume(&subs[i].outbox, subs[i].outbox.bytes);
	outbox_flushed(&subs[i].outbox);
	hub_tidy(hub);
}

START_TEST(messages_wait_at_the_limit_and_nobody_has_them)
{
	size_t queued;
	int taken;

	subscribe(0, "c");
	taken = fill("c");
	ck_assert_int_gt(taken, 40);
	ck_assert_int_lt(taken, 70);
	ck_assert_uint_le(hub_memory(hub), LIMIT + SEGMENT);
	queued = subs[0].outbox.bytes;
	ck_assert_int_eq(publish("c", 1000), HUB_FULL);
	ck_assert_uint_ge(last.bytes, 1000);
	ck_assert_uint_eq(subs[0].outbox.bytes, queued);
	ck_assert_int_eq(publish("nobody", 1000), HUB_OK);
	read_all(0);
	ck_assert_int_eq(publish("c", 1000), HUB_OK);
	ck_assert_uint_eq(receivers, 1);
}
END_TEST

START_TEST(what_several_have_queued_counts_once_for_each_form)
{
	int alone, shared, both;

	subscribe(0, "c");
	alone = fill("c");
	read_all(0);
	subscribe(2, "c");
	shared = fill("c");
	read_all(0);
	read_all(2);
	subscribe(1, "c");
	both = fill("c");
	ck_assert_int_gt(shared, alone - 5);
	ck_assert_int_lt(both, alone / 2 + 5);
}
END_TEST

START_TEST(memory_is_freed_with_the_last_subscriber_that_shares_it)
{
	size_t full;

	subscribe(0, "c");
	subscribe(2, "c");
	fill("c");
	full = hub_memory(hub);
	ck_assert(hub_drop_queue(&subs[0], SIZE_MAX));
	ck_assert_uint_gt(hub_memory(hub), full - full / 4);
	ck_assert(hub_drop_queue(&subs[2], SIZE_MAX));
	ck_assert_uint_lt(hub_memory(hub), LIMIT / 4);
	ck_assert_uint_eq(subs[2].outbox.bytes, 0);
}
END_TEST

START_TEST(a_queue_is_dropped_in_steps)
{
	subscribe(0, "c");
	fill("c");
	ck_assert(!hub_drop_queue(&subs[0], 1));
	ck_assert(hub_drop_queue(&subs[0], SIZE_MAX));
}
END_TEST

START_TEST(a_message_that_can_never_fit_is_said_so)
{
	subscribe(0, "c");
	ck_assert_int_eq(publish("c", LIMIT), HUB_TOO_LARGE);
	ck_assert_int_eq(publish("nobody", LIMIT), HUB_OK);
	ck_assert_int_eq(publish("c", LIMIT - 2), HUB_OK);
	ck_assert_int_eq(publish("c", LIMIT), HUB_TOO_LARGE);
	ck_assert_int_eq(publish("c", LIMIT - 2), HUB_FULL);
	ck_assert_uint_eq(last.bytes, LIMIT);
}
END_TEST

START_TEST(while_nothing_is_queued_a_message_has_room)
{
	limits.memory_bytes = 100;
	subscribe(0, "c");
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(publish("c", 90), HUB_OK);
		ck_assert_int_eq(publish("c", 90), HUB_FULL);
		read_all(0);
	}
}
END_TEST

static enum hub_result
publish_now(const char *channel, size_t len, enum hub_limiting limiting)
{
	return hub_publish_now(
	    hub, HUB_CHANNEL, slice_of(channel), (struct slice){filler, len}, limiting, &receivers);
}

START_TEST(what_cannot_wait_passes_the_limit_or_is_refused)
{
	subscribe(0, "a");
	fill("a");
	ck_assert_int_eq(publish_now("a", 1000, HUB_WITHIN_LIMITS), HUB_FULL);
	ck_assert_int_eq(publish_now("a", 1000, HUB_IGNORE_LIMITS), HUB_OK);
	ck_assert_uint_eq(receivers, 1);
	ck_assert_int_eq(publish_now("a", LIMIT, HUB_IGNORE_LIMITS), HUB_TOO_LARGE);
	ck_assert_int_eq(publish_now("b", 1000, HUB_WITHIN_LIMITS), HUB_OK);
}
END_TEST

static enum hub_result
may_post(struct slice payload, struct hub_publication *p, size_t *bytes)
{
	struct hub_post post = {.kind = HUB_CHANNEL, .channel = SLICE("a"), .payload = payload};

	return hub_may_post(hub, &post, 1, p, bytes);
}

START_TEST(several_messages_are_asked_for_together)
{
	struct slice part = {filler, LIMIT * 4 / 10}, most = {filler, LIMIT * 6 / 10};
	size_t bytes = 0, more;

	subscribe(0, "a");
	ck_assert_int_eq(publish("a", LIMIT / 2), HUB_OK);
	ck_assert_int_eq(may_post(part, &last, &bytes), HUB_OK);
	ck_assert_uint_gt(bytes, part.len);
	more = bytes;
	ck_assert_int_eq(may_post(part, &last, &more), HUB_FULL);
	ck_assert_uint_gt(last.bytes, 2 * part.len);
	ck_assert_int_eq(may_post(most, &last, &bytes), HUB_TOO_LARGE);
}
END_TEST

START_TEST(a_subscriber_that_blocks_gets_it_past_its_limits_or_is_closed)
{
	struct outbox_limits limits_of_one = {.messages = 1, .policy = OUTBOX_BLOCK};
	size_t bytes = 0;

	subscribe(0, "a");
	hub_set_limits(&subs[0], &limits_of_one);
	ck_assert_int_eq(publish_now("a", 10, HUB_WITHIN_LIMITS), HUB_OK);
	ck_assert_int_eq(may_post(SLICE("x"), &last, &bytes), HUB_BLOCKED);
	ck_assert_int_eq(publish_now("a", 10, HUB_IGNORE_LIMITS), HUB_OK);
	ck_assert_uint_eq(subs[0].outbox.messages, 2);
	ck_assert(!subs[0].outbox.sealed);
	ck_assert_int_eq(publish_now("a", 10, HUB_WITHIN_LIMITS), HUB_OK);
	ck_assert_uint_eq(receivers, 1);
	ck_assert(subs[0].outbox.sealed);
	ck_assert_uint_eq(hub_figures(hub).dropped, 1);
}
END_TEST

START_TEST(unused_memory_is_freed_after_a_while)
{
	size_t budget = SIZE_MAX;

	subscribe(0, "c");
	(void)fill("c");
	ck_assert(hub_drop_queue(&subs[0], budget));
	hub_tidy(hub);
	hub_shrink(hub);
	hub_shrink(hub);
	ck_assert_uint_eq(hub_memory(hub), 0);
	ck_assert_uint_eq(hub_figures(hub).log_bytes, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_memory", setup, teardown,
	    (const TTest *[]){messages_wait_at_the_limit_and_nobody_has_them,
		what_several_have_queued_counts_once_for_each_form,
		memory_is_freed_with_the_last_subscriber_that_shares_it,
		a_queue_is_dropped_in_steps, a_message_that_can_never_fit_is_said_so,
		while_nothing_is_queued_a_message_has_room,
		what_cannot_wait_passes_the_limit_or_is_refused,
		several_messages_are_asked_for_together,
		a_subscriber_that_blocks_gets_it_past_its_limits_or_is_closed,
		unused_memory_is_freed_after_a_while, NULL});
}
