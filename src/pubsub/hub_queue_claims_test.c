#include "config.h"

#include "pubsub/queue_claims.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub.h"
#include "pubsub/queue_group.h"
#include "pubsub/testing_form.h"

/* Messages of queue groups that are kept back, and delivered later. */
#define SUBS 4

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static int overflows;

static struct {
	enum queue_claims_answer answer;
	struct queue_claims_group group; /* of the newest call; its names are not valid */
	char text[64];                   /* channel, payload of the newest message */
	int changes, messages;
} claims;

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	(void)s;
	overflows++;
}

static const struct subscriber_ops ops = {ignore, on_overflow, ignore, ignore};

static void
on_changed(void *arg, const struct queue_claims_group *group)
{
	ck_assert_ptr_eq(arg, &claims);
	ck_assert(slice_is(group->group, "g") && slice_is(group->name, "q"));
	claims.group = *group;
	claims.changes++;
}

static enum queue_claims_answer
on_message(
    void *arg, const struct queue_claims_group *group, const struct queue_claims_message *message)
{
	ck_assert_ptr_eq(arg, &claims);
	ck_assert_uint_eq(group->id, claims.group.id);
	claims.messages++;
	snprintf(claims.text, sizeof(claims.text), "%.*s %.*s", (int)message->channel.len,
	    message->channel.ptr, (int)message->payload.len, message->payload.ptr);
	return claims.answer;
}

static const struct queue_claims_ops claims_ops = {on_changed, on_message};

static void
set_limits(int i, uint32_t messages, enum outbox_policy policy)
{
	struct outbox_limits outbox = {.bytes = 100, .messages = messages, .policy = policy};

	hub_set_limits(&subs[i], &outbox);
}

static void
setup(void)
{
	struct outbox_limits outbox = {.bytes = 100, .messages = 3};
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};

	memset(&claims, 0, sizeof(claims));
	claims.answer = QUEUE_CLAIMS_LATER;
	overflows = 0;
	limits = (struct hub_limits){.subscriptions = 5, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	hub_set_queue_claims(hub, &claims_ops, &claims);
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &outbox, 0, NULL);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		while (!hub_detach(&subs[i], 3))
			continue;
	hub_free(hub);
}

static void
join(int i)
{
	ck_assert_int_eq(
	    hub_join_queue(&subs[i], QUEUE_BY_COMMAND, SLICE("g"), HUB_CHANNEL, SLICE("q")),
	    HUB_OK);
}

static size_t
publish(const char *payload)
{
	size_t receivers;

	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("q"), slice_of(payload),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_OK);
	return receivers;
}

static bool
deliver(const char *payload)
{
	struct queue_claims_message message = {.channel = SLICE("q"), .payload = slice_of(payload)};

	return hub_queue_deliver(hub, claims.group.id, &message);
}

static void
assert_queued(uint32_t first, uint32_t second, uint32_t third)
{
	ck_assert_uint_eq(subs[0].outbox.messages, first);
	ck_assert_uint_eq(subs[1].outbox.messages, second);
	ck_assert_uint_eq(subs[2].outbox.messages, third);
}

START_TEST(a_message_is_kept_back_from_the_group_only)
{
	join(0);
	ck_assert_int_eq(hub_subscribe(&subs[2], HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(publish("x"), 1);
	assert_queued(0, 0, 1);
	ck_assert_str_eq(claims.text, "q x");
	claims.answer = QUEUE_CLAIMS_NOT;
	ck_assert_uint_eq(publish("y"), 2);
	assert_queued(1, 0, 2);
	hub_set_queue_claims(hub, NULL, NULL);
	ck_assert_uint_eq(publish("z"), 2);
	ck_assert_int_eq(claims.messages, 2);
}
END_TEST

START_TEST(changes_of_members_are_told)
{
	uint64_t id;

	join(0);
	ck_assert_uint_eq(claims.group.members, 1);
	id = claims.group.id;
	join(1);
	ck_assert_uint_eq(claims.group.members, 2);
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(claims.group.members, 1);
	ck_assert_int_eq(hub_leave_queue(&subs[1], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(claims.group.members, 0);
	ck_assert_uint_eq(claims.group.id, id);
	ck_assert_int_eq(claims.changes, 4);
	join(0);
	ck_assert_uint_ne(claims.group.id, id);
}
END_TEST

START_TEST(what_is_delivered_goes_to_members_in_turn)
{
	join(0);
	join(1);
	ck_assert_int_eq(hub_subscribe(&subs[2], HUB_CHANNEL, SLICE("q")), HUB_OK);
	for (int i = 0; i < 4; i++)
		ck_assert(deliver("x"));
	assert_queued(2, 2, 0);
	ck_assert_uint_eq(hub_figures(hub).delivered, 4);
}
END_TEST

START_TEST(a_group_that_is_gone_gets_nothing)
{
	join(0);
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert(!deliver("x"));
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 1), 0);
	hub_queue_miss(hub, claims.group.id);
}
END_TEST

START_TEST(members_without_room_have_their_policy)
{
	join(0);
	set_limits(0, 1, OUTBOX_DROP_NEWEST);
	ck_assert(deliver("x") && deliver("y"));
	assert_queued(1, 0, 0);
	ck_assert_uint_eq(subs[0].outbox.dropped, 1);
	set_limits(0, 1, OUTBOX_BLOCK);
	ck_assert(deliver("y"));
	ck_assert_int_eq(overflows, 1);
	ck_assert(!deliver("z")); /* it is closed */
	join(1);
	set_limits(1, 1, OUTBOX_CATCH_UP);
	ck_assert(deliver("x") && deliver("y"));
	ck_assert_int_eq(overflows, 2);
}
END_TEST

START_TEST(memory_limits_what_is_delivered)
{
	join(0);
	limits.memory_bytes = 1;
	ck_assert(!deliver("more than one byte"));
	limits.memory_bytes = 1 << 20;
	ck_assert(deliver("more than one byte"));
}
END_TEST

START_TEST(room_is_that_of_all_members)
{
	join(0);
	join(1);
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 10), 6);
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 50), 4);
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 101), 0);
	ck_assert(deliver("x"));
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 10), 5);
	set_limits(0, 0, OUTBOX_BLOCK);
	ck_assert_uint_eq(hub_queue_room(hub, claims.group.id, 10), 9 + 3);
}
END_TEST

START_TEST(members_are_told_that_a_message_is_missed)
{
	struct outbox_limits outbox = {.messages = 3, .notify = true};

	join(0);
	hub_set_limits(&subs[0], &outbox);
	claims.answer = QUEUE_CLAIMS_MISSED;
	ck_assert_uint_eq(publish("x"), 0);
	hub_queue_miss(hub, claims.group.id);
	assert_queued(0, 0, 0);
	ck_assert_uint_eq(subs[0].outbox.dropped, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_queue_claims", setup, teardown,
	    (const TTest *[]){a_message_is_kept_back_from_the_group_only,
		changes_of_members_are_told, what_is_delivered_goes_to_members_in_turn,
		a_group_that_is_gone_gets_nothing, members_without_room_have_their_policy,
		memory_limits_what_is_delivered, room_is_that_of_all_members,
		members_are_told_that_a_message_is_missed, NULL});
}
